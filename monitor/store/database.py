"""The database: opening it, transactions, and faults told in words that help.

SQLite is one file beside the configuration, PostgreSQL a URL. Everything above this file is the same for both, except
the bulk paths (bulk_sqlite.py, bulk_postgres.py). Pragmas and their reasons: docs/adr/002-storage.md.
"""

from __future__ import annotations

import importlib
import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Connection, Engine, Table, create_engine, event
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from monitor.store.bulk import Bulk
from monitor.store.errors import StoreError, explained, translated
from monitor.store.lock import AlreadyRunning, Keep, file_lock, server_lock
from monitor.store.migrate import bring_up_to_date

if TYPE_CHECKING:
    from sqlalchemy.dialects.postgresql import Insert as PostgresInsert

__all__ = ["AlreadyRunning", "Database", "StoreError", "daemon_lock", "open_database"]

CACHE_KIB = 16_384
WAL_KEPT = 64 * 1024 * 1024


class Database:
    """One database. Thread-safe: every transaction takes its own pooled connection.

    engine   for reading and for SQLAlchemy's own tools; writing goes through `begin`
    dialect  'sqlite' or 'postgresql'
    path     the SQLite file, None for PostgreSQL
    """

    def __init__(self, engine: Engine, path: Path | None, busy_timeout: float) -> None:
        self.engine = engine
        self.path = path
        self.dialect = engine.dialect.name
        self.bulk: Bulk = bulk_of(self.dialect)
        self._writer = engine.execution_options(write=True)
        self._busy_timeout = busy_timeout
        self._writing = threading.Lock()
        self._refused = False

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A write transaction: committed at the end, rolled back by any exception. Raises StoreError.

        On SQLite it takes the write lock at once (BEGIN IMMEDIATE), so what it reads cannot change until it commits.
        """
        with self._turn():
            self._start_afresh_where_writing_was_refused()
            try:
                with translated(self.path), self._writer.begin() as connection:
                    yield connection
            except StoreError as error:
                self._refused = error.reason == "readonly"
                raise

    def _start_afresh_where_writing_was_refused(self) -> None:
        """SQLite opens a file that cannot be written for reading only. Such a connection never writes again, even
        when the file can be: so after a refusal the next transaction has new connections."""
        if self._refused and self.path is not None:
            self.engine.dispose()
            _make_writable(self.path)
            self._refused = False

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Let one thread of this process write to SQLite at a time.

        SQLite itself would have the others sleep and try again, 100 ms apart and in no order: under load some of
        them waited for seconds while the lock was free. Other processes still meet there. Raises StoreError.
        """
        if self.path is None:
            yield
            return
        if not self._writing.acquire(timeout=self._busy_timeout):
            waited = TimeoutError(f"another thread has been writing for {self._busy_timeout:g} s")
            raise explained("locked", self.path, waited)
        try:
            yield
        finally:
            self._writing.release()

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A connection for reading; on SQLite all reads in it see one snapshot. Raises StoreError."""
        with translated(self.path), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A connection for reading in which all reads see one state, on both databases. Raises StoreError."""
        steady = self.engine
        if self.path is None:
            steady = self.engine.execution_options(isolation_level="REPEATABLE READ")
        with translated(self.path), steady.connect() as connection:
            yield connection

    def close(self) -> None:
        """Close the pooled connections. On SQLite the last one folds the write-ahead log into the file."""
        self.engine.dispose()


def open_database(
    url: str | URL, *, base: Path | None = None, migrate: bool = True, busy_timeout: float = 30.0
) -> Database:
    """Open the database at `url`, creating it and bringing its tables up to date where `migrate` is true.

    A relative SQLite path is relative to `base` (the working folder when not given); its folder is created.
    `busy_timeout` is how long a transaction waits for another one's lock, in seconds. Raises StoreError; with
    `migrate` false also when the tables are older than the program.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        database = _open_sqlite(parsed, base or Path.cwd(), busy_timeout, writing=migrate)
    else:
        database = _open_postgresql(parsed, busy_timeout)
    try:
        bring_up_to_date(database, migrate=migrate)
    except BaseException:
        database.close()
        raise
    return database


@contextmanager
def daemon_lock(db: Database) -> Iterator[Keep]:
    """Hold the database for one daemon. Raises AlreadyRunning, or StoreError where the lock cannot be asked for.

    Gives a function that must be called now and then: it takes the lock again after the server was restarted, and
    raises AlreadyRunning where another daemon was quicker; on SQLite it raises DatabaseMoved where the file was
    taken away or replaced.

    The kernel (SQLite: a lock on the file `<database>.lock`) or the server (PostgreSQL: a lock of the session on a
    connection of its own) gives it back by itself when this process dies, however it dies.
    """
    path = db.path
    held = server_lock(db.engine) if path is None else file_lock(path.with_name(path.name + ".lock"), path)
    with held as keep:
        yield keep


def bulk_of(dialect: str) -> Bulk:
    """The bulk path of a dialect, imported on first use: psycopg is not needed for SQLite."""
    name = {"sqlite": "bulk_sqlite", "postgresql": "bulk_postgres"}[dialect]
    return cast(Bulk, importlib.import_module(f"monitor.store.{name}"))


def parse_url(url: str | URL) -> URL:
    """The URL with its driver. Raises StoreError 'unsupported' for what cannot hold our data."""
    remedy = "Write sqlite:///monitor.db or postgresql+psycopg://user@host/name."
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except ArgumentError as error:
        raise StoreError("unsupported", f"The database URL cannot be read. {remedy}") from error
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise StoreError("unsupported", f"The database {backend!r} is not supported. {remedy}")
    if not parsed.database or parsed.database == ":memory:" or parsed.database.startswith("file:"):
        raise StoreError("unsupported", f"The database must be a file, so that nothing is lost. {remedy}")
    return parsed


def insert_into(connection: Connection, table: Table) -> sqlite.Insert | PostgresInsert:
    """An INSERT that knows ON CONFLICT; both dialects spell it alike."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # a tenth of a second at start that SQLite does not need

    return postgresql.insert(table)


def to_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _open_sqlite(url: URL, base: Path, busy_timeout: float, *, writing: bool) -> Database:
    path = (base / str(url.database)).absolute()
    _create_file(path)
    if writing and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        raise explained("readonly", path, PermissionError("the file or its folder"))
    engine = create_engine(
        url.set(drivername="sqlite+pysqlite", database=str(path)),
        connect_args={"timeout": busy_timeout},
        json_serializer=to_json,
        pool_size=8,
        max_overflow=40,
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, see below
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_KEPT}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        write = connection.get_execution_options().get("write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    with translated(path):
        _use_write_ahead_log(path, busy_timeout)
    return Database(engine, path, busy_timeout)


def _create_file(path: Path) -> None:
    """Make an empty file that only its owner and group can read, and make its name durable."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o640))
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except OSError as error:
        reason = "full" if error.errno in (28, 122) else "readonly"
        raise StoreError(
            reason,
            f"The database {path} cannot be created ({error.strerror}). Check that the folder exists, that there is"
            " room and that this user may write there.",
        ) from error


def _make_writable(path: Path) -> None:
    """SQLite gives the files beside the database its permissions of that moment: undo that it was read-only then."""
    if os.access(path, os.W_OK):
        for beside in (path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
            with suppress(OSError):
                beside.chmod(path.stat().st_mode)


def _use_write_ahead_log(path: Path, busy_timeout: float) -> None:
    """Switch the file to WAL once; it stays so. SQLite does not wait for others by itself here, so we do."""
    deadline = time.monotonic() + busy_timeout
    while True:
        connection = sqlite3.connect(path, timeout=busy_timeout, isolation_level=None)
        try:
            (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
            if mode != "wal":
                (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            if mode == "wal":
                return
            raise StoreError(
                "unsupported",
                f"The database {path} cannot use a write-ahead log here. Put it on a local disk, not on a network"
                " folder.",
            )
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        finally:
            connection.close()


def _open_postgresql(url: URL, busy_timeout: float) -> Database:
    arguments: dict[str, Any] = {} if "connect_timeout" in url.query else {"connect_timeout": 5}
    engine = create_engine(
        url,
        connect_args={"application_name": "price-risk-monitor", **arguments},
        json_serializer=to_json,
        pool_pre_ping=True,  # a restarted server is found out before a transaction begins, not within it
        pool_size=8,
        max_overflow=40,
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        connection.execute("SET timezone = 'UTC'")
        connection.execute(f"SET lock_timeout = {max(1, int(busy_timeout * 1000))}")
        (durable,) = connection.execute("SHOW synchronous_commit").fetchone()
        if durable == "off":  # what we acknowledge must be on the server's disk
            connection.execute("SET synchronous_commit = on")
        connection.commit()

    return Database(engine, None, busy_timeout)
