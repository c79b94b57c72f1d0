"""A source that hangs, lies or is gone: the others work on, it is visible, and nothing of it is lost."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.daemon import Daemon, daemon, drop, names, until
from tests.faults.sheets import ITEMS, planted
from tests.faults.sources import Mood, source, yesterday

pytestmark = pytest.mark.slow

CONFIG = """
[database]
url = "sqlite:///monitor.db"
[alerts]
default_targets = [{ channel = "log", address = "duty" }]
[[channel]]
kind = "file"
name = "log"
path = "alerts.jsonl"
[[source]]
kind = "folder"
name = "inbox"
path = "inbox"
every = "1s"
settle = "10ms"
"""
WEB = """
[[source]]
kind = "http"
name = "{name}"
url = "{url}"
every = "1s"
tries = 1
connect_timeout = "1s"
read_timeout = "2s"
deadline = "4s"
"""
REASONS: dict[Mood, str] = {
    "hangs": "timeout",
    "drips": "timeout",
    "html": "not_csv",
    "garbage": "encoding",
    "closes": "broken",
    "error": "http_status",
}


def test_bad_sources_stop_no_other_are_visible_and_recover(tmp_path: Path) -> None:
    with ExitStack() as stack:
        items = dict(zip(REASONS, ITEMS[10:], strict=False))
        far = {mood: stack.enter_context(source([item], yesterday(), days=20)) for mood, item in items.items()}
        config = CONFIG + "".join(WEB.format(name=mood, url=one.url) for mood, one in far.items())
        one = stack.enter_context(daemon(tmp_path, config))
        until(lambda: all(rows_of(one, mood) == 80 for mood in far), "the first rows of all are stored")
        for mood, web in far.items():
            web.mood = mood
            web.text += f"{yesterday()},{ITEMS[1]},{mood},元/500克,全市,5\n"
        until(lambda: all(failing(one, mood) for mood in far), "all are seen to fail")
        drop(tmp_path / "inbox", "a.csv", planted("a.csv", ITEMS[0], yesterday()).text)
        until(lambda: names(tmp_path / "inbox" / "done"), "the other source works on", patience=20)
        assert {mood: reason(one, mood) for mood in far} == REASONS
        for mood in far:
            assert one.metric("monitor_source_failing", source=mood) == 1
            assert one.metric("monitor_fetches_total", source=mood, outcome=REASONS[mood]) > 0
            assert one.said(f"source {mood} failed ({REASONS[mood]})")
            assert rows_of(one, mood) == 80
        assert one.metric("monitor_source_failing", source="inbox") == 0
        assert one.status() == 200, "bad sources do not make the daemon unready"
        for web in far.values():
            web.mood = "well"
        until(lambda: all(rows_of(one, mood) == 81 for mood in far), "what they had meanwhile is fetched")
        until(lambda: not any(failing(one, mood) for mood in far), "all are well again")
        assert "Traceback" not in one.log.read_text("utf-8")
        assert one.stop()[0] == 0


def rows_of(one: Daemon, name: str) -> int:
    query = "SELECT count(*) FROM observation JOIN series ON series.id = series_id WHERE source = ?"
    return int(one.one(query, name))


def reason(one: Daemon, name: str) -> str:
    return str(one.one("SELECT last_reason FROM source_state WHERE source = ?", name))


def failing(one: Daemon, name: str) -> bool:
    """What /readyz says of a source."""
    checks = {c["name"]: c for c in json.loads(one.get("/readyz")[1] or '{"checks": []}')["checks"]}
    return not checks.get(f"source:{name}", {"ok": True})["ok"]


def test_a_source_that_is_gone_at_the_start_holds_nothing_up(tmp_path: Path) -> None:
    with source([ITEMS[9]], yesterday()) as far:
        config = CONFIG + WEB.format(name="web", url=far.url)
    with daemon(tmp_path, config) as one:
        until(lambda: failing(one, "web"), "it is seen to be gone")
        assert reason(one, "web") == "refused"
        drop(tmp_path / "inbox", "a.csv", planted("a.csv", ITEMS[0], yesterday()).text)
        until(lambda: names(tmp_path / "inbox" / "done"), "the other source works")
        assert one.stop()[0] == 0


def test_sheets_that_are_no_sheets_go_to_bad_with_their_reason_and_the_others_are_taken(tmp_path: Path) -> None:
    with daemon(tmp_path, CONFIG) as one:
        inbox = tmp_path / "inbox"
        drop(inbox, "page.csv", "<html><body>no sheet</body></html>")
        drop(inbox, "empty.csv", "")
        drop(inbox, "half.csv", "date,item,point,value\n2026-01-05,芹菜,东市场,5\n2026-01-32,芹菜,东市场,5\n")
        drop(inbox, "good.csv", planted("good.csv", ITEMS[0], yesterday()).text)
        until(lambda: not names(inbox), "all are put away")
        assert names(inbox / "bad") == ["empty.csv", "empty.csv.report.txt", "page.csv", "page.csv.report.txt"]
        assert names(inbox / "done") == ["good.csv", "half.csv", "half.csv.rejects.csv"]
        assert "2026-01-32" in (inbox / "done" / "half.csv.rejects.csv").read_text("utf-8-sig")
        assert one.metric("monitor_rejects_total", source="inbox") == 3
        assert one.stop()[0] == 0


GONE = """
[[channel]]
kind = "webhook"
name = "gone"
url = "http://127.0.0.1:1/"
secret = { env = "DUTY_SECRET" }
"""


def test_a_far_end_that_refuses_stops_no_other_channel(tmp_path: Path) -> None:
    alerts = '[alerts]\nmax_age = "36500d"\nstorm_limit = 1000'
    config = CONFIG.replace("[alerts]", alerts).replace(
        "default_targets = [", 'default_targets = [{ channel = "gone", address = "duty" }, '
    )
    with daemon(tmp_path, config + GONE, env={"DUTY_SECRET": "a secret of the test alone"}) as one:
        drop(tmp_path / "inbox", "a.csv", planted("a.csv", ITEMS[0], yesterday()).text)
        until(lambda: one.metric("monitor_sends_total", channel="gone", result="refused") > 0, "it is refused")
        until(lambda: one.metric("monitor_sends_total", channel="log", result="sent") > 0, "the other tells")
        until(lambda: one.metric("monitor_outbox_queue_age_seconds", channel="gone") > 0, "its queue is seen")
        assert one.one("SELECT count(*) FROM notification WHERE channel = 'gone' AND state = 'pending'") > 0
        assert one.stop()[0] == 0
