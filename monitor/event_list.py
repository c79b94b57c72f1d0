"""The list of events that a rule should find: a CSV file, described in docs/plans.md."""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from io import StringIO
from pathlib import Path

import numpy as np

from collectors.sheet_values import CellError, clean_name, parse_date
from thresholds.model import Direction
from thresholds.panel import civil_days
from thresholds.trial import Event

NEEDED = ("item", "direction", "start")
OPTIONAL = ("point", "after", "end", "kind", "file")
DIRECTIONS = {"up": Direction.UP, "down": Direction.DOWN, "": Direction.NONE, "both": Direction.NONE}
MOST_FAULTS = 20


class EventListError(Exception):
    """A list that cannot be used: what, where, how to mend it."""


@dataclass
class EventList:
    """The events of a list, and the rows that are not for rules on these files to find."""

    events: list[Event] = field(default_factory=list)
    other_kinds: list[int] = field(default_factory=list)
    """rows of another kind than `move`: data errors are found by the gate, not by rules"""
    other_files: list[int] = field(default_factory=list)
    """rows whose file is none of those read"""


def read_events(path: Path, files: Collection[str], zone: tzinfo) -> EventList:
    """Read a list; `files` are the names of the sheets of the history. Raises EventListError with all faults."""
    rows = csv.reader(StringIO(text_of(path)), strict=True)
    found, faults = EventList(), list[str]()
    try:
        head = [name.strip().lower() for name in next(rows, [])]
        check_head(path, head)
        for row in rows:
            if any(cell.strip() for cell in row):
                cells = {name: cell.strip() for name, cell in zip(head, row, strict=False)}
                take(cells, rows.line_num, files, zone, found, faults)
    except csv.Error as error:
        raise EventListError(f"{path}, line {rows.line_num}: {error}; write it as CSV") from error
    if faults:
        more = f"\n  and {len(faults) - MOST_FAULTS} more" if len(faults) > MOST_FAULTS else ""
        listed = "".join(f"\n  {fault}" for fault in faults[:MOST_FAULTS])
        raise EventListError(f"{path}: {len(faults)} faults{listed}{more}")
    return found


def text_of(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise EventListError(f"{path} cannot be read ({error.strerror})") from error
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise EventListError(f"{path} is not text; save it as CSV in UTF-8")


def check_head(path: Path, head: Collection[str]) -> None:
    missing = [name for name in NEEDED if name not in head]
    if missing:
        raise EventListError(
            f"{path}: the column {missing[0]!r} is missing; needed are {', '.join(NEEDED)}, and there may be"
            f" {', '.join(OPTIONAL)}"
        )


def take(
    cells: Mapping[str, str], row: int, files: Collection[str], zone: tzinfo, into: EventList, faults: list[str]
) -> None:
    """One row: an event, a row that is not for rules, or faults."""
    if cells.get("kind", "") not in ("", "move"):
        into.other_kinds.append(row)
        return
    if cells.get("file", "") not in ("", *files):
        into.other_files.append(row)
        return
    wrong: list[str] = []
    names = {key: name(cells.get(key, ""), key, wrong) for key in ("item", "point")}
    if not names["item"] and not wrong:
        wrong.append("item: there is none; write the item as in the sheet")
    way = DIRECTIONS.get(cells["direction"].lower()) if "direction" in cells else Direction.NONE
    if way is None:
        wrong.append(f"direction: {cells['direction']!r} is none; write up, down or both")
    start = day(cells.get("start", ""), "start", zone, wrong)
    end = day(cells["end"], "end", zone, wrong) if cells.get("end") else start
    after = day(cells["after"], "after", zone, wrong) if cells.get("after") else start - 1
    if not wrong and not after <= start <= end:
        wrong.append("start: it is after `end` or before `after`; the order is after, start, end")
    if wrong:
        faults += [f"line {row}, {text}" for text in wrong]
    elif way is not None:
        into.events.append(Event(names["item"], names["point"], way, after, start, end, row))


def name(text: str, key: str, wrong: list[str]) -> str:
    """A name as sheets have it stored."""
    try:
        return clean_name(text)
    except CellError:
        wrong.append(f"{key}: {text[:40]!r} is no name")
        return ""


def day(text: str, key: str, zone: tzinfo, wrong: list[str]) -> int:
    """Days since 1970-01-01."""
    try:
        return int(civil_days(np.array([parse_date(text, zone)], np.int64), zone)[0])
    except CellError:
        wrong.append(f"{key}: {text[:40]!r} is no date; write it as 2026-01-31")
        return 0
