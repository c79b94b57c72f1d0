"""Roles as this installation has them: shipped in roles.toml, with what was changed here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from monitor.rights import Action, Role, shipped_roles, with_changes
from monitor.schema_console import account, account_role, role_change
from monitor.store.database import Database, insert_into
from monitor.store.text import seconds

EVERY_AREA = "*"


class AccountError(Exception):
    """An entry that cannot be stored. `reason`: unknown, exists, name, shown, role, area, point, last_admin,
    linked."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def read(source: Database | Connection) -> dict[str, Role]:
    """The roles as they are here: shipped, with what this installation changed."""
    if isinstance(source, Database):
        with source.connect() as connection:
            return read(connection)
    rows = source.execute(select(role_change)).all()
    return with_changes(shipped_roles(), {row.role: (row.actions, row.second_factor) for row in rows})


def change(
    connection: Connection, role: str, actions: Iterable[Action], second_factor: bool, now: datetime, actor: str
) -> None:
    """Set what a role may do here. Ends the sessions of all who have it. Raises AccountError."""
    check_role(role)
    values = {
        "actions": sorted(str(action) for action in actions),
        "second_factor": second_factor,
        "changed_at": seconds(now),
        "actor": actor,
    }
    statement = insert_into(connection, role_change).values(role=role, **values)
    with keeping_a_manager(connection):
        connection.execute(statement.on_conflict_do_update(index_elements=["role"], set_=values))
        rights_changed(connection, role)


def restore(connection: Connection, role: str) -> None:
    """Let a role be as it is shipped. Raises AccountError."""
    check_role(role)
    with keeping_a_manager(connection):
        connection.execute(delete(role_change).where(role_change.c.role == role))
        rights_changed(connection, role)


def rights_changed(connection: Connection, role: str) -> None:
    having = select(account_role.c.account_id).where(account_role.c.role == role)
    connection.execute(update(account).where(account.c.id.in_(having)).values(stamp=account.c.stamp + 1))


@contextmanager
def keeping_a_manager(connection: Connection) -> Iterator[None]:
    """Raises AccountError 'last_admin' where what is done inside leaves nobody who can manage accounts."""
    before = has_manager(connection)
    yield
    if before and not has_manager(connection):
        raise AccountError("last_admin", "this is the last account that can manage accounts; make another one first")


def has_manager(connection: Connection) -> bool:
    able = [role.id for role in read(connection).values() if Action.ACCOUNTS_MANAGE in role.actions]
    query = (
        select(account.c.id)
        .join(account_role, account_role.c.account_id == account.c.id)
        .where(account.c.active, account_role.c.area == EVERY_AREA, account_role.c.role.in_(able))
        .limit(1)
    )
    return connection.execute(query).first() is not None


def check_role(role: str) -> None:
    if role not in shipped_roles():
        raise AccountError("role", f"there is no role {role!r}; use one of {', '.join(shipped_roles())}")
