"""People for the tests of the console: accounts with roles, and browsers in which they are signed in."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

import httpx

from monitor.accounts import hash_password
from monitor.store import accounts, sessions
from monitor.store.database import Database
from tests.web.conftest import NOW, Running

PASSWORD = "长江后浪推前浪 1867"
EVERYWHERE = frozenset({"*"})
HTML = {"Accept": "text/html"}


class Browser(httpx.Client):
    """A browser with its cookies. `csrf` is the word of the session once somebody is signed in."""

    def __init__(self, url: str, csrf: str = "") -> None:
        super().__init__(base_url=url, headers=HTML, timeout=30)
        self.csrf = csrf

    def send_form(self, path: str, /, **fields: Any) -> httpx.Response:
        """Send a form of a page of the session; redirects are not followed. Values may be lists."""
        return self.post(path, data={"csrf": self.csrf} | fields)

    def word_of(self, path: str) -> str:
        """The csrf word in the page at `path`."""
        found = re.search(r'name="csrf" value="([^"]*)"', self.get(path, follow_redirects=True).text)
        assert found, path
        return found[1]

    def sign_in(self, name: str, password: str = PASSWORD, **fields: Any) -> httpx.Response:
        """Fill in the page /signin; takes the word of the new session along where it worked."""
        answer = self.post(
            "/signin", data={"csrf": self.word_of("/signin"), "name": name, "password": password} | fields
        )
        if answer.status_code == 303:
            self.csrf = self.word_of(answer.headers["location"].partition("?")[0])
        return answer


def account(
    db: Database,
    name: str,
    roles: Collection[str] | Mapping[str, Collection[str]] = (),
    *,
    areas: Collection[str] = EVERYWHERE,
    points: Collection[str] = (),
    password: str = "",
    must_change: bool = False,
) -> accounts.Account:
    """An account with these roles, all in `areas`; one without a password can only be signed in by `browser`."""
    held = roles if isinstance(roles, Mapping) else dict.fromkeys(roles, areas)
    stored = hash_password(password) if password else ""
    return accounts.add(db, name, NOW, password=stored, must_change=must_change, roles=held, points=points)


def browser(running: Running, who: accounts.Account, *, way: str = "password") -> Browser:
    """A browser in which this account is signed in already."""
    with running.db.begin() as connection:
        origin = sessions.Origin("127.0.0.1", "test", way)
        started = sessions.start(connection, who.id, running.context.now(), timedelta(hours=12), origin)
    made = Browser(running.url, started.csrf)
    made.cookies.set("session", started.secret, domain="127.0.0.1")
    return made


def visitor(
    running: Running,
    *roles: str,
    name: str = "",
    areas: Collection[str] = EVERYWHERE,
    points: Collection[str] = (),
) -> Browser:
    """A browser with a new account of these roles signed in."""
    name = name or f"user{len(accounts.list_accounts(running.db)) + 1}"
    return browser(running, account(running.db, name, roles, areas=areas, points=points))
