"""The wall and the pages of items: what they show, and to whom."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from monitor.areas import AreaOptions
from monitor.store import observations
from monitor.store.flags import save_evaluation
from tests.console.people import visitor
from tests.store.build import flag
from tests.web.conftest import NOW, Running, Serve
from thresholds.model import Grade, Kind, Observation, ObservationBatch, SeriesKey

TODAY = datetime(2026, 3, 1, 16, tzinfo=NOW.tzinfo)  # midnight in Shanghai
AREAS = ("东区", "西区")


def key(item: str, point: str) -> SeriesKey:
    return SeriesKey(item, "", "元/500克", "零售", point)


def nobody(_connection: Connection, _changes: object) -> None:
    """Nobody is told."""


@pytest.fixture
def city(serve: Serve) -> Running:
    """Two areas with 40 days of three items; cabbage rises by a tenth in the east, eggs fall in the west."""
    changes: dict[str, Any] = {
        "areas": lambda: [AreaOptions(name="东区", row=2, column=3), AreaOptions(name="别处", row=1, column=1)]
    }
    running = serve(changes=changes)
    moved = {("大白菜", "东区"): 1.1, ("鸡蛋", "西区"): 0.9}
    rows = [
        Observation(
            key(item, f"{area}市场"),
            TODAY - timedelta(days=ago),
            price * (moved.get((item, area), 1) if not ago else 1),
            area=area,
        )
        for item, price in (("大白菜", 2.0), ("鸡蛋", 5.0), ("大米", 3.0))
        for area in AREAS
        for ago in range(40)
    ]
    observations.add(running.db, ObservationBatch.of(rows), source="日报", name="a.csv", now=NOW)
    flags = [
        flag("f1", 59, area="东区", peak_grade=Grade(2, "二级", "橙")),
        flag("f2", 59, area="东区", peak_grade=Grade(1, "三级", "黄")),
        flag("f3", 59, area="西区", item="鸡蛋", kind=Kind.DATA),
        flag("f4", 59, area="", item="大米", peak_grade=Grade(3, "一级", "红")),
    ]
    items = {"大白菜", "鸡蛋", "大米"}
    save_evaluation(running.db, flags, items=items, since={}, dirty=[], now=NOW, notify=nobody)
    return running


def words(page: str) -> str:
    """The text of a page, without markup and in one line."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_the_wall_shows_grades_areas_movers_and_sources(city: Running) -> None:
    page = visitor(city, "viewer").get("/wall").text
    text = words(page)
    assert re.search(r"一级 1 .*二级 1 .*三级 1 ", text)
    risen = re.search(r"↑ \+5\.0% 大白菜 +([\d.]+) 元/500克，(\d) 个区域", text)
    assert risen, "one of its two points rose by a tenth"
    assert risen.groups() == ("2.10", "2")
    assert re.search(r"↓ -5\.0% 鸡蛋 +4\.75", text)
    assert 'http-equiv="refresh"' in page
    assert "日报" in text


def test_areas_stand_where_the_configuration_puts_them(city: Running) -> None:
    page = visitor(city, "viewer").get("/wall").text
    east = re.search(r'class="tile ([a-z]+) row-(\d+) column-(\d+)">\s*<p class="name">东区', page)
    west = re.search(r'class="tile ([a-z]+) row-(\d+) column-(\d+)">\s*<p class="name">西区', page)
    assert east
    assert west
    assert east.groups() == ("orange", "2", "3")
    assert west.groups() == ("some", "3", "1"), "not in the configuration: below the others"
    assert "别处" not in page, "in the configuration, but nothing is known of it"


def test_who_has_one_area_sees_nothing_of_the_others(city: Running) -> None:
    text = words(visitor(city, "viewer", areas=["西区"]).get("/wall").text)
    assert "东区" not in text
    assert "大白菜" not in text
    assert "一级" not in text, "what concerns the whole city is for those who have all of it"
    assert "西区" in text


def test_the_wall_is_open_without_an_account_where_the_page_is(city: Running) -> None:
    with city.anonymous() as anybody:
        assert "东区" in anybody.get("/wall", headers={"Accept": "text/html"}).text


def test_the_wall_is_shut_to_others_where_the_page_is(serve: Serve) -> None:
    with serve(open_page="off").anonymous() as anybody:
        answer = anybody.get("/wall", headers={"Accept": "text/html"})
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/signin")


def test_the_wall_links_to_the_queue_for_those_who_review(city: Running) -> None:
    assert "/queue?area=" in visitor(city, "monitor").get("/wall").text
    assert "/queue?area=" not in visitor(city, "viewer").get("/wall").text


def test_an_item_shows_changes_and_compares_points(city: Running) -> None:
    text = words(visitor(city, "viewer").get("/items/大白菜").text)
    assert "日环比 ↑ +5.0%" in text, "one of two points rose by a tenth"
    assert re.search(r"东区市场 东区 2026-03-02 2\.20 ↑ \+10\.0%", text)
    for name in ("周环比", "旬环比", "月环比", "同比", "农历同比"):
        assert name in text


def test_a_price_that_is_doubted_or_judged_an_error_moves_no_mean(city: Running) -> None:
    """A slip of the decimal point yesterday is no fall today: neither on the wall nor on the page of the item."""
    slip = TODAY - timedelta(days=1)
    rows = [Observation(key("大米", "东区市场"), slip, 30.0, area="东区")]
    observations.add(city.db, ObservationBatch.of(rows), source="日报", name="slip.csv", now=NOW)
    viewer = visitor(city, "viewer")
    assert "日环比 ↓ -81.8%" in words(viewer.get("/items/大米").text)
    point: dict[str, Any] = {"item": "大米", "area": "东区", "point": "东区市场", "points": ("东区市场",)}
    point |= {"kind": Kind.DATA}
    when: dict[str, Any] = {
        "start": slip,
        "first_flagged": slip,
        "last_hit": slip,
        "end": TODAY,
        "end_reason": "cleared",
    }
    doubt = replace(flag("slip", rule="gate/factor", **point), **when)
    stuck = replace(doubt, id="stuck", rule="gate/stuck", area="西区", points=("西区市场",))
    since = {"大米": int(slip.timestamp())}
    save_evaluation(city.db, [doubt, stuck], items={"大米"}, since=since, dirty=[], now=NOW, notify=nobody)
    text = words(viewer.get("/items/大米").text)
    assert "日环比 持平" in text, "against the day before the slip"
    assert re.search(r"东区市场 东区 2026-03-02 3\.00 持平", text)
    assert "未计入疑似或已判为错误的读数 1 个。" in text
    assert "大米" not in words(viewer.get("/wall").text).partition("今日变动最大")[2].partition("区域和品类")[0]


def test_away_from_spring_festival_the_lunar_year_is_not_shown_twice() -> None:
    from monitor.changes import LAGS
    from monitor.documents.comparison import number_of
    from monitor.web.console.items import lags_of

    assert lags_of([number_of(TODAY.date())]) == LAGS
    assert lags_of([number_of(TODAY.date().replace(month=11))]) == LAGS[:-1]


def test_the_history_of_an_item_is_drawn_and_told(city: Running) -> None:
    page = visitor(city, "viewer").get("/items/大白菜?span=30").text
    assert '<svg class="plot history"' in page
    assert "均价走势：最低 2，最高 2.1，最新 2.1（元/500克）" in page


def test_an_item_of_another_area_does_not_exist(city: Running) -> None:
    rows = [Observation(key("茶叶", "东区市场"), TODAY, 90.0, area="东区")]
    observations.add(city.db, ObservationBatch.of(rows), source="日报", name="b.csv", now=NOW)
    west = visitor(city, "viewer", areas=["西区"])
    unknown = west.get("/items/没有的品种")
    assert west.get("/items/茶叶").status_code == unknown.status_code == 404
    assert "茶叶" not in west.get("/items").text
    assert "东区市场" not in west.get("/items/大白菜").text


def test_items_are_found_by_name_and_class(city: Running) -> None:
    reader = visitor(city, "viewer")
    assert re.findall(r'href="/items/[^"]*">([^<]+)</a>', reader.get("/items?q=蛋").text) == ["鸡蛋"]
    assert re.findall(r'href="/items/[^"]*">([^<]+)</a>', reader.get("/items?cls=粮").text) == ["大米"]


def test_names_with_slashes_and_markup_are_only_names(city: Running) -> None:
    odd = '<b>a/b?c"#</b>'
    rows = [Observation(key(odd, "<i>点</i>"), TODAY, 1.0, area="东区")]
    observations.add(city.db, ObservationBatch.of(rows), source="日报", name="c.csv", now=NOW)
    reader = visitor(city, "viewer")
    link = next(one for one in re.findall(r'href="(/items/[^"]+)"', reader.get("/items").text) if "%3Cb%3E" in one)
    page = reader.get(link).text
    assert "&lt;b&gt;a/b?c" in page
    assert "<b>a/b" not in page
    assert "<i>点" not in page


@pytest.mark.parametrize("path", ["/wall", "/items", "/items/大白菜"])
def test_who_may_not_see_the_overview_finds_no_page(city: Running, path: str) -> None:
    nobody_there = visitor(city, "admin")
    assert nobody_there.get(path).status_code == 404
    assert "没有这个页面" in nobody_there.get(path).text


def test_views_are_in_the_audit(city: Running) -> None:
    from monitor.store import audit

    reader = visitor(city, "viewer", name="看")
    reader.get("/items/大白菜")
    assert [entry.object for entry in audit.entries(city.db, actor="user:看")][:1] == ["item:大白菜"]
