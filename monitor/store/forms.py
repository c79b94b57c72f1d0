"""Forms that people send, perhaps twice: what a form brought is stored once, with what its sender was told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from monitor.schema_entry import entry_form
from monitor.store import observations
from monitor.store.batches import Added
from monitor.store.database import Database
from monitor.store.text import moment, seconds
from thresholds.model import ObservationBatch, Reject

MOST_ID = 64


@dataclass(frozen=True, slots=True)
class Form:
    """A form that was stored. `answer` is a JSON object that its page wrote and reads."""

    id: str
    kind: str
    stored_at: datetime
    batch_id: int | None
    answer: Mapping[str, Any]


class AlreadyStored(Exception):
    """A form with this id was stored before; nothing was stored now."""

    def __init__(self, form: Form) -> None:
        super().__init__("a form with this id was stored before")
        self.form = form


def find(db: Database, actor: str, form_id: str) -> Form | None:
    """The form that `actor` sent under this id."""
    with db.connect() as connection:
        return find_in(connection, actor, form_id)


def find_in(connection: Connection, actor: str, form_id: str) -> Form | None:
    t = entry_form.c
    row = connection.execute(select(entry_form).where(t.actor == actor, t.id == form_id)).one_or_none()
    return Form(row.id, row.kind, moment(row.stored_at), row.batch_id, row.answer) if row else None


def claim(connection: Connection, actor: str, form_id: str) -> None:
    """Go on only where the form is new. Within a write transaction that stores what the form brought.

    Raises AlreadyStored. The lock on observations, or SQLite's only writer, keeps two of the same form apart;
    PostgreSQL's primary key does where neither holds.
    """
    before = find_in(connection, actor, form_id)
    if before is not None:
        raise AlreadyStored(before)


def keep(
    connection: Connection,
    actor: str,
    form_id: str,
    kind: str,
    now: datetime,
    answer: Mapping[str, Any],
    batch_id: int | None = None,
) -> Form:
    """Write that the form is stored, in the transaction that stores what it brought."""
    at = seconds(now)
    connection.execute(
        insert(entry_form).values(
            actor=actor, id=form_id, kind=kind, stored_at=at, batch_id=batch_id, answer=dict(answer)
        )
    )
    return Form(form_id, kind, moment(at), batch_id, answer)


def store_values(
    db: Database,
    batch: ObservationBatch,
    *,
    actor: str,
    form_id: str,
    kind: str,
    source: str,
    name: str,
    now: datetime,
    answer: Mapping[str, Any],
    rejects: Sequence[Reject] = (),
) -> tuple[Form, Added]:
    """Store the observations of a form, and the form itself, in one transaction.

    Raises AlreadyStored, StoreError; ValueError as `observations.add` does.
    """
    observations.check(batch)
    with db.begin() as connection:
        db.bulk.lock_observations(connection)
        claim(connection, actor, form_id)
        added = observations.add_in(db, connection, batch, source, name, now, rejects)
        return keep(connection, actor, form_id, kind, now, answer, added.batch_id), added


def forget(db: Database, before: datetime) -> int:
    """Drop forms stored before this time; gives their number."""
    with db.begin() as connection:
        return connection.execute(delete(entry_form).where(entry_form.c.stored_at < seconds(before))).rowcount
