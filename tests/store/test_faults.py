"""Faults of the surroundings: a clear reason, nothing half stored, and work goes on by itself when they are over."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from monitor.store.columns import read_columns
from monitor.store.database import Database, StoreError, open_database
from monitor.store.flags import list_flags
from monitor.store.observations import add, list_series
from tests.postgres import Postgres, binaries
from tests.store.build import NOW, batch, day

ROOT = Path(__file__).parents[2]


def child(name: str, folder: Path, *before: str) -> list[str]:
    """Run a function of fault_child.py in a process of its own; gives the lines that it told."""
    command = [*before, sys.executable, "-m", "tests.store.fault_child", name, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def steps(lines: list[str]) -> list[str]:
    return [line for line in lines if not line.startswith("message ")]


def messages(lines: list[str]) -> str:
    return "\n".join(line for line in lines if line.startswith("message "))


@pytest.fixture
def on_tiny_disk(tmp_path: Path) -> Callable[[str], list[str]]:
    """Run a function of fault_child.py on a disk of 4 MiB, in memory, that only the child sees."""
    mount = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=4m none "$0" && exec "$@"', str(tmp_path)]
    if not shutil.which("unshare") or subprocess.run([*mount, "true"], capture_output=True).returncode:
        pytest.skip("mounting a disk of its own needs root (or CAP_SYS_ADMIN); the file-size limit is tested")
    return lambda name: child(name, tmp_path, *mount)


def test_a_full_disk_is_told_and_work_goes_on_when_there_is_room(on_tiny_disk: Callable[[str], list[str]]) -> None:
    lines = on_tiny_disk("tiny_disk")
    assert steps(lines) == ["refused full", "with room again stored"]
    assert "The disk of the database is full. Nothing was stored. Free space there" in messages(lines)


def test_a_disk_that_is_full_from_the_start_is_told(on_tiny_disk: Callable[[str], list[str]]) -> None:
    lines = on_tiny_disk("full_disk_at_start")
    assert steps(lines) == ["opening full", "with room again stored"]


def test_a_disk_that_filled_up_meanwhile_is_told_as_full(on_tiny_disk: Callable[[str], list[str]]) -> None:
    lines = on_tiny_disk("full_disk_when_started_again")
    assert steps(lines) == ["started again full", "with room again stored"]


def test_a_file_size_limit_is_told_and_work_goes_on_without_it(fast_path: Path) -> None:
    lines = child("file_size_limit", fast_path)
    assert steps(lines) == ["refused io", "without the limit stored"]
    assert "its quota and the file-size limit of this process" in messages(lines)


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A folder that another user can reach."""
    folder = Path("/tmp") / f"store-{id(object())}"
    folder.mkdir(mode=0o777)
    yield folder
    folder.chmod(0o777)
    shutil.rmtree(folder)


def test_a_folder_or_file_that_cannot_be_written_is_told_and_work_goes_on_later(open_to_all: Path) -> None:
    assert steps(child("read_only", open_to_all)) == [
        ".db readonly",
        "opening readonly",
        "writable again stored",
        "folder readonly",
        "opening readonly",
        "writable again stored",
    ]


def test_a_database_that_cannot_be_made_is_told_with_its_folder(open_to_all: Path) -> None:
    lines = child("new_in_read_only_folder", open_to_all)
    assert steps(lines) == ["opening readonly", "opening readonly"]
    assert f"{open_to_all}/monitor.db cannot be created (Permission denied)" in messages(lines)


def test_a_lock_held_too_long_is_told_and_work_goes_on_after_it(
    db: Database, db_url: str, open_again: Callable[..., Database]
) -> None:
    impatient = open_again(busy_timeout=0.05)
    release = hold_the_lock(db)
    with pytest.raises(StoreError, match="Another program holds the database for too long") as refused:
        add(impatient, batch((1, 2.0)), source="s", name="a", now=NOW)
    assert refused.value.reason == "locked"
    assert refused.value.temporary
    assert list_flags(impatient) == [], "reading goes on"
    release()
    assert add(impatient, batch((1, 2.0)), source="s", name="a", now=NOW).counts.accepted == 1


def hold_the_lock(db: Database) -> Callable[[], None]:
    """Another program's transaction; gives what ends it."""
    if db.path is not None:
        other = sqlite3.connect(db.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        return other.close
    server = db.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    server.exec_driver_sql("BEGIN")
    server.exec_driver_sql("LOCK TABLE observation, series IN EXCLUSIVE MODE")

    def release() -> None:
        server.exec_driver_sql("ROLLBACK")
        server.close()

    return release


def test_a_writer_waits_for_another_program_and_then_stores(db: Database) -> None:
    release = hold_the_lock(db)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(add, db, batch((1, 2.0)), source="s", name="a", now=NOW)
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.3)
        release()
        assert waiting.result(timeout=20).counts.accepted == 1


def test_a_file_that_is_not_a_database_is_told_and_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "monitor.db"
    path.write_bytes(b"date,item,point,value\n" * 500)
    with pytest.raises(StoreError, match="damaged or is not a database") as refused:
        open_database(f"sqlite:///{path}")
    assert refused.value.reason == "corrupt"
    assert not refused.value.temporary
    assert path.read_bytes() == b"date,item,point,value\n" * 500


def test_a_damaged_file_is_told_when_it_is_read(sqlite_db: Database) -> None:
    add(sqlite_db, batch(*((n, float(n)) for n in range(3_000))), source="s", name="a", now=NOW)
    sqlite_db.close()
    assert sqlite_db.path is not None
    damage(sqlite_db.path)
    with pytest.raises(StoreError, match="restore the newest backup") as refused:
        read_columns(sqlite_db)
    assert refused.value.reason == "corrupt"


def damage(path: Path) -> None:
    """Overwrite the pages that hold the observations."""
    with sqlite3.connect(path) as connection:
        pages = connection.execute(
            "SELECT pageno FROM dbstat WHERE name = 'observation' AND pagetype = 'leaf'"
        ).fetchall()
    connection.close()
    with path.open("r+b") as file:
        for (number,) in pages:
            file.seek((number - 1) * 4096)
            file.write(b"\xa5" * 4096)


def test_a_clock_that_was_set_back_loses_and_doubles_nothing(db: Database) -> None:
    add(db, batch((1, 2.0)), source="s", name="a", now=day(60))
    assert add(db, batch((1, 3.0)), source="s", name="b", now=day(10)).counts.revised == 1
    assert add(db, batch((1, 3.0)), source="s", name="b", now=day(9)).counts.duplicate == 1
    assert read_columns(db).value.tolist() == [3.0]


@pytest.fixture
def own_server() -> Iterator[Postgres]:
    """A server that the test may stop."""
    folder = binaries()
    if folder is None:
        pytest.skip("PostgreSQL is not installed")
    server = Postgres(folder)
    yield server
    server.remove()


@pytest.mark.postgres
def test_a_server_that_goes_away_is_told_and_work_goes_on_when_it_is_back(own_server: Postgres) -> None:
    db = open_database(own_server.url(own_server.create()))
    add(db, batch((1, 2.0)), source="s", name="a", now=NOW)
    own_server.stop()
    for _ in range(2):
        with pytest.raises(StoreError, match="does not answer or does not let us in") as refused:
            add(db, batch((2, 2.0)), source="s", name="b", now=NOW)
        assert refused.value.reason == "unreachable"
    own_server.start()
    assert add(db, batch((2, 2.0)), source="s", name="b", now=NOW).counts.accepted == 1
    assert len(read_columns(db)) == 2
    db.close()


@pytest.mark.postgres
def test_a_connection_cut_in_the_middle_of_a_transaction_is_told(postgres: Postgres) -> None:
    name = postgres.create()
    db = open_database(postgres.url(name))

    def cut() -> None:
        with db.begin() as connection:
            connection.exec_driver_sql("INSERT INTO person (name, created_at) VALUES ('值班员甲', 0)")
            with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
            connection.exec_driver_sql("SELECT 1")

    with pytest.raises(StoreError) as refused:
        cut()
    assert refused.value.reason == "unreachable"
    with db.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM person").scalar() == 0
    db.close()
    postgres.drop(name)


@pytest.mark.postgres
def test_a_database_or_server_that_is_not_there_is_told_without_the_password(
    postgres: Postgres, tmp_path: Path
) -> None:
    for url in (
        postgres.url("nothere").replace("tester@", "tester:geheim@"),
        f"postgresql+psycopg://tester:geheim@/x?host={tmp_path}",
        "postgresql+psycopg://tester:geheim@127.0.0.1:1/x",
    ):
        with pytest.raises(StoreError, match="credentials in") as refused:
            open_database(url)
        assert refused.value.reason == "unreachable"
        assert "geheim" not in str(refused.value)


CODES = {
    "53100": "full",
    "55P03": "locked",
    "40P01": "locked",
    "25006": "readonly",
    "42501": "readonly",
    "53300": "unreachable",
    "57P01": "unreachable",
    "08006": "unreachable",
    "58030": "io",
    "XX001": "corrupt",
}


@pytest.mark.postgres
@pytest.mark.parametrize("code", CODES)
def test_what_the_server_says_becomes_our_word(postgres: Postgres, code: str) -> None:
    """The server raises each code itself; it cannot easily be brought to run out of disk here."""
    db = open_database(postgres.url(database_of(postgres)))

    def say() -> None:
        with db.begin() as connection:
            connection.exec_driver_sql(f"DO $$ BEGIN RAISE EXCEPTION 'as said' USING ERRCODE = '{code}'; END $$")

    with pytest.raises(StoreError, match="as said") as refused:
        say()
    assert refused.value.reason == CODES[code]
    assert list_series(db) == []
    db.close()


def database_of(server: Postgres, made: list[str] = []) -> str:  # noqa: B006 (one database for all codes)
    if not made:
        made.append(server.create())
    return made[0]


@pytest.mark.postgres
def test_an_error_of_ours_is_not_taken_for_a_fault_of_the_database(db: Database) -> None:
    def mistake() -> None:
        with db.begin() as connection:
            connection.exec_driver_sql("SELECT * FROM no_such_table")

    with pytest.raises(Exception, match="no_such_table") as raised:
        mistake()
    assert not isinstance(raised.value, StoreError)
