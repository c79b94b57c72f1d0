"""Series with observations that are not evaluated yet; they are marked by `Bulk.mark_dirty`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, func, select

from monitor.schema import dirty
from monitor.store.database import Database
from monitor.store.text import moment


@dataclass(frozen=True, slots=True)
class Dirty:
    """A series to be evaluated from `since_at` (epoch seconds) on, first marked at `marked_at`.

    `stamp` counts the marks: an evaluation removes the row only if no mark came while it worked.
    """

    series_id: int
    since_at: int
    marked_at: int
    stamp: int


def clear(connection: Connection, rows: Sequence[Dirty]) -> None:
    """Remove marks that were evaluated; those marked again since are kept."""
    if rows:
        connection.execute(
            delete(dirty).where(dirty.c.series_id == bindparam("one"), dirty.c.stamp == bindparam("seen")),
            [{"one": row.series_id, "seen": row.stamp} for row in rows],
        )


def dirty_series(db: Database) -> list[Dirty]:
    """Everything that waits for evaluation, by series."""
    with db.connect() as connection:
        return dirty_in(connection)


def dirty_in(connection: Connection) -> list[Dirty]:
    """`dirty_series` within a transaction."""
    query = select(dirty.c.series_id, dirty.c.since_at, dirty.c.marked_at, dirty.c.stamp).order_by(dirty.c.series_id)
    return [Dirty(*row) for row in connection.execute(query)]


def waiting(db: Database) -> tuple[int, datetime | None]:
    """How many series wait, and since when the oldest of them: the age of the evaluation queue."""
    with db.connect() as connection:
        count, oldest = connection.execute(select(func.count(), func.min(dirty.c.marked_at))).one()
    return int(count), None if oldest is None else moment(oldest)
