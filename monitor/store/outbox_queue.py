"""Queueing messages in the transaction of what they tell of, and whom earlier messages went to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, insert, or_, select

from alerts.notify import NewNotification, Target
from alerts.outbox import State
from monitor.schema import notification
from monitor.schema import notification_flag as link
from monitor.store import outbox_needed as needed
from monitor.store.database import insert_into
from monitor.store.text import seconds, storable

CHUNK = 500


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
    statement = insert_into(connection, notification).values(values).on_conflict_do_nothing(index_elements=["key"])
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
