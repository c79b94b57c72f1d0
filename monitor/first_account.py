"""The first account: an administrator with a random password that is shown once and must be changed."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from monitor.accounts import hash_password, random_password
from monitor.schema_console import account
from monitor.store import accounts, audit
from monitor.store.database import Database
from monitor.store.roles import EVERY_AREA, AccountError

NAME = "admin"
EVERYWHERE = frozenset({EVERY_AREA})
ROLES = {"admin": EVERYWHERE}
DEMO_ROLES = ROLES | {"monitor": EVERYWHERE}
"""who tries the program out wants to see flags, and not first to make accounts"""


def first_admin(db: Database, now: datetime, *, demo: bool) -> str:
    """Make the account where there is none at all; gives its password, "" where there are accounts.

    Raises StoreError. Two processes that start at the same moment make one account: the second sees the first one's.
    """
    if accounts.exists_any(db):
        return ""
    password = random_password()
    hashed = hash_password(password)
    roles = DEMO_ROLES if demo else ROLES
    try:
        with db.begin() as connection:
            if connection.execute(select(account.c.id).limit(1)).first() is not None:
                return ""
            accounts.insert_account(
                connection,
                NAME,
                now,
                shown="系统管理员",
                password=hashed,
                must_change=True,
                roles=roles,
                points=(),
            )
            audit.note(connection, "system", "account.made", f"account:{NAME}", {"roles": sorted(roles)}, now)
    except AccountError:  # PostgreSQL: the other process was between our look and our row
        if accounts.exists_any(db):
            return ""
        raise
    return password
