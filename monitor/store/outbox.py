"""The outbox as rows: lease, settle, tidy. Queueing, acknowledging and reading are in the files beside it.

A message is claimed by a conditional UPDATE whose row count tells who won. Nothing here sends, or knows a clock. What
is final holds no acknowledge token any more: it is cut out of text and payload, and only its hash stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, or_, select, true, update

from alerts.outbox import FINAL, Decision, Leased, Policy, State, Tidied
from monitor.schema import notification
from monitor.store import outbox_needed as needed
from monitor.store.database import Database
from monitor.store.outbox_ack import Acknowledged, acknowledge, acknowledge_by_token
from monitor.store.outbox_final import cancel, cancel_for_flag, close, without_token
from monitor.store.outbox_queue import enqueue, told
from monitor.store.outbox_views import Record, counts, find_by_token, for_flag, oldest_pending
from monitor.store.text import moment, seconds, storable

__all__ = [
    "Acknowledged",
    "Outbox",
    "Record",
    "acknowledge",
    "acknowledge_by_token",
    "cancel_for_flag",
    "counts",
    "enqueue",
    "find_by_token",
    "for_flag",
    "lease",
    "oldest_pending",
    "recover",
    "settle",
    "tidy",
    "told",
]

CLOCK_SLACK = 60  # seconds that a lease may seem too long before the clock is held to have been set back


def tidy(db: Database, channel: str | None, now: datetime, policy: Policy) -> Tidied:
    """Take back leases that ran out, cancel what is no longer needed, expire what is too old.

    One transaction; none where the channel has nothing under way. Without a channel it looks at all, also at those
    that are not configured any more: what is queued there must not stay pending for ever.
    """
    here = notification.c.channel == channel if channel is not None else true()
    under_way = and_(here, notification.c.state.in_([State.PENDING.value, State.LEASED.value]))
    with db.connect() as connection:
        if connection.execute(select(notification.c.id).where(under_way).limit(1)).first() is None:
            return Tidied()
    at = seconds(now)
    longest = at + int(policy.lease.total_seconds()) + CLOCK_SLACK
    lost = or_(notification.c.lease_until <= at, notification.c.lease_until > longest)
    pending = and_(here, notification.c.state == State.PENDING.value)
    with db.begin() as connection:
        taken_back = _take_back(connection, and_(here, lost), at)
        cancelled = cancel(connection, pending)
        cancelled += len(close(connection, and_(pending, needed.nothing_to_lift()), State.CANCELLED, "never_told"))
        expired = close(connection, and_(pending, notification.c.expires_at <= at), State.EXPIRED, "too_old")
    return Tidied(taken_back, cancelled, tuple(expired))


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
        values.update(without_token(leased.body, leased.payload))
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


@dataclass(frozen=True, slots=True)
class Outbox:
    """The three steps that `alerts.outbox.deliver` takes, bound to a database."""

    db: Database

    def tidy(self, channel: str, now: datetime, policy: Policy) -> Tidied:
        return tidy(self.db, channel, now, policy)

    def lease(self, channel: str, owner: str, now: datetime, policy: Policy) -> Leased | None:
        return lease(self.db, channel, owner, now, policy)

    def settle(self, leased: Leased, decision: Decision, now: datetime) -> bool:
        return settle(self.db, leased, decision, now)
