"""The grade that a flag proposes: by rule, score, breadth, duration and season; and when it ends."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from tests.thresholds.build import found, policy_of, quotes, rule
from thresholds.model import Flag, Kind, Observation
from thresholds.plan import Plan, Policy, Rule
from thresholds.ranks import base_ranks

STEP = {"kind": "score", "kernel": "robust", "over": 1, "window": 60, "least": 12, "value": 5}
CHANGE = {"kind": "change", "over": "previous", "percent": 20}
GRADES = [
    {"rank": 1, "label": "IV", "name": "四级", "numeric": True},
    {"rank": 2, "label": "III", "name": "三级", "numeric": True},
    {"rank": 3, "label": "II", "name": "二级", "numeric": True},
    {"rank": 4, "label": "I", "name": "一级", "numeric": False},
]


def plan(**keys: Any) -> Plan:
    source = {"title": "测试预案", "place": "某市", "year": "2026", "mark": "P"}
    table = {"kind": "plan", "id": "test", "title": "测试预案", "version": "1", "domain": "price", "source": source}
    return Plan.model_validate({**table, "grades": GRADES, **keys})


def policy(*rules: dict[str, Any], **keys: Any) -> Policy:
    """A policy with a plan whose numbers may raise three of four grades."""
    return policy_of(*rules, plans={"price": plan(**keys)})


def moves(rows: list[Observation], under: Policy) -> list[Flag]:
    return [f for f in found(rows, under).flags if f.kind is Kind.MOVE]


def labels(rows: list[Observation], under: Policy) -> list[str]:
    return [f.peak_grade.label for f in moves(rows, under)]


def calm(n: int, level: float = 5.0, seed: int = 1) -> list[float]:
    """Quotes that move by about half a percent: the scale is the floor of half a percent or a little above."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, 0.004, n) * (np.arange(n) % 2)
    values: list[float] = np.round(level * np.exp(np.cumsum(steps)), 3).tolist()
    return values


def jump(times: float, n: int = 40, after: int = 12, **where: Any) -> list[Observation]:
    values = calm(n)
    return quotes([*values, *[round(values[-1] * times, 3)] * after], **where)


def test_a_score_proposes_the_rank_of_its_step() -> None:
    one = Rule.model_validate(rule(STEP, rank_from_score=[5, 10, 20]))
    ranks = base_ranks(one, np.array([4.9, 5.0, -9.9, 10.0, -20.0, 300.0, np.nan]))
    assert ranks.tolist() == [0, 1, 1, 2, 3, 3, 0]


def test_a_published_rule_proposes_its_own_rank_whatever_the_score() -> None:
    one = Rule.model_validate(rule(CHANGE, rank=2))
    assert base_ranks(one, np.array([1.0, np.nan, -900.0])).tolist() == [2, 2, 2]


def test_a_statistic_alone_proposes_the_lowest_grade_only() -> None:
    """However far: one point that jumps by half is unusual, and not yet a matter for the whole city."""
    under = policy(rule(STEP, rank_from_score=[5, 10, 20]))
    assert labels(jump(1.5), under) == ["IV"]


def test_a_published_rule_for_the_same_flag_lets_the_statistic_count() -> None:
    statistic = rule(STEP, rank_from_score=[5, 10, 20])
    assert labels(jump(1.5), policy(statistic, rule(CHANGE, rank=1))) == ["II"]
    assert labels(jump(1.15), policy(statistic, rule(CHANGE, rank=1))) == ["IV"], "15 % is not 20 %"


def test_several_areas_let_the_statistic_count_and_add_a_grade() -> None:
    rows = [o for area in ("甲区", "乙区", "丙区") for o in jump(1.08, area=area, point=f"{area}市场")]
    flags = moves(rows, policy(rule(STEP, rank_from_score=[5, 40])))
    assert [(f.area, f.peak_grade.label) for f in flags] == [("全市", "III")]
    assert flags[0].reason.endswith("；波及多个区域，建议等级提高一级。")


def test_a_rule_that_only_watches_proposes_no_grade_however_broad_or_long() -> None:
    rows = [o for area in ("甲区", "乙区", "丙区") for o in jump(1.5, area=area, point=f"{area}市场")]
    assert labels(rows, policy(rule(STEP), persistent_days=1)) == [""]


def test_a_flag_that_lasts_proposes_one_grade_more() -> None:
    """On the fifth day after the first it counts for more, and not before; without such a plan never."""
    above = rule({"kind": "level", "above": 6}, rank=1, direction="up")
    days = [5.0] * 20 + [6.1] * 10
    assert labels(quotes(days[:25]), policy(above, persistent_days=5)) == ["IV"]
    assert labels(quotes(days[:26]), policy(above, persistent_days=5)) == ["III"]
    assert labels(quotes(days), policy(above)) == ["IV"]


def test_numbers_never_propose_more_than_the_plan_lets_them() -> None:
    """P13: three areas, a published rule and a score beyond all steps stay below the grade that is a legal fact."""
    rows = [o for area in ("甲区", "乙区", "丙区") for o in jump(1.9, area=area, point=f"{area}市场")]
    both = rule(STEP, rank_from_score=[5, 6, 7, 8]), rule(CHANGE, rank=3)
    assert set(labels(rows, policy(*both, persistent_days=1))) == {"II"}
    shipped = policy_of(rule(STEP, rank_from_score=[5, 6, 7, 8]))
    assert set(labels(rows, shipped)) == {"III"}, "the lowest grade of the price plan"


def festival_year(year: int, rise: float, days_before: int = 12) -> list[tuple[date, float]]:
    """Quotes of 70 days round a Spring Festival: flat, a rise so many days before, flat."""
    festival = {2025: date(2025, 1, 29), 2026: date(2026, 2, 17)}[year]
    first = festival - timedelta(days=60)
    return [(first + timedelta(days=k), round(5.0 * (1 + rise * (k >= 60 - days_before)), 3)) for k in range(70)]


def around_two_festivals(last_year: float, this_year: float, **where: Any) -> list[Observation]:
    start = date(2024, 11, 30)
    days = dict(festival_year(2025, last_year) + festival_year(2026, this_year))
    first = (start - date(2026, 1, 1)).days
    return quotes([days.get(start + timedelta(days=k)) for k in range(460)], first=first, **where)


@pytest.mark.parametrize(
    ("last_year", "this_year", "label"),
    [
        (0.22, 0.25, ""),  # as every year
        (0.0, 0.25, "IV"),  # not last year
        (-0.25, 0.25, "IV"),  # the other way last year
        (0.22, 0.60, "IV"),  # far more than last year
    ],
)
def test_a_rise_that_the_festival_brought_last_year_too_proposes_a_grade_less(
    last_year: float, this_year: float, label: str
) -> None:
    """The festival was on 29 January 2025 and is on 17 February 2026: the same Gregorian days would not show it."""
    under = policy(rule(CHANGE, rank=1, direction="up"))
    flags = [f for f in moves(around_two_festivals(last_year, this_year), under) if f.first_flagged.year == 2026]
    assert [f.peak_grade.label for f in flags] == [label]
    assert ("与上年农历同期变动相近，建议等级降低一级" in flags[0].reason) == (label == "")


def test_at_the_festival_neither_breadth_nor_duration_adds_a_grade() -> None:
    """The whole city moves then, as it did last year: that confirms nothing."""
    under = policy(rule(CHANGE, rank=1, direction="up"))
    rows = [o for a in ("甲区", "乙区", "丙区") for o in around_two_festivals(0.22, 0.25, area=a, point=f"{a}市场")]
    flags = [f for f in moves(rows, under) if f.first_flagged.year == 2026]
    assert [(f.area, f.peak_grade.label) for f in flags] == [("全市", "")]
    rows = [o for a in ("甲区", "乙区", "丙区") for o in around_two_festivals(0.0, 0.25, area=a, point=f"{a}市场")]
    flags = [f for f in moves(rows, under) if f.first_flagged.year == 2026]
    assert [(f.area, f.peak_grade.label) for f in flags] == [("全市", "III")]


@pytest.mark.parametrize(("last_year", "flagged"), [(0.22, 0), (0.0, 1)])
def test_what_every_festival_brings_is_not_unusual(last_year: float, flagged: int) -> None:
    """A statistical rule opens no flag on a rise that came last year too, at the same distance from the festival."""
    under = policy(rule({**STEP, "window": 30}, rank_from_score=[5, 10], direction="up"))
    flags = [f for f in moves(around_two_festivals(last_year, 0.25), under) if f.first_flagged.year == 2026]
    assert len(flags) == flagged


def test_a_proposed_grade_ends_after_the_stable_days_of_the_plan() -> None:
    """青岛市价格监测条例, art. 25: fifteen stable days; what proposed no grade ends after the rule's own hold."""
    graded = policy(rule(CHANGE, rank=1, hold_days=7), stable_days=15)
    watched = policy(rule(CHANGE, hold_days=7), stable_days=15)
    rows = jump(1.5, after=30)
    for under, days in ((graded, 15), (watched, 7)):
        (flag,) = moves(rows, under)
        assert flag.end is not None
        assert flag.end - flag.last_hit == timedelta(days=days)


def test_stable_days_begin_again_with_every_further_hit() -> None:
    graded = policy(rule(CHANGE, rank=1), stable_days=15)
    values = [5.0] * 20 + [7.0] * 10 + [5.0] * 5 + [7.0] * 30  # a second rise on the fifteenth day
    up = [f for f in moves(quotes(values), graded) if f.direction == "up"]
    assert len(up) == 1
    assert up[0].end is not None
    assert up[0].end - up[0].start == timedelta(days=30)


@pytest.mark.parametrize(
    "wrong", [{"rank_from_score": [5, 5]}, {"rank_from_score": [0, 5]}, {"rank": 1, "rank_from_score": [5]}]
)
def test_steps_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="rank_from_score"):
        Rule.model_validate(rule(STEP, **wrong))
