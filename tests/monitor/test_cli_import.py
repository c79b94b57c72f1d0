"""`monitor import`: every row is accounted for, nothing is stored twice, and each failure says what it means."""

from __future__ import annotations

import gzip
import json
import os
import pty
import shutil
import subprocess
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.daemon import CONSOLE_SCRIPT, sqlite_rows
from tests.faults.test_database import like_any_user
from tests.terminal import monitor

DATA = Path(__file__).parents[3] / "shared" / "data"
HEAD = "date,item,point,value\n"
GOOD = HEAD + "2026-01-05,芹菜,东市场,5\n2026-01-06,芹菜,东市场,5.1\n"
DIRTY = GOOD + "2026-01-32,芹菜,东市场,5\n2026-01-07,芹菜,东市场,无\n"
CONFIG = """
[database]
url = "sqlite:///data/monitor.db"
[[source]]
kind = "folder"
name = "市场"
path = "inbox"
every = "1m"
columns = { item = "名称", value = "售价", date = "日子", point = "地点" }
defaults = { unit = "元/500克", area = "城东" }
"""

Put = Callable[[str, str], Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.toml").write_text(CONFIG, "utf-8")
    return tmp_path


@pytest.fixture
def put(folder: Path) -> Put:
    def put(name: str, text: str) -> Path:
        (folder / name).write_text(text, "utf-8")
        return folder / name

    return put


def values(folder: Path) -> list[tuple[Any, ...]]:
    query = "SELECT item, point, revision, value FROM observation JOIN series ON series.id = series_id ORDER BY at, 3"
    return sqlite_rows(folder / "data" / "monitor.db", query)


def test_a_clean_sheet_goes_in_whole_and_the_second_run_stores_nothing(folder: Path, put: Put) -> None:
    put("good.csv", GOOD)
    first, second = (monitor("import", "good.csv", cwd=folder) for _ in range(2))
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout == "good.csv: accepted 2, duplicate 0, revised 0, rejected 0\n"
    assert (second.returncode, second.stderr) == (0, "")
    assert second.stdout == "good.csv: accepted 0, duplicate 2, revised 0, rejected 0\n"
    assert values(folder) == [("芹菜", "东市场", 1, 5.0), ("芹菜", "东市场", 1, 5.1)]
    assert not (folder / "good.csv.rejects.csv").exists()


def test_rejected_rows_exit_3_and_are_written_beside_the_file(folder: Path, put: Put) -> None:
    put("dirty.csv", DIRTY)
    done = monitor("import", "dirty.csv", cwd=folder)
    assert done.returncode == 3
    assert "accepted 2, duplicate 0, revised 0, rejected 2 (" in done.stdout
    assert "date 1" in done.stdout
    assert "no_value 1" in done.stdout
    assert "see dirty.csv.rejects.csv" in done.stdout
    lines = (folder / "dirty.csv.rejects.csv").read_text("utf-8-sig").splitlines()
    assert lines[0] == "row,reason,detail,date,item,point,value"
    assert [line.split(",")[:2] for line in lines[1:]] == [["4", "date"], ["5", "no_value"]]
    assert lines[1].endswith(",2026-01-32,芹菜,东市场,5")


def test_a_correction_is_a_revision(folder: Path, put: Put) -> None:
    put("good.csv", GOOD)
    put("correction.csv", HEAD + "2026-01-06,芹菜,东市场,5.2\n")
    done = monitor("import", "good.csv", "correction.csv", cwd=folder)
    assert done.returncode == 0
    assert done.stdout.splitlines()[1] == "correction.csv: accepted 0, duplicate 0, revised 1, rejected 0"
    assert values(folder)[1:] == [("芹菜", "东市场", 1, 5.1), ("芹菜", "东市场", 2, 5.2)]


def test_a_configured_source_lends_its_columns_and_defaults(folder: Path, put: Put) -> None:
    put("market.csv", "日子,名称,地点,售价\n2026-01-05,芹菜,东市场,5\n")
    without = monitor("import", "market.csv", cwd=folder)
    assert without.returncode == 1
    assert "nothing of market.csv was stored" in without.stderr
    done = monitor("import", "market.csv", "--source", "市场", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    query = "SELECT unit, area, source, name FROM series JOIN batch USING (source)"
    assert sqlite_rows(folder / "data" / "monitor.db", query) == [("元/500克", "城东", "市场", "market.csv")]


@pytest.mark.parametrize("name", ["", " ", "a\tb"])
def test_a_source_name_that_cannot_be_shown_is_refused(folder: Path, put: Put, name: str) -> None:
    put("good.csv", GOOD)
    done = monitor("import", "good.csv", "--source", name, cwd=folder)
    assert done.returncode == 1
    assert "the name of the source is empty or cannot be shown" in done.stderr
    assert values(folder) == []


def test_json_gives_one_object_per_file_whatever_becomes_of_it(folder: Path, put: Put) -> None:
    put("good.csv", GOOD)
    put("dirty.csv", DIRTY)
    put("page.csv", "<html>")
    done = monitor("import", "--json", "good.csv", "dirty.csv", "page.csv", "missing.csv", cwd=folder)
    assert done.returncode == 1, "the worst of all"
    good, dirty, page, missing = map(json.loads, done.stdout.splitlines())
    assert good == {"file": "good.csv", "accepted": 2, "duplicate": 0, "revised": 0, "rejected": 0, "reasons": {}}
    assert dirty == {
        "file": "dirty.csv",
        "accepted": 0,
        "duplicate": 2,
        "revised": 0,
        "rejected": 2,
        "reasons": {"date": 1, "no_value": 1},
    }
    assert page.keys() == missing.keys() == {"file", "error"}
    assert missing["error"] == "No such file or directory"


def test_a_missing_file_makes_no_database(folder: Path) -> None:
    """A slip in a name leaves nothing behind."""
    done = monitor("import", "missing.csv", cwd=folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert "nothing of missing.csv was stored: No such file or directory" in done.stderr
    assert not (folder / "data").exists()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("missing.csv", None, "No such file or directory"),
        ("empty.csv", b"", "文件是空的"),
        ("page.csv", b"<html><body>", "网页"),
        ("no-header.csv", "芹菜,5\n".encode(), "表头"),
        ("cut.csv.gz", gzip.compress(GOOD.encode() * 50, mtime=0)[:60], "不完整或已损坏"),
        ("old.xls", b"\xd0\xcf\x11\xe0" + bytes(600), "XLSX"),
        ("folder", "a folder", "directory"),
    ],
)
def test_a_file_that_is_no_sheet_is_told_and_the_others_go_in(
    folder: Path, put: Put, name: str, content: bytes | str | None, said: str
) -> None:
    put("good.csv", GOOD)
    if isinstance(content, bytes):
        (folder / name).write_bytes(content)
    elif content is not None:
        (folder / name).mkdir()
    done = monitor("import", name, "good.csv", cwd=folder)
    assert done.returncode == 1
    assert done.stdout == "good.csv: accepted 2, duplicate 0, revised 0, rejected 0\n"
    assert done.stderr.startswith(f"monitor import: nothing of {name} was stored: ")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "Errno" not in done.stderr


def test_a_reject_report_that_cannot_be_written_is_told_and_what_was_stored_is_not_denied(
    folder: Path, put: Put
) -> None:
    before = like_any_user()
    (folder / "shelf").mkdir()
    put("shelf/dirty.csv", DIRTY)
    assert monitor("tokens", "list", cwd=folder).returncode == 0  # makes the database
    (folder / "shelf").chmod(0o555)
    command = [*before, str(CONSOLE_SCRIPT), "import", "shelf/dirty.csv"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    (folder / "shelf").chmod(0o755)
    assert done.returncode == 1
    assert done.stdout.startswith("shelf/dirty.csv: accepted 2, duplicate 0, revised 0, rejected 2")
    assert "the accepted rows were stored, but shelf/dirty.csv.rejects.csv cannot be written" in done.stderr
    assert len(values(folder)) == 2


def test_on_a_terminal_a_bar_shows_the_progress_and_elsewhere_none_does(folder: Path) -> None:
    rows = [f"2026-01-{1 + n % 28:02},芹菜{n % 997},东市场,5\n" for n in range(60_000)]
    (folder / "long.csv").write_text(HEAD + "".join(rows), "utf-8")
    master, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    process = subprocess.Popen(
        [str(CONSOLE_SCRIPT), "import", "long.csv"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=terminal,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(terminal)
    shown = b""
    try:
        while piece := os.read(master, 4096):
            shown += piece
    except OSError:
        pass  # the other end of the terminal is closed
    os.close(master)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert b"long.csv" in shown
    assert b"%" in shown
    assert b"\r" not in out
    quiet = monitor("import", "long.csv", cwd=folder)
    assert quiet.stderr == ""


PUBLISHED = sorted(path.name for path in DATA.glob("*.csv.gz"))


@pytest.mark.slow
@pytest.mark.skipif(
    len(PUBLISHED) < 5, reason=f"{DATA} is not there: it lies beside the checkout only where it is developed"
)
def test_every_row_of_the_published_files_is_accounted_for_and_the_second_run_stores_nothing(folder: Path) -> None:
    """Accepted, duplicate and revised rows together with the rejected ones are all rows of the file."""
    for name in PUBLISHED:
        shutil.copy(DATA / name, folder)
    rows = {name: gzip.decompress((folder / name).read_bytes()).count(b"\n") - 1 for name in PUBLISHED}
    first, second = (monitor("import", "--json", *PUBLISHED, cwd=folder) for _ in range(2))
    for done in (first, second):
        assert done.returncode == 3, "a blank value is in the energy file"
        assert done.stderr == ""
    once = [json.loads(line) for line in first.stdout.splitlines()]
    twice = [json.loads(line) for line in second.stdout.splitlines()]
    for counts in (*once, *twice):
        kinds = ("accepted", "duplicate", "revised", "rejected")
        assert sum(counts[kind] for kind in kinds) == rows[counts["file"]], counts["file"]
        assert sum(counts["reasons"].values()) == counts["rejected"]
    assert {counts["file"]: counts["rejected"] for counts in once if counts["rejected"]} == {"energy_daily.csv.gz": 1}
    assert all(counts["accepted"] == counts["revised"] == 0 for counts in twice)
    stored = sqlite_rows(folder / "data" / "monitor.db", "SELECT count(*), sum(revision > 1) FROM observation")
    assert stored == [(sum(c["accepted"] + c["revised"] for c in once), sum(c["revised"] for c in once))]
