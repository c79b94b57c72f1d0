"""Typing the prices of a day: what is stored, what is asked back, who may, and sent twice is stored once."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import httpx
import pytest

from monitor.store import audit, observations, questions
from monitor.store.acts import Who
from monitor.store.database import Database
from tests.console import people
from tests.console.people import Browser
from tests.web.conftest import NOW, Running, Serve
from tests.web.make import flag, store_flags
from thresholds.model import Observation, ObservationBatch, SeriesKey

POINT, OTHER = "城东农贸市场", "城西农贸市场"
TODAY = NOW.replace(hour=16, minute=0) - timedelta(days=1)
"""local midnight of the second of March"""
EGGS = SeriesKey("鸡蛋", "", "元/500克", "零售", POINT)
PORK = SeriesKey("猪肉", "精瘦肉", "元/500克", "零售", POINT)
CABBAGE = SeriesKey("大白菜", "", "元/500克", "零售", POINT)


def put(db: Database, *rows: tuple[SeriesKey, int, float], area: str = "东区") -> None:
    """Values of some days ago, received at nine of their day."""
    for days in sorted({days for _, days, _ in rows}, reverse=True):
        at = TODAY - timedelta(days=days)
        found = [Observation(key, at, value, area) for key, ago, value in rows if ago == days]
        now = at + timedelta(hours=9)
        observations.add(db, ObservationBatch.of(found), source="收件箱", name="表", now=now)


@pytest.fixture
def stocked(running: Running) -> Running:
    """Two weeks of three items at one point, and one at another."""
    rows = [(key, days, price) for days in range(14, 0, -1) for key, price in ((EGGS, 4.2), (PORK, 12.5))]
    put(running.db, *rows, (CABBAGE, 1, 1.0))
    put(running.db, (SeriesKey("鸡蛋", unit="元/500克", point=OTHER), 1, 4.0), area="西区")
    return running


@pytest.fixture
def reporter(stocked: Running) -> Browser:
    return people.visitor(stocked, "reporter", name="cai", points=[POINT])


def ids(db: Database) -> dict[str, int]:
    return {s.key.item: s.id for s in observations.list_series(db, point=POINT)}


def form_of(page: str) -> dict[str, str]:
    """The hidden fields of the price form."""
    part = page.partition('id="prices"')[2]
    return {
        name: unescape(value) for name, value in re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', part)
    }


def send(browser: Browser, values: dict[str, str], page: str = "", **headers: str) -> httpx.Response:
    hidden = form_of(page or browser.get("/entry").text)
    return browser.post("/entry", data=hidden | values, headers=headers)


def stored(db: Database, key: SeriesKey = EGGS) -> list[tuple[float, str]]:
    """Values of today with their notes, all revisions."""
    (series,) = [s for s in observations.list_series(db, item=key.item, point=key.point) if s.key == key]
    return [(one.value, one.note) for one in observations.revisions(db, series.id, TODAY)]


def test_the_page_shows_what_is_due_with_the_last_prices(reporter: Browser, stocked: Running) -> None:
    """Numeric keypad, the price before beside each field, two of two missing with the due time; nobody else's."""
    page = reporter.get("/entry").text
    text = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert "应报 2 项，已报 0 项" in text
    assert "缺 2 项" in text
    assert "10:00" in text
    assert page.count('inputmode="decimal"') == 4  # three lines and the new item
    assert "上次 4.2 2026-03-01" in text
    assert OTHER not in page
    (seen,) = audit.entries(stocked.db, actor="user:cai", action="view")
    assert seen.object == f"point:{POINT}"


def test_prices_are_stored_at_once_and_the_evaluation_wakes(reporter: Browser, stocked: Running) -> None:
    """One transaction for the form, the tally afterwards, a line in the audit; what is empty is no report."""
    n = ids(stocked.db)
    answer = send(reporter, {f"v-{n['鸡蛋']}": "４.3", f"v-{n['猪肉']}": " "})
    assert answer.status_code == 303, answer.text
    assert stored(stocked.db) == [(4.3, "")]
    assert stored(stocked.db, PORK) == []
    assert len(stocked.woken) == 1
    page = reporter.get(answer.headers["location"]).text
    assert "已保存 1 个价格。" in page
    assert "应报 2 项，已报 1 项" in page
    (line,) = audit.entries(stocked.db, action="entry.report")
    assert (line.actor, line.object, line.detail["rows"]) == ("user:cai", f"point:{POINT}", 1)


def test_the_same_form_twice_is_stored_once(reporter: Browser, stocked: Running) -> None:
    """Also after a correction in between: the late repeat does not bring the old price back."""
    n = ids(stocked.db)
    page = reporter.get("/entry").text
    first = send(reporter, {f"v-{n['鸡蛋']}": "4.3"}, page)
    again = send(reporter, {f"v-{n['鸡蛋']}": "4.3"}, page)
    assert (first.status_code, again.status_code) == (303, 303)
    assert stored(stocked.db) == [(4.3, "")]
    send(reporter, {f"v-{n['鸡蛋']}": "4.25"})
    send(reporter, {f"v-{n['鸡蛋']}": "4.3"}, page)
    assert stored(stocked.db) == [(4.3, ""), (4.25, "")]
    assert len(stocked.woken) == 2


def test_a_changed_form_is_another_one(reporter: Browser, stocked: Running) -> None:
    """Who corrects a price on the page that was sent already is heard."""
    n = ids(stocked.db)
    page = reporter.get("/entry").text
    send(reporter, {f"v-{n['鸡蛋']}": "4.3"}, page)
    send(reporter, {f"v-{n['鸡蛋']}": "4.2"}, page)
    assert stored(stocked.db) == [(4.3, ""), (4.2, "")]


def test_a_large_move_asks_for_its_reason(reporter: Browser, stocked: Running) -> None:
    """The others are stored meanwhile; the reason becomes the note."""
    n = ids(stocked.db)
    answer = send(reporter, {f"v-{n['鸡蛋']}": "4.9", f"v-{n['猪肉']}": "12.6"})
    assert answer.status_code == 422
    assert "超过 5%：请写明原因" in answer.text
    assert "已保存 1 个价格。" in answer.text
    assert f'name="v-{n["鸡蛋"]}" inputmode="decimal" enterkeyhint="next" maxlength="40" value="4.9"' in answer.text
    assert stored(stocked.db) == []
    assert stored(stocked.db, PORK) == [(12.6, "")]
    values = {f"v-{n['鸡蛋']}": "4.9", f"v-{n['猪肉']}": "12.6", f"n-{n['鸡蛋']}": "货源减少"}
    assert send(reporter, values, answer.text).status_code == 303
    assert stored(stocked.db) == [(4.9, "货源减少")]
    assert stored(stocked.db, PORK) == [(12.6, "")]


def test_a_slip_is_asked_back_and_must_be_confirmed(reporter: Browser, stocked: Running) -> None:
    """Twice the price: per kilogram? A reason alone is not enough; zero is not taken for any reason."""
    n = ids(stocked.db)
    answer = send(reporter, {f"v-{n['鸡蛋']}": "8.4", f"n-{n['鸡蛋']}": "涨价"})
    assert answer.status_code == 422
    assert "是否按元/公斤填报？" in answer.text
    sure = {f"v-{n['鸡蛋']}": "8.4", f"n-{n['鸡蛋']}": "涨价", f"s-{n['鸡蛋']}": "1"}
    assert send(reporter, sure, answer.text).status_code == 303
    zero = send(reporter, {f"v-{n['猪肉']}": "0", f"n-{n['猪肉']}": "停售", f"s-{n['猪肉']}": "1"})
    assert zero.status_code == 422
    assert "无货、停售请留空" in zero.text
    assert stored(stocked.db) == [(8.4, "涨价")]
    assert stored(stocked.db, PORK) == []


def test_what_cannot_be_read_is_shown_at_its_field(reporter: Browser, stocked: Running) -> None:
    """With the remedy of the sheet reader."""
    n = ids(stocked.db)
    answer = send(reporter, {f"v-{n['鸡蛋']}": "4-5"})
    assert answer.status_code == 422
    assert "是一个区间；价格列只填一个数" in answer.text
    assert f'id="e-{n["鸡蛋"]}"' in answer.text


def test_a_price_of_another_day_is_late_not_lost(reporter: Browser, stocked: Running) -> None:
    """Some days back, compared with the price before that day; not the future, not last year."""
    n = ids(stocked.db)
    page = reporter.get("/entry", params={"day": "2026-02-27"}).text
    assert send(reporter, {f"v-{n['大白菜']}": "1.1"}, page).status_code == 303
    found = observations.list_observations(stocked.db, item="大白菜")
    assert [(o.at, o.value) for o in found] == [(TODAY - timedelta(days=3), 1.1), (TODAY - timedelta(days=1), 1.0)]
    for day in ("2026-03-03", "2025-03-02", "03/02", "2026-02-30"):
        assert reporter.get("/entry", params={"day": day}).status_code == 404


def test_an_item_that_is_new_at_the_point(reporter: Browser, stocked: Running) -> None:
    """By name and unit, in the point's area; without a unit it is asked for."""
    new = {"item-new": "带鱼 ", "v-new": "15", "channel-new": "零售"}
    answer = send(reporter, new)
    assert answer.status_code == 422
    assert "请写计量单位" in answer.text
    assert send(reporter, new | {"unit-new": "元/500克"}, answer.text).status_code == 303
    (series,) = observations.list_series(stocked.db, item="带鱼")
    assert (series.key.point, series.area, series.source) == (POINT, "东区", "填报")


def test_scripts_are_answered_in_json(reporter: Browser, stocked: Running) -> None:
    """What was stored, what is asked, and where to go on."""
    n = ids(stocked.db)
    page = reporter.get("/entry").text
    done = send(reporter, {f"v-{n['鸡蛋']}": "4.3"}, page, accept="application/json")
    assert done.status_code == 200
    assert done.json() | {"next": ""} == {"state": "done", "saved": 1, "asked": 0, "next": ""}
    asked = send(reporter, {f"v-{n['鸡蛋']}": "9.9"}, accept="application/json")
    assert asked.json()["state"] == "asked"


def test_other_points_do_not_exist(reporter: Browser, stocked: Running) -> None:
    """Neither to look at nor to report for, by whatever spelling of the form."""
    unknown = reporter.get("/entry", params={"point": "无此监测点"})
    other = reporter.get("/entry", params={"point": OTHER})
    assert (unknown.status_code, other.status_code) == (404, 404)
    assert re.sub(r"无此监测点|%[0-9A-F]{2}", "", unknown.text) == re.sub(OTHER + r"|%[0-9A-F]{2}", "", other.text)
    theirs = observations.list_series(stocked.db, point=OTHER)[0].id
    page = reporter.get("/entry").text
    assert send(reporter, {f"v-{theirs}": "1"}, page).status_code == 303
    hidden = form_of(page) | {"point": OTHER, f"v-{theirs}": "1"}
    assert reporter.post("/entry", data=hidden).status_code == 404
    assert len(observations.list_observations(stocked.db, point=OTHER)) == 1


def test_a_monitor_reports_for_the_points_of_the_own_areas(stocked: Running) -> None:
    """By telephone, for instance; other areas' points do not exist."""
    monitor = people.visitor(stocked, "monitor", areas=["西区"])
    assert OTHER in monitor.get("/entry").text
    assert monitor.get("/entry", params={"point": POINT}).status_code == 404
    viewer = people.visitor(stocked, "viewer")
    assert viewer.get("/entry").status_code == 404


def test_a_form_needs_its_word(reporter: Browser, stocked: Running) -> None:
    """Without the session's csrf word nothing is stored."""
    n = ids(stocked.db)
    hidden = form_of(reporter.get("/entry").text) | {"csrf": "x", f"v-{n['鸡蛋']}": "4.3"}
    assert reporter.post("/entry", data=hidden).status_code == 403
    assert stored(stocked.db) == []


def test_somebody_without_points_is_told(running: Running) -> None:
    """An area from which nothing has come yet; a reporter whose points were not entered yet has no such page."""
    assert "还没有监测点" in people.visitor(running, "monitor", areas=["东区"]).get("/entry").text
    assert people.visitor(running, "reporter").get("/entry").status_code == 404


def test_names_and_notes_are_text(reporter: Browser, stocked: Running) -> None:
    """Markup in items, specs and notes is shown, not run."""
    nasty = "<img src=x onerror=alert(1)>"
    put(stocked.db, (SeriesKey(f"鸡{nasty}", nasty, "元", "", POINT), 1, 4.2))
    n = ids(stocked.db)
    answer = send(reporter, {f"v-{n['鸡蛋']}": "4.3", f"n-{n['鸡蛋']}": nasty})
    page = reporter.get(answer.headers["location"]).text
    assert nasty not in page
    assert page.count("&lt;img src=x onerror=alert(1)&gt;") >= 3


def test_a_long_list_is_divided(running: Running) -> None:
    """150 lines a page, each part a form of its own."""
    keys = [SeriesKey(f"品种{k:03}", unit="元", point=POINT) for k in range(160)]
    put(running.db, *((key, 1, 5.0) for key in keys))
    browser = people.visitor(running, "reporter", points=[POINT])
    second = browser.get("/entry", params={"part": 2}).text
    assert second.count('class="price"') == 10
    last = {s.key.item: s.id for s in observations.list_series(running.db, limit=1000)}["品种159"]
    assert send(browser, {f"v-{last}": "5.1"}, second).status_code == 303
    assert stored(running.db, keys[-1]) == [(5.1, "")]


def test_what_is_due_follows_the_configuration(serve: Serve) -> None:
    """Eggs by nine on Mondays, nothing else; the limit of eggs raised to 40 %."""
    from monitor.entry.options import DutyOptions, EntryOptions
    from monitor.entry.tools import shipped_tools, tools

    options = EntryOptions(
        duty=(DutyOptions(item="鸡蛋", weekdays=("mon",), due="09:00"), DutyOptions(item="猪肉", none=True)),
        explain={"蛋": 40},
    )
    made = tools(options, shipped_tools().catalogue, ())
    running = serve(changes={"entry": lambda: made})
    put(running.db, *((key, days, 4.0) for days in range(10, 0, -1) for key in (EGGS, PORK)))
    browser = people.visitor(running, "reporter", points=[POINT])
    page = browser.get("/entry").text
    assert "应报 1 项，已报 0 项" in page
    assert "09:00" in page
    n = ids(running.db)
    assert send(browser, {f"v-{n['鸡蛋']}": "5.5"}, page).status_code == 303


def test_the_point_answers_what_it_is_asked(reporter: Browser, stocked: Running) -> None:
    """Confirmed, corrected or in words; once; and not for another point."""
    store_flags(stocked.db, flag("a", item="鸡蛋", area="东区"))
    who, due = Who(1, "user:jian", "监测员甲"), NOW + timedelta(hours=2)
    from sqlalchemy import true

    mine = questions.ask(stocked.db, "a", POINT, "4.9 是否属实？", due, who, NOW, true())
    theirs = questions.ask(stocked.db, "a", OTHER, "请核实", due, who, NOW, true())
    page = reporter.get("/entry").text
    assert "4.9 是否属实？" in page
    assert f"/entry/questions/{theirs.id}" not in page
    empty = reporter.send_form(f"/entry/questions/{mine.id}", point=POINT)
    assert "请选择或写明答复。" in reporter.get(empty.headers["location"]).text
    answer = reporter.send_form(f"/entry/questions/{mine.id}", point=POINT, choice="right", answer="摊主确认")
    assert answer.status_code == 303
    (asked,) = questions.questions_to(stocked.db, [POINT])
    assert (asked.answer, asked.answered_by) == ("价格属实，无误。 摊主确认", "user:cai")
    assert "4.9 是否属实？" not in reporter.get("/entry").text
    again = reporter.send_form(f"/entry/questions/{mine.id}", point=POINT, choice="corrected")
    assert "已有人答复" in reporter.get(again.headers["location"]).text
    for other in (theirs.id, 0, 10**30):
        assert reporter.send_form(f"/entry/questions/{other}", point=OTHER, choice="right").status_code == 404
