"""What the two bulk paths offer alike: many rows as columns, through the driver underneath SQLAlchemy."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from sqlalchemy import Connection

from thresholds.model import FloatArray, IntArray, SeriesKey


@dataclass(frozen=True, slots=True)
class Rows:
    """Stored revisions as columns, sorted by (series_id, at, revision)."""

    series_id: IntArray
    at: IntArray
    revision: IntArray
    value: FloatArray

    def __len__(self) -> int:
        return len(self.at)


NO_ROWS = Rows(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float64))


@dataclass(frozen=True, slots=True)
class KnownSeries:
    """A stored series as far as storing needs it."""

    id: int
    area: str
    source: str


class Bulk(Protocol):
    """Implemented by the modules bulk_sqlite and bulk_postgres."""

    def lock_observations(self, connection: Connection) -> None:
        """Let no other transaction add observations until this one ends."""

    def lock_marks(self, connection: Connection) -> None:
        """Let no other transaction change marks by review until this one ends: their log is in order of commits."""

    def find_series(self, connection: Connection, keys: Sequence[SeriesKey]) -> list[KnownSeries | None]:
        """The stored series of each key, or None."""

    def insert_series(
        self,
        connection: Connection,
        keys: Sequence[SeriesKey],
        areas: Sequence[str],
        sources: Sequence[str],
        now: int,
    ) -> None:
        """Insert series; those that exist are left as they are."""

    def insert_observations(self, connection: Connection, rows: Rows, batch_id: int) -> None:
        """Insert rows that are sorted by key and not stored yet."""

    def read_windows(
        self, connection: Connection, series_id: IntArray, low: IntArray, high: IntArray, limit: IntArray
    ) -> Rows:
        """All revisions with low <= at <= high per series, at most `limit` rows of each. `series_id` ascends."""

    def read_points(self, connection: Connection, series_id: IntArray, at: IntArray) -> Rows:
        """All revisions of single keys, which ascend."""

    def read_rows(self, connection: Connection, series_id: IntArray | None, since: int | None) -> Rows:
        """All revisions of the given series (ascending; None for all), from `since` on."""

    def read_newest(self, connection: Connection, series_id: IntArray, until: IntArray, limit: int) -> Rows:
        """The last `limit` revisions with at <= until of each series, which may be asked for several times: in place
        of the id, the rows have the position in `series_id`."""

    def mark_dirty(self, connection: Connection, series_id: IntArray, since_at: IntArray, now: int) -> None:
        """Have series (each given once) evaluated from `since_at` on: earliest time, first mark, one more stamp."""


def key_hash(key: SeriesKey) -> str:
    """What stands for the five parts of a key in the index. None of them holds a NUL (`observations.check`)."""
    parts = (key.item, key.spec, key.unit, key.channel, key.point)
    return hashlib.sha256("\0".join(parts).encode("utf-8")).hexdigest()


def joined(parts: Sequence[Rows]) -> Rows:
    """Rows of several chunks in one piece."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return NO_ROWS
    return Rows(
        np.concatenate([p.series_id for p in parts]),
        np.concatenate([p.at for p in parts]),
        np.concatenate([p.revision for p in parts]),
        np.concatenate([p.value for p in parts]),
    )
