"""The audit: who saw and did what, and when (P27, F8). Rows are added, never changed or removed by the program."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

from sqlalchemy import Column, ColumnElement, Connection, RowMapping, func, insert, or_, select

from monitor.rights import Visitor
from monitor.schema_console import audit
from monitor.store.database import Database
from monitor.store.text import moment, seconds, storable

Act = Literal[
    # looking
    "view", "download",
    # signing in, and one's own account
    "signin", "signin.refused", "signin.code_refused", "signin.oidc_refused", "signout", "password.changed",
    "second_factor.set", "second_factor.removed", "recovery_codes.made", "sessions.ended",
    # review
    "flag.review", "flag.undo", "flag.assign", "flag.note", "point.ask", "question.answer", "observation.correct",
    # data entry and records
    "entry.report", "entry.upload", "entry.commit", "entry.discard", "entry.complaints",
    "patrol.add", "patrol.withdraw", "record.decide", "record.end", "duty.add", "duty.change", "duty.end",
    # reports
    "make", "edit", "redraw", "sign", "reopen",
    # accounts and rights
    "account.made", "account.roles", "account.facts", "account.on", "account.off", "account.unlocked",
    "account.password_reset", "account.second_factor_reset", "account.sessions_ended",
    "role.changed", "token.made", "token.revoked",
]  # fmt: skip
"""What somebody can have done, as it is stored; monitor/web/console/audit_words.py has the words for each."""
ACTS: tuple[Act, ...] = get_args(Act)
LOOKING: tuple[Act, ...] = ("view", "download")
Detail = Mapping[str, Any] | str
AGAIN_AFTER = timedelta(minutes=10)
REMEMBERED = 20_000
LENGTH = 300
CLOCK_SLACK = 86_400
"""Seconds that the clock may have been set back by without a line being missed in a period"""


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
    action: Act,
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
        self, db: Database, visitor: Visitor, object: str, now: datetime, *, action: Act = "view", detail: Detail = ""
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


@dataclass(frozen=True, slots=True)
class Asked:
    """Which lines: all that match every field given.

    actors, objects   any of these; one that ends in `*` stands for all that begin so
    actions  any of these; `but` is none of these
    since, until   from then on, before then
    """

    actors: Collection[str] = ()
    objects: Collection[str] = ()
    actions: Collection[str] = ()
    but: Collection[str] = ()
    since: datetime | None = None
    until: datetime | None = None


def look_up(db: Database, asked: Asked, *, before: int | None = None, limit: int = 100) -> list[Entry]:
    """The newest first. `before` is an id."""
    c = audit.c
    query = select(audit).order_by(c.id.desc()).limit(limit)
    if asked.actors:
        query = query.where(or_(*(_like(c.actor, one) for one in asked.actors)))
    if asked.objects:
        query = query.where(or_(*(_like(c.object, one) for one in asked.objects)))
    if len(asked.actions) == 1:
        query = query.where(c.action == next(iter(asked.actions)))
    elif asked.actions:
        query = query.where(c.action.in_(sorted(asked.actions)))
    if asked.but:
        query = query.where(c.action.not_in(sorted(asked.but)))
    if before is not None:
        query = query.where(c.id < before)
    with db.connect() as connection:
        if asked.since is not None:
            at = seconds(asked.since)
            query = query.where(c.at >= at, c.id >= _first_since(connection, at - CLOCK_SLACK))
        if asked.until is not None:
            at = seconds(asked.until)
            query = query.where(c.at < at, c.id < _first_since(connection, at + CLOCK_SLACK))
        return [_entry(row) for row in connection.execute(query).mappings()]


def entries(
    db: Database, *, actor: str = "", object: str = "", action: str = "", before: int | None = None, limit: int = 100
) -> list[Entry]:
    """The same for one actor and one action."""
    asked = Asked(
        actors=[actor] if actor else (), objects=[object] if object else (), actions=[action] if action else ()
    )
    return look_up(db, asked, before=before, limit=limit)


def _like(column: Column[str], text: str) -> ColumnElement[bool]:
    """Equal, or beginning so where `text` ends in an asterisk: both are found by an index."""
    if not text.endswith("*"):
        return column == text
    prefix = text.removesuffix("*")
    return (column >= prefix) & (column < prefix + "\U0010ffff")


def _first_since(connection: Connection, at: int) -> int:
    """The number of about the first line that was written at or after `at`, one beyond the last where there is none:
    numbers grow with time, so halving finds it by a few looks at the primary key, and no index on the time is needed.
    """
    c = audit.c
    low, high = 0, (connection.execute(select(func.max(c.id))).scalar() or 0) + 1
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(select(c.id, c.at).where(c.id >= middle).order_by(c.id).limit(1)).first()
        if row is None or row.at >= at:
            high = middle
        else:
            low = row.id + 1
    return low


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
