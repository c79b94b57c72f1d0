"""Stored flags and messages for the tests of the web part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from alerts.notify import NewNotification
from monitor.store import flags, outbox
from monitor.store.database import Database
from monitor.store.dirty import dirty_series
from tests.alerts.make import FLAG, NOW, Change, told_of
from thresholds.model import Flag


def flag(flag_id: str, **changes: Any) -> Flag:
    return replace(FLAG, id=flag_id, **changes)


def store_flags(db: Database, *computed: Flag, now: datetime = NOW, tell: bool = False) -> list[NewNotification]:
    """Store flags as an evaluation does; gives the messages that were queued with them."""
    told: list[NewNotification] = []

    def notify(connection: Connection, changes: Sequence[flags.FlagChange]) -> None:
        if tell:
            told.extend(told_of((Change(one.what, one.flag) for one in changes), now=now).notifications)
            outbox.enqueue(connection, told)

    items = {one.item for one in computed}
    flags.save_evaluation(
        db, computed, items=items, since=dict.fromkeys(items, 0), dirty=dirty_series(db), now=now, notify=notify
    )
    return told


def ack_path(message: NewNotification) -> str:
    """The path of the link at the end of a message."""
    return "/a/" + str(message.payload["ack_link"]).rpartition("/")[2]
