"""The command line as a whole, through the real console script: exit codes, and never a trace for a user."""

from __future__ import annotations

import argparse
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from monitor import cli
from monitor.cli import COMMANDS, main
from tests.faults.daemon import CONSOLE_SCRIPT, monitor

ROOT = Path(__file__).parents[2]
CONFIG = '[database]\nurl = "sqlite:///monitor.db"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a small configuration."""
    (tmp_path / "config.toml").write_text(CONFIG, "utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "COMMAND"),
        (("nonsense",), "invalid choice: 'nonsense'"),
        (("import",), "FILE"),
        (("check", "--colour"), "--colour"),
        (("replay", "--input", "a.csv"), "--out"),
        (("replay", "--input", "a.csv", "--out", "o", "--from", "2026-13-01"), "'2026-13-01' is not a day"),
        (("replay", "--input", "a", "--out", "o", "--from", "2026-02-01", "--to", "2026-01-01"), "is after --to"),
        (("tokens",), "action"),
        (("tokens", "create", "平台", "--scope", "flags:read", "--days", "0"), "from 1 to 36500"),
        (("roster", "show", "--days", "99999999999"), "from 1 to 3660"),
        (("roster", "remove-shift", "9" * 30), "is not a whole number"),
        (("roster", "add-shift", "甲", "cooking", "2026-01-01T00:00", "2026-01-02T00:00"), "choose from"),
    ],
)
def test_wrong_arguments_exit_2_and_say_what_is_wrong(folder: Path, arguments: tuple[str, ...], said: str) -> None:
    done = monitor(*arguments, cwd=folder)
    assert done.returncode == 2
    assert said in done.stderr
    assert "usage: monitor" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "monitor.db").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_describes_itself(folder: Path, command: str) -> None:
    done = monitor(command, "--help", cwd=folder)
    assert done.returncode == 0
    assert COMMANDS[command][0] in " ".join(done.stdout.split())


NEEDING_CONFIGURATION = [
    ("run",),
    ("import", "a.csv"),
    ("explain", "x"),
    ("tokens", "list"),
    ("roster", "show"),
    ("replay", "--input", "a.csv", "--out", "out", "--config", "config.toml"),
]


@pytest.mark.parametrize("arguments", NEEDING_CONFIGURATION, ids=lambda a: a[0])
def test_a_faulty_configuration_is_told_with_every_fault_by_every_command(
    folder: Path, arguments: tuple[str, ...]
) -> None:
    (folder / "config.toml").write_text("[web]\nport = 99999\n[weather]\nsunny = true\n", "utf-8")
    (folder / "a.csv").write_text("date,item,point,value\n2026-01-05,芹菜,东市场,5\n", "utf-8")
    done = monitor(*arguments, cwd=folder)
    assert done.returncode == 1
    assert done.stderr.startswith(f"monitor {arguments[0]}: 2 faults\n")
    assert "config.toml: web.port: " in done.stderr
    assert "config.toml: weather: the key is unknown" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", NEEDING_CONFIGURATION[:-1], ids=lambda a: a[0])
def test_a_file_that_is_no_database_is_told_by_every_command(folder: Path, arguments: tuple[str, ...]) -> None:
    (folder / "monitor.db").write_bytes(b"this is no database at all. " * 400)
    (folder / "a.csv").write_text("date,item,point,value\n2026-01-05,芹菜,东市场,5\n", "utf-8")
    done = monitor(*arguments, cwd=folder)
    assert done.returncode == 1
    assert "is damaged or is not a database" in done.stderr
    assert "Traceback" not in done.stderr
    assert (folder / "monitor.db").read_bytes().startswith(b"this is no database")


def test_a_database_of_a_newer_version_is_told_and_left_alone(folder: Path) -> None:
    assert monitor("tokens", "list", cwd=folder).returncode == 0
    with closing(sqlite3.connect(folder / "monitor.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    for command in (("tokens", "list"), ("run",)):
        done = monitor(*command, cwd=folder)
        assert done.returncode == 1
        assert "newer" in done.stderr
        assert "Traceback" not in done.stderr


def test_check_exits_0_for_the_shipped_configuration() -> None:
    done = monitor("check", "--config", ROOT / "config.toml")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("no faults")
    assert "price-daqing" in done.stdout


def test_check_exits_1_with_every_fault_of_configuration_and_plans(folder: Path) -> None:
    plans = folder / "plans"
    plans.mkdir()
    (plans / "mine.toml").write_text('kind = "rules"\nid = "mine"\n', "utf-8")
    (folder / "config.toml").write_text(
        '[detection]\nplan_folders = ["plans"]\n[alerts]\nstorm_limit = 0\n[[source]]\nkind = "fax"\nname = "x"\n',
        "utf-8",
    )
    done = monitor("check", cwd=folder)
    assert done.returncode == 1
    faults = [line for line in done.stdout.splitlines() if line.startswith("fault: ")]
    for part in ("config.toml: alerts.storm_limit: ", "config.toml: source[1].kind: 'fax'", "mine.toml: rules: "):
        assert any(part in fault for fault in faults), part
    assert f"\n{len(faults)} faults, " in done.stdout
    assert done.stderr == ""


def test_check_of_a_missing_file_says_so() -> None:
    done = monitor("check", "--config", "/nowhere/config.toml")
    assert done.returncode == 1
    assert "/nowhere/config.toml: the file does not exist" in done.stdout


def test_output_that_nobody_reads_is_no_fault(folder: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [str(CONSOLE_SCRIPT), "check", "--config", str(ROOT / "config.toml")]
    try:
        done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_python_m_monitor_is_the_same_program(folder: Path) -> None:
    command = [sys.executable, "-m", "monitor", "check"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, env=with_project())
    assert done.returncode == 0
    assert "\nno faults, " in done.stdout


def with_project() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def broken(_: argparse.Namespace) -> int:
    """A command with a bug."""
    raise RuntimeError("the wheel came off")


def test_a_bug_is_one_line_for_the_user_and_a_trace_for_whoever_asks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Module:
        main = staticmethod(broken)

    monkeypatch.setattr(cli, "loaded", lambda _: Module)
    monkeypatch.delenv("MONITOR_TRACE", raising=False)
    assert main(["check"]) == 1
    said = capsys.readouterr().err
    assert "monitor check: a fault in the program (RuntimeError: the wheel came off)" in said
    assert said.count("\n") == 1
    monkeypatch.setenv("MONITOR_TRACE", "1")
    with pytest.raises(RuntimeError, match="the wheel came off"):
        main(["check"])
