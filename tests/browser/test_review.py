"""A price monitor's morning in a real browser: the queue from the keyboard, two people at once, without scripts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from monitor.check import check
from monitor.store.flag_notes import notes_of
from monitor.store.flags import flag_log, get_flag
from monitor.web.console.queue import VERDICT_KEYS
from tests.browser.checks import axe, focus_order, good, weight
from tests.browser.conftest import Tabs
from tests.console import people
from tests.console.review_data import EAST, evaluate, hundred, one, prices
from tests.web.conftest import Running, Serve
from thresholds.plan import Policy

SHIPPED = Path(__file__).parents[2] / "config.toml"


@pytest.fixture(scope="module")
def policy() -> Policy:
    found = check(SHIPPED).policy
    assert found is not None
    return found


@pytest.fixture
def city(serve: Serve, policy: Policy) -> Running:
    return serve(changes={"policy": lambda: policy})


def some(running: Running) -> None:
    """Four flags, c the first of the queue."""
    prices(running.db, "大白菜", "鸡蛋")
    evaluate(
        running.db,
        *(one(name, item) for name, item in (("a", "大白菜"), ("b", "鸡蛋"), ("c", "猪肉"), ("d", "大米"))),
    )


def verdict(running: Running, flag_id: str) -> str:
    record = get_flag(running.db, flag_id)
    assert record is not None
    return record.verdict


def current(page: Page) -> str:
    return str(page.evaluate("document.querySelector('.row[aria-current]')?.id.slice(2) ?? ''"))


def settled(page: Page, count: int) -> None:
    """Wait until the server has said yes to so many judgements."""
    expect(page.locator(".row.settled")).to_have_count(count)
    expect(page.locator(".row.sending")).to_have_count(0)


def test_a_whole_morning_a_hundred_flags_from_the_keyboard_two_keys_each(tabs_of: Any, city: Running) -> None:
    order = hundred(city.db, 100)
    page: Page = tabs_of(city)(people.visitor(city, "monitor", name="jia"))
    page.goto("/queue")
    assert current(page) == order[0], "the highest grade first"
    said = []
    for number, flag_id in enumerate(order):
        assert current(page) == flag_id
        key = number % 4
        page.keyboard.press(str(key + 1))
        page.keyboard.press("Enter" if number % 2 else "y")
        said.append(VERDICT_KEYS[key])
    settled(page, 100)
    assert [verdict(city, flag_id) for flag_id in order] == said
    expect(page.locator("#announce")).to_have_text("已将 1 条判为“待核实”。")
    page.reload()
    expect(page.get_by_text("没有待处理的提示。")).to_be_visible()


@pytest.fixture
def tabs_of(open_tabs: Any) -> Any:
    return open_tabs


def test_next_previous_note_undo_select_assign_filter_and_help_are_keys(tabs_of: Any, city: Running) -> None:
    some(city)
    page: Page = tabs_of(city)(people.visitor(city, "monitor", name="jia"))
    page.goto("/queue")
    order = ["d", "c", "b", "a"]
    assert current(page) == order[0]
    page.keyboard.press("j")
    page.keyboard.press("ArrowDown")
    assert current(page) == order[2]
    page.keyboard.press("k")
    assert current(page) == order[1]

    page.keyboard.press("3")
    expect(page.locator(".ask")).to_have_text("属预期？按 Enter 或 y 确定，Esc 取消")
    page.keyboard.press("Escape")
    expect(page.locator(".ask")).to_be_hidden()
    page.keyboard.press("Enter")
    page.wait_for_url("**/flags/c")
    page.go_back()

    page.locator("#f-c").click()
    page.keyboard.press("3")
    page.keyboard.press("n")
    page.keyboard.type("节前备货，1周后回落")
    page.keyboard.press("Enter")
    settled(page, 1)
    record = get_flag(city.db, "c")
    assert record is not None
    assert (record.verdict, record.note, record.reviewer) == ("expected", "节前备货，1周后回落", "user:jia")
    expect(page.locator("#f-c")).to_contain_text("已判为“属预期”")
    expect(page.locator("#f-c")).to_contain_text("节前备货")

    page.keyboard.press("u")
    settled(page, 0)
    assert verdict(city, "c") == ""
    assert current(page) == "c", "one goes back to what was undone"
    assert [e.action for e in flag_log(city.db, "c")] == ["opened", "reviewed", "undone"]

    page.keyboard.press("n")
    page.keyboard.type("已电话询问")
    page.keyboard.press("Enter")
    expect(page.locator("#announce")).to_have_text("备注已保存。")
    assert [note.text for note in notes_of(city.db, "c", everything())] == ["已电话询问"]

    page.keyboard.press("a")
    expect(page.locator("#f-c")).to_contain_text("分派：jia")

    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.locator("#chosen")).to_have_text("已选 2 条")
    page.keyboard.press("1")
    expect(page.locator(".ask")).to_have_text("真实波动？按 Enter 或 y 确定，Esc 取消 (已选 2 条)")
    page.keyboard.press("y")
    settled(page, 2)
    assert [verdict(city, name) for name in ("b", "c", "a", "d")] == ["real_move", "real_move", "", ""]
    page.keyboard.press("u")
    settled(page, 0)

    page.keyboard.press("?")
    expect(page.get_by_text("撤销上一步的结论")).to_be_visible()
    page.keyboard.press("?")
    page.keyboard.press("/")
    page.keyboard.type("大米")
    page.keyboard.press("Enter")
    expect(page.locator(".row")).to_have_count(1)
    assert current(page) == "d"


def everything() -> Any:
    from sqlalchemy import true

    return true()


def test_of_two_people_on_the_same_flag_the_later_one_is_told_and_overwrites_nothing(
    tabs_of: Any, city: Running
) -> None:
    some(city)
    tabs: Tabs = tabs_of(city)
    mine, theirs = tabs(people.visitor(city, "monitor", name="jia")), tabs(people.visitor(city, "monitor", name="yi"))
    for page in (mine, theirs):
        page.goto("/queue")
    theirs.keyboard.press("1")
    theirs.keyboard.press("y")
    settled(theirs, 1)
    mine.keyboard.press("2")
    mine.keyboard.press("y")
    expect(mine.locator("#f-d .said")).to_contain_text(
        "1 条在此期间已由他人处理，没有覆盖：大米（东区 3 个监测点）：yi判为“真实波动”"
    )
    expect(mine.locator("#f-d .verdict")).to_have_text("已判为“真实波动”")
    assert verdict(city, "d") == "real_move"
    assert current(mine) == "c", "work goes on meanwhile"
    mine.keyboard.press("k")
    mine.keyboard.press("2")
    mine.keyboard.press("y")  # knowing now what the colleague said
    settled(mine, 1)
    expect(mine.locator("#f-d .verdict")).to_have_text("已判为“数据错误”")
    assert verdict(city, "d") == "data_error"

    assert current(mine) == "c"
    evaluate(city.db, *(one(name, name) for name in ("z", "a", "b", "c", "d")))  # as the daemon does meanwhile
    theirs.keyboard.press("3")
    theirs.keyboard.press("y")
    settled(theirs, 2)
    mine.keyboard.press("2")
    asks(mine)
    news = mine.get_by_role("status").get_by_text("有 1 条新提示，按 r 或点此刷新")
    expect(news).to_be_visible()
    expect(mine.locator("#f-c.settled .stand")).to_contain_text("已判为“属预期”yi")
    assert rows(mine) == ["d", "c", "b", "a"], "nothing moves under one's hands"
    mine.keyboard.press("y")
    expect(mine.locator("#f-c .said")).to_contain_text("没有覆盖")
    assert verdict(city, "c") == "expected"
    assert current(mine) == "b"
    mine.keyboard.press("r")
    expect(mine.locator("#f-z")).to_be_visible()
    assert (rows(mine), current(mine)) == (["z", "b", "a"], "b"), "one goes on where one was"
    expect(news).to_be_hidden()


def rows(page: Page) -> list[str]:
    found: list[str] = page.evaluate("[...document.querySelectorAll('.row')].map((row) => row.id.slice(2))")
    return found


def asks(page: Page) -> None:
    """The page asks for news at once, as when its tab is seen again."""
    with page.expect_response("**/queue/news?*"):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def test_what_could_not_be_sent_says_so_and_can_be_sent_again(tabs_of: Any, city: Running) -> None:
    some(city)
    page: Page = tabs_of(city)(people.visitor(city, "monitor"), statuses=(503,))
    page.goto("/queue")
    page.route("**/queue/act", lambda route: route.fulfill(status=503, body="{}"))
    page.keyboard.press("1")
    page.keyboard.press("y")
    expect(page.locator("#f-d .said")).to_have_text("没有保存：连接中断或服务器出错，请重试。")
    expect(page.locator("#f-d .verdict")).to_have_text("")
    page.unroute("**/queue/act")
    page.route("**/queue/news?*", lambda route: route.fulfill(status=503, body="{}"))
    for _failure in range(3):
        asks(page)
    expect(page.get_by_text("暂时连不上服务器，恢复后自动继续。")).to_be_visible()
    page.unroute("**/queue/news?*")
    asks(page)
    expect(page.get_by_text("暂时连不上服务器")).to_be_hidden()
    page.keyboard.press("k")
    page.keyboard.press("1")
    page.keyboard.press("y")
    settled(page, 1)
    assert verdict(city, "d") == "real_move"


def test_single_keys_can_be_switched_off_and_stay_off(tabs_of: Any, city: Running) -> None:
    some(city)
    page: Page = tabs_of(city)(people.visitor(city, "monitor"))
    page.goto("/queue")
    page.keyboard.press("?")
    page.get_by_label("使用单键操作").uncheck()
    page.reload()
    page.keyboard.press("1")
    page.keyboard.press("y")
    expect(page.locator(".ask")).to_be_hidden()
    assert verdict(city, "d") == ""


def test_all_of_it_works_without_scripts(tabs_of: Any, city: Running) -> None:
    some(city)
    page: Page = tabs_of(city)(people.visitor(city, "monitor", name="jia"), scripts=False)
    page.goto("/queue")
    page.get_by_label("选择 大米").check()
    page.get_by_label("选择 猪肉").check()
    page.get_by_label("结论").select_option("real_move")
    page.get_by_label("备注").fill("两家都涨")
    page.get_by_role("button", name="复核所选").click()
    expect(page.locator(".flash")).to_contain_text("已将 2 条判为“真实波动”。")
    assert (verdict(city, "d"), verdict(city, "c")) == ("real_move", "real_move")
    page.get_by_role("button", name="撤销").click()
    expect(page.locator(".row")).to_have_count(4)
    page.get_by_label("选择 大白菜").check()
    page.get_by_role("button", name="分派所选").click()
    expect(page.locator("#f-a")).to_contain_text("分派：jia")
    page.get_by_text("筛选与视图").click()
    page.locator("#q-to").select_option("me")
    page.get_by_role("button", name="筛选", exact=True).click()
    expect(page.locator(".row")).to_have_count(1)
    page.get_by_text("筛选与视图").click()
    page.get_by_placeholder("视图名称").fill("我的")
    page.get_by_role("button", name="保存", exact=True).click()
    expect(page.get_by_role("navigation", name="视图").get_by_text("我的", exact=True)).to_be_visible()
    page.locator("#f-a a.item").click()
    expect(page.locator("figure > svg.picture path.main")).to_have_count(1)
    page.get_by_label("邻近地区").check()
    page.get_by_role("button", name="更新图表").click()
    expect(page.locator(".legend")).to_contain_text("西区")
    expect(page.get_by_role("columnheader", name="西区")).to_be_visible()
    page.get_by_label("数据错误").check()
    page.get_by_role("button", name="确定，留在此页").or_(page.get_by_role("button", name="确定", exact=True)).click()
    expect(page.get_by_text("已判为“数据错误”").first).to_be_visible()
    page.get_by_label("添加备注").fill("小数点错位")
    page.get_by_role("button", name="添加", exact=True).click()
    expect(page.locator("#notes")).to_contain_text("小数点错位")
    page.get_by_role("button", name="发送").click()
    expect(page.locator("#questions")).to_contain_text("待答复")
    page.get_by_role("link", name="查看、更正").first.click()
    page.get_by_role("link", name="更正").first.click()
    page.get_by_label("更正为").fill("4.05")
    page.get_by_label("更正原因").fill("小数点错位")
    page.get_by_role("button", name="更正", exact=True).click()
    expect(page.locator(".flash")).to_contain_text("已更正为 4.05")
    assert verdict(city, "a") == "data_error"


def test_the_chart_of_a_flag_can_be_read_from_the_keyboard_and_its_lines_switched(
    tabs_of: Any, city: Running
) -> None:
    some(city)
    page: Page = tabs_of(city)(people.visitor(city, "monitor"))
    page.goto("/flags/a")
    expect(page.locator("#chart canvas")).to_be_visible()
    page.locator(".curves").focus()
    page.keyboard.press("End")
    readout = page.locator(".readout")
    expect(readout).to_contain_text("2026-03-02")
    expect(readout).to_contain_text("东区均值 5.")
    expect(readout).to_contain_text("上限")
    page.get_by_label("预期与界限").uncheck()
    page.get_by_label("邻近地区").check()
    page.keyboard.press("Tab")
    page.locator(".curves").focus()
    page.keyboard.press("ArrowLeft")
    expect(readout).to_contain_text("西区")
    expect(readout).not_to_contain_text("上限")
    page.get_by_role("button", name="全部").click()
    page.locator(".curves").focus()
    page.keyboard.press("Home")
    expect(readout).to_contain_text("2025-12-13")


def test_a_flag_is_judged_on_its_page_by_two_keys_and_the_next_one_comes(tabs_of: Any, city: Running) -> None:
    some(city)
    page: Page = tabs_of(city)(people.visitor(city, "monitor"))
    page.goto("/flags/d")
    page.keyboard.press("3")
    page.keyboard.press("y")
    page.wait_for_url("**/flags/c")
    assert verdict(city, "d") == "expected"
    page.keyboard.press("j")
    page.wait_for_url("**/flags/b")
    page.keyboard.press("q")
    page.wait_for_url("**/queue")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
@pytest.mark.parametrize("language", ["zh-CN", "en-GB"])
def test_the_pages_are_good_wide_and_narrow(tabs_of: Any, city: Running, language: str, scripts: bool) -> None:
    hundred(city.db, 100)
    east = one("long", "特级本地散养土鸡蛋（含运费、含税、预包装）" * 2, EAST, points=("东一市场",))
    evaluate(city.db, east, *(one(f"f{n:03}", f"菜{n:03}") for n in range(100)))
    who = people.visitor(city, "monitor", name="jia")
    who.send_form("/queue/act", what="review", verdict="expected", note="节前备货" * 20, flag="f001.1.0")
    who.send_form("/queue/act", what="note", note="很长的备注" * 50, flag="f000.1.0")
    who.send_form("/flags/f000/ask", point="东一市场", text="请核实" * 30)
    page: Page = tabs_of(city)(who, language=language, scripts=True)
    for path, name in (("/queue?state=all", "queue"), ("/flags/f000", "flag"), ("/flags/long", "flag-long")):
        page.goto(path)
        page.wait_for_load_state("networkidle")
        if scripts:
            good(page, f"{name}-{language}")
        if name == "queue":
            page.keyboard.press("]")
            page.wait_for_url("**after=*")
            assert len(rows(page)) == 1
            page.keyboard.press("[")
            page.wait_for_url("**before=*")
            assert len(rows(page)) == 100
    if not scripts:  # axe itself is a script: the page as it is without ours
        page.route("**/static/dist/*.js", lambda route: route.fulfill(body="", content_type="text/javascript"))
        for path in ("/queue?state=all", "/flags/f000"):
            page.goto(path)
            good(page)
    page.goto("/flags/f000/values/1?at=0")
    good(page, f"values-{language}")


def test_the_queue_in_the_dark_and_its_keys_are_seen(tabs_of: Any, city: Running) -> None:
    some(city)
    page: Page = tabs_of(city)(people.visitor(city, "monitor"), dark=True)
    page.goto("/queue")
    page.keyboard.press("1")
    axe(page)
    page.goto("/flags/a")
    page.wait_for_load_state("networkidle")
    axe(page)
    page.goto("/queue")
    assert focus_order(page, 30)
    assert weight(page) < 300_000
