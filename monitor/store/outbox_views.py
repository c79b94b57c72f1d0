"""Reading the outbox: what stands in it, for people and for metrics."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, func, or_, select

from alerts.outbox import State
from monitor.schema import notification
from monitor.schema import notification_flag as link
from monitor.store.database import Database
from monitor.store.text import moment, moment_or_none, seconds


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


def find_by_token(connection: Connection, token_hash: str) -> Record | None:
    """The message whose acknowledge link this is, to show what is about to be acknowledged. Changes nothing."""
    if not token_hash:
        return None
    row = connection.execute(select(notification).where(notification.c.ack_hash == token_hash)).first()
    return None if row is None else _record(row)


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
