"""The database refuses: the daemon goes on, says so, and takes up its work by itself when the trouble is over."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from monitor import app as app_module
from monitor.store.database import open_database
from monitor.store.lock import KEY
from monitor.store.observations import list_observations
from tests.acceptance.harness import Clock, installation
from tests.faults.daemon import CONSOLE_SCRIPT, Daemon, daemon, drop, monitor, names, until
from tests.faults.sheets import ITEMS, Sheet, calm
from tests.faults.sources import yesterday
from tests.postgres import Postgres, binaries

CONFIG = """
[database]
url = "{database}"
[alerts]
default_targets = [{{ channel = "log", address = "duty" }}]
[[channel]]
kind = "file"
name = "log"
path = "alerts.jsonl"
[[source]]
kind = "folder"
name = "inbox"
path = "{inbox}"
every = "1s"
settle = "10ms"
"""
LOCAL = CONFIG.format(database="sqlite:///monitor.db", inbox="inbox")


def sheet(number: int, points: int = 4, days: int = 30) -> Sheet:
    rows = calm([ITEMS[number]], yesterday(), days, [f"第{n}监测点" for n in range(points)])
    return Sheet(f"{number:02}.csv", rows)


def put(inbox: Path, *sheets: Sheet) -> None:
    for one in sheets:
        drop(inbox, one.name, one.text)


def stored(daemon: Daemon) -> int:
    return int(daemon.one("SELECT count(*) FROM observation"))


def assert_in_trouble(daemon: Daemon, reason: str, said: str) -> None:
    """It lives, is not ready, and says in log, health and metrics what is wrong."""
    until(lambda: daemon.said(said), f"the log says: {said}")
    until(lambda: daemon.status() == 503 and said[:40] in daemon.get("/readyz")[1], f"it is not ready: {said}")
    assert daemon.get("/healthz")[0] == 200
    assert daemon.metric("monitor_store_errors_total", reason=reason) >= 1
    assert "Traceback" not in daemon.log.read_text("utf-8")


def assert_well_again(daemon: Daemon, inbox: Path, sheets: list[Sheet]) -> None:
    """All sheets were taken in, each row once, and it is ready."""
    until(lambda: not names(inbox) and daemon.status() == 200, f"it is well again; {daemon.tail()}")
    assert stored(daemon) == sum(len(one.rows) for one in sheets)
    assert names(inbox / "done") == sorted(one.name for one in sheets)
    assert daemon.stop()[0] == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 10 MiB, in memory."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=10m", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root; the test with the file-size limit runs")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
def test_a_full_disk_is_told_and_loses_nothing(small_disk: Path, tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    config = CONFIG.format(database="sqlite:///monitor.db", inbox=inbox)
    sheets = [sheet(0), sheet(1, points=60, days=400), sheet(2)]
    with daemon(small_disk, config, log=tmp_path / "daemon.log") as one:
        put(inbox, sheets[0])
        until(lambda: stored(one) == len(sheets[0].rows), "the first sheet is stored")
        filler = fill(small_disk)
        put(inbox, *sheets[1:])
        assert_in_trouble(one, "full", "The disk of the database is full. Nothing was stored.")
        assert "01.csv" in names(inbox)
        filler.unlink()
        assert_well_again(one, inbox, sheets)


def fill(folder: Path) -> Path:
    """A file that takes all the room there is."""
    other = folder / "other"
    with other.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    return other


@pytest.mark.slow
def test_a_limit_on_the_size_of_files_is_told_and_loses_nothing(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    sheets = [sheet(0), sheet(1, points=60, days=400)]
    with daemon(tmp_path, LOCAL) as one:
        put(inbox, sheets[0])
        until(lambda: stored(one) == len(sheets[0].rows), "the first sheet is stored")
        before = resource.prlimit(one.running.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(one.running.pid, resource.RLIMIT_FSIZE, (600_000, before[1]))
        put(inbox, sheets[1])
        assert_in_trouble(one, "io", "Check the disk, its quota and the file-size limit of this process.")
        resource.prlimit(one.running.pid, resource.RLIMIT_FSIZE, before)
        assert_well_again(one, inbox, sheets)


class RunningClock(Clock):
    """Time that passes."""

    def __call__(self) -> datetime:
        return datetime.now(UTC)


HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


def test_a_database_locked_by_another_program_is_told_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one process with the test, so that the daemon's patience can be a second instead of thirty."""
    monkeypatch.setattr(app_module, "open_database", partial(open_database, busy_timeout=1.0))
    monkeypatch.setattr(app_module, "PICTURE_EVERY", timedelta(seconds=1))
    one = sheet(0)
    with installation(tmp_path, LOCAL + "[web]\nport = 0\n", RunningClock(datetime.now(UTC))) as app:
        other = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(tmp_path / "monitor.db")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "held\n"
        put(tmp_path / "inbox", one)
        until(lambda: not app.health().ready, "it is not ready")
        assert "Another program holds the database for too long" in app.health().checks[0].detail
        assert b'monitor_store_errors_total{reason="locked"}' in app.metrics.render()[0]
        assert b'monitor_store_errors_total{reason="locked"} 0.0' not in app.metrics.render()[0]
        other.stdin.close()
        other.wait(10)
        until(lambda: app.health().ready and names(tmp_path / "inbox" / "done"), "it is well again")
        assert len(list_observations(app.db, limit=1000)) == len(one.rows)


def like_any_user() -> list[str]:
    """What to put before a command so that it may not write everywhere, as root may."""
    if os.geteuid() != 0:
        return []
    before = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    if not shutil.which("setpriv") or subprocess.run([*before, "true"], capture_output=True).returncode:
        pytest.skip("root may write everywhere, and setpriv, which takes that right away, cannot be used")
    return before


@pytest.mark.slow
def test_a_read_only_folder_is_told_at_the_start_and_nothing_is_lost_under_a_running_daemon(tmp_path: Path) -> None:
    inbox, before = tmp_path / "inbox", like_any_user()
    sheets = [sheet(0), sheet(1)]
    with daemon(tmp_path, LOCAL, before=before) as one:
        put(inbox, sheets[0])
        until(lambda: stored(one) == len(sheets[0].rows), "the first sheet is stored")
        make_writable(tmp_path, writable=False)
        try:
            command = [*before, str(CONSOLE_SCRIPT), "run", "--config", str(one.path)]
            refused = subprocess.run(command, capture_output=True, text=True, timeout=60)
            assert refused.returncode == 1
            assert "is not writable. Create the folder, or give the daemon the right to do so" in refused.stderr
            assert "Traceback" not in refused.stderr
            put(inbox, sheets[1])
            until(lambda: one.metric("monitor_job_runs_total", job_name="collect:inbox") > 3, "it goes on")
        finally:
            make_writable(tmp_path, writable=True)
        assert_well_again(one, inbox, sheets)
        assert "Traceback" not in one.log.read_text("utf-8")


def make_writable(folder: Path, *, writable: bool) -> None:
    """The folder of the database and the files in it; the inbox stays as it is."""
    for path in (folder, *(p for p in folder.iterdir() if p.name.startswith("monitor.db"))):
        mode = path.stat().st_mode
        path.chmod(mode | 0o200 if writable else mode & ~0o222)


@pytest.mark.slow
def test_a_daemon_whose_database_is_replaced_under_it_stops_and_says_why(tmp_path: Path) -> None:
    with daemon(tmp_path, LOCAL) as one:
        put(tmp_path / "inbox", sheet(0))
        until(lambda: stored(one) == len(sheet(0).rows), "the first sheet is stored")
        copy = tmp_path / "restored.db"
        open_database(f"sqlite:///{copy}").close()
        copy.replace(one.database)
        assert one.running.wait(30) == 1
        assert one.said("this daemon stops: The database")
        assert one.said("was taken away or replaced while this daemon worked on it")
        assert "Traceback" not in one.tail()
        for ending in ("-wal", "-shm"):  # they belong to the old file
            one.database.with_name(one.database.name + ending).unlink(missing_ok=True)
        one.started()
        assert one.stop()[0] == 0


# --- PostgreSQL ----------------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[Postgres]:
    """A server that the test may stop."""
    folder = binaries()
    if folder is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    one = Postgres(folder)
    yield one
    one.remove()


def pg(server: Postgres, name: str, query: str) -> Any:
    with psycopg.connect(server.dsn(name), autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


@pytest.mark.slow
@pytest.mark.postgres
def test_a_server_that_is_stopped_and_started_again_is_told_and_loses_nothing(
    server: Postgres, tmp_path: Path
) -> None:
    name = server.create()
    inbox, sheets = tmp_path / "inbox", [sheet(0), sheet(1)]
    with daemon(tmp_path, CONFIG.format(database=server.url(name), inbox="inbox")) as one:
        put(inbox, sheets[0])
        until(lambda: names(inbox / "done"), "the first sheet is stored")
        server.stop()
        put(inbox, sheets[1])
        assert_in_trouble(one, "unreachable", "The database server does not answer or does not let us in.")
        assert names(inbox) == ["01.csv"]
        server.start()
        until(lambda: not names(inbox) and one.status() == 200, f"it is well again; {one.tail()}")
        count = pg(server, name, "SELECT count(*) FROM observation")
        assert count == sum(len(s.rows) for s in sheets)
        held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
        until(lambda: pg(server, name, held) == 1, "the lock is taken again")
        refused = monitor("run", "--config", one.path, cwd=tmp_path)
        assert refused.returncode == 1
        assert "already works on the database" in refused.stderr
        assert one.stop()[0] == 0


@pytest.mark.slow
@pytest.mark.postgres
def test_a_daemon_that_lost_its_lock_to_another_one_stops(server: Postgres, tmp_path: Path) -> None:
    name = server.create()
    with daemon(tmp_path, CONFIG.format(database=server.url(name), inbox="inbox")) as one:
        server.stop()
        server.start()
        other = psycopg.connect(server.dsn(name), autocommit=True)
        other.execute("SELECT pg_advisory_lock(%s)", (KEY,))
        assert one.running.wait(60) == 1
        assert one.said("this daemon stops: A daemon already works on the database")
        assert "Traceback" not in one.tail()
        other.close()


@pytest.mark.slow
@pytest.mark.postgres
def test_a_server_that_takes_no_writes_for_a_while_is_told_and_loses_nothing(
    server: Postgres, tmp_path: Path
) -> None:
    """As a standby does after a change of roles."""
    name = server.create()
    inbox, sheets = tmp_path / "inbox", [sheet(0), sheet(1)]
    with daemon(tmp_path, CONFIG.format(database=server.url(name), inbox="inbox")) as one:
        put(inbox, sheets[0])
        until(lambda: names(inbox / "done"), "the first sheet is stored")
        take_writes(server, name, "off")
        put(inbox, sheets[1])
        assert_in_trouble(one, "readonly", "The database cannot be written. Nothing was stored.")
        take_writes(server, name, "on")
        until(lambda: not names(inbox) and one.status() == 200, f"it is well again; {one.tail()}")
        assert pg(server, name, "SELECT count(*) FROM observation") == sum(len(s.rows) for s in sheets)


def take_writes(server: Postgres, name: str, state: str) -> None:
    pg(
        server,
        "postgres",
        f"ALTER DATABASE {name} SET default_transaction_read_only = {'off' if state == 'on' else 'on'}",
    )
    pg(server, "postgres", f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{name}'")


@pytest.mark.slow
@pytest.mark.postgres
def test_a_server_that_hangs_is_noticed_and_a_stop_is_heard_all_the_same(server: Postgres, tmp_path: Path) -> None:
    """Nothing is refused, nothing is answered: the processes of the server are halted."""
    name = server.create()
    with daemon(tmp_path, CONFIG.format(database=server.url(name), inbox="inbox")) as one:
        put(tmp_path / "inbox", sheet(0))
        until(lambda: names(tmp_path / "inbox" / "done"), "the first sheet is stored")
        with halted(server):
            until(lambda: one.status() == 503, "it is not ready", patience=120)
            assert "没有应答" in one.get("/readyz")[1]
            code, _ = one.stop(seconds=10)
            assert code == 0
            assert one.said("still under way at the end, done again after the next start")


@contextmanager
def halted(server: Postgres) -> Iterator[None]:
    assert server.process is not None
    found = subprocess.run(["pgrep", "-P", str(server.process.pid)], capture_output=True, text=True, check=True)
    every = [server.process.pid, *map(int, found.stdout.split())]
    for pid in every:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in every:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
