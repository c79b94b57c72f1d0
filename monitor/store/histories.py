"""Histories of items for pages: read once for everybody, and again as soon as the data are others.

What is kept stands under the data revision (stamps.py) that it was read at, in one snapshot with it; every look asks
for the revision first. So a value is never older than the newest batch and the newest mark of a reviewer. Rights are
no part of what is kept: callers take the series that their visitor may see.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, bindparam, select

from monitor.schema import series
from monitor.store.columns import columns_in
from monitor.store.database import Database
from monitor.store.stamps import DataRevision, data_revision
from thresholds.model import FloatArray, IntArray, SeriesKey

MOST_ROWS = 1_000_000
"""Readings that are held, of 17 bytes each."""
STEP = 90 * 86_400
"""Seconds: histories are read from a round time on, so that those asked for from about the same time are one."""

s = series.c
SERIES = (
    select(s.id, s.item, s.spec, s.unit, s.channel, s.point, s.area, s.source)
    .where(s.item == bindparam("wanted"))
    .order_by(s.id)
)


@dataclass(frozen=True, slots=True)
class SeriesHistory:
    """One series and its readings in order of time, newest revisions only; the columns cannot be written to.

    at int64[n] epoch seconds, value float64[n], mark uint8[n] (thresholds.model.Mark)
    """

    id: int
    key: SeriesKey
    area: str
    source: str
    at: IntArray
    value: FloatArray
    mark: NDArray[np.uint8]

    def since(self, begin: int) -> SeriesHistory:
        first = int(np.searchsorted(self.at, begin))
        if first == 0:
            return self
        return replace(self, at=self.at[first:], value=self.value[first:], mark=self.mark[first:])


@dataclass(frozen=True, slots=True)
class Kept:
    """All series of an item from `since` on, as they were at `revision`."""

    revision: DataRevision
    since: int
    series: tuple[SeriesHistory, ...]
    rows: int


class Histories:
    """The histories that were asked for last, MOST_ROWS readings together. Thread-safe."""

    def __init__(self, most: int = MOST_ROWS) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._rows = 0

    def of(self, db: Database, items: Collection[str], since: int) -> list[SeriesHistory]:
        """All series of these items, in order of items and ids, from epoch second `since` on. Raises StoreError."""
        with db.snapshot() as connection:
            revision = data_revision(connection)
            found = [self._item(db, connection, item, since, revision) for item in sorted(items)]
        return [one.since(since) for kept in found for one in kept.series]

    def _item(self, db: Database, connection: Connection, item: str, since: int, revision: DataRevision) -> Kept:
        with self._lock:
            kept = self._kept.get(item)
            if kept is not None and kept.revision == revision and kept.since <= since:
                self._kept.move_to_end(item)
                return kept
        kept = read(db, connection, item, since - since % STEP, revision)
        with self._lock:
            self._forget(item)
            self._kept[item] = kept
            self._rows += kept.rows
            while self._rows > self._most:
                self._forget(next(iter(self._kept)))
        return kept

    def _forget(self, item: str) -> None:
        if (old := self._kept.pop(item, None)) is not None:
            self._rows -= old.rows


def read(db: Database, connection: Connection, item: str, since: int, revision: DataRevision) -> Kept:
    """All series of an item from `since` on; `connection` sees the data at `revision`."""
    rows = connection.execute(SERIES, {"wanted": item}).all()
    if not rows:
        return Kept(revision, since, (), 0)
    columns = columns_in(db, connection, [row.id for row in rows], since)
    for column in (columns.at, columns.value, columns.mark):
        column.flags.writeable = False
    bounds = np.searchsorted(columns.series_id, [row.id for row in rows]).tolist()
    parts = pairwise([*bounds, len(columns)])
    return Kept(
        revision,
        since,
        tuple(
            SeriesHistory(
                row.id,
                SeriesKey(row.item, row.spec, row.unit, row.channel, row.point),
                row.area,
                row.source,
                columns.at[a:b],
                columns.value[a:b],
                columns.mark[a:b],
            )
            for row, (a, b) in zip(rows, parts, strict=True)
        ),
        len(columns),
    )
