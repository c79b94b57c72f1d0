"""Making messages final without an attempt: what is too old, and what nobody needs any more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, select, update

from alerts.outbox import Expired, State
from monitor.schema import notification
from monitor.schema import notification_flag as link
from monitor.store import outbox_needed as needed
from monitor.store.text import moment

CUT = "（已失效）"


def close(connection: Connection, where: ColumnElement[bool], state: State, reason: str) -> list[Expired]:
    """Make rows final without an attempt; gives them. What expires keeps an earlier reason, where there is one."""
    closed: list[Expired] = []
    for row in connection.execute(select(notification).where(where).order_by(notification.c.id)).all():
        kept = (row.last_reason if state is State.EXPIRED else "") or reason
        values = {"state": state.value, "last_reason": kept, **without_token(row.body, row.payload)}
        connection.execute(update(notification).where(notification.c.id == row.id).values(values))
        at = moment(row.created_at)
        closed.append(Expired(row.channel, row.key, row.person, at, row.attempts, row.uncertain, kept))
    return closed


def without_token(body: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Body and payload without the acknowledge token, of which only the hash stays."""
    ack_link = str(payload.get("ack_link") or "")
    if not ack_link:
        return {}
    front = ack_link.rpartition("/")[0]
    return {"body": body.replace(ack_link, f"{front}/{CUT}"), "payload": {**payload, "ack_link": ""}}


def cancel(connection: Connection, pending: ColumnElement[bool]) -> int:
    """Cancel those of the pending messages whose alarms are answered, or over before the second way was used."""
    answered = close(connection, and_(pending, needed.answered()), State.CANCELLED, "answered")
    return len(answered) + len(close(connection, and_(pending, needed.late_and_over()), State.CANCELLED, "over"))


def cancel_for_flag(connection: Connection, flag_id: str) -> int:
    """Cancel the pending messages about a flag that nobody needs any more. Call it in the transaction that
    acknowledged, reviewed or withdrew the flag; the sender's tidying would find them too, a round later."""
    return cancel_about(connection, select(link.c.notification_id).where(link.c.flag_id == flag_id))


def cancel_about(connection: Connection, ids: Select[tuple[int]]) -> int:
    """The same for the messages with these numbers."""
    return cancel(connection, and_(notification.c.state == State.PENDING.value, notification.c.id.in_(ids)))
