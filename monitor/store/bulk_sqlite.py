"""Bulk paths for SQLite: the sqlite3 module's own cursor, fed and drained in chunks of columns."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice, repeat
from typing import Any, cast

import numpy as np
from sqlalchemy import Connection

from monitor.store.bulk import KnownSeries, Rows, joined, key_hash
from thresholds.model import FloatArray, IntArray, SeriesKey

CHUNK = 50_000
FOREVER = 2**62


def driver(connection: Connection) -> sqlite3.Connection:
    """The sqlite3 connection underneath; SQLAlchemy has begun the transaction on it."""
    return cast(sqlite3.Connection, connection.connection.driver_connection)


def lock_observations(connection: Connection) -> None:
    """Nothing to do: BEGIN IMMEDIATE has locked out every other writer."""


def lock_marks(connection: Connection) -> None:
    """Nothing to do, as above."""


def find_series(connection: Connection, keys: Sequence[SeriesKey]) -> list[KnownSeries | None]:
    cursor = driver(connection).cursor()
    found: list[KnownSeries | None] = []
    for key in keys:
        row = cursor.execute("SELECT id, area, source FROM series WHERE key_hash = ?", (key_hash(key),)).fetchone()
        found.append(KnownSeries(*row) if row else None)
    return found


def insert_series(
    connection: Connection, keys: Sequence[SeriesKey], areas: Sequence[str], sources: Sequence[str], now: int
) -> None:
    driver(connection).executemany(
        "INSERT INTO series (item, spec, unit, channel, point, area, source, first_seen_at, key_hash)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (
            (k.item, k.spec, k.unit, k.channel, k.point, area, source, now, key_hash(k))
            for k, area, source in zip(keys, areas, sources, strict=True)
        ),
    )


def insert_observations(connection: Connection, rows: Rows, batch_id: int) -> None:
    cursor = driver(connection).cursor()
    # Bindings are what an insert costs: constants stand in the statement.
    insert = "INSERT INTO observation (batch_id, series_id, at, value, revision) VALUES "
    first, later = f"{insert} ({int(batch_id)}, ?, ?, ?, 1)", f"{insert} ({int(batch_id)}, ?, ?, ?, ?)"
    is_first = rows.revision == 1
    for sql, chosen, columns in (
        (first, is_first, (rows.series_id, rows.at, rows.value)),
        (later, ~is_first, (rows.series_id, rows.at, rows.value, rows.revision)),
    ):
        places = np.flatnonzero(chosen)
        for start in range(0, len(places), CHUNK):
            part = places[start : start + CHUNK]
            cursor.executemany(sql, zip(*(column[part].tolist() for column in columns), strict=True))


def read_windows(connection: Connection, series_id: IntArray, low: IntArray, high: IntArray, limit: IntArray) -> Rows:
    # Every column of every row becomes an object of Python: the series, which is known, is left out.
    sql = (
        "SELECT at, revision, value FROM observation WHERE series_id = ? AND at BETWEEN ? AND ?"
        " ORDER BY series_id, at, revision LIMIT ?"
    )
    execute = driver(connection).cursor().execute
    counts: list[int] = []
    parts: list[FloatArray] = []
    found: list[tuple[float, ...]] = []
    for one in zip(series_id.tolist(), low.tolist(), high.tolist(), limit.tolist(), strict=True):
        rows = execute(sql, one).fetchall()
        counts.append(len(rows))
        found += rows
        if len(found) >= CHUNK:
            parts.append(np.fromiter(chain.from_iterable(found), np.float64, 3 * len(found)))
            found = []
    parts.append(np.fromiter(chain.from_iterable(found), np.float64, 3 * len(found)))
    table = np.concatenate(parts).reshape(-1, 3)
    ids = np.repeat(series_id, counts)
    return Rows(ids, table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2].copy())


def read_points(connection: Connection, series_id: IntArray, at: IntArray) -> Rows:
    sql = (
        "SELECT series_id, at, revision, value FROM observation WHERE series_id = ? AND at = ?"
        " ORDER BY series_id, at, revision"
    )
    return drained(each(connection, sql, zip(series_id.tolist(), at.tolist(), strict=True)))


def read_newest(connection: Connection, series_id: IntArray, until: IntArray, limit: int) -> Rows:
    sql = (
        "SELECT * FROM (SELECT ?, at, revision, value FROM observation WHERE series_id = ? AND at <= ?"
        " ORDER BY series_id DESC, at DESC, revision DESC LIMIT ?) ORDER BY 2, 3"
    )
    asked = zip(range(len(series_id)), series_id.tolist(), until.tolist(), repeat(limit))
    return drained(each(connection, sql, asked))


def read_rows(connection: Connection, series_id: IntArray | None, since: int | None) -> Rows:
    if series_id is None and since is None:
        sql = "SELECT series_id, at, revision, value FROM observation ORDER BY series_id, at, revision"
        return drained(driver(connection).execute(sql))
    if series_id is None:
        ids = driver(connection).execute("SELECT id FROM series ORDER BY id")
        series_id = np.fromiter((row[0] for row in ids), np.int64)
    n = len(series_id)
    low = np.full(n, -FOREVER if since is None else since, np.int64)
    return read_windows(connection, series_id, low, np.full(n, FOREVER, np.int64), np.full(n, -1, np.int64))


def mark_dirty(connection: Connection, series_id: IntArray, since_at: IntArray, now: int) -> None:
    driver(connection).executemany(
        "INSERT INTO dirty (series_id, since_at, marked_at, stamp) VALUES (?, ?, ?, 1)"
        " ON CONFLICT (series_id) DO UPDATE SET"
        " since_at = min(dirty.since_at, excluded.since_at), stamp = dirty.stamp + 1",
        zip(series_id.tolist(), since_at.tolist(), repeat(int(now))),
    )


def each(connection: Connection, sql: str, parameters: Iterable[tuple[int, ...]]) -> Iterator[Any]:
    """The rows of one statement run with many parameters, one after the other."""
    execute = driver(connection).cursor().execute
    return chain.from_iterable(execute(sql, one).fetchall() for one in parameters)


def drained(rows: Iterator[Any]) -> Rows:
    """Tuples (series_id, at, revision, value) as columns, a chunk at a time to keep memory low.

    The integers go through float64, which is exact for them: they are far below 2**53.
    """
    parts: list[Rows] = []
    while True:
        flat = np.fromiter(chain.from_iterable(islice(rows, CHUNK)), np.float64)
        if not len(flat):
            return joined(parts)
        table = flat.reshape(-1, 4)
        parts.append(
            Rows(
                table[:, 0].astype(np.int64),
                table[:, 1].astype(np.int64),
                table[:, 2].astype(np.int64),
                table[:, 3].copy(),
            )
        )
