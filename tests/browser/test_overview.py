"""The wall, the pages of items and the reports in a real browser: a leader's and a report writer's main path."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import expect

from monitor.documents.model import ReportKind
from monitor.documents.options import ReportOptions
from monitor.reporting import Maker
from monitor.store import observations
from monitor.store.flags import save_evaluation
from tests.browser.checks import good
from tests.browser.conftest import Tabs
from tests.console import people
from tests.console.test_overview import AREAS, TODAY, key, nobody
from tests.store.build import flag
from tests.web.conftest import NOW, Running, Serve
from thresholds.catalogue import load_catalogue
from thresholds.model import Grade, Kind, Observation, ObservationBatch

LAST = TODAY.astimezone(ZoneInfo("Asia/Shanghai")).date()


@pytest.fixture
def running(serve: Serve) -> Running:
    """A city of two areas with forty days of five items, flags and a daily report."""
    catalogue, _ = load_catalogue()
    assert catalogue is not None
    made: list[Maker] = []
    running = serve(changes={"report_maker": lambda: made[0]})
    rows = [
        Observation(
            key(item, f"{area}市场{n}"),
            TODAY - timedelta(days=ago),
            price * (1 + 0.01 * n + 0.003 * (40 - ago)),
            area=area,
        )
        for item, price in (("大白菜", 2.0), ("鸡蛋", 5.0), ("大米", 3.0), ("精瘦肉", 20.0), ("苹果", 6.0))
        for area in AREAS
        for n in range(2)
        for ago in range(40)
    ]
    observations.add(running.db, ObservationBatch.of(rows), source="日报", name="a.csv", now=NOW)
    flags = [
        flag("f1", 59, area="东区", peak_grade=Grade(2, "二级", "橙")),
        flag("f2", 59, area="西区", peak_grade=Grade(1, "三级", "黄")),
        flag("f3", 59, area="西区", item="鸡蛋", kind=Kind.DATA),
    ]
    save_evaluation(running.db, flags, items={"大白菜", "鸡蛋"}, since={}, dirty=[], now=NOW, notify=nobody)
    made.append(Maker(running.db, catalogue, ReportOptions(issuer="价格监测中心"), ZoneInfo("Asia/Shanghai")))
    made[0].make(ReportKind.DAILY, LAST, "monitor", NOW)
    return running


def forget_the_city(running: Running) -> None:
    """The next look at the wall is a new one, as after its ten seconds."""
    running.app.state.shelves["wall"].forget(lambda _key: True)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("language", ["zh-CN", "en-GB"])
def test_the_wall_is_good(tabs: Tabs, running: Running, language: str, dark: bool) -> None:
    page = tabs(people.visitor(running, "viewer", "monitor"), language=language, dark=dark)
    page.goto("/wall")
    expect(page.locator(".tile")).to_have_count(2)
    good(page, f"wall-{language}-{'dark' if dark else 'light'}")


def test_the_wall_refreshes_in_place_and_can_be_paused(tabs: Tabs, running: Running) -> None:
    page = tabs(people.visitor(running, "viewer"))
    page.clock.install()
    page.goto("/wall")
    expect(page.locator(".figures").first).to_contain_text("二级 1")
    found = [flag("f9", 59, area="东区", peak_grade=Grade(3, "一级", "红"))]
    save_evaluation(running.db, found, items={"大白菜"}, since={"大白菜": 0}, dirty=[], now=NOW, notify=nobody)
    page.get_by_role("button", name="暂停刷新").click()
    page.locator("h1").click()
    forget_the_city(running)
    page.clock.run_for(120_000)
    expect(page.locator(".figures").first).not_to_contain_text("一级")
    page.get_by_role("button", name="继续刷新").click()
    expect(page.locator(".figures").first).to_contain_text("一级 1")


def test_a_wall_that_cannot_refresh_says_so(tabs: Tabs, running: Running) -> None:
    page = tabs(people.visitor(running, "viewer"), statuses=(500,))
    page.clock.install()
    page.goto("/wall")
    page.route("**/wall", lambda route: route.fulfill(status=500))
    page.clock.run_for(61_000)
    expect(page.get_by_role("status")).to_contain_text("刷新失败")
    expect(page.locator(".tile")).to_have_count(2)


@pytest.mark.parametrize("path", ["/items", "/items/大白菜", "/items/大白菜?span=365&area=东区"])
def test_the_pages_of_items_are_good(tabs: Tabs, running: Running, path: str) -> None:
    page = tabs(people.visitor(running, "viewer"))
    page.goto(path)
    good(page, "items" if path == "/items" else f"item-{len(path)}")


def test_a_leader_goes_from_the_wall_to_an_item_without_scripts(tabs: Tabs, running: Running) -> None:
    page = tabs(people.visitor(running, "viewer"), scripts=False)
    page.goto("/wall")
    page.get_by_role("link", name="大米").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("大米")
    page.get_by_label("时间").select_option("365")
    page.get_by_role("button", name="显示").click()
    expect(page.get_by_role("img", name="均价走势")).to_be_visible()


@pytest.mark.parametrize("language", ["zh-CN", "en-GB"])
def test_the_pages_of_reports_are_good(tabs: Tabs, running: Running, language: str) -> None:
    page = tabs(people.visitor(running, "monitor", "approver"), language=language)
    page.goto("/reports")
    good(page, f"reports-{language}")
    page.goto("/reports/1")
    good(page, f"report-{language}")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_a_report_is_edited_and_signed(tabs: Tabs, running: Running, scripts: bool) -> None:
    page = tabs(people.visitor(running, "monitor", "approver", name="负责人甲"), scripts=scripts)
    page.goto("/reports")
    page.get_by_role("link", name="价格监测日报").click()
    page.get_by_label("导语").fill("导语由填报人改写。")
    page.get_by_role("button", name="保存修改").click()
    expect(page.get_by_role("status")).to_contain_text("已保存")
    page.get_by_role("button", name="签发").click()
    expect(page.locator("main")).to_contain_text("签发：负责人甲")
    expect(page.locator("main")).to_contain_text("导语由填报人改写。")
    expect(page.get_by_label("导语")).to_have_count(0)
    with page.expect_download() as download:
        page.get_by_role("link", name="下载 DOCX").click()
    assert download.value.suggested_filename == f"价格监测日报_{LAST.isoformat()}.docx"
