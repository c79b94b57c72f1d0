"""One's own account: password, second factor, sessions."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pyotp
import pytest

from monitor.store import accounts, roles
from tests.console.people import PASSWORD, Browser, account, browser
from tests.web.conftest import NOW, Running, Serve
from tests.web.test_page import Page

NEW = "一行白鹭上青天 2026"


def code(secret: str, at: datetime = NOW) -> str:
    return pyotp.TOTP(secret).at(at)


def set_up(who: Browser, password: str = PASSWORD) -> tuple[str, list[str]]:
    """Switch the second factor on; gives its secret and the recovery codes."""
    page = who.send_form("/profile/second-factor", password=password).text
    found = re.search(r'<code translate="no">([A-Z2-7 ]+)</code>', page)
    assert found, page
    secret = found[1].replace(" ", "")
    shown = who.send_form("/profile/second-factor/confirm", code=code(secret, NOW - timedelta(seconds=30)))
    codes = re.findall(r'<code translate="no">([a-z2-7-]{19})</code>', shown.text)
    assert len(codes) == 10
    who.csrf = who.word_of("/profile")
    return secret, codes


def test_who_was_given_a_password_must_change_it_before_anything_else(running: Running) -> None:
    account(running.db, "li", ["monitor"], password=PASSWORD, must_change=True)
    who = Browser(running.url)
    who.sign_in("li")
    assert who.get("/profile").headers["location"] == "/profile/password"
    who.csrf = who.word_of("/profile/password")
    for new, again, why in (
        ("short", "short", "至少要有 12 个字符"),
        (PASSWORD, PASSWORD, "和当前密码一样"),
        (NEW, NEW + "x", "两次输入的密码不一样"),
        ("password123456", "password123456", "太常见"),
    ):
        answer = who.send_form("/profile/password", current=PASSWORD, new=new, again=again)
        assert answer.status_code == 422
        assert why in Page(answer.text).words
    before = who.cookies["session"]
    assert who.send_form("/profile/password", current=PASSWORD, new=NEW, again=NEW).status_code == 303
    assert who.cookies["session"] != before
    assert who.get("/profile").status_code == 200
    assert Browser(running.url).sign_in("li", PASSWORD).status_code == 401
    assert Browser(running.url).sign_in("li", NEW).status_code == 303


def test_changing_the_password_ends_the_other_sessions_and_the_old_cookie_opens_nothing(running: Running) -> None:
    one = account(running.db, "li", ["monitor"], password=PASSWORD)
    here, there = browser(running, one), browser(running, one)
    old = here.cookies["session"]
    here.send_form("/profile/password", current=PASSWORD, new=NEW, again=NEW)
    assert there.get("/profile").status_code == 303
    assert here.get("/profile").status_code == 200
    thief = Browser(running.url)
    thief.cookies.set("session", old, domain="127.0.0.1")
    assert thief.get("/profile").status_code == 303


def test_a_second_factor_is_asked_for_and_each_code_works_once(running: Running) -> None:
    account(running.db, "li", ["monitor"], password=PASSWORD)
    who = Browser(running.url)
    who.sign_in("li")
    secret, codes = set_up(who)
    assert secret not in who.get("/profile/second-factor").text

    def half() -> Browser:
        made = Browser(running.url)
        answer = made.sign_in("li", next="/profile")
        assert answer.headers["location"] == "/signin/code?next=/profile"
        assert made.get("/profile").headers["location"] == "/signin/code"
        return made

    first = half()
    waiting = first.cookies["session"]
    done = first.send_form("/signin/code", code=code(secret), next="/profile")
    assert (done.status_code, done.headers["location"]) == (303, "/profile")
    assert first.cookies["session"] != waiting
    assert first.get("/profile").status_code == 200

    second = half()
    assert second.send_form("/signin/code", code=code(secret)).status_code == 401  # the very code of a moment ago
    assert second.send_form("/signin/code", code=code(secret, NOW - timedelta(seconds=30))).status_code == 401
    assert second.send_form("/signin/code", code=codes[0].upper().replace("-", " ")).status_code == 303
    third = half()
    assert third.send_form("/signin/code", code=codes[0]).status_code == 401
    assert third.send_form("/signin/code", code=codes[1]).status_code == 303


def test_without_its_key_a_code_cannot_be_checked_which_is_said_and_a_recovery_code_still_works(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """The secret is sealed in the database; the log says what helps, and none of it is in there."""
    one = account(running.db, "li", ["monitor"], password=PASSWORD)
    who = Browser(running.url)
    who.sign_in("li")
    secret, codes = set_up(who)
    with running.db.connect() as connection:
        assert secret not in accounts.totp_of(connection, one.id)[0]
    running.context.keys.file(running.db).unlink()
    half = Browser(running.url)
    half.sign_in("li")
    answer = half.send_form("/signin/code", code=code(secret))
    assert answer.status_code == 401
    assert "服务器缺少密钥" in answer.text
    assert "reset-totp" in caplog.text
    assert secret not in caplog.text
    assert half.send_form("/signin/code", code=codes[0]).status_code == 303


def test_a_wrong_code_again_and_again_must_wait(running: Running) -> None:
    account(running.db, "li", ["monitor"], password=PASSWORD)
    who = Browser(running.url)
    who.sign_in("li")
    set_up(who)
    half = Browser(running.url)
    half.sign_in("li")
    statuses = [half.send_form("/signin/code", code="000000").status_code for _ in range(7)]
    assert statuses[:5] == [401] * 5
    assert statuses[-1] == 429


def test_a_role_may_demand_a_second_factor(running: Running) -> None:
    one = account(running.db, "li", ["monitor"], password=PASSWORD)
    with running.db.begin() as connection:
        role = roles.read(connection)["monitor"]
        roles.change(connection, "monitor", role.actions, True, NOW, "test")
    who = browser(running, one)
    assert who.get("/profile").headers["location"] == "/profile/second-factor"
    assert who.get("/api/v1/flags").status_code in (401, 403)
    set_up(who)
    assert who.get("/profile").status_code == 200
    who.send_form("/profile/second-factor/remove", password=PASSWORD)
    assert who.get("/profile").headers["location"] == "/profile/second-factor"


@pytest.mark.parametrize("path", ["/profile/second-factor", "/profile/second-factor/remove"])
def test_the_second_factor_changes_with_the_password_only(running: Running, path: str) -> None:
    one = account(running.db, "li", ["monitor"], password=PASSWORD)
    answer = browser(running, one).send_form(path, password="not this one at all")
    assert answer.status_code == 422
    assert not accounts.by_id(running.db, one.id).has_totp


def test_ones_own_sessions_are_listed_and_can_be_ended_but_nobody_elses(running: Running) -> None:
    one, other = account(running.db, "li", ["monitor"]), account(running.db, "wang", ["monitor"])
    here, there, hers = browser(running, one), browser(running, one), browser(running, other)
    listed = re.findall(r'name="session" value="([0-9a-f]{64})"', here.get("/profile").text)
    assert len(listed) == 1
    hers.send_form("/profile/sessions", session=listed[0])
    assert there.get("/profile").status_code == 200
    here.send_form("/profile/sessions", session=listed[0])
    assert there.get("/profile").status_code == 303
    assert here.get("/profile").status_code == 200


def test_sessions_end_when_nothing_is_asked_and_at_their_absolute_end(serve: Serve) -> None:
    moment = [NOW]
    running = serve(changes={"clock": lambda: moment[0]})
    who = browser(running, account(running.db, "li", ["monitor"]))
    for hours in (1.5, 3, 4.5):
        moment[0] = NOW + timedelta(hours=hours)
        assert who.get("/profile").status_code == 200
    moment[0] = NOW + timedelta(hours=6.6)
    assert who.get("/profile").status_code == 303
    who = browser(running, accounts.find(running.db, "li"))
    for hours in range(11):
        moment[0] = NOW + timedelta(hours=6.6 + hours)
        assert who.get("/profile").status_code == 200, hours
    moment[0] = NOW + timedelta(hours=6.6 + 12)
    assert who.get("/profile").status_code == 303


def test_signing_out_ends_the_session(running: Running) -> None:
    who = browser(running, account(running.db, "li", ["monitor"]))
    cookie = who.cookies["session"]
    assert who.send_form("/signout").status_code == 303
    who.cookies.set("session", cookie, domain="127.0.0.1")
    assert who.get("/profile").status_code == 303


def test_the_language_of_the_account_is_kept(running: Running) -> None:
    who = browser(running, account(running.db, "li", ["monitor"]))
    who.send_form("/profile/language", language="en")
    assert 'lang="en"' in who.get("/profile").text
    who.send_form("/profile/language", language="xx")
    assert 'lang="en"' in who.get("/profile").text
