"""Access tokens: shown once, kept as a hash, refused as soon as they must be."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from monitor.auth import Scope
from monitor.store import tokens
from monitor.store.database import Database
from tests.store.build import NOW, day

SCOPES = [Scope.FLAGS_READ, Scope.OBSERVATIONS_WRITE]


def test_a_token_opens_what_its_scopes_say(db: Database) -> None:
    made = tokens.create(db, "城南市场", SCOPES, NOW)
    found = tokens.verify(db, made.secret, NOW)
    assert found is not None
    assert (found.id, found.name) == (made.id, "城南市场")
    assert found.scopes == {"flags:read", "observations:write"}


def test_the_secret_is_nowhere_in_the_database(db: Database) -> None:
    secret = tokens.create(db, "城南市场", SCOPES, NOW).secret
    with db.connect() as connection:
        rows = connection.execute(text("SELECT * FROM token")).all()
    assert secret not in repr(rows)
    assert secret.removeprefix(tokens.PREFIX) not in repr(rows)
    assert len(secret) >= 43


def test_two_tokens_are_never_alike(db: Database) -> None:
    assert len({tokens.create(db, f"t{n}", SCOPES, NOW).secret for n in range(20)}) == 20


@pytest.mark.parametrize("wrong", ["", "prm_", "prm_unknown", "\ud800", "' OR 1=1 --"])
def test_an_unknown_token_opens_nothing(db: Database, wrong: str) -> None:
    tokens.create(db, "城南市场", SCOPES, NOW)
    assert tokens.verify(db, wrong, NOW) is None


def test_a_token_opens_nothing_from_the_second_it_expires(db: Database) -> None:
    secret = tokens.create(db, "城南市场", SCOPES, NOW, expires=day(100)).secret
    assert tokens.verify(db, secret, day(100) - timedelta(seconds=1)) is not None
    assert tokens.verify(db, secret, day(100)) is None


def test_a_revoked_token_opens_nothing_and_its_name_stays_taken(db: Database) -> None:
    secret = tokens.create(db, "城南市场", SCOPES, NOW).secret
    assert tokens.revoke(db, "城南市场", NOW) is True
    assert tokens.verify(db, secret, NOW) is None
    assert tokens.revoke(db, "城南市场", NOW) is False
    assert tokens.revoke(db, "没有", NOW) is False
    with pytest.raises(tokens.TokenExists):
        tokens.create(db, "城南市场", SCOPES, NOW)
    assert [(one.name, one.revoked_at) for one in tokens.list_tokens(db)] == [("城南市场", NOW)]


@pytest.mark.parametrize(("name", "scopes"), [("t", []), ("t", ["flags:write"]), ("  ", SCOPES), ("a\0", SCOPES)])
def test_a_token_without_a_name_or_with_unknown_scopes_is_refused(db: Database, name: str, scopes: list[str]) -> None:
    with pytest.raises(ValueError, match=r"scope|name"):
        tokens.create(db, name, scopes, NOW)
    assert tokens.list_tokens(db) == []
