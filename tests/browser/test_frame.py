"""The frame of the pages and the page for signing in: both languages, wide and narrow, light and dark."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi import Request
from playwright.sync_api import Page, expect
from starlette.responses import HTMLResponse

from monitor.rights import Action
from monitor.web.console import render
from monitor.web.signed import current
from tests.browser.checks import focus_order, good, picture
from tests.browser.conftest import Tabs
from tests.console import people
from tests.web.conftest import NOW, Running

LANGUAGES = [pytest.param("zh-CN", id="zh"), pytest.param("en-GB", id="en")]
SCHEMES = [pytest.param(False, id="light"), pytest.param(True, id="dark")]
SCRIPTS = [pytest.param(True, id="scripts"), pytest.param(False, id="no-scripts")]
SIGN_IN = {"zh-CN": "登录", "en-GB": "Sign in"}
ROWS = [
    {
        "grade": "一级",
        "css": "red",
        "item": "大米",
        "price": "5.60",
        "reason": "一周上涨 12.0%，超过 10%，甲、乙、丙三处同时",
    },
    {"grade": "四级", "css": "blue", "item": "鸡蛋", "price": "12.00", "reason": "较前一日上涨 6.1%"},
]


@pytest.fixture
def gallery(running: Running) -> str:
    """The address of a page with everything that pages are made of."""
    source = Path(__file__).with_name("gallery.html").read_text("utf-8")
    template = render.environment(running.context.zone).from_string(source)

    def show(request: Request) -> HTMLResponse:
        request.state.flashes = [render.Flash("done", "已保存"), render.Flash("fault", "没有保存：他人已先改动")]
        who = current(request, running.context)
        return render.page(request, template, visitor=who, title="样张", rows=ROWS, at=NOW)

    for path in ("/gallery", *(entry.path for entry in render.NAVIGATION)):
        running.app.add_api_route(path, show, methods=["GET"], include_in_schema=False)
    return "/gallery"


@pytest.mark.parametrize("dark", SCHEMES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_everything_that_pages_are_made_of_is_good(
    tabs: Tabs, running: Running, gallery: str, language: str, dark: bool
) -> None:
    page = tabs(people.visitor(running, "monitor", "duty", "auditor", name="monitor1"), language=language, dark=dark)
    page.goto(gallery)
    good(page, f"gallery-{language}-{'dark' if dark else 'light'}")


def test_on_paper_there_is_the_page_without_what_can_be_pressed(tabs: Tabs, running: Running, gallery: str) -> None:
    page = tabs(people.visitor(running, "monitor"))
    page.goto(gallery)
    page.emulate_media(media="print")
    picture(page, "gallery-print")
    assert page.get_by_role("button").filter(visible=True).count() == 0
    expect(page.get_by_role("table")).to_be_visible()


@pytest.mark.parametrize("dark", SCHEMES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_for_signing_in_is_good(tabs: Tabs, language: str, dark: bool) -> None:
    page = tabs(language=language, dark=dark)
    page.goto("/signin")
    expect(page.get_by_role("heading", level=1)).to_have_text(SIGN_IN[language])
    good(page, f"signin-{language}-{'dark' if dark else 'light'}")


@pytest.mark.parametrize("scripts", SCRIPTS)
def test_somebody_signs_in_and_out_with_and_without_scripts(
    tabs: Tabs, running: Running, gallery: str, scripts: bool
) -> None:
    people.account(running.db, "monitor1", ["monitor"], password=people.PASSWORD)
    page = tabs(scripts=scripts)
    page.goto(f"/signin?next={gallery}")
    page.locator("[name=name]").fill("monitor1")
    page.locator("[name=password]").fill(people.PASSWORD)
    page.locator("main").get_by_role("button", name="登录").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("样张")
    page.get_by_role("button", name="退出").click()
    expect(page.get_by_role("button", name="退出")).to_have_count(0)


def test_a_refusal_is_said_above_the_form(tabs: Tabs) -> None:
    page = tabs(statuses=(401,))
    page.goto("/signin")
    page.locator("[name=name]").fill("nobody")
    page.locator("[name=password]").fill("wrong")
    page.locator("main").get_by_role("button", name="登录").click()
    expect(page.get_by_role("alert")).to_contain_text("不对")
    good(page, "signin-refused")


def test_the_keyboard_goes_through_the_page_in_its_order(page: Page) -> None:
    page.goto("/signin")
    order = focus_order(page, 6)
    assert order == ["跳到正文", "价格风险监测", "language", "name", "password", "登录"]


def test_the_skip_link_leads_to_the_content(page: Page) -> None:
    page.goto("/signin")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


@pytest.mark.parametrize("scripts", SCRIPTS)
def test_the_language_is_switched_and_stays(tabs: Tabs, scripts: bool) -> None:
    page = tabs(scripts=scripts)
    page.goto("/signin?next=/x")
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    page.goto("/signin")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.get_by_role("button", name="中文").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("登录")


def test_somebody_sees_the_ways_that_the_rights_allow(tabs: Tabs, running: Running, gallery: str) -> None:
    who = people.visitor(running, "auditor")
    page = tabs(who)
    page.goto(gallery)
    ways = page.get_by_role("navigation", name="主导航").get_by_role("link")
    allowed = {entry.path for entry in render.NAVIGATION if entry.action == Action.AUDIT_VIEW}
    assert allowed < {link.get_attribute("href") for link in ways.all()} < {one.path for one in render.NAVIGATION}


def test_an_unknown_address_is_a_page_that_says_so(tabs: Tabs) -> None:
    page = tabs(statuses=(404,))
    page.goto("/no-such-page")
    expect(page.get_by_role("heading", level=1)).to_have_text("没有这个页面")
    good(page, "unknown")
