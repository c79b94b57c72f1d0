"""Replays of small sheets with every date of every flag, and of what is written."""

from __future__ import annotations

import csv
import json
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.replay.sheets import batch_of, calm, crisis, published_rules, text_of, with_moves
from tests.thresholds.build import FIRST, quotes, shipped
from thresholds.model import Reject
from thresholds.replay import COLUMNS, replay, write

PROMISED = [
    *("flag", "kind", "plan", "rule", "item", "point", "area", "direction", "start", "end", "first_flagged"),
    *("peak", "peak_grade", "value", "expected", "threshold", "reason"),
]


def day(n: int) -> str:
    return (FIRST + timedelta(days=n)).isoformat()


def flags_in(folder: Path) -> list[dict[str, str]]:
    with (folder / "flags.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def table(rows: list[dict[str, str]]) -> list[tuple[str, ...]]:
    names = ("kind", "rule", "point", "area", "direction", "start", "first_flagged", "end", "value", "expected")
    return [tuple(row[n] for n in names) for row in rows]


def test_a_crisis_in_rice_has_these_flags_on_these_days(tmp_path: Path) -> None:
    """Each day by hand: a slip is asked about, one area is its own flag, all of them are the city's, silence too."""
    write(tmp_path, replay(batch_of(text_of(crisis())), published_rules()), {})
    staple = "ndrc-report/staple"
    assert table(flags_in(tmp_path)) == [
        ("data", "gate/factor", "三号", "乙区", "up", day(10), day(10), day(11), "30.1", "3.01"),
        ("move", staple, "", "甲区", "up", day(20), day(20), day(27), "3.24", "3.01"),
        ("move", staple, "", "全市", "up", day(28), day(28), day(44), "3.63", "3.24"),
        ("move", staple, "", "全市", "down", day(45), day(45), "", "3.02", "3.37"),
        ("silence", "silence/cadence", "四号", "丙区", "", day(50), day(53), day(57), "", ""),
    ]  # fmt: skip


def test_medicine_creeping_up_is_seen_by_the_cumulative_rule() -> None:
    """1 % a day: no single step, but more than 20 % in thirty days: known on the day that it is (Zhejiang 2004)."""
    values = [round(10 * 1.01**n, 3) for n in range(40)]
    flags = replay(batch_of(text_of(quotes(values, item="阿莫西林", unit="元/盒"))), published_rules()).flags
    assert [(f.rule, str(f.first_flagged.date())) for f in flags] == [
        ("zj2004-cumulative/fuel-medicine-30d", day(29))  # UTC date of midnight on day 30
    ]


def test_the_ladder_proposes_grade_three_on_the_second_reading() -> None:
    """+35 % at two points for a week, twice in a row: III is proposed, dated back to the first reading; never II."""
    values = with_moves(calm(30), {20: 1.35})
    rows = quotes(values, item="大白菜") + quotes(values, item="大白菜", point="二号")
    (flag,) = replay(batch_of(text_of(rows)), published_rules()).flags
    assert (flag.rule, flag.peak_grade.label) == ("ladder-30-50-100/30", "III")
    assert (flag.start, flag.first_flagged) == (rows[20].at, rows[21].at)
    one_point = replay(batch_of(text_of(quotes(values, item="大白菜"))), published_rules())
    assert one_point.flags == []


def test_state_set_prices_are_no_abnormal_move() -> None:
    """An adjustment of petrol by 12 % is excluded; LPG, which the market sets, is not."""
    values = with_moves(calm(30), {20: 1.12})
    rows = quotes(values, item="92号汽油", unit="元/升") + quotes(values, item="液化石油气", unit="元/瓶")
    flags = replay(batch_of(text_of(rows)), published_rules()).flags
    assert {f.item for f in flags} == {"液化石油气"}


def test_what_is_written_has_the_promised_columns(tmp_path: Path) -> None:
    """flags.csv as in the contract, summary.json with counts and seconds, rejects.csv with row and reason."""
    batch = batch_of(text_of(crisis()))
    rejects = {"a.csv": [Reject(7, "value", "not a number", "三元")]}
    write(tmp_path, replay(batch, published_rules()), rejects)
    assert list(COLUMNS)[: len(PROMISED)] == PROMISED
    assert list(flags_in(tmp_path)[0]) == list(COLUMNS)
    assert (tmp_path / "rejects.csv").read_text("utf-8") == "row,reason,detail\n7,value,not a number\n"
    summary = json.loads((tmp_path / "summary.json").read_text("utf-8"))
    assert (summary["series"], summary["observations"], summary["rejected"]) == (4, 233, 1)
    assert summary["flags"]["kind"] == {"data": 1, "move": 3, "silence": 1}
    assert summary["flags"]["total"] == 5
    assert set(summary["seconds"]) >= {"gate", "rules", "grading"}


def test_rejects_of_several_files_say_which(tmp_path: Path) -> None:
    """With more than one file a column names it."""
    rejects = {"a.csv": [Reject(2, "date", "x")], "b.csv": [Reject(3, "value", "y")]}
    write(tmp_path, replay(batch_of(text_of(quotes([3.0]))), shipped()), rejects)
    assert (tmp_path / "rejects.csv").read_text("utf-8").splitlines() == [
        "row,reason,detail,file",
        "2,date,x,a.csv",
        "3,value,y,b.csv",
    ]


def test_written_twice_it_is_the_same_byte_for_byte(tmp_path: Path) -> None:
    """Same input, same output."""
    for name in ("one", "two"):
        write(tmp_path / name, replay(batch_of(text_of(crisis())), shipped()), {})
    for file in ("flags.csv", "rejects.csv"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


@pytest.mark.parametrize("last", [9, 10, 19, 20, 27, 28, 45, 53, 56, 58])
def test_a_file_cut_at_a_date_gives_the_same_flags_up_to_it(last: int, tmp_path: Path) -> None:
    """Cut before, on and after each event, the rows up to then are the same but for what happened since."""
    text = text_of(crisis())
    lines = text.splitlines(keepends=True)
    cut = "".join(line for line in lines if line.startswith("date") or line[:10] <= day(last))
    write(tmp_path / "whole", replay(batch_of(text), shipped()), {})
    write(tmp_path / "cut", replay(batch_of(cut), shipped()), {})
    later = {"end", "peak", "peak_grade"}

    def fixed(rows: list[dict[str, str]]) -> list[dict[str, str]]:
        known = [row for row in rows if row["first_flagged"] <= day(last)]
        return [{k: v for k, v in row.items() if k not in later} for row in known]

    assert fixed(flags_in(tmp_path / "cut")) == fixed(flags_in(tmp_path / "whole"))


def test_from_and_to_limit_what_is_told_not_what_is_known() -> None:
    """`begin` leaves earlier flags out but keeps their history; `until` looks at nothing later."""
    batch = batch_of(text_of(crisis()))
    whole = replay(batch, published_rules()).flags
    begin, until = FIRST + timedelta(days=25), FIRST + timedelta(days=30)
    some = replay(batch, published_rules(), begin=begin, until=until)
    assert [f.id for f in some.flags] == [f.id for f in whole if f.start == crisis()[28].at]
    assert some.panel.time.max() == int(crisis()[30].at.timestamp())
    assert replay(batch, published_rules(), until=date(2020, 1, 1)).flags == []


def test_a_sheet_that_contradicts_itself_is_asked_about() -> None:
    """Two values for one point and day: a data flag, and neither is compared with."""
    rows = quotes([*calm(10), 3.0, 3.0]) + quotes([3.6], first=10)
    flags = replay(batch_of(text_of(rows)), shipped()).flags
    assert [(f.kind.value, f.rule, f.value) for f in flags] == [("data", "gate/conflict", 3.6)]
