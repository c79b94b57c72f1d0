"""Recorded decisions and observations: their scope and time, and that numbers alone never give grades II and I."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.thresholds.build import at, condition, found, quotes, seconds, shipped, shipped_catalogue, view_of
from thresholds.conditions_recorded import rests_on_decision
from thresholds.model import Direction, Flag, Kind, Observation, SeriesKey
from thresholds.plan_files import load_policy
from thresholds.records import Record, problems

UP = Direction.UP
BASE = Record("1", "decision", "干预", "省政府", "黑政发〔2026〕1号", seconds(3), None, classes=("粮",))
SEEN = Record("2", "observed", "抢购", "某区发改局", "", seconds(3), None, items=("大米",))


def flags(rows: Sequence[Observation], *records: Record, enable: tuple[str, ...] = ()) -> list[Flag]:
    policy = replace(shipped(enable), records=records)
    return [f for f in found(rows, policy).flags if f.kind is Kind.MOVE]


def truth(table: dict[str, Any], rows: Sequence[Observation], *records: Record) -> list[int]:
    view = view_of(rows)
    view.records = records
    return [int(t) for t in condition(**table).truth(view, UP)]


def test_a_record_holds_from_its_beginning_until_before_its_end() -> None:
    """In force from the fourth day; lifted at the start of the sixth, which is no longer covered."""
    rows = quotes([3.0] * 8)
    assert truth({"kind": "recorded"}, rows, BASE) == [0, 0, 0, 1, 1, 1, 1, 1]
    assert truth({"kind": "recorded"}, rows, replace(BASE, end=seconds(5))) == [0, 0, 0, 1, 1, 0, 0, 0]
    assert truth({"kind": "recorded"}, rows) == [0] * 8


@pytest.mark.parametrize(
    ("scope", "covered"),
    [
        ({"classes": ("粮",)}, True),
        ({"classes": ("肉",)}, False),
        ({"classes": (), "items": ("ｄａ米", "大米")}, True),
        ({"classes": (), "items": ("面粉",)}, False),
        ({"areas": ("甲区",)}, True),
        ({"areas": ("乙区",)}, False),
    ],
)
def test_the_scope_of_a_record(scope: dict[str, Any], covered: bool) -> None:
    """Items named, classes with their subclasses, areas that narrow."""
    key = SeriesKey("大米")
    assert replace(BASE, **scope).covers(key, "甲区", shipped_catalogue().classify(key)) is covered
    pork = SeriesKey("五花肉")
    assert replace(BASE, classes=("肉",)).covers(pork, "甲区", shipped_catalogue().classify(pork))


def test_kind_measure_and_issuer_are_asked_for() -> None:
    """A rule on emergency measures of the State Council is not true for an intervention of the province."""
    rows = quotes([3.0] * 5)
    emergency = {"kind": "recorded", "measures": ["紧急"], "issuers": ["国务院"]}
    assert 1 not in truth(emergency, rows, BASE)
    assert 1 in truth(emergency, rows, BASE, replace(BASE, id="3", measure="紧急", issuer="国务院"))
    assert 1 not in truth(emergency, rows, replace(BASE, measure="紧急"))
    assert 1 not in truth({"kind": "recorded"}, rows, SEEN)
    assert 1 in truth({"kind": "recorded", "record": "observed", "measures": ["抢购"]}, rows, SEEN)


def test_an_intervention_is_grade_two_and_emergency_measures_are_grade_one() -> None:
    """On the next report of what they cover, whatever the price does; other items have no flag."""
    rows = quotes([3.0] * 12) + quotes([9.0] * 12, item="五花肉")
    (flag,) = flags(rows, BASE)
    assert (flag.item, flag.rule, flag.peak_grade.label) == ("大米", "legal-status/intervention", "II")
    assert (flag.first_flagged, flag.end) == (at(3), None)
    assert "省政府依法实行价格干预措施（黑政发〔2026〕1号）" in flag.reason
    worse = Record("3", "decision", "紧急", "国务院", "国发〔2026〕9号", seconds(6), None, classes=("粮",))
    (flag,) = flags(rows, BASE, worse)
    assert flag.peak_grade.label == "I"
    (flag,) = flags(rows, worse)
    assert (flag.peak_grade.label, flag.first_flagged) == ("I", at(6))


def test_the_grade_ends_with_the_decision() -> None:
    """Lifted on the seventh day: the flag is over two reports after the last one that it covered."""
    (flag,) = flags(quotes([3.0] * 12), replace(BASE, end=seconds(6)))
    assert (flag.last_hit, flag.end, flag.end_reason) == (at(5), at(7), "cleared")


def test_numbers_alone_never_give_grades_two_and_one() -> None:
    """Any price, any number of districts and kinds, any time, with every pack switched on: never above III."""
    wild = [3.0] * 60 + [3.0 * 1.4**k for k in range(1, 9)] + [40.0] * 60
    rows = [
        o
        for item in ("大米", "面粉", "鸡蛋", "五花肉", "大白菜")
        for n in range(4)
        for o in quotes(wild, item=item, point=f"点{n}", area=f"{n}区")
    ]
    every = ("ladder-30-50-100", "gd2013-lamp", "qd2014", "qd2014/1", "qd2014/2", "coal-band")
    raised = flags(rows, enable=every)
    assert {f.peak_grade.label for f in raised} == {"", "III"}
    assert all(f.peak_grade.rank <= 1 for f in flags(rows, SEEN, enable=every))
    with_decision = flags(rows, BASE, enable=every)
    assert {f.peak_grade.label for f in with_decision if f.item in ("大米", "面粉")} >= {"II"}
    assert {f.peak_grade.label for f in with_decision if f.item not in ("大米", "面粉")} == {"", "III"}


def test_what_is_seen_must_be_reported() -> None:
    """抢购 of rice: to be reported, without a grade; a word that the rule does not know is not."""
    (flag,) = flags(quotes([3.0] * 6), SEEN)
    assert (flag.rule, flag.peak_grade.rank) == ("ndrc-report/observed", 0)
    assert "记录到抢购（某区发改局）" in flag.reason
    assert "须报告" in flag.reason
    assert flags(quotes([3.0] * 6), replace(SEEN, measure="打折")) == []


def test_a_risk_of_spreading_makes_qingdao_blue() -> None:
    """One district, one kind, one day beyond 30 %: level IV where somebody recorded that it may spread."""
    rows = quotes([2.0] * 10 + [2.7], item="大白菜")
    risk = Record("4", "observed", "扩散风险", "值班员甲", "", seconds(9), None, classes=("菜",))
    assert not [f for f in flags(rows, enable=("qd2014",)) if f.rule.startswith("qd2014")]
    (flag,) = [f for f in flags(rows, risk, enable=("qd2014",)) if f.rule.startswith("qd2014")]
    assert flag.rule == "qd2014/4"


RECORDED, SEEN_TOO = {"kind": "recorded"}, {"kind": "recorded", "record": "observed"}
LEVEL = {"kind": "level", "above": 3}


@pytest.mark.parametrize(
    ("table", "rests"),
    [
        (RECORDED, True),
        (SEEN_TOO, False),
        (LEVEL, False),
        ({"kind": "all", "of": [LEVEL, RECORDED]}, True),
        ({"kind": "any", "of": [LEVEL, RECORDED]}, False),
        ({"kind": "any", "of": [{"kind": "all", "of": [RECORDED, LEVEL]}, RECORDED]}, True),
        ({"kind": "all", "of": [LEVEL, {"kind": "not", "of": RECORDED}]}, False),
        ({"kind": "not", "of": {"kind": "not", "of": RECORDED}}, False),
        ({"kind": "lasting", "readings": 2, "of": RECORDED}, True),
        ({"kind": "m_of_n", "m": 1, "n": 3, "of": LEVEL}, False),
        ({"kind": "reach", "of": {"kind": "all", "of": [LEVEL, RECORDED]}}, True),
    ],
)
def test_a_tree_rests_on_a_decision_where_it_cannot_be_true_without(table: dict[str, Any], rests: bool) -> None:
    """Tried as well: with no record at all such a tree is true nowhere."""
    assert rests_on_decision(condition(**table)) is rests
    if rests:
        assert 1 not in truth(table, quotes([2.0, 5.0, 9.0, 9.0]))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"measure": "涨价"}, "measure"),
        ({"measure": "紧急"}, "issuer"),
        ({"issuer": "市政府"}, "issuer"),
        ({"document": " "}, "document"),
        ({"classes": ()}, "items"),
        ({"end": seconds(3)}, "end"),
        ({"measure": ""}, "measure"),
    ],
)
def test_what_the_law_does_not_know_is_no_decision(changes: dict[str, Any], field: str) -> None:
    """Emergency measures are the State Council alone; a decision has a number, a scope, an end after its start."""
    assert problems(BASE) == {}
    assert problems(SEEN) == {}
    assert list(problems(replace(BASE, **changes))) == [field]


def test_later_data_changes_no_answer() -> None:
    """Cut anywhere: what a record says of a day stays."""
    rows = quotes([3.0] * 8)
    whole = truth({"kind": "recorded"}, rows, BASE)
    for cut in range(1, 8):
        assert truth({"kind": "recorded"}, rows[:cut], BASE) == whole[:cut]
    empty = view_of(view_of(rows).panel.only(np.zeros(8, np.bool_)))
    empty.records = (BASE,)
    assert len(condition(kind="recorded").truth(empty, UP)) == 0


RECORDS = """
kind = "records"
id = "own"
[[records]]
record = "decision"
measure = "干预"
issuer = "省政府"
document = "某政发〔2026〕1号"
start = 2026-01-04
end = 2026-01-07T00:00:00
classes = ["粮"]
"""


def test_records_in_a_file_count_in_replay(tmp_path: Path) -> None:
    """A date is local midnight, a time without offset a local one; another file is another policy."""
    (tmp_path / "records.toml").write_text(RECORDS, "utf-8")
    policy, faults = load_policy([tmp_path])
    assert policy is not None, faults
    (one,) = policy.records
    assert (one.start, one.end) == (seconds(3), seconds(6))
    (flag,) = found(quotes([3.0] * 12), policy).flags
    assert (flag.peak_grade.label, flag.first_flagged, flag.last_hit) == ("II", at(3), at(5))
    assert policy.version != shipped().version
