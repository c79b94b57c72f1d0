"""Signing in, by what a browser and an attacker see."""

from __future__ import annotations

from tests.console.people import PASSWORD, Browser, account
from tests.web.conftest import Running
from tests.web.test_page import Page


def test_somebody_with_the_right_password_is_signed_in_and_comes_back_to_where_he_was_going(running: Running) -> None:
    account(running.db, "jiance", ["monitor"], password=PASSWORD)
    browser = Browser(running.url)
    answer = browser.sign_in("Jiance ", next="/profile?x=1")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/profile?x=1"
    assert "jiance" in Page(browser.get("/profile").text).words


def test_a_wrong_password_and_an_unknown_name_look_the_same(running: Running) -> None:
    account(running.db, "jiance", ["monitor"], password=PASSWORD)
    answers = [Browser(running.url).sign_in(name, "falsch falsch falsch") for name in ("jiance", "nobody")]
    assert [answer.status_code for answer in answers] == [401, 401]
