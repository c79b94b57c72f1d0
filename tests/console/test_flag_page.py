"""A flag's page over HTTP: its evidence and chart, by rights and areas; corrections, questions and notes."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from alerts.roster import Person
from monitor.check import check
from monitor.schema import notification
from monitor.store import audit
from monitor.store import people as roster
from monitor.store.flags import flag_log, get_flag
from monitor.store.observations import list_series, revisions
from monitor.store.questions import answer, questions_to
from monitor.store.records import add as add_record
from monitor.web.context import ConfiguredSource
from tests.console import people
from tests.console.review_data import EAST, MIDNIGHT, POINTS, WEST, evaluate, one, prices
from tests.web.conftest import NOW, Running, Serve
from thresholds.model import NO_GRADE, Direction, Kind
from thresholds.plan import Policy
from thresholds.records import Record

SHIPPED = Path(__file__).parents[2] / "config.toml"


@pytest.fixture(scope="module")
def policy() -> Policy:
    found = check(SHIPPED).policy
    assert found is not None
    return found


@pytest.fixture
def city(serve: Serve, policy: Policy) -> Running:
    """The east went up by 40 % two days ago; the rules of the shipped configuration are in force."""
    running = serve(changes={"policy": lambda: policy})
    prices(running.db, "大白菜", "鸡蛋")
    evaluate(
        running.db,
        one("east1", "大白菜"),
        one("west1", "大白菜", WEST, value=4.1),
        one("egg1", "鸡蛋"),
        one(
            "old1",
            "大白菜",
            start=NOW - timedelta(days=60),
            first_flagged=NOW - timedelta(days=60),
            last_hit=NOW - timedelta(days=60),
            end=NOW - timedelta(days=50),
            end_reason="cleared",
        ),
    )
    return running


def monitor(running: Running, *areas: str, name: str = "", role: str = "monitor") -> people.Browser:
    return people.visitor(running, role, areas=areas or people.EVERYWHERE, name=name)


def series_of(running: Running, point: str = "东一市场", item: str = "大白菜") -> int:
    return list_series(running.db, item=item, point=point)[0].id


def words(text: str) -> str:
    """The text of a page without its elements."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", text))


def test_the_page_says_why_by_which_rule_and_what_became_of_flags_like_it(city: Running) -> None:
    browser = monitor(city)
    browser.send_form("/queue/act", what="review", verdict="expected", flag="old1.1.0")
    text = words(browser.get("/flags/east1").text)
    reasons = city.client().get("/api/v1/flags/east1").json()["reasoning"]
    for reason in reasons:
        assert reason in text, "the same words as `monitor explain`"
    for shown in (
        "33.6σ",
        "5.25σ",
        "78 个观测值",
        "0.01",
        "东一市场",
        "↑ 40.0%",
        "同品种同地区",
        "属预期",
        "同地区同规则",
    ):
        assert shown in text, shown
    assert "同品种、同地区、同方向以前的提示：属预期 1" in text


def test_a_flag_of_another_area_is_as_unknown_as_one_that_does_not_exist(city: Running) -> None:
    east = monitor(city, EAST)
    series = series_of(city, "西一市场")
    for path in ("/flags/{}", "/flags/{}/chart.json", "/flags/{}/values/" + str(series)):
        hidden, unknown = east.get(path.format("west1")), east.get(path.format("no-such"))
        assert (hidden.status_code, hidden.text) == (404, unknown.text)
    assert east.get(f"/flags/east1/values/{series}").status_code == 404, (
        "a series of the west, by the way of the east"
    )
    assert east.send_form(f"/flags/east1/values/{series}", at=0, seen=1, value="1", reason="x").status_code == 404
    assert east.send_form("/flags/west1/ask", point="西一市场", text="x").status_code == 404
    page = east.get("/flags/east1").text
    assert "西" not in words(page).replace("东西", "")
    assert WEST not in east.get("/flags/east1/chart.json").text


def test_without_signing_in_the_simple_page_is_shown_as_far_as_it_is_open(city: Running) -> None:
    simple = city.anonymous().get("/flags/east1", headers=people.HTML)
    assert simple.status_code == 200
    assert "复核队列" not in simple.text
    assert city.anonymous().get("/flags/east1/chart.json").status_code == 401


def test_the_chart_has_the_series_its_points_the_band_of_the_rule_and_other_areas(city: Running) -> None:
    found = monitor(city).get("/flags/east1/chart.json").json()
    kinds = [line["kind"] for line in found["lines"]]
    assert kinds.count("point") == 3
    assert [line["label"] for line in found["lines"] if line["kind"] == "area"] == [WEST]
    assert [line["label"] for line in found["lines"] if line["kind"] == "main"] == ["东区均值"]
    assert {"expected", "low", "high"} <= set(kinds)
    assert len(found["at"]) == 80
    lines = {line["kind"]: line["value"] for line in found["lines"]}
    calm, jump = 40, 78
    assert lines["low"][calm] < lines["main"][calm] < lines["high"][calm]
    assert lines["main"][jump] > lines["high"][jump], "the day of the flag is beyond the limit"
    assert found["flag"]["start"] == int((MIDNIGHT - timedelta(days=1)).timestamp())
    assert found["unit"] == "元/500克"


def test_the_chart_tells_of_holidays_other_flags_and_decisions(city: Running) -> None:
    start = int((NOW - timedelta(days=30)).timestamp())
    mine = Record("", "observed", "抢购", "市民", "", start, None, ("大白菜",), (), (EAST,))
    other = Record("", "observed", "流言", "市民", "", start, None, ("大白菜",), (), (WEST,))
    for record in (mine, other):
        add_record(city.db, record, "", "user:x", NOW)
    found = monitor(city, EAST).get("/flags/east1/chart.json").json()
    assert "春节" in {one["name"] for one in found["holidays"]}
    events = {(one["kind"], one["flag"] or one["label"]) for one in found["events"]}
    assert ("flag", "old1") in events
    assert ("flag", "west1") not in events
    assert [label for kind, label in events if kind == "observed"] == ["记录到抢购（市民）"]


def test_other_years_are_laid_over_by_date_and_by_spring_festival(serve: Serve, policy: Policy) -> None:
    from monitor.store.observations import add
    from tests.store.build import batch
    from thresholds.model import SeriesKey

    running = serve(changes={"policy": lambda: policy})
    key = SeriesKey("大白菜", "", "元/500克", "零售", "东一市场")
    add(
        running.db,
        batch(*((n, 4 + (n % 365) / 100) for n in range(-800, 60)), key=key, area=EAST),
        source="s",
        name="a",
        now=NOW,
    )
    evaluate(running.db, one("east1", "大白菜", points=("东一市场",)))
    found = monitor(running).get("/flags/east1/chart.json").json()
    years = [(line["years"], line["calendar"]) for line in found["lines"] if line["kind"] == "year"]
    assert years == [(1, "gregorian"), (1, "lunar"), (2, "gregorian"), (2, "lunar")]
    by = {(line["years"], line["calendar"]): line["value"] for line in found["lines"] if line["kind"] == "year"}
    main = next(line["value"] for line in found["lines"] if line["kind"] == "main")
    assert by[1, "gregorian"][-1] == main[-1 - 365]
    festival = found["at"].index(1771257600)  # 17 February 2026, the day of Spring Festival
    assert by[1, "lunar"][festival] == main[found["at"].index(1738080000)], "29 January 2025"
    text = monitor(running).get("/flags/east1?show=years&span=all").text
    picture = text.partition('<svg class="picture"')[2].partition("</svg>")[0]
    assert re.findall(r'<path class="(s\d y\d)"', picture) == ["s3 y1", "s4 y1", "s3 y2", "s4 y2"]
    assert len(picture) < 60_000, "of 860 readings only what can be seen is drawn"
    assert "1年前（按春节对齐）" in words(text.partition("<table><caption")[2].partition("</table>")[0])


def test_without_scripts_there_is_a_picture_and_a_table(city: Running) -> None:
    text = monitor(city).get("/flags/east1").text
    picture = text.partition('<svg class="picture"')[2].partition("</svg>")[0]
    assert picture.count('<path class="main"') == 1
    assert picture.count('<path class="limit"') == 2
    assert 'class="holiday"' in picture
    table = words(text.partition("<caption")[2].partition("</table>")[0])
    assert "2026-03-02" in table
    assert "5.7" in table


def test_without_scripts_a_form_chooses_neighbours_other_years_and_the_time_that_is_drawn(city: Running) -> None:
    evaluate(city.db, one("east1", "大白菜", points=("东一市场",), point="东一市场"))
    browser = monitor(city)
    plain = browser.get("/flags/east1").text
    form = plain.partition('<form class="choose"')[2].partition("</form>")[0]
    offered = re.findall(r'name="show" value="(\w+)"( checked)?', form)
    assert offered == [("points", " checked"), ("others", ""), ("neighbours", ""), ("band", " checked")]
    assert "西区" not in plain.partition("<table><caption")[2].partition("</table>")[0]

    chosen = browser.get("/flags/east1?show=others&show=neighbours&span=90").text
    figure = chosen.partition("<figure")[2].partition("</figure>")[0]
    legend = words(figure.partition('<ul class="legend"')[2].partition("</ul>")[0])
    for name in ("东二市场", "东三市场", "西区"):
        assert name in legend, name
    assert "上限" not in legend
    lines = re.findall(r'<path class="(s[^"]+)" d="M', figure.partition("</svg>")[0])
    assert len(set(lines)) == len(lines) == 3, "each has a look of its own"
    table = words(chosen.partition("<table><caption")[2].partition("</table>")[0])
    for name in ("东二市场", "东三市场", "西区", "2025-12-13"):
        assert name in table, name
    assert re.search(r'value="neighbours" checked', chosen)
    assert '<option value="90" selected>' in chosen
    assert '<details class="data" open>' in chosen
    assert browser.get("/flags/east1?show=x&show=<script>&span=y").status_code == 200


def test_a_point_that_is_silent_about_everything_has_a_page_without_a_chart(city: Running) -> None:
    silent = one(
        "s1", "", point="东一市场", points=("东一市场",), kind=Kind.SILENCE, direction=Direction.NONE, findings=()
    )
    evaluate(city.db, silent, one("x", "大白菜"))
    browser = monitor(city)
    text = words(browser.get("/flags/s1").text)
    assert "没有可以显示的数值" in text
    assert "请尽快补报" in text
    assert browser.get("/flags/s1/chart.json").json() == {}
    assert browser.send_form("/flags/s1/ask", point="东一市场", text="请补报").status_code == 303


def test_a_value_is_corrected_with_a_reason_and_the_old_one_stays_in_its_history(city: Running) -> None:
    browser, series = monitor(city, EAST, name="jia"), series_of(city)
    at = int(MIDNIGHT.timestamp())
    page = words(browser.get(f"/flags/east1/values/{series}?at={at}").text)
    assert "修订历史" in page
    sent = browser.send_form(f"/flags/east1/values/{series}", at=at, seen=1, value="４．０８", reason="小数点错位")
    assert sent.status_code == 303
    assert city.woken
    page = words(browser.get(f"/flags/east1/values/{series}?at={at}").text)
    assert "已更正为 4.08，正在重新判定" in page
    assert "人工更正：小数点错位" in page
    assert [one.value for one in revisions(city.db, series, MIDNIGHT)] == [pytest.approx(5.6, abs=0.3), 4.08]
    evaluate(city.db, one("west1", "大白菜", WEST, value=4.1), one("egg1", "鸡蛋"))
    text = words(browser.get("/flags/east1").text)
    assert "→ 4.08 元/500克。原因：小数点错位" in text
    assert "由此： 大白菜 东区 撤销（数据更正）" in text
    assert [e.object for e in audit.entries(city.db, action="observation.correct")] == ["flag:east1"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"value": "abc", "reason": "x"}, "请填写正确的数值"),
        ({"value": "1e5", "reason": "x"}, "请填写正确的数值"),
        ({"value": "nan", "reason": "x"}, "请填写正确的数值"),
        ({"value": "4.2", "reason": " "}, "请写明更正的原因"),
        ({"value": "SAME", "reason": "x"}, "与现在的值相同"),
        ({"value": "4.2", "reason": "x", "seen": 7}, "在此期间已改为"),
    ],
)
def test_what_is_no_correction_comes_back_with_what_was_typed(
    city: Running, fields: dict[str, Any], said: str
) -> None:
    browser, series = monitor(city), series_of(city)
    now = str(revisions(city.db, series, MIDNIGHT)[0].value)
    value = now if fields["value"] == "SAME" else fields["value"]
    sent = {"at": int(MIDNIGHT.timestamp()), "seen": 1} | fields | {"value": value}
    answer = browser.send_form(f"/flags/east1/values/{series}", **sent)
    assert answer.status_code == 422
    assert said in answer.text
    assert f'value="{value}"' in answer.text
    assert len(revisions(city.db, series, MIDNIGHT)) == 1


def test_whoever_may_only_look_sees_the_history_but_no_form(city: Running) -> None:
    browser, series = monitor(city, role="approver"), series_of(city)
    path = f"/flags/east1/values/{series}"
    text = browser.get(f"{path}?at={int(MIDNIGHT.timestamp())}").text
    assert "修订历史" in text
    assert 'name="reason"' not in text
    assert browser.send_form(path, at=int(MIDNIGHT.timestamp()), seen=1, value="1", reason="x").status_code == 404
    assert 'action="/flags/east1/ask"' not in browser.get("/flags/east1").text
    assert browser.send_form("/flags/east1/ask", point="东一市场", text="x").status_code == 404


def test_a_point_is_asked_its_reporter_is_told_and_the_answer_is_shown(city: Running) -> None:
    reporter = people.account(city.db, "nan", ["reporter"], points=["东一市场"])
    person: Person = roster.add_person(city.db, "nan", NOW)
    roster.add_contact(city.db, person.id, "log", "值班手机", channels=["log"])
    browser = monitor(city, EAST, name="jia")
    text = browser.get("/flags/east1").text
    assert "请核实大白菜03月02日的价格是否属实" in text, "5.6 is the mean of three points: none reported it"
    browser.send_form("/flags/east1/ask", point="东一市场", text="今天的价格对吗？", due="2h")
    with city.db.connect() as connection:
        (told,) = connection.execute(select(notification)).mappings().all()
    assert (told["subject"], told["person"], told["channel"]) == ("请核实：大白菜（东一市场）", "nan", "log")
    assert "今天的价格对吗？" in told["body"]
    assert "请在2026-03-02 11:30以前答复" in told["body"]
    assert "待答复" in browser.get("/flags/east1").text
    assert "已请监测点核实" in browser.get("/queue").text
    (question,) = questions_to(city.db, reporter.points)
    answer(city.db, question.id, reporter.points, "属实，雨天进货少", who_of_account(reporter), NOW)
    text = words(browser.get("/flags/east1").text)
    assert "已答复" in text
    assert "属实，雨天进货少 nan" in text
    assert [e.action for e in flag_log(city.db, "east1")] == ["opened", "asked", "answered"]
    alone: dict[str, Any] = {"point": "东一市场", "points": ("东一市场",), "last_hit": MIDNIGHT - timedelta(days=1)}
    evaluate(city.db, one("alone", "大白菜", **alone))
    assert "请核实大白菜03月01日的价格5.6元/500克是否属实" in browser.get("/flags/alone").text


def who_of_account(account: Any) -> Any:
    from monitor.store.acts import Who

    return Who(account.id, f"user:{account.name}", account.shown)


def test_a_point_without_a_reporter_is_to_be_phoned(city: Running) -> None:
    browser = monitor(city)
    browser.send_form("/flags/east1/ask", point="东二市场", text="请核实")
    assert "没有采价员账号，请电话联系" in browser.get("/flags/east1").text
    browser.send_form("/flags/east1/ask", point="", text="请核实")
    assert "请选择监测点" in browser.get("/flags/east1").text


def test_an_overdue_question_says_so(city: Running) -> None:
    browser = monitor(city)
    browser.send_form("/flags/east1/ask", point="东二市场", text="请核实", due="2h")
    from monitor.schema_review import question

    with city.db.begin() as connection:
        connection.execute(question.update().values(due_at=int(NOW.timestamp()) - 60))
    assert "逾期未答复" in browser.get("/flags/east1").text


def test_judging_on_the_page_goes_on_to_the_next_flag_of_the_queue(city: Running) -> None:
    browser = monitor(city)
    text = browser.get("/flags/west1").text
    following = re.search(r'<button name="next" value="(/flags/[^"]+)"', text)
    assert following
    sent = browser.send_form("/queue/act", what="review", verdict="to_check", flag="west1.1.0", next=following[1])
    assert sent.headers["location"] == following[1]
    assert following[1] != "/flags/west1"
    record = get_flag(city.db, "west1")
    assert record is not None
    assert record.verdict == "to_check"
    text = words(browser.get("/flags/west1").text)
    assert "已判为“待核实”" in text


def test_simulated_data_is_marked(serve: Serve) -> None:
    running = serve(changes={"sources": lambda: [ConfiguredSource("演示数据", "demo", demo=True)]})
    from monitor.store.observations import add
    from tests.store.build import CABBAGE, batch

    add(running.db, batch((1, 2.0), (2, 2.1), area=EAST), source="演示数据", name="a", now=NOW)
    evaluate(running.db, one("d1", CABBAGE.item, points=(CABBAGE.point,)))
    browser = monitor(running)
    main = browser.get("/flags/d1").text.partition("<main")[2]
    assert "演示数据" in main
    assert "演示数据" in browser.get("/queue").text.partition('id="f-d1"')[2].partition("</li>")[0]


def test_numbers_of_series_that_no_database_has_are_refused_quietly(city: Running) -> None:
    browser = monitor(city)
    for number in ("0", "99999999999999999999", "abc", "-1"):
        assert browser.get(f"/flags/east1/values/{number}").status_code in (404, 422)
    assert browser.get(f"/flags/east1/values/{series_of(city)}?at=99999999999999999").status_code == 422
    assert browser.get("/flags/%00").status_code == 404
    assert browser.get("/flags/" + "x" * 5000).status_code in (404, 414)
    assert POINTS[EAST][0] in browser.get("/flags/east1").text


def test_the_grade_of_a_flag_without_one_is_said_in_the_readers_language(city: Running) -> None:
    evaluate(city.db, one("plain", "大白菜", peak_grade=NO_GRADE))
    browser = monitor(city)
    for path in ("/queue", "/flags/plain"):
        assert "未定级" in words(browser.get(path).text)
        english = words(browser.get(path, headers={"Accept-Language": "en"}).text)
        assert "No grade" in english
        assert "未定级" not in english
