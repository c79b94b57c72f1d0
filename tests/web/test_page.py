"""The page and the acknowledge link, as a browser or a link scanner gets them."""

from __future__ import annotations

import re
from datetime import timedelta
from html.parser import HTMLParser

import httpx
import pytest

from monitor.store import flags, sources
from monitor.store.errors import StoreError
from monitor.web.console import assets
from monitor.web.context import Check, ConfiguredSource, HealthReport
from tests.alerts.make import GRADE_I, NOW
from tests.web.conftest import Running, Serve
from tests.web.make import ack_path, flag, store_flags
from thresholds.model import Direction, Kind

ATTACKS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "{{ 7*7 }}{% for x in y %}",
    "</title><svg onload=alert(1)>",
    "&lt;b&gt;",
    "javascript:alert(1)",
)
HTML = {"Accept": "text/html"}
PUSHED = {"date": "2026-03-02", "point": "甲市场", "area": "甲区", "value": 5.6}


class Page(HTMLParser):
    """Tags with their attributes, and the text that a reader sees."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.words = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def page(client: httpx.Client, path: str = "/", status: int = 200) -> Page:
    answer = client.get(path)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return Page(answer.text)


def test_open_flags_are_shown_with_everything_a_reader_needs(running: Running) -> None:
    store_flags(
        running.db,
        flag("f1", peak_grade=GRADE_I),
        flag("f2", item="鸡蛋", direction=Direction.DOWN, value=4.0, area="乙区", point="", points=("甲", "乙")),
        flag("f3", item="猪肉", kind=Kind.SILENCE, direction=Direction.NONE, reason="通常约每1天一报，已逾期。"),
        flag("f4", item="豆油", end=NOW, end_reason="cleared"),
    )
    words = page(running.anonymous()).words
    assert "待处理的异常提示（3）" in words
    for part in ("一级", "大米", "甲区 甲市场", "↑ 12%（5 → 5.6）", "2026-03-01 16:00", "一周上涨 12.0%，超过 10%"):
        assert part in words.replace("12.0%（", "12%（"), part
    for part in ("鸡蛋", "乙区 2 个监测点", "↓", "猪肉", "数据中断", "已逾期"):
        assert part in words, part
    assert "豆油" not in words


def test_what_was_reviewed_leaves_the_list_and_what_was_acknowledged_stays(running: Running) -> None:
    store_flags(running.db, flag("f1"), flag("f2", item="鸡蛋"))
    flags.review(running.db, "f1", "real_move", "", "值班员甲", NOW, 1)
    flags.acknowledge(running.db, "f2", "值班员甲", NOW)
    words = page(running.anonymous()).words
    assert "大米" not in words
    assert "鸡蛋" in words
    assert "已确认" in words


def test_the_link_in_a_message_opens_the_flag_with_its_reasoning(running: Running) -> None:
    (message,) = store_flags(running.db, flag("f1"), tell=True)
    path = "/" + str(message.payload["link"]).split("/", 3)[3]
    shown = page(running.anonymous(), path)
    assert "规则 rise（版本 1）" in shown.words
    assert "首次提示" in shown.words
    assert page(running.anonymous(), "/flags").words == page(running.anonymous(), "/").words
    assert "没有这条异常提示" in page(running.anonymous(), "/flags/none", 404).words


def test_sources_are_shown_with_their_state_and_error(serve: Serve) -> None:
    configured = [ConfiguredSource("inbox", "folder", "报表收件箱"), ConfiguredSource("bureau", "http", "统计局")]
    running = serve(changes={"sources": lambda: configured})
    sources.failed(running.db, "bureau", NOW, "timeout", "no answer within 10 s")
    running.client(name="城东").post("/api/v1/observations", json=[PUSHED | {"item": "大米"}])
    words = page(running.anonymous()).words
    assert "报表收件箱 – 尚未取数" in words
    assert "统计局 ✕ 失败 — — no answer within 10 s自 2026-03-02 09:30 起" in words
    assert "push:城东 ✓ 正常 2026-03-02 09:30 2026-03-02" in words


def test_simulated_data_is_marked_wherever_it_shows(running: Running) -> None:
    client = running.client()
    client.post("/api/v1/observations", json=[PUSHED | {"item": "大米", "source": "演示数据"}])
    client.post("/api/v1/observations", json=[PUSHED | {"item": "鸡蛋"}])
    city = flag("f4", area="全市", point="", points=("甲市场", "乙市场"))
    store_flags(running.db, flag("f1"), flag("f2", item="鸡蛋"), flag("f3", point="乙市场"), city)
    shown = page(running.anonymous())
    marked = re.findall(r"(大米|鸡蛋) (演示数据)?", shown.words)
    assert sorted(marked) == [("大米", ""), ("大米", "演示数据"), ("大米", "演示数据"), ("鸡蛋", "")]
    demo = {one["id"]: one["demo"] for one in client.get("/api/v1/flags").json()["flags"]}
    assert demo == {"f1": True, "f2": False, "f3": False, "f4": True}
    assert "演示数据" in page(running.anonymous(), "/flags/f1").words
    assert "演示数据" not in page(running.anonymous(), "/flags/f2").words


def test_health_is_shown_with_what_is_wrong(serve: Serve) -> None:
    report = HealthReport([Check("database", True), Check("scheduler", False, "自 09:00 起停止")])
    words = page(serve(changes={"health": lambda: report}).anonymous()).words
    assert "有故障" in words
    assert "scheduler：自 09:00 起停止" in words


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_that_came_from_outside_becomes_markup(serve: Serve, attack: str) -> None:
    running = serve(changes={"sources": lambda: [ConfiguredSource("s", "http", attack)], "installation": attack})
    sources.failed(running.db, "s", NOW, "timeout", attack)
    running.client(name=attack).post("/api/v1/observations", json=[PUSHED | {"item": attack}])
    made = flag(
        "f1", item=attack, area=attack, point=attack, points=(attack, attack + "2"), reason=attack, plan=attack
    )
    (message,) = store_flags(running.db, made, tell=True)
    flags.acknowledge(running.db, "f1", attack, NOW)
    harmless = page(serve().anonymous())
    for path in ("/", "/flags/f1", ack_path(message)):
        shown = page(running.anonymous(), path)
        tags = {tag for tag, _ in shown.tags}
        assert tags <= {tag for tag, _ in harmless.tags} | {"ol", "td", "tr", "thead", "form", "button", "br"}, path
        assert not any(name.startswith("on") for _, attributes in shown.tags for name in attributes)
        assert not any((a.get("href") or "").startswith("javascript") for _, a in shown.tags)
    assert attack in page(running.anonymous(), "/").text


# --- who may read it ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"X-Forwarded-For": "203.0.113.9"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"Forwarded": "for=203.0.113.9"},
        {"Via": "1.1 proxy"},
        {"Host": "["},
    ],
)
def test_the_page_is_for_this_machine_only_unless_set_otherwise(serve: Serve, headers: dict[str, str]) -> None:
    local = serve()
    answer = local.anonymous().get("/", headers=headers | HTML)
    assert (answer.status_code, answer.headers["location"]) == (303, "/signin")
    answer = local.anonymous().get("/flags/f1", headers=headers | HTML)
    assert (answer.status_code, answer.headers["location"]) == (303, "/signin?next=/flags/f1")
    assert local.anonymous().get("/flags/f1", headers=headers).status_code == 401
    assert local.anonymous().get("/metrics", headers=headers).status_code == 401
    assert serve(open_page="all").anonymous().get("/", headers=headers).status_code == 200


def test_the_page_can_be_switched_off(serve: Serve) -> None:
    assert serve(open_page="off").anonymous().get("/").status_code == 401


def test_a_page_that_cannot_read_the_database_says_so(serve: Serve) -> None:
    running = serve()
    with running.db.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE flag RENAME TO flag_away")
    answer = running.anonymous().get("/")
    assert answer.status_code == 500

    def broken() -> HealthReport:
        raise StoreError("unreachable", "secret-host:5432 refused")

    answer = serve(changes={"health": broken}).anonymous().get("/")
    assert answer.status_code == 503
    assert "secret-host" not in answer.text


def test_no_script_no_inline_style_and_strict_headers(running: Running) -> None:
    store_flags(running.db, flag("f1"))
    for path in ("/", "/flags/f1", "/a/" + "x" * 32):
        answer = running.anonymous().get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
        shown = Page(answer.text)
        assert not {"script", "style"} & {tag for tag, _ in shown.tags}
        assert not any("style" in attributes for _, attributes in shown.tags)
    css = running.anonymous().get(assets.url("console.css"))
    assert css.headers["content-type"].startswith("text/css")


def test_static_files_do_not_lead_out_of_their_folder(running: Running) -> None:
    for path in (
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static//etc/passwd",
        "/static/",
    ):
        assert running.anonymous().get(path).status_code == 404, path


# --- the acknowledge link -------------------------------------------------------------------------------------------


def test_opening_the_link_does_not_acknowledge_and_pressing_the_button_does(running: Running) -> None:
    (message,) = store_flags(running.db, flag("f1"), tell=True)
    path = ack_path(message)
    for _ in range(2):  # a scanner, then the person
        shown = page(running.anonymous(), path)
        assert message.subject in shown.words
        assert "确认收到" in shown.words
    record = flags.get_flag(running.db, "f1")
    assert record is not None
    assert record.acknowledged_at is None
    forms = [a for tag, a in shown.tags if tag == "form" and a.get("action") != "/language"]
    assert [(a.get("method"), a.get("action")) for a in forms] == [("post", None)]

    done = running.anonymous().post(path)
    assert done.status_code == 200
    assert "已于 2026-03-02 09:30 由 值班员甲 确认" in Page(done.text).words
    record = flags.get_flag(running.db, "f1")
    assert record is not None
    assert (record.acknowledged_at, record.acknowledged_by) == (NOW, "值班员甲")

    again = page(running.anonymous(), path)
    assert "已于 2026-03-02 09:30 由 值班员甲 确认" in again.words
    assert "确认收到" not in again.words


def test_head_and_options_do_not_acknowledge(running: Running) -> None:
    (message,) = store_flags(running.db, flag("f1"), tell=True)
    client = running.anonymous()
    for method in ("HEAD", "OPTIONS", "PUT"):
        client.request(method, ack_path(message))
    record = flags.get_flag(running.db, "f1")
    assert record is not None
    assert record.acknowledged_at is None


def test_a_message_overtaken_by_a_higher_grade_says_so(running: Running) -> None:
    (first,) = store_flags(running.db, flag("f1"), tell=True)
    later = NOW + timedelta(minutes=5)
    store_flags(running.db, flag("f1", peak_grade=GRADE_I), tell=True, now=later)
    done = running.anonymous().post(ack_path(first))
    assert "其中 1 条此后又已升级" in Page(done.text).words


def test_an_unknown_link_is_404_and_a_strange_one_too(running: Running) -> None:
    for path in ("/a/" + "x" * 32, "/a/x", "/a/" + "x" * 500, "/a/%00", "/a/" + "é" * 20):
        for method in ("GET", "POST"):
            answer = running.anonymous().request(method, path)
            assert answer.status_code == 404, path


def test_the_link_works_from_everywhere(running: Running) -> None:
    (message,) = store_flags(running.db, flag("f1"), tell=True)
    answer = running.anonymous().get(
        ack_path(message), headers={"Host": "price.example", "X-Forwarded-For": "203.0.113.9"}
    )
    assert answer.status_code == 200
