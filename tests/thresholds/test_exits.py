"""Proposals to end what a flag began: rules with effect "exit" (price plan 5.6; 青岛市价格监测条例, art. 25)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from tests.thresholds.build import at, found, pack, panel_of, policy_of, quotes, rule, shipped
from thresholds.exit_rules import awaits_exit
from thresholds.model import Flag, Kind, Observation, SeriesKey
from thresholds.plan import Policy
from thresholds.records import Record

RISE = rule({"kind": "change", "over": "previous", "op": ">=", "percent": 30}, rank=1, without_classes=["投诉"])
WATCH = rule({"kind": "change", "over": "previous", "op": ">=", "percent": 30})


def policy(*opening: dict[str, Any], records: Sequence[Record] = (), **keys: Any) -> Policy:
    """These rules that open flags, with the shipped ones that propose ends."""
    own = policy_of(*(opening or (RISE,)), **keys)
    return replace(own, exits=shipped().exits, records=tuple(records))


def moves(rows: Sequence[Observation], under: Policy) -> list[Flag]:
    return [f for f in found(rows, under).flags if f.kind is Kind.MOVE]


def jump(after: Sequence[float], before: int = 20, **keys: Any) -> list[Observation]:
    """Days at 2.0, a jump by 40 %, then the given values."""
    return quotes([2.0] * before + [2.8, *after], **keys)


def exit_of(rows: Sequence[Observation], under: Policy | None = None) -> tuple[str, int] | None:
    """Rule and day of the proposal on the only flag."""
    (flag,) = moves(rows, under or policy())
    if flag.exit is None:
        return None
    return flag.exit.rule.partition("/")[2], (flag.exit.at - at(0)).days


@pytest.mark.parametrize(("days", "expected"), [(14, None), (15, ("stable-staple", 35)), (40, ("stable-staple", 35))])
def test_fifteen_stable_days_and_not_fourteen(days: int, expected: tuple[str, int] | None) -> None:
    """The jump is on day 20: the end is proposed on day 35 and not before, and the flag is over with it."""
    rows = jump([2.8] * days, item="大米")
    assert exit_of(rows) == expected
    (flag,) = moves(rows, policy())
    assert flag.end == (at(35) if expected else None)


@pytest.mark.parametrize(
    ("item", "last", "expected"),
    [
        ("大米", 2.8 * 1.049, "stable-staple"),
        ("大米", 2.8 * 1.05, "stable-staple"),
        ("大米", 2.8 * 1.051, None),
        ("大白菜", 2.8 * 1.299, "stable-fresh"),
        ("大白菜", 2.8 * 1.3, None),
        ("大白菜", 2.8 * 1.301, None),
        ("食盐", 2.8 * 1.099, "stable"),
        ("食盐", 2.8 * 1.1, "stable"),
        ("食盐", 2.8 * 1.101, None),
    ],
)
def test_level_is_held_within_the_bound_of_the_class(item: str, last: float, expected: str | None) -> None:
    """Fifteen days that creep: staples to 5 % included, fresh goods to 30 % excluded, others to 10 % included."""
    creep = np.linspace(2.8, last, 16)[1:]
    got = exit_of(jump(creep.tolist(), item=item))
    assert (got[0] if got else None) == expected


def test_a_fall_is_no_more_stable_than_a_rise() -> None:
    """Ten days after the jump the price goes back: what is counted begins anew, although the fall is another flag."""
    fall = rule({"kind": "change", "over": "previous", "op": ">=", "percent": 20}, direction="down")
    rows = jump([2.8] * 9 + [2.0] * 20, item="大米")
    up, down = moves(rows, policy(replace_rank(RISE), fall))
    assert up.end == at(35)
    assert up.exit is not None
    assert up.exit.at == at(45)
    assert (down.peak_grade.rank, down.exit) == (0, None)


def replace_rank(one: dict[str, Any]) -> dict[str, Any]:
    return {**one, "direction": "up"}


def test_a_further_move_takes_the_proposal_back() -> None:
    """Proposed on day 35 by complaints or calm; a hit within the open flag begins the fifteen days anew."""
    long = policy({**RISE, "hold_days": 60})
    calm = jump([2.8] * 16, item="大米")
    assert exit_of(calm, long) == ("stable-staple", 35)
    again = jump([2.8] * 16 + [3.7] * 14, item="大米")
    assert exit_of(again, long) is None
    assert exit_of(jump([2.8] * 16 + [3.7] * 16, item="大米"), long) == ("stable-staple", 52)


def test_flags_without_a_grade_have_no_end_to_propose() -> None:
    """A rule that only watches starts no response."""
    assert exit_of(jump([2.8] * 30, item="大米"), policy(WATCH)) is None


def record(kind: str, measure: str, first: int, last: int | None, **scope: Any) -> Record:
    seconds = [None if d is None else int(at(d).timestamp()) for d in (first, last)]
    issuer, document = ("省政府", "某政发〔2026〕1号") if kind == "decision" else ("", "")
    classes = scope.pop("classes", ("粮",))
    return Record(measure, kind, measure, issuer, document, seconds[0], seconds[1], classes=classes, **scope)  # type: ignore[arg-type]


@pytest.mark.parametrize(("lifted", "day"), [(30, 35), (36, 36), (50, 50), (None, None)])
def test_the_cause_must_be_gone(lifted: int | None, day: int | None) -> None:
    """抢购 is recorded until then: the flag is over after fifteen calm days, its response is not to end before."""
    rows = jump([2.8] * 45, item="大米")
    under = policy(records=[record("observed", "抢购", 20, lifted)])
    got = exit_of(rows, under)
    assert (got[1] if got else None) == day
    (flag,) = moves(rows, under)
    assert flag.end == at(35)
    assert awaits_exit(flag, under) is (day is None)


def test_a_record_about_another_area_holds_nothing_up() -> None:
    """Rumours elsewhere are no cause here."""
    under = policy(records=[record("observed", "流言", 20, None, areas=("别区",))])
    assert exit_of(jump([2.8] * 20, item="大米"), under) == ("stable-staple", 35)


def test_intervention_ends_when_it_is_lifted_and_not_by_numbers() -> None:
    """Grade II is proposed to end at the first reading after the lifting, however calm prices were before."""
    legal = replace(shipped(), packs=tuple(p for p in shipped().packs if p.id == "legal-status"))
    under = replace(legal, records=(record("decision", "干预", 5, 40),))
    (flag,) = moves(quotes([2.0] * 60, item="大米"), under)
    assert flag.peak_grade.label == "II"
    assert flag.exit is not None
    assert (flag.exit.rule, flag.exit.at) == ("exit-15-days/intervention", at(40))
    assert "价格干预措施已解除" in flag.exit.reason
    (flag,) = moves(quotes([2.0] * 40, item="大米"), under)
    assert flag.exit is None


def counts(
    values: Sequence[float], spec: str = "大米", area: str = "甲区", item: str = "12315投诉举报"
) -> list[Observation]:
    key = SeriesKey(item, spec, "件", "", f"{area}热线")
    return [Observation(key, at(d), v, area=area) for d, v in enumerate(values)]


USUAL = [4.0] * 60
SURGE = [4.0] * 60 + [20.0] * 5


def rising(days: int) -> list[Observation]:
    """Rice jumps on day 60 and goes on jumping about a little, so that it is never calm."""
    return quotes([2.0] * 60 + [2.8 * 1.06 ** (d % 2) for d in range(days)], item="大米", area="甲区")


@pytest.mark.parametrize(("weekly", "expected"), [(33, 71), (34, None)])
def test_complaints_about_the_item_are_back(weekly: int, expected: int | None) -> None:
    """Four a day are usual: a week of 33 is within 1.2 times 28, one of 34 is not; rice itself is not stable."""
    after = [float(weekly // 7 + (1 if k < weekly % 7 else 0)) for k in range(7)]
    values = SURGE + after
    got = exit_of(rising(12) + counts(values), policy())
    assert got == (("complaints-about", expected) if expected else None)


def test_complaints_that_never_rose_do_not_fall() -> None:
    """Without a surge the counts end nothing; nor does a surge about another item, in another area, or of no item."""
    quiet = USUAL + [4.0] * 12
    back = SURGE + [4.0] * 7
    for other in (counts(quiet), counts(back, spec="大白菜"), counts(back, spec="")):
        assert exit_of(rising(12) + other, policy()) is None
    elsewhere = counts(quiet) + counts(back, area="乙区")
    assert exit_of(rising(12) + elsewhere, policy()) is None
    for about in (
        counts(back),
        counts(back, spec="粮"),
        counts(back, spec="", item="大米投诉"),
        counts(back, area="全市"),
    ):
        assert exit_of(rising(12) + about, policy()) is not None


def test_complaints_themselves() -> None:
    """A flag on complaints is proposed to end once a week of them is back at what was usual before the surge."""
    surge = rule({"kind": "multiple", "times": 2, "at_least": 5}, direction="up")
    under = policy(surge)
    (flag,) = moves(counts([*SURGE, *[4.0] * 20]), under)
    assert flag.exit is not None
    assert (flag.exit.rule, flag.exit.at) == ("exit-15-days/complaints", at(71))
    assert "近7天共28件，同期常量28件" in flag.exit.reason
    (flag,) = moves(counts([*SURGE, *[4.0] * 6]), under)
    assert flag.exit is None


def test_counts_and_indices_of_a_grade_have_an_end_too() -> None:
    """A graded flag on counts ends when they are back, one on an index, which has no percentages, with calm alone."""
    surge = rule({"kind": "multiple", "times": 2, "at_least": 5}, rank=1, direction="up")
    (flag,) = moves(counts([*SURGE, *[4.0] * 20]), policy(surge))
    assert flag.exit is not None
    assert (flag.exit.rule, flag.exit.at) == ("exit-15-days/counts", at(71))
    high = rule({"kind": "level", "above": 4}, rank=1, direction="up")
    index = [replace(o, key=replace(o.key, unit="%")) for o in jump([2.8] * 5, item="居民消费价格同比", every=31)]
    index = [replace(o, value=o.value if o.value < 2.5 else 2.1) for o in index]
    index[20] = replace(index[20], value=4.5)
    (flag,) = moves(index, policy(high))
    assert flag.exit is not None
    assert (flag.exit.rule, flag.exit.at) == ("exit-15-days/index", index[22].at)


def test_a_long_surge_does_not_become_its_own_measure() -> None:
    """Four months at twenty a day: still not back, whatever a median of the newest weeks would say."""
    surge = rule({"kind": "multiple", "times": 2, "at_least": 5}, direction="up")
    (flag, *_) = moves(counts([*USUAL, *[20.0] * 120]), policy(surge))
    assert flag.exit is None


def test_the_reason_says_what_was_seen_and_whose_rule_it_is() -> None:
    """In words, and that a person decides."""
    (flag,) = moves(jump([2.8] * 20, item="大米"), policy())
    assert flag.exit is not None
    assert flag.exit.reason == (
        "大米已连续15天未再出现异常波动，15天内最高与最低相差0%，不超过5%。"
        "依据：原因消除，且粮油肉蛋价格稳定15日（高低相差不超过5%）（《青岛市价格监测条例》，青岛市2010年，借用标准），"
        "建议提请终止三级响应，是否终止由人决定。"
    )


def two_areas() -> list[Observation]:
    """Both areas jump on the same day; one is calm, the other jumps again after ten days."""
    calm = jump([2.8] * 40, item="大米", area="甲区", point="甲")
    again = jump([2.8] * 9 + [4.0] * 31, item="大米", area="乙区", point="乙")
    return calm + again


def test_the_whole_city_is_stable_when_all_its_areas_are() -> None:
    """A flag of the whole city waits for the area that moved again; a point that fell silent holds nothing up."""
    (flag, *_) = moves(two_areas(), policy({**RISE, "hold_days": 60}))
    assert flag.area == "全市"
    assert flag.exit is not None
    assert flag.exit.at == at(45)
    silent = [o for o in two_areas() if o.area == "甲区" or o.at < at(25)]
    (flag, *_) = moves(silent, policy({**RISE, "hold_days": 60}))
    assert flag.exit is not None
    assert flag.exit.at == at(35)


def scene(seed: int) -> list[Observation]:
    """Items, areas and complaints that move about, at different hours."""
    rng = np.random.default_rng(seed)
    rows = []
    for n, item in enumerate(("大米", "大白菜", "食盐")):
        for p in range(3):
            steps = rng.normal(0, 0.01, 120) + (rng.random(120) < 0.015) * rng.choice([-0.4, 0.4], 120)
            values = np.round(3 * np.exp(np.cumsum(steps)), 2).tolist()
            rows += quotes(values, item=item, point=f"点{p}", area=f"{p % 2}区", hour=8 + n + p)
        values = (rng.poisson(4, 120) + 20.0 * ((np.arange(120) // 20) % 3 == 1)).tolist()
        rows += [replace(o, area="0区") for o in counts(values, spec=item)]
    return rows


def test_day_by_day_is_as_all_at_once() -> None:
    """Each day's proposals are those that the same days give at the end, until a further move takes them back."""
    rows = scene(5)
    under = policy(RISE, rule({"kind": "multiple", "times": 2, "at_least": 5}, direction="up"))
    panel = panel_of(rows)
    final = {f.id: f for f in found(panel, under).flags if f.kind is Kind.MOVE}
    assert sum(f.exit is not None for f in final.values()) > 5
    assert {f.exit.rule for f in final.values() if f.exit} >= {"exit-15-days/complaints", "exit-15-days/stable"}
    for day in range(30, 120, 7):
        until = at(day) + timedelta(hours=23)
        for flag in found(panel.until(until), under).flags:
            last = final.get(flag.id)
            if flag.kind is Kind.MOVE and last is not None and last.last_hit <= flag.last_hit:
                expected = last.exit if last.exit and last.exit.at <= until else None
                assert flag.exit == expected, (day, flag.id)


def test_no_flag_is_another_for_it() -> None:
    """What opens and what is over is the same without the proposals, given the same days of holding."""
    rows = scene(6)
    under = policy()
    plain = {name: plan.model_copy(update={"stable_days": 15}) for name, plan in under.plans.items()}
    without = replace(under, exits=(), plans={"price": plain["price"], "finance": under.plans["finance"]})
    got = [replace(f, exit=None) for f in found(rows, under).flags]
    assert list(map(repr, got)) == list(map(repr, found(rows, without).flags))
    assert any(f.end for f in got)


def test_an_exit_pack_of_ones_own() -> None:
    """Its numbers are those of the file; what only looks at other rules is for such packs alone."""
    own = pack(
        rule({"kind": "calm", "span": "3d", "readings": 1}, rank=1),
        effect="exit",
        domain="price",
        plan="price-daqing",
    )
    assert exit_of(jump([2.8] * 5, item="大米"), replace(policy(), exits=(own,))) == ("rule1", 23)
