"""Signing in, by what a person, an attacker and the log see."""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from typing import Any

import argon2
import httpx
import pytest

from monitor.accounts import digest
from monitor.store import accounts, audit, sessions, tokens
from tests.console.people import PASSWORD, Browser, account, browser
from tests.console.test_profile import code, set_up
from tests.web.conftest import NOW, Running, Serve
from tests.web.test_page import Page

ELSEWHERE = {"X-Forwarded-For": "203.0.113.9"}  # the server trusts a proxy on this machine
WRONG = "not the password at all"


def from_elsewhere(running: Running, address: str = "203.0.113.9") -> Browser:
    made = Browser(running.url)
    made.headers["X-Forwarded-For"] = address
    return made


def plain(answer: httpx.Response, name: str) -> tuple[int, str]:
    """An answer without the name that was typed, the word of the form and the id of the request."""
    text = re.sub(r'name="csrf" value="[^"]*"', "", answer.text)
    return answer.status_code, text.replace(answer.headers["x-request-id"], "").replace(name, "")


def test_somebody_with_the_right_password_is_signed_in_and_comes_back_to_where_he_was_going(running: Running) -> None:
    account(running.db, "jiance", ["monitor"], password=PASSWORD)
    who = Browser(running.url)
    asked = who.get("/profile?x=1")
    assert asked.headers["location"] == "/signin?next=/profile%3Fx%3D1"
    answer = who.sign_in("Jiance ", next="/profile?x=1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/profile?x=1")
    assert "jiance" in Page(who.get("/profile").text).words
    assert accounts.find(running.db, "jiance").signed_in_at == NOW


@pytest.mark.parametrize(
    "next", ["//evil.example", "https://evil.example", "/\\evil.example", "/\n/evil", "javascript:x"]
)
def test_nobody_is_led_elsewhere_after_signing_in(running: Running, next: str) -> None:
    account(running.db, "jiance", ["monitor"], password=PASSWORD)
    assert Browser(running.url).sign_in("jiance", next=next).headers["location"] == "/"


def test_a_wrong_password_an_unknown_name_and_an_account_that_is_off_look_the_same(running: Running) -> None:
    account(running.db, "jiance", ["monitor"], password=PASSWORD)
    off = account(running.db, "offline", ["monitor"], password=PASSWORD)
    account(running.db, "linked", ["monitor"])  # without a password
    with running.db.begin() as connection:
        accounts.set_active(connection, off.id, False)
    tried = [("jiance", WRONG), ("nobody", WRONG), ("offline", PASSWORD), ("linked", ""), ("\0\ud7ff", WRONG)]
    answers = [plain(Browser(running.url).sign_in(name, word), name) for name, word in tried]
    assert {status for status, _ in answers} == {401}
    assert len({text for _, text in answers[:4]}) == 1


def test_the_work_is_the_same_for_names_that_do_not_exist(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    account(running.db, "jiance", ["monitor"], password=PASSWORD)
    work: list[Any] = []
    verify = argon2.PasswordHasher.verify

    def noting(self: argon2.PasswordHasher, hash: str | bytes, password: str | bytes) -> Any:
        work.append(argon2.extract_parameters(str(hash)))
        return verify(self, hash, password)

    monkeypatch.setattr(argon2.PasswordHasher, "verify", noting)
    for name in ("jiance", "nobody", "' OR 1=1 --"):
        Browser(running.url).sign_in(name, WRONG)
    assert len(work) == 3
    assert work[0] == work[1] == work[2]


def test_failures_make_an_account_wait_known_or_not_and_the_wait_is_told(running: Running) -> None:
    account(running.db, "jiance", ["monitor"], password=PASSWORD)
    for name in ("jiance", "nobody"):
        answers = [from_elsewhere(running, f"198.51.100.{n}").sign_in(name, WRONG) for n in range(6)]
        assert [a.status_code for a in answers] == [401] * 5 + [429], name
        assert answers[-1].headers["retry-after"] == "15"
        assert "15 秒后再试" in answers[-1].text
    assert from_elsewhere(running, "198.51.100.77").sign_in("jiance", PASSWORD).status_code == 429


def test_nobody_can_lock_out_who_has_signed_in_before_in_this_browser(serve: Serve) -> None:
    moment = [NOW]
    running = serve(changes={"clock": lambda: moment[0]})
    account(running.db, "admin", ["admin"], password=PASSWORD)
    mine = from_elsewhere(running, "192.0.2.1")
    assert mine.sign_in("admin").status_code == 303
    mine.send_form("/signout")
    for n in range(12):  # whenever the wait is over, the attacker tries again, also from the office's own address
        attacker = from_elsewhere(running, "192.0.2.1" if n % 2 else "198.51.100.1")
        attacker.sign_in("admin", WRONG)
        moment[0] += timedelta(seconds=sessions_wait(running))
    assert from_elsewhere(running, "192.0.2.77").sign_in("admin", WRONG).status_code in (401, 429)
    assert mine.sign_in("admin").status_code == 303
    here = Browser(running.url)  # and this machine itself is counted apart
    assert here.sign_in("admin").status_code == 303


def sessions_wait(running: Running) -> int:
    key = digest("admin")[:32]
    return sessions.waits(running.db, f"account:{key}", running.context.now())


def test_the_waits_end_by_themselves_and_success_forgets_failures(serve: Serve) -> None:
    moment = [NOW]
    running = serve(changes={"clock": lambda: moment[0]})
    account(running.db, "jiance", ["monitor"], password=PASSWORD)
    for n in range(5):
        from_elsewhere(running, f"198.51.100.{n}").sign_in("jiance", WRONG)
    moment[0] += timedelta(seconds=16)
    assert from_elsewhere(running).sign_in("jiance").status_code == 303
    assert [from_elsewhere(running, "198.51.100.9").sign_in("jiance", WRONG).status_code for _ in range(4)] == [
        401
    ] * 4


def test_one_address_cannot_try_many_names(running: Running) -> None:
    who = from_elsewhere(running)
    statuses = [who.sign_in(f"name{n}", WRONG).status_code for n in range(32)]
    assert statuses[0] == 401
    assert statuses[-1] == 429


def test_an_old_hash_is_made_anew_when_its_owner_signs_in(running: Running) -> None:
    weak = argon2.PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    made = accounts.add(running.db, "jiance", NOW, password=weak, must_change=False, roles={"monitor": {"*"}})
    assert Browser(running.url).sign_in("jiance").status_code == 303
    _, stored, *_ = accounts.credentials(running.db, "jiance")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert accounts.by_id(running.db, made.id).stamp == made.stamp


# --- forms from elsewhere, cookies, headers ---


def test_a_sign_in_form_of_another_site_is_refused(running: Running) -> None:
    account(running.db, "jiance", ["monitor"], password=PASSWORD)
    fields = {"name": "jiance", "password": PASSWORD}
    assert Browser(running.url).post("/signin", data=fields).status_code == 403
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
        who = Browser(running.url)
        word = who.word_of("/signin")
        assert who.post("/signin", data=fields | {"csrf": word}, headers=headers).status_code == 403, headers
    stolen = Browser(running.url).word_of("/signin")  # the word of another browser
    who = Browser(running.url)
    who.get("/signin")
    assert who.post("/signin", data=fields | {"csrf": stolen}).status_code == 403


@pytest.mark.parametrize(
    "sent",
    [{}, {"csrf": ""}, {"csrf": "x" * 32}, {"csrf": "é" * 20}, {"CSRF": "right"}],
    ids=lambda sent: str(sent)[:20],
)
def test_a_change_without_the_word_of_the_session_is_refused_and_nothing_is_done(
    running: Running, sent: dict[str, str]
) -> None:
    who = browser(running, account(running.db, "li", ["monitor"]))
    assert who.post("/profile/language", data={"language": "en", **sent}).status_code == 403
    assert accounts.find(running.db, "li").language == ""
    assert who.post("/profile/language", json={"language": "en"}).status_code == 403
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "same-site"}):
        answer = who.post("/profile/language", data={"language": "en", "csrf": who.csrf}, headers=headers)
        assert answer.status_code == 403, headers
    own = {"Origin": running.url, "X-CSRF-Token": who.csrf}
    assert who.post("/profile/language", data={"language": "en"}, headers=own).status_code == 303


def test_the_word_of_one_session_is_worth_nothing_in_another(running: Running) -> None:
    one = account(running.db, "li", ["monitor"])
    mine, other = browser(running, one), browser(running, one)
    assert mine.post("/profile/language", data={"csrf": other.csrf}).status_code == 403


def test_a_session_id_that_was_planted_is_never_taken_over(running: Running) -> None:
    account(running.db, "li", ["monitor"], password=PASSWORD)
    who = Browser(running.url)
    who.cookies.set("session", "planted-by-somebody-else-0123456789", domain="127.0.0.1")
    assert who.sign_in("li").status_code == 303
    assert "planted-by-somebody-else-0123456789" not in [c.value for c in who.cookies.jar]
    thief = Browser(running.url)
    thief.cookies.set("session", "planted-by-somebody-else-0123456789", domain="127.0.0.1")
    assert thief.get("/profile").status_code == 303


def cookies_of(answer: httpx.Response) -> dict[str, str]:
    return {line.partition("=")[0]: line for line in answer.headers.get_list("set-cookie")}


def test_cookies_are_out_of_reach_of_scripts_and_other_sites(serve: Serve) -> None:
    running = serve()
    account(running.db, "li", ["monitor"], password=PASSWORD)
    answer = Browser(running.url).sign_in("li")
    for name in ("session", "device"):
        line = cookies_of(answer)[name]
        assert "HttpOnly" in line
        assert "SameSite=lax" in line
        assert "Path=/" in line
        assert "Domain" not in line
    assert "Max-Age" not in cookies_of(answer)["session"]
    assert "strict-transport-security" not in answer.headers


def test_behind_https_cookies_are_bound_to_the_host_and_browsers_told_to_stay_with_https(serve: Serve) -> None:
    running = serve(public_url="https://monitor.example.gov.cn")
    account(running.db, "li", ["monitor"], password=PASSWORD)
    who = Browser(running.url)
    shown = who.get("/signin")
    assert shown.headers["strict-transport-security"] == "max-age=31536000"
    cookie = cookies_of(shown)["__Host-signin"]
    assert "Secure" in cookie
    word = re.search(r'name="csrf" value="([^"]*)"', shown.text)
    assert word
    sent = {"Cookie": cookie.partition(";")[0], "Origin": "https://monitor.example.gov.cn"}
    fields = {"name": "li", "password": PASSWORD, "csrf": word[1]}
    answer = httpx.post(f"{running.url}/signin", data=fields, headers=sent)
    assert answer.status_code == 303
    line = cookies_of(answer)["__Host-session"]
    for part in ("Secure", "HttpOnly", "SameSite=lax", "Path=/"):
        assert part in line
    assert "Domain" not in line
    session = {"Cookie": line.partition(";")[0], "Accept": "text/html"}
    assert httpx.get(f"{running.url}/profile", headers=session).status_code == 200
    plain_name = {"Cookie": line.partition(";")[0].removeprefix("__Host-"), "Accept": "text/html"}
    assert httpx.get(f"{running.url}/profile", headers=plain_name).status_code == 303


def test_pages_run_scripts_and_styles_of_ours_only(running: Running) -> None:
    who = browser(running, account(running.db, "li", ["monitor", "admin", "auditor"]))
    for path in ("/profile", "/profile/password", "/profile/second-factor", "/admin/accounts", "/admin/accounts/li",
                 "/admin/roles", "/admin/tokens", "/admin/audit", "/signin", "/no/such"):  # fmt: skip
        answer = who.get(path, follow_redirects=True)
        policy = dict(
            part.strip().partition(" ")[::2] for part in answer.headers["content-security-policy"].split(";")
        )
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
        assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        page = Page(answer.text)
        assert not any(name == "style" or name.startswith("on") for _, attributes in page.tags for name in attributes)
        assert not [a for tag, a in page.tags if tag == "script" and not a.get("src")]


def test_changes_are_limited_by_session_and_reading_is_not(running: Running) -> None:
    buckets, seconds = running.app.state.signed.limits.unsafe, [0.0]
    buckets.clock = lambda: seconds[0]
    who = browser(running, account(running.db, "li", ["monitor"]))

    def change() -> int:
        return who.send_form("/profile/language", language="").status_code

    assert [change() for _ in range(122)] == [303] * 120 + [429] * 2
    assert who.get("/profile").status_code == 200
    seconds[0] += 0.2
    assert [change(), change()] == [303, 429]
    other = browser(running, account(running.db, "wang", ["monitor"]))
    assert other.send_form("/profile/language", language="").status_code == 303


# --- what is written down ---


def test_sign_ins_and_refusals_are_in_the_audit_without_what_may_be_a_password(running: Running) -> None:
    account(running.db, "li", ["monitor"], password=PASSWORD)
    who = from_elsewhere(running)
    who.sign_in("li", WRONG)
    who.sign_in(PASSWORD, "li")  # both fields mixed up
    who.sign_in("li")
    who.send_form("/signout")
    found = [one for one in audit.entries(running.db) if one.action != "view"]
    assert [(one.action, one.object) for one in reversed(found)] == [
        ("signin.refused", "account:li"),
        ("signin.refused", "account:?"),
        ("signin", "account:li"),
        ("signout", "account:li"),
    ]
    assert {one.address for one in found} == {"203.0.113.9"}
    assert all(one.request_id for one in found)
    assert PASSWORD not in repr(found)


def test_no_secret_is_ever_in_the_log(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    running = serve()
    with caplog.at_level(logging.DEBUG):
        account(running.db, "li", ["monitor", "admin"], password=PASSWORD)
        who = Browser(running.url)
        who.sign_in("li", "wrong-and-secret-word")
        who.sign_in("li")
        secret, codes = set_up(who)
        half = Browser(running.url)
        half.sign_in("li")
        half.send_form("/signin/code", code=code(secret))
        shown = who.send_form("/admin/tokens", name="t", scope=["flags:read"]).text
        token = re.search(r"prm_[A-Za-z0-9_-]{43}", shown)
        assert token
        httpx.get(f"{running.url}/api/v1/flags", headers={"Authorization": f"Bearer {token[0]}"})
        made = who.send_form("/admin/accounts", name="wang").text
        first = re.search(r'<code translate="no">([a-z0-9-]{24})</code>', made)
        assert first
        who.send_form("/profile/password", current=PASSWORD, new="一行白鹭上青天 2026", again="一行白鹭上青天 2026")
    secrets = [PASSWORD, "wrong-and-secret-word", secret, *codes, token[0], first[1], "一行白鹭上青天 2026", who.csrf]
    secrets += [cookie.value or "" for one in (who, half) for cookie in one.cookies.jar]
    ours = [
        r for r in caplog.records if r.name.partition(".")[0] not in ("httpx", "httpcore")
    ]  # the test's own client
    text = "\n".join(record.getMessage() for record in ours) + repr([record.__dict__ for record in ours])
    assert "POST /signin" in text  # the log was written at all
    assert [one for one in secrets if one and one in text] == []


def test_no_secret_is_in_the_database_as_it_is(running: Running) -> None:
    account(running.db, "li", ["monitor"], password=PASSWORD)
    who = Browser(running.url)
    who.sign_in("li")
    _secret, codes = set_up(who)
    made = tokens.create(running.db, "t", ["flags:read"], NOW)
    with running.db.connect() as connection:
        tables = ("account", "session", "device", "recovery_code", "token", "audit", "attempt")
        text = repr([connection.exec_driver_sql(f"SELECT * FROM {table}").all() for table in tables])
    kept = [c.value or "" for c in who.cookies.jar if c.name in ("session", "device")]
    assert len(kept) == 2
    assert [one for one in (PASSWORD, made.secret, *codes, *kept) if one in text] == []
