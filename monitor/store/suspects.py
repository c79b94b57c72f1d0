"""Readings that no mean may hold: those that the data gate doubts, and those that people judged to be errors.

The pages of items, the wall and the reports leave them out alike.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, or_, select

from monitor.schema import flag as flag_table
from monitor.schema import observation_mark
from thresholds.model import BoolArray, Doubt, IntArray, Kind, Mark, SeriesKey

USED = (Doubt.STUCK, Doubt.REVERTED, Doubt.OUTAGE)
"""doubts whose readings stay in use until a person judges them"""
REAL = ("real_move", "expected")
"""verdicts that settle a doubt: the reading is right"""
MOOT = ("stayed", "corrected")
"""ends of a doubt that was none: later reports stayed there, or the reading was corrected"""


@dataclass(frozen=True, slots=True)
class Suspect:
    """Readings of one series from `first` to `last` (epoch seconds, both with it). `reason` begins with its spec."""

    item: str
    points: tuple[str, ...]
    first: int
    last: int
    reason: str


def suspects(connection: Connection, since: int, items: Collection[str] | None = None) -> list[Suspect]:
    """What is doubted from epoch second `since` on, of these items (all when None)."""
    c = flag_table.c
    used = [f"gate/{doubt.name.lower()}" for doubt in USED]
    query = select(c.item, c.point, c.points, c.start_at, c.last_hit_at, c.reason).where(
        c.kind == Kind.DATA.value,
        c.last_hit_at >= since,
        c.rule.not_in(used),
        c.verdict.not_in(REAL),
        or_(c.end_at.is_(None), c.end_reason.not_in(MOOT)),
    )
    if items is not None:
        query = query.where(c.item.in_(sorted(items)))
    return [
        Suspect(item, tuple(points) or ((point,) if point else ()), first, last, reason)
        for item, point, points, first, last, reason in connection.execute(query)
    ]


def doubted(found: Sequence[Suspect], keys: Sequence[SeriesKey], place: IntArray, at: IntArray) -> BoolArray:
    """bool[n]: the readings that are doubted; place int64[n], rising: the series of each in `keys`; at int64[n]:
    epoch seconds, rising within a series."""
    held = np.zeros(len(at), np.bool_)
    by_point: dict[tuple[str, str], list[int]] = {}
    if found:
        for s, key in enumerate(keys):
            by_point.setdefault((key.item, key.point), []).append(s)
    for one in found:
        for s in series_of(one, keys, by_point):
            begin, end = np.searchsorted(place, [s, s + 1])
            low = begin + np.searchsorted(at[begin:end], one.first, side="left")
            high = begin + np.searchsorted(at[begin:end], one.last, side="right")
            held[low:high] = True
    return held


def series_of(one: Suspect, keys: Sequence[SeriesKey], by_point: dict[tuple[str, str], list[int]]) -> Iterator[int]:
    """The series that it is about: of several specs of an item at a point, the one that the reason names."""
    for point in one.points:
        there = by_point.get((one.item, point), [])
        named = [s for s in there if one.reason.startswith(subject(keys[s]))]
        yield from named or there


def subject(key: SeriesKey) -> str:
    """How the sentences of thresholds/wording.py begin, which are stored in Chinese."""
    return f"{key.item}（{key.spec}）在" if key.spec else f"{key.item}在"  # i18n: compared with what is stored


def judged(connection: Connection, since: int) -> set[tuple[int, int, int]]:
    """(series id, epoch second, revision) of what people judged an error from `since` on."""
    m = observation_mark.c
    query = select(m.series_id, m.at, m.revision, m.mark).where(m.at >= since)
    return {(s, at, revision) for s, at, revision, mark in connection.execute(query) if mark & int(Mark.DATA_ERROR)}
