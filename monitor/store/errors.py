"""Faults of the database in words that say what to do."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout


class StoreError(Exception):
    """The database cannot do what was asked; nothing of the transaction was stored.

    reason  locked, full, readonly, io, unreachable, corrupt, newer_schema, old_schema, foreign_tables, unsupported:
            a stable word for metrics and problem details
    The message says what is wrong, where, and how to mend it. `temporary` says that trying again later may help.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    @property
    def temporary(self) -> bool:
        return self.reason in ("locked", "full", "readonly", "io", "unreachable")


REMEDIES = {
    "locked": "Another program holds the database for too long. Nothing was stored; it is tried again. If it goes on,"
    " look for a long import or a database tool that was left open.",
    "full": "The disk of the database is full. Nothing was stored. Free space there; work goes on by itself.",
    "readonly": "The database cannot be written. Nothing was stored. Let this user write to the file and its folder,"
    " and check that the disk is not mounted read-only.",
    "io": "The disk of the database refused a read or a write. Nothing was stored. Check the disk, its quota and the"
    " file-size limit of this process.",
    "unreachable": "The database server does not answer or does not let us in. Nothing was stored. Check that it"
    " runs, and the host, port, name and credentials in [database] url.",
    "corrupt": "The database is damaged or is not a database. Stop, keep the file, and restore the newest backup.",
}

SQLITE_REASONS = {
    sqlite3.SQLITE_BUSY: "locked",
    sqlite3.SQLITE_LOCKED: "locked",
    sqlite3.SQLITE_PROTOCOL: "locked",
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_READONLY: "readonly",
    sqlite3.SQLITE_CANTOPEN: "readonly",
    sqlite3.SQLITE_PERM: "readonly",
    sqlite3.SQLITE_IOERR: "io",
    sqlite3.SQLITE_CORRUPT: "corrupt",
    sqlite3.SQLITE_NOTADB: "corrupt",
}

# SQLSTATE codes, or their two-character classes
POSTGRESQL_REASONS = {
    "55P03": "locked",  # lock_not_available
    "40P01": "locked",  # deadlock_detected
    "40001": "locked",  # serialization_failure
    "53100": "full",  # disk_full
    "25006": "readonly",  # read_only_sql_transaction: a standby
    "42501": "readonly",  # insufficient_privilege
    "58030": "io",  # io_error
    "3D000": "unreachable",  # no such database
    "53300": "unreachable",  # too_many_connections
    "57P": "unreachable",  # the server shuts down or starts
    "08": "unreachable",  # connection lost
    "28": "unreachable",  # not let in
    "XX001": "corrupt",
    "XX002": "corrupt",
}


@contextmanager
def translated(path: Path | None) -> Iterator[None]:
    """Turn the drivers' errors into StoreError; errors that are our own bugs pass unchanged."""
    try:
        yield
    except DBAPIError as error:
        if error.orig is None or (reason := reason_of(error.orig, path)) is None:
            raise
        raise explained(reason, path, error.orig) from error
    except PoolTimeout as error:
        raise explained("locked", path, error) from error
    except Exception as error:
        if isinstance(error, StoreError) or (reason := reason_of(error, path)) is None:
            raise
        raise explained(reason, path, error) from error


def explained(reason: str, path: Path | None, error: BaseException) -> StoreError:
    where = f"Database {path}" if path else "Database server"
    said = str(error).strip().splitlines()
    return StoreError(reason, f"{where}: {REMEDIES[reason]} ({said[0] if said else type(error).__name__})")


def reason_of(error: BaseException, path: Path | None) -> str | None:
    """Our word for a driver's error, or None where it is not a fault of the surroundings."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", None)
        reason = SQLITE_REASONS.get(code & 0xFF) if code is not None else None
        return "full" if reason == "io" and path is not None and no_room(path) else reason
    if type(error).__module__.split(".")[0] != "psycopg":
        return None
    state = getattr(error, "sqlstate", None)
    if state is None:
        return "unreachable" if type(error).__name__ in ("OperationalError", "ConnectionTimeout") else None
    return next((POSTGRESQL_REASONS[state[:n]] for n in (5, 3, 2) if state[:n] in POSTGRESQL_REASONS), None)


def no_room(path: Path) -> bool:
    """Whether the disk has less than a page or two left: SQLite calls a full disk an I/O error in some places."""
    try:
        state = os.statvfs(path.parent)
    except OSError:
        return False
    return state.f_bavail * state.f_frsize < 64 * 1024
