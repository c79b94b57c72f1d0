"""Market patrols (P10): what was found and heard, and what was done about it.

Nothing is overwritten: a change is a further revision, and a record that was entered by mistake is withdrawn.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, Row, and_, func, insert, select, true

from monitor.schema_entry import patrol
from monitor.store import forms, records
from monitor.store.database import Database
from monitor.store.text import is_storable, moment, seconds
from thresholds.records import Record, Wrong

NAME_LENGTH, BODY_LENGTH, MOST_ITEMS = 200, 4000, 50
MOST_AMOUNT = 10**12
AHEAD = timedelta(minutes=10)


class PatrolKind(StrEnum):
    """What a record is about; the words of the plan, 3.2.3."""

    FINDING = "finding"
    OPINION = "opinion"
    SUPPLY = "supply"
    PRICE = "price"
    TALK = "talk"
    REMINDER = "reminder"
    PENALTY = "penalty"


@dataclass(frozen=True, slots=True)
class Patrol:
    """One record.

    place     market or trader
    document  number of a reminder (提醒告诫书) or penalty
    amount    of a penalty, in fen; None where there is none
    """

    id: str
    kind: PatrolKind
    at: datetime
    area: str
    place: str
    items: tuple[str, ...]
    body: str
    document: str = ""
    amount: int | None = None
    record_id: str = ""
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class Revision:
    """A record as it was entered or changed by `actor` at `recorded_at`; revisions count from 1."""

    patrol: Patrol
    revision: int
    actor: str
    recorded_at: datetime


class PatrolError(Exception):
    """A record that cannot be stored; `faults` says what is wrong by field."""

    def __init__(self, faults: dict[str, Wrong]) -> None:
        super().__init__("; ".join(f"{field}: {fault.en}" for field, fault in faults.items()))
        self.faults = faults


class Changed(Exception):
    """Somebody else has changed the record meanwhile."""


def problems(one: Patrol, now: datetime) -> dict[str, Wrong]:
    """What is wrong with a record, by field."""
    found: dict[str, Wrong] = {}
    if not one.body.strip():
        found["body"] = Wrong("请写明内容", "the text is missing")
    elif len(one.body) > BODY_LENGTH or not is_storable(one.body):
        found["body"] = Wrong(f"最多{BODY_LENGTH}个字，不能含有控制字符", f"at most {BODY_LENGTH} characters")
    if not one.area.strip():
        found["area"] = Wrong("请选择区域", "the area is missing")
    for field in ("area", "place", "document"):
        text = getattr(one, field)
        if len(text) > NAME_LENGTH or not is_storable(text):
            found[field] = Wrong(f"最多{NAME_LENGTH}个字，不能含有控制字符", f"at most {NAME_LENGTH} characters")
    if len(one.items) > MOST_ITEMS or any(
        not i.strip() or len(i) > NAME_LENGTH or not is_storable(i) for i in one.items
    ):
        found["items"] = Wrong(f"最多{MOST_ITEMS}个品种，每个至多{NAME_LENGTH}个字", f"at most {MOST_ITEMS} items")
    if one.kind is PatrolKind.REMINDER and not one.document.strip():
        found["document"] = Wrong("请写提醒告诫书的文号", "the number of the reminder is missing")
    if one.kind is PatrolKind.PENALTY and not one.document.strip():
        found["document"] = Wrong("请写处罚决定书的文号", "the number of the penalty is missing")
    if one.amount is not None and not 0 <= one.amount <= MOST_AMOUNT:
        found["amount"] = Wrong("罚没金额应为不小于零的数", "the amount is negative or too large")
    if one.at > now + AHEAD:
        found["at"] = Wrong("时间不能晚于现在", "the time lies in the future")
    return found


def add(
    db: Database,
    one: Patrol,
    actor: str,
    now: datetime,
    *,
    form_id: str = "",
    seen: Record | None = None,
) -> Revision:
    """Store a new record under an id of its own; with `seen` also what the rules are to know of it (抢购, 流言, …).

    All in one transaction. Raises PatrolError, records.RecordError, forms.AlreadyStored.
    """
    faults = problems(one, now)
    if faults:
        raise PatrolError(faults)
    new = replace(one, id=uuid4().hex[:12])
    if seen is not None:
        seen = replace(seen, id=uuid4().hex[:12])
        records.check(seen, one.body[: records.NOTE_LENGTH], None)
        new = replace(new, record_id=seen.id)
    with db.begin() as connection:
        if form_id:
            forms.claim(connection, actor, form_id)
        if seen is not None:
            records.store(connection, seen, 1, one.body[: records.NOTE_LENGTH], actor, now)
            records.mark(db, connection, [seen], now)
        made = _store(connection, new, 1, actor, now)
        if form_id:
            forms.keep(connection, actor, form_id, "patrol", now, {"id": new.id})
    return made


def withdraw(db: Database, patrol_id: str, revision: int, actor: str, now: datetime) -> Revision:
    """Take a record back: a further revision. Raises KeyError, Changed."""
    with db.begin() as connection:
        found = _newest(connection, patrol.c.id == patrol_id, 1)
        if not found:
            raise KeyError(patrol_id)
        before = found[0]
        if before.revision != revision or before.patrol.withdrawn:
            raise Changed
        return _store(connection, replace(before.patrol, withdrawn=True), revision + 1, actor, now)


def get(db: Database, patrol_id: str) -> Revision | None:
    """The newest revision of a record."""
    with db.connect() as connection:
        found = _newest(connection, patrol.c.id == patrol_id, 1)
    return found[0] if found else None


def list_patrols(
    db: Database,
    *,
    where: ColumnElement[bool] | None = None,
    kind: PatrolKind | None = None,
    area: str | None = None,
    after: tuple[int, str] | None = None,
    limit: int = 50,
) -> list[Revision]:
    """The newest revision of each record, the latest first.

    `after` is (epoch seconds, id) of the last one of the page before; `where` is about columns of `patrol`.
    """
    wanted: list[ColumnElement[bool]] = [] if where is None else [where]
    if kind is not None:
        wanted.append(patrol.c.kind == kind)
    if area is not None:
        wanted.append(patrol.c.area == area)
    if after is not None:
        at, last = after
        wanted.append((patrol.c.at < at) | ((patrol.c.at == at) & (patrol.c.id > last)))
    with db.connect() as connection:
        return _newest(connection, and_(true(), *wanted), limit)


def _newest(connection: Connection, where: ColumnElement[bool], limit: int) -> list[Revision]:
    newer = patrol.alias("newer")
    query = select(patrol).where(
        where,
        ~select(newer.c.id).where(newer.c.id == patrol.c.id, newer.c.revision > patrol.c.revision).exists(),
    )
    query = query.order_by(patrol.c.at.desc(), patrol.c.id).limit(limit)
    return [_revision(row) for row in connection.execute(query)]


def count_since(db: Database, since: datetime, where: ColumnElement[bool] | None = None) -> dict[PatrolKind, int]:
    """How many records of each kind since a time, without those that were withdrawn."""
    newer = patrol.alias("newer")
    query = (
        select(patrol.c.kind, func.count())
        .where(patrol.c.at >= seconds(since), ~patrol.c.withdrawn)
        .where(~select(newer.c.id).where(newer.c.id == patrol.c.id, newer.c.revision > patrol.c.revision).exists())
        .group_by(patrol.c.kind)
    )
    if where is not None:
        query = query.where(where)
    with db.connect() as connection:
        return {PatrolKind(kind): n for kind, n in connection.execute(query)}


def _store(connection: Connection, one: Patrol, revision: int, actor: str, now: datetime) -> Revision:
    connection.execute(
        insert(patrol).values(
            id=one.id,
            revision=revision,
            kind=str(one.kind),
            at=seconds(one.at),
            area=one.area,
            place=one.place,
            items=list(one.items),
            body=one.body,
            document=one.document,
            amount=one.amount,
            record_id=one.record_id,
            withdrawn=one.withdrawn,
            actor=actor,
            recorded_at=seconds(now),
        )
    )
    return Revision(one, revision, actor, moment(seconds(now)))


def _revision(row: Row[Any]) -> Revision:
    one = Patrol(
        id=row.id,
        kind=PatrolKind(row.kind),
        at=moment(row.at),
        area=row.area,
        place=row.place,
        items=tuple(row.items),
        body=row.body,
        document=row.document,
        amount=row.amount,
        record_id=row.record_id,
        withdrawn=row.withdrawn,
    )
    return Revision(one, row.revision, row.actor, moment(row.recorded_at))
