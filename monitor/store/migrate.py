"""Bringing the tables of a database up to date: Alembic, run by the program itself when it opens the database.

A new revision is a file in monitor/migrations/versions/ (see script.py.mako there, and docs/adr/002-storage.md);
HEAD names the newest one.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import Connection, inspect, text

import monitor.schema_console
import monitor.schema_entry
import monitor.schema_reports
import monitor.schema_review  # noqa: F401  its tables belong to `metadata`
from monitor.schema import metadata
from monitor.store.errors import StoreError

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0009"
"""The newest revision, written down so that opening a current database needs no Alembic (0.2 s)."""

LOCK = 0x70726D6F02
FOLDER = Path(__file__).parents[1] / "migrations"


class Transactions(Protocol):
    """What is needed of a database (monitor.store.database.Database)."""

    dialect: str

    def begin(self) -> AbstractContextManager[Connection]: ...
    def connect(self) -> AbstractContextManager[Connection]: ...


def bring_up_to_date(database: Transactions, *, migrate: bool) -> None:
    """Run the migrations that are missing, all in one transaction. Raises StoreError.

    Reasons: newer_schema where a newer program has written here, old_schema where `migrate` is false and migrations
    are missing, foreign_tables where another program's tables stand in the way.
    """
    with database.connect() as connection:
        found = stored_revision(connection)
    if found == HEAD:
        return
    check_known(found)
    if not migrate:
        raise StoreError(
            "old_schema",
            f"The database has schema {found or 'none'}, this program needs {HEAD}. Run any command that writes"
            " (for instance `monitor run`) once; it brings the tables up to date.",
        )
    with database.begin() as connection:
        if database.dialect == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        found = stored_revision(connection)  # another process may have been quicker
        check_known(found)
        if found is None:
            check_empty(connection)
        if found != HEAD:
            upgrade(connection)


def upgrade(connection: Connection) -> None:
    """Run all missing migrations in the transaction of `connection`."""
    from alembic import command

    settings = configuration()
    settings.attributes["connection"] = connection
    command.upgrade(settings, "head")


def configuration() -> Config:
    """Alembic's settings, without an ini file."""
    from alembic.config import Config

    settings = Config()
    settings.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    return settings


def known_revisions() -> set[str]:
    """The revisions that this program brings along."""
    from alembic.script import ScriptDirectory

    return {script.revision for script in ScriptDirectory.from_config(configuration()).walk_revisions()}


def stored_revision(connection: Connection) -> str | None:
    """The revision that the database says it has, None where it has none yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return revision


def check_known(found: str | None) -> None:
    if found is not None and found not in known_revisions():
        raise StoreError(
            "newer_schema",
            f"The database was written by a newer version of this program (schema {found}, this one knows up to"
            f" {HEAD}). Install that version, or restore a backup made before the upgrade.",
        )


def check_empty(connection: Connection) -> None:
    """Never mix our tables with those of another program."""
    if taken := sorted(set(inspect(connection).get_table_names()) & set(metadata.tables)):
        raise StoreError(
            "foreign_tables",
            f"The database already has tables that this program did not make ({', '.join(taken)}). Give it a database"
            " of its own.",
        )
