"""The page of the technician on duty: what is wrong, what waits; only for those who may see it."""

from __future__ import annotations

import re

from monitor.store import observations, sources
from monitor.web.context import Check, HealthReport
from tests.console.people import visitor
from tests.store.build import batch
from tests.web.conftest import NOW, Running, Serve
from tests.web.make import flag, store_flags


def words(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_what_is_wrong_is_named(serve: Serve) -> None:
    checks = [Check("database", False, "数据库已有 70 秒没有应答"), Check("source:能源", False, "失败", needed=False)]
    running = serve(changes={"health": lambda: HealthReport(checks)})
    sources.attempted(running.db, "能源", NOW)
    sources.failed(running.db, "能源", NOW, "timeout", "没有应答")
    text = words(visitor(running, "technician").get("/health").text)
    assert "有故障" in text
    assert "数据库 ✕ 异常 数据库已有 70 秒没有应答" in text
    assert re.search(r"能源 ✕ 失败 .*没有应答", text)


def test_messages_that_wait_and_series_not_evaluated_are_counted(running: Running) -> None:
    store_flags(running.db, flag("f1"), tell=True)
    observations.add(running.db, batch((3, 2.5)), source="日报", name="a.csv", now=NOW)
    text = words(visitor(running, "duty").get("/health").text)
    assert re.search(r"待发送 \d", text)
    assert re.search(r"待评估的序列 [1-9]", text)


def test_who_may_not_see_it_finds_no_page(running: Running) -> None:
    for role in ("viewer", "monitor", "reporter"):
        assert visitor(running, role).get("/health").status_code == 404
