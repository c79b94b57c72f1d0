"""Accounts in a real browser: the first sign-in, the second factor, and an administrator at work."""

from __future__ import annotations

from datetime import timedelta

import pyotp
from playwright.sync_api import expect

from tests.browser.checks import good
from tests.browser.conftest import Tabs
from tests.console import people
from tests.web.conftest import NOW, Running

NEW = "一行白鹭上青天 2026"


def test_the_first_sign_in_with_another_password_and_a_second_factor(tabs: Tabs, running: Running) -> None:
    people.account(running.db, "monitor1", ["viewer"], password=people.PASSWORD, must_change=True)
    page = tabs(statuses=(422,))
    page.goto("/signin?next=/profile")
    page.get_by_label("名称").fill("monitor1")
    page.get_by_label("密码", exact=True).fill(people.PASSWORD)
    page.locator("main").get_by_role("button", name="登录").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("修改密码")
    page.get_by_label("当前密码").fill(people.PASSWORD)
    page.get_by_label("新密码").fill("password123456")
    page.get_by_label("再输入一次").fill("password123456")
    page.locator("main").get_by_role("button", name="修改密码").click()
    expect(page.get_by_role("alert")).to_contain_text("太常见")
    good(page, "password-refused")
    page.get_by_label("当前密码").fill(people.PASSWORD)
    page.get_by_label("新密码").fill(NEW)
    page.get_by_label("再输入一次").fill(NEW)
    page.locator("main").get_by_role("button", name="修改密码").click()
    expect(page.get_by_role("status").first).to_contain_text("密码已修改")

    page.goto("/profile/second-factor")
    page.get_by_label("当前密码").fill(NEW)
    page.get_by_role("button", name="开始设置").click()
    expect(page.locator("svg.qr")).to_be_visible()
    good(page, "second-factor-setup")
    secret = page.locator("main code").inner_text().replace(" ", "")
    page.get_by_label("验证码").fill(pyotp.TOTP(secret).at(NOW - timedelta(seconds=30)))
    page.get_by_role("button", name="启用").click()
    expect(page.locator("ul.codes li")).to_have_count(10)
    good(page, "recovery-codes")

    page.get_by_role("button", name="退出").click()
    page.goto("/signin?next=/profile")
    page.get_by_label("名称").fill("monitor1")
    page.get_by_label("密码", exact=True).fill(NEW)
    page.locator("main").get_by_role("button", name="登录").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("第二步验证")
    good(page, "second-factor-asked")
    page.get_by_label("验证码").fill(pyotp.TOTP(secret).at(NOW))
    page.get_by_role("button", name="继续").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("我的账号")


def test_an_administrator_makes_an_account_and_gives_it_a_role_in_an_area(tabs: Tabs, running: Running) -> None:
    boss = people.browser(running, people.account(running.db, "boss", ["admin", "auditor"]))
    page = tabs(boss)
    page.goto("/admin/accounts")
    page.get_by_label("名称").first.fill("monitor1")
    page.get_by_label("姓名").fill("监测员甲")
    page.get_by_role("button", name="建立").click()
    expect(page.get_by_role("status")).to_contain_text("初始密码")
    good(page, "account-made")
    page.get_by_role("link", name="打开").click()
    page.locator("[name=where-monitor]").select_option("some")
    page.locator("[name=areas-monitor]").fill("甲区、乙区")
    page.get_by_role("button", name="保存角色").click()
    expect(page.get_by_role("status")).to_contain_text("角色已保存")
    expect(page.locator("[name=areas-monitor]")).to_have_value("乙区、甲区")
    good(page, "account")
    page.goto("/admin/roles")
    page.locator("summary").nth(2).click()
    good(page, "roles-open")
    page.goto("/admin/audit")
    expect(page.locator("main")).to_contain_text("account.roles")
    good(page, "audit")
