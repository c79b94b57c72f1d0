"""Accounts, roles, sessions, failures and the audit, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import Connection, select

from monitor.first_account import first_admin
from monitor.rights import Action
from monitor.schema_console import account as account_table
from monitor.store import accounts, audit, oidc_requests, roles, sessions
from monitor.store.database import Database
from monitor.store.roles import AccountError
from tests.store.build import NOW

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
ORIGIN = sessions.Origin("192.0.2.1", "browser", "password")


def add(db: Database, name: str = "li", **changes: object) -> accounts.Account:
    return accounts.add(db, name, NOW, **({"roles": {"monitor": {"甲区", "乙区"}}} | changes))  # type: ignore[arg-type]


def begin(db: Database, who: accounts.Account, stage: str = "full") -> sessions.Started:
    with db.begin() as connection:
        return sessions.start(connection, who.id, NOW, DAY, ORIGIN, stage=stage)


def test_an_account_is_kept_with_its_roles_and_points(db: Database) -> None:
    made = add(
        db, " 值班员甲 ", shown="监测员", roles={"monitor": {"甲区"}, "reporter": {"*", "甲区"}}, points=["城南"]
    )
    found = accounts.find(db, "值班员甲")
    assert found == made
    assert (found.name, found.shown) == ("值班员甲", "监测员")
    assert found.points == {"城南"}
    assert found.roles == {"monitor": {"甲区"}, "reporter": {"*"}}
    assert not found.has_password
    assert [one.name for one in accounts.list_accounts(db)] == ["值班员甲"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"name": "LI"}, "exists"),
        ({"name": "a/b"}, "name"),
        ({"name": "wang", "roles": {"boss": {"*"}}}, "role"),
        ({"name": "wang", "roles": {"monitor": set()}}, "area"),
        ({"name": "wang", "roles": {"monitor": {" "}}}, "area"),
        ({"name": "wang", "points": ["a\0b"]}, "point"),
        ({"name": "wang", "shown": "x" * 201}, "shown"),
        ({"name": "wang", "oidc_name": "li@office"}, "linked"),
    ],
)
def test_what_cannot_be_stored_is_refused_and_nothing_is_stored(
    db: Database, changes: dict[str, object], reason: str
) -> None:
    add(db, oidc_name="li@office")
    with pytest.raises(AccountError) as error:
        add(db, **changes)  # type: ignore[arg-type]
    assert error.value.reason == reason
    assert len(accounts.list_accounts(db)) == 1


@pytest.mark.parametrize("name", ["nobody", "", "\0", "\ud800"])
def test_an_unknown_account_has_no_credentials(db: Database, name: str) -> None:
    add(db)
    assert accounts.credentials(db, name) == (0, "", "", 0)
    with pytest.raises(AccountError):
        accounts.find(db, name)


def test_the_last_who_can_manage_accounts_stays_so(db: Database) -> None:
    boss = add(db, "boss", roles={"admin": {"*"}})
    add(db, "local", roles={"admin": {"甲区"}})  # of one area: cannot manage accounts
    tries: tuple[Callable[[Connection], object], ...] = (
        lambda c: accounts.set_active(c, boss.id, False),
        lambda c: accounts.set_roles(c, boss.id, {"viewer": {"*"}}, ()),
        lambda c: accounts.set_roles(c, boss.id, {"admin": {"甲区"}}, ()),
        lambda c: roles.change(c, "admin", {Action.HEALTH_VIEW}, False, NOW, "test"),
    )
    for work in tries:
        with pytest.raises(AccountError) as error, db.begin() as connection:
            work(connection)
        assert error.value.reason == "last_admin"
    assert accounts.by_id(db, boss.id).roles == {"admin": {"*"}}
    second = add(db, "second", roles={"admin": {"*"}})
    with db.begin() as connection:
        accounts.set_active(connection, boss.id, False)
    assert second.active


def test_a_role_is_changed_here_and_follows_the_shipped_one_again(db: Database) -> None:
    with db.begin() as connection:
        roles.change(connection, "viewer", {Action.FLAGS_VIEW}, True, NOW, "test")
        roles.change(connection, "viewer", {Action.HEALTH_VIEW}, True, NOW, "test")
    found = roles.read(db)["viewer"]
    assert (found.actions, found.second_factor, found.changed) == (frozenset({Action.HEALTH_VIEW}), True, True)
    with db.begin() as connection:
        roles.restore(connection, "viewer")
    assert not roles.read(db)["viewer"].changed


def test_a_session_is_found_by_its_secret_only(db: Database) -> None:
    started = begin(db, add(db))
    found = sessions.find(db, started.secret, NOW, HOUR)
    assert found is not None
    assert (found.id, found.csrf, found.name, found.stage) == (started.id, started.csrf, "li", "full")
    for wrong in ("", started.id, started.secret + "x", "\ud800"):
        assert sessions.find(db, wrong, NOW, HOUR) is None


def test_a_session_ends_when_it_is_idle_at_its_end_and_the_waiting_one_soon(db: Database) -> None:
    who = add(db)
    started, waiting = begin(db, who), begin(db, who, "code")
    for n in range(1, 24):
        at = NOW + n * timedelta(minutes=59)
        found = sessions.find(db, started.secret, at, HOUR)
        assert found is not None
        sessions.touch(db, found, at)
    assert sessions.find(db, started.secret, NOW + 24 * timedelta(minutes=59) + HOUR, HOUR) is None
    assert sessions.find(db, started.secret, NOW + DAY, 30 * DAY) is None
    assert sessions.find(db, waiting.secret, NOW + timedelta(minutes=9), HOUR) is not None
    assert sessions.find(db, waiting.secret, NOW + timedelta(minutes=10), HOUR) is None


@pytest.mark.parametrize(
    "work",
    [
        lambda c, who: accounts.set_roles(c, who.id, {"viewer": {"*"}}, ()),
        lambda c, who: accounts.set_active(c, who.id, False),
        lambda c, who: accounts.set_password(c, who.id, "hash", NOW, must_change=False),
        lambda c, who: accounts.set_totp(c, who.id, "SECRET", 1, []),
        lambda c, who: accounts.reset_totp(c, who.id),
        lambda c, who: roles.change(c, "monitor", {Action.FLAGS_VIEW}, False, NOW, "test"),
        lambda c, who: sessions.end_all(c, who.id),
    ],
)
def test_a_change_of_rights_ends_the_sessions_of_who_is_concerned(db: Database, work: Callable[..., object]) -> None:
    who, other = add(db), add(db, "other", roles={"viewer": {"*"}})
    started, stays = begin(db, who), begin(db, other)
    with db.begin() as connection:
        work(connection, who)
    assert sessions.find(db, started.secret, NOW, HOUR) is None
    assert sessions.find(db, stays.secret, NOW, HOUR) is not None
    assert sessions.list_sessions(db, who.id, NOW, HOUR) == []


def test_a_renewed_session_has_another_id_and_word_and_the_old_one_is_none(db: Database) -> None:
    who = add(db)
    old = begin(db, who)
    with db.begin() as connection:
        accounts.set_password(connection, who.id, "hash", NOW, must_change=False)
        new = sessions.renew(connection, old.id, NOW)
    assert new is not None
    assert {new.id, new.secret, new.csrf}.isdisjoint({old.id, old.secret, old.csrf})
    assert sessions.find(db, old.secret, NOW, HOUR) is None
    assert sessions.find(db, new.secret, NOW, HOUR) is not None
    with db.begin() as connection:
        assert sessions.renew(connection, old.id, NOW) is None


def test_a_second_factors_step_and_a_recovery_code_are_used_once_even_at_the_same_moment(db: Database) -> None:
    who = add(db)
    with db.begin() as connection:
        accounts.set_totp(connection, who.id, "SECRET", 10, ["aaaa-bbbb-cccc-dddd", "eeee-ffff-gggg-hhhh"])

    def use(step: int) -> tuple[bool, bool]:
        with db.begin() as connection:
            code = accounts.use_recovery_code(connection, who.id, "AAAABBBBCCCCDDDD")
            return accounts.use_step(connection, who.id, step), code

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(use, [11, 11, 11, 11]))
    assert sorted(step for step, _ in found) == [False, False, False, True]
    assert sorted(code for _, code in found) == [False, False, False, True]
    assert use(10) == (False, False)
    assert accounts.recovery_codes_left(db, who.id) == 1


def test_failures_are_counted_for_every_key_and_a_wait_counts_nothing(db: Database) -> None:
    keys = {"account:a": 2, "address:b": 30}
    assert [sessions.claim_attempt(db, keys, NOW) for _ in range(4)] == [0, 0, 15, 15]
    assert sessions.waits(db, "account:a", NOW + timedelta(seconds=5)) == 10
    assert sessions.claim_attempt(db, keys, NOW + timedelta(seconds=15)) == 0
    assert sessions.waits(db, "account:a", NOW + timedelta(seconds=15)) == 30
    with db.begin() as connection:
        sessions.attempt_succeeded(connection, ["account:a"], ["address:b"])
    assert sessions.waits(db, "account:a", NOW) == 0
    assert sessions.claim_attempt(db, keys, NOW) == 0


def test_tries_at_the_same_moment_do_not_slip_through(db: Database) -> None:
    keys = {"account:a": 5}
    assert sessions.claim_attempt(db, keys, NOW) == 0
    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(lambda _: sessions.claim_attempt(db, keys, NOW), range(24)))
    assert waits.count(0) == 4


def test_a_browser_is_known_for_its_account_and_for_half_a_year(db: Database) -> None:
    who, other = add(db), add(db, "other")
    with db.begin() as connection:
        secret = sessions.know_device(connection, who.id, NOW)
        assert sessions.know_device(connection, who.id, NOW, secret) == secret
        assert sessions.know_device(connection, other.id, NOW, secret) != secret
    assert sessions.device_of(db, secret, who.id, NOW)
    assert not sessions.device_of(db, secret, other.id, NOW)
    assert not sessions.device_of(db, secret, who.id, NOW + timedelta(days=181))


def test_what_is_over_is_removed_and_nothing_else(db: Database) -> None:
    who = add(db)
    begin(db, who, "code")
    stays = begin(db, who)
    sessions.claim_attempt(db, {"account:a": 5}, NOW)
    oidc_requests.begin(db, "state", "browser", oidc_requests.Underway("n", "v", "/"), NOW)
    assert sessions.tidy(db, NOW) == 0
    assert sessions.tidy(db, NOW + HOUR) == 2
    assert sessions.find(db, stays.secret, NOW, HOUR) is not None
    assert sessions.tidy(db, NOW + 2 * DAY) == 2


def test_a_sign_in_at_the_provider_is_taken_back_once_by_its_own_browser(db: Database) -> None:
    underway = oidc_requests.Underway("nonce", "verifier", "/queue")
    oidc_requests.begin(db, "state", "browser", underway, NOW)
    assert oidc_requests.take(db, "state", "another", NOW) is None
    assert oidc_requests.take(db, "state", "browser", NOW) == underway
    assert oidc_requests.take(db, "state", "browser", NOW) is None
    oidc_requests.begin(db, "late", "browser", underway, NOW)
    assert oidc_requests.take(db, "late", "browser", NOW + timedelta(minutes=10)) is None


def test_the_audit_is_read_by_account_object_and_action_newest_first(db: Database) -> None:
    for n in range(3):
        audit.note(db, f"user:{n % 2}", "view", f"flag:{n}", {"n": n}, NOW)
    audit.note(db, "user:0", "signin", "account:0", "by password", NOW)

    def undone() -> None:
        with db.begin() as connection:
            audit.note(connection, "user:0", "signout", "x", {}, NOW)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        undone()
    assert [one.object for one in audit.entries(db)] == ["account:0", "flag:2", "flag:1", "flag:0"]
    assert [one.object for one in audit.entries(db, actor="user:0", object="flag:*")] == ["flag:2", "flag:0"]
    assert [one.detail for one in audit.entries(db, action="signin")] == [{"text": "by password"}]
    first = audit.entries(db, limit=2)
    assert [one.object for one in audit.entries(db, before=first[-1].id)] == ["flag:1", "flag:0"]


def test_the_first_account_is_made_once_and_its_password_is_not_kept(db: Database) -> None:
    with ThreadPoolExecutor(3) as pool:
        made = list(pool.map(lambda _: first_admin(db, NOW, demo=False), range(3)))
    (password,) = [one for one in made if one]
    who = accounts.find(db, "admin")
    assert (who.roles, who.must_change) == ({"admin": frozenset({"*"})}, True)
    assert first_admin(db, NOW, demo=True) == ""
    with db.connect() as connection:
        assert password not in repr(connection.execute(select(account_table)).all())
