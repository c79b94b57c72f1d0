"""One daemon per database."""

from __future__ import annotations

import multiprocessing
import os
import time
from multiprocessing.connection import Connection as Pipe

import pytest

from monitor.store.database import AlreadyRunning, Database, daemon_lock, open_database
from monitor.store.lock import DatabaseMoved


def hold(url: str, told: Pipe) -> None:
    """A daemon that holds the database until it is killed."""
    with daemon_lock(open_database(url)):
        told.send(os.getpid())
        time.sleep(60)


def test_a_second_daemon_says_so_and_a_killed_one_lets_go(db: Database, db_url: str) -> None:
    context = multiprocessing.get_context("forkserver")
    here, there = context.Pipe(duplex=False)
    other = context.Process(target=hold, args=(db_url, there))
    other.start()
    pid = here.recv()
    with pytest.raises(AlreadyRunning, match="Stop it first") as refused, daemon_lock(db):
        pass
    if db.path is not None:
        assert f"process {pid}" in str(refused.value)
    other.kill()
    other.join(10)
    take_within(db, seconds=10)


def take_within(db: Database, seconds: float) -> None:
    """PostgreSQL sees a moment later than the kernel that a process is gone."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with daemon_lock(db):
                return
        except AlreadyRunning:
            assert time.monotonic() < deadline, "the lock of a killed process stayed"
            time.sleep(0.02)


def test_a_daemon_that_stops_lets_go_and_work_goes_on_beside_the_lock(db: Database) -> None:
    for _ in range(2):
        with daemon_lock(db), db.begin() as connection:
            connection.exec_driver_sql("DELETE FROM dirty")


def test_the_lock_file_of_an_unwritable_folder_is_a_clear_error(sqlite_db: Database) -> None:
    assert sqlite_db.path is not None
    lock = sqlite_db.path.with_name("monitor.db.lock")
    lock.mkdir()
    with (
        pytest.raises(Exception, match=r"monitor\.db\.lock cannot be opened .* Let this user write"),
        daemon_lock(sqlite_db),
    ):
        pass


def test_a_lock_file_that_is_removed_is_made_again_or_lost_to_who_was_quicker(sqlite_db: Database) -> None:
    assert sqlite_db.path is not None
    lock = sqlite_db.path.with_name("monitor.db.lock")
    with daemon_lock(sqlite_db) as keep:
        keep()
        lock.unlink()
        keep()
        assert lock.read_text("ascii") == str(os.getpid())
        with pytest.raises(AlreadyRunning), daemon_lock(sqlite_db):
            pass
        lock.unlink()
        with daemon_lock(sqlite_db), pytest.raises(AlreadyRunning, match="already works on this database"):
            keep()


@pytest.mark.parametrize("put", [True, False], ids=["replaced", "taken away"])
def test_a_database_that_is_replaced_or_taken_away_under_its_daemon_is_noticed(
    sqlite_db: Database, *, put: bool
) -> None:
    """Else it would go on writing, for days perhaps, to a file that has no name any more."""
    assert sqlite_db.path is not None
    with daemon_lock(sqlite_db) as keep:
        copy = sqlite_db.path.with_name("copy.db")
        copy.write_bytes(sqlite_db.path.read_bytes())
        keep()
        if put:
            copy.replace(sqlite_db.path)
        else:
            sqlite_db.path.unlink()
        with pytest.raises(DatabaseMoved, match="Stop the daemon before you restore a backup"):
            keep()
