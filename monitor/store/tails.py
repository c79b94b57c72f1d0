"""The last readings of what flags are about, for small charts: many flags in two queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from sqlalchemy import Connection, select

from monitor.schema import series
from monitor.store.database import Database
from thresholds.model import FloatArray, IntArray

READINGS = 60
MOST_SERIES = 8
"""series that one small chart is made of: those of the flag's points first"""
REVISED = 12
"""rows read beyond READINGS, because a corrected reading has several"""
CHUNK = 500


@dataclass(frozen=True, slots=True)
class Place:
    """What a flag is about. No points: all of the area; no area: the whole city."""

    item: str
    area: str | None
    points: tuple[str, ...]
    until: int


@dataclass(frozen=True, slots=True)
class Tail:
    """The middle (median) of the series of a place: at int64[n] (epoch seconds, rising), value float64[n].

    Empty where there is no series. Where several units are among them, each series is taken relative to its own
    median, and `value` has no unit.
    """

    at: IntArray
    value: FloatArray


NOTHING = Tail(np.empty(0, np.int64), np.empty(0))


@dataclass(frozen=True, slots=True)
class _Series:
    id: int
    unit: str
    point: str
    area: str


@dataclass(frozen=True, slots=True)
class _Column:
    at: IntArray
    value: FloatArray
    unit: str


def read_tails(db: Database, places: Sequence[Place]) -> list[Tail]:
    """The last READINGS readings up to `until` of each place, in the order of `places`."""
    with db.connect() as connection:
        known = _series(connection, {place.item for place in places})
        chosen = [_chosen(known.get(place.item, []), place) for place in places]
        wanted = [(one, place.until) for place, those in zip(places, chosen, strict=True) for one in those]
        ids = np.array([one.id for one, _ in wanted], np.int64)
        until = np.array([end for _, end in wanted], np.int64)
        rows = db.bulk.read_newest(connection, ids, until, READINGS + REVISED)
    last = np.ones(len(rows), np.bool_)
    last[:-1] = (rows.series_id[1:] != rows.series_id[:-1]) | (rows.at[1:] != rows.at[:-1])
    of, at, value = rows.series_id[last], rows.at[last], rows.value[last]
    edges = np.searchsorted(of, np.arange(len(wanted) + 1)).tolist()
    columns = [
        _Column(at[a:b], value[a:b], one.unit) for (one, _), a, b in zip(wanted, edges, edges[1:], strict=False)
    ]
    ends = np.cumsum([0, *(len(those) for those in chosen)]).tolist()
    return [_tail(columns[a:b]) for a, b in pairwise(ends)]


def _series(connection: Connection, items: set[str]) -> dict[str, list[_Series]]:
    s, every = series.c, sorted(items)
    found: dict[str, list[_Series]] = {}
    for start in range(0, len(every), CHUNK):
        query = select(s.item, s.id, s.unit, s.point, s.area).where(s.item.in_(every[start : start + CHUNK]))
        for row in connection.execute(query.order_by(s.id)):
            found.setdefault(row.item, []).append(_Series(row.id, row.unit, row.point, row.area))
    return found


def _chosen(known: Sequence[_Series], place: Place) -> list[_Series]:
    """The series of a place: those of its points, where it has any."""
    here = [one for one in known if place.area is None or one.area == place.area]
    mine = [one for one in here if one.point in place.points] or here
    return mine[:MOST_SERIES]


def _tail(parts: Sequence[_Column]) -> Tail:
    full = [one for one in parts if len(one.at)]
    if not full:
        return NOTHING
    if len(full) == 1:
        return Tail(full[0].at[-READINGS:], full[0].value[-READINGS:])
    times = np.unique(np.concatenate([one.at for one in full]))[-READINGS:]
    mixed = len({one.unit for one in full}) > 1
    table = np.full((len(full), len(times)), np.nan)
    for row, one in enumerate(full):
        scale = np.median(np.abs(one.value)) if mixed else 1.0
        before = np.searchsorted(one.at, times, "right") - 1  # a series that is late keeps its last value
        table[row] = np.where(before >= 0, one.value[np.maximum(before, 0)] / (scale or 1.0), np.nan)
    middle: FloatArray = np.nanmedian(table, axis=0)  # one point's slip is not the area's
    return Tail(times, middle)
