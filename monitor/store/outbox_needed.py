"""Conditions on notifications in SQL: which are due, in order, and still needed. The same on both databases."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, and_, exists, or_, select

from alerts.outbox import State
from monitor.schema import flag, notification
from monitor.schema import notification_flag as link

UNDER_WAY = (State.PENDING.value, State.LEASED.value)
LIFTS = ("ended", "withdrawn", "exit")


def raising(row: Any) -> ColumnElement[bool]:
    """Of a link: the message tells of something that must be acted on (opened, raised-2)."""
    condition: ColumnElement[bool] = row.c.change.not_in(LIFTS)
    return condition


def heard(row: Any) -> ColumnElement[bool]:
    """Of a message: it has arrived, may have arrived, or is about to."""
    arrived = (State.SENT.value, State.ACKNOWLEDGED.value, *UNDER_WAY)
    condition: ColumnElement[bool] = or_(row.c.state.in_(arrived), row.c.uncertain > 0)
    return condition


def due(at: int, longest_wait: int) -> ColumnElement[bool]:
    """The wait is over at `at` (seconds), whatever the clock did meanwhile.

    A first attempt that was never meant to wait does not wait, even when the clock was set back behind its creation.
    No other wait is ever longer than intended by more than `longest_wait`: a longer one is the clock's fault.
    """
    left = notification.c.not_before - at
    first, meant = notification.c.attempts == 0, notification.c.not_before - notification.c.created_at
    return or_(
        left <= 0,
        and_(first, meant <= 0),
        and_(first, left > meant + longest_wait),
        and_(~first, left > longest_wait),
    )


def in_order() -> ColumnElement[bool]:
    """An all-clear waits until the alarm before it, to the same address, is out of the way."""
    mine, theirs = link.alias("mine"), link.alias("theirs")
    earlier = notification.alias("earlier")
    alarm_first = exists(
        select(1)
        .select_from(mine)
        .join(theirs, and_(theirs.c.flag_id == mine.c.flag_id, theirs.c.notification_id < mine.c.notification_id))
        .join(earlier, earlier.c.id == theirs.c.notification_id)
        .where(
            mine.c.notification_id == notification.c.id,
            earlier.c.channel == notification.c.channel,
            earlier.c.address == notification.c.address,
            earlier.c.state.in_(UNDER_WAY),
        )
        .correlate_except(mine, theirs, earlier)
    )
    return or_(notification.c.change.not_in(LIFTS), ~alarm_first)


def answered() -> ColumnElement[bool]:
    """Every alarm in the message is answered: acknowledged or reviewed since it was queued, or withdrawn."""
    alarm = link.alias("alarm")
    same, other = link.alias("same"), notification.alias("other")
    by_flag = exists(
        select(1)
        .where(
            flag.c.id == alarm.c.flag_id,
            or_(
                flag.c.acknowledged_at > notification.c.created_at,
                flag.c.reviewed_at > notification.c.created_at,
                flag.c.end_reason == "corrected",
            ),
        )
        .correlate_except(flag)
    )
    by_link = exists(
        select(1)
        .select_from(same)
        .join(other, other.c.id == same.c.notification_id)
        .where(
            same.c.flag_id == alarm.c.flag_id,
            other.c.acked_at.is_not(None),
            or_(
                other.c.created_at > notification.c.created_at,
                and_(other.c.created_at == notification.c.created_at, same.c.change == alarm.c.change),
            ),
        )
        .correlate_except(same, other)
    )
    return _every_alarm(alarm, or_(by_flag, by_link))


def late_and_over() -> ColumnElement[bool]:
    """A second way that was not used yet, about flags that are over: the first way told, and tells of the end."""
    alarm = link.alias("alarm")
    over = exists(select(1).where(flag.c.id == alarm.c.flag_id, flag.c.end_at.is_not(None)).correlate_except(flag))
    unused = and_(notification.c.attempts == 0, notification.c.not_before > notification.c.created_at)
    return and_(unused, _every_alarm(alarm, over))


def _every_alarm(alarm: Any, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """The message holds an alarm, and no alarm of it fails `condition`."""
    own = and_(alarm.c.notification_id == notification.c.id, raising(alarm))
    some, failing = select(1).where(own), select(1).where(own, ~condition)
    return and_(exists(some.correlate_except(alarm)), ~exists(failing.correlate_except(alarm)))


def nothing_to_lift() -> ColumnElement[bool]:
    """An all-clear about a flag of which no alarm has reached, or is about to reach, this address."""
    mine, theirs = link.alias("mine"), link.alias("theirs")
    earlier = notification.alias("earlier")
    alarm = exists(
        select(1)
        .select_from(mine)
        .join(theirs, and_(theirs.c.flag_id == mine.c.flag_id, theirs.c.notification_id < mine.c.notification_id))
        .join(earlier, earlier.c.id == theirs.c.notification_id)
        .where(
            mine.c.notification_id == notification.c.id,
            earlier.c.channel == notification.c.channel,
            earlier.c.address == notification.c.address,
            raising(theirs),
            heard(earlier),
        )
        .correlate_except(mine, theirs, earlier)
    )
    return and_(notification.c.change.in_(LIFTS), ~alarm)
