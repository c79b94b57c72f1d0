"""One daemon per database."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from monitor.store.errors import StoreError, translated

KEY = 0x70726D6F03

SERVER_SEES_WITHIN = 2.0
"""Seconds after which a lock that is still held is held by a living daemon."""

Keep = Callable[[], None]
"""makes sure that the lock is still held; raises AlreadyRunning where another daemon has it, DatabaseMoved where the
file of the database is another one, StoreError"""


class AlreadyRunning(Exception):
    """Another daemon works on this database."""


class DatabaseMoved(Exception):
    """The file of the database was taken away or replaced while a daemon worked on it."""


class FileLock:
    """An exclusive lock on a file beside an SQLite database; the kernel drops it when the process dies, and not
    before. A lock belongs to a file and not to its name, so `keep` looks whether both names still mean the same."""

    def __init__(self, path: Path, database: Path) -> None:
        self.path, self.database = path, database
        self.known = identity(database)
        self.handle = -1

    def take(self) -> None:
        """Raises AlreadyRunning, or StoreError where the lock file cannot be opened."""
        try:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise StoreError(
                "readonly",
                f"The lock file {self.path} cannot be opened ({error.strerror}). Let this user write to its folder.",
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            who = os.pread(handle, 32, 0).decode("ascii", "replace").strip()
            os.close(handle)
            raise AlreadyRunning(
                f"A daemon{f' (process {who})' if who else ''} already works on this database (lock {self.path})."
                " Stop it first, or give this one a database of its own."
            ) from None
        self.release()
        self.handle = handle
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)

    def keep(self) -> None:
        """Take the lock again where its file was removed. Raises as `take` does, and DatabaseMoved: what is written
        from then on would go into a file that nobody finds any more."""
        if identity(self.database) != self.known:
            raise DatabaseMoved(
                f"The database {self.database} was taken away or replaced while this daemon worked on it. What came"
                " in since then must be sent again. Stop the daemon before you restore a backup, and remove the -wal"
                " and -shm files of the old database too: they do not fit the new one."
            )
        status = os.fstat(self.handle)
        if identity(self.path) != (status.st_dev, status.st_ino):
            self.take()

    def release(self) -> None:
        if self.handle >= 0:
            os.close(self.handle)
        self.handle = -1


def identity(path: Path) -> tuple[int, int] | None:
    """Which file a name means now; None where it means none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


@contextmanager
def file_lock(path: Path, database: Path) -> Iterator[Keep]:
    """Hold the lock `path` of `database`; gives what keeps it, to be called now and then."""
    lock = FileLock(path, database)
    try:
        lock.take()
        yield lock.keep
    finally:
        lock.release()


class ServerLock:
    """A lock of a PostgreSQL session; the server drops it when the connection ends, also when it restarts itself."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.connection: Connection | None = None
        self.asking = Lock()

    def take(self) -> None:
        """Raises AlreadyRunning, or StoreError where the server does not answer."""
        with translated(None):
            self.connection = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            self.connection.detach()  # never back to the pool: closing it is what releases the lock
            got = self.try_for(self.connection)
        if not got:
            self.release()
            raise AlreadyRunning(
                f"A daemon already works on the database {self.engine.url.database} of {self.engine.url.host}."
                " Stop it first, or give this one a database of its own."
            )

    @staticmethod
    def try_for(connection: Connection) -> bool:
        """The server sees a little later than the kernel that the process before us is gone: worth a moment."""
        end = time.monotonic() + SERVER_SEES_WITHIN
        while not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": KEY}).scalar():
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        return True

    def keep(self) -> None:
        """Take the lock again where the server has dropped the session. Raises as `take` does."""
        with self.asking:
            if self.connection is not None:
                try:
                    with translated(None):
                        self.connection.execute(text("SELECT 1"))
                except StoreError:
                    self.release()
                else:
                    return
            self.take()

    def let_go(self) -> None:
        """Release at the end; where `keep` waits for a server that hangs, leave it to the end of the process."""
        if self.asking.acquire(blocking=False):
            self.release()

    def release(self) -> None:
        if self.connection is not None:
            with suppress(DBAPIError):  # a session that is gone holds nothing
                self.connection.close()
        self.connection = None


@contextmanager
def server_lock(engine: Engine) -> Iterator[Keep]:
    """Hold the lock; gives what keeps it, to be called now and then."""
    lock = ServerLock(engine)
    try:
        lock.take()
        yield lock.keep
    finally:
        lock.let_go()
