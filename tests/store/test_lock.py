"""One daemon per database."""

from __future__ import annotations

import multiprocessing
import os
import time
from multiprocessing.connection import Connection as Pipe

import pytest

from monitor.store.database import AlreadyRunning, Database, daemon_lock, open_database


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
