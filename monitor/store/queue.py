"""Putting notifications into the outbox, in the transaction of whatever they tell of."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, insert

from alerts.notify import NewNotification
from alerts.outbox import State
from monitor.schema import notification, notification_flag
from monitor.store.database import insert_into
from monitor.store.text import seconds, storable


def queue(connection: Connection, notifications: Sequence[NewNotification]) -> int:
    """Queue them; one whose key is queued already, or was once, is left out. Gives how many were new."""
    queued = 0
    for one in notifications:
        row = insert_into(connection, notification).values(
            key=one.key,
            flag_id=one.flag_id,
            change=one.change,
            rank=one.rank,
            person=storable(one.person),
            channel=one.channel,
            address=storable(one.address),
            subject=storable(one.subject),
            body=storable(one.body),
            payload=dict(one.payload),
            created_at=seconds(one.created_at),
            not_before=seconds(one.not_before),
            expires_at=seconds(one.expires_at),
            state=str(State.PENDING),
            ack_hash=one.ack_hash,
        )
        new_id = connection.execute(row.on_conflict_do_nothing().returning(notification.c.id)).scalar()
        if new_id is None:
            continue
        queued += 1
        if one.changes:
            connection.execute(
                insert(notification_flag),
                [
                    {"notification_id": new_id, "flag_id": flag_id, "change": change}
                    for flag_id, change in dict(one.changes).items()
                ],
            )
    return queued
