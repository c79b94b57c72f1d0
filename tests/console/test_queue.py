"""The review queue over HTTP: what people see by their areas, what their forms do, and that nothing else gets in."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from alerts.texts import short_code
from monitor.store import audit
from monitor.store.acts import Seen, Who, assign_many, review_many
from monitor.store.flags import flag_log, get_flag
from tests.console import people
from tests.console.review_data import EAST, WEST, evaluate, one, prices
from tests.web.conftest import NOW, Running, Serve

JSON = {"Accept": "application/json"}
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7*7 }}",
    "javascript:alert(1)",
    "'\"&<>",
]


@pytest.fixture
def city(running: Running) -> Running:
    prices(running.db, "大白菜", "鸡蛋")
    evaluate(
        running.db,
        one("east1", "大白菜"),
        one("east2", "鸡蛋", start=NOW - timedelta(days=20), first_flagged=NOW - timedelta(days=20)),
        one("west1", "大白菜", WEST),
        one("city1", "鸡蛋", "全市"),
    )
    return running


def monitor(running: Running, *areas: str, name: str = "", role: str = "monitor") -> people.Browser:
    return people.visitor(running, role, areas=areas or people.EVERYWHERE, name=name)


def ids(answer: httpx.Response) -> list[str]:
    return re.findall(r'<li class="row[^>]*id="f-([^"]+)"', answer.text)


def act(browser: people.Browser, **fields: Any) -> dict[str, Any]:
    """Send a form as the script does; gives what the server says."""
    answer = browser.post("/queue/act", data={"csrf": browser.csrf} | fields, headers=JSON)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def verdict(running: Running, flag_id: str) -> str:
    record = get_flag(running.db, flag_id)
    assert record is not None
    return record.verdict


def test_a_row_says_what_where_how_much_since_when_and_why_with_a_small_chart(city: Running) -> None:
    text = monitor(city).get("/queue").text
    row = text[text.index('id="f-east1"') :].partition("</li>")[0]
    for shown in (
        "大白菜",
        "东区",
        "三级",
        "↑ 40.0%",
        "4 → 5.6",
        "2026-03-01",
        "比上期上涨40%",
        "<svg",
        "最近 60 期",
    ):
        assert shown in row, shown
    assert "演示数据" not in row


def test_a_monitor_sees_the_flags_of_his_areas_only_and_of_the_city_only_with_the_city(city: Running) -> None:
    assert ids(monitor(city, EAST).get("/queue")) == ["east1", "east2"]
    assert ids(monitor(city, WEST).get("/queue")) == ["west1"]
    assert ids(monitor(city, "全市").get("/queue")) == ["city1"]
    assert len(ids(monitor(city).get("/queue"))) == 4
    text = monitor(city, EAST).get("/queue").text
    assert WEST not in text
    assert "西一市场" not in text, "not even in a list to choose from"
    assert ids(monitor(city, EAST).get(f"/queue?area={WEST}")) == []


def test_whoever_may_not_see_flags_finds_no_queue(city: Running) -> None:
    viewer = monitor(city, role="viewer")
    unknown = viewer.get("/no-such-page")
    for path in ("/queue", "/flags/east1", "/flags/east1/chart.json"):
        answer = viewer.get(path)
        assert answer.status_code == 404
        assert answer.text == unknown.text
    assert viewer.send_form("/queue/act", what="review", verdict="expected", flag="east1.1.0").status_code == 404
    assert verdict(city, "east1") == ""
    assert city.anonymous().get("/queue", headers=people.HTML).headers["location"].startswith("/signin")


def test_the_code_of_a_message_leads_to_its_flag(city: Running) -> None:
    """Typed where an item is looked for, in small letters too; the code of a flag that is not shown finds nothing."""
    code = short_code("west1")
    answer = monitor(city).get("/queue", params={"item": f" {code.lower()} "})
    assert (answer.status_code, answer.headers["location"]) == (303, "/flags/west1")
    assert ids(monitor(city, "东区", name="dong").get("/queue", params={"item": code})) == []


def test_filters_are_in_the_address_and_what_they_cannot_mean_is_left_out(city: Running) -> None:
    browser = monitor(city)
    assert set(ids(browser.get("/queue?cls=菜"))) == {"east1", "west1"}
    narrowed = browser.get("/queue?item=白菜&area=西区&grade=2")
    assert ids(narrowed) == ["west1"]
    chips = narrowed.text.partition('<p class="asked">')[2].partition("</p>")[0]
    rest = [unquote(one) for one in re.findall(r'href="/queue\?([^"]*)" aria-label="取消筛选', chips)]
    assert rest == ["item=白菜&amp;grade=2", "area=西区&amp;grade=2", "area=西区&amp;item=白菜"]
    assert "三级" in chips
    assert ids(browser.get("/queue?age=old")) == ["east2"]
    assert ids(browser.get("/queue?point=西二市场")) == ["west1"]
    assert ids(browser.get("/queue?direction=down")) == []
    assert len(ids(browser.get("/queue?grade=2&kind=move&direction=up"))) == 4
    assert len(ids(browser.get("/queue?grade=x&kind=nonsense&to=-1&age=9&state=none&after=1.x"))) == 4


def test_a_view_is_kept_found_again_made_the_default_and_removed(city: Running) -> None:
    browser = monitor(city)
    made = browser.send_form("/queue/views", what="keep", name="西区的菜", query="area=西区&nonsense=1", default="1")
    address = made.headers["location"]
    assert re.fullmatch(r"/queue\?view=\d+", address)
    assert ids(browser.get(address)) == ["west1"]
    assert ids(browser.get("/queue")) == ["west1"], "the default"
    assert len(ids(browser.get("/queue?state="))) == 4
    assert (
        "已有同名"
        in browser.get(
            browser.send_form("/queue/views", what="keep", name="西区的菜", query="").headers["location"]
        ).text
    )
    other = monitor(city)
    assert len(ids(other.get(address))) == 4, "somebody else's view is nobody's"
    other.send_form("/queue/views", what="remove", view=address.rpartition("=")[2])
    browser.send_form("/queue/views", what="plain")
    assert len(ids(browser.get("/queue"))) == 4
    browser.send_form("/queue/views", what="remove", view=address.rpartition("=")[2])
    assert "西区的菜" not in browser.get("/queue").text.partition("</nav>")[2].partition("</nav>")[0]


def test_a_form_without_scripts_judges_what_was_ticked_and_says_so(city: Running) -> None:
    browser = monitor(city)
    back = browser.send_form(
        "/queue/act",
        what="review",
        verdict="expected",
        note="节前",
        flag=["east1.1.0", "west1.1.0"],
        next="/queue?state=",
    )
    assert (back.status_code, back.headers["location"]) == (303, "/queue?state=#f-city1"), "where one goes on"
    text = browser.get("/queue?state=").text
    assert "已将 2 条判为“属预期”" in text
    assert "上一步：2 条判为“属预期”" in text
    assert ids(browser.get("/queue?state=")) == ["city1", "east2"]
    assert city.woken, "a judgement changes what counts"
    record = get_flag(city.db, "east1")
    assert record is not None
    assert record.note == "节前"


def test_what_a_colleague_was_quicker_with_is_named_and_the_rest_goes_through(city: Running) -> None:
    one_monitor, other = monitor(city, name="jia"), monitor(city, name="yi")
    act(other, what="review", verdict="real_move", flag="east1.1.0")
    answer = act(one_monitor, what="review", verdict="data_error", flag=["east1.1.0", "west1.1.0"])
    assert answer["overtaken"] == ["east1"]
    assert "1 条在此期间已由他人处理，没有覆盖：大白菜（东区 3 个监测点）：yi判为“真实波动”" in answer["said"]
    assert answer["rows"]["west1"]["verdict"] == "数据错误"
    assert answer["rows"]["east1"]["seen"] == "east1.2.0"
    assert (verdict(city, "east1"), verdict(city, "west1")) == ("real_move", "data_error")


def test_undo_takes_back_the_last_act_and_then_the_one_before(city: Running) -> None:
    browser = monitor(city)
    first = act(browser, what="review", verdict="real_move", flag="east1.1.0")["act"]
    second = act(browser, what="review", verdict="data_error", flag=["east2.1.0", "west1.1.0"])["act"]
    answer = act(browser, what="undo", act=second)
    assert answer["act"] == first
    assert "已撤销 2 条的结论“数据错误”" in answer["said"]
    assert (verdict(city, "east2"), verdict(city, "east1")) == ("", "real_move")
    act(browser, what="undo")
    assert verdict(city, "east1") == ""
    assert act(browser, what="undo")["said"] == "没有可以撤销的结论。"


def test_flags_are_assigned_to_a_colleague_of_the_area_and_not_to_others(city: Running) -> None:
    east, west = (
        people.account(city.db, "dong", ["monitor"], areas=[EAST]),
        people.account(city.db, "xi", ["monitor"], areas=[WEST]),
    )
    browser = monitor(city, EAST, name="jia")
    assert act(browser, what="assign", to=str(west.id), flag="east1.1.0")["kind"] == "fault"
    answer = act(browser, what="assign", to=str(east.id), flag="east1.1.0")
    assert answer["rows"]["east1"]["assignee"] == "dong"
    assert act(browser, what="assign", to="me", flag="east1.1.0")["overtaken"] == ["east1"], "it was seen unassigned"
    assert ids(browser.get("/queue?to=none")) == ["east2"]
    act(browser, what="assign", to="none", flag="east1.1.1")
    assert act(browser, what="assign", to="me", flag="east1.1.2")["rows"]["east1"]["mine"] is True
    assert ids(browser.get("/queue?to=me")) == ["east1"]


def test_nobody_acts_on_a_flag_outside_of_his_areas(city: Running) -> None:
    browser = monitor(city, EAST)
    for fields in ({"what": "review", "verdict": "expected"}, {"what": "assign", "to": "me"}):
        answer = act(browser, flag=["west1.1.0", "city1.1.0", "没有.1.0"], **fields)
        assert sorted(answer["unknown"]) == sorted(["west1", "city1", "没有"])
        assert "大白菜" not in answer["said"]
    assert "没有这条提示" in act(browser, what="note", note="x", flag="west1.1.0")["said"]
    assert verdict(city, "west1") == ""
    assert [e.action for e in flag_log(city.db, "west1")] == ["opened"]


def test_a_role_without_the_right_sees_no_form_and_can_send_none(city: Running) -> None:
    approver = monitor(city, role="approver")
    text = approver.get("/queue").text
    assert ids(approver.get("/queue"))
    assert 'name="verdict"' not in text
    for fields in (
        {"what": "review", "verdict": "expected"},
        {"what": "assign", "to": "me"},
        {"what": "note", "note": "x"},
    ):
        assert "没有这项权限" in act(approver, flag="east1.1.0", **fields)["said"]
    assert "没有可以撤销" in act(approver, what="undo")["said"]
    assert verdict(city, "east1") == ""
    duty = monitor(city, role="duty")
    assert "没有这项权限" in act(duty, what="assign", to="me", flag="east1.1.0")["said"]
    assert act(duty, what="review", verdict="to_check", flag="east1.1.0")["kind"] == "done"


@pytest.mark.parametrize("path", ["/queue/act", "/queue/views", "/flags/east1/ask", "/flags/east1/values/1"])
def test_a_form_that_is_not_ours_does_nothing(city: Running, path: str) -> None:
    browser = monitor(city)
    for word in ("", "wrong"):
        fields = {"csrf": word, "what": "review", "verdict": "expected", "flag": "east1.1.0", "name": "x"}
        assert browser.post(path, data=fields).status_code == 403
    elsewhere = {"Sec-Fetch-Site": "cross-site", "Accept": "text/html"}
    fields = {"csrf": browser.csrf, "what": "review", "verdict": "expected", "flag": "east1.1.0"}
    assert browser.post(path, data=fields, headers=elsewhere).status_code == 403
    assert verdict(city, "east1") == ""


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"what": "nonsense"},
        {"what": "review", "flag": "east1.1.0"},
        {"what": "review", "verdict": "nonsense", "flag": "east1.1.0"},
        {"what": "review", "verdict": "expected"},
        {"what": "review", "verdict": "expected", "flag": ["east1", "east1.x.0", "east1.1.99999999999", ""]},
        {"what": "review", "verdict": "expected", "note": "长" * 2001, "flag": "east1.1.0"},
        {"what": "assign", "flag": "east1.1.0", "to": "999"},
        {"what": "assign", "flag": "east1.1.0", "to": "x"},
        {"what": "note", "flag": "east1.1.0", "note": "  "},
        {"what": "undo", "act": "9" * 18},
    ],
)
def test_what_cannot_be_meant_is_refused_in_words_and_changes_nothing(city: Running, fields: dict[str, Any]) -> None:
    answer = act(monitor(city), **fields)
    assert answer["kind"] in ("fault", "note")
    assert answer["said"]
    assert [e.action for e in flag_log(city.db, "east1")] == ["opened"]


def test_hostile_names_and_notes_are_shown_as_text(running: Running) -> None:
    hostile = HOSTILE[0] + HOSTILE[1]
    prices(running.db, hostile, hostile=hostile)
    evaluate(running.db, one("f1", hostile, reason=hostile, points=(hostile,)))
    browser = monitor(running)
    act(browser, what="note", note=hostile, flag="f1.1.0")
    act(browser, what="assign", to="me", flag="f1.1.0")
    browser.send_form("/queue/views", what="keep", name="<script>1</script>", query=f"item={hostile}")
    browser.send_form("/flags/f1/ask", point=hostile, text=hostile)
    act(browser, what="review", verdict="to_check", note=hostile, flag="f1.1.1")
    for path in ("/queue?state=all", "/flags/f1", f"/queue?item={hostile}&point={hostile}&area={hostile}"):
        text = browser.get(path).text
        assert "<script>" not in text.replace('<script type="module" src="/static/dist/', "")
        assert "<img" not in text
        assert "&lt;script&gt;alert(1)" in text, path
    answer = browser.get("/flags/f1/chart.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_who_saw_and_did_what_is_in_the_audit(city: Running) -> None:
    browser = monitor(city, name="jia")
    browser.get("/queue")
    browser.get("/flags/east1")
    act(browser, what="review", verdict="expected", note="节前", flag=["east1.1.0", "east2.1.0"])
    act(browser, what="undo")
    act(browser, what="assign", to="me", flag="east1.3.0")
    act(browser, what="note", note="看过", flag="east1.3.1")
    entries = [(e.actor, e.action, e.object) for e in audit.entries(city.db, actor="user:jia")]
    assert ("user:jia", "view", "queue") in entries
    assert [e for e in entries if e[2] == "flag:east1"] == [
        ("user:jia", "flag.note", "flag:east1"),
        ("user:jia", "flag.assign", "flag:east1"),
        ("user:jia", "flag.undo", "flag:east1"),
        ("user:jia", "flag.review", "flag:east1"),
        ("user:jia", "view", "flag:east1"),
    ]
    assert ("user:jia", "flag.review", "flag:east2") in entries


def test_pages_of_a_hundred_are_turned_onwards_and_back(running: Running) -> None:
    flags = [one(f"f{n:03}", f"菜{n}") for n in range(250)]
    evaluate(running.db, *flags)
    browser = monitor(running)
    order = [f"f{n:03}" for n in reversed(range(250))]
    first = browser.get("/queue?area=东区")
    assert link(first, "prev") == ""
    second = browser.get(link(first, "next"))
    third = browser.get(link(second, "next"))
    assert [ids(page) for page in (first, second, third)] == [order[:100], order[100:200], order[200:]]
    assert link(third, "next") == ""
    assert "共 250 条" in third.text
    assert "第201–250条" in third.text
    back = browser.get(link(third, "prev"))
    assert ids(back) == order[100:200]
    assert "第101–200条" in back.text
    assert ids(browser.get(link(back, "next"))) == order[200:]
    assert ids(browser.get(link(back, "prev"))) == order[:100]
    act(browser, what="review", verdict="expected", flag=[f"{name}.1.0" for name in order[100:130]])
    back = browser.get(link(third, "prev"))
    assert ids(back) == order[70:100] + order[130:200], "what was judged meanwhile leaves no gap"
    back = browser.get(link(back, "prev"))
    assert ids(back) == order[:100], "the first page is a whole one"
    assert link(back, "prev") == ""
    act(browser, what="review", verdict="expected", flag=[f"{name}.1.0" for name in order[200:]])
    beyond = browser.get(link(second, "next"))
    assert (ids(beyond), link(beyond, "prev")) == ([], "/queue?area=%E4%B8%9C%E5%8C%BA")


def link(answer: httpx.Response, rel: str) -> str:
    found = re.search(rf'rel="{rel}" href="([^"]+)"', answer.text)
    return found[1].replace("&amp;", "&") if found else ""


def test_an_act_on_a_later_page_comes_back_to_that_page_and_below_the_row(running: Running) -> None:
    evaluate(running.db, *(one(f"f{n:03}", f"菜{n}") for n in range(130)))
    browser = monitor(running)
    here = link(browser.get("/queue"), "next")
    assert f'name="next" value="{here.replace("&", "&amp;")}"' in browser.get(here).text
    fields = {"what": "review", "verdict": "expected", "next": here, "flag": ["f020.1.0", "f015.1.0"]}
    back = browser.send_form("/queue/act", **fields).headers["location"]
    assert back == f"{here}#f-f014"
    assert ids(browser.get(back))[0] == "f029"
    elsewhere = browser.send_form("/queue/act", **fields | {"next": "/flags/f014", "flag": "f013.1.0"})
    assert elsewhere.headers["location"] == "/flags/f014"


def news(browser: people.Browser, page: httpx.Response, asked: str = "") -> httpx.Response:
    """Ask as the script of a page does."""
    found = re.search(r'data-news="([^"]+)" data-mark="([^"]+)"', page.text)
    assert found
    headers = JSON | {"If-None-Match": f'"{asked or found[2]}"'}
    return browser.get(found[1].replace("&amp;", "&"), headers=headers)


def test_a_page_that_stays_open_is_told_of_new_flags_in_its_filter_and_of_what_colleagues_did(city: Running) -> None:
    browser, other = monitor(city, name="jia"), monitor(city, name="yi")
    east, every = browser.get("/queue?area=东区"), browser.get("/queue")
    assert news(browser, every).status_code == 304
    more = [one("east3", "大米"), one("west2", "大米", WEST)]
    start = NOW - timedelta(days=20)
    old = [one("east1", "大白菜"), one("east2", "鸡蛋", start=start, first_flagged=start)]
    evaluate(city.db, *old, one("west1", "大白菜", WEST), one("city1", "鸡蛋", "全市"), *more)
    act(other, what="review", verdict="expected", note="节前", flag="east1.1.0")
    answer = news(browser, east).json()
    assert answer["new"] == ["east3"]
    assert answer["rows"]["east1"] == {
        "seen": "east1.2.0",
        "settled": True,
        "verdict": "属预期",
        "reviewer": "yi",
        "note": "节前",
        "assignee": "",
        "over": "",
        "raised": False,
    }
    assert sorted(news(browser, every).json()["new"]) == ["east3", "west2"]
    assert news(browser, every, answer["mark"]).status_code == 304
    assert news(monitor(city, WEST), every).json()["new"] == ["west2"], "one's own areas only"
    assert news(monitor(city, WEST), every).json()["rows"] == {}
    assert browser.get("/queue/news?page=nonsense", headers=JSON).status_code == 200


def test_asking_for_news_keeps_no_session_alive_and_writes_nothing(serve: Serve) -> None:
    moment = [NOW]
    running = serve(changes={"clock": lambda: moment[0]})
    evaluate(running.db, one("f1", "菜"))
    browser = monitor(running)
    page = browser.get("/queue")
    written = len(audit.entries(running.db))
    for _turn in range(4):
        moment[0] += timedelta(minutes=29)
        assert news(browser, page).status_code == 304
    moment[0] += timedelta(minutes=5)
    assert news(browser, page).status_code == 401
    assert len(audit.entries(running.db)) == written
    assert running.anonymous().get("/queue/news", headers=JSON).status_code == 401
    assert monitor(running, role="viewer").get("/queue/news", headers=JSON).status_code == 404


def test_a_flag_judged_by_a_program_shows_the_program(city: Running) -> None:
    review_many(city.db, [Seen("east1", 1)], "expected", "", Who(0, "token:桥接", ""), NOW, true_())
    assert "token:桥接" in monitor(city).get("/queue?state=reviewed").text
    assert assign_many(city.db, [], None, Who(0, "x", ""), NOW, true_()).done == []


def true_() -> Any:
    from sqlalchemy import true

    return true()


def test_who_opens_the_queue_has_charts_made_ready_once(city: Running, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "monitor.web")
    reader = monitor(city)
    reader.get("/queue").raise_for_status()
    beside = city.app.state.charts
    reader.get("/queue").raise_for_status()
    assert city.app.state.charts is beside
    beside.join(60)
    assert not beside.is_alive()
    assert "could not be loaded" not in caplog.text
