"""kill -9 of `monitor import` at many moments: each file is stored whole or not at all, the next run completes."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.daemon import CONSOLE_SCRIPT, sqlite_rows, until
from tests.faults.sheets import ITEMS, Sheet, calm, planted
from tests.faults.sources import yesterday
from tests.terminal import monitor

CONFIG = '[database]\nurl = "sqlite:///monitor.db"\n'
STEPS = 12
BAD_ROWS = 40


@pytest.fixture(scope="module")
def sheets() -> list[Sheet]:
    """A small one, two large ones, and a small one behind them."""
    large = [
        Sheet(f"{n}.csv", calm(ITEMS[3 * n : 3 * n + 3], yesterday(), 250, [f"第{p}监测点" for p in range(40)]))
        for n in (1, 2)
    ]
    return [planted("0.csv", ITEMS[0], yesterday()), *large, planted("3.csv", ITEMS[1], yesterday())]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, sheets: list[Sheet]) -> Path:
    """A folder with configuration, empty database and files; a large one holds rows that cannot be read."""
    folder = tmp_path_factory.mktemp("import")
    (folder / "config.toml").write_text(CONFIG, "utf-8")
    assert monitor("tokens", "list", cwd=folder).returncode == 0  # makes the database
    for sheet in sheets:
        bad = "2026-01-32,芹菜,东市场,元/500克,全市,5\n" * BAD_ROWS if sheet.name == "2.csv" else ""
        (folder / sheet.name).write_text(sheet.text + bad, "utf-8")
    return folder


def start(folder: Path, sheets: list[Sheet]) -> subprocess.Popen[bytes]:
    command = [str(CONSOLE_SCRIPT), "import", *(sheet.name for sheet in sheets)]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def stored(folder: Path) -> dict[str, tuple[int, int]]:
    """{file: (rows stored, rejects stored)} of every batch there is."""
    query = """
    SELECT name, (SELECT count(*) FROM observation WHERE batch_id = batch.id),
           (SELECT count(*) FROM reject WHERE batch_id = batch.id) FROM batch
    """
    return {name: (rows, rejects) for name, rows, rejects in sqlite_rows(folder / "monitor.db", query)}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_import_killed_at_any_moment_is_completed_by_the_next_one(
    tmp_path: Path, prepared: Path, sheets: list[Sheet]
) -> None:
    whole = {sheet.name: (len(sheet.rows), BAD_ROWS if sheet.name == "2.csv" else 0) for sheet in sheets}
    undisturbed = shutil.copytree(prepared, tmp_path / "undisturbed")
    begin = time.monotonic()
    assert start(undisturbed, sheets).wait(120) == 3
    seconds = time.monotonic() - begin
    assert stored(undisturbed) == whole
    seen: set[int] = set()
    for step in range(STEPS):
        folder = shutil.copytree(prepared, tmp_path / str(step))
        process = start(folder, sheets)
        done = step * len(sheets) // STEPS
        until(lambda: len(stored(folder)) >= done or process.poll() is not None, f"{done} files are stored")  # noqa: B023
        time.sleep(seconds / len(sheets) * (step % 3) / 3)
        process.kill()
        process.wait(10)
        before = stored(folder)
        assert before.items() <= whole.items(), "a file is stored whole or not at all"
        assert list(before) == [sheet.name for sheet in sheets][: len(before)]
        seen.add(len(before))
        check_next_runs(folder, sheets, before)
        assert len((folder / "2.csv.rejects.csv").read_text("utf-8-sig").splitlines()) == 1 + BAD_ROWS
        shutil.rmtree(folder)
    assert len(seen) >= 3, "the kills fell on different files"


def check_next_runs(folder: Path, sheets: list[Sheet], before: dict[str, tuple[int, int]]) -> None:
    """The next run stores what is missing, and the one after it nothing."""
    for again in (False, True):
        done = monitor("import", "--json", *(sheet.name for sheet in sheets), cwd=folder)
        assert done.returncode == 3
        for line, sheet in zip(done.stdout.splitlines(), sheets, strict=True):
            counts = json.loads(line)
            known = again or sheet.name in before
            assert (counts["accepted"], counts["duplicate"]) == (
                (0, len(sheet.rows)) if known else (len(sheet.rows), 0)
            )
            assert counts["revised"] == 0
    (count,) = sqlite_rows(folder / "monitor.db", "SELECT count(*), max(revision) FROM observation")
    assert count == (sum(len(sheet.rows) for sheet in sheets), 1)
    with closing(sqlite3.connect(folder / "monitor.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
