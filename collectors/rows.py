"""Rows of structured data (JSON objects or arrays, result rows of a query) to observations and rejects.

Each of our columns is found in a row by a path or a template (collectors.paths); what is not there comes from the
defaults. Values that are texts are read as the cells of a sheet are, so that `无`, `75-80` and full-width digits mean
the same everywhere. A row that cannot be read is rejected alone, with its reason.
"""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from collectors.base import SourceOptions
from collectors.paths import MISSING, compile_column
from collectors.sheet_values import (
    MAX_NOTE,
    MAX_YEAR,
    MIN_YEAR,
    REMEDY_DATE,
    CellError,
    clean_name,
    clean_note,
    clip,
    finite,
    parse_date,
    parse_value,
)
from thresholds.model import ObservationBatch, Reject, SeriesKey

NAMES = ("item", "spec", "unit", "channel", "point", "area", "source")
COLUMNS = ("date", "value", *NAMES, "note")
KNOWN = 100_000
"""texts of names and dates that are remembered while rows are read"""
EARLIEST = int(datetime(MIN_YEAR, 1, 1, tzinfo=UTC).timestamp())
LATEST = int(datetime(MAX_YEAR + 1, 1, 1, tzinfo=UTC).timestamp())


@dataclass(frozen=True, slots=True)
class Rows:
    """What some rows gave. `count` rows were seen; each is in the batch, or in the rejects."""

    batch: ObservationBatch
    rejects: Sequence[Reject]
    count: int

    def newest(self, now: datetime) -> int | None:
        """The newest time (epoch seconds) that is not in the future, or None."""
        past = self.batch.at[self.batch.at <= int(now.timestamp())]
        return int(past.max()) if len(past) else None

    def split_last_time(self) -> tuple[Rows, Rows]:
        """The rows before those of the newest time, and the rest. Only for rows whose times never go down."""
        batch = self.batch
        if not len(batch):
            return self, no_rows()
        kept = int(np.searchsorted(batch.at, batch.at[-1], side="left"))
        first_left = int(batch.row[kept])
        done = [reject for reject in self.rejects if reject.row < first_left]
        left = self.rejects[len(done) :]
        return (
            Rows(part_of(batch, 0, kept), done, kept + len(done)),
            Rows(part_of(batch, kept, len(batch)), left, len(batch) - kept + len(left)),
        )

    def with_rejects(self, more: Sequence[Reject]) -> Rows:
        """The same with `more` rows that were rejected before they were rows."""
        if not more:
            return self
        rejects = sorted((*self.rejects, *more), key=lambda reject: reject.row)
        return replace(self, rejects=rejects, count=self.count + len(more))


@dataclass
class BatchBuilder:
    """Observations one by one into the columns of a batch."""

    index: dict[SeriesKey, int] = field(default_factory=dict)
    areas: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    series: array[int] = field(default_factory=lambda: array("q"))
    at: array[int] = field(default_factory=lambda: array("q"))
    value: array[float] = field(default_factory=lambda: array("d"))
    row: array[int] = field(default_factory=lambda: array("q"))
    notes: dict[int, str] = field(default_factory=dict)

    def code(self, key: SeriesKey, area: str = "", source: str = "") -> int:
        """The number of a series in this batch; area and source count where it is new."""
        code = self.index.setdefault(key, len(self.index))
        if code == len(self.areas):
            self.areas.append(area)
            self.sources.append(source)
        return code

    def add(self, code: int, at: int, value: float, row: int, note: str = "") -> None:
        if note:
            self.notes[len(self.value)] = note
        self.series.append(code)
        self.at.append(at)
        self.value.append(value)
        self.row.append(row)

    def build(self) -> ObservationBatch:
        return ObservationBatch(
            keys=list(self.index),
            areas=self.areas,
            sources=self.sources,
            series=np.array(self.series, np.int64),
            at=np.array(self.at, np.int64),
            value=np.array(self.value, np.float64),
            row=np.array(self.row, np.int64),
            notes=self.notes,
        )


def no_rows() -> Rows:
    return Rows(BatchBuilder().build(), (), 0)


def part_of(batch: ObservationBatch, start: int, end: int) -> ObservationBatch:
    """The observations from position `start` to before `end`, with only the series that they need."""
    used, series = np.unique(batch.series[start:end], return_inverse=True)
    return ObservationBatch(
        keys=[batch.keys[code] for code in used],
        areas=[batch.areas[code] for code in used],
        sources=[batch.sources[code] for code in used],
        series=series.astype(np.int64),
        at=batch.at[start:end],
        value=batch.value[start:end],
        row=batch.row[start:end],
        notes={position - start: note for position, note in batch.notes.items() if start <= position < end},
    )


def join(parts: Sequence[Rows]) -> Rows:
    """Several answers as one, in order."""
    if len(parts) == 1:
        return parts[0]
    joined = BatchBuilder()
    for part in parts:
        batch = part.batch
        codes = [joined.code(*s) for s in zip(batch.keys, batch.areas, batch.sources, strict=True)]
        start = len(joined.value)
        joined.notes |= {start + position: note for position, note in batch.notes.items()}
        joined.series.frombytes(np.array(codes, np.int64)[batch.series].tobytes() if len(batch) else b"")
        joined.at.frombytes(batch.at.tobytes())
        joined.value.frombytes(batch.value.tobytes())
        joined.row.frombytes(batch.row.tobytes())
    rejects = [reject for part in parts for reject in part.rejects]
    return Rows(joined.build(), rejects, sum(part.count for part in parts))


class RowReader:
    """Reads rows by a source's `columns`, `defaults` and `timezone`."""

    def __init__(self, columns: Mapping[str, str], defaults: Mapping[str, str], timezone: str) -> None:
        """Raises ValueError (problem|remedy) where a column is unknown or its path is none."""
        if unknown := sorted((columns.keys() | defaults.keys()) - set(COLUMNS)):
            raise ValueError(f"unknown column {unknown[0]!r}|Use some of {', '.join(COLUMNS)}")
        self._get: dict[str, Callable[[Any], Any]] = {
            name: compile_column(columns.get(name, name)) for name in COLUMNS
        }
        self._spec = {name: columns.get(name, name) for name in COLUMNS}
        self._defaults = dict(defaults)
        self._names: dict[str, str] = {}
        self._times: dict[str, int] = {}
        self._zone = ZoneInfo(timezone)

    @classmethod
    def of(cls, options: SourceOptions) -> RowReader:
        return cls(options.columns, options.defaults, options.timezone)

    def has_value(self, row: Any) -> bool:
        """Whether `row` has something where the value is expected."""
        return self._get["value"](row) is not MISSING

    def read(self, rows: Iterable[Any], *, first_row: int = 1) -> Rows:
        """Rows numbered from `first_row`."""
        return self.read_numbered(enumerate(rows, first_row))

    def read_numbered(self, rows: Iterable[tuple[int, Any]]) -> Rows:
        builder, rejects, count = BatchBuilder(), list[Reject](), 0
        for number, row in rows:
            count += 1
            try:
                self._add(builder, number, row)
            except CellError as error:
                rejects.append(Reject(number, error.reason, str(error), excerpt(row)))
        return Rows(builder.build(), rejects, count)

    def _add(self, builder: BatchBuilder, number: int, row: Any) -> None:
        if not isinstance(row, dict | list | tuple):
            raise CellError("shape", "一行应是一个对象或列表；请核对 rows 的路径")
        found = {name: self._find(name, row) for name in COLUMNS}
        item, spec, unit, channel, point, area, source = [self._name(found[name], name) for name in NAMES]
        if not item:
            raise CellError("no_item", f"没有品名；应在 {self._spec['item']}，请补填")
        if found["date"] == "":
            raise CellError("no_date", f"没有日期；应在 {self._spec['date']}，请补填")
        at = self._time(found["date"])
        value, remark = read_value(found["value"], unit)
        note = found["note"] and clean_note(excerpt(found["note"], MAX_NOTE))
        note = "；".join(filter(None, (note, remark)))
        code = builder.code(SeriesKey(item, spec, unit, channel, point), area, source)
        builder.add(code, at, value, number, note)

    def _name(self, raw: Any, name: str) -> str:
        """read_name, remembering the texts: few names come again and again."""
        if type(raw) is not str:
            return read_name(raw, name)
        known = self._names.get(raw)
        if known is None:
            if len(self._names) >= KNOWN:
                self._names.clear()
            known = self._names[raw] = clean_name(raw)
        return known

    def _time(self, raw: Any) -> int:
        """read_time, remembering the texts."""
        if type(raw) is not str:
            return read_time(raw, self._zone)
        known = self._times.get(raw)
        if known is None:
            if len(self._times) >= KNOWN:
                self._times.clear()
            known = self._times[raw] = read_time(raw, self._zone)
        return known

    def _find(self, name: str, row: Any) -> Any:
        value = self._get[name](row)
        return self._defaults.get(name, "") if value is MISSING or value is None or value == "" else value


def read_time(raw: Any, zone: tzinfo) -> int:
    """Epoch seconds of a date or time: a text as in a sheet, a date or datetime, epoch seconds or milliseconds.

    A time without offset and a bare date are local to `zone`. Raises CellError.
    """
    if isinstance(raw, datetime):
        moment = raw if raw.tzinfo else raw.replace(tzinfo=zone)
        return in_range(math.floor(moment.timestamp()), raw)
    if isinstance(raw, date):
        return in_range(int(datetime(raw.year, raw.month, raw.day, tzinfo=zone).timestamp()), raw)
    if isinstance(raw, str) and not (len(raw) in (10, 13) and raw.isdecimal()):
        return parse_date(raw, zone)
    if isinstance(raw, bool) or not isinstance(raw, int | float | Decimal | str):
        raise CellError("date", f"日期“{excerpt(raw)}”无法识别；{REMEDY_DATE}")
    number = to_float(raw)
    if 0 <= number < 1e8:  # 20240131, or a spreadsheet's day number, rather than a time in the early seventies
        return parse_date(f"{number:.10g}", zone)
    return in_range(math.floor(number / 1000 if abs(number) >= 1e11 else number), raw)


def in_range(seconds: int, raw: Any) -> int:
    if not EARLIEST <= seconds < LATEST:
        raise CellError("date_range", f"日期“{excerpt(raw)}”不在 {MIN_YEAR} 至 {MAX_YEAR} 年之间；请核对")
    return seconds


def read_value(raw: Any, unit: str) -> tuple[float, str]:
    """A finite number, and a note that stood behind it, from a number or a text as in a sheet. Raises CellError."""
    if isinstance(raw, str):
        return parse_value(raw, unit)
    if isinstance(raw, bool) or not isinstance(raw, int | float | Decimal):
        raise CellError("not_a_number", f"“{excerpt(raw)}”不是数字；请核对 value 的路径")
    return to_float(raw), ""


def to_float(raw: int | float | Decimal | str) -> float:
    """A finite float. Raises CellError('not_finite')."""
    try:
        return finite(float(raw), str(raw))
    except (OverflowError, ValueError):  # beyond 1e308; a decimal's signalling NaN
        raise CellError("not_finite", f"“{excerpt(raw)}”不是有限的数；请填实际数值") from None


def read_name(raw: Any, name: str) -> str:
    """A text of the series key: numbers as they are written, no objects. Raises CellError."""
    if isinstance(raw, str):
        return clean_name(raw)
    if isinstance(raw, bool) or not isinstance(raw, int | float | Decimal | date):
        raise CellError("not_text", f"{name} 是“{excerpt(raw)}”，不是文本；请核对 {name} 的路径")
    return str(int(raw)) if isinstance(raw, float) and raw.is_integer() else str(raw)


def excerpt(value: Any, length: int = 200) -> str:
    """A value for messages, on one line and not long."""
    return clip(value if isinstance(value, str) else shorten(value, length), length)


def shorten(value: Any, length: int) -> str:
    """JSON where it can be, else repr; never the whole of something huge."""
    try:
        return json.dumps(value, ensure_ascii=False, default=str)[: 4 * length]
    except (ValueError, RecursionError, TypeError):
        return repr(value)[: 4 * length]
