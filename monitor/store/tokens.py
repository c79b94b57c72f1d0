"""Access tokens of the API.

A token is 32 random bytes, shown once. Stored is its SHA-256: a password needs a slow hash because it can be guessed,
256 random bits cannot, and a fast hash keeps every request fast. Looking a token up is a comparison of hashes by the
database's index, so how long it takes says nothing about any stored token.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import RowMapping, insert, select, update
from sqlalchemy.exc import IntegrityError

from monitor.auth import Scope
from monitor.schema import token
from monitor.store.database import Database
from monitor.store.text import is_storable, moment, moment_or_none, seconds

PREFIX = "prm_"
"""lets scanners for leaked secrets, and people, see what it is"""


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """A token without its secret."""

    id: int
    name: str
    scopes: frozenset[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    areas: frozenset[str] | None = None
    """None: everywhere"""

    def works(self, now: datetime) -> bool:
        """Whether it opens anything at `now`."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class Created:
    """A new token. `secret` is nowhere else: who loses it makes another."""

    id: int
    secret: str


class TokenExists(Exception):
    """There is a token with this name already (perhaps a revoked one: the log must stay clear about who it was)."""


def create(
    db: Database,
    name: str,
    scopes: Collection[str],
    now: datetime,
    expires: datetime | None = None,
    areas: Collection[str] | None = None,
) -> Created:
    """Make a token, for some areas only where they are given. Raises TokenExists; ValueError for an empty name or
    area, no scope or an unknown one."""
    unknown = sorted(set(scopes) - set(Scope))
    if unknown or not scopes:
        raise ValueError(f"unknown scope {', '.join(unknown) or '(none given)'}: use {', '.join(sorted(Scope))}")
    if not name.strip() or not is_storable(name):
        raise ValueError("a token needs a name that says who uses it")
    if areas is not None and not (areas and all(area.strip() and is_storable(area) for area in areas)):
        raise ValueError("a token for areas needs their names; leave the areas out for everywhere")
    secret = PREFIX + secrets.token_urlsafe(32)
    row = insert(token).values(
        name=name,
        hash=hash_of(secret),
        scopes=sorted(str(scope) for scope in scopes),
        created_at=seconds(now),
        expires_at=None if expires is None else seconds(expires),
        areas=None if areas is None else sorted(set(areas)),
    )
    try:
        with db.begin() as connection:
            new_id = connection.execute(row.returning(token.c.id)).scalar_one()
    except IntegrityError as error:
        raise TokenExists(f"there is a token named {name!r} already; choose another name") from error
    return Created(int(new_id), secret)


def verify(db: Database, secret: str, now: datetime) -> TokenInfo | None:
    """Whose token this is; None where it is unknown, expired or revoked."""
    with db.connect() as connection:
        query = select(token).where(token.c.hash == hash_of(secret))
        row = connection.execute(query).mappings().one_or_none()
    found = _info(row) if row else None
    return found if found is not None and found.works(now) else None


def revoke(db: Database, name: str, now: datetime) -> bool:
    """Make a token useless from now on. False where there is none of this name that works."""
    with db.begin() as connection:
        changed = connection.execute(
            update(token).where(token.c.name == name, token.c.revoked_at.is_(None)).values(revoked_at=seconds(now))
        )
    return changed.rowcount > 0


def list_tokens(db: Database) -> list[TokenInfo]:
    """All tokens, the oldest first, also those that no longer work."""
    with db.connect() as connection:
        return [_info(row) for row in connection.execute(select(token).order_by(token.c.id)).mappings()]


def hash_of(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _info(row: RowMapping) -> TokenInfo:
    return TokenInfo(
        id=row["id"],
        name=row["name"],
        scopes=frozenset(row["scopes"]),
        created_at=moment(row["created_at"]),
        expires_at=moment_or_none(row["expires_at"]),
        revoked_at=moment_or_none(row["revoked_at"]),
        areas=None if row["areas"] is None else frozenset(row["areas"]),
    )
