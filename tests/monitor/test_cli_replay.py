"""`monitor replay`: the same files byte for byte, without any database, cut and filtered as asked."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.faults.daemon import names
from tests.faults.sheets import HEAD, Sheet, correction, planted
from tests.terminal import monitor

LAST = date(2026, 3, 31)
RISE = LAST - timedelta(days=8)
SLIP = LAST - timedelta(days=30)
PRICES = planted("prices.csv", "芹菜", LAST)
MORE = planted("more.csv", "鸡蛋", LAST)
COLUMNS = "flag,kind,plan,rule,item,point,area,direction,start,end,first_flagged,peak,peak_grade,value,expected,"
COLUMNS += "threshold,reason"
PACK = """
kind = "rules"
id = "mine"
title = "本单位规则"
version = "7"
enabled = true
effect = "watch"
source = { title = "本单位", place = "本市", year = "2026", mark = "P", reference = "内部", borrowed = false }
[[rules]]
id = "mine/tenth"
title = "一次上涨一成"
classes = ["菜"]
when = { kind = "change", over = "previous", op = ">=", percent = 10 }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two sheets and nothing else: no configuration, no database."""
    for sheet in (PRICES, MORE):
        (tmp_path / sheet.name).write_text(sheet.text, "utf-8")
    return tmp_path


def replay(
    folder: Path, *arguments: object, files: Sequence[str] = ("prices.csv", "more.csv")
) -> list[dict[str, str]]:
    """The flags that a replay writes into the folder `out`."""
    done = monitor("replay", "--input", *files, "--out", "out", *arguments, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    flags = flags_of(folder / "out")
    assert done.stdout.startswith(f"{len(flags)} flags in out/flags.csv; ")
    return flags


def flags_of(out: Path) -> list[dict[str, str]]:
    with (out / "flags.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def found(flags: list[dict[str, str]], kind: str, item: str) -> set[str]:
    """When flags of this kind and item begin."""
    return {flag["start"] for flag in flags if (flag["kind"], flag["item"]) == (kind, item)}


def test_planted_moves_and_slips_are_found_without_configuration_or_database(folder: Path) -> None:
    flags = replay(folder)
    assert (folder / "out" / "flags.csv").read_text("utf-8").startswith(COLUMNS)
    for item in ("芹菜", "鸡蛋"):
        assert RISE.isoformat() in found(flags, "move", item)
        assert found(flags, "data", item) == {SLIP.isoformat()}
    rise = next(f for f in flags if f["start"] == RISE.isoformat() and f["item"] == "鸡蛋" and f["kind"] == "move")
    assert (rise["direction"], rise["point"]) == ("up", "")
    slip = next(f for f in flags if f["kind"] == "data" and f["item"] == "芹菜")
    assert slip["point"] == "东市场"
    assert names(folder) == ["more.csv", "prices.csv"]
    assert names(folder / "out") == ["flags.csv", "rejects.csv", "summary.json"]


def test_the_same_input_gives_the_same_files_byte_for_byte(folder: Path) -> None:
    replay(folder)
    first = {name: (folder / "out" / name).read_bytes() for name in ("flags.csv", "rejects.csv")}
    shutil.rmtree(folder / "out")
    replay(folder)
    assert {name: (folder / "out" / name).read_bytes() for name in first} == first


def test_the_summary_counts_what_was_found(folder: Path) -> None:
    with (folder / "prices.csv").open("a", encoding="utf-8") as file:
        file.write("2026-02-30,芹菜,东市场,元/500克,全市,5\n")
    flags = replay(folder)
    summary = json.loads((folder / "out" / "summary.json").read_text("utf-8"))
    assert (summary["series"], summary["observations"], summary["rejected"]) == (8, 480, 1)
    assert summary["flags"]["total"] == len(flags)
    for kind in ("move", "data"):
        assert summary["flags"]["kind"][kind] == sum(flag["kind"] == kind for flag in flags)
    assert sum(summary["flags"]["grade"].values()) == len(flags)
    assert summary["failed_rules"] == {}
    assert set(summary["seconds"]) == {"gate", "areas", "rules", "grading", "silence"}


def test_a_packs_history_says_how_many_flags_a_week_it_makes(folder: Path) -> None:
    """Two items at four points over sixty days; the pack flags the rise of one of them, once."""
    (folder / "mine.toml").write_text(PACK, "utf-8")
    flags = replay(folder, "--rules", "mine.toml")
    summary = json.loads((folder / "out" / "summary.json").read_text("utf-8"))
    assert (summary["weeks"], summary["series_weeks"]) == (round(59 / 7, 2), round(8 * 59 / 7, 2))
    assert summary["flags"]["rule"]["mine/tenth"] == summary["flags"]["kind"]["move"] == 1
    assert summary["flags"]["per_week"]["move"] == round(7 / 59, 3)
    assert summary["flags"]["per_100_series_weeks"]["move"] == round(100 * 7 / (8 * 59), 3)
    late = replay(folder, "--rules", "mine.toml", "--from", RISE.isoformat())
    summary = json.loads((folder / "out" / "summary.json").read_text("utf-8"))
    assert summary["weeks"] == round(8 / 7, 2), "weeks before the first day asked for have no flags, and do not count"
    assert summary["flags"]["per_week"]["move"] == round(7 / 8, 3)
    assert len(late) < len(flags)


def test_rejected_rows_are_written_with_their_file(folder: Path) -> None:
    bad = "2026-02-30,芹菜,东市场,元/500克,全市,5\n2026-02-01,芹菜,东市场,元/500克,全市,无\n"
    (folder / "prices.csv").write_text(PRICES.text + bad, "utf-8")
    replay(folder, files=["prices.csv"])
    rows = (folder / "out" / "rejects.csv").read_text("utf-8").splitlines()
    assert rows[0] == "row,reason,detail"
    assert [row.split(",")[:2] for row in rows[1:]] == [["242", "date"], ["243", "no_value"]]
    (folder / "other").mkdir()
    shutil.copy(folder / "prices.csv", folder / "other")
    replay(folder, files=["prices.csv", "other/prices.csv", "prices.csv"])
    rows = (folder / "out" / "rejects.csv").read_text("utf-8").splitlines()
    assert rows[0] == "row,reason,detail,file"
    files = [row.rpartition(",")[2] for row in rows[1:]]
    assert files == ["prices.csv"] * 2 + ["other/prices.csv"] * 2 + ["prices.csv (2)"] * 2


def test_a_file_cut_at_a_date_gives_the_same_flags_up_to_that_date(folder: Path) -> None:
    whole = replay(folder, "--to", LAST.isoformat())
    day = RISE - timedelta(days=1)
    cut = replay(folder, "--to", day.isoformat())
    assert {f["flag"] for f in cut} == {f["flag"] for f in whole if f["first_flagged"] <= day.isoformat()}
    assert not {f["flag"] for f in cut if f["start"] >= RISE.isoformat()}
    assert json.loads((folder / "out" / "summary.json").read_text("utf-8"))["observations"] < 480


def test_from_leaves_out_earlier_flags_and_changes_no_other(folder: Path) -> None:
    whole = replay(folder)
    late = replay(folder, "--from", RISE.isoformat())
    assert late == [flag for flag in whole if flag["first_flagged"] >= RISE.isoformat()]
    assert 0 < len(late) < len(whole)


def test_plan_takes_only_that_plan(folder: Path) -> None:
    assert {flag["plan"] for flag in replay(folder, "--plan", "finance-luohe")} <= {"", "finance-luohe"}
    with_plan = replay(folder, "--plan", "price-daqing")
    assert "price-daqing" in {flag["plan"] for flag in with_plan}


def test_rules_takes_the_place_of_the_shipped_packs(folder: Path) -> None:
    (folder / "mine.toml").write_text(PACK, "utf-8")
    flags = replay(folder, "--rules", "mine.toml")
    moves = [flag for flag in flags if flag["kind"] == "move"]
    assert {flag["rule"] for flag in moves} == {"mine/tenth"}
    assert found(flags, "move", "芹菜") == {RISE.isoformat()}
    assert found(flags, "move", "鸡蛋") == set(), "the pack speaks of vegetables only"


def test_configuration_gives_rules_and_the_city(folder: Path) -> None:
    (folder / "config.toml").write_text(
        '[installation]\ncity = "某市"\n[detection]\ndisable = ["zj2004-cumulative"]\n', "utf-8"
    )
    east = {"东市场": "城东", "南超市": "城东"}
    rows = [line.split(",") for line in PRICES.text.splitlines()]
    rows = [rows[0], *([*row[:4], east.get(row[2], "城西"), row[5]] for row in rows[1:])]
    (folder / "areas.csv").write_text("".join(",".join(row) + "\n" for row in rows), "utf-8")
    flags = replay(folder, "--config", "config.toml", files=["areas.csv"])
    assert "某市" in {flag["area"] for flag in flags}
    assert {flag["rule"].partition("/")[0] for flag in flags} == {"gate", "stat-robust"}


def test_a_later_sheet_corrects_an_earlier_one_as_in_the_daemon(folder: Path) -> None:
    fixed = correction("fixed.csv", PRICES)
    (folder / fixed.name).write_text(fixed.text, "utf-8")
    assert found(replay(folder, files=["prices.csv"]), "data", "芹菜") == {SLIP.isoformat()}
    assert found(replay(folder, files=["prices.csv", "fixed.csv"]), "data", "芹菜") == set()
    assert found(replay(folder, files=["fixed.csv", "prices.csv"]), "data", "芹菜") == {SLIP.isoformat()}


def test_a_sheet_that_contradicts_itself_is_flagged_also_among_others(folder: Path) -> None:
    day = (LAST - timedelta(days=2)).isoformat()
    torn = Sheet("torn.csv", [])
    text = f"{HEAD}\n{day},芹菜,南超市,元/500克,全市,7.77\n{day},芹菜,南超市,元/500克,全市,8.88\n"
    (folder / torn.name).write_text(text, "utf-8")
    assert day in found(replay(folder, files=["prices.csv", "torn.csv"]), "data", "芹菜")
    assert day not in found(replay(folder, files=["prices.csv", "more.csv"]), "data", "芹菜")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--input", "missing.csv", "--out", "out"), "missing.csv cannot be read (No such file or directory)"),
        (("--input", "page.html", "--out", "out"), "网页"),
        (("--input", "prices.csv", "--out", "prices.csv"), "cannot write to prices.csv"),
        (("--input", "prices.csv", "--out", "out", "--plan", "nothing"), "--plan: the plan 'nothing' does not exist"),
        (
            ("--input", "prices.csv", "--out", "out", "--rules", "nothing.toml"),
            "nothing.toml: the file does not exist",
        ),
        (("--input", "prices.csv", "--out", "out", "--rules", "prices.csv"), "prices.csv: not valid TOML"),
        (("--input", "prices.csv", "--out", "out", "--config", "nothing.toml"), "nothing.toml: the file does not"),
    ],
)
def test_what_cannot_be_replayed_is_told_and_nothing_is_written(
    folder: Path, arguments: tuple[str, ...], said: str
) -> None:
    (folder / "page.html").write_text("<html>", "utf-8")
    done = monitor("replay", *arguments, cwd=folder)
    assert done.returncode == 1
    assert done.stderr.startswith("monitor replay: ")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "out").exists()


def test_one_bad_file_among_good_ones_gives_no_half_answer(folder: Path) -> None:
    (folder / "page.html").write_text("<html>", "utf-8")
    done = monitor("replay", "--input", "prices.csv", "page.html", "--out", "out", cwd=folder)
    assert done.returncode == 1
    assert not (folder / "out").exists()
