"""Sign-ins that are at the provider of the office: each is taken back once, by the browser that began it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, insert, select

from monitor.accounts import digest
from monitor.schema_console import oidc_request
from monitor.store.database import Database
from monitor.store.text import seconds, storable

WITHIN = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Underway:
    """What is needed when the browser comes back."""

    nonce: str
    verifier: str
    next: str


def begin(db: Database, state: str, browser: str, underway: Underway, now: datetime) -> None:
    """Remember a sign-in. `state` and `browser` (a cookie) are kept as hashes."""
    with db.begin() as connection:
        connection.execute(
            insert(oidc_request).values(
                state=digest(state),
                browser=digest(browser),
                nonce=underway.nonce,
                verifier=underway.verifier,
                next=storable(underway.next)[:2000],
                expires_at=seconds(now + WITHIN),
            )
        )


def take(db: Database, state: str, browser: str, now: datetime) -> Underway | None:
    """The sign-in of this state, begun in this browser; it cannot be taken again. None for any other."""
    mine = (oidc_request.c.state == digest(state), oidc_request.c.browser == digest(browser))
    with db.begin() as connection:
        row = connection.execute(select(oidc_request).where(*mine).with_for_update()).first()
        if row is None:
            return None
        connection.execute(delete(oidc_request).where(*mine))
    return Underway(row.nonce, row.verifier, row.next) if row.expires_at > seconds(now) else None
