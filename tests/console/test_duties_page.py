"""The office's rules of who reports what by when: entered, changed, ended on /duties, by whom, in force at once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from monitor.entry.options import DutyOptions, EntryOptions
from monitor.entry.tools import shipped_tools, tools
from monitor.store import audit, duty_rules
from tests.console import people
from tests.console.people import Browser
from tests.console.test_entry import EGGS, OTHER, POINT, TODAY, put
from tests.web.conftest import Running, Serve
from thresholds.model import SeriesKey


@pytest.fixture
def city(serve: Serve) -> Running:
    """Eggs at two points in two areas, with one rule in the configuration file."""
    made = tools(EntryOptions(duty=(DutyOptions(item_class="粮", due="14:00"),)), shipped_tools().catalogue, ())
    running = serve(changes={"entry": lambda: made})
    put(running.db, (EGGS, 1, 4.2))
    put(running.db, (SeriesKey("鸡蛋", unit="元/500克", point=OTHER), 1, 4.0), area="西区")
    return running


@pytest.fixture
def monitor(city: Running) -> Browser:
    return people.visitor(city, "monitor", name="jian")


def fields(**changes: object) -> dict[str, object]:
    since = (TODAY + timedelta(hours=8)).date().isoformat()
    return {"point": POINT, "items": "", "days": "daily", "due": "09:30", "since": since, "note": ""} | changes


def test_a_rule_is_entered_changed_and_ended_and_counts_at_once(city: Running, monitor: Browser) -> None:
    assert "今日无应报" in people_page(monitor) or "应报 0 项" in people_page(monitor)
    assert monitor.send_form("/duties", **fields(items="鸡蛋、鸭蛋", note="市价〔2026〕3号")).status_code == 303
    assert "1 个监测点应报 1 项" in people_page(monitor)
    (one,) = duty_rules.list_rules(city.db)
    page = monitor.get("/duties").text
    assert POINT in page
    assert "每天 09:30 前" in page
    assert "配置文件" in page
    assert "粮" in page
    path = f"/duties/{one.id}"
    assert "市价〔2026〕3号" in monitor.get(path).text
    change = fields(days="weekdays", weekdays=["tue", "thu"], revision="1")
    assert monitor.send_form(path, **change).status_code == 303
    assert "周二、周四 09:30 前" in monitor.get("/duties").text
    assert "应报 0 项" in people_page(monitor)
    since = fields()["since"]
    assert monitor.send_form(f"{path}/end", revision="2", since=since).status_code == 303
    assert "已终止" in monitor.get("/duties").text
    history = duty_rules.history(city.db, one.id)
    assert [(r.revision, r.actor, r.ended) for r in history] == [
        (1, "user:jian", False),
        (2, "user:jian", False),
        (3, "user:jian", True),
    ]
    acts = [e for e in audit.entries(city.db, object=f"duty:{one.id}") if e.action != "view"]
    assert {e.action for e in acts} == {"duty.add", "duty.change", "duty.end"}
    (changed,) = [e for e in acts if e.action == "duty.change"]
    assert (changed.detail["before"]["days"], changed.detail["after"]["days"]) == ("daily", "weekdays")


def people_page(who: Browser) -> str:
    return who.get("/reports-due").text


def test_of_two_who_change_one_rule_the_second_is_told(city: Running, monitor: Browser) -> None:
    monitor.send_form("/duties", **fields())
    (one,) = duty_rules.list_rules(city.db)
    other = people.visitor(city, "admin", name="guan")
    assert other.send_form(f"/duties/{one.id}", **fields(due="08:00", revision="1")).status_code == 303
    late = monitor.send_form(f"/duties/{one.id}", **fields(due="11:00", revision="1"))
    assert "已被他人修改" in monitor.get(late.headers["location"]).text
    (one,) = duty_rules.list_rules(city.db)
    assert (one.rule.due, one.revision) == (480, 2)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"days": "weekdays"}, "请选择星期"),
        ({"days": "every", "every": "x"}, "请写天数"),
        ({"due": "25:00"}, "请写时间"),
        ({"since": "2026-02-30"}, "请写日期"),
        ({"until": "2020-01-01"}, "结束日期早于开始日期"),
        ({"items": "鸡蛋", "item_class": "粮"}, "只写一种"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_stored(
    city: Running, monitor: Browser, changes: dict[str, object], said: str
) -> None:
    answer = monitor.send_form("/duties", **fields(**changes))
    assert answer.status_code == 422
    assert said in answer.text
    assert duty_rules.list_rules(city.db) == []


def test_who_manages_one_area_manages_the_points_of_this_area_only(city: Running) -> None:
    """A rule for every point is seen and not changed; one for a point of another area does not exist."""
    boss = people.visitor(city, "monitor", name="boss")
    local = people.visitor(city, "monitor", name="local", areas={"东区"})
    for point in (POINT, OTHER, ""):
        boss.send_form("/duties", **fields(point=point))
    rules = {one.rule.point: one.id for one in duty_rules.list_rules(city.db)}
    page = local.get("/duties").text
    assert rules[POINT] in page
    assert rules[""] in page
    assert rules[OTHER] not in page
    assert local.get(f"/duties/{rules['']}").status_code == 200
    assert local.get(f"/duties/{rules[OTHER]}").status_code == 404
    for point, status in ((POINT, 303), ("", 404), (OTHER, 404)):
        assert local.send_form(f"/duties/{rules[point]}", **fields(point=point, revision="1")).status_code == status
    assert local.send_form(f"/duties/{rules[POINT]}", **fields(point=OTHER, revision="2")).status_code == 422
    for point in (OTHER, "", "新市场"):
        assert local.send_form("/duties", **fields(point=point)).status_code == 422
    assert len(duty_rules.list_rules(city.db)) == 3
    listed = local.get("/api/v1/duties").json()["duties"]
    assert {one["point"] for one in listed} == {POINT, ""}
    (first, second) = local.get(f"/api/v1/duties/{rules[POINT]}").json()["duties"]
    assert (first["revision"], second["revision"], second["due"], second["ended"]) == (1, 2, "09:30", False)
    assert local.get(f"/api/v1/duties/{rules[OTHER]}").status_code == 404


def test_days_off_and_unknown_arrangements_are_said(serve: Serve) -> None:
    """National Day is a day off by the notice; in 2031 nothing is known yet, and that is said."""
    from datetime import UTC, datetime

    for now, said in (
        (datetime(2026, 10, 1, 4, tzinfo=UTC), "今天是国庆节假日"),
        (datetime(2026, 10, 10, 4, tzinfo=UTC), "今天是调休工作日（国庆节）"),
        (datetime(2031, 3, 3, 4, tzinfo=UTC), "今天的放假调休安排尚未录入"),
    ):
        running = serve(changes={"clock": lambda now=now: now})
        page = people.visitor(running, "monitor").get("/reports-due").text
        assert said in page, now


def test_what_is_first_seen_today_is_due_at_the_end_of_the_day(city: Running, monitor: Browser) -> None:
    """It says 24:00 and why, not 00:00."""
    put(city.db, (SeriesKey("鸭蛋", unit="元/500克", point=POINT), 0, 5.0))
    monitor.send_form("/duties", **fields(items="鸡蛋、鸭蛋"))
    page = monitor.get("/reports-due", params={"point": POINT}).text
    assert ">24:00<" in page
    assert ">09:30<" in page
    assert "当日24:00前报送均为按时" in page
