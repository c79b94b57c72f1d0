"""Batches: what came in together, what was rejected of it, and answers kept for repeated requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from collectors.base import StoredCounts
from monitor.schema import batch, idempotency, reject
from monitor.store.database import Database
from monitor.store.revisions import Outcomes
from monitor.store.text import moment, seconds, storable
from thresholds.model import Reject

REJECTS_KEPT = 1_000


@dataclass(frozen=True, slots=True)
class Added:
    """What became of a batch: `outcome` holds an Outcome per row, in the order received (uint8[n])."""

    batch_id: int
    outcome: Outcomes
    counts: StoredCounts


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """One batch as stored. `counts.rejected` is the total; at most REJECTS_KEPT of them are kept in full."""

    id: int
    source: str
    name: str
    received_at: datetime
    counts: StoredCounts


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered to a request with an idempotency key."""

    request_hash: str
    status: int
    response: str


@dataclass(frozen=True, slots=True)
class Idempotency:
    """Ask `observations.add` to store the answer with the rows.

    key           the client's Idempotency-Key, `token_id` whose it is
    request_hash  of the request's body, to tell a repeat from another request under the same key
    respond       makes (status, body) of what was stored; called within the transaction, so it must not block
    """

    token_id: int
    key: str
    request_hash: str
    respond: Callable[[Added], tuple[int, str]]


class AlreadyAnswered(Exception):
    """A request with this key was answered before; nothing was stored now."""

    def __init__(self, answer: Answer) -> None:
        super().__init__("a request with this Idempotency-Key was answered before")
        self.answer = answer


def find_answer(db: Database, token_id: int, key: str) -> Answer | None:
    """The answer given before under this key, or None."""
    with db.connect() as connection:
        return stored_answer(connection, token_id, key)


def stored_answer(connection: Connection, token_id: int, key: str) -> Answer | None:
    row = connection.execute(
        select(idempotency.c.request_hash, idempotency.c.status, idempotency.c.response).where(
            idempotency.c.token_id == token_id, idempotency.c.key == storable(key)
        )
    ).one_or_none()
    return Answer(*row) if row else None


def keep_answer(connection: Connection, wanted: Idempotency, added: Added, now: int) -> None:
    """Store the answer in the transaction that stores the rows."""
    status, body = wanted.respond(added)
    connection.execute(
        insert(idempotency).values(
            token_id=wanted.token_id,
            key=storable(wanted.key),
            request_hash=wanted.request_hash,
            status=status,
            response=body,
            created_at=now,
        )
    )


def forget_answers(db: Database, before: datetime) -> int:
    """Drop answers older than `before`; gives their number."""
    with db.begin() as connection:
        return connection.execute(delete(idempotency).where(idempotency.c.created_at < seconds(before))).rowcount


def new_batch(connection: Connection, source: str, name: str, now: int) -> int:
    """A batch row, still without counts; gives its id."""
    row = connection.execute(
        insert(batch)
        .values(
            source=storable(source),
            name=storable(name),
            received_at=now,
            accepted=0,
            duplicate=0,
            revised=0,
            rejected=0,
        )
        .returning(batch.c.id)
    )
    return int(row.scalar_one())


def close_batch(connection: Connection, batch_id: int, counts: StoredCounts, rejects: Sequence[Reject]) -> None:
    """Write the counts, and the first REJECTS_KEPT of the rejects."""
    connection.execute(
        batch.update()
        .where(batch.c.id == batch_id)
        .values(
            accepted=counts.accepted, duplicate=counts.duplicate, revised=counts.revised, rejected=counts.rejected
        )
    )
    if kept := rejects[:REJECTS_KEPT]:
        connection.execute(
            insert(reject),
            [
                {
                    "batch_id": batch_id,
                    "row": one.row,
                    "reason": storable(one.reason),
                    "detail": storable(one.detail),
                    "content": storable(one.content),
                }
                for one in kept
            ],
        )


def list_batches(
    db: Database, *, source: str | None = None, limit: int = 100, after: int | None = None
) -> list[BatchRecord]:
    """Batches, newest first. `after` is the id of the last one of the page before."""
    query = select(batch).order_by(batch.c.id.desc()).limit(limit)
    if source is not None:
        query = query.where(batch.c.source == source)
    if after is not None:
        query = query.where(batch.c.id < after)
    with db.connect() as connection:
        return [
            BatchRecord(
                id=row.id,
                source=row.source,
                name=row.name,
                received_at=moment(row.received_at),
                counts=StoredCounts(row.accepted, row.duplicate, row.revised, row.rejected),
            )
            for row in connection.execute(query)
        ]


def batch_of(db: Database, batch_id: int) -> BatchRecord:
    """One batch. Raises LookupError where there is none of this id."""
    found = list_batches(db, limit=1, after=batch_id + 1)
    if not found or found[0].id != batch_id:
        raise LookupError(f"there is no batch {batch_id}")
    return found[0]


def rejects_of(db: Database, batch_id: int, limit: int = REJECTS_KEPT) -> list[Reject]:
    """The rejects kept of a batch, in the order they came."""
    query = select(reject.c.row, reject.c.reason, reject.c.detail, reject.c.content)
    query = query.where(reject.c.batch_id == batch_id).order_by(reject.c.id).limit(limit)
    with db.connect() as connection:
        return [Reject(*row) for row in connection.execute(query)]
