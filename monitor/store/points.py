"""What a monitoring point reports: its series with the value of a day and the one before it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import numpy as np
from sqlalchemy import ColumnElement, Connection, bindparam, func, select

from monitor.entry.model import Beside, Line, Value
from monitor.schema import observation_note, series
from monitor.store.columns import Columns, columns_in
from monitor.store.database import Database
from monitor.store.demo import is_demo_source
from monitor.store.text import moment, seconds
from thresholds.model import BoolArray, FloatArray, IntArray, Mark, ObservationBatch, SeriesKey

LATEST = 2**52
OF_POINT = select(series).where(series.c.point == bindparam("wanted"))


def lines(db: Database, point: str, start: datetime, end: datetime, *, oldest: datetime) -> list[Line]:
    """The series of a point that had a value since `oldest`, with the newest value from `start` on and before `end`,
    and the newest before `start`. In order of their keys."""
    first, begin, over = seconds(oldest), seconds(start), seconds(end)
    with db.connect() as connection:
        rows = connection.execute(OF_POINT, {"wanted": point}).all()
        ids = np.array([row.id for row in rows], np.int64)
        newest = _newest(db, connection, ids, LATEST)
        ids = np.array([i for i in ids.tolist() if i in newest and newest[i][0] >= first], np.int64)
        # most often the newest value is the one of the day or the one before it: then nothing more is looked for
        on_day = newest | _newest(db, connection, later(ids, newest, over), over - 1)
        before = on_day | _newest(db, connection, later(ids, on_day, begin), begin - 1)
        notes = _notes(connection, ids.tolist(), begin, over)

    def value(found: tuple[int, float], low: int, high: int, note: str = "") -> Value | None:
        return Value(moment(found[0]), found[1], note) if low <= found[0] < high else None

    wanted = set(ids.tolist())
    return sorted(
        (
            Line(
                row.id,
                SeriesKey(row.item, row.spec, row.unit, row.channel, row.point),
                row.area,
                is_demo_source(row.source),
                value(on_day[row.id], begin, over, notes.get((row.id, on_day[row.id][0]), "")),
                value(before[row.id], first, begin),
            )
            for row in rows
            if row.id in wanted
        ),
        key=lambda one: one.key,
    )


def later(ids: IntArray, newest: Mapping[int, tuple[int, float]], than: int) -> IntArray:
    """Those of the series whose value is of `than` or later."""
    return np.array([i for i in ids.tolist() if newest[i][0] >= than], np.int64)


def _newest(db: Database, connection: Connection, ids: IntArray, until: int) -> dict[int, tuple[int, float]]:
    """(time, value) of the newest revision of the newest time up to `until` of each series that has one."""
    rows = db.bulk.read_newest(connection, ids, np.full(len(ids), until, np.int64), 1)
    found = zip(ids[rows.series_id].tolist(), rows.at.tolist(), rows.value.tolist(), strict=True)
    return {i: (at, value) for i, at, value in found}


def _notes(connection: Connection, ids: Sequence[int], low: int, high: int) -> dict[tuple[int, int], str]:
    if not ids:
        return {}
    n = observation_note.c
    query = select(n.series_id, n.at, n.note).where(n.series_id.in_(ids), n.at >= low, n.at < high)
    return {(row.series_id, row.at): row.note for row in connection.execute(query.order_by(n.revision))}


def areas_of(db: Database, points: Collection[str]) -> dict[str, str]:
    """The area of each point that has one: the one that most of its series name."""
    found: dict[str, tuple[int, str]] = {}
    with db.connect() as connection:
        query = select(series.c.point, series.c.area, func.count().label("n"))
        query = query.where(series.c.point.in_(sorted(points)), series.c.area != "")
        for row in connection.execute(query.group_by(series.c.point, series.c.area)):
            found[row.point] = max(found.get(row.point, (0, "")), (row.n, row.area))
    return {point: area for point, (_, area) in found.items()}


def points_where(db: Database, where: ColumnElement[bool]) -> dict[str, str]:
    """Every monitoring point with a series where `where` holds, and an area of it."""
    with db.connect() as connection:
        query = select(series.c.point, func.max(series.c.area).label("area")).where(series.c.point != "", where)
        return {
            row.point: row.area for row in connection.execute(query.group_by(series.c.point).order_by(series.c.point))
        }


def known_areas(db: Database) -> list[str]:
    """Every area that a series names."""
    with db.connect() as connection:
        query = select(series.c.area).where(series.c.area != "").distinct().order_by(series.c.area)
        return list(connection.execute(query).scalars())


def beside(db: Database, batch: ObservationBatch, back: int) -> Beside:
    """What was reported before each row, at most `back` seconds before the earliest row of the batch."""
    n = len(batch)
    before, same = np.full(n, np.nan), np.zeros(n, np.bool_)
    if not n:
        return Beside(before, same, np.zeros(len(batch.keys), np.bool_))
    with db.connect() as connection:
        known = db.bulk.find_series(connection, batch.keys)
        ids: Mapping[int, int] = {code: one.id for code, one in enumerate(known) if one is not None}
        stored = columns_in(db, connection, ids.values(), int(batch.at.min()) - back) if ids else None
    for code in np.unique(batch.series).tolist():
        rows = np.flatnonzero(batch.series == code)
        at, value = (np.empty(0, np.int64), np.empty(0)) if stored is None else _usable(stored, ids.get(code))
        _beside_one(batch, rows, at, value, before, same)
    return Beside(before, same, np.array([one is not None for one in known], np.bool_))


def _usable(stored: Columns, series_id: int | None) -> tuple[IntArray, FloatArray]:
    if series_id is None:
        return np.empty(0, np.int64), np.empty(0)
    low, high = np.searchsorted(stored.series_id, [series_id, series_id + 1])
    good = (stored.mark[low:high] & np.uint8(Mark.DATA_ERROR)) == 0
    return stored.at[low:high][good], stored.value[low:high][good]


def _beside_one(
    batch: ObservationBatch, rows: IntArray, at: IntArray, value: FloatArray, before: FloatArray, same: BoolArray
) -> None:
    """Fill `before` and `same` for the rows of one series; (at, value) is what is stored of it."""
    place = np.searchsorted(at, batch.at[rows])
    if len(at):
        there = (place < len(at)) & (at[np.minimum(place, len(at) - 1)] == batch.at[rows])
        same[rows] = there & (value[np.minimum(place, len(at) - 1)] == batch.value[rows])
    all_at = np.concatenate([at, batch.at[rows]])
    all_value = np.concatenate([value, batch.value[rows]])
    order = np.argsort(all_at, kind="stable")  # of one time the last row of the sheet counts
    all_at, all_value = all_at[order], all_value[order]
    last = np.searchsorted(all_at, batch.at[rows]) - 1
    before[rows[last >= 0]] = all_value[last[last >= 0]]
