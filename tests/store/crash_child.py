"""What a child process does until it is killed: the same calls as the daemon makes, with a kill -9 at the N-th step.

A step is a statement given to the database, the beginning or end of a bulk operation, or a commit. On SQLite every
single row of a bulk insert is a step as well.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from datetime import timedelta
from multiprocessing.connection import Connection as Pipe
from typing import Any

from sqlalchemy import Connection, event

from alerts.notify import NewNotification
from collectors.base import StoredCounts
from monitor.store import bulk_sqlite, outbox
from monitor.store.bulk import Bulk
from monitor.store.columns import dirty_series
from monitor.store.database import Database, open_database
from monitor.store.flags import FlagChange, save_evaluation
from monitor.store.observations import add
from tests.store.build import CABBAGE, NOW, PORK, flag, mixed
from thresholds.model import Grade, ObservationBatch, Reject, SeriesKey

KEYS = [CABBAGE, PORK, *(SeriesKey(f"品种{n}") for n in range(3))]


def sheet(correction: float = 0.0, days: int = 2) -> ObservationBatch:
    """Five series over some days; the first day contradicts itself."""
    rows = [(key, n, float(n + i) + correction) for n in range(days) for i, key in enumerate(KEYS)]
    return mixed(*rows, (CABBAGE, 0, 99.0))


def import_sheet(db: Database, correction: float = 0.0) -> None:
    rejects = [Reject(n, "no_value", "价格为空") for n in range(3)]
    add(db, sheet(correction), source="sheet", name="a.csv", now=NOW, rejects=rejects, cursor={"page": correction})


def correct_sheet(db: Database) -> None:
    import_sheet(db, correction=0.5)


def evaluate(db: Database) -> None:
    """Three flags: one new, one raised, one withdrawn, each told to somebody."""
    items = {CABBAGE.item}
    computed = [flag("new"), flag("raised", peak_grade=Grade(3, "Ⅰ级"))]
    since = {CABBAGE.item: 0}
    save_evaluation(db, computed, items=items, since=since, dirty=dirty_series(db), now=NOW, notify=tell)


def tell(connection: Connection, changes: Sequence[FlagChange]) -> None:
    outbox.enqueue(connection, [told(change) for change in changes])


def told(change: FlagChange) -> NewNotification:
    return NewNotification(
        key=f"{change.flag.id} {change.what} {change.flag.peak_grade.rank}",
        flag_id=change.flag.id,
        change=change.what,
        changes=((change.flag.id, change.what),),
        rank=change.flag.peak_grade.rank,
        person="值班员甲",
        channel="sms",
        address="+8610000",
        subject="大白菜",
        body="正文",
        payload={},
        created_at=NOW,
        not_before=NOW,
        expires_at=NOW + timedelta(hours=12),
    )


ACTIONS: dict[str, Callable[[Database], None]] = {
    "import": import_sheet,
    "correct": correct_sheet,
    "evaluate": evaluate,
}


class Killer:
    """Kills this process at step number `at`."""

    def __init__(self, at: int) -> None:
        self.left = at

    def step(self, *_: object, **__: object) -> None:
        self.left -= 1
        if self.left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, db: Database) -> None:
        event.listen(db.engine, "before_cursor_execute", self.step)
        event.listen(db.engine, "after_cursor_execute", self.step)
        event.listen(db.engine, "commit", self.step)
        for name in vars(Bulk):
            if not name.startswith("_"):
                setattr(db.bulk, name, self.around(getattr(db.bulk, name)))
        if db.dialect == "sqlite":
            event.listen(db.engine, "begin", lambda c: bulk_sqlite.driver(c).set_trace_callback(self.step))

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def stepping(*arguments: Any, **options: Any) -> Any:
            self.step()
            result = function(*arguments, **options)
            self.step()
            return result

        return stepping


def run(url: str, action: str, kill_at: int, done: Pipe) -> None:
    """Do `action` and say so on `done`; die on the way at step `kill_at`, if there are that many."""
    db = open_database(url)
    Killer(kill_at).watch(db)
    ACTIONS[action](db)
    done.send("done")


def import_much(url: str, done: Pipe) -> None:
    """A large import; says when it begins and when it is acknowledged."""
    db = open_database(url)
    done.send("begins")
    import_large(db)
    done.send("done")


def import_large(db: Database) -> StoredCounts:
    """Thirty thousand rows and one that contradicts."""
    return add(db, sheet(days=6_000), source="sheet", name="large.csv", now=NOW).counts


def migrate(url: str, kill_at: int, done: Pipe) -> None:
    """Make all tables; die at step `kill_at`."""
    from sqlalchemy import Engine

    killer = Killer(kill_at)
    event.listen(Engine, "before_cursor_execute", killer.step)
    event.listen(Engine, "commit", killer.step)
    open_database(url)
    done.send("done")
