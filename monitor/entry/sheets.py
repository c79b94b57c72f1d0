"""An uploaded sheet as its owner sees it before it is stored: what was understood, what is wrong, what is asked.

The reader is that of `monitor import` (collectors.sheet). On top of it: a reporter's sheet may hold rows of the own
points only, no dates that have not come yet, and abnormal values are asked back (thresholds.explain) unless the sheet
gives a reason in its 备注 column.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from collectors.sheet import Header, SheetError, SheetResult, read_sheet
from collectors.sheet_header import Matcher
from collectors.sheet_model import FIELDS, POINT_PREFIX
from collectors.sheet_raw import RawSheet, likely_header, raw_sheets
from monitor.entry.duties import day_number, local_days
from monitor.entry.model import Beside
from thresholds.catalogue import Classified
from thresholds.explain import Limits, Question, question
from thresholds.model import BoolArray, ObservationBatch, Reject, SeriesKey

ASKED_DAYS = 31
"""Only what is newer than this is asked back: nobody knows the reasons of last year's prices any more."""
LOOK_BACK = 400 * 86_400
"""Seconds that the report before may lie back, so that the two are compared."""


@dataclass(frozen=True, slots=True)
class Choices:
    """How an upload is to be read. Empty `columns` and `ignore`: as the reader understands it by itself."""

    columns: Mapping[str, str] = field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    defaults: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {"columns": dict(self.columns), "ignore": list(self.ignore), "defaults": dict(self.defaults)}

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Choices:
        """What `as_json` made; what is not of that form counts as not chosen."""
        columns, ignore, defaults = (stored.get(name) for name in ("columns", "ignore", "defaults"))
        return cls(
            texts(columns) if isinstance(columns, Mapping) else {},
            tuple(str(one) for one in ignore) if isinstance(ignore, list) else (),
            texts(defaults) if isinstance(defaults, Mapping) else {},
        )


def texts(table: Mapping[Any, Any]) -> dict[str, str]:
    return {str(key): str(value) for key, value in table.items()}


def chosen(names: Sequence[str], fields: Sequence[str], defaults: Mapping[str, str]) -> Choices:
    """Choices from what was picked for each column.

    `fields` holds, beside each of `names`, our field, `point:NAME` or nothing. Of a field that is picked twice the
    first column counts (`picked_twice` tells).
    """
    columns: dict[str, str] = {}
    ignore = []
    for name, picked in zip(names, fields, strict=False):
        if not name.strip():
            continue
        if picked in FIELDS or (picked.startswith(POINT_PREFIX) and picked != POINT_PREFIX):
            columns.setdefault(picked, name)
        else:
            ignore.append(name)
    return Choices(columns, tuple(dict.fromkeys(ignore)), {k: v for k, v in defaults.items() if v.strip()})


def picked_twice(names: Sequence[str], fields: Sequence[str]) -> list[str]:
    """Our fields that were picked for more than one column."""
    picked = [f for name, f in zip(names, fields, strict=False) if f and name.strip()]
    return sorted({f for f in picked if picked.count(f) > 1})


@dataclass(frozen=True)
class Reading:
    """One upload as understood.

    fault    why nothing could be read; then `batch` and `rejects` are empty
    names    the column names, from left to right; `picked` our field beside each, empty where it is not used
    header   row number of the column names, 0 where there is none
    asked    position in `batch` -> what is asked about it
    sheets   the rows as they stand
    new      series that nobody has reported so far: perhaps a spec or unit is written otherwise than before
    """

    fault: SheetError | None
    names: Sequence[str]
    picked: Sequence[str]
    header: int
    batch: ObservationBatch
    rejects: Sequence[Reject]
    asked: Mapping[int, Question]
    sheets: Sequence[RawSheet]
    read: Sequence[str] = ()
    skipped: Sequence[str] = ()
    rows: int = 0
    new: Sequence[SeriesKey] = ()


@dataclass(frozen=True, slots=True)
class Reader:
    """What is needed to read somebody's upload.

    points    the points that this person reports; None: any
    beside    what is stored beside a batch (monitor.store.points.beside)
    """

    zone: ZoneInfo
    now: datetime
    points: Collection[str] | None
    limits: Limits
    classify: Callable[[SeriesKey], Classified]
    beside: Callable[[ObservationBatch], Beside]
    max_bytes: int
    max_rows: int

    def read(self, content: bytes, name: str, choices: Choices) -> Reading:
        """Nothing is raised for what a file holds: `fault` says it."""
        sheets: list[RawSheet] = []
        try:
            columns, ignore = choices.columns, choices.ignore
            sheets = raw_sheets(content, name=name, max_bytes=self.max_bytes, columns=columns, ignore=ignore)
            if sum(len(sheet.rows) for sheet in sheets) > self.max_rows + 1000:
                raise too_many(self.max_rows)
            result = read_sheet(
                content,
                name=name,
                defaults=self.defaults(choices),
                timezone=self.zone.key,
                max_bytes=self.max_bytes,
                columns=columns,
                ignore=ignore,
            )
            if result.rows > self.max_rows:
                raise too_many(self.max_rows)
        except SheetError as error:
            number, names = self.guess(sheets, choices)
            return Reading(error, names, picked_of(names, choices.columns), number, EMPTY, (), {}, sheets)
        return self.checked(result, sheets)

    def defaults(self, choices: Choices) -> dict[str, str]:
        """The chosen ones; a person with one point need not write it."""
        own = sorted(self.points) if self.points is not None else []
        return ({"point": own[0]} if len(own) == 1 else {}) | dict(choices.defaults)

    def guess(self, sheets: Sequence[RawSheet], choices: Choices) -> tuple[int, list[str]]:
        """Where the column names seem to stand in a sheet that could not be read."""
        for sheet in sheets:
            try:
                found = likely_header(sheet.rows, Matcher(choices.columns, choices.defaults, choices.ignore))
            except SheetError:  # the mapping itself is impossible
                found = likely_header(sheet.rows, Matcher({}, {}))
            if found is not None:
                return found
        return 0, []

    def checked(self, result: SheetResult, sheets: Sequence[RawSheet]) -> Reading:
        """The rows that this person may store, the others as rejects, and what is asked."""
        batch, rejects = result.batch, list(result.rejects)
        own = self.own(batch, rejects) & self.past(batch, rejects)
        kept = selected(batch, own)
        beside = self.beside(kept)
        asked = self.questions(kept, beside)
        bad = np.zeros(len(kept), np.bool_)
        for place, one in asked.items():
            if not one.possible:
                bad[place] = True
                rejects.append(Reject(int(kept.row[place]), str(one.ask), REMEDY[str(one.ask)], quoted(kept, place)))
        moved = np.cumsum(~bad) - 1
        asked = {int(moved[place]): one for place, one in asked.items() if one.possible}
        header: Header = result.header
        picked = picked_of(header.names, header.columns)
        return Reading(
            fault=None,
            names=header.names,
            picked=picked,
            header=header.row,
            batch=selected(kept, ~bad),
            rejects=sorted(rejects, key=lambda r: r.row),
            asked=asked,
            sheets=sheets,
            read=header.sheets,
            skipped=header.skipped,
            rows=result.rows,
            new=[key for key, known in zip(kept.keys, beside.known.tolist(), strict=True) if not known],
        )

    def own(self, batch: ObservationBatch, rejects: list[Reject]) -> BoolArray:
        """bool[n]: rows of the own points; the others become rejects."""
        if self.points is None:
            return np.ones(len(batch), np.bool_)
        mine = np.array([key.point in self.points for key in batch.keys], np.bool_)
        good: BoolArray = mine[batch.series] if len(batch) else np.ones(0, np.bool_)
        for place in np.flatnonzero(~good).tolist():
            point = batch.keys[int(batch.series[place])].point
            detail = (
                f"监测点“{point}”不由您填报；请删除本行，或改为您的监测点" if point else "没有监测点；请选择监测点"
            )
            rejects.append(Reject(int(batch.row[place]), "not_your_point", detail, quoted(batch, place)))
        return good

    def past(self, batch: ObservationBatch, rejects: list[Reject]) -> BoolArray:
        """bool[n]: rows of days that have begun."""
        good: BoolArray = local_days(batch.at, self.zone) <= day_number(self.now, self.zone)
        for place in np.flatnonzero(~good).tolist():
            day = datetime.fromtimestamp(int(batch.at[place]), self.zone).date().isoformat()
            detail = f"日期 {day} 还没有到；请核对年月日"
            rejects.append(Reject(int(batch.row[place]), "future", detail, quoted(batch, place)))
        return good

    def questions(self, batch: ObservationBatch, beside: Beside) -> dict[int, Question]:
        """What is asked about which row: not about what is stored already, nor about what is long past."""
        recent = (self.now - timedelta(days=ASKED_DAYS)).timestamp()
        found: dict[int, Question] = {}
        for place in np.flatnonzero(~beside.same).tolist():
            key = batch.keys[int(batch.series[place])]
            before = float(beside.before[place])
            one = question(
                float(batch.value[place]), None if np.isnan(before) else before, key, self.classify(key), self.limits
            )
            if one is None or (one.possible and batch.at[place] < recent):
                continue
            if one.possible and not one.to_confirm and batch.notes.get(place):
                continue  # the sheet gives its reason
            found[place] = one
        return found


REMEDY = {
    "zero": "价格不能是零或负数；无货、停售请留空或写“无”",
    "count": "件数应为不小于零的整数；请核对",
    "unexplained": "变动较大，没有写明原因或没有确认，未提交；请核对后重新报送，并在备注列写明原因",
}
EMPTY = ObservationBatch([], [], [], np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0), np.empty(0, np.int64))


def too_many(rows: int) -> SheetError:
    return SheetError("too_many", f"超过每次 {rows} 行的上限；请分成几个文件上传")


def picked_of(names: Sequence[str], columns: Mapping[str, str]) -> list[str]:
    """Our field beside each column name; each field once."""
    left = dict(columns)
    found = []
    for name in names:
        one = next((f for f, n in left.items() if n == name and name.strip()), "")
        left.pop(one, None)
        found.append(one)
    return found


def selected(batch: ObservationBatch, keep: BoolArray) -> ObservationBatch:
    """The rows of a batch where `keep` holds."""
    if keep.all():
        return batch
    place = np.cumsum(keep) - 1
    notes = {int(place[i]): note for i, note in batch.notes.items() if keep[i]}
    used, series = np.unique(batch.series[keep], return_inverse=True)
    return ObservationBatch(
        keys=[batch.keys[i] for i in used.tolist()],
        areas=[batch.areas[i] for i in used.tolist()],
        sources=[batch.sources[i] for i in used.tolist()],
        series=series.astype(np.int64),
        at=batch.at[keep],
        value=batch.value[keep],
        row=batch.row[keep],
        notes=notes,
    )


def quoted(batch: ObservationBatch, place: int) -> str:
    """A row of a batch as the content of a reject: its cells as one line of CSV."""
    from collectors.sheet_rows import cells_text

    key = batch.keys[int(batch.series[place])]
    return cells_text([key.item, key.spec, key.unit, key.point, f"{float(batch.value[place]):g}"])


def with_reasons(batch: ObservationBatch, reasons: Mapping[int, str], area_of: Mapping[str, str]) -> ObservationBatch:
    """The batch with the reasons given added to its notes.

    The area of a point is what it is known to be: who reports a point does not move it to where others look. A sheet
    says it only of a new point; and it does not say where data comes from.
    """
    notes = dict(batch.notes)
    for place, reason in reasons.items():
        notes[place] = "；".join(dict.fromkeys(part for part in (notes.get(place, ""), reason) if part))
    areas = [area_of.get(key.point, "") or area for key, area in zip(batch.keys, batch.areas, strict=True)]
    return replace(batch, notes=notes, areas=areas, sources=[""] * len(batch.keys))
