"""`monitor tokens`: access tokens of the API. A token is shown once; only its hash is stored."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta

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
                print(tokens.create(db, options.name, scopes_of(options.scopes), now, expires))
            elif options.action == "revoke":
                tokens.revoke(db, options.name, now)
                print(f"revoked: {options.name}")
            else:
                for one in tokens.list_tokens(db):
                    state = (
                        "revoked"
                        if one.revoked_at
                        else "expired"
                        if one.expires_at and one.expires_at <= now
                        else "valid"
                    )
                    print(f"{one.name}\t{state}\t{' '.join(one.scopes)}\tmade {one.created_at:%Y-%m-%d}")
        except ValueError as error:
            raise UserError(str(error)) from error
    return 0


def scopes_of(given: list[str]) -> list[str]:
    """The scopes, several of which may stand in one argument. Raises UserError for one that does not exist."""
    wanted = [s for part in given for s in part.replace(",", " ").split()]
    known = [s.value for s in Scope]
    unknown = [s for s in wanted if s not in known]
    if unknown or not wanted:
        raise UserError(f"there is no scope {unknown[0] if unknown else ''!r}; use {', '.join(known)}")
    return wanted
