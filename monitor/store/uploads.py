"""Uploaded sheets that wait for their commit, and how their owners understood sheets of the kind before.

An upload is a row with the file's bytes: nothing is written under its own name. It is seen by its owner only, and
deleted when it expires, whether it was committed or not.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, func, select, update

from monitor.schema_entry import upload, upload_mapping
from monitor.store import observations
from monitor.store.batches import Added
from monitor.store.database import Database, insert_into
from monitor.store.text import moment, moment_or_none, seconds, storable
from thresholds.model import ObservationBatch, Reject

WAITING, STORED = "waiting", "stored"
MAPPINGS_KEPT = 200
"""Ways of reading sheets kept for one person; the ones not used for longest go first."""


@dataclass(frozen=True, slots=True)
class Upload:
    """One upload. `choices` says how it is to be read (monitor/entry/sheets.py), None where nothing was chosen."""

    id: str
    actor: str
    name: str
    size: int
    digest: str
    choices: Mapping[str, Any]
    state: str
    created_at: datetime
    expires_at: datetime
    batch_id: int | None
    stored_at: datetime | None


class TooManyUploads(Exception):
    """The person has as many uploads as are kept."""


class AlreadyCommitted(Exception):
    """The upload was committed before; nothing was stored now."""

    def __init__(self, batch_id: int) -> None:
        super().__init__("this upload was committed before")
        self.batch_id = batch_id


def add(
    db: Database, actor: str, name: str, content: bytes, now: datetime, expires: datetime, *, most: int
) -> Upload:
    """Keep an upload until `expires`. Raises TooManyUploads where `most` of this person are kept already."""
    row = {
        "id": secrets.token_urlsafe(16),
        "actor": actor,
        "name": storable(name),
        "content": content,
        "size": len(content),
        "digest": hashlib.sha256(content).hexdigest(),
        "choices": {},
        "state": WAITING,
        "created_at": seconds(now),
        "expires_at": seconds(expires),
    }
    with db.begin() as connection:
        mine = upload.c.actor == actor
        connection.execute(delete(upload).where(mine, upload.c.expires_at <= seconds(now)))
        kept = connection.execute(select(func.count()).select_from(upload).where(mine)).scalar_one()
        if kept >= most:
            raise TooManyUploads
        connection.execute(upload.insert().values(row))
    found = find(db, actor, str(row["id"]), now)
    assert found is not None
    return found


def find(db: Database, actor: str, upload_id: str, now: datetime) -> Upload | None:
    """An upload of this person that has not expired."""
    with db.connect() as connection:
        query = select(*(c for c in upload.c if c.name != "content"))
        query = query.where(upload.c.id == upload_id, upload.c.actor == actor, upload.c.expires_at > seconds(now))
        row = connection.execute(query).one_or_none()
    return _upload(row) if row else None


def content(db: Database, actor: str, upload_id: str) -> bytes:
    """The bytes of an upload of this person, empty where it is gone."""
    with db.connect() as connection:
        query = select(upload.c.content).where(upload.c.id == upload_id, upload.c.actor == actor)
        found = connection.execute(query).scalar_one_or_none()
    return b"" if found is None else bytes(found)


def list_uploads(db: Database, actor: str, now: datetime) -> list[Upload]:
    """What this person uploaded and has not expired, the newest first."""
    with db.connect() as connection:
        query = select(*(c for c in upload.c if c.name != "content"))
        query = query.where(upload.c.actor == actor, upload.c.expires_at > seconds(now))
        rows = connection.execute(query.order_by(upload.c.created_at.desc(), upload.c.id))
        return [_upload(row) for row in rows]


def choose(db: Database, actor: str, upload_id: str, choices: Mapping[str, Any]) -> None:
    """Keep how a waiting upload is to be read."""
    with db.begin() as connection:
        connection.execute(
            update(upload)
            .where(upload.c.id == upload_id, upload.c.actor == actor, upload.c.state == WAITING)
            .values(choices=dict(choices))
        )


def discard(db: Database, actor: str, upload_id: str) -> None:
    """Delete an upload; what was committed of it stays stored."""
    with db.begin() as connection:
        connection.execute(delete(upload).where(upload.c.id == upload_id, upload.c.actor == actor))


def commit(
    db: Database,
    one: Upload,
    batch: ObservationBatch,
    *,
    source: str,
    now: datetime,
    rejects: Sequence[Reject],
) -> Added:
    """Store what was accepted of an upload, its rejects and that it is stored, in one transaction.

    Raises AlreadyCommitted, StoreError; ValueError as `observations.add` does. KeyError where it has been deleted.
    """
    observations.check(batch)
    with db.begin() as connection:
        db.bulk.lock_observations(connection)
        mine = (upload.c.id == one.id) & (upload.c.actor == one.actor)
        row = connection.execute(select(upload.c.state, upload.c.batch_id).where(mine)).one_or_none()
        if row is None:
            raise KeyError(one.id)
        if row.state == STORED:
            raise AlreadyCommitted(int(row.batch_id))
        added = observations.add_in(db, connection, batch, source, one.name, now, rejects)
        values = {"state": STORED, "batch_id": added.batch_id, "stored_at": seconds(now)}
        connection.execute(update(upload).where(mine).values(values))
    return added


def forget(db: Database, now: datetime) -> int:
    """Delete what has expired; gives the number."""
    with db.begin() as connection:
        return connection.execute(delete(upload).where(upload.c.expires_at <= seconds(now))).rowcount


def header_digest(names: Sequence[str]) -> str:
    """What stands for the column names of a sheet."""
    return hashlib.sha256("\x1f".join(name.strip() for name in names).encode("utf-8", "replace")).hexdigest()


def remembered(db: Database, actor: str, header: str) -> dict[str, Any]:
    """How this person last understood a sheet with these column names; empty where never."""
    t = upload_mapping.c
    with db.connect() as connection:
        query = select(t.choices).where(t.actor == actor, t.header == header)
        found = connection.execute(query).scalar_one_or_none()
    return dict(found or {})


def remember(db: Database, actor: str, header: str, choices: Mapping[str, Any], now: datetime) -> None:
    """Keep how this person understood a sheet with these column names."""
    t = upload_mapping.c
    row = {"choices": dict(choices), "used_at": seconds(now)}
    with db.begin() as connection:
        statement = insert_into(connection, upload_mapping).values(actor=actor, header=header, **row)
        connection.execute(statement.on_conflict_do_update(index_elements=["actor", "header"], set_=row))
        old = select(t.header).where(t.actor == actor).order_by(t.used_at.desc(), t.header).offset(MAPPINGS_KEPT)
        gone = connection.execute(old).scalars().all()
        if gone:
            connection.execute(delete(upload_mapping).where(t.actor == actor, t.header.in_(gone)))


def _upload(row: Row[Any]) -> Upload:
    return Upload(
        id=row.id,
        actor=row.actor,
        name=row.name,
        size=row.size,
        digest=row.digest,
        choices=row.choices,
        state=row.state,
        created_at=moment(row.created_at),
        expires_at=moment(row.expires_at),
        batch_id=row.batch_id,
        stored_at=moment_or_none(row.stored_at),
    )
