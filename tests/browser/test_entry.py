"""Data entry in a real browser: a phone that loses its network, a sheet with faults, the monitor's table."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Error, Page, Route, expect

from monitor.store import accounts, observations
from monitor.store.database import Database
from monitor.web.console import assets
from tests.browser.checks import good, picture
from tests.browser.conftest import Tabs
from tests.console import people
from tests.console.test_entry import CABBAGE, EGGS, POINT, PORK, TODAY, put
from tests.web.conftest import NOW, Running
from thresholds.model import SeriesKey

RICE = SeriesKey("粳米", "", "元/500克", "零售", POINT)
OIL = SeriesKey("大豆油", "桶装一级", "元/5升", "零售", POINT)
SHEET = """某某农贸市场价格表,,,,
采集,货品,计量,本周大概价,说明
2026-03-02,鸡蛋,元/500克,4.3,
2026-03-02,猪肉,元/500克,无,缺货
2026-03-02,大白菜,元/500克,1.5,
2026-03-02,粳米,元/500克,30.5,
2026-03-02,<b>鱼</b>,元/500克,15,=1+1
"""
LANGUAGES = [pytest.param("zh-CN", id="zh"), pytest.param("en-GB", id="en")]


@pytest.fixture
def stocked(running: Running) -> Running:
    prices = {EGGS: 4.2, PORK: 12.5, CABBAGE: 1.0, RICE: 3.05, OIL: 62.0}
    put(running.db, *((key, days, price) for days in range(10, 0, -1) for key, price in prices.items()))
    put(running.db, (SeriesKey("鸡蛋", unit="元/500克", point="城西农贸市场"), 1, 4.0), area="西区")
    return running


@pytest.fixture
def reporter(stocked: Running) -> people.Browser:
    return people.visitor(stocked, "reporter", name="cai", points=[POINT])


def today(db: Database) -> dict[str, list[tuple[float, str]]]:
    """All revisions stored for today, by item."""
    found: dict[str, list[tuple[float, str]]] = {}
    for series in observations.list_series(db, point=POINT):
        values = [(one.value, one.note) for one in observations.revisions(db, series.id, TODAY)]
        if values:
            found[series.key.item] = values
    return found


def price(page: Page, item: str):  # type: ignore[no-untyped-def]
    return page.locator(".price", has_text=item).locator("input").first


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_form_on_a_phone(tabs: Tabs, reporter: people.Browser, language: str) -> None:
    """One column, large fields with the numeric keypad, nothing too wide, both languages."""
    page = tabs(reporter, language=language, width=360)
    page.goto("/entry")
    expect(price(page, "鸡蛋")).to_have_attribute("inputmode", "decimal")
    boxes = [box for one in page.locator(".price > input").all() if (box := one.bounding_box())]
    assert len({round(box["x"]) for box in boxes}) == 1
    assert all(box["height"] >= 44 for box in boxes)
    good(page, f"entry-{language}")


def test_a_reporter_loses_the_network_and_nothing_is_stored_twice(
    tabs: Tabs, reporter: people.Browser, stocked: Running
) -> None:
    """Typed on the phone, kept there at once, sent by itself when the network is back, stored once."""
    page = tabs(reporter, width=360, statuses=(422,))
    page.goto("/entry")
    price(page, "鸡蛋").press_sequentially("4.3")
    price(page, "粳米").press_sequentially("3.06")
    expect(page.locator("#kept")).to_have_text("已保存在本机")
    page.reload()
    expect(price(page, "鸡蛋")).to_have_value("4.3")
    page.context.set_offline(True)
    page.get_by_role("button", name="提交").click()
    expect(page.locator("#kept")).to_contain_text("没有网络")
    price(page, "猪肉").press_sequentially("12.6")
    assert today(stocked.db) == {}
    page.context.set_offline(False)
    expect(page.locator(".flash.done")).to_contain_text("已保存 3 个价格。")
    assert today(stocked.db) == {"鸡蛋": [(4.3, "")], "粳米": [(3.06, "")], "猪肉": [(12.6, "")]}
    page.reload()
    assert page.evaluate("Object.keys(localStorage).filter((one) => one.startsWith('prices:'))") == []
    assert len(observations.list_observations(stocked.db, since=TODAY, every_revision=True)) == 3


KEPT_FORMS = """async () => {
  const found = [];
  for (const name of await caches.keys()) {
    if (!name.startsWith("entry-form:")) continue;
    const cache = await caches.open(name);
    const texts = await Promise.all((await cache.keys()).filter((one) => new URL(one.url).pathname === "/entry")
      .map(async (one) => (await cache.match(one)).text()));
    found.push([name, texts]);
  }
  return found;
}"""


def kept_forms(page: Page, fits: Callable[[list[tuple[str, list[str]]]], bool]) -> list[tuple[str, list[str]]]:
    """The forms that this device keeps, by the name of their cache, as soon as they are as they should be."""
    found: list[tuple[str, list[str]]] = []
    for _ in range(100):
        found = [(name, texts) for name, texts in page.evaluate(KEPT_FORMS)]
        if fits(found):
            return found
        page.wait_for_timeout(100)
    raise AssertionError(f"the device keeps {[(name, len(texts)) for name, texts in found]}")


def one_form(found: list[tuple[str, list[str]]]) -> bool:
    return [len(texts) for _, texts in found] == [1]


def test_the_form_is_opened_without_a_network_and_sent_once_when_it_is_back(
    tabs: Tabs, reporter: people.Browser, stocked: Running
) -> None:
    """Seen once, it opens in a new tab where there is no signal, with its looks; what is typed is stored once."""
    page = tabs(reporter, width=360, offline=True)
    page.goto("/entry")
    kept_forms(page, one_form)
    context = page.context
    page.close()
    context.set_offline(True)
    page = context.new_page()
    page.clock.set_fixed_time(NOW)
    page.goto("/entry")
    expect(page.locator("#offline")).to_be_visible()
    assert page.evaluate("getComputedStyle(document.querySelector('.price')).display") != "list-item"
    price(page, "鸡蛋").press_sequentially("4.3")
    page.get_by_role("button", name="提交").click()
    expect(page.locator("#kept")).to_contain_text("没有网络")
    page.reload()
    expect(price(page, "鸡蛋")).to_have_value("4.3")
    assert today(stocked.db) == {}
    context.set_offline(False)
    expect(page.locator(".flash.done")).to_contain_text("已保存 1 个价格。")
    expect(page.locator("#offline")).to_be_hidden()
    assert today(stocked.db) == {"鸡蛋": [(4.3, "")]}
    assert page.evaluate("Object.keys(localStorage).filter((one) => one.startsWith('prices:'))") == []


def test_a_kept_form_that_is_opened_on_a_later_day_is_the_form_of_that_day(
    tabs: Tabs, reporter: people.Browser, stocked: Running
) -> None:
    """What was reported on the day before stands in no field and is not sent again as today's."""
    put(stocked.db, (EGGS, 0, 4.4))
    page = tabs(reporter, offline=True)
    page.goto("/entry")
    expect(price(page, "鸡蛋")).to_have_value("4.4")
    kept_forms(page, one_form)
    page.context.set_offline(True)
    page.clock.set_fixed_time(NOW + timedelta(days=1))
    page.reload()
    expect(page.locator("#offline")).to_be_visible()
    expect(page.get_by_role("heading", name="2026-03-03 的价格")).to_be_visible()
    expect(price(page, "鸡蛋")).to_have_value("")
    assert page.locator("input[name=day]").first.input_value() == "2026-03-03"
    expect(page.get_by_text("已报", exact=True)).to_have_count(0)


def test_the_kept_form_goes_at_sign_out_with_another_person_and_with_another_build(
    tabs: Tabs, reporter: people.Browser, stocked: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody sees what somebody else could report; a new build of the program leaves no old form behind."""
    page = tabs(reporter, offline=True)
    page.goto("/entry")
    kept_forms(page, one_form)
    page.goto(f"/entry?point={POINT}")
    kept_forms(page, lambda found: len(found[0][1]) == 2)
    monkeypatch.setattr(assets, "build", lambda: "another")
    page.goto("/entry")
    kept_forms(page, lambda found: [(name, len(texts)) for name, texts in found] == [("entry-form:another", 2)])
    other = people.visitor(stocked, "reporter", name="ding", points=["城西农贸市场"])
    page.context.add_cookies([{"name": "session", "value": other.cookies["session"], "url": stocked.url}])
    page.goto("/entry")
    ((_, texts),) = kept_forms(page, lambda found: one_form(found) and "城西" in found[0][1][0])
    assert POINT not in "".join(texts)
    page.get_by_role("button", name="退出").click()
    kept_forms(page, lambda found: not found)
    page.context.set_offline(True)
    with pytest.raises(Error, match="ERR_FAILED"):
        page.goto("/entry")


def test_what_was_handed_in_is_sent_after_signing_in_again(
    tabs: Tabs, reporter: people.Browser, stocked: Running
) -> None:
    """The session ended while the phone had no signal: the form waits for its owner, and is stored once."""
    page = tabs(reporter, statuses=(401,), offline=True)
    page.goto("/entry")
    page.context.set_offline(True)
    price(page, "鸡蛋").press_sequentially("4.3")
    page.get_by_role("button", name="提交").click()
    expect(page.locator("#kept")).to_contain_text("没有网络")
    page.context.clear_cookies()
    page.context.set_offline(False)
    expect(page.locator("#kept")).to_contain_text("请重新登录")
    assert today(stocked.db) == {}
    again = people.browser(stocked, accounts.find(stocked.db, "cai"))
    page.context.add_cookies([{"name": "session", "value": again.cookies["session"], "url": stocked.url}])
    page.goto("/entry")
    expect(page.locator(".flash.done")).to_contain_text("已保存 1 个价格。")
    assert today(stocked.db) == {"鸡蛋": [(4.3, "")]}


def test_an_answer_that_is_lost_on_the_way_stores_nothing_twice(
    tabs: Tabs, reporter: people.Browser, stocked: Running
) -> None:
    """The server stored it, the phone does not know: it sends the same form again and is told the same."""
    page = tabs(reporter, width=360)
    page.goto("/entry")
    lost: list[int] = []

    def swallow(route: Route) -> None:
        if route.request.method == "POST" and not lost:
            lost.append(route.fetch().status)
            route.abort("aborted")
        else:
            route.fallback()

    page.route(re.compile(r"/entry$"), swallow)
    price(page, "鸡蛋").press_sequentially("4.3")
    page.get_by_role("button", name="提交").click()
    expect(page.locator("#kept")).to_contain_text("没有网络")
    assert today(stocked.db) == {"鸡蛋": [(4.3, "")]}
    page.evaluate("window.dispatchEvent(new Event('online'))")
    expect(page.locator(".flash.done")).to_contain_text("已保存 1 个价格。")
    assert today(stocked.db) == {"鸡蛋": [(4.3, "")]}
    assert lost == [200]


def test_what_was_typed_outlasts_the_session(tabs: Tabs, reporter: people.Browser, stocked: Running) -> None:
    """Signed out meanwhile: it is said, kept on the phone, and sent after signing in again."""
    page = tabs(reporter, width=360, statuses=(401,))
    page.goto("/entry")
    price(page, "鸡蛋").press_sequentially("4.3")
    reporter.send_form("/signout")
    page.get_by_role("button", name="提交").click()
    expect(page.locator("#kept")).to_contain_text("请重新登录")
    assert today(stocked.db) == {}
    again = people.browser(stocked, accounts.find(stocked.db, "cai"))
    page.context.add_cookies(
        [{"name": c.name, "value": c.value or "", "domain": "127.0.0.1", "path": "/"} for c in again.cookies.jar]
    )
    page.goto("/entry")
    expect(price(page, "鸡蛋")).to_have_value("4.3")
    page.get_by_role("button", name="提交").click()
    expect(page.locator(".flash.done")).to_contain_text("已保存 1 个价格。")


def test_a_large_move_is_asked_at_once_and_by_the_server(
    tabs: Tabs, reporter: people.Browser, stocked: Running
) -> None:
    """The reason opens while typing; the slip must be confirmed; the rest is stored meanwhile."""
    page = tabs(reporter, width=360, statuses=(422,))
    page.goto("/entry")
    expect(page.locator(".price.ask")).to_have_count(0)
    price(page, "鸡蛋").press_sequentially("4.9")
    expect(page.locator(".price.ask", has_text="鸡蛋").locator("details")).to_have_attribute("open", "")
    price(page, "猪肉").press_sequentially("25")
    price(page, "粳米").press_sequentially("3.05")
    page.get_by_role("button", name="提交").click()
    expect(page.locator("#faults")).to_contain_text("还有 2 项尚未保存")
    expect(page.locator(".price.wrong", has_text="猪肉")).to_contain_text("是否按元/公斤填报？")
    good(page, "entry-asked")
    page.locator(".price", has_text="鸡蛋").get_by_label("鸡蛋 的备注").fill("货源减少")
    pork = page.locator(".price", has_text="猪肉")
    pork.get_by_label("猪肉 的备注").fill("节日因素")
    pork.get_by_label("已核对，价格和单位无误").check()
    page.get_by_role("button", name="提交").click()
    expect(page.locator(".flash.done")).to_be_visible()
    assert today(stocked.db) == {
        "粳米": [(3.05, "")],
        "鸡蛋": [(4.9, "货源减少")],
        "猪肉": [(25.0, "节日因素")],
    }


def test_the_form_without_scripts(tabs: Tabs, reporter: people.Browser, stocked: Running) -> None:
    """A plain form: typed, asked, explained, stored."""
    page = tabs(reporter, width=360, scripts=False, statuses=(422,))
    page.goto("/entry")
    price(page, "鸡蛋").fill("4.9")
    page.get_by_role("button", name="提交").click()
    page.locator(".price.wrong").get_by_label("鸡蛋 的备注").fill("节日因素")
    page.get_by_role("button", name="提交").click()
    expect(page.locator(".flash.done")).to_contain_text("已保存 1 个价格。")
    assert today(stocked.db) == {"鸡蛋": [(4.9, "节日因素")]}


@pytest.mark.parametrize("scripts", [pytest.param(True, id="scripts"), pytest.param(False, id="no-scripts")])
def test_a_sheet_with_faults_is_mapped_mended_and_committed(
    tabs: Tabs, reporter: people.Browser, stocked: Running, tmp_path: Path, scripts: bool
) -> None:
    """Columns are mapped, wrong rows stand in place, odd prices are explained; then all is stored at once."""
    file = tmp_path / "价格.csv"
    file.write_text(SHEET, "utf-8")
    page = tabs(reporter, scripts=scripts, statuses=(422,))
    page.goto("/entry/upload")
    if scripts:
        good(page, "upload")
    page.get_by_label("文件", exact=False).set_input_files(file)
    page.get_by_role("button", name="上传并核对").click()
    expect(page.get_by_text("这个文件还不能读取")).to_be_visible()
    if scripts:
        good(page, "preview-unread")
    for column, meaning in (
        ("采集", "日期"),
        ("货品", "品种"),
        ("计量", "单位"),
        ("本周大概价", "价格"),
        ("说明", "备注"),
    ):
        page.get_by_label(column, exact=True).select_option(label=meaning)
    page.get_by_label("整表价格类型").fill("零售")
    page.get_by_role("button", name="按此重新读取").click()
    expect(page.locator(".counts")).to_contain_text("不能接受 1 项")
    expect(page.locator("tr.why", has_text="没有报价（“无”）")).to_be_visible()
    expect(page.locator(".asks > li")).to_have_count(2)
    expect(page.get_by_role("cell", name="<b>鱼</b>")).to_be_visible()
    expect(page.locator(".flash.note")).to_contain_text("第一次报送")
    expect(page.locator(".flash.note")).not_to_contain_text("大白菜")
    if scripts:
        good(page, "preview")
    page.get_by_role("button", name=re.compile("^提交")).click()
    expect(page.get_by_text("还有 2 行没有写明原因或没有确认。")).to_be_visible()
    for item, reason in (("大白菜", "寒潮"), ("粳米", "换了品牌")):
        page.locator(".asks > li", has_text=item).get_by_label("原因（备注）").fill(reason)
    page.locator(".asks > li", has_text="粳米").get_by_label("已核对，价格和单位无误").check()
    assert today(stocked.db) == {}
    page.get_by_role("button", name=re.compile("^提交")).click()
    expect(page.locator(".counts")).to_contain_text("新保存 4 项")
    if scripts:
        good(page, "stored")
    assert today(stocked.db)["大白菜"] == [(1.5, "寒潮")]
    assert today(stocked.db)["粳米"] == [(30.5, "换了品牌")]
    with page.expect_download() as download:
        page.get_by_role("link", name="下载这些行").click()
    text = Path(download.value.path()).read_text("utf-8-sig")
    assert download.value.suggested_filename == "rejects.csv"
    assert "猪肉" in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_monitor_sees_late_and_missing_reports(tabs: Tabs, stocked: Running, language: str) -> None:
    """The table of points, and one point."""
    put(stocked.db, (EGGS, 0, 4.3))
    page = tabs(people.visitor(stocked, "monitor"), language=language)
    page.goto("/reports-due")
    good(page, f"reports-due-{language}")
    page.get_by_role("link", name=POINT).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(POINT)
    good(page, f"reports-due-point-{language}")


@pytest.mark.parametrize("language", LANGUAGES)
def test_complaints_patrols_and_decisions(tabs: Tabs, stocked: Running, language: str) -> None:
    """Their forms and lists, from the page where they begin."""
    page = tabs(people.visitor(stocked, "duty", "approver"), language=language, statuses=(422,))
    page.goto("/records/complaints")
    page.locator("#f-v-0").fill("12")
    page.locator("#g-1").fill("鸡蛋")
    page.locator("#f-v-1").fill("3")
    good(page, f"complaints-{language}")
    page.locator(".send button").click()
    expect(page.locator(".flash.done")).to_be_visible()
    page.goto("/records/patrols")
    page.locator("#add > summary").click()
    page.locator("#f-kind").select_option("price")
    page.locator("#f-area").select_option("东区")
    page.locator("#f-items").fill("鸡蛋、猪肉")
    page.locator("#f-body").fill("鸡蛋普遍上涨，摊主称货源减少。")
    page.locator("#f-measure").select_option("抢购")
    good(page, f"patrol-form-{language}")
    page.locator("#add button").click()
    expect(page.locator(".flash.done")).to_be_visible()
    good(page, f"patrols-{language}")
    page.goto("/records/decisions")
    page.locator("#add > summary").click()
    page.locator("#f-measure").select_option("干预")
    page.locator("#f-issuer").select_option("省政府")
    page.locator("#f-document").fill("黑政发〔2026〕1号")
    page.locator("#f-start").fill("2026-03-01")
    page.locator("#f-classes").fill("粮")
    good(page, f"decision-form-{language}")
    page.locator("#add button:not(.plain)").click()
    expect(page.locator(".flash.done")).to_be_visible()
    good(page, f"decisions-{language}")
    page.goto("/records")
    good(page, f"records-{language}")
    picture(page, f"records-{language}")
