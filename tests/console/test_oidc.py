"""Signing in with the account of the office, against a real provider on loopback, and against one that cheats."""

from __future__ import annotations

import json
import re
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from monitor.store import accounts, audit
from tests.console.people import PASSWORD, Browser, account
from tests.console.test_profile import code
from tests.web.conftest import Running, Serve
from tests.web.test_page import Page

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import oidc_provider_mock

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:authlib")
SECRET = "client-secret-that-must-not-be-seen"
NAME_OF = {"s-1": "jiance1", "s-2": "jiance2", "s-3": "jiance1"}
Start = Callable[..., Running]


def clock() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """A real provider; its users are called as NAME_OF says."""
    users = [
        oidc_provider_mock.User(sub=sub, claims={"preferred_username": name, "name": "监测员甲"})
        for sub, name in NAME_OF.items()
    ]
    with oidc_provider_mock.run_server_in_thread(require_nonce=True, user_claims=users) as server:
        yield f"http://127.0.0.1:{server.server_port}"


@pytest.fixture
def start(serve: Serve, issuer: str, monkeypatch: pytest.MonkeyPatch) -> Start:
    monkeypatch.setenv("OIDC_SECRET", SECRET)

    def run(at: str = "", **changes: Any) -> Running:
        settings = {"issuer": at or issuer, "client_id": "monitor", "client_secret": {"env": "OIDC_SECRET"}}
        return serve(oidc=settings | changes, changes={"clock": clock})

    return run


def go_there(browser: Browser, path: str = "/signin/oidc?next=/profile") -> str:
    """Begin to sign in; gives the address at the provider."""
    answer = browser.get(path)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def come_back(browser: Browser, address: str, subject: str) -> httpx.Response:
    """Sign in at the provider as `subject` and follow it back."""
    said = httpx.post(address, data={"sub": subject})
    assert said.status_code == 302, said.text
    back = urlsplit(said.headers["location"])
    return browser.get(f"{back.path}?{back.query}")


def sign_in(running: Running, subject: str = "s-1") -> tuple[Browser, httpx.Response]:
    browser = Browser(running.url)
    return browser, come_back(browser, go_there(browser), subject)


def link(running: Running, name: str, oidc_name: str, *roles: str) -> accounts.Account:
    one = account(running.db, name, roles or ["monitor"])
    with running.db.begin() as connection:
        accounts.set_facts(connection, one.id, shown=name, oidc_name=oidc_name)
    return one


def test_a_linked_account_signs_in_and_comes_back_to_where_it_was_going(start: Start) -> None:
    running = start()
    link(running, "monitor1", "jiance1")
    page = Browser(running.url).get("/signin")
    assert "用单位统一认证登录" in Page(page.text).words
    browser, answer = sign_in(running)
    assert (answer.status_code, answer.headers["location"]) == (303, "/profile")
    assert "monitor1" in Page(browser.get("/profile").text).words


def test_the_provider_is_asked_with_pkce_state_and_nonce(start: Start) -> None:
    browser = Browser(start().url)
    one, two = (parse_qs(urlsplit(go_there(browser)).query) for _ in range(2))
    assert one["response_type"] == ["code"]
    assert one["code_challenge_method"] == ["S256"]
    assert one["scope"] == ["openid profile"]
    for part in ("state", "nonce", "code_challenge"):
        assert len(one[part][0]) >= 43
        assert one[part] != two[part]


def test_nobody_gets_an_account_silently(start: Start) -> None:
    running = start()
    account(running.db, "jiance1", ["monitor"])  # of the same name, but not linked
    browser, answer = sign_in(running)
    assert answer.status_code == 401
    assert "没有可用的账号" in Page(answer.text).words
    assert browser.get("/profile").status_code == 303
    assert len(accounts.list_accounts(running.db)) == 1


def test_same_names_count_where_the_configuration_says_so(start: Start) -> None:
    running = start(accounts="same_name")
    account(running.db, "JianCe1", ["monitor"])
    assert sign_in(running)[1].status_code == 303


def test_a_password_that_was_given_need_not_be_changed_by_who_comes_from_the_provider(start: Start) -> None:
    running = start(accounts="same_name")
    account(running.db, "jiance1", ["viewer"], password=PASSWORD, must_change=True)
    browser, _answer = sign_in(running)
    assert browser.get("/profile").status_code == 200


def test_an_account_is_made_where_the_configuration_says_so(start: Start) -> None:
    running = start(create_with_role="viewer")
    assert sign_in(running)[1].status_code == 303
    made = accounts.find(running.db, "jiance1")
    assert made.roles == {"viewer": {"*"}}
    assert (made.shown, made.has_password) == ("监测员甲", False)
    assert any(one.action == "account.made" for one in audit.entries(running.db))
    assert sign_in(running)[1].status_code == 303
    assert len(accounts.list_accounts(running.db)) == 1


def test_a_name_that_was_given_to_somebody_else_does_not_open_the_account(start: Start) -> None:
    running = start()
    link(running, "monitor1", "jiance1")
    assert sign_in(running, "s-1")[1].status_code == 303
    assert sign_in(running, "s-3")[1].status_code == 401


def test_an_account_that_is_off_stays_closed(start: Start) -> None:
    running = start()
    one = link(running, "monitor1", "jiance1")
    with running.db.begin() as connection:
        accounts.set_active(connection, one.id, False)
    assert sign_in(running)[1].status_code == 401


def test_the_way_back_works_once_and_in_the_browser_that_began_it(start: Start) -> None:
    running = start()
    link(running, "monitor1", "jiance1")
    browser = Browser(running.url)
    address = go_there(browser)
    back = urlsplit(httpx.post(address, data={"sub": "s-1"}).headers["location"])
    stranger = Browser(running.url)
    go_there(stranger)  # with a cookie of his own
    assert stranger.get(f"{back.path}?{back.query}").status_code == 401
    assert browser.get(f"{back.path}?{back.query}").status_code == 303
    assert browser.get(f"{back.path}?{back.query}").status_code == 401
    assert browser.get(f"{back.path}?code=x&state=y").status_code == 401
    assert browser.get(back.path).status_code == 401


def test_who_says_no_at_the_provider_is_told_so(start: Start) -> None:
    browser = Browser(start().url)
    answer = httpx.post(go_there(browser), data={"action": "deny"})
    back = urlsplit(answer.headers["location"])
    assert "没有完成" in Page(browser.get(f"{back.path}?{back.query}").text).words


def test_a_second_factor_of_ours_is_still_asked_for(start: Start) -> None:
    running = start()
    link(running, "monitor1", "jiance1")
    browser, _answer = sign_in(running)
    browser.csrf = browser.word_of("/profile")
    secret, _codes = set_up_now(browser)
    again, answer = sign_in(running)
    assert answer.headers["location"] == "/signin/code?next=/profile"
    again.csrf = again.word_of("/signin/code")
    assert again.send_form("/signin/code", code=code(secret, clock())).status_code == 303


def set_up_now(browser: Browser) -> tuple[str, list[str]]:
    page = browser.send_form("/profile/second-factor").text
    found = re.search(r'<code translate="no">([A-Z2-7 ]+)</code>', page)
    assert found
    secret = found[1].replace(" ", "")
    moment = datetime.fromtimestamp(clock().timestamp() - 30, UTC)
    shown = browser.send_form("/profile/second-factor/confirm", code=code(secret, moment)).text
    return secret, re.findall(r'<code translate="no">([a-z2-7-]{19})</code>', shown)


def test_without_a_provider_the_address_does_not_exist(running: Running) -> None:
    browser = Browser(running.url)
    assert browser.get("/signin/oidc").status_code == 404
    assert browser.get("/signin/oidc/callback?code=x").status_code == 404
    assert "oidc" not in browser.get("/signin").text


def test_a_provider_that_does_not_answer_leaves_the_password(start: Start) -> None:
    answer = Browser(start("http://127.0.0.1:9").url).get("/signin/oidc")
    assert answer.status_code == 401
    assert "现在不能用" in Page(answer.text).words
    assert 'name="password"' in answer.text


# --- a provider that cheats ---


class Cheat:
    """A provider whose identity tokens are what the test says."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
        self.signing = self.key
        self.claims: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {}
        self.header = {"alg": "RS256", "kid": "one"}
        self.nonce = ""
        self.asked: list[tuple[str, str]] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def token(self) -> str:
        now = int(time.time())
        usual = {"iss": self.url, "aud": "monitor", "sub": "s-1", "iat": now, "exp": now + 300, "nonce": self.nonce}
        claims = {k: v for k, v in (usual | {"preferred_username": "jiance1"} | self.claims).items() if v is not None}
        return jwt.encode(self.header, claims, self.signing)

    def answer(self, path: str) -> dict[str, Any]:
        if path == "/.well-known/openid-configuration":
            names = ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint")
            return {"issuer": self.url} | {name: f"{self.url}/{name}" for name in names} | self.metadata
        if path == "/jwks_uri":
            return {"keys": [self.key.as_dict(private=False)]}
        return {"id_token": self.token(), "access_token": "a", "token_type": "Bearer"}

    def handler(self) -> type[BaseHTTPRequestHandler]:
        cheat = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("content-length", 0))
                cheat.asked.append((self.path, self.rfile.read(length).decode()))
                body = json.dumps(cheat.answer(urlsplit(self.path).path)).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@pytest.fixture
def cheat() -> Iterator[Cheat]:
    made = Cheat()
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join(10)


def try_in(running: Running, cheat: Cheat) -> httpx.Response:
    browser = Browser(running.url)
    query = parse_qs(urlsplit(go_there(browser)).query)
    cheat.nonce = query["nonce"][0]
    return browser.get(f"/signin/oidc/callback?code=c&state={query['state'][0]}")


def test_a_token_that_is_right_signs_in(start: Start, cheat: Cheat) -> None:
    running = start(cheat.url)
    link(running, "monitor1", "jiance1")
    assert try_in(running, cheat).status_code == 303
    ((_, form),) = [one for one in cheat.asked if one[0] == "/token_endpoint"]
    assert len(parse_qs(form)["code_verifier"][0]) >= 43


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "http://127.0.0.1:1"},
        {"iss": None},
        {"aud": "another"},
        {"aud": ["another"]},
        {"aud": ["monitor", "another"]},
        {"aud": ["monitor", "another"], "azp": "another"},
        {"exp": int(time.time()) - 3600},
        {"exp": None},
        {"exp": "never"},
        {"iat": int(time.time()) + 3600},
        {"nonce": "of another sign-in"},
        {"nonce": None},
        {"sub": None},
        {"sub": 7},
        {"preferred_username": 7},
        {"preferred_username": "jiance2"},
    ],
)
def test_a_token_that_is_not_for_this_sign_in_opens_nothing(
    start: Start, cheat: Cheat, claims: dict[str, Any]
) -> None:
    running = start(cheat.url)
    link(running, "monitor1", "jiance1")
    cheat.claims = claims
    assert try_in(running, cheat).status_code == 401


def test_a_token_signed_by_somebody_else_opens_nothing(start: Start, cheat: Cheat) -> None:
    running = start(cheat.url)
    link(running, "monitor1", "jiance1")
    cheat.signing = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
    assert try_in(running, cheat).status_code == 401


def test_a_token_without_a_signature_opens_nothing(
    start: Start, cheat: Cheat, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = start(cheat.url)
    link(running, "monitor1", "jiance1")
    signed = cheat.token
    none = "eyJhbGciOiJub25lIn0"
    monkeypatch.setattr(cheat, "token", lambda: f"{none}.{signed().split('.')[1]}.")
    assert try_in(running, cheat).status_code == 401


def test_keys_that_the_provider_has_changed_are_fetched_again(start: Start, cheat: Cheat) -> None:
    moment = [clock()]
    running = start(cheat.url)
    object.__setattr__(running.context, "clock", lambda: moment[0])
    link(running, "monitor1", "jiance1")
    assert try_in(running, cheat).status_code == 303
    cheat.key = cheat.signing = RSAKey.generate_key(2048, {"kid": "two", "use": "sig", "alg": "RS256"})
    cheat.header = {"alg": "RS256", "kid": "two"}
    moment[0] = datetime.fromtimestamp(moment[0].timestamp() + 90, UTC)
    assert try_in(running, cheat).status_code == 303


@pytest.mark.parametrize(
    "metadata", [{"issuer": "http://127.0.0.1:1"}, {"authorization_endpoint": "http://evil.example/x"}]
)
def test_a_provider_that_calls_itself_otherwise_or_sends_people_elsewhere_is_not_used(
    start: Start, cheat: Cheat, metadata: dict[str, Any]
) -> None:
    cheat.metadata = metadata
    assert Browser(start(cheat.url).url).get("/signin/oidc").status_code == 401
