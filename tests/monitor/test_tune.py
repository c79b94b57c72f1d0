"""`monitor tune`: load, recall and delay of a rule on a history where the right answer is known by hand."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from monitor import trade_off
from monitor.cli import main
from tests.terminal import monitor

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data"
FIRST = date(2026, 1, 5)
DAYS = 211
"""over 210 days, thirty weeks"""
STEPS = {
    "大白菜": {30: 1.12, 90: 1 / 1.12, 150: 1.25},
    "黄瓜": {60: 1.45, 120: 1 / 1.45, 180: 1.18},
    "芹菜": {100: 1.12, 102: 1.25},
}
"""{item: {day: the price from then on, times that before}}; in between prices do not move"""
PACK = """
kind = "rules"
id = "mine"
title = "本单位规则"
version = "1"
enabled = true
effect = "watch"
source = { title = "本单位", place = "本市", year = "2026", mark = "P", borrowed = false }

[[rules]]
id = "mine/rise"
title = "一次上涨超过20%"
classes = ["菜"]
direction = "up"
hold_days = 3
when = { kind = "change", over = "previous", percent = 20 }
"""
SECOND = """
[[rules]]
id = "mine/two"
title = "两档"
when = { any = [
    { kind = "change", over = "previous", percent = 20 },
    { kind = "lasting", readings = 2, of = { kind = "change", over = "1w", percent = 15 } },
] }

[[rules]]
id = "mine/twice"
title = "同一条件写了两次"
when = { any = [
    { all = [{ kind = "change", over = "1w", percent = 20 }, { kind = "points", at_least = 2 }] },
    { kind = "change", over = "1w", percent = 20 },
] }
"""
EVENTS = """item,direction,after,start,end,kind,note
大白菜,up,2026-02-03,2026-02-04,2026-02-04,move,day 30: +12 %
大白菜,down,2026-04-04,2026-04-05,2026-04-05,move,"the rule watches rises only"
大白菜,up,2026-06-03,2026-06-04,2026-06-04,move,day 150: +25 %
黄瓜,up,2026-03-05,2026-03-06,2026-03-06,,day 60: +45 %
芹菜,up,2026-04-14,2026-04-15,2026-04-17,move,"day 100: +12 %, day 102: +25 %"
生姜,up,,2026-04-15,,move,not in the sheet
大米,up,,2026-04-15,,move,no vegetable
黄瓜,up,,2026-07-01,,data,a slip
"""


def day(n: int) -> str:
    return (FIRST + timedelta(days=n)).isoformat()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the history of three vegetables and of rice, a pack, and a list of events; commands run in it."""
    monkeypatch.chdir(tmp_path)
    lines = ["date,item,point,unit,area,value"]
    for item in (*STEPS, "大米"):
        price = 4.0
        for n in range(DAYS):
            price *= STEPS.get(item, {50: 1.5}).get(n, 1.0)
            lines.append(f"{day(n)},{item},东市场,元/500克,全市,{price:.4f}")
    (tmp_path / "prices.csv").write_text("\n".join(lines) + "\n", "utf-8")
    (tmp_path / "mine.toml").write_text(PACK, "utf-8")
    (tmp_path / "several.toml").write_text(PACK + SECOND, "utf-8")
    (tmp_path / "events.csv").write_text(EVENTS, "utf-8")
    return tmp_path


def tune(*arguments: object, rules: str = "mine.toml") -> None:
    assert main(["tune", "--input", "prices.csv", "--rules", rules, "--out", "out", *map(str, arguments)]) == 0


def table(folder: Path, rule: str = "mine/rise") -> dict[str, dict[str, str]]:
    """The rows of tune.csv about one rule, by the value tried."""
    with (folder / "out" / "tune.csv").open(encoding="utf-8", newline="") as file:
        return {row["value"]: row for row in csv.DictReader(file) if row["rule"] == rule}


def column(rows: dict[str, dict[str, str]], name: str) -> list[str]:
    return [row[name] for row in rows.values()]


def picture(path: Path) -> tuple[int, int, int]:
    """Width, height and number of distinct colours of a PNG."""
    from matplotlib.image import imread

    pixels = np.asarray(imread(path))
    return pixels.shape[1], pixels.shape[0], len(np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0))


def test_load_recall_and_delay_are_those_worked_out_by_hand(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Six rises: 12, 25; 45, 18; 12 and two days later 25, a further move that has a flag of its own.

    Four events can be judged. At 10 % all are found, at the first report. At 20 % the first one is missed, and that
    of day 100 is found on day 102: three reports after the last normal one. At 30 % only the 45 % are left.
    """
    tune("--vary", "percent=10,20,30,50", "--events", "events.csv")
    said = capsys.readouterr().out
    rows = table(folder)
    assert column(rows, "flags") == ["6", "3", "1", "0"]
    assert column(rows, "own") == ["", "yes", "", ""]
    assert column(rows, "flags_per_week") == ["0.2", "0.1", "0.03333", "0"]
    assert column(rows, "flags_per_100_series_weeks") == ["6.667", "3.333", "1.111", "0"]
    assert column(rows, "events") == ["4"] * 4
    assert column(rows, "caught") == ["4", "3", "1", "0"]
    assert column(rows, "recall") == ["1", "0.75", "0.25", "0"]
    assert column(rows, "median_delay") == ["1", "1", "1", ""]
    with (folder / "out" / "tune-events.csv").open(encoding="utf-8", newline="") as file:
        events = {(row["item"], row["start"]): row for row in csv.DictReader(file)}
    assert [events["芹菜", day(100)][v] for v in ("10", "20", "30", "50")] == ["1", "3", "", ""]
    assert "mine/rise: when.percent (own value 20); 3 series, 30.0 weeks, 90.0 series-weeks; 4 events" in said
    assert f"missed with its own value: 大白菜 {day(30)}\n" in said


def test_events_that_cannot_be_judged_are_named_and_counted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tune("--vary", "percent=20", "--events", "events.csv")
    said = capsys.readouterr().err
    assert "1 of items or points that the sheets do not have (生姜)" in said
    assert f"2 whose item, direction or time the rule does not watch (大白菜 {day(90)}, 大米 2026-04-15)" in said
    assert "1 of another kind than move" in said
    with (folder / "out" / "tune-events.csv").open(encoding="utf-8", newline="") as file:
        judged = [(row["item"], row["judged"]) for row in csv.DictReader(file) if row["judged"] != "yes"]
    assert judged == [
        ("大白菜", "no: the rule does not watch it"),
        ("生姜", "no: unknown item or point"),
        ("大米", "no: the rule does not watch it"),
    ]


def test_a_percent_rule_stands_beside_each_load(folder: Path) -> None:
    """The rule is itself one of a percentage: at no more load the one-line rule finds as much."""
    tune("--vary", "percent=10,20,30,50", "--events", "events.csv")
    rows, simple = table(folder), table(folder, "percent")
    assert simple["20"]["flags"] == rows["20"]["flags"]
    assert simple["20"]["recall"] == rows["20"]["recall"]
    assert column(rows, "percent_recall") == column(rows, "recall")
    for row in rows.values():
        beside = simple[row["percent_at_no_more_load"]]
        assert float(beside["flags_per_100_series_weeks"]) <= float(row["flags_per_100_series_weeks"])


def test_the_flags_are_those_of_replay(folder: Path) -> None:
    """The pack put through `monitor replay` makes as many moves as tune counts for the value in its file."""
    tune()
    assert main(["replay", "--input", "prices.csv", "--rules", "mine.toml", "--out", "all"]) == 0
    with (folder / "all" / "flags.csv").open(encoding="utf-8", newline="") as file:
        moves = [row for row in csv.DictReader(file) if row["kind"] == "move"]
    assert len(moves) == int(table(folder)["20"]["flags"]) == 3


def test_without_values_a_grid_round_the_rules_own_is_tried(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And without events only the flags are counted."""
    tune()
    rows = table(folder)
    assert list(rows) == ["8", "10", "12", "14", "16", "18", "20", "22", "25", "30", "35", "40", "50", "60"]
    assert rows["20"]["own"] == "yes"
    assert set(column(rows, "recall")) == {""}
    assert "recall" not in capsys.readouterr().out
    assert not (folder / "out" / "tune-events.csv").exists()
    assert sorted(p.name for p in (folder / "out").iterdir()) == ["rejects.csv", "tune.csv", "tune.png"]


def test_the_same_input_gives_the_same_files(folder: Path) -> None:
    tune("--events", "events.csv")
    first = {path.name: path.read_bytes() for path in (folder / "out").iterdir()}
    tune("--events", "events.csv")
    assert {path.name: path.read_bytes() for path in (folder / "out").iterdir()} == first


@pytest.mark.parametrize("events", [(), ("--events", "events.csv")])
def test_the_picture_is_drawn(folder: Path, events: Sequence[str]) -> None:
    """By the console script, as people start it."""
    command = ("tune", "--input", "prices.csv", "--rules", "mine.toml", "--out", "out", *events)
    done = monitor(*command, cwd=folder)
    assert (done.returncode, done.stderr != "") == (0, bool(events))
    width, height, colours = picture(folder / "out" / "tune.png")
    assert width > 900
    assert height > 500
    assert colours > 20


def test_without_a_chinese_font_the_picture_is_in_english(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And with one it is in Chinese: no label ever holds a character that its font does not have."""
    drawn: list[str] = []

    def missing(message: str, *_: object, **__: object) -> None:
        drawn.append(message)

    monkeypatch.setattr("warnings.warn", missing)
    dots = [trade_off.Dot("10", 2.0, 0.5), trade_off.Dot("旬", 1.0, 0.25, own=True)]
    counted = [replace(dot, recall=None) for dot in dots]
    for here in (dots, counted):
        trade_off.draw(tmp_path / "here.png", "一次$上涨$超过20%", "mine/$rise$: when.percent", here, here)
    monkeypatch.setattr(trade_off, "FAMILIES", ("DejaVu Sans",))
    assert trade_off.chinese_font("价") is None
    for here in (dots, counted):
        trade_off.draw(tmp_path / "english.png", "一次上涨超过20%", "mine/$上涨$: when.percent", here, here)
    assert not [text for text in drawn if "Glyph" in str(text)]
    assert picture(tmp_path / "english.png")[2] > 20


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--rule", "mine/none"), "several.toml has no rule 'mine/none'; it has mine/rise, mine/two, mine/twice"),
        ((), "several.toml has 3 rules; name one of them: mine/rise, mine/two, mine/twice"),
        (("--rule", "mine/rise", "--vary", "share=1,2"), "the rule has no key 'share'; it has when.over, when.op,"),
        (("--rule", "mine/rise", "--vary", "percent=20,-3"), "--vary, value -3: 1 faults"),
        (("--rule", "mine/rise", "--vary", "percent="), "--vary percent=: there is no value; write percent=10,20,30"),
        (("--rule", "mine/rise", "--vary", "over"), "when.over (own value previous) is no number to vary; give the"),
        (
            ("--rule", "mine/two"),
            "it is not clear which threshold is meant: when.any[1].percent (own value 20),"
            " when.any[2].of.percent (own value 15). Name one of them",
        ),
        (
            ("--rule", "mine/rise", "--events", "nothing.csv"),
            "nothing.csv cannot be read (No such file or directory)",
        ),
        (("--rule", "mine/rise", "--events", "bare.csv"), "bare.csv: the column 'direction' is missing; needed are"),
        (
            ("--rule", "mine/rise", "--events", "wrong.csv"),
            "wrong.csv: 3 faults\n  line 2, direction: 'sideways' is none; write up, down or both\n"
            "  line 3, start: 'soon' is no date; write it as 2026-01-31\n"
            "  line 4, start: it is after `end` or before `after`; the order is after, start, end",
        ),
        (
            ("--rule", "mine/rise", "--events", "elsewhere.csv"),
            "none of the events can be judged on these sheets: 1 of items or points that the sheets do not have (生姜"
            " at 东市场); 1 of other files",
        ),
        (("--rule", "mine/rise", "--config", "nothing.toml"), "nothing.toml: the file does not exist"),
    ],
)
def test_what_cannot_be_tried_is_told_and_nothing_is_written(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    (folder / "bare.csv").write_text("item,start\n黄瓜,2026-03-06\n", "utf-8")
    (folder / "wrong.csv").write_text(
        "item,direction,start,end\n黄瓜,sideways,2026-03-06,\n黄瓜,up,soon,\n黄瓜,up,2026-03-06,2026-03-01\n", "utf-8"
    )
    (folder / "elsewhere.csv").write_text(
        "file,item,point,direction,start\n,生姜,东市场,up,2026-03-06\nother.csv,黄瓜,,up,2026-03-06\n", "utf-8"
    )
    assert main(["tune", "--input", "prices.csv", "--rules", "several.toml", "--out", "out", *arguments]) == 1
    told = capsys.readouterr().err
    assert told.startswith("monitor tune: ")
    assert said in told
    assert not (folder / "out").exists()


def test_a_condition_that_is_written_twice_is_one_threshold(folder: Path) -> None:
    """Both places are varied together: at 50 % nothing is left of the rule."""
    tune("--rule", "mine/twice", "--vary", "percent=20,50", rules="several.toml")
    rows = table(folder, "mine/twice")
    assert int(rows["20"]["flags"]) > 0
    assert rows["50"]["flags"] == "0"


def test_one_of_several_thresholds_is_named_by_its_place(folder: Path) -> None:
    tune("--rule", "mine/two", "--vary", "when.any[1].percent=30,60", rules="several.toml")
    assert list(table(folder, "mine/two")) == ["30", "60"]
    tune("--rule", "mine/two", "--vary", "lasting.readings=2,3", rules="several.toml")
    assert list(table(folder, "mine/two")) == ["2", "3"]
    tune("--rule", "mine/rise", "--vary", "hold_days=1,400", rules="several.toml")
    flags = column(table(folder), "flags")
    assert int(flags[0]) >= int(flags[1])


@pytest.mark.parametrize("loads", [(0.0, 0.3, 7.0), (0.3, 0.31), (0.0, 0.0), (0.002, 40.0)])
def test_every_dot_is_within_the_picture(loads: Sequence[float]) -> None:
    """Whatever the loads; and there are figures along the axis."""
    dots = [trade_off.Dot(f"{n}", load, 0.5) for n, load in enumerate(loads)]
    (axes,) = trade_off.picture("上涨", "mine/rise", dots, dots[:1]).axes
    low, high = axes.get_xlim()
    assert low < min(loads)
    assert high > max(loads)
    assert len([x for x in axes.get_xticks() if low <= x <= high]) > 1


def test_an_event_at_a_point_needs_a_flag_there_or_of_several_points(folder: Path) -> None:
    """Ginger at two points that rise on different days: each event is announced by the flag of its own point."""
    lines = ["date,item,point,unit,area,value"]
    for point, area, rises in (("东市场", "东区", 30), ("西市场", "西区", 60)):
        lines += [f"{day(n)},生姜,{point},元/500克,{area},{4.0 if n < rises else 5.2}" for n in range(90)]
    (folder / "prices.csv").write_text("\n".join(lines) + "\n", "utf-8")
    rows = [f"生姜,{point},up,{day(n)}" for point in ("东市场", "西市场", "北市场", "") for n in (30, 60)]
    (folder / "events.csv").write_text("\n".join(["item,point,direction,start", *rows]) + "\n", "utf-8")
    tune("--vary", "percent=20", "--events", "events.csv")
    with (folder / "out" / "tune-events.csv").open(encoding="utf-8", newline="") as file:
        delays = [(row["point"], row["judged"], row["20"]) for row in csv.DictReader(file)]
    unknown = "no: unknown item or point"
    assert delays == [
        *(("东市场", "yes", "1"), ("东市场", "yes", "")),
        *(("西市场", "yes", ""), ("西市场", "yes", "1")),
        *(("北市场", unknown, ""), ("北市场", unknown, "")),
        *(("", "yes", "1"), ("", "yes", "1")),
    ]


def test_the_example_of_the_page_says_what_the_page_says(tmp_path: Path) -> None:
    """docs/plans.md, "Try a rule on history": the commands run as they stand, and answer as is shown there."""
    page = (ROOT / "docs" / "plans.md").read_text("utf-8").partition("\n## Try a rule on history\n")[2]
    (pack,) = re.findall(r"```toml\n(# leaf-example.toml\n.*?)```", page, re.DOTALL)
    (commands,) = re.findall(r"<!-- example: history -->\n```sh\n(.*?)```", page, re.DOTALL)
    (answer,) = re.findall(r"<!-- example: answer -->\n```text\n(.*?)```", page, re.DOTALL)
    (tmp_path / "leaf-example.toml").write_text(pack, "utf-8")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-e", "-c", commands], cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == answer
    assert picture(tmp_path / "tuned" / "tune.png")[0] > 900


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data is not beside this checkout")
def test_on_published_prices_robust_scores_find_more_than_a_percentage_at_the_same_load(folder: Path) -> None:
    """WTI, Brent and Henry Hub: fifteen events are listed for this file, all of them can be judged."""
    energy, events = SHARED / "energy_daily.csv.gz", SHARED / "events.csv"
    pack = ROOT / "thresholds" / "plans" / "stat-robust.toml"
    command = ["tune", "--input", energy, "--events", events, "--rules", pack, "--rule", "stat-robust/step"]
    assert main([*map(str, command), "--vary", "value=4,6.5,9", "--out", "out"]) == 0
    rows = table(folder, "stat-robust/step")
    assert column(rows, "events") == ["15"] * 3
    flags = [int(n) for n in column(rows, "flags")]
    assert flags[0] > flags[1] > flags[2] > 0
    recall = [float(r) for r in column(rows, "recall")]
    assert recall[0] >= recall[1] >= recall[2]
    assert recall[0] > 0.8
    for row in rows.values():
        assert float(row["recall"]) > float(row["percent_recall"] or 0)
