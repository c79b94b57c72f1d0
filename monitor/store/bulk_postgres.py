"""Bulk paths for PostgreSQL: binary COPY in and out, packed and unpacked by numpy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from sqlalchemy import Connection

from monitor.store.bulk import KnownSeries, Rows, joined, key_hash
from thresholds.model import IntArray, SeriesKey

if TYPE_CHECKING:
    import psycopg

CHUNK = 50_000
LOCK = 0x70726D6F01  # any fixed number: adding observations
LOCK_MARKS = 0x70726D6F04
HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"

# One row of the binary format: the number of fields, then each field's length and content, big-endian.
ROW_OUT = np.dtype(
    [
        ("fields", ">i2"),
        ("l1", ">i4"),
        ("series_id", ">i8"),
        ("l2", ">i4"),
        ("at", ">i8"),
        ("l3", ">i4"),
        ("revision", ">i4"),
        ("l4", ">i4"),
        ("value", ">f8"),
    ]
)
ROW_IN = np.dtype([*cast(Any, ROW_OUT.descr), ("l5", ">i4"), ("batch_id", ">i8")])
COLUMNS = "o.series_id, o.at, o.revision, o.value"


def driver(connection: Connection) -> psycopg.Connection[Any]:
    """The psycopg connection underneath, in SQLAlchemy's transaction."""
    return cast("psycopg.Connection[Any]", connection.connection.driver_connection)


def lock_observations(connection: Connection) -> None:
    driver(connection).execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))


def lock_marks(connection: Connection) -> None:
    driver(connection).execute("SELECT pg_advisory_xact_lock(%s)", (LOCK_MARKS,))


def find_series(connection: Connection, keys: Sequence[SeriesKey]) -> list[KnownSeries | None]:
    rows = driver(connection).execute(
        "SELECT s.id, s.area, s.source FROM unnest(%s::text[]) WITH ORDINALITY AS k(key_hash, n)"
        " LEFT JOIN series s USING (key_hash) ORDER BY k.n",
        ([key_hash(key) for key in keys],),
    )
    return [KnownSeries(*row) if row[0] is not None else None for row in rows]


def insert_series(
    connection: Connection, keys: Sequence[SeriesKey], areas: Sequence[str], sources: Sequence[str], now: int
) -> None:
    driver(connection).execute(
        "INSERT INTO series (item, spec, unit, channel, point, area, source, key_hash, first_seen_at)"
        " SELECT item, spec, unit, channel, point, area, source, key_hash, %s FROM"
        " unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[])"
        " WITH ORDINALITY AS k(item, spec, unit, channel, point, area, source, key_hash, n)"
        " ORDER BY n ON CONFLICT DO NOTHING",
        (
            now,
            *([getattr(key, part) for key in keys] for part in ("item", "spec", "unit", "channel", "point")),
            list(areas),
            list(sources),
            [key_hash(key) for key in keys],
        ),
    )


def insert_observations(connection: Connection, rows: Rows, batch_id: int) -> None:
    cursor = driver(connection).cursor()
    with cursor.copy(
        "COPY observation (series_id, at, revision, value, batch_id) FROM STDIN (FORMAT binary)"
    ) as copy:
        copy.write(HEADER)
        for start in range(0, len(rows), CHUNK):
            part = slice(start, start + CHUNK)
            packed = np.empty(len(rows.at[part]), ROW_IN)
            packed["fields"] = 5
            packed["l1"] = packed["l2"] = packed["l4"] = packed["l5"] = 8
            packed["l3"] = 4
            packed["series_id"], packed["at"] = rows.series_id[part], rows.at[part]
            packed["revision"], packed["value"] = rows.revision[part], rows.value[part]
            packed["batch_id"] = batch_id
            copy.write(packed.tobytes())
        copy.write(TRAILER)


def read_windows(connection: Connection, series_id: IntArray, low: IntArray, high: IntArray, limit: IntArray) -> Rows:
    return copied(
        connection,
        f"SELECT {COLUMNS} FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])"  # noqa: S608
        " AS w(series_id, low, high, n), LATERAL (SELECT * FROM observation x WHERE x.series_id = w.series_id"
        " AND x.at BETWEEN w.low AND w.high ORDER BY x.at, x.revision LIMIT w.n) AS o ORDER BY 1, 2, 3",
        [series_id.tolist(), low.tolist(), high.tolist(), limit.tolist()],
    )


def read_points(connection: Connection, series_id: IntArray, at: IntArray) -> Rows:
    return copied(
        connection,
        f"SELECT {COLUMNS} FROM unnest(%s::bigint[], %s::bigint[]) AS k(series_id, at)"  # noqa: S608
        " JOIN observation o USING (series_id, at) ORDER BY 1, 2, 3",
        [series_id.tolist(), at.tolist()],
    )


def read_newest(connection: Connection, series_id: IntArray, until: IntArray, limit: int) -> Rows:
    return copied(
        connection,
        "SELECT w.n - 1, o.at, o.revision, o.value"
        " FROM unnest(%s::bigint[], %s::bigint[]) WITH ORDINALITY AS w(series_id, until, n),"
        " LATERAL (SELECT * FROM observation x WHERE x.series_id = w.series_id AND x.at <= w.until"
        " ORDER BY x.at DESC, x.revision DESC LIMIT %s) AS o ORDER BY 1, 2, 3",
        [series_id.tolist(), until.tolist(), limit],
    )


def read_rows(connection: Connection, series_id: IntArray | None, since: int | None) -> Rows:
    return copied(
        connection,
        f"SELECT {COLUMNS} FROM observation o WHERE (%s::bigint[] IS NULL OR o.series_id = ANY(%s::bigint[]))"  # noqa: S608
        " AND (%s::bigint IS NULL OR o.at >= %s::bigint) ORDER BY 1, 2, 3",
        [*[None if series_id is None else series_id.tolist()] * 2, since, since],
    )


def mark_dirty(connection: Connection, series_id: IntArray, since_at: IntArray, now: int) -> None:
    driver(connection).execute(
        "INSERT INTO dirty (series_id, since_at, marked_at, stamp)"
        " SELECT series_id, since_at, %s, 1 FROM unnest(%s::bigint[], %s::bigint[]) AS m(series_id, since_at)"
        " ORDER BY series_id ON CONFLICT (series_id) DO UPDATE SET"
        " since_at = least(dirty.since_at, excluded.since_at), stamp = dirty.stamp + 1",
        (now, series_id.tolist(), since_at.tolist()),
    )


def copied(connection: Connection, select: str, parameters: Sequence[object]) -> Rows:
    """The rows of a SELECT of (series_id, at, revision, value) through binary COPY."""
    parts: list[Rows] = []
    with driver(connection).cursor().copy(f"COPY ({select}) TO STDOUT (FORMAT binary)", parameters) as copy:
        for chunk in blocks(iter(copy)):
            table = np.frombuffer(chunk, ROW_OUT)
            parts.append(
                Rows(
                    table["series_id"].astype(np.int64),
                    table["at"].astype(np.int64),
                    table["revision"].astype(np.int64),
                    table["value"].astype(np.float64),
                )
            )
    return joined(parts)


def blocks(messages: Iterator[Any]) -> Iterator[bytes]:
    """Whole rows in large pieces, without the header and the trailer."""
    held = bytearray()
    skip = len(HEADER)
    for message in messages:
        held += message
        if skip and len(held) >= skip:
            del held[:skip]
            skip = 0
        if not skip and len(held) >= CHUNK * ROW_OUT.itemsize:
            whole = len(held) // ROW_OUT.itemsize * ROW_OUT.itemsize
            yield bytes(held[:whole])
            del held[:whole]
    whole = len(held) // ROW_OUT.itemsize * ROW_OUT.itemsize
    if whole:
        yield bytes(held[:whole])
