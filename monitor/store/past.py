"""The data as it was at a data revision: what an evaluation of then had seen.

Observations are never changed, so those of later batches are left out; marks and areas do change, so the changes that
were logged later are taken back.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Select, select

from monitor.schema import mark_log, observation, observation_mark, series, series_past
from monitor.store.bulk import Rows
from monitor.store.columns import Columns, SeriesColumns
from monitor.store.stamps import DataRevision
from thresholds.model import SeriesKey

CHUNK = 100_000


def series_at(connection: Connection, revision: DataRevision) -> SeriesColumns:
    """All series, with the area and source that each had then.

    Series that came later are among them; they have no observations at `revision`.
    """
    s = series.c
    query = select(s.id, s.item, s.spec, s.unit, s.channel, s.point, s.area, s.source).order_by(s.id)
    rows = connection.execute(query).all()
    p = series_past.c
    later = select(p.series_id, p.area, p.source).where(p.batch_id > revision.batch).order_by(p.batch_id.desc())
    before = {row.series_id: (row.area, row.source) for row in connection.execute(later)}  # the earliest change wins
    places = [before.get(row.id, (row.area, row.source)) for row in rows]
    return SeriesColumns(
        np.array([row.id for row in rows], np.int64),
        [SeriesKey(*row[1:6]) for row in rows],
        [area for area, _ in places],
        [source for _, source in places],
    )


def columns_at(connection: Connection, revision: DataRevision, items: Collection[str] | None, since: int) -> Columns:
    """The newest revisions at `revision` of the observations of `items` (all when None) from `since` on."""
    o = observation.c
    query = select(o.series_id, o.at, o.revision, o.value).where(o.at >= since, o.batch_id <= revision.batch)
    if items is not None:
        query = query.where(o.series_id.in_(series_of(items)))
    rows = drained(connection, query.order_by(o.series_id, o.at, o.revision))
    last = np.append((rows.series_id[1:] != rows.series_id[:-1]) | (rows.at[1:] != rows.at[:-1]), len(rows) > 0)
    last = np.flatnonzero(last)
    rows = Rows(rows.series_id[last], rows.at[last], rows.revision[last], rows.value[last])
    return Columns(rows.series_id, rows.at, rows.value, marks_at(connection, revision, items, rows))


def series_of(items: Collection[str]) -> Select[tuple[int]]:
    return select(series.c.id).where(series.c.item.in_(sorted(items)))


def marks_at(
    connection: Connection, revision: DataRevision, items: Collection[str] | None, rows: Rows
) -> NDArray[np.uint8]:
    """uint8[n]: the bits of Mark that each row had."""
    m, log = observation_mark.c, mark_log.c
    now = select(m.series_id, m.at, m.revision, m.mark)
    changed = select(log.series_id, log.at, log.revision, log.before).where(log.id > revision.mark)
    if items is not None:
        now = now.where(m.series_id.in_(series_of(items)))
        changed = changed.where(log.series_id.in_(series_of(items)))
    bits = {(s, at, r): mark for s, at, r, mark in connection.execute(now)}
    for s, at, r, before in connection.execute(changed.order_by(log.id.desc())):
        bits[s, at, r] = before  # the earliest change wins
    if not bits:
        return np.zeros(len(rows), np.uint8)
    keys = zip(rows.series_id.tolist(), rows.at.tolist(), rows.revision.tolist(), strict=True)
    return np.fromiter((bits.get(key, 0) for key in keys), np.uint8, len(rows))


def drained(connection: Connection, query: Select[tuple[int, int, int, float]]) -> Rows:
    """Rows as columns, a chunk at a time. The integers go through float64, which is exact below 2**53."""
    parts = [np.empty((0, 4))]
    result = connection.execute(query, execution_options={"yield_per": CHUNK})
    parts += [np.array([tuple(row) for row in part], np.float64) for part in result.partitions()]
    table = np.concatenate(parts)
    series_id, at, revision = (table[:, n].astype(np.int64) for n in range(3))
    return Rows(series_id, at, revision, table[:, 3].copy())
