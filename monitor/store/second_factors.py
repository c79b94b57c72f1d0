"""Second factors in the database: sealed on the way in, opened on the way out, never plain (monitor/sealing.py)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, exists, select, update

from monitor.schema_console import account
from monitor.sealing import FILE, MARK, Keyring, SealError, is_sealed, keyring
from monitor.store import accounts
from monitor.store.database import Database
from thresholds.settings import Secret


@dataclass(frozen=True, slots=True)
class Keys:
    """Where the keys are: `configured`, the newest first, or else the key file beside the database."""

    configured: Sequence[Secret]
    base: Path

    def file(self, db: Database) -> Path:
        """Beside the file of the database; for a server in the daemon's own folder of state."""
        if db.dialect == "sqlite" and db.engine.url.database not in (None, "", ":memory:"):
            return Path(str(db.engine.url.database)).parent / FILE
        state = os.environ.get("STATE_DIRECTORY", "").split(":")[0]  # set by systemd
        return (Path(state) if state else self.base / "data") / FILE

    def ring(self, db: Database, connection: Connection) -> Keyring:
        """The keys. A key file is made where nothing was ever sealed. Raises SealError."""
        sealed = connection.execute(select(exists().where(account.c.totp.like(f"{MARK}:%")))).scalar()
        return keyring(self.configured, self.base, self.file(db), create=not sealed)


def secret_of(db: Database, connection: Connection, keys: Keys, account_id: int) -> tuple[str, int]:
    """(secret, newest step used) of an account; ("", 0) for none. Raises SealError."""
    stored, step = accounts.totp_of(connection, account_id)
    if not is_sealed(stored):
        return stored, step
    return keys.ring(db, connection).open(stored, account_id), step


def keep(
    db: Database, connection: Connection, keys: Keys, account_id: int, secret: str, step: int, codes: Sequence[str]
) -> None:
    """Begin to ask an account for this second factor. Raises SealError."""
    sealed = keys.ring(db, connection).seal(secret, account_id)
    accounts.set_totp(connection, account_id, sealed, step, codes)


@dataclass(frozen=True, slots=True)
class Sealed:
    """What `seal_all` did: how many secrets are sealed anew, and the accounts whose secret stays closed."""

    changed: int
    closed: tuple[str, ...]
    why: str = ""


def seal_all(db: Database, keys: Keys) -> Sealed:
    """Seal what is plain, or sealed with an older key, with the newest one. What cannot be opened stays as it is.

    Raises SealError where no key can be read at all.
    """
    query = select(account.c.id, account.c.name, account.c.totp).where(account.c.totp != "")
    with db.connect() as connection:
        rows = connection.execute(query).all()
        ring = keys.ring(db, connection) if rows else None
    if ring is None:
        return Sealed(0, ())
    closed: list[str] = []
    why = ""
    found = []
    for row in rows:
        if ring.is_current(row.totp):
            continue
        try:
            found.append((row.id, row.totp, ring.seal(ring.open(row.totp, row.id), row.id)))
        except SealError as error:
            closed.append(row.name)
            why = str(error)
    with db.begin() as connection:
        for id, before, after in found:
            mine = update(account).where(account.c.id == id, account.c.totp == before)
            connection.execute(mine.values(totp=after))
    return Sealed(len(found), tuple(closed), why)
