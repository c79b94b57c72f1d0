"""One daemon per database."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, text

from monitor.store.errors import StoreError, translated

KEY = 0x70726D6F03


class AlreadyRunning(Exception):
    """Another daemon works on this database."""


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file; the kernel drops it when the process dies."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o640)
    except OSError as error:
        raise StoreError(
            "readonly",
            f"The lock file {path} cannot be opened ({error.strerror}). Let this user write to its folder.",
        ) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            who = os.pread(handle, 32, 0).decode("ascii", "replace").strip()
            raise AlreadyRunning(
                f"A daemon{f' (process {who})' if who else ''} already works on this database (lock {path}). Stop it"
                " first, or give this one a database of its own."
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(handle)


@contextmanager
def server_lock(engine: Engine) -> Iterator[None]:
    """Hold a lock of a PostgreSQL session; the server drops it when the connection ends."""
    with translated(None):
        connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        connection.detach()  # never back to the pool: closing it is what releases the lock
    try:
        with translated(None):
            got = connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": KEY}).scalar()
        if not got:
            raise AlreadyRunning(
                f"A daemon already works on the database {engine.url.database} of {engine.url.host}. Stop it"
                " first, or give this one a database of its own."
            )
        yield
    finally:
        connection.close()
