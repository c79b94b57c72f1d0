"""Reading much at once, as columns, for the panel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from monitor.schema import observation, observation_mark, series
from monitor.store.bulk import Rows
from monitor.store.database import Database
from monitor.store.dirty import Dirty, dirty_series
from thresholds.model import FloatArray, IntArray, SeriesKey

__all__ = ["Columns", "Dirty", "SeriesColumns", "dirty_series", "read_columns", "read_latest", "read_series"]


@dataclass(frozen=True, slots=True)
class SeriesColumns:
    """All series by ascending id; the lists have the length of `ids`."""

    ids: IntArray
    keys: Sequence[SeriesKey]
    areas: Sequence[str]
    sources: Sequence[str]


@dataclass(frozen=True, slots=True)
class Columns:
    """The newest revision of each observation, sorted by (series_id, at).

    at is epoch seconds (int64[n]); mark holds thresholds.model.Mark bits of that revision (uint8[n]).
    """

    series_id: IntArray
    at: IntArray
    value: FloatArray
    mark: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.at)


def read_series(db: Database) -> SeriesColumns:
    """Every series with its key, area and source."""
    with db.connect() as connection:
        return series_in(connection)


def series_in(connection: Connection) -> SeriesColumns:
    """`read_series` within a transaction."""
    ids: list[int] = []
    keys: list[SeriesKey] = []
    areas: list[str] = []
    sources: list[str] = []
    s = series.c
    query = select(s.id, s.item, s.spec, s.unit, s.channel, s.point, s.area, s.source).order_by(s.id)
    for row in connection.execute(query):
        ids.append(row[0])
        keys.append(SeriesKey(*row[1:6]))
        areas.append(row[6])
        sources.append(row[7])
    return SeriesColumns(np.array(ids, np.int64), keys, areas, sources)


def read_columns(db: Database, series_ids: Iterable[int] | None = None, since: int | None = None) -> Columns:
    """Observations of the given series (all when None) from epoch second `since` on (all when None)."""
    with db.connect() as connection:
        return columns_in(db, connection, series_ids, since)


def columns_in(
    db: Database, connection: Connection, series_ids: Iterable[int] | None = None, since: int | None = None
) -> Columns:
    """`read_columns` within a transaction."""
    wanted = None if series_ids is None else np.unique(np.fromiter(series_ids, np.int64))
    return _newest(connection, db.bulk.read_rows(connection, wanted, since))


def read_latest(db: Database) -> Columns:
    """One row per series: its newest observation."""
    o = observation.c
    newest = (
        select(o.at)
        .where(o.series_id == series.c.id)
        .order_by(o.at.desc())
        .limit(1)
        .correlate(series)
        .scalar_subquery()
    )
    with db.connect() as connection:
        found = [
            (i, at)
            for i, at in connection.execute(select(series.c.id, newest).order_by(series.c.id))
            if at is not None
        ]
        pairs = np.array(found, np.int64).reshape(-1, 2)
        return _newest(connection, db.bulk.read_points(connection, pairs[:, 0], pairs[:, 1]))


def _newest(connection: Connection, rows: Rows) -> Columns:
    """Only the last revision of each key, with its mark."""
    last = np.ones(len(rows), np.bool_)
    last[:-1] = (rows.series_id[1:] != rows.series_id[:-1]) | (rows.at[1:] != rows.at[:-1])
    if not last.all():
        rows = Rows(rows.series_id[last], rows.at[last], rows.revision[last], rows.value[last])
    mark = np.zeros(len(rows), np.uint8)
    m = observation_mark.c
    query = select(m.series_id, m.at, m.revision, m.mark)
    if len(rows):
        query = query.where(m.series_id.between(int(rows.series_id[0]), int(rows.series_id[-1])))
        for series_id, at, revision, bits in connection.execute(query):
            low, high = np.searchsorted(rows.series_id, [series_id, series_id + 1])
            place = low + int(np.searchsorted(rows.at[low:high], at))
            if place < high and rows.at[place] == at and rows.revision[place] == revision:
                mark[place] = bits
    return Columns(rows.series_id, rows.at, rows.value, mark)
