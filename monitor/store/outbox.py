"""The outbox as rows: queue in the caller's transaction, lease, settle, cancel, acknowledge, count.

A message is claimed by a conditional UPDATE whose row count tells who won. Nothing here sends, or knows a clock. What
is final holds no acknowledge token any more: it is cut out of text and payload, and only its hash stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ColumnElement, Connection, Select, and_, case, func, insert, literal, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from alerts.notify import NewNotification, Target
from alerts.outbox import FINAL, Decision, Leased, Policy, State
from monitor.schema import flag, flag_log, notification
from monitor.schema import notification_flag as link
from monitor.store import needed
from monitor.store.database import Database
from monitor.store.text import moment, moment_or_none, seconds, storable

CHUNK = 500
CLOCK_SLACK = 60  # seconds that a lease may seem too long before the clock is held to have been set back
CUT = "（已失效）"


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What an acknowledge link did. `first` is false when it had been followed before: nothing was changed then.

    flags       the flags that the message told of
    superseded  those of them that were raised to a higher grade since: their newer message is to be acknowledged
    """

    notification_id: int
    flags: tuple[str, ...]
    superseded: tuple[str, ...]
    by: str
    at: datetime
    first: bool


@dataclass(frozen=True, slots=True)
class Record:
    """One message as it stands, for lists: without its text and without any token."""

    id: int
    key: str
    change: str
    person: str
    channel: str
    address: str
    subject: str
    state: State
    attempts: int
    uncertain: int
    created_at: datetime
    expires_at: datetime
    sent_at: datetime | None
    last_reason: str
    last_error: str
    acked_at: datetime | None
    acked_by: str


def enqueue(connection: Connection, notifications: Sequence[NewNotification]) -> int:
    """Queue messages within the caller's transaction; gives how many were new.

    A key that is there already is not queued again, except where it is news once more: the earlier message never
    reached anybody (cancelled, failed or expired), or something else was said of the flag in between (withdrawn,
    then flagged again). Such a message gets the key with a number behind it.
    """
    return sum(_enqueue_one(connection, new) for new in notifications)


def _enqueue_one(connection: Connection, new: NewNotification) -> bool:
    made = _insert(connection, new, new.key)
    if made is None:
        family = or_(notification.c.key == new.key, notification.c.key.like(f"{new.key}.%"))
        known = select(notification.c.id, notification.c.state, notification.c.uncertain).where(family)
        rows = connection.execute(known.order_by(notification.c.id)).all()
        if not _news_again(connection, new, rows[-1]):
            return False
        made = _insert(connection, new, f"{new.key}.{len(rows) + 1}")
    if made is not None and new.changes:
        rows_of_flags = [
            {"notification_id": made, "flag_id": flag_id, "change": change}
            for flag_id, change in dict(new.changes).items()
        ]
        connection.execute(insert(link), rows_of_flags)
    return made is not None


def _insert(connection: Connection, new: NewNotification, key: str) -> int | None:
    """The new row's id, or None where the key exists."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    values = {
        "key": key,
        "flag_id": new.flag_id,
        "change": new.change,
        "rank": new.rank,
        "person": new.person,
        "channel": new.channel,
        "address": new.address,
        "subject": storable(new.subject),
        "body": storable(new.body),
        "payload": dict(new.payload),
        "created_at": seconds(new.created_at),
        "not_before": seconds(new.not_before),
        "expires_at": seconds(new.expires_at),
        "state": State.PENDING.value,
        "ack_hash": new.ack_hash,
    }
    statement = dialect.insert(notification).values(values).on_conflict_do_nothing(index_elements=["key"])
    made: int | None = connection.execute(statement.returning(notification.c.id)).scalar()
    return made


def _news_again(connection: Connection, new: NewNotification, earlier: Any) -> bool:
    unheard = (State.CANCELLED, State.FAILED, State.EXPIRED)
    if earlier.state in unheard and not earlier.uncertain:
        return True
    said = (
        select(link.c.flag_id, link.c.change)
        .join(notification, notification.c.id == link.c.notification_id)
        .where(
            notification.c.id > earlier.id,
            notification.c.channel == new.channel,
            notification.c.address == new.address,
            link.c.flag_id.in_([flag_id for flag_id, _ in new.changes][:CHUNK]),
        )
    )
    changes = dict(new.changes)
    return any(changes[row.flag_id] != row.change for row in connection.execute(said))


def told(connection: Connection, flag_ids: Sequence[str]) -> dict[str, tuple[Target, ...]]:
    """Whom messages about these flags went to, or are about to go to: {flag id: targets}, without duplicates."""
    found: dict[str, dict[Target, None]] = {}
    for start in range(0, len(flag_ids), CHUNK):
        query = (
            select(link.c.flag_id, notification.c.channel, notification.c.address, notification.c.person)
            .join(notification, notification.c.id == link.c.notification_id)
            .where(
                link.c.flag_id.in_(flag_ids[start : start + CHUNK]), needed.raising(link), needed.heard(notification)
            )
            .order_by(notification.c.id)
        )
        for row in connection.execute(query):
            found.setdefault(row.flag_id, {})[Target(row.channel, row.address, row.person)] = None
    return {flag_id: tuple(targets) for flag_id, targets in found.items()}


def tidy(db: Database, channel: str, now: datetime, policy: Policy) -> int:
    """Take back leases that ran out, expire what is too old, cancel what is no longer needed. Gives how many changed.

    One transaction; none where the channel has nothing under way.
    """
    under_way = and_(
        notification.c.channel == channel, notification.c.state.in_([State.PENDING.value, State.LEASED.value])
    )
    with db.connect() as connection:
        if connection.execute(select(notification.c.id).where(under_way).limit(1)).first() is None:
            return 0
    at = seconds(now)
    longest = at + int(policy.lease.total_seconds()) + CLOCK_SLACK
    pending = and_(notification.c.channel == channel, notification.c.state == State.PENDING.value)
    with db.begin() as connection:
        lost = or_(notification.c.lease_until <= at, notification.c.lease_until > longest)
        count = _take_back(connection, and_(notification.c.channel == channel, lost), at)
        count += _close(connection, and_(pending, notification.c.expires_at <= at), State.EXPIRED, "too_old")
        count += _cancel(connection, pending)
        count += _close(connection, and_(pending, needed.nothing_to_lift()), State.CANCELLED, "never_told")
    return count


def _cancel(connection: Connection, pending: ColumnElement[bool]) -> int:
    count = _close(connection, and_(pending, needed.answered()), State.CANCELLED, "answered")
    return count + _close(connection, and_(pending, needed.late_and_over()), State.CANCELLED, "over")


def recover(db: Database, now: datetime) -> int:
    """At the start of the only daemon of this database: every lease is a dead sender's. Gives how many were."""
    with db.begin() as connection:
        return _take_back(connection, None, seconds(now))


def _take_back(connection: Connection, where: ColumnElement[bool] | None, at: int) -> int:
    """Leased -> pending at once, with one more attempt of unknown outcome: it goes out as a repeat."""
    statement = update(notification).where(notification.c.state == State.LEASED.value)
    if where is not None:
        statement = statement.where(where)
    values = {
        "state": State.PENDING.value,
        "uncertain": notification.c.uncertain + 1,
        "not_before": at,
        "lease_owner": "",
        "lease_until": None,
        "last_reason": "lease_ran_out",
        "last_error": "the sender died or took too long; whether the message arrived is unknown",
    }
    return connection.execute(statement.values(values)).rowcount


def _close(connection: Connection, where: ColumnElement[bool], state: State, reason: str) -> int:
    """Make rows final without an attempt. The reason that kept them from going before is kept, where there is one."""
    columns = (notification.c.id, notification.c.body, notification.c.payload, notification.c.last_reason)
    rows = connection.execute(select(*columns).where(where)).all()
    for row in rows:
        values = {
            "state": state.value,
            "last_reason": row.last_reason or reason,
            **_without_token(row.body, row.payload),
        }
        connection.execute(update(notification).where(notification.c.id == row.id).values(values))
    return len(rows)


def _without_token(body: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Body and payload without the acknowledge token, of which only the hash stays."""
    ack_link = str(payload.get("ack_link") or "")
    if not ack_link:
        return {}
    front = ack_link.rpartition("/")[0]
    return {"body": body.replace(ack_link, f"{front}/{CUT}"), "payload": {**payload, "ack_link": ""}}


def lease(db: Database, channel: str, owner: str, now: datetime, policy: Policy) -> Leased | None:
    """Claim a message that is due on `channel`: the highest grade first, then the longest due. None: nothing is."""
    at = seconds(now)
    waiting = and_(
        notification.c.channel == channel,
        notification.c.state == State.PENDING.value,
        notification.c.expires_at > at,
        needed.due(at, int(policy.longest_wait.total_seconds())),
        needed.in_order(),
    )
    order = (notification.c.rank.desc(), notification.c.not_before, notification.c.id)
    pick = select(notification.c.id, notification.c.attempts).where(waiting).order_by(*order).limit(1)
    with db.connect() as connection:
        if connection.execute(pick).first() is None:
            return None
    until = now + policy.lease
    with db.begin() as connection:
        picked = connection.execute(pick).first()
        if picked is None:
            return None
        claim = (
            update(notification)
            .where(
                notification.c.id == picked.id,
                notification.c.state == State.PENDING.value,
                notification.c.attempts == picked.attempts,
            )
            .values(
                state=State.LEASED.value,
                attempts=notification.c.attempts + 1,
                lease_owner=owner,
                lease_until=seconds(until),
            )
        )
        if connection.execute(claim).rowcount != 1:
            return None  # another sender was quicker; the next round looks again
        row = connection.execute(select(notification).where(notification.c.id == picked.id)).one()
    return _leased(row, owner, until)


def _leased(row: Any, owner: str, until: datetime) -> Leased:
    return Leased(
        id=row.id,
        key=row.key,
        channel=row.channel,
        address=row.address,
        person=row.person,
        flag_id=row.flag_id,
        subject=row.subject,
        body=row.body,
        payload=row.payload,
        created_at=moment(row.created_at),
        expires_at=moment(row.expires_at),
        attempt=row.attempts,
        uncertain=row.uncertain,
        owner=owner,
        until=until,
    )


def settle(db: Database, leased: Leased, decision: Decision, now: datetime) -> bool:
    """Write down what became of a leased message. False when another sender has it by now, or it was acknowledged.

    A lease that ran out, and was taken back but not given out again, is still settled: what is known is better
    than "unknown".
    """
    values: dict[str, Any] = {
        "state": decision.state.value,
        "not_before": seconds(decision.not_before),
        "lease_owner": "",
        "lease_until": None,
        "last_reason": decision.reason,
        "last_error": storable(decision.detail)[:500] if decision.state != State.SENT else "",
        "provider_id": storable(decision.provider_id)[:200],
    }
    if decision.uncertain:
        values["uncertain"] = case(
            (notification.c.state == State.LEASED.value, notification.c.uncertain + 1),
            else_=notification.c.uncertain,  # counted when the lease was taken back
        )
    if decision.state == State.SENT:
        values["sent_at"] = seconds(now)
    if decision.state in FINAL:
        values.update(_without_token(leased.body, leased.payload))
    statement = (
        update(notification)
        .where(
            notification.c.id == leased.id,
            notification.c.attempts == leased.attempt,
            or_(
                notification.c.state == State.PENDING.value,
                and_(notification.c.state == State.LEASED.value, notification.c.lease_owner == leased.owner),
            ),
        )
        .values(values)
    )
    with db.begin() as connection:
        return connection.execute(statement).rowcount == 1


def cancel_for_flag(connection: Connection, flag_id: str) -> int:
    """Cancel the pending messages about a flag that nobody needs any more. Call it in the transaction that
    acknowledged, reviewed or withdrew the flag; the sender's tidying would find them too, a round later."""
    return _cancel_about(connection, select(link.c.notification_id).where(link.c.flag_id == flag_id))


def _cancel_about(connection: Connection, ids: Select[tuple[int]]) -> int:
    return _cancel(connection, and_(notification.c.state == State.PENDING.value, notification.c.id.in_(ids)))


def find_by_token(connection: Connection, token_hash: str) -> Record | None:
    """The message whose acknowledge link this is, to show what is about to be acknowledged. Changes nothing."""
    if not token_hash:
        return None
    row = connection.execute(select(notification).where(notification.c.ack_hash == token_hash)).first()
    return None if row is None else _record(row)


def acknowledge_by_token(db: Database, token_hash: str, now: datetime) -> Acknowledged | None:
    """Follow an acknowledge link: the message and the flags it told of are acknowledged in one transaction, and
    what is still pending about them is cancelled. None when no message has this token.

    A flag that was raised after this message is not acknowledged by it: the person has not seen that yet.
    """
    return _acknowledge(db, notification.c.ack_hash == token_hash, "", now) if token_hash else None


def acknowledge(db: Database, notification_id: int, by: str, now: datetime) -> Acknowledged | None:
    """The same for a message named by its id, in the name of `by`. None when there is no such message."""
    return _acknowledge(db, notification.c.id == notification_id, storable(by), now)


def _acknowledge(db: Database, which: ColumnElement[bool], by: str, now: datetime) -> Acknowledged | None:
    at = seconds(now)
    with db.begin() as connection:
        row = connection.execute(select(notification).where(which)).first()
        if row is None:
            return None
        alarms = select(link.c.flag_id).where(link.c.notification_id == row.id, needed.raising(link))
        flags: tuple[str, ...] = tuple(sorted(connection.scalars(alarms)))
        since = _raised_since(alarms, row)
        superseded: tuple[str, ...] = tuple(sorted(connection.scalars(since)))
        by = row.acked_by or by or row.person or f"{row.channel}: {row.address}"
        if row.acked_at is not None:
            return Acknowledged(row.id, flags, superseded, by, moment(row.acked_at), first=False)
        _acknowledge_flags(connection, and_(flag.c.id.in_(alarms), flag.c.id.not_in(since)), by, at, row.key)
        values = {"state": State.ACKNOWLEDGED.value, "acked_at": at, "acked_by": by, "lease_owner": ""}
        values |= {"lease_until": None, **_without_token(row.body, row.payload)}
        connection.execute(update(notification).where(notification.c.id == row.id).values(values))
        _cancel_about(connection, select(link.c.notification_id).where(link.c.flag_id.in_(alarms)))
        return Acknowledged(row.id, flags, superseded, by, moment(at), first=True)


def _raised_since(alarms: Select[tuple[str]], row: Any) -> Select[tuple[str]]:
    """Those of the alarms that were raised after message `row`, in a message that nobody has acknowledged."""
    return (
        select(link.c.flag_id)
        .join(notification, notification.c.id == link.c.notification_id)
        .where(
            link.c.flag_id.in_(alarms),
            link.c.change.like("raised%"),
            notification.c.id > row.id,
            notification.c.created_at > row.created_at,
            notification.c.acked_at.is_(None),
        )
        .distinct()
    )


def _acknowledge_flags(connection: Connection, which: ColumnElement[bool], by: str, at: int, key: str) -> None:
    """The same step as flags.acknowledge: the first one counts, later ones only stand in the log."""
    log = select(flag.c.id, literal(at), literal(by), literal("acknowledged"), literal({"message": key}, JSON)).where(
        which
    )
    connection.execute(insert(flag_log).from_select(["flag_id", "at", "actor", "action", "detail"], log))
    statement = (
        update(flag)
        .where(which, flag.c.acknowledged_at.is_(None))
        .values(
            acknowledged_at=at,
            acknowledged_by=by,
            state=case((flag.c.state == "open", "acknowledged"), else_=flag.c.state),
            updated_at=at,
            revision=flag.c.revision + 1,
        )
    )
    connection.execute(statement)


def counts(db: Database) -> dict[tuple[str, str], int]:
    """{(channel, state): number of messages}, for metrics. States that no message has are absent."""
    query = select(notification.c.channel, notification.c.state, func.count()).group_by(
        notification.c.channel, notification.c.state
    )
    with db.connect() as connection:
        return {(channel, state): number for channel, state, number in connection.execute(query)}


def oldest_pending(db: Database, now: datetime) -> dict[str, int]:
    """{channel: seconds since the oldest message that ought to be out was queued}; channels with none are absent."""
    at = seconds(now)
    waiting = and_(
        notification.c.state.in_([State.PENDING.value, State.LEASED.value]),
        or_(notification.c.attempts > 0, notification.c.not_before <= at),
    )
    query = select(notification.c.channel, func.min(notification.c.created_at)).where(waiting)
    with db.connect() as connection:
        rows = connection.execute(query.group_by(notification.c.channel)).all()
    return {channel: max(0, at - oldest) for channel, oldest in rows}


def for_flag(connection: Connection, flag_id: str) -> list[Record]:
    """Every message about a flag, the oldest first: who was told what, and what became of it."""
    query = (
        select(notification)
        .join(link, link.c.notification_id == notification.c.id)
        .where(link.c.flag_id == flag_id)
        .order_by(notification.c.id)
    )
    return [_record(row) for row in connection.execute(query)]


def _record(row: Any) -> Record:
    return Record(
        id=row.id,
        key=row.key,
        change=row.change,
        person=row.person,
        channel=row.channel,
        address=row.address,
        subject=row.subject,
        state=State(row.state),
        attempts=row.attempts,
        uncertain=row.uncertain,
        created_at=moment(row.created_at),
        expires_at=moment(row.expires_at),
        sent_at=moment_or_none(row.sent_at),
        last_reason=row.last_reason,
        last_error=row.last_error,
        acked_at=moment_or_none(row.acked_at),
        acked_by=row.acked_by,
    )


@dataclass(frozen=True, slots=True)
class Outbox:
    """The three steps that `alerts.outbox.deliver` takes, bound to a database."""

    db: Database

    def tidy(self, channel: str, now: datetime, policy: Policy) -> int:
        return tidy(self.db, channel, now, policy)

    def lease(self, channel: str, owner: str, now: datetime, policy: Policy) -> Leased | None:
        return lease(self.db, channel, owner, now, policy)

    def settle(self, leased: Leased, decision: Decision, now: datetime) -> bool:
        return settle(self.db, leased, decision, now)
