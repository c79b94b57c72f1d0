"""docs/operations.md stays true: what it names exists, what the program says is quoted as it is said, and the recipes
for backup, restore and copying work on a database at work."""

from __future__ import annotations

import argparse
import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread

import pytest

from monitor.cli import COMMANDS, build_parser
from monitor.config import load_config
from monitor.store import errors
from monitor.store.database import Database, open_database
from monitor.store.observations import add, list_observations
from monitor.store.tokens import create, list_tokens
from tests.faults.daemon import until
from tests.monitor.configuration_doc import sections
from tests.store.build import NOW
from thresholds.model import Observation, ObservationBatch, SeriesKey

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text("utf-8")
SOURCES = [path for folder in ("monitor", "alerts", "collectors") for path in sorted((ROOT / folder).rglob("*.py"))]


def block(marker: str) -> str:
    """The code block behind `<!-- marker -->`."""
    found = re.findall(rf"<!-- {marker} -->\n```\w+\n(.*?)```", PAGE, re.DOTALL)
    assert len(found) == 1, marker
    return str(found[0])


def code() -> list[str]:
    """Code spans, and the lines of code blocks."""
    blocks = re.findall(r"^```(?:sh|ini)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    text = re.sub(r"^```.*?^```", "", PAGE, flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"`([^`\n]+)`", text) + [line for one in blocks for line in one.splitlines()]


def table(heading: str) -> list[list[str]]:
    """The rows of the first table behind a heading, without its head."""
    lines = PAGE.split(f"\n{heading}\n")[1].splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[first + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return rows


# --- what it names exists ------------------------------------------------------------------------------------------


def test_every_alert_rule_is_explained_once_and_no_other() -> None:
    rules = re.findall(
        r"^ +- alert: (\w+)$", (ROOT / "deploy/prometheus/alerts.yml").read_text("utf-8"), re.MULTILINE
    )
    assert [row[0].strip("`") for row in table("### Alerts")] == rules
    assert all(len(row) == 4 and all(row) for row in table("### Alerts"))


def test_every_reason_of_the_store_is_explained() -> None:
    text = "".join(path.read_text("utf-8") for path in (ROOT / "monitor" / "store").glob("*.py"))
    raised = set(re.findall(r'StoreError\(\s*"(\w+)"', text))
    reasons = raised | set(errors.REMEDIES) | set(errors.SQLITE_REASONS.values())
    assert reasons >= {"full", "locked", "newer_schema", "unsupported"}
    explained = " ".join(row[2] for row in table("## When something fails"))
    assert [reason for reason in sorted(reasons) if f"reason `{reason}`" not in explained] == []


def test_every_command_exists() -> None:
    actions = {
        name: next(iter(a.choices for a in parser._actions if isinstance(a, argparse._SubParsersAction)), None)
        for name, parser in subcommands().items()
    }
    named = [
        m.groups() for one in code() for m in re.finditer(r"(?:^|bin/)monitor ([a-z][a-z-]+)(?: ([a-z-]+))?", one)
    ]
    assert {command for command, _ in named} >= {"run", "check", "import", "tokens", "roster", "explain", "replay"}
    for command, action in named:
        assert command in COMMANDS
        known = actions[command]
        assert known is None or action is None or action in known, f"monitor {command} {action}"


def subcommands() -> dict[str, argparse.ArgumentParser]:
    made = next(a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction))
    return dict(made.choices)


def test_every_configuration_key_exists() -> None:
    keys: dict[str, set[str]] = {}
    for name, model in sections().items():
        keys.setdefault(name.split(".")[0], set()).update(model.model_fields)
    named = [m.groups() for one in code() for m in re.finditer(r"\[\[?(\w+)\]\]?(?: (\w+))?", one)]
    named = [(table, key) for table, key in named if not (table[0].isupper() or table == "journald")]
    assert len(named) > 20
    for name, key in named:
        assert name in keys, f"[{name}]"
        assert not key or key in keys[name], f"[{name}] {key}"


def test_the_configuration_of_the_installation_has_no_fault(tmp_path: Path) -> None:
    (text,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    path = tmp_path / "config.toml"
    path.write_text(text.replace("/var/lib/price-risk-monitor", str(tmp_path)), "utf-8")
    config, faults = load_config(path)
    assert faults == []
    assert config is not None
    assert config.database_url() == f"sqlite:///{tmp_path}/monitor.db"
    assert tomllib.loads(text)["database"]["url"].count("/") > 4, "an absolute path"


def test_every_metric_exists() -> None:
    known = set(re.findall(r"`(monitor_\w+)`", (ROOT / "docs" / "metrics.md").read_text("utf-8")))
    named = {name for one in code() for name in re.findall(r"\bmonitor_[a-z_]+", one)} - {"monitor_restored"}
    assert len(named) > 8
    assert sorted(named - known) == []


def test_paths_of_the_unit_are_those_of_the_unit() -> None:
    unit = (ROOT / "deploy/systemd/price-risk-monitor.service").read_text("utf-8")
    (command,) = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    program, _, arguments = command.partition(" run ")
    wrapper = re.sub(r"\\\n\s*", "", PAGE)
    assert f'{program} "$command" {arguments} "$@"' in wrapper
    assert re.findall(r"NUMBA_CACHE_DIR=(\S+)", unit) == re.findall(r"NUMBA_CACHE_DIR=(\S+)", PAGE)
    assert "EnvironmentFile=-/etc/price-risk-monitor/secrets.env" in unit
    assert (ROOT / "tools" / "setup.sh").exists()


# --- what the program says -----------------------------------------------------------------------------------------


def said() -> str:
    """Every text in the source, one a line, as the program puts it together."""
    texts: list[str] = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
            elif isinstance(node, ast.JoinedStr):
                texts.append("".join(str(p.value) if isinstance(p, ast.Constant) else "{}" for p in node.values))
    return "\n".join(texts)


def test_what_the_log_says_is_quoted_as_it_is_said() -> None:
    # in a process of its own: CPython 3.11 cannot parse in one in which a test recursed deeply
    command = [sys.executable, "-m", "tests.monitor.test_operations_doc"]
    everything = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=True).stdout
    rows = table("## When something fails")
    quoted = [span for row in rows for span in re.findall(r"`([^`]+)`", row[1])]
    quoted += ["数据库已有 … 秒没有应答", "still under way at the end, done again after the next start"]
    quoted += ["the new configuration is in force", "has changed: that comes into force at the next start"]
    quoted += ["metric … could not be kept", "job … goes through again"]
    assert len(quoted) > 30
    parts = {part for quote in quoted if quote[0] not in "[." for part in re.split(r" ?… ?", quote)}
    assert [part for part in sorted(parts) if part not in everything] == []


# --- the recipes ---------------------------------------------------------------------------------------------------

ROWS = 40


@pytest.fixture
def sqlite_command() -> None:
    if shutil.which("sqlite3") is None:
        pytest.skip("SQLite's command is not installed (apt-get install sqlite3)")


def write(db: Database, number: int) -> None:
    """One transaction of ROWS rows."""
    key = SeriesKey(f"品种{number}", point="东市场")
    rows = [Observation(key, NOW - timedelta(days=n), 1.0 + number + n) for n in range(ROWS)]
    add(db, ObservationBatch.of(rows), source="s", name=f"{number}.csv", now=NOW)


def held(db: Database) -> dict[str, int]:
    """{item: rows}"""
    found: dict[str, int] = {}
    for one in list_observations(db, limit=1_000_000):
        found[one.series.key.item] = found.get(one.series.key.item, 0) + 1
    return found


@contextmanager
def writing(db: Database, first: int) -> Iterator[list[int]]:
    """Another thread stores one sheet after the other; gives the numbers of those stored so far."""
    stop, stored = Event(), list[int]()

    def work() -> None:
        number = first
        while not stop.is_set():
            write(db, number)
            stored.append(number)
            number += 1

    thread = Thread(target=work)
    thread.start()
    try:
        yield stored
    finally:
        stop.set()
        thread.join()


def run(script: str, folder: Path, **env: object) -> subprocess.CompletedProcess[str]:
    path = folder / "recipe.sh"
    path.write_text(script, "utf-8")
    environment = os.environ | {name: str(value) for name, value in env.items()}
    return subprocess.run(["sh", str(path)], capture_output=True, text=True, env=environment, timeout=120)


@pytest.mark.usefixtures("sqlite_command")
def test_a_backup_made_while_the_daemon_writes_holds_all_that_was_committed_and_can_be_restored(
    sqlite_db: Database, fast_path: Path
) -> None:
    assert sqlite_db.path is not None
    backups, crashed = fast_path / "backups", fast_path / "crashed"
    backups.mkdir()
    for number in range(5):
        write(sqlite_db, number)
    with writing(sqlite_db, 5) as stored:
        until(lambda: len(stored) > 3, "it is at work")
        before = list(stored)
        done = run(block("recipe: backup"), fast_path, DATABASE=sqlite_db.path, BACKUPS=backups)
        assert done.returncode == 0, done.stderr
        after = len(stored)
        until(lambda: len(stored) > after, "it was not held up for ever")
    (copy,) = backups.iterdir()
    assert copy.stat().st_mode & 0o777 == 0o640
    # the folder as a kill leaves it, with a log that holds later rows
    crashed.mkdir()
    for beside in ("", "-wal", "-shm"):
        shutil.copy(f"{sqlite_db.path}{beside}", crashed)
    database = crashed / sqlite_db.path.name
    done = run(block("recipe: restore"), fast_path, DATABASE=database, COPY=copy)
    assert done.returncode == 0, done.stderr
    restored = open_database(f"sqlite:///{database}")
    found = held(restored)
    assert set(found) >= {f"品种{n}" for n in [*range(5), *before]}, "all that was committed before"
    assert set(found.values()) == {ROWS}, "transactions are whole or not there"
    assert len(found) < 5 + len(stored), "the old log was not put onto it"
    write(restored, 100_000)
    restored.close()
    (old,) = crashed.glob("monitor.db.*T*[0-9]")
    aside = open_database(f"sqlite:///{old}")
    assert len(held(aside)) == 5 + len(stored), "the old database stays whole, with its log"
    aside.close()


@pytest.mark.usefixtures("sqlite_command")
def test_a_backup_that_cannot_be_made_leaves_no_file_that_looks_like_one(fast_path: Path) -> None:
    backups = fast_path / "backups"
    backups.mkdir()
    (fast_path / "broken.db").write_bytes(b"no database " * 1000)
    done = run(block("recipe: backup"), fast_path, DATABASE=fast_path / "broken.db", BACKUPS=backups)
    assert done.returncode != 0
    assert list(backups.glob("*.db")) == []


@pytest.mark.usefixtures("sqlite_command")
def test_a_damaged_backup_is_refused_before_the_database_is_touched(sqlite_db: Database, fast_path: Path) -> None:
    write(sqlite_db, 1)
    sqlite_db.close()
    assert sqlite_db.path is not None
    copy = fast_path / "damaged.db"
    content = sqlite_db.path.read_bytes()
    copy.write_bytes(content[:8192] + os.urandom(len(content) - 8192))
    done = run(block("recipe: restore"), fast_path, DATABASE=sqlite_db.path, COPY=copy)
    assert done.returncode != 0
    assert sqlite_db.path.read_bytes() == content


@pytest.mark.usefixtures("sqlite_command")
def test_those_who_were_not_told_are_found(sqlite_db: Database) -> None:
    (query,) = re.findall(r'"(SELECT datetime\(.*?)"\n', PAGE, re.DOTALL)
    command = ["sqlite3", "-readonly", str(sqlite_db.path), query]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_copy_into_another_kind_of_database_is_whole_and_goes_on(
    sqlite_db: Database, db_url: str, tmp_path: Path
) -> None:
    for number in range(3):
        write(sqlite_db, number)
    create(sqlite_db, "城东市场", ["observations:write"], NOW)
    script = tmp_path / "copy_database.py"
    script.write_text(block("recipe: copy"), "utf-8")
    target = db_url if db_url.startswith("postgresql") else f"sqlite:///{tmp_path}/target.db"
    command = [sys.executable, str(script), f"sqlite:///{sqlite_db.path}", target]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    assert f"observation: {3 * ROWS}" in done.stdout
    copied = open_database(target)
    assert held(copied) == held(sqlite_db)
    assert [one.name for one in list_tokens(copied)] == ["城东市场"]
    write(copied, 3)  # numbers go on where they ended
    create(copied, "城西市场", ["observations:write"], NOW)
    assert len(held(copied)) == 4
    copied.close()
    again = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert again.returncode == 1
    assert "is not empty: nothing was copied" in again.stderr


def test_systemd_finds_nothing_wrong_with_the_units_of_the_backup(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed (Debian: apt-get install systemd)")
    for kind in ("service", "timer"):
        text = block(f"unit: {kind}").replace("/usr/local/sbin/price-risk-monitor-backup", "/bin/true")
        (tmp_path / f"price-risk-monitor-backup.{kind}").write_text(text, "utf-8")
    units = [str(path) for path in sorted(tmp_path.iterdir())]
    done = subprocess.run([program, "verify", "--man=no", *units], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "price-risk-monitor-backup" not in done.stderr


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]  # a TextIO has it
    print(said())
