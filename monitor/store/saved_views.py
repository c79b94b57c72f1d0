"""Saved views of the review queue: filters under a name, each account its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from monitor.schema_review import saved_view as table
from monitor.store.database import Database
from monitor.store.text import is_storable, seconds

NAME_LENGTH, QUERY_LENGTH, MOST = 40, 2000, 50


class ViewError(Exception):
    """A view that cannot be kept. `reason`: name, taken, too_many."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class View:
    """A filter as in the address of the queue (area=东区&kind=move, percent-encoded), under a name."""

    id: int
    name: str
    query: str
    default: bool


def views_of(db: Database, account: int) -> list[View]:
    """An account's views in order of names."""
    c = table.c
    query = select(c.id, c.name, c.query, c.is_default).where(c.account_id == account).order_by(c.name)
    with db.connect() as connection:
        return [View(*row) for row in connection.execute(query)]


def keep_view(db: Database, account: int, name: str, query: str, default: bool, now: datetime) -> View:
    """Keep a new view; as the default it takes the place of the one before. Raises ViewError."""
    name = name.strip()
    if not name or len(name) > NAME_LENGTH or not name.isprintable() or not is_storable(name):
        raise ViewError("name")
    mine = table.c.account_id == account
    kept = query[:QUERY_LENGTH]
    values = {"account_id": account, "name": name, "query": kept, "created_at": seconds(now)}
    try:
        with db.begin() as connection:
            if connection.execute(select(func.count()).select_from(table).where(mine)).scalar_one() >= MOST:
                raise ViewError("too_many")
            if default:
                connection.execute(update(table).where(mine).values(is_default=False))
            new = insert(table).values(values | {"is_default": default}).returning(table.c.id)
            made = connection.execute(new).scalar_one()
    except IntegrityError as error:
        raise ViewError("taken") from error
    return View(made, name, kept, default)


def set_default(db: Database, account: int, view_id: int | None) -> None:
    """Make a view of the account its default, or none of them."""
    mine = table.c.account_id == account
    with db.begin() as connection:
        connection.execute(update(table).where(mine).values(is_default=table.c.id == (view_id or 0)))


def remove_view(db: Database, account: int, view_id: int) -> bool:
    """Remove a view of the account; False where it has no such view."""
    mine = (table.c.account_id == account) & (table.c.id == view_id)
    with db.begin() as connection:
        return connection.execute(delete(table).where(mine)).rowcount == 1
