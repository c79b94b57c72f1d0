"""Acknowledging messages, and with them the flags that they told of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ColumnElement, Connection, Select, and_, case, insert, literal, select, update

from alerts.outbox import State
from monitor.schema import flag, flag_log, notification
from monitor.schema import notification_flag as link
from monitor.store import outbox_needed as needed
from monitor.store.database import Database
from monitor.store.outbox_final import cancel_about, without_token
from monitor.store.text import moment, seconds, storable


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
        row = connection.execute(select(notification).where(which).with_for_update()).first()
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
        values |= {"lease_until": None, **without_token(row.body, row.payload)}
        connection.execute(update(notification).where(notification.c.id == row.id).values(values))
        cancel_about(connection, select(link.c.notification_id).where(link.c.flag_id.in_(alarms)))
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
        )
    )
    connection.execute(statement)
