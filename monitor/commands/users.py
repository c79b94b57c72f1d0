"""`monitor users`: accounts from the command line, also when nobody can sign in any more."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import Connection

from monitor.accounts import digest, hash_password, name_key, password_fault, random_password
from monitor.cli import UserError
from monitor.commands.common import database, load
from monitor.config_model import Config
from monitor.store import accounts, audit, sessions
from monitor.store.accounts import Account
from monitor.store.database import Database
from monitor.store.roles import EVERY_AREA, AccountError

FAULTS = {
    "short": "it is shorter than 12 characters; a sentence is easy to remember",
    "long": "it is longer than 256 characters",
    "name": "it consists of the name",
    "common": "it consists of what everybody tries first",
    "monotonous": "it repeats itself",
}


def main(options: argparse.Namespace) -> int:
    config, _ = load(options.config)
    now = datetime.now(UTC)
    with database(config) as db:
        try:
            ACTIONS[options.action](db, config, options, now)
        except AccountError as error:
            raise UserError(str(error)) from error
    return 0


def show(db: Database, config: Config, options: argparse.Namespace, now: datetime) -> None:
    for one in accounts.list_accounts(db):
        print(line(db, one, config, now))


def line(db: Database, one: Account, config: Config, now: datetime) -> str:
    """One account: name, state, roles with areas, points, last sign-in."""
    states = ["on" if one.active else "off"]
    states += ["locked"] * (sessions.waits(db, locks_of(one)[0], now) > 0)
    states += ["must change password"] * one.must_change
    states += ["second factor"] * one.has_totp
    roles = [r if EVERY_AREA in areas else f"{r}={','.join(sorted(areas))}" for r, areas in one.roles.items()]
    last = f"{one.signed_in_at.astimezone(config.zone):%Y-%m-%d %H:%M}" if one.signed_in_at else "never"
    points = f"\tpoints {', '.join(sorted(one.points))}" if one.points else ""
    return f"{one.name}\t{one.shown}\t{', '.join(states)}\t{' '.join(roles) or '(no role)'}{points}\tsigned in {last}"


def locks_of(one: Account) -> list[str]:
    """The keys under which failures of an account are counted, but for those of its known browsers."""
    key = digest(name_key(one.name))[:32]
    return [f"account:{key}", f"local:{key}", f"code:{one.id}"]


def add(db: Database, config: Config, options: argparse.Namespace, now: datetime) -> None:
    password, shown = new_password(options, config)
    roles = roles_of(options.roles)
    made = accounts.add(
        db,
        options.name,
        now,
        shown=options.shown,
        password=hash_password(password),
        roles=roles,
        points=options.points,
    )
    note(db, "account.made", made, {"roles": {r: sorted(a) for r, a in roles.items()}, "points": options.points}, now)
    print(f"made: {made.name}")
    tell(shown)


def passwd(db: Database, config: Config, options: argparse.Namespace, now: datetime) -> None:
    one = accounts.find(db, options.name)
    password, shown = new_password(options, config)
    hashed = hash_password(password)

    def work(connection: Connection) -> None:
        accounts.set_password(connection, one.id, hashed, now, must_change=True)
        sessions.unlock(connection, locks_of(one))

    act(db, one, "account.password_reset", work, now)
    print(f"{one.name} has another password, which must be changed at the next sign-in; all sessions have ended")
    tell(shown)


def roles(db: Database, config: Config, options: argparse.Namespace, now: datetime) -> None:
    one = accounts.find(db, options.name)
    if options.roles or options.points:
        wanted = roles_of(options.roles)
        detail = {"roles": {r: sorted(a) for r, a in wanted.items()}, "points": options.points}
        act(db, one, "account.roles", lambda c: accounts.set_roles(c, one.id, wanted, options.points), now, detail)
    print(line(db, accounts.find(db, options.name), config, now))


def simple(action: audit.Act, said: str, work: Callable[[Connection, Account], object]) -> Callable[..., None]:
    """A command that does one thing with one account."""

    def run(db: Database, config: Config, options: argparse.Namespace, now: datetime) -> None:
        one = accounts.find(db, options.name)
        act(db, one, action, lambda connection: work(connection, one), now)
        print(f"{one.name}: {said}")

    return run


def end_sessions(connection: Connection, one: Account) -> None:
    sessions.end_all(connection, one.id)
    sessions.forget_devices(connection, one.id)


ACTIONS: dict[str, Callable[[Database, Config, argparse.Namespace, datetime], None]] = {
    "list": show,
    "add": add,
    "passwd": passwd,
    "roles": roles,
    "disable": simple("account.off", "switched off", lambda c, one: accounts.set_active(c, one.id, False)),
    "enable": simple("account.on", "switched on", lambda c, one: accounts.set_active(c, one.id, True)),
    "unlock": simple("account.unlocked", "may try again", lambda c, one: sessions.unlock(c, locks_of(one))),
    "reset-totp": simple(
        "account.second_factor_reset", "has no second factor any more", lambda c, one: accounts.reset_totp(c, one.id)
    ),
    "end-sessions": simple("account.sessions_ended", "all sessions have ended", end_sessions),
}


def act(
    db: Database,
    one: Account,
    action: audit.Act,
    work: Callable[[Connection], object],
    now: datetime,
    detail: dict[str, object] | None = None,
) -> None:
    """Do something with an account and write it into the audit, both or neither."""
    with db.begin() as connection:
        work(connection)
        audit.note(connection, actor(), action, f"account:{one.name}", detail or {}, now)


def note(db: Database, action: audit.Act, one: Account, detail: dict[str, object], now: datetime) -> None:
    audit.note(db, actor(), action, f"account:{one.name}", detail, now)


def actor() -> str:
    """Who sits at the command line, as the system calls it."""
    try:
        return f"cli:{getpass.getuser()}"
    except (OSError, KeyError):
        return "cli:?"


def roles_of(given: list[str]) -> dict[str, set[str]]:
    """ "monitor" everywhere, "monitor=甲区,乙区" in areas."""
    found: dict[str, set[str]] = {}
    for text in given:
        role, equals, areas = text.partition("=")
        names = {name.strip() for name in areas.split(",")} - {""} if equals else {EVERY_AREA}
        found.setdefault(role.strip(), set()).update(names)
    return found


def new_password(options: argparse.Namespace, config: Config) -> tuple[str, str]:
    """(password, what is shown of it): made up, typed twice, or the one line that was piped in. Raises UserError."""
    if options.generate:
        made = random_password()
        return made, made
    if sys.stdin.isatty():
        typed = getpass.getpass("Password: ")
        if typed != getpass.getpass("Again: "):
            raise UserError("the two were not the same; nothing was changed")
    else:
        typed = sys.stdin.readline().rstrip("\r\n")
    if fault := password_fault(typed, options.name, config.installation.name):
        raise UserError(f"this password cannot be used: {FAULTS[fault]}. --generate makes one up")
    return typed, ""


def tell(password: str) -> None:
    if password:
        print(password)
        print("The password is shown this once and must be changed at the first sign-in.", file=sys.stderr)
