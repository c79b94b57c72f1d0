"""Rows of cells to observations: whole columns at once, and row by row only what is not plain.

Distinct texts are few in a sheet (dates, items, points), so each is understood once and then looked up. Both fast
ways (`add_rows`, `add_table`) hand every row that is not plain to `_one_row`, which alone decides what is rejected
and why.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np

from collectors.sheet_header import Layout
from collectors.sheet_model import KEY_FIELDS
from collectors.sheet_values import CellError, clean_name, clean_note, parse_date, parse_value, plain_number
from thresholds.model import FloatArray, IntArray, ObservationBatch, Reject, SeriesKey

if TYPE_CHECKING:
    import pandas as pd

BAD = -(1 << 62)
"""Stands in columns for a date or series that could not be understood."""

Cells = Callable[[int], Sequence[str]]
"""The cells of the i-th row of a chunk."""

REJECTS_ROOM = 16 << 20
"""Characters that the rejects of one file may take where only the first are listed."""

CELL_SHOWN, MAX_CELLS_SHOWN = 300, 200  # how much of a row a reject keeps: characters of a cell, cells


@dataclass(slots=True)
class Gathered:
    """What all sheets of one file gave, in the order of their rows."""

    keys: dict[SeriesKey, int] = field(default_factory=dict)
    areas: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    chunks: list[tuple[IntArray, IntArray, FloatArray, IntArray]] = field(default_factory=list)
    notes: dict[int, str] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    taken: int = 0
    rows: int = 0
    listed: int | None = None
    """how many rejects are kept; None: all"""
    more: Counter[str] = field(default_factory=Counter)
    """reasons of those that were not"""
    room: int = REJECTS_ROOM
    """characters that the kept rejects may still take, where not all are kept"""

    def series(self, key: SeriesKey, area: str, source: str) -> int:
        """The number of a series; area and source are those of the first row that names them."""
        code = self.keys.setdefault(key, len(self.keys))
        if code == len(self.areas):
            self.areas.append(area)
            self.sources.append(source)
        self.areas[code] = self.areas[code] or area
        self.sources[code] = self.sources[code] or source
        return code

    def anew(self) -> Gathered:
        """An empty one with the same bounds."""
        return Gathered(listed=self.listed)

    def is_full(self) -> bool:
        return self.listed is not None and (len(self.rejects) >= self.listed or self.room <= 0)

    def reject(self, one: Reject) -> None:
        self.rejects.append(one)
        self.room -= len(one.detail) + len(one.content)

    def add(self, series: IntArray, at: IntArray, value: FloatArray, row: IntArray) -> None:
        if len(at):
            self.chunks.append((series, at, value, row))
            self.taken += len(at)

    def batch(self) -> ObservationBatch:
        series, at, value, row = (
            np.concatenate(parts) if len(parts) > 1 else parts[0]
            for parts in (zip(*self.chunks, strict=True) if self.chunks else [(np.empty(0),)] * 4)
        )
        self.chunks.clear()
        used, series = by_first_use(series.astype(np.int64, copy=False), len(self.keys))
        keys = list(self.keys)
        return ObservationBatch(
            keys=[keys[i] for i in used],
            areas=[self.areas[i] for i in used],
            sources=[self.sources[i] for i in used],
            series=series,
            at=at.astype(np.int64, copy=False),
            value=value.astype(np.float64, copy=False),
            row=row.astype(np.int64, copy=False),
            notes=self.notes,
        )


def by_first_use(codes: IntArray, size: int) -> tuple[list[int], IntArray]:
    """The codes 0..size-1 that occur, in the order of their first use, and `codes` counted in that order."""
    first = first_places(codes, size)
    used = np.flatnonzero(first >= 0)
    used = used[np.argsort(first[used])]
    renumbered = np.zeros(max(size, 1), np.int64)
    renumbered[used] = np.arange(len(used))
    return used.tolist(), renumbered[codes]


def first_places(codes: IntArray, size: int) -> IntArray:
    """Where each code 0..size-1 stands first, -1 where it does not occur."""
    first = np.full(size, -1, np.int64)
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)  # of several places the first is written last
    return first


class Dates(dict[str, int]):
    """Cell text -> epoch seconds or BAD; each distinct text is parsed once."""

    def __init__(self, zone: tzinfo, default: str) -> None:
        super().__init__()
        self.zone = zone
        self.default = default

    def __missing__(self, text: str) -> int:
        try:
            at = self.parse(text)
        except CellError:
            at = BAD
        if len(text) <= 64:
            self[text] = at
        return at

    def parse(self, text: str) -> int:
        return parse_date(text if text.strip() or not self.default else self.default, self.zone)


class Names(dict[str, str]):
    """Cell text -> name as it is stored. Raises CellError for texts that can be none."""

    def __missing__(self, text: str) -> str:
        name = clean_name(text)
        if len(text) <= 64 and len(self) < 100_000:
            self[text] = name
        return name


class Series(dict[tuple[str, ...], int]):
    """Texts of the KEY_FIELDS in a row -> number of the series, or BAD."""

    def __init__(self, gathered: Gathered, layout: Layout) -> None:
        super().__init__()
        self.gathered = gathered
        self.clean = Names()
        self.defaults = [self.clean[layout.defaults.get(f, "")] for f in KEY_FIELDS]

    def __missing__(self, texts: tuple[str, ...]) -> int:
        try:
            code = self.understand(texts)
        except CellError:
            code = BAD
        self[texts] = code
        return code

    def names(self, texts: tuple[str, ...]) -> list[str]:
        return [self.clean[t] or default for t, default in zip(texts, self.defaults, strict=True)]

    def understand(self, texts: tuple[str, ...]) -> int:
        item, spec, unit, channel, point, area, source = self.names(texts)
        if not item:
            raise CellError("no_item", "没有品种名称；请补填（合并单元格请拆分后每行填写）")
        if plain_number(unit) is not None:
            raise CellError("unit", f"单位“{unit}”是一个数；如价格带千位逗号，请去掉逗号或用英文双引号括起")
        return self.gathered.series(SeriesKey(item, spec, unit, channel, point), area, source)


class Intake:
    """Takes in the rows of one sheet with one header."""

    def __init__(self, layout: Layout, zone: tzinfo, gathered: Gathered, *, label: str = "") -> None:
        """`label` names the worksheet in rejects where a workbook has several."""
        self.layout = layout
        self.out = gathered
        self.label = label
        self.dates = Dates(zone, layout.defaults.get("date", ""))
        self.keys = Series(gathered, layout)
        self.key_columns = [layout.index.get(f, layout.width) for f in KEY_FIELDS]
        self.header = [name.strip() for name in layout.names]

    # --- rows as lists of cells --------------------------------------------------------------------------------

    def add_rows(self, numbers: Sequence[int], rows: list[list[str]]) -> None:
        """Rows with their numbers in the sheet. A row is a list of cells, of any length."""
        if set(map(len, rows)) - {self.layout.width}:
            numbers, rows = self._fit_all(numbers, rows)
        if len(self.layout.quotes) != 1:
            self.add_slowly(numbers, rows)
            return
        n = len(rows)
        column = self.layout.index.get("date")
        dates = map(itemgetter(column), rows) if column is not None else [""] * n
        at = np.fromiter(map(self.dates.__getitem__, dates), np.int64, n)
        point, value_column = self.layout.quotes[0]
        series = np.fromiter(map(self.keys.__getitem__, self._key_texts(rows, point)), np.int64, n)
        value = numbers_of(list(map(itemgetter(value_column), rows)))
        note = self.layout.index.get("note")
        noted = [i for i, row in enumerate(rows) if row[note].strip()] if note is not None else []
        self._add_columns(at, series, value, np.asarray(numbers, np.int64), rows.__getitem__, noted)

    def add_slowly(self, numbers: Sequence[int], rows: Iterable[Sequence[str]]) -> None:
        """The same as `add_rows`, one row after the other: the reference that the fast ways must agree with."""
        taken: list[tuple[int, int, float, int]] = []
        for number, row in zip(numbers, rows, strict=True):
            cells = self._fit(int(number), row)
            for series, at, value, note in self._one_row(int(number), cells) if cells else ():
                if note:
                    self.out.notes[self.out.taken + len(taken)] = note
                taken.append((series, at, value, int(number)))
        if taken:
            series_, at_, value_, row_ = zip(*taken, strict=True)
            self.out.add(np.array(series_), np.array(at_), np.array(value_, np.float64), np.array(row_))

    def _fit_all(self, numbers: Sequence[int], rows: list[list[str]]) -> tuple[list[int], list[list[str]]]:
        fitted = [(n, self._fit(n, row)) for n, row in zip(numbers, rows, strict=True)]
        return [n for n, row in fitted if row], [row for _, row in fitted if row]

    def _fit(self, number: int, row: Sequence[str]) -> list[str] | None:
        """The row with as many cells as the header, or None where it is blank or was rejected."""
        width = self.layout.width
        if len(row) == width:
            return list(row)
        if not any(cell.strip() for cell in row):
            return None
        if len(row) > width:  # even by blank cells: 1,234.5 without quotation marks shifts the others
            detail = f"本行有 {len(row)} 格，表头只有 {width} 格；含逗号的内容请用英文双引号括起"
            self.reject(number, row, "ragged", detail)
        elif len(row) < self.layout.needed:
            detail = f"本行只有 {len(row)} 格，应有 {width} 格；请补全缺少的格，没有内容的留空"
            self.reject(number, row, "ragged", detail)
        else:
            return [*row, *[""] * (width - len(row))]
        return None

    def _key_texts(self, rows: list[list[str]], point: str | None) -> Iterable[tuple[str, ...]]:
        """The texts of the KEY_FIELDS, row by row; fields without a column are empty."""
        width = self.layout.width
        present = [c for c in self.key_columns if c < width]
        if point is None and len(present) == len(self.key_columns):
            return map(itemgetter(*present), rows)
        return (self._texts(row, point) for row in rows)

    def _texts(self, cells: Sequence[str], point: str | None) -> tuple[str, ...]:
        texts = [cells[c] if c < len(cells) else "" for c in self.key_columns]
        if point is not None:
            texts[KEY_FIELDS.index("point")] = point
        return tuple(texts)

    # --- rows as columns of categories ---------------------------------------------------------------------------

    def add_table(self, numbers: IntArray, table: pd.DataFrame, value: FloatArray, cells: Cells) -> None:
        """Rows as columns of pandas categories (column i of the table is column i of the sheet); `value` NaN where
        the cell is not a plain number. Only for sheets with one value column."""
        n = len(numbers)
        column = self.layout.index.get("date")
        if column is None:
            at = np.full(n, self.dates[""], np.int64)
        else:
            dates = table[column].cat
            at = np.array([self.dates[t] for t in dates.categories], np.int64)[dates.codes.to_numpy()]
        series = self._series_of(table, n)
        note = self.layout.index.get("note")
        noted: list[int] = []
        if note is not None:
            filled = np.array([bool(t.strip()) for t in table[note].cat.categories], np.bool_)
            noted = np.flatnonzero(filled[table[note].cat.codes.to_numpy()]).tolist()
        self._add_columns(at, series, value, numbers, cells, noted)

    def _series_of(self, table: pd.DataFrame, n: int) -> IntArray:
        """The series of each row, from the combinations of categories that occur."""
        present = [c for c in self.key_columns if c < self.layout.width]
        code, size = np.zeros(n, np.int64), 1
        for c in present:
            categories = len(table[c].cat.categories)
            code = code * categories + table[c].cat.codes.to_numpy()
            size *= categories
            if size > 4 * n + 1_000_000:  # compress, so that the product of many columns stays small
                distinct, code = np.unique(code, return_inverse=True)
                size = len(distinct)
        first = first_places(code, size)
        found = np.flatnonzero(first >= 0)
        found = found[np.argsort(first[found])]
        places = first[found]
        texts = [table[c].array.take(places).tolist() if c < self.layout.width else [""] * len(places)
                 for c in self.key_columns]  # fmt: skip
        number = np.empty(size, np.int64)
        number[found] = [self.keys[t] for t in zip(*texts, strict=True)]
        return number[code]

    # --- common ------------------------------------------------------------------------------------------------

    def _add_columns(
        self, at: IntArray, series: IntArray, value: FloatArray, numbers: IntArray, cells: Cells, noted: list[int]
    ) -> None:
        """Take in whole columns; rows that are not plain are looked at one by one."""
        plain = (at != BAD) & (series != BAD) & np.isfinite(value)
        self.out.rows += int(np.count_nonzero(plain))
        column = self.layout.index.get("note", 0)
        notes = {i: clean_note(cells(i)[column]) for i in noted if plain[i]}
        for i in np.flatnonzero(~plain).tolist():
            for taken in self._one_row(int(numbers[i]), cells(i)):
                series[i], at[i], value[i], notes[i] = taken
                plain[i] = True
        if notes:
            place = self.out.taken - 1 + np.cumsum(plain)
            self.out.notes.update({int(place[i]): notes[i] for i in sorted(notes) if notes[i]})
        if plain.all():
            self.out.add(series, at, value, numbers)
        else:
            self.out.add(series[plain], at[plain], value[plain], numbers[plain])

    def _one_row(self, number: int, cells: Sequence[str]) -> list[tuple[int, int, float, str]]:
        """(series, at, value, note) of each quote of a row as wide as the header; what is wrong becomes a reject."""
        if not any(cell.strip() for cell in cells):
            return []
        if [cell.strip() for cell in cells] == self.header:
            self.reject(number, cells, "repeated_header", "本行与表头相同，不是数据；无需处理")
            return []
        codes = [(self.keys[self._texts(cells, point)], point, column) for point, column in self.layout.quotes]
        try:
            column = self.layout.index.get("date")
            at = self.dates.parse("" if column is None else cells[column])
        except CellError as error:
            self.reject(number, cells, error.reason, str(error))
            return []
        taken = []
        for code, point, column in codes:
            try:
                texts = self._texts(cells, point)
                code = self.keys.understand(texts) if code == BAD else code
                value, note = parse_value(cells[column], self.keys.names(texts)[KEY_FIELDS.index("unit")])
            except CellError as error:
                where = f"监测点“{point}”：" if point else ""
                self.reject(number, cells, error.reason, where + str(error))
                continue
            self.out.rows += 1
            taken.append((code, at, value, self._note(cells, note)))
        return taken

    def _note(self, cells: Sequence[str], behind: str) -> str:
        """The row's note, with what stood behind the number."""
        column = self.layout.index.get("note")
        own = clean_note(cells[column]) if column is not None else ""
        return "；".join(dict.fromkeys(t for t in (own, behind) if t))

    def reject(self, number: int, cells: Sequence[str], reason: str, detail: str) -> None:
        self.out.rows += 1
        if self.out.is_full():
            self.out.more[reason] += 1
        else:
            self.out.reject(Reject(number, reason, self.label + detail, cells_text(cells)))


def numbers_of(cells: list[str]) -> FloatArray:
    """The plain numbers among cells, NaN for all others."""
    if "_" not in "".join(cells):
        try:
            return np.fromiter(map(float, cells), np.float64, len(cells))
        except ValueError:
            pass  # at least one is not plain
    return np.array([plain_number(cell) for cell in cells], np.float64)


def cells_text(cells: Sequence[str]) -> str:
    """The cells of a row as one line of CSV, long cells shortened: `Reject.content`. `text_cells` undoes it."""
    line = io.StringIO()
    shown = [c if len(c) <= CELL_SHOWN else c[: CELL_SHOWN - 1] + "…" for c in cells[:MAX_CELLS_SHOWN]]
    csv.writer(line, lineterminator="").writerow([c.replace("\0", " ") for c in shown])
    return line.getvalue()


def text_cells(text: str) -> list[str]:
    """The cells that `cells_text` wrote."""
    return next(csv.reader(io.StringIO(text, newline="")), [])
