"""`monitor tokens`: access tokens of the API. A token is shown once; only its hash is stored."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from monitor.auth import Scope
from monitor.cli import UserError
from monitor.commands.common import database, load
from monitor.store import tokens


def main(options: argparse.Namespace) -> int:
    config, _ = load(options.config)
    now = datetime.now(UTC)
    with database(config) as db:
        try:
            if options.action == "create":
                expires = now + timedelta(days=options.days) if options.days is not None else None
                print(tokens.create(db, options.name, scopes_of(options.scopes), now, expires, options.areas).secret)
                print("It is shown this once: put it where its user finds it.", file=sys.stderr)
            elif options.action == "revoke":
                if not tokens.revoke(db, options.name, now):
                    raise UserError(f"there is no token {options.name!r} that works; `monitor tokens list` shows all")
                print(f"revoked: {options.name}")
            else:
                for one in tokens.list_tokens(db):
                    print(shown(one, now, config.zone))
        except (ValueError, tokens.TokenExists) as error:
            raise UserError(str(error)) from error
    return 0


def shown(one: tokens.TokenInfo, now: datetime, zone: ZoneInfo) -> str:
    """One line: name, state, scopes, days."""
    state = "revoked" if one.revoked_at else "valid" if one.works(now) else "expired"
    until = f", until {one.expires_at.astimezone(zone):%Y-%m-%d}" if one.expires_at else ""
    areas = "" if one.areas is None else f"\tin {', '.join(sorted(one.areas))}"
    made = f"{one.created_at.astimezone(zone):%Y-%m-%d}"
    return f"{one.name}\t{state}\t{' '.join(sorted(one.scopes))}\tmade {made}{until}{areas}"


def scopes_of(given: list[str]) -> list[str]:
    """The scopes, several of which may stand in one argument. Raises UserError for one that does not exist."""
    wanted = [s for part in given for s in part.replace(",", " ").split()]
    known = [s.value for s in Scope]
    unknown = [s for s in wanted if s not in known]
    if unknown or not wanted:
        raise UserError(f"there is no scope {unknown[0] if unknown else ''!r}; use {', '.join(known)}")
    return wanted
