"""Accounts in the database: who may sign in, with which roles, where. Checked on the way in.

A faulty entry raises AccountError. Accounts are switched off, not deleted: reviews and the audit name them. Whatever
changes what an account may do makes its `stamp` grow, which ends its sessions (see sessions.py). The last account
that can manage accounts stays able to.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from monitor.accounts import CODES, hash_code, name_fault, name_key
from monitor.rights import EVERYWHERE, Areas, Held
from monitor.schema_console import account, account_point, account_role, recovery_code
from monitor.store.database import Database
from monitor.store.roles import EVERY_AREA, AccountError, check_role, keeping_a_manager
from monitor.store.text import is_storable, moment, moment_or_none, seconds, storable

TEXT_LENGTH = 200
MOST_PLACES = 1000


@dataclass(frozen=True, slots=True)
class Account:
    """An account without its secrets.

    roles   role id -> its areas; {"*"}: everywhere
    points  monitoring points, for roles that are held for points
    """

    id: int
    name: str
    shown: str
    active: bool
    has_password: bool
    must_change: bool
    has_totp: bool
    oidc_name: str
    oidc_subject: str
    language: str
    stamp: int
    created_at: datetime
    signed_in_at: datetime | None
    roles: Mapping[str, frozenset[str]]
    points: frozenset[str]

    def held(self, city: str) -> tuple[Held, ...]:
        """The roles with their areas; `city` is the name of the whole city."""
        return tuple(Held(role, areas_of(names, city)) for role, names in self.roles.items())


def areas_of(names: Collection[str], city: str) -> Areas:
    return EVERYWHERE if EVERY_AREA in names else Areas.of(names, city)


def add(
    db: Database,
    name: str,
    now: datetime,
    *,
    shown: str = "",
    password: str = "",
    must_change: bool = True,
    roles: Mapping[str, Collection[str]] | None = None,
    points: Collection[str] = (),
    oidc_name: str = "",
) -> Account:
    """A new account. `password` is a hash (monitor.accounts.hash_password) or empty. Raises AccountError."""
    with db.begin() as connection:
        return get(connection, insert_account(
            connection, name, now, shown=shown, password=password, must_change=must_change, roles=roles or {},
            points=points, oidc_name=oidc_name,
        ))  # fmt: skip


def insert_account(
    connection: Connection,
    name: str,
    now: datetime,
    *,
    shown: str,
    password: str,
    must_change: bool,
    roles: Mapping[str, Collection[str]],
    points: Collection[str],
    oidc_name: str = "",
) -> int:
    """The same within a transaction; gives its id."""
    name = name.strip()
    if fault := name_fault(name):
        raise AccountError("name", f"the name {name!r} cannot be used ({fault}): letters, digits and . @ + - _ only")
    check_text("shown", shown)
    check_roles(roles, points)
    if connection.execute(select(account.c.id).where(account.c.key == name_key(name))).first():
        raise AccountError("exists", f"there is already an account named {name!r}")
    try:
        with connection.begin_nested():
            made: int = connection.execute(
                insert(account)
                .values(
                    name=name,
                    key=name_key(name),
                    shown=shown.strip() or name,
                    password=password,
                    must_change=must_change and bool(password),
                    password_at=seconds(now) if password else None,
                    oidc_name=oidc_name.strip() or None,
                    created_at=seconds(now),
                )
                .returning(account.c.id)
            ).scalar_one()
    except IntegrityError as error:
        raise AccountError(
            "linked", "this name at the provider, or this account, is there already; use another one"
        ) from error
    write_roles(connection, made, roles, points)
    return made


def exists_any(db: Database) -> bool:
    with db.connect() as connection:
        return connection.execute(select(account.c.id).limit(1)).first() is not None


def get(connection: Connection, account_id: int) -> Account:
    """Raises AccountError 'unknown'."""
    found = _accounts(connection, account.c.id == account_id)
    if not found:
        raise AccountError("unknown", f"there is no account with the number {account_id}")
    return found[0]


def by_id(db: Database, account_id: int) -> Account:
    """Raises AccountError 'unknown'."""
    with db.connect() as connection:
        return get(connection, account_id)


def find(db: Database, name: str) -> Account:
    """The account of that name, however it is written. Raises AccountError 'unknown'."""
    with db.connect() as connection:
        found = _accounts(connection, account.c.key == storable(name_key(name)))
    if not found:
        raise AccountError("unknown", f"there is no account named {name!r}")
    return found[0]


def find_linked(connection: Connection, oidc_name: str) -> Account | None:
    """The account that the provider of the office calls so."""
    found = _accounts(connection, account.c.oidc_name == storable(oidc_name))
    return found[0] if found else None


def find_by_key(connection: Connection, key: str) -> Account | None:
    """The account of a name as it is compared (monitor.accounts.name_key)."""
    found = _accounts(connection, account.c.key == storable(key))
    return found[0] if found else None


def list_accounts(db: Database, *, active_only: bool = False) -> list[Account]:
    """All accounts in order of names."""
    with db.connect() as connection:
        return _accounts(connection, account.c.active if active_only else None)


def credentials(db: Database, name: str) -> tuple[int, str, str, int]:
    """(id, password hash, TOTP secret, newest TOTP step) of an account that is on; (0, "", "", 0) for no such one."""
    query = select(account.c.id, account.c.password, account.c.totp, account.c.totp_step)
    with db.connect() as connection:
        row = connection.execute(query.where(account.c.key == storable(name_key(name)), account.c.active)).first()
    return (row.id, row.password, row.totp, row.totp_step) if row else (0, "", "", 0)


def password_of(connection: Connection, account_id: int) -> str:
    """The hash of the password, "" for none."""
    return connection.execute(select(account.c.password).where(account.c.id == account_id)).scalar() or ""


def totp_of(connection: Connection, account_id: int) -> tuple[str, int]:
    """(secret of the second factor, newest step used); ("", 0) for none."""
    row = connection.execute(select(account.c.totp, account.c.totp_step).where(account.c.id == account_id)).first()
    return (row.totp, row.totp_step) if row else ("", 0)


# --- changes --------------------------------------------------------------------------------------------------------


def set_password(
    connection: Connection, account_id: int, password: str, now: datetime, *, must_change: bool, quiet: bool = False
) -> None:
    """Store another hash. Ends all sessions, but not where it is only the same password hashed anew (`quiet`)."""
    values: dict[str, object] = {"password": password}
    if not quiet:
        values |= {"must_change": must_change, "password_at": seconds(now), "stamp": account.c.stamp + 1}
    change(connection, account_id, values)


def set_active(connection: Connection, account_id: int, active: bool) -> None:
    """Switch an account on or off. Raises AccountError 'last_admin'."""
    with keeping_a_manager(connection):
        change(connection, account_id, {"active": active, "stamp": account.c.stamp + 1})


def set_roles(
    connection: Connection, account_id: int, roles: Mapping[str, Collection[str]], points: Collection[str]
) -> None:
    """Replace the roles and points of an account. Raises AccountError."""
    check_roles(roles, points)
    with keeping_a_manager(connection):
        change(connection, account_id, {"stamp": account.c.stamp + 1})
        connection.execute(delete(account_role).where(account_role.c.account_id == account_id))
        connection.execute(delete(account_point).where(account_point.c.account_id == account_id))
        write_roles(connection, account_id, roles, points)


def set_facts(connection: Connection, account_id: int, *, shown: str, oidc_name: str) -> None:
    """Set how pages call the person and how the provider does. Raises AccountError."""
    check_text("shown", shown)
    check_text("oidc_name", oidc_name)
    before = get(connection, account_id)
    values: dict[str, object] = {"shown": shown.strip() or before.name}
    if oidc_name.strip() != before.oidc_name:
        values |= {"oidc_name": oidc_name.strip() or None, "oidc_subject": ""}
    try:
        with connection.begin_nested():
            change(connection, account_id, values)
    except IntegrityError as error:
        raise AccountError("linked", f"{oidc_name!r} belongs to another account already") from error


def set_language(connection: Connection, account_id: int, language: str) -> None:
    change(connection, account_id, {"language": language})


def bind_subject(connection: Connection, account_id: int, subject: str) -> None:
    """Remember which subject of the provider an account is, at its first such sign-in."""
    change(connection, account_id, {"oidc_subject": subject})


def signed_in(connection: Connection, account_id: int, now: datetime) -> None:
    change(connection, account_id, {"signed_in_at": seconds(now)})


def set_totp(connection: Connection, account_id: int, secret: str, step: int, codes: Sequence[str]) -> None:
    """Begin to ask for a second factor; `codes` are its recovery codes, kept as hashes."""
    change(connection, account_id, {"totp": secret, "totp_step": step, "stamp": account.c.stamp + 1})
    set_recovery_codes(connection, account_id, codes)


def reset_totp(connection: Connection, account_id: int) -> None:
    """Ask for no second factor any more, until another one is set up."""
    change(connection, account_id, {"totp": "", "totp_step": 0, "stamp": account.c.stamp + 1})
    connection.execute(delete(recovery_code).where(recovery_code.c.account_id == account_id))


def set_recovery_codes(connection: Connection, account_id: int, codes: Sequence[str]) -> None:
    connection.execute(delete(recovery_code).where(recovery_code.c.account_id == account_id))
    rows = [{"account_id": account_id, "hash": hash_code(code)} for code in codes[:CODES]]
    if rows:
        connection.execute(insert(recovery_code), rows)


def recovery_codes_left(db: Database, account_id: int) -> int:
    query = select(func.count()).select_from(recovery_code).where(recovery_code.c.account_id == account_id)
    with db.connect() as connection:
        return int(connection.execute(query).scalar_one())


def use_step(connection: Connection, account_id: int, step: int) -> bool:
    """Use up a TOTP step; False where it, or a newer one, was used before: a code works once."""
    newer = update(account).where(account.c.id == account_id, account.c.totp_step < step)
    return connection.execute(newer.values(totp_step=step)).rowcount > 0


def use_recovery_code(connection: Connection, account_id: int, code: str) -> bool:
    """Use up a recovery code; False where there is none like it."""
    mine = and_(recovery_code.c.account_id == account_id, recovery_code.c.hash == hash_code(code))
    return connection.execute(delete(recovery_code).where(mine)).rowcount > 0


def change(connection: Connection, account_id: int, values: Mapping[str, object]) -> None:
    """Raises AccountError 'unknown'."""
    if connection.execute(update(account).where(account.c.id == account_id).values(**values)).rowcount == 0:
        raise AccountError("unknown", f"there is no account with the number {account_id}")


def write_roles(
    connection: Connection, account_id: int, roles: Mapping[str, Collection[str]], points: Collection[str]
) -> None:
    rows = [
        {"account_id": account_id, "role": role, "area": area}
        for role, areas in roles.items()
        for area in sorted({EVERY_AREA} if EVERY_AREA in areas else set(areas))
    ]
    if rows:
        connection.execute(insert(account_role), rows)
    if points:
        here = [{"account_id": account_id, "point": point} for point in sorted(set(points))]
        connection.execute(insert(account_point), here)


def check_roles(roles: Mapping[str, Collection[str]], points: Collection[str]) -> None:
    for role, areas in roles.items():
        check_role(role)
        if not areas:
            raise AccountError("area", f"the role {role!r} needs areas, or * for everywhere")
        check_places("area", areas)
    check_places("point", points)


def check_places(what: str, names: Collection[str]) -> None:
    if len(names) > MOST_PLACES:
        raise AccountError(what, f"more than {MOST_PLACES} names are given; use * for everywhere")
    for name in names:
        if not name.strip():
            raise AccountError(what, "a name is empty; write it, or leave it out")
        check_text(what, name)


def check_text(what: str, text: str) -> None:
    if len(text) > TEXT_LENGTH or not is_storable(text) or (text and not text.isprintable()):
        raise AccountError(what, f"{text[:40]!r} is too long, or holds a character that cannot be shown; shorten it")


def _accounts(connection: Connection, condition: ColumnElement[bool] | None) -> list[Account]:
    query = select(account).order_by(account.c.key)
    if condition is not None:
        query = query.where(condition)
    rows = connection.execute(query).mappings().all()
    one = rows[0]["id"] if len(rows) == 1 else None
    held: dict[int, dict[str, set[str]]] = {}
    points: dict[int, set[str]] = {}
    if rows:
        roles, places = select(account_role), select(account_point)
        if one is not None:
            roles, places = (
                roles.where(account_role.c.account_id == one),
                places.where(account_point.c.account_id == one),
            )
        for row in connection.execute(roles):
            held.setdefault(row.account_id, {}).setdefault(row.role, set()).add(row.area)
        for row in connection.execute(places):
            points.setdefault(row.account_id, set()).add(row.point)
    return [_account(row, held.get(row["id"], {}), points.get(row["id"], set())) for row in rows]


def _account(row: RowMapping, held: Mapping[str, set[str]], points: Collection[str]) -> Account:
    return Account(
        id=row["id"],
        name=row["name"],
        shown=row["shown"],
        active=row["active"],
        has_password=bool(row["password"]),
        must_change=row["must_change"],
        has_totp=bool(row["totp"]),
        oidc_name=row["oidc_name"] or "",
        oidc_subject=row["oidc_subject"],
        language=row["language"],
        stamp=row["stamp"],
        created_at=moment(row["created_at"]),
        signed_in_at=moment_or_none(row["signed_in_at"]),
        roles={role: frozenset(areas) for role, areas in sorted(held.items())},
        points=frozenset(points),
    )
