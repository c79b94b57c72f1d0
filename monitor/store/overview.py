"""What the wall and the pages of items show: newest values, open flags by place, whole histories of one item."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from sqlalchemy import func, select

from monitor.rights import Areas
from monitor.schema import flag as flag_table
from monitor.schema import series
from monitor.store.bulk import Rows
from monitor.store.columns import SeriesColumns, series_in
from monitor.store.database import Database
from monitor.store.flag_rows import FlagState
from monitor.store.histories import Histories, SeriesHistory
from monitor.store.suspects import doubted, judged, suspects
from thresholds.model import BoolArray, FloatArray, IntArray, Mark

REVISED = 6
"""rows read beyond two times, because a corrected reading has several"""
FAR = 2**40
DOUBTED = 40 * 86_400
"""seconds before the newest reading in which errors are looked for: movers are younger"""
OPEN = (str(FlagState.OPEN), str(FlagState.ACKNOWLEDGED))


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest reading of every series and the one before it; 0 and NaN where there is none.

    at, before_at  epoch seconds, int64[n_series];  value, before  float64[n_series]
    """

    known: SeriesColumns
    at: IntArray
    value: FloatArray
    before_at: IntArray
    before: FloatArray


@dataclass(frozen=True, slots=True)
class Place:
    """Open flags of one item, area, kind and grade."""

    item: str
    area: str
    kind: str
    rank: int
    grade: str
    colour: str
    count: int


@dataclass(frozen=True, slots=True)
class ItemLine:
    """One item with how many series, points and areas it has."""

    item: str
    series: int
    points: int
    areas: int


def newest(db: Database) -> Newest:
    """The two newest readings of every series that are not held to be errors."""
    with db.connect() as connection:
        known = series_in(connection)
        n = len(known.ids)
        rows = db.bulk.read_newest(connection, known.ids, np.full(n, FAR, np.int64), 2 + REVISED)
        since = int(rows.at.max()) - DOUBTED if len(rows) else 0
        doubts, errors = suspects(connection, since), judged(connection, since)
    last = np.ones(len(rows), np.bool_)  # the newest revision of each time
    last[:-1] = (rows.series_id[1:] != rows.series_id[:-1]) | (rows.at[1:] != rows.at[:-1])
    last &= ~doubted(doubts, known.keys, rows.series_id, rows.at)
    last &= ~judged_among(errors, known, rows)
    of, at, value = rows.series_id[last], rows.at[last], rows.value[last]
    ends = np.searchsorted(of, np.arange(n), side="right")
    count = ends - np.searchsorted(of, np.arange(n), side="left")
    found = Newest(known, np.zeros(n, np.int64), np.full(n, np.nan), np.zeros(n, np.int64), np.full(n, np.nan))
    some, several = np.flatnonzero(count > 0), np.flatnonzero(count > 1)
    found.at[some], found.value[some] = at[ends[some] - 1], value[ends[some] - 1]
    found.before_at[several], found.before[several] = at[ends[several] - 2], value[ends[several] - 2]
    return found


def judged_among(errors: set[tuple[int, int, int]], known: SeriesColumns, rows: Rows) -> BoolArray:
    """bool[n]: the rows that people judged to be errors; `rows.series_id` are places in `known`."""
    found = np.zeros(len(rows), np.bool_)
    for series_id, at, revision in errors:
        begin, end = np.searchsorted(rows.series_id, [np.searchsorted(known.ids, series_id) + n for n in (0, 1)])
        found[begin:end] |= (rows.at[begin:end] == at) & (rows.revision[begin:end] == revision)
    return found


def open_places(db: Database) -> list[Place]:
    """Open flags, counted by what they are about."""
    c = flag_table.c
    columns = (c.item, c.area, c.kind, c.grade_rank, c.grade, c.grade_colour)
    query = select(*columns, func.count()).where(c.state.in_(OPEN)).group_by(*columns)
    with db.connect() as connection:
        return [Place(*row) for row in connection.execute(query)]


def list_items(db: Database, areas: Areas) -> list[ItemLine]:
    """Every item with series in these areas, by name."""
    s = series.c
    query = select(s.item, func.count(), func.count(s.point.distinct()), func.count(s.area.distinct()))
    with db.connect() as connection:
        found = connection.execute(query.where(areas.where(s.area)).group_by(s.item).order_by(s.item))
        return [ItemLine(*row) for row in found]


@dataclass(frozen=True, slots=True)
class Usable:
    """One series of an item without the readings that are held to be errors; `left_out` is how many those are."""

    series: SeriesHistory
    left_out: int


def history_of(db: Database, histories: Histories, item: str, areas: Areas, since: int) -> list[Usable]:
    """The series of the item in these areas, by id, from epoch second `since` on."""
    found = [one for one in histories.of(db, [item], since) if one.area in areas]
    with db.connect() as connection:
        doubts = suspects(connection, since, [item])
    lengths = [len(one.at) for one in found]
    place = np.repeat(np.arange(len(found)), lengths)
    at = np.concatenate([np.empty(0, np.int64), *(one.at for one in found)])
    held = np.split(doubted(doubts, [one.key for one in found], place, at), np.cumsum(lengths)[:-1])
    return [usable(one, wrong) for one, wrong in zip(found, held, strict=False)]


def usable(one: SeriesHistory, doubts: BoolArray) -> Usable:
    """The series without what the gate doubts (bool[n]) and what people judged an error."""
    wrong = doubts | ((one.mark & int(Mark.DATA_ERROR)) != 0)
    if not wrong.any():
        return Usable(one, 0)
    good = ~wrong
    return Usable(replace(one, at=one.at[good], value=one.value[good], mark=one.mark[good]), int(wrong.sum()))


def as_date(number: int) -> date:
    """Days since 1970-01-01 as a date."""
    return date.fromordinal(date(1970, 1, 1).toordinal() + number)
