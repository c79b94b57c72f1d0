"""The audit: who saw and did what, and when (P27, F8). Rows are added, never changed or removed by the program."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select

from monitor.rights import Visitor
from monitor.schema_console import audit
from monitor.store.database import Database
from monitor.store.text import moment, seconds, storable

Detail = Mapping[str, Any] | str
AGAIN_AFTER = timedelta(minutes=10)
REMEMBERED = 20_000
LENGTH = 300


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the audit. `object` is "<what>:<which>", such as flag:…, item:…, account:…"""

    id: int
    at: datetime
    actor: str
    action: str
    object: str
    detail: Mapping[str, Any]
    address: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Where:
    """Where an act came from."""

    address: str = ""
    request_id: str = ""


def note(
    target: Database | Connection,
    who: Visitor | str,
    action: str,
    object: str,
    detail: Detail,
    now: datetime,
    *,
    where: Where | None = None,
) -> None:
    """Write one line, within the caller's transaction where a connection is given, else in one of its own.

    `who` is the visitor, or an actor such as "user:甲", "cli", "anonymous". Never put a secret into `detail`.
    """
    if where is None:
        where = Where(who.session.address, who.session.request_id) if isinstance(who, Visitor) else Where()
    given = {"text": detail} if isinstance(detail, str) and detail else dict(detail or {})
    row = insert(audit).values(
        at=seconds(now),
        actor=storable(actor_of(who))[:LENGTH],
        action=action,
        object=storable(object)[:LENGTH],
        detail=given,
        address=where.address,
        request_id=where.request_id,
    )
    if isinstance(target, Connection):
        target.execute(row)
        return
    with target.begin() as connection:
        connection.execute(row)


def actor_of(who: Visitor | str) -> str:
    return who if isinstance(who, str) else who.actor


class Views:
    """Notes what people look at, the same thing by the same session once in ten minutes: a page that refreshes itself
    would otherwise fill the audit. Remembers a bounded number; one per application."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: OrderedDict[tuple[str, str, str], datetime] = OrderedDict()

    def note(
        self, db: Database, visitor: Visitor, object: str, now: datetime, *, action: str = "view", detail: Detail = ""
    ) -> None:
        """Write that the visitor saw `object`, before it is shown. Raises StoreError."""
        key = (visitor.session.id, action, object)
        with self._lock:
            last = self._seen.get(key)
            if last is not None and abs(now - last) < AGAIN_AFTER:
                return
        note(db, visitor, action, object, detail, now)
        with self._lock:
            self._seen[key] = now
            self._seen.move_to_end(key)
            while len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)


def entries(
    db: Database, *, actor: str = "", object: str = "", action: str = "", before: int | None = None, limit: int = 100
) -> list[Entry]:
    """The newest first. `actor`, `object` and `action` are exact; `object` may end in `*`. `before` is an id."""
    query = select(audit).order_by(audit.c.id.desc()).limit(limit)
    if actor:
        query = query.where(audit.c.actor == actor)
    if object.endswith("*"):
        prefix = object.removesuffix("*")
        query = query.where(audit.c.object >= prefix, audit.c.object < prefix + "\U0010ffff")
    elif object:
        query = query.where(audit.c.object == object)
    if action:
        query = query.where(audit.c.action == action)
    if before is not None:
        query = query.where(audit.c.id < before)
    with db.connect() as connection:
        return [_entry(row) for row in connection.execute(query).mappings()]


def _entry(row: RowMapping) -> Entry:
    return Entry(
        row["id"],
        moment(row["at"]),
        row["actor"],
        row["action"],
        row["object"],
        row["detail"],
        row["address"],
        row["request_id"],
    )
