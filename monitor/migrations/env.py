"""Alembic's entry point. The program hands over its own connection, already in a transaction."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from monitor.schema import metadata


def main() -> None:
    connection = context.config.attributes.get("connection")
    if not isinstance(connection, Connection):
        raise SystemExit("Migrations are run by the program itself: open the database with `monitor run`.")
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


main()
