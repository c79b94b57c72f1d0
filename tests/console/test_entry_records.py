"""Complaint counts, patrols, decisions and the reporting duty on their pages."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from monitor.store import audit, observations, patrols, records
from monitor.store.database import Database
from tests.console import people
from tests.console.people import Browser
from tests.console.test_entry import EGGS, OTHER, POINT, PORK, TODAY, put
from tests.web.conftest import NOW, Running, Serve
from thresholds.catalogue import Measure, load_catalogue
from thresholds.model import SeriesKey

LOCAL_NOW = "2026-03-02T09:20"
PATROL = {"kind": "price", "at": LOCAL_NOW, "area": "东区", "place": POINT, "items": "鸡蛋、猪肉", "body": "普遍上涨"}
DECISION = {
    "measure": "干预",
    "issuer": "省政府",
    "document": "黑政发〔2026〕1号",
    "start": "2026-03-01",
    "classes": "粮、肉",
}


@pytest.fixture
def stocked(running: Running) -> Running:
    put(running.db, *((key, days, 4.0) for days in range(9, 0, -1) for key in (EGGS, PORK)))
    west = SeriesKey("鸡蛋", unit="元/500克", point=OTHER)
    put(running.db, *((west, days, 4.0) for days in range(9, 0, -1)), area="西区")
    return running


def words(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page.partition("<main")[2]).split())


def page_form(browser: Browser, path: str) -> dict[str, str]:
    """Hidden fields of the form that is sent to `path`."""
    part = browser.get(path).text.partition('method="post" action="' + path.partition("?")[0])[2]
    part = part.partition("</form>")[0]
    return dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', part))


def flashed(browser: Browser, answer: httpx.Response) -> str:
    assert answer.status_code == 303, answer.text
    return words(browser.get(answer.headers["location"]).text)


# --- complaints -----------------------------------------------------------------------------------------------------


def count(browser: Browser, rows: dict[str, str], area: str = "东区", day: str = "2026-03-02") -> httpx.Response:
    path = f"/records/complaints?area={area}&day={day}"
    values: dict[str, str] = {}
    for k, (goods, n) in enumerate(rows.items()):
        values |= {f"g-{k}": goods, f"v-{k}": n}
    return browser.post("/records/complaints", data=page_form(browser, path) | values)


def complaints(db: Database) -> list[tuple[str, str, str, float]]:
    found = observations.list_observations(db, unit="件")
    return [(o.series.key.item, o.series.key.point, o.series.area, o.value) for o in found]


def test_complaint_counts_become_series_that_the_rules_watch(stocked: Running) -> None:
    """One per item and area, counted in whole numbers, in the class of complaints whatever they are about."""
    browser = people.visitor(stocked, "duty", name="zhi")
    answer = count(browser, {"合计": "12", "鸡蛋": "３", "液化石油气": "0", "": ""})
    assert "已保存 3 项件数" in flashed(browser, answer)
    count(browser, {"鸡蛋": "5"}, area="西区")
    assert complaints(stocked.db) == [
        ("12315投诉举报", "东区12315", "东区", 12.0),
        ("12315投诉举报(鸡蛋)", "东区12315", "东区", 3.0),
        ("12315投诉举报(液化石油气)", "东区12315", "东区", 0.0),
        ("12315投诉举报(鸡蛋)", "西区12315", "西区", 5.0),
    ]
    catalogue, _ = load_catalogue()
    assert catalogue is not None
    for one in observations.list_series(stocked.db, unit="件"):
        known = catalogue.classify(one.key)
        assert (known.name, known.measure) == ("投诉", Measure.COUNT)
    assert len(stocked.woken) == 2
    assert [e.object for e in audit.entries(stocked.db, action="entry.complaints")] == [
        "complaints:西区",
        "complaints:东区",
    ]


def test_counts_of_yesterday_stand_beside_those_of_today(stocked: Running) -> None:
    """The goods counted before are offered again; sent twice is stored once; a changed count is a correction."""
    browser = people.visitor(stocked, "duty")
    count(browser, {"合计": "12", "鸡蛋": "3"}, day="2026-03-01")
    path = "/records/complaints?area=东区&day=2026-03-02"
    page = browser.get(path).text
    assert "上次 3 2026-03-01" in words(page)
    form = page_form(browser, path) | {"v-0": "9", "g-0": "合计"}
    for _ in range(2):
        assert browser.post("/records/complaints", data=form).status_code == 303
    count(browser, {"合计": "10"})
    (series,) = observations.list_series(stocked.db, item="12315投诉举报")
    assert [o.value for o in observations.revisions(stocked.db, series.id, TODAY)] == [9.0, 10.0]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ({"鸡蛋": "1.5"}, "件数应为不小于零的整数"),
        ({"鸡蛋": "-1"}, "件数应为不小于零的整数"),
        ({"": "3"}, "请写品种和区域"),
        ({"鸡蛋": ""}, "请写件数"),
        ({"鸡蛋": "1", " 鸡蛋": "2"}, "同一品种写了两次"),
    ],
)
def test_a_count_that_cannot_be_read_stores_nothing(stocked: Running, rows: dict[str, str], says: str) -> None:
    """Each fault at its field, with what was written; the others wait."""
    browser = people.visitor(stocked, "duty")
    answer = count(browser, {"合计": "12"} | rows)
    assert answer.status_code == 422
    assert says in answer.text
    assert complaints(stocked.db) == []


def test_complaints_are_entered_in_the_own_areas(stocked: Running) -> None:
    """Another area's page does not exist; nor does the page for those who only look."""
    browser = people.visitor(stocked, "duty", areas=["东区"])
    assert "西区" not in browser.get("/records/complaints").text
    assert browser.get("/records/complaints?area=西区").status_code == 404
    form = page_form(browser, "/records/complaints?area=东区") | {"area": "西区", "g-0": "鸡蛋", "v-0": "1"}
    assert browser.post("/records/complaints", data=form).status_code == 404
    assert people.visitor(stocked, "approver").get("/records/complaints").status_code == 404
    assert people.visitor(stocked, "reporter", points=[POINT]).get("/records/complaints").status_code == 404


# --- patrols --------------------------------------------------------------------------------------------------------


def patrol(browser: Browser, **changes: str) -> httpx.Response:
    return browser.post("/records/patrols", data=page_form(browser, "/records/patrols") | PATROL | changes)


def test_a_patrol_is_entered_listed_and_withdrawn(stocked: Running) -> None:
    """With time, place, items and words; withdrawn it stays, marked."""
    browser = people.visitor(stocked, "duty", name="zhi")
    assert "已登记" in flashed(browser, patrol(browser))
    (one,) = patrols.list_patrols(stocked.db)
    assert (one.patrol.items, one.patrol.place, one.actor) == (("鸡蛋", "猪肉"), POINT, "user:zhi")
    assert one.patrol.at == datetime(2026, 3, 2, 1, 20, tzinfo=UTC)
    page = browser.get("/records/patrols").text
    assert "鸡蛋、猪肉" in page
    answer = browser.send_form(f"/records/patrols/{one.patrol.id}/withdraw", revision="1")
    assert "已撤回；原记录保留" in flashed(browser, answer)
    again = browser.send_form(f"/records/patrols/{one.patrol.id}/withdraw", revision="1")
    assert "没有撤回" in flashed(browser, again)
    assert [e.action for e in audit.entries(stocked.db, object=f"patrol:{one.patrol.id}")] == [
        "patrol.withdraw",
        "patrol.add",
    ]


def test_a_phenomenon_seen_on_patrol_reaches_the_rules(stocked: Running) -> None:
    """A rush: a record of what was observed, with the items and the area; sent twice it is one."""
    browser = people.visitor(stocked, "duty")
    form = page_form(browser, "/records/patrols") | PATROL | {"measure": "抢购"}
    for _ in range(2):
        assert browser.post("/records/patrols", data=form).status_code == 303
    (seen,) = records.list_records(stocked.db)
    assert (seen.record.kind, seen.record.measure, seen.record.items, seen.record.areas) == (
        "observed",
        "抢购",
        ("鸡蛋", "猪肉"),
        ("东区",),
    )
    assert len(patrols.list_patrols(stocked.db)) == 1
    assert stocked.woken == [1]
    refused = patrol(browser, measure="抢购", items="")
    assert refused.status_code == 422
    assert "登记现象时请写明所涉品种" in refused.text


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"kind": ""}, "请选择类别"),
        ({"at": "昨天"}, "请写时间"),
        ({"at": "2026-03-03T09:00"}, "时间不能晚于现在"),
        ({"area": ""}, "请选择区域"),
        ({"body": " "}, "请写明内容"),
        ({"kind": "reminder"}, "请写提醒告诫书的文号"),
        ({"kind": "penalty", "document": "1", "amount": "许多"}, "金额应为数"),
    ],
)
def test_a_patrol_says_what_is_wrong(stocked: Running, changes: dict[str, str], says: str) -> None:
    """At the field, with what was written kept."""
    answer = patrol(people.visitor(stocked, "duty"), **changes)
    assert answer.status_code == 422
    assert says in answer.text
    assert 'value="鸡蛋、猪肉"' in answer.text
    assert patrols.list_patrols(stocked.db) == []


def test_patrols_of_other_areas_do_not_exist(stocked: Running) -> None:
    """Not in the list, not to enter, not to withdraw; who only looks sees no form."""
    everywhere = people.visitor(stocked, "duty")
    patrol(everywhere, area="西区", body="西区的事")
    (one,) = patrols.list_patrols(stocked.db)
    east = people.visitor(stocked, "duty", areas=["东区"])
    assert "西区" not in east.get("/records/patrols").text
    assert patrol(east, area="西区").status_code == 404
    assert east.send_form(f"/records/patrols/{one.patrol.id}/withdraw", revision="1").status_code == 404
    approver = people.visitor(stocked, "approver")
    assert "西区的事" in approver.get("/records/patrols").text
    assert 'id="add"' not in approver.get("/records/patrols").text
    assert patrol(approver).status_code == 404
    assert people.visitor(stocked, "viewer").get("/records/patrols").status_code == 404


def test_patrols_are_filtered_and_paged(stocked: Running) -> None:
    """By kind and area; fifty a page."""
    browser = people.visitor(stocked, "duty")
    for k in range(60):
        one = patrols.Patrol("", patrols.PatrolKind.TALK, NOW - timedelta(hours=k), "东区", "", (), f"第{k:02}次约谈")
        patrols.add(stocked.db, one, "user:a", NOW)
    patrol(browser)
    first = browser.get("/records/patrols?kind=talk").text
    assert "第49次约谈" in first
    assert "第50次约谈" not in first
    following = re.search(r'rel="next" href="([^"]+)"', first)
    assert following
    second = browser.get(following[1].replace("&amp;", "&")).text
    assert "第50次约谈" in second
    assert "普遍上涨" not in second
    assert "普遍上涨" in browser.get("/records/patrols?kind=price&area=东区").text
    for odd in ("kind=x", "area=%00", "after=1_2", "after=-9_zzz"):
        assert browser.get(f"/records/patrols?{odd}").status_code == 200


# --- decisions ------------------------------------------------------------------------------------------------------


def decide(browser: Browser, **changes: Any) -> httpx.Response:
    return browser.send_form("/records/decisions", **(DECISION | changes))


def test_a_decision_is_entered_and_lifted(stocked: Running) -> None:
    """Issuer, document, scope, start; lifting is a further revision; the rules look again each time."""
    browser = people.visitor(stocked, "approver", name="shen")
    assert "已登记；所涉品种从生效之日起重新评估" in flashed(browser, decide(browser, areas=["东区", "西区"]))
    (one,) = records.list_records(stocked.db)
    assert (one.record.issuer, one.record.document, one.record.classes, one.record.areas) == (
        "省政府",
        "黑政发〔2026〕1号",
        ("粮", "肉"),
        ("东区", "西区"),
    )
    assert one.actor == "user:shen"
    page = words(browser.get("/records/decisions").text)
    assert "价格干预措施 ! 有效" in page
    assert "价格干预措施" in words(browser.get("/records").text)
    assert "没有重复登记" in flashed(browser, decide(browser, areas=["东区", "西区"]))
    answer = browser.send_form(f"/records/{one.record.id}/end", end="2026-03-02", note="解除文件")
    assert "已登记解除" in flashed(browser, answer)
    assert [r.revision for r in records.revisions(stocked.db, one.record.id)] == [1, 2]
    assert "已解除" in words(browser.get("/records/decisions").text)
    assert len(stocked.woken) == 2
    assert {e.action for e in audit.entries(stocked.db, object=f"record:{one.record.id}")} == {
        "record.decide",
        "record.end",
    }


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"issuer": "市政府"}, "只能由国务院或省政府依法实行"),
        ({"measure": "紧急"}, "只能由国务院依法实行"),
        ({"document": ""}, "缺少文号"),
        ({"classes": ""}, "缺少范围"),
        ({"classes": "火箭"}, "目录中没有品类"),
        ({"start": "3月"}, "请写生效日期"),
        ({"end": "2026-02-01"}, "解除时间不晚于生效时间"),
    ],
)
def test_what_the_law_does_not_know_is_refused(serve: Serve, changes: dict[str, str], says: str) -> None:
    """P13 and P14: a city takes no such decision; the field says so."""
    running = serve(changes={"classes": lambda: {"粮", "肉"}})
    answer = decide(people.visitor(running, "approver"), **changes)
    assert answer.status_code == 422
    assert says in answer.text
    assert records.list_records(running.db) == []


def test_only_who_may_decide_enters_decisions(stocked: Running) -> None:
    """A monitor sees them and no form; an approver of a district enters none for the city or other districts."""
    monitor = people.visitor(stocked, "monitor")
    assert 'id="add"' not in monitor.get("/records/decisions").text
    assert decide(monitor).status_code == 404
    east = people.visitor(stocked, "approver", areas=["东区"])
    assert decide(east).status_code == 404
    assert decide(east, areas=["西区"]).status_code == 404
    assert decide(east, areas=["东区"]).status_code == 303
    (one,) = records.list_records(stocked.db)
    assert monitor.send_form(f"/records/{one.record.id}/end", end="2026-03-02").status_code == 404
    west = people.visitor(stocked, "approver", areas=["西区"])
    assert "黑政发" not in west.get("/records/decisions").text
    assert west.send_form(f"/records/{one.record.id}/end", end="2026-03-02").status_code == 404
    assert people.visitor(stocked, "reporter", points=[POINT]).get("/records").status_code == 404


# --- the duty -------------------------------------------------------------------------------------------------------


def test_the_monitor_sees_who_is_late_and_who_is_missing(stocked: Running) -> None:
    """Today by point and the last weeks; the same numbers that the reporter sees."""
    put(stocked.db, (EGGS, 0, 4.1))
    monitor = people.visitor(stocked, "monitor")
    page = words(monitor.get("/reports-due").text)
    assert "2 个监测点应报 3 项，已报 1 项" in page
    assert re.search(rf"{POINT} 东区 1 / 2 – 待报 1 项 10:00 100% 100% 100%", page)
    assert re.search(rf"{OTHER} 西区 0 / 1 – 待报 1 项", page)
    one = words(monitor.get("/reports-due", params={"point": POINT}).text)
    assert "完整率 100.0%，及时率 100.0%" in one
    assert "鸡蛋 零售 10:00 2026-03-02 09:00 ✓ 按时" in one
    assert "2026-03-01 2 2 0 0" in one


def test_points_of_other_areas_are_not_in_the_table(stocked: Running) -> None:
    """By area for monitors, by point for reporters; an unknown point is 404 like somebody else's."""
    west = people.visitor(stocked, "monitor", areas=["西区"])
    page = west.get("/reports-due").text
    assert OTHER in page
    assert POINT not in page
    assert west.get("/reports-due", params={"point": POINT}).status_code == 404
    assert west.get("/reports-due", params={"point": "无"}).status_code == 404
    reporter = people.visitor(stocked, "reporter", points=[POINT])
    assert OTHER not in reporter.get("/reports-due").text
    assert reporter.get("/reports-due", params={"point": OTHER}).status_code == 404
    assert people.visitor(stocked, "viewer").get("/reports-due").status_code == 404


def test_the_table_is_filtered(stocked: Running) -> None:
    """Points that are complete, and areas."""
    put(stocked.db, (EGGS, 0, 4.1), (PORK, 0, 4.1))
    monitor = people.visitor(stocked, "monitor")
    done = monitor.get("/reports-due?state=done").text
    assert f"point={POINT}" not in done.partition("<tbody")[0]
    assert POINT in done
    assert OTHER not in done
    assert OTHER not in monitor.get("/reports-due?area=东区").text
    assert monitor.get("/reports-due?state=missing&page=99").status_code == 200
