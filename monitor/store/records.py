"""Records of decisions and of what was seen: entered, lifted, never overwritten.

Every change is a further revision. In the same transaction the series that it may concern are marked for evaluation
from its beginning on: a decision that is entered late changes what should have been said since.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import uuid4

import numpy as np
from sqlalchemy import Connection, Row, func, insert, select

from monitor.schema import record as table
from monitor.schema import series
from monitor.store.database import Database
from monitor.store.text import is_storable, moment, seconds
from thresholds.catalogue import folded
from thresholds.records import Record, Wrong, problems

NAME_LENGTH, NOTE_LENGTH, MOST_NAMES = 200, 2000, 500


class RecordError(Exception):
    """A record that cannot be stored; `faults` says what is wrong by field."""

    def __init__(self, faults: dict[str, Wrong]) -> None:
        super().__init__("; ".join(f"{field}: {fault.en}" for field, fault in faults.items()))
        self.faults = faults


class RecordNotFound(Exception):
    """There is no record with this id."""


@dataclass(frozen=True, slots=True)
class Revision:
    """A record as it was entered or changed by `actor` at `recorded_at`; revisions count from 1."""

    record: Record
    revision: int
    note: str
    actor: str
    recorded_at: datetime


def add(
    db: Database, one: Record, note: str, actor: str, now: datetime, classes: Collection[str] | None = None
) -> Revision:
    """Store a new record under an id of its own. Raises RecordError.

    classes  those of the catalogue, where they are known
    """
    new = replace(one, id=uuid4().hex[:12])
    check(new, note, classes)
    with db.begin() as connection:
        made = store(connection, new, 1, note, actor, now)
        mark(db, connection, [new], now)
    return made


def lift(db: Database, record_id: str, end: datetime, note: str, actor: str, now: datetime) -> Revision:
    """End a record, or correct when it ended: a further revision. Raises RecordNotFound, RecordError."""
    with db.begin() as connection:
        found = newest(connection, record_id)
        if not found:
            raise RecordNotFound(record_id)
        before = found[0]
        ended = replace(before.record, end=seconds(end))
        check(ended, note, None)
        made = store(connection, ended, before.revision + 1, note, actor, now)
        mark(db, connection, [before.record, ended], now)
    return made


def list_records(db: Database, *, at: datetime | None = None) -> list[Revision]:
    """The newest revision of every record, those that began last first; those in force at `at` only, where given."""
    with db.connect() as connection:
        found = newest(connection)
    if at is not None:
        now = np.array([seconds(at)])
        found = [one for one in found if one.record.holds(now)[0]]
    return sorted(found, key=lambda one: (-one.record.start, one.record.id))


def revisions(db: Database, record_id: str) -> list[Revision]:
    """All that was ever said of a record, the oldest first."""
    with db.connect() as connection:
        rows = connection.execute(select(table).where(table.c.id == record_id).order_by(table.c.revision))
        return [revision_of(row) for row in rows]


def read_records(db: Database) -> tuple[Record, ...]:
    """What counts now, in an order that depends on nothing else."""
    with db.connect() as connection:
        return tuple(sorted((one.record for one in newest(connection)), key=lambda r: (r.start, r.id)))


LAST = select(table.c.id, func.max(table.c.revision).label("last")).group_by(table.c.id).subquery()
NEWEST = select(table).join(LAST, (table.c.id == LAST.c.id) & (table.c.revision == LAST.c.last))


def newest(connection: Connection, record_id: str | None = None) -> list[Revision]:
    query = NEWEST if record_id is None else NEWEST.where(table.c.id == record_id)
    return [revision_of(row) for row in connection.execute(query)]


def store(connection: Connection, one: Record, revision: int, note: str, actor: str, now: datetime) -> Revision:
    values = {
        "id": one.id,
        "revision": revision,
        "kind": one.kind,
        "measure": one.measure,
        "issuer": one.issuer,
        "document": one.document,
        "start_at": one.start,
        "end_at": one.end,
        "items": list(one.items),
        "classes": list(one.classes),
        "areas": list(one.areas),
        "note": note,
        "actor": actor,
        "recorded_at": seconds(now),
    }
    connection.execute(insert(table).values(values))
    return Revision(one, revision, note, actor, moment(seconds(now)))


def revision_of(row: Row[tuple[object, ...]]) -> Revision:
    one = Record(
        row.id,
        row.kind,
        row.measure,
        row.issuer,
        row.document,
        row.start_at,
        row.end_at,
        tuple(row.items),
        tuple(row.classes),
        tuple(row.areas),
    )
    return Revision(one, row.revision, row.note, row.actor, moment(row.recorded_at))


def mark(db: Database, connection: Connection, changed: list[Record], now: datetime) -> None:
    """Have all series evaluated that one of these may cover: by item, and everything where a class is named."""
    names = {folded(item) for one in changed for item in one.items}
    everything = any(one.classes for one in changed)
    rows = connection.execute(select(series.c.id, series.c.item))
    ids = np.array([row.id for row in rows if everything or folded(row.item) in names], np.int64)
    if len(ids):
        since = np.full(len(ids), min(one.start for one in changed), np.int64)
        db.bulk.mark_dirty(connection, ids, since, seconds(now))


def check(one: Record, note: str, classes: Collection[str] | None) -> None:
    """Raises RecordError for what the law, the catalogue or the database does not take."""
    faults = problems(one, classes)
    for field in ("measure", "issuer", "document"):
        text = getattr(one, field)
        if len(text) > NAME_LENGTH or not is_storable(text):
            faults.setdefault(field, too_long(NAME_LENGTH))
    for field in ("items", "classes", "areas"):
        texts = getattr(one, field)
        if len(texts) > MOST_NAMES or any(len(t) > NAME_LENGTH or not t.strip() or not is_storable(t) for t in texts):
            en = f"at most {MOST_NAMES} names of 1 to {NAME_LENGTH} characters"
            faults.setdefault(field, Wrong(f"最多{MOST_NAMES}个名称，每个1至{NAME_LENGTH}个字", en))
    if len(note) > NOTE_LENGTH or not is_storable(note):
        faults["note"] = too_long(NOTE_LENGTH)
    if faults:
        raise RecordError(faults)


def too_long(most: int) -> Wrong:
    return Wrong(f"最多{most}个字，不能含有控制字符", f"at most {most} characters, none of them NUL")
