"""`monitor duties`: entered, listed, changed and ended, each with what goes wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.store import audit, duty_rules
from tests.monitor.test_cli_people import CONFIG, database, good, refused


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.toml").write_text(CONFIG, "utf-8")
    return tmp_path


def test_a_duty_is_entered_changed_and_ended_and_its_history_is_kept(folder: Path) -> None:
    made = good(folder, "duties", "add", "--point", "东市场", "--item", "鸡蛋", "--item", "猪肉", "--days", "working",
                "--due", "09:30", "--from", "2026-03-01", "--note", "市价〔2026〕3号")  # fmt: skip
    id = made.partition(": ")[2].split("\t")[0]
    line = good(folder, "duties", "list")
    assert line.split("\t")[:5] == [id, "东市场", "鸡蛋 猪肉", "working by 09:30", "from 2026-03-01"]
    good(
        folder,
        "duties",
        "change",
        id,
        "--class",
        "蛋",
        "--days",
        "mon,thu",
        "--working-days",
        "--until",
        "2099-01-01",
    )
    assert "all points\t[蛋]\tmon,thu on working days by 10:00" in good(folder, "duties", "list")
    good(folder, "duties", "end", id)
    assert good(folder, "duties", "list") == ""
    assert "ended from" in good(folder, "duties", "list", "--all")
    db = database(folder)
    assert [(one.revision, one.ended) for one in duty_rules.history(db, id)] == [(1, False), (2, False), (3, True)]
    acts = [e.action for e in audit.entries(db, object=f"duty:{id}")]
    assert sorted(acts) == ["duty.add", "duty.change", "duty.end"]
    db.close()


@pytest.mark.parametrize(
    ("days", "shown"),
    [
        ("daily", "daily by"),
        ("7d", "7d by"),
        ("emergency", "emergency by"),
        ("usual", "usual by"),
        ("none", "none\t"),
    ],
)
def test_days_are_listed_as_they_are_typed(folder: Path, days: str, shown: str) -> None:
    assert f"\t{shown}" in good(folder, "duties", "add", "--days", days)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "--days", "sometimes"), "are no days"),
        (("add", "--days", "daily", "--due", "ten"), "no time of day"),
        (("add", "--days", "emergency", "--working-days"), "emergency: an emergency report is due on every day"),
        (("add", "--days", "working", "--class", "没有"), "not in the catalogue"),
        (("change", "x", "--days", "daily"), "there is no duty 'x'"),
        (("end", "x"), "there is no duty 'x'"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_stored(folder: Path, arguments: tuple[str, ...], said: str) -> None:
    assert said in refused(folder, "duties", *arguments)
    assert good(folder, "duties", "list", "--all") == ""
