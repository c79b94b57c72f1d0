"""Sessions of people who are signed in, the browsers that are known, and failures to sign in.

The cookie is 32 random bytes; stored is its SHA-256, as with API tokens (see tokens.py). A session ends after a time
without a request, at its absolute end, when it is ended, when the account is switched off, and when the account's
rights change: then `account.stamp` grows, and sessions with an older stamp are none any more.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping, bindparam, delete, insert, or_, select, update

from monitor.accounts import FORGET_AFTER, Failures, after_failure, digest, longest_wait
from monitor.schema_console import account, attempt, device, oidc_request, session
from monitor.store.database import Database, insert_into
from monitor.store.text import moment, seconds, storable

SEEN_EVERY = 60
CODE_WITHIN = timedelta(minutes=10)
DEVICE_KEPT = timedelta(days=180)
MOST_SESSIONS = 30


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a session comes from, as its owner is shown it. `way` is password, code, recovery or oidc."""

    address: str = ""
    agent: str = ""
    way: str = "password"


@dataclass(frozen=True, slots=True)
class Started:
    """A new session. `secret` goes into the cookie and is nowhere else."""

    id: str
    secret: str
    csrf: str


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """A session as its owner sees it."""

    id: str
    stage: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    address: str
    agent: str
    way: str


@dataclass(frozen=True, slots=True)
class Found:
    """A session that holds, with what a request needs of its account."""

    id: str
    csrf: str
    stage: str
    way: str
    flash: tuple[tuple[str, str], ...]
    seen_at: int
    account_id: int
    name: str
    shown: str
    stamp: int
    must_change: bool
    has_totp: bool
    language: str


def start(
    connection: Connection, account_id: int, now: datetime, length: timedelta, origin: Origin, *, stage: str = "full"
) -> Started:
    """A new session of an account, `length` long; the oldest is ended where somebody has very many."""
    made = Started("", secrets.token_urlsafe(32), secrets.token_urlsafe(24))
    made = Started(digest(made.secret), made.secret, made.csrf)
    stamp = connection.execute(select(account.c.stamp).where(account.c.id == account_id)).scalar_one()
    end = now + (length if stage == "full" else min(length, CODE_WITHIN))
    connection.execute(
        insert(session).values(
            id=made.id,
            account_id=account_id,
            csrf=made.csrf,
            stage=stage,
            stamp=stamp,
            created_at=seconds(now),
            seen_at=seconds(now),
            expires_at=seconds(end),
            address=origin.address[:100],
            agent=storable(origin.agent)[:200],
            way=origin.way,
            flash=[],
        )
    )
    newest = select(session.c.id).where(session.c.account_id == account_id).order_by(session.c.created_at.desc())
    too_old = connection.execute(newest.offset(MOST_SESSIONS)).scalars().all()
    if too_old:
        connection.execute(delete(session).where(session.c.id.in_(too_old)))
    return made


HOLDS = (
    select(session, account.c.name, account.c.shown, account.c.must_change, account.c.totp, account.c.language)
    .join(account, account.c.id == session.c.account_id)
    .where(
        session.c.id == bindparam("wanted"),
        account.c.active,
        session.c.stamp == account.c.stamp,
        session.c.expires_at > bindparam("now"),
        session.c.seen_at > bindparam("idle_since"),
    )
)
"""every request asks this: made once"""


def find(db: Database, secret: str, now: datetime, idle: timedelta) -> Found | None:
    """The session behind a cookie; None where it is unknown, over, or its account is off or has other rights now."""
    if not secret or len(secret) > 200:
        return None
    asked = {"wanted": digest(secret), "now": seconds(now), "idle_since": seconds(now - idle)}
    with db.connect() as connection:
        row = connection.execute(HOLDS, asked).mappings().one_or_none()
    return _found(row) if row else None


def touch(db: Database, found: Found, now: datetime) -> None:
    """Note that the session is in use, at most once a minute."""
    if seconds(now) - found.seen_at >= SEEN_EVERY:
        with db.begin() as connection:
            connection.execute(update(session).where(session.c.id == found.id).values(seen_at=seconds(now)))


def renew(
    connection: Connection, session_id: str, now: datetime, *, stage: str | None = None, way: str | None = None,
    length: timedelta | None = None,
) -> Started | None:  # fmt: skip
    """Give a session another id and another csrf word, and the stamp that its account has now. None where it ended.

    Called at every change of what a session may do, so that an id that somebody else knew opens nothing.
    """
    row = connection.execute(select(session).where(session.c.id == session_id)).mappings().one_or_none()
    if row is None:
        return None
    secret, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(24)
    stamp = connection.execute(select(account.c.stamp).where(account.c.id == row["account_id"])).scalar_one()
    values = {"id": digest(secret), "csrf": csrf, "stamp": stamp, "seen_at": seconds(now)}
    if stage is not None:
        values["stage"] = stage
    if way is not None:
        values["way"] = way
    if length is not None:
        values["expires_at"] = seconds(now + length)
    connection.execute(update(session).where(session.c.id == session_id).values(values))
    return Started(str(values["id"]), secret, csrf)


def end(connection: Connection, session_id: str, account_id: int | None = None) -> bool:
    """End one session, of this account only where one is named. False where there is none."""
    statement = delete(session).where(session.c.id == session_id)
    if account_id is not None:
        statement = statement.where(session.c.account_id == account_id)
    return connection.execute(statement).rowcount > 0


def end_all(connection: Connection, account_id: int, *, but: str = "") -> int:
    """End the sessions of an account, all or all but one; gives their number."""
    return connection.execute(delete(session).where(session.c.account_id == account_id, session.c.id != but)).rowcount


def list_sessions(db: Database, account_id: int, now: datetime, idle: timedelta) -> list[SessionInfo]:
    """The sessions of an account that hold, the last used first."""
    query = (
        select(session)
        .join(account, account.c.id == session.c.account_id)
        .where(
            session.c.account_id == account_id,
            session.c.stamp == account.c.stamp,
            session.c.expires_at > seconds(now),
            session.c.seen_at > seconds(now - idle),
        )
        .order_by(session.c.seen_at.desc(), session.c.created_at.desc())
    )
    with db.connect() as connection:
        return [
            SessionInfo(
                row["id"],
                row["stage"],
                moment(row["created_at"]),
                moment(row["seen_at"]),
                moment(row["expires_at"]),
                row["address"],
                row["agent"],
                row["way"],
            )
            for row in connection.execute(query).mappings()
        ]


def put_flash(db: Database, session_id: str, messages: Sequence[tuple[str, str]]) -> None:
    """Keep (kind, text) messages for the next page of a session; an empty list takes them away."""
    with db.begin() as connection:
        flash_in(connection, session_id, messages)


def flash_in(connection: Connection, session_id: str, messages: Sequence[tuple[str, str]]) -> None:
    """The same within a transaction."""
    kept = [[kind, storable(text)[:1000]] for kind, text in messages[:5]]
    connection.execute(update(session).where(session.c.id == session_id).values(flash=kept))


# --- browsers that are known ----------------------------------------------------------------------------------------


def know_device(connection: Connection, account_id: int, now: datetime, secret: str = "") -> str:
    """Remember the browser in which an account has just signed in, by the cookie that it has already or a new one;
    gives the value of the cookie."""
    mine = update(device).where(device.c.id == digest(secret), device.c.account_id == account_id)
    if secret and connection.execute(mine.values(seen_at=seconds(now))).rowcount:
        return secret
    secret = secrets.token_urlsafe(32)
    connection.execute(insert(device).values(id=digest(secret), account_id=account_id, seen_at=seconds(now)))
    return secret


def device_of(db: Database, secret: str, account_id: int, now: datetime) -> str:
    """The id of a known browser of this account, "" where it is not one."""
    if not secret or len(secret) > 200:
        return ""
    query = select(device.c.id).where(
        device.c.id == digest(secret),
        device.c.account_id == account_id,
        device.c.seen_at > seconds(now - DEVICE_KEPT),
    )
    with db.connect() as connection:
        return connection.execute(query).scalar() or ""


def forget_devices(connection: Connection, account_id: int) -> None:
    connection.execute(delete(device).where(device.c.account_id == account_id))


# --- failures -------------------------------------------------------------------------------------------------------


def claim_attempt(db: Database, keys: dict[str, int], now: datetime) -> int:
    """Ask for one try to sign in, counted against each key with its number of free tries.

    Gives the seconds to wait where one of the keys has failed too often; then nothing is counted. Otherwise the try
    counts as a failure until `attempt_succeeded` takes it back: tries at the same moment cannot slip through.
    """
    at = seconds(now)
    with db.begin() as connection:
        # The first two failures ever of a key, at the same moment on PostgreSQL, may count as one.
        query = select(attempt).where(attempt.c.key.in_(keys)).with_for_update()
        found = {row.key: Failures(row.failures, row.last_at, row.until) for row in connection.execute(query).all()}
        wait = longest_wait(list(found.values()), at)
        if wait > 0:
            return wait
        for key, free in keys.items():
            after = after_failure(found.get(key, Failures()), at, free)
            values = {"failures": after.count, "last_at": after.last_at, "until": after.until}
            statement = insert_into(connection, attempt).values(key=key, **values)
            connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_=values))
    return 0


def attempt_succeeded(connection: Connection, forgiven: Sequence[str], uncounted: Sequence[str]) -> None:
    """Take a try back that was no failure: `forgiven` keys begin anew, of `uncounted` ones only this try is taken."""
    if forgiven:
        connection.execute(delete(attempt).where(attempt.c.key.in_(forgiven)))
    if uncounted:
        less = update(attempt).where(attempt.c.key.in_(uncounted), attempt.c.failures > 0)
        connection.execute(less.values(failures=attempt.c.failures - 1, until=0))


def unlock(connection: Connection, keys: Sequence[str]) -> int:
    return connection.execute(delete(attempt).where(attempt.c.key.in_(keys))).rowcount


def waits(db: Database, key: str, now: datetime) -> int:
    """Seconds for which a key must wait at this moment."""
    with db.connect() as connection:
        until = connection.execute(select(attempt.c.until).where(attempt.c.key == key)).scalar()
    return max(0, (until or 0) - seconds(now))


def tidy(db: Database, now: datetime) -> int:
    """Remove what is over: sessions, failures of long ago, browsers not seen for half a year. Gives their number."""
    at = seconds(now)
    with db.begin() as connection:
        gone = [
            delete(session).where(or_(session.c.expires_at <= at, session.c.seen_at < at - 30 * 86400)),
            delete(attempt).where(attempt.c.last_at < at - FORGET_AFTER),
            delete(device).where(device.c.seen_at < at - int(DEVICE_KEPT.total_seconds())),
            delete(oidc_request).where(oidc_request.c.expires_at <= at),
        ]
        return sum(connection.execute(one).rowcount for one in gone)


def _found(row: RowMapping) -> Found:
    return Found(
        id=row["id"],
        csrf=row["csrf"],
        stage=row["stage"],
        way=row["way"],
        flash=tuple((kind, text) for kind, text in row["flash"]),
        seen_at=row["seen_at"],
        account_id=row["account_id"],
        name=row["name"],
        shown=row["shown"],
        stamp=row["stamp"],
        must_change=row["must_change"],
        has_totp=bool(row["totp"]),
        language=row["language"],
    )
