"""kill -9 at every step: nothing half stored, nothing doubled, nothing acknowledged and lost."""

from __future__ import annotations

import json
import multiprocessing
import sqlite3
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from typing import Any

import pytest
from sqlalchemy import text

from monitor.schema import metadata
from monitor.store.columns import dirty_series, read_columns
from monitor.store.database import Database, open_database
from monitor.store.flags import acknowledge, save_evaluation
from tests.postgres import Postgres
from tests.store import crash_child
from tests.store.build import CABBAGE, NOW, flag


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """Child processes that have our modules imported already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.store.crash_child"])
    return context


def content(db: Database) -> dict[str, list[str]]:
    """Every row of every table, but for the ids that a rolled back insert may use up."""
    with db.connect() as connection:
        found = {}
        for table in metadata.sorted_tables:
            rows = connection.execute(text(f'SELECT * FROM "{table.name}"')).mappings()
            found[table.name] = sorted(
                json.dumps({k: v for k, v in row.items() if not k.endswith("id") or k == "flag_id"}, default=str)
                for row in rows
            )
        return found


def died_at(processes: ForkServerContext, target: Callable[..., None], *arguments: Any) -> tuple[bool, bool]:
    """Run a child to its end: whether it was killed, and whether it had acknowledged by then."""
    here, there = processes.Pipe(duplex=False)
    child = processes.Process(target=target, args=(*arguments, there))
    child.start()
    there.close()
    child.join(60)
    try:
        acknowledged = here.poll() and here.recv() == "done"
    except EOFError:
        acknowledged = False
    assert child.exitcode in (0, -9), f"the child failed otherwise: {child.exitcode}"
    return child.exitcode == -9, acknowledged


def prepare(db: Database, action: str) -> None:
    """What is stored before the child begins."""
    if action == "import":
        return
    crash_child.import_sheet(db)
    if action == "evaluate":
        before = [flag("raised"), flag("withdrawn")]
        item = CABBAGE.item
        save_evaluation(db, before, items={item}, since={item: 0}, dirty=(), now=NOW, notify=crash_child.tell)
        acknowledge(db, "withdrawn", "值班员甲", NOW)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("action", crash_child.ACTIONS)
def test_a_kill_at_any_step_leaves_all_or_nothing_and_doing_it_again_completes(
    db: Database, db_url: str, action: str, processes: ForkServerContext
) -> None:
    prepare(db, action)
    before = content(db)
    kills = 0
    while content(db) == before:
        db.close()  # nobody else is there: what the child leaves is recovered when it is opened next
        killed, acknowledged = died_at(processes, crash_child.run, db_url, action, kills + 1)
        assert killed or acknowledged
        assert not acknowledged or content(db) != before, "acknowledged, and lost"
        kills += 1
    assert kills >= 15, "the steps were not found"
    assert_complete(db, action)
    crash_child.ACTIONS[action](db)
    assert_complete(db, action)
    if db.path is not None:
        with sqlite3.connect(db.path) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def assert_complete(db: Database, action: str) -> None:
    """As if there had been no kill."""
    if action == "evaluate":
        with db.connect() as connection:
            states = {row.id: row.state for row in connection.execute(text("SELECT id, state FROM flag"))}
            told = connection.execute(text("SELECT key FROM notification")).scalars().all()
        assert states == {"new": "open", "raised": "open", "withdrawn": "over"}
        assert sorted(told) == [
            "new opened 1",
            "raised opened 1",
            "raised raised 3",
            "withdrawn opened 1",
            "withdrawn withdrawn 1",
        ]
        assert dirty_series(db) == []
        return
    revisions = 1 if action == "import" else 2
    with db.connect() as connection:
        per_key = connection.execute(text("SELECT count(*) FROM observation GROUP BY series_id, at")).scalars().all()
    assert sorted(set(per_key)) == [revisions, 2 * revisions], "the contradiction has twice as many"
    assert len(per_key) == 10
    assert len(dirty_series(db)) == 5


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("milliseconds", [10, 60, 150])
def test_a_large_import_killed_at_some_moment_is_stored_whole_or_not_at_all(
    db: Database, db_url: str, milliseconds: int, processes: ForkServerContext
) -> None:
    here, there = processes.Pipe(duplex=False)
    child = processes.Process(target=crash_child.import_much, args=(db_url, there))
    child.start()
    there.close()
    assert here.recv() == "begins"
    acknowledged = here.poll(milliseconds / 1000) and here.recv() == "done"
    child.kill()
    child.join(30)
    acknowledged = acknowledged or (here.poll() and received(here) == "done")
    rows = len(read_columns(db))
    assert rows in ((30_000,) if acknowledged else (0, 30_000))
    crash_child.import_large(db)
    assert len(read_columns(db)) == 30_000
    assert crash_child.import_large(db).duplicate == 30_001


def received(pipe: Any) -> str | None:
    try:
        message: str = pipe.recv()
    except EOFError:
        return None
    return message


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_migration_killed_at_any_step_leaves_a_database_that_opens(
    dialect: str, tmp_path: Any, request: pytest.FixtureRequest, processes: ForkServerContext
) -> None:
    server: Postgres | None = request.getfixturevalue("postgres") if dialect == "postgresql" else None
    name = server.create() if server else ""
    url = server.url(name) if server else f"sqlite:///{tmp_path}/monitor.db"
    kills = 0
    for step in range(1, 500, 7):
        killed, _ = died_at(processes, crash_child.migrate, url, step)
        if not killed:
            break
        kills += 1
    assert kills >= 5
    db = open_database(url)
    crash_child.import_sheet(db)
    assert len(read_columns(db)) == 10
    db.close()
    if server:
        server.drop(name)
