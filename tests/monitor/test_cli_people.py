"""`monitor tokens`, `monitor roster` and `monitor explain`, each with what goes wrong."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from alerts.texts import short_code
from monitor.check import check
from monitor.evaluation import Evaluation
from monitor.metrics import Metrics
from monitor.store import tokens
from monitor.store.database import Database, open_database
from monitor.store.flags import list_flags
from tests.faults.daemon import sqlite_rows
from tests.faults.sheets import planted
from tests.terminal import monitor

SHANGHAI = ZoneInfo("Asia/Shanghai")
CONFIG = """
[database]
url = "sqlite:///monitor.db"
[alerts]
default_targets = [{ channel = "log", address = "值班室" }]
[[channel]]
kind = "file"
name = "log"
path = "alerts.jsonl"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.toml").write_text(CONFIG, "utf-8")
    return tmp_path


def good(folder: Path, *arguments: object) -> str:
    done = monitor(*arguments, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(folder: Path, *arguments: object) -> str:
    done = monitor(*arguments, cwd=folder)
    assert done.returncode == 1
    assert done.stderr.startswith(f"monitor {arguments[0]}: ")
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.stderr


def database(folder: Path) -> Database:
    return open_database(f"sqlite:///{folder}/monitor.db")


# --- tokens --------------------------------------------------------------------------------------------------------


def test_a_token_is_printed_alone_works_and_is_not_stored(folder: Path) -> None:
    done = monitor("tokens", "create", "采集平台", "--scope", "observations:write,observations:read", cwd=folder)
    assert done.returncode == 0
    assert "shown this once" in done.stderr
    secret = done.stdout.strip()
    assert done.stdout == f"{secret}\n"
    db = database(folder)
    now = datetime.now(UTC)
    info = tokens.verify(db, secret, now)
    db.close()
    assert info is not None
    assert info.scopes == {"observations:write", "observations:read"}
    assert info.works(now + timedelta(days=36_500))
    assert secret.encode() not in (folder / "monitor.db").read_bytes()


def test_tokens_are_listed_with_state_scopes_and_days(folder: Path) -> None:
    good(folder, "tokens", "create", "采集平台", "--scope", "flags:review", "--scope", "flags:read", "--days", "30")
    good(folder, "tokens", "create", "旧平台", "--scope", "metrics:read")
    assert good(folder, "tokens", "revoke", "旧平台") == "revoked: 旧平台\n"
    today = datetime.now(SHANGHAI).date()
    assert good(folder, "tokens", "list").splitlines() == [
        f"采集平台\tvalid\tflags:read flags:review\tmade {today}, until {today + timedelta(days=30)}",
        f"旧平台\trevoked\tmetrics:read\tmade {today}",
    ]


def test_a_revoked_token_opens_nothing(folder: Path) -> None:
    secret = good(folder, "tokens", "create", "采集平台", "--scope", "flags:read").strip()
    good(folder, "tokens", "revoke", "采集平台")
    db = database(folder)
    assert tokens.verify(db, secret, datetime.now(UTC)) is None
    db.close()


def test_tokens_that_cannot_be_made_or_revoked_are_told(folder: Path) -> None:
    good(folder, "tokens", "create", "采集平台", "--scope", "flags:read")
    taken = refused(folder, "tokens", "create", "采集平台", "--scope", "flags:read")
    assert "there is a token named '采集平台' already; choose another name" in taken
    assert "there is no scope 'all'; use observations:write" in refused(
        folder, "tokens", "create", "x", "--scope", "all"
    )
    assert "needs a name" in refused(folder, "tokens", "create", " ", "--scope", "flags:read")
    assert "there is no token '无' that works" in refused(folder, "tokens", "revoke", "无")
    assert sqlite_rows(folder / "monitor.db", "SELECT name FROM token") == [("采集平台",)]


# --- roster --------------------------------------------------------------------------------------------------------


def test_people_contacts_and_shifts_are_added_shown_and_removed(folder: Path) -> None:
    now = datetime.now(SHANGHAI)
    begin, end = (now - timedelta(hours=1)), (now + timedelta(days=2))
    assert good(folder, "roster", "add-person", "值班员甲") == "added: 值班员甲\n"
    assert good(folder, "roster", "add-contact", "值班员甲", "log", "13800000000") == "added: contact 1 of 值班员甲\n"
    span = (f"{begin:%Y-%m-%dT%H:%M}", f"{end:%Y-%m-%dT%H:%M}")
    assert good(folder, "roster", "add-shift", "值班员甲", "monitoring", *span) == "added: shift 1 of 值班员甲\n"
    shown = good(folder, "roster", "show", "--days", "1")
    assert "值班员甲\n  contact 1: log 13800000000 (priority 1)\n" in shown
    assert f"shift 1: {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} monitoring 值班员甲" in shown
    assert "GAP: nobody on technical duty" in shown
    assert "GAP: nobody on monitoring duty" not in shown
    good(folder, "roster", "deactivate", "值班员甲")
    assert "GAP: nobody on monitoring duty" in good(folder, "roster", "show", "--days", "1")
    good(folder, "roster", "activate", "值班员甲")
    good(folder, "roster", "remove-contact", "1")
    good(folder, "roster", "remove-shift", "1")
    shown = good(folder, "roster", "show", "--days", "1")
    assert "contact" not in shown
    assert "shift" not in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add-person", "值班员甲"), "there is already a person named '值班员甲'"),
        (("add-person", " "), "the name is empty"),
        (("add-contact", "值班员乙", "log", "1"), "there is no person named '值班员乙'"),
        (("add-contact", "值班员甲", "fax", "1"), "there is no channel 'fax'; use one of log"),
        (("add-contact", "值班员甲", "log", ""), "the address is empty"),
        (("add-shift", "值班员甲", "monitoring", "morgen", "2026-01-02T08:00"), "'morgen' is not a time"),
        (("add-shift", "值班员甲", "monitoring", "2026-01-02T08:00", "2026-01-01T08:00"), "does not end after"),
        (("add-shift", "值班员甲", "monitoring", "0001-01-01T00:00", "2026-01-01T08:00"), "the year 1 cannot"),
        (("remove-contact", "7"), "there is no contact with the number 7"),
        (("remove-shift", "7"), "there is no shift with the number 7"),
        (("activate", "值班员乙"), "there is no person named '值班员乙'"),
    ],
)
def test_entries_that_cannot_be_meant_are_refused(folder: Path, arguments: tuple[str, ...], said: str) -> None:
    good(folder, "roster", "add-person", "值班员甲")
    assert said in refused(folder, "roster", *arguments)
    assert "shift" not in good(folder, "roster", "show")


# --- explain -------------------------------------------------------------------------------------------------------


def test_explain_gives_the_reasoning_of_a_flag(folder: Path) -> None:
    last = datetime.now(SHANGHAI).date() - timedelta(days=1)
    sheet = planted("prices.csv", "鸡蛋", last)
    (folder / sheet.name).write_text(sheet.text, "utf-8")
    good(folder, "import", sheet.name)
    evaluate(folder)
    db = database(folder)
    flags = [record.flag for record in list_flags(db)]
    db.close()
    assert {flag.kind for flag in flags} == {"move", "data"}
    for flag in flags:
        said = good(folder, "explain", flag.id)
        assert "鸡蛋" in said
        assert flag.rule in said
        assert len(said.splitlines()) >= 3
        assert len(set(said.splitlines())) == len(said.splitlines())
    assert good(folder, "explain", short_code(flags[0].id).lower()) == good(folder, "explain", flags[0].id)


def evaluate(folder: Path) -> None:
    """What the daemon does with what was imported."""
    report = check(folder / "config.toml")
    assert report.config is not None
    assert report.policy is not None
    now = datetime.now(UTC)
    db = database(folder)
    Evaluation(db, report.config, report.policy, Metrics(lambda: now)).evaluate(now)
    db.close()


@pytest.mark.parametrize("flag", ["nothing", "", "'; DROP TABLE flag; --", os.fsdecode(b"\xed\xa0\x80")])
def test_explain_of_a_flag_that_is_not_there_says_so(folder: Path, flag: str) -> None:
    assert "there is no flag" in refused(folder, "explain", flag)
