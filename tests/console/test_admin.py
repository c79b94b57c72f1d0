"""Accounts, roles, tokens and the audit, by an administrator and an auditor."""

from __future__ import annotations

import re

import pytest

from monitor.auth import Scope
from monitor.store import accounts, audit, roles, tokens
from tests.console.people import PASSWORD, Browser, account, browser, visitor
from tests.web.conftest import NOW, Running
from tests.web.test_page import Page


@pytest.fixture
def admin(running: Running) -> Browser:
    return visitor(running, "admin", name="boss")


def test_an_account_is_made_with_a_password_that_is_shown_once(running: Running, admin: Browser) -> None:
    answer = admin.send_form("/admin/accounts", name="值班员甲", shown="监测员乙")
    found = re.search(r'<code translate="no">([a-z0-9-]{24})</code>', answer.text)
    assert found
    assert found[1] not in admin.get("/admin/accounts").text
    assert "监测员乙" in Page(admin.get("/admin/accounts").text).words
    who = Browser(running.url)
    assert who.sign_in("值班员甲", found[1]).status_code == 303
    assert who.get("/profile").headers["location"] == "/profile/password"


@pytest.mark.parametrize(
    ("name", "why"),
    [("", "请填写账号名称"), ("a/b", "只能用文字"), ("BOSS", "同名"), ("x" * 61, "太长"), ("<b>", "只能用文字")],
)
def test_a_name_that_cannot_be_used_is_refused_with_the_reason(admin: Browser, name: str, why: str) -> None:
    answer = admin.send_form("/admin/accounts", name=name)
    assert answer.status_code == 422
    assert why in Page(answer.text).words


def test_roles_with_areas_and_points_are_given_and_end_the_sessions(running: Running, admin: Browser) -> None:
    one = account(running.db, "li", ["viewer"])
    who = browser(running, one)
    assert who.get("/profile").status_code == 200
    fields = {"where-monitor": "some", "areas-monitor": "甲区、乙区", "where-reporter": "all", "points": "城南\n城北"}
    answer = admin.send_form("/admin/accounts/li/roles", **fields)
    assert (answer.status_code, answer.headers["location"]) == (303, "/admin/accounts/li")
    found = accounts.by_id(running.db, one.id)
    assert found.roles == {"monitor": {"甲区", "乙区"}, "reporter": {"*"}}
    assert found.points == {"城南", "城北"}
    assert who.get("/profile").status_code == 303
    assert "乙区、甲区" in admin.get("/admin/accounts/li").text


def test_a_role_in_no_named_area_is_refused_and_nothing_changes(running: Running, admin: Browser) -> None:
    one = account(running.db, "li", ["viewer"])
    answer = admin.send_form("/admin/accounts/li/roles", **{"where-monitor": "some", "areas-monitor": " 、"})
    assert answer.status_code == 422
    assert accounts.by_id(running.db, one.id).roles == {"viewer": {"*"}}


def test_the_last_administrator_cannot_take_the_right_away(running: Running, admin: Browser) -> None:
    for path, fields in (
        ("/admin/accounts/boss/roles", {"where-viewer": "all"}),
        ("/admin/accounts/boss/act", {"act": "disable"}),
        ("/admin/roles", {"role": "admin", "act": "save", "action": ["health.view"]}),
    ):
        answer = admin.send_form(path, **fields)
        assert answer.status_code == 422, path
        assert "最后一个能管理账号" in Page(answer.text).words
    assert admin.get("/admin/accounts").status_code == 200


def test_an_administrator_of_one_area_cannot_manage_accounts(running: Running) -> None:
    local = visitor(running, "admin", areas={"甲区"})
    assert local.get("/admin/accounts").status_code == 404


def test_changing_ones_own_rights_gives_a_new_session_id(running: Running, admin: Browser) -> None:
    before = admin.cookies["session"]
    admin.send_form("/admin/accounts/boss/roles", **{"where-admin": "all", "where-auditor": "all"})
    assert admin.cookies["session"] != before
    assert admin.get("/admin/audit").status_code == 200
    thief = Browser(running.url)
    thief.cookies.set("session", before, domain="127.0.0.1")
    assert thief.get("/profile").status_code == 303


def test_an_account_is_switched_off_at_once_and_on_again(running: Running, admin: Browser) -> None:
    one = account(running.db, "li", ["monitor"], password=PASSWORD)
    who = browser(running, one)
    admin.send_form("/admin/accounts/li/act", act="disable")
    assert who.get("/profile").status_code == 303
    assert Browser(running.url).sign_in("li").status_code == 401
    admin.send_form("/admin/accounts/li/act", act="enable")
    assert Browser(running.url).sign_in("li").status_code == 303


def test_an_administrator_ends_sessions_of_others(running: Running, admin: Browser) -> None:
    who = browser(running, account(running.db, "li", ["monitor"]))
    session = re.search(r'name="session" value="([0-9a-f]{64})"', admin.get("/admin/accounts/li").text)
    assert session
    admin.send_form("/admin/accounts/li/act", act="end-session", session=session[1])
    assert who.get("/profile").status_code == 303


def test_what_a_role_may_do_is_changed_here_and_can_be_restored(running: Running, admin: Browser) -> None:
    who = account(running.db, "li", ["viewer"])
    assert browser(running, who).get("/api/v1/flags").status_code == 404
    admin.send_form("/admin/roles", role="viewer", act="save", action=["flags.view", "no.such"])
    assert browser(running, who).get("/api/v1/flags").status_code == 200
    assert roles.read(running.db)["viewer"].actions == {"flags.view"}
    admin.send_form("/admin/roles", role="viewer", act="restore")
    assert not roles.read(running.db)["viewer"].changed
    assert browser(running, who).get("/api/v1/flags").status_code == 404


def test_a_token_is_made_for_areas_shown_once_and_revoked(running: Running, admin: Browser) -> None:
    answer = admin.send_form("/admin/tokens", name="城南采集", scope=["flags:read"], areas="甲区，乙区", days="30")
    secret = re.search(r"prm_[A-Za-z0-9_-]{43}", answer.text)
    assert secret
    assert secret[0] not in admin.get("/admin/tokens").text
    found = tokens.verify(running.db, secret[0], NOW)
    assert found is not None
    assert set(found.scopes) == {Scope.FLAGS_READ}
    assert set(found.areas or ()) == {"甲区", "乙区"}
    assert admin.send_form("/admin/tokens/revoke", name="城南采集").status_code == 303
    assert tokens.verify(running.db, secret[0], NOW) is None


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"name": "x"}, "至少选择一项权限"),
        ({"name": "", "scope": "flags:read"}, "由谁使用"),
        ({"name": "x", "scope": "flags:read", "days": "0"}, "之间的天数"),
        ({"name": "x", "scope": "no:such"}, "至少选择一项权限"),
    ],
)
def test_a_token_that_makes_no_sense_is_refused(admin: Browser, fields: dict[str, str], why: str) -> None:
    answer = admin.send_form("/admin/tokens", **fields)
    assert answer.status_code == 422
    assert why in Page(answer.text).words


def test_every_change_is_in_the_audit_and_an_auditor_finds_it(running: Running, admin: Browser) -> None:
    admin.send_form("/admin/accounts", name="li")
    admin.send_form("/admin/accounts/li/roles", **{"where-monitor": "all"})
    admin.send_form("/admin/accounts/li/act", act="disable")
    admin.send_form("/admin/tokens", name="t", scope=["flags:read"])
    auditor = visitor(running, "auditor", name="shenji")
    words = Page(auditor.get("/admin/audit").text).words
    for part in ("account.made", "account.roles", "account.off", "token.made", "user:boss", "account:li"):
        assert part in words, part
    for part in ("新建账号", "修改账号的角色", "停用账号", "发放访问令牌", "人员账号 li"):
        assert part in words, part
    for query in ("actor=boss&object=account:*&action=account.roles", "actor=boss&kind=account&which=l&action=acts"):
        words = auditor.get(f"/admin/audit?{query}").text.partition("<tbody")[2]
        assert "{&#34;monitor&#34;: [&#34;*&#34;]}" in words
        assert "token.made" not in words
    assert admin.get("/admin/audit").status_code == 404
    assert audit.entries(running.db, actor="user:shenji")[-1].object == "audit"


def test_the_audit_is_read_page_by_page(running: Running) -> None:
    for n in range(230):
        audit.note(running.db, "user:li", "view", f"flag:{n}", {}, NOW)
    auditor = visitor(running, "auditor")
    seen: list[str] = []
    path = "/admin/audit?actor=li"
    while path:
        text = auditor.get(path).text
        seen += re.findall(r">flag:(\d+)<", text)
        after = re.search(r'rel="next" href="([^"]*)"', text)
        path = after[1].replace("&amp;", "&") if after else ""
    assert seen == [str(n) for n in reversed(range(230))]
