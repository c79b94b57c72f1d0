"""`monitor records`: entering, listing and lifting, each with what goes wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.store import records
from tests.monitor.test_cli_people import CONFIG, database, good, refused

ADD = ("records", "add", "decision", "干预", "--issuer", "省政府", "--document", "黑政发〔2026〕1号")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.toml").write_text(CONFIG, "utf-8")
    return tmp_path


def test_a_decision_is_entered_listed_and_lifted(folder: Path) -> None:
    """Dates are local midnights; what is over is listed with --all only; both revisions are kept."""
    made = good(folder, *ADD, "--start", "2026-03-01", "--class", "粮", "--class", "油", "--area", "甲区")
    record_id = made.removeprefix("recorded: ").split("\t")[0]
    line = good(folder, "records", "list")
    assert line.split("\t")[1:] == [
        "decision",
        "干预",
        "省政府",
        "黑政发〔2026〕1号",
        "[粮] [油] @甲区",
        "from 2026-03-01 00:00",
        "in force\n",
    ]
    assert "until 2026-03-20 00:00" in good(folder, "records", "lift", record_id, "--end", "2026-03-20")
    assert good(folder, "records", "list") == ""
    assert record_id in good(folder, "records", "list", "--all")
    db = database(folder)
    assert [one.revision for one in records.revisions(db, record_id)] == [1, 2]
    assert records.revisions(db, record_id)[0].actor.startswith("cli:")
    db.close()


def test_what_is_seen_needs_no_document(folder: Path) -> None:
    good(folder, "records", "add", "observed", "抢购", "--start", "2026-03-01T09:30", "--item", "大米")
    assert "from 2026-03-01 09:30" in good(folder, "records", "list")


def test_what_cannot_be_recorded_is_said_by_field(folder: Path) -> None:
    """An issuer without the power, a class that does not exist, no scope, no time: and nothing is stored."""
    powerless = (
        "records",
        "add",
        "decision",
        "紧急",
        "--issuer",
        "省政府",
        "--document",
        "1",
        "--start",
        "2026-03-01",
    )
    assert "issuer: only 国务院 may take the measure 紧急" in refused(folder, *powerless, "--class", "粮")
    assert "classes: the class '粮食' is not in the catalogue" in refused(
        folder, *ADD, "--start", "2026-03-01", "--class", "粮食"
    )
    assert "items: the scope is missing" in refused(folder, *ADD, "--start", "2026-03-01")
    assert "is not a time" in refused(folder, *ADD, "--start", "昨天", "--class", "粮")
    assert "there is no record 'x'" in refused(folder, "records", "lift", "x", "--end", "2026-03-01")
    assert good(folder, "records", "list", "--all") == ""
