"""What is known of each source: where it goes on, when it last worked, since when it fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, case, delete, func, insert, select, update

from monitor.schema import source_state
from monitor.store.database import Database, insert_into
from monitor.store.text import moment_or_none, seconds, storable


@dataclass(frozen=True, slots=True)
class SourceState:
    """One source. `failing_since` is None while it works; `last_error` and `last_reason` then tell of the
    trouble before.

    last_observation_at is the newest time that an observation of this source is about.
    """

    source: str
    cursor: Mapping[str, Any]
    last_attempt_at: datetime | None = None
    last_success_at: datetime | None = None
    last_observation_at: datetime | None = None
    failing_since: datetime | None = None
    last_error: str = ""
    last_reason: str = ""


def read_sources(db: Database) -> dict[str, SourceState]:
    """All sources that ever brought something or were asked, by name."""
    with db.connect() as connection:
        rows = connection.execute(select(source_state).order_by(source_state.c.source)).mappings()
        return {row["source"]: _state(row) for row in rows}


def read_source(db: Database, source: str) -> SourceState:
    """One source; an empty state where nothing is known of it."""
    with db.connect() as connection:
        query = select(source_state).where(source_state.c.source == source)
        row = connection.execute(query).mappings().one_or_none()
    return _state(row) if row else SourceState(source, {})


def attempted(db: Database, source: str, now: datetime) -> None:
    """A fetch begins."""
    with db.begin() as connection:
        _upsert(connection, source, {"last_attempt_at": seconds(now)})


def succeeded(db: Database, source: str, now: datetime) -> None:
    """A fetch went through to its end, with or without new rows."""
    at = seconds(now)
    with db.begin() as connection:
        _upsert(connection, source, {"last_attempt_at": at, "last_success_at": at, "failing_since": None})


def failed(db: Database, source: str, now: datetime, reason: str, error: str) -> None:
    """A fetch failed. `failing_since` keeps the first failure of the row."""
    at = seconds(now)
    values = {"last_attempt_at": at, "last_reason": storable(reason), "last_error": storable(error)}
    with db.begin() as connection:
        _upsert(connection, source, {**values, "failing_since": func.coalesce(source_state.c.failing_since, at)})


def advance(connection: Connection, source: str, cursor: Mapping[str, Any] | None, newest: int | None) -> None:
    """In the transaction that stores rows: where the source goes on, and its newest observation."""
    values: dict[str, object] = {}
    if cursor is not None:
        values["cursor"] = dict(cursor)
    if newest is not None:
        before = source_state.c.last_observation_at
        values["last_observation_at"] = case((before > newest, before), else_=newest)
    _upsert(connection, source, values)


def prove_writable(db: Database) -> None:
    """Write a row and take it away again: whether the database takes anything in. Raises StoreError."""
    with db.begin() as connection:
        connection.execute(insert(source_state), {"source": "", "cursor": {}})
        connection.execute(delete(source_state).where(source_state.c.source == ""))


def _upsert(connection: Connection, source: str, values: Mapping[str, object]) -> None:
    name = storable(source)
    connection.execute(insert_into(connection, source_state).on_conflict_do_nothing(), {"source": name, "cursor": {}})
    if values:
        connection.execute(update(source_state).where(source_state.c.source == name).values(**values))


def _state(row: RowMapping) -> SourceState:
    return SourceState(
        source=row["source"],
        cursor=row["cursor"],
        last_attempt_at=moment_or_none(row["last_attempt_at"]),
        last_success_at=moment_or_none(row["last_success_at"]),
        last_observation_at=moment_or_none(row["last_observation_at"]),
        failing_since=moment_or_none(row["failing_since"]),
        last_error=row["last_error"],
        last_reason=row["last_reason"],
    )
