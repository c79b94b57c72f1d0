"""The audit in words: every action and object has them, and is found by them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from monitor.store import accounts, audit
from monitor.web.console import audit_words, i18n
from tests.console.people import visitor
from tests.web.conftest import NOW, Running
from tests.web.make import flag, store_flags
from tests.web.test_page import Page

PROGRAM = Path(audit_words.__file__).parents[2]


def test_every_action_of_the_audit_has_words_in_both_languages() -> None:
    english = i18n.translations("en")
    for code in audit.ACTS:
        assert re.search("[a-z]", english.gettext(audit_words.ACTIONS[code].message)), code
    assert set(audit_words.ACTIONS) == set(audit.ACTS), "words of what nobody can do"


def test_every_kind_of_object_in_the_audit_has_words() -> None:
    written = set(objects_written())
    assert len(written) > 15
    assert written <= set(audit_words.OBJECTS)


def objects_written() -> Iterator[str]:
    """The kinds of objects that the program names where it writes into the audit."""
    for path in PROGRAM.rglob("*.py"):
        if "node_modules" in path.parts:
            continue
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(call, ast.Call):
                continue
            name = ast.unparse(call.func).rpartition(".")[2]
            for given in call.args[2:3] if name == "viewed" else call.args[3:5] if name == "note" else ():
                text = given.values[0] if isinstance(given, ast.JoinedStr) else given
                if (
                    isinstance(text, ast.Constant)
                    and not str(text.value).startswith("user:")
                    and (name == "viewed" or ":" in str(text.value))
                ):
                    yield str(text.value).partition(":")[0]


def test_the_audit_is_searched_in_words_by_person_action_object_and_period(running: Running) -> None:
    db, hour = running.db, timedelta(hours=1)
    accounts.add(db, "li", NOW, shown="监测员丙", password="")
    store_flags(db, flag("f1"), flag("f2", item="鸡蛋", area="西区"))
    audit.note(db, "user:li", "view", "records:*", {}, NOW - 50 * hour)
    audit.note(db, "user:li", "view", "flag:f1", {}, NOW - 3 * hour)
    audit.note(db, "user:li", "flag.review", "flag:f1", {"verdict": "expected", "note": "节前"}, NOW - 2 * hour)
    audit.note(db, "user:wang", "flag.review", "flag:f2", {"verdict": "to_check", "note": ""}, NOW - hour)
    audit.note(db, "user:wang", "view", "queue", {"filters": "area=%E4%B8%9C%E5%8C%BA&state=all"}, NOW - hour)
    audit.note(db, "cli:root", "account.off", "account:wang", {}, NOW)
    reader = visitor(running, "auditor")

    def found(query: str) -> list[str]:
        table = reader.get(f"/admin/audit?{query}").text.partition("<tbody")[2]
        return [Page(line).words for line in table.split("<tr")[1:]]

    (line,) = found("actor=监测员丙&action=flag.review")
    for part in ("2026-03-02 07:30", "监测员丙", "user:li", "复核提示", "flag.review", "flag:f1", "结论：", "属预期"):
        assert part in line, part
    assert "状态 全部，地区 东区" in found("actor=wang&kind=queue")[0]
    assert "提示 鸡蛋 西区" in found("actor=wang&kind=flag")[0], "what the flag is about, not its id alone"
    assert len(found("kind=flag")) == 3
    assert len(found("kind=flag&which=f1&action=acts")) == 1
    assert found("kind=record") == [], "the page of all records is another kind"
    assert len(found("kind=records")) == 1
    assert len(found("actor=命令行")) == len(found("actor=cli:root")) == 1
    assert len(found("actor=监测员丙&until=2026-02-28")) == 1
    assert len(found("actor=监测员丙&since=2026-03-01")) == 2
    assert len(found("actor=监测员丙&since=2026-02-28&until=2026-03-02")) == 3
    assert len(found("actor=监测员丙&since=x&kind=nonsense")) == 3
    assert found("actor=nobody") == []


def test_a_period_is_found_by_halving_wherever_it_lies(running: Running) -> None:
    start = NOW - timedelta(days=100)
    for n in range(100):
        audit.note(running.db, "system", "view", f"item:{n}", {}, start + timedelta(days=n))
    for first, last in ((0, 1), (17, 20), (98, 100), (-5, 0), (100, 120), (0, 100)):
        since, until = start + timedelta(days=first), start + timedelta(days=last)
        lines = audit.look_up(running.db, audit.Asked(since=since, until=until), limit=200)
        wanted = [f"item:{n}" for n in reversed(range(max(first, 0), min(last, 100)))]
        assert [line.object for line in lines] == wanted
