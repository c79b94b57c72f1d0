"""From observations to flags: one per item, direction and area, without looking ahead, the same in any order."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.thresholds.build import (
    at,
    found,
    moves,
    panel_of,
    policy_of,
    quotes,
    rule,
    shipped,
    shipped_catalogue,
)
from thresholds.detect import detect
from thresholds.model import Direction, Flag, Kind, Mark, Observation, SeriesKey
from thresholds.panel import SHANGHAI
from thresholds.plan import Policy

STEP5 = rule({"kind": "change", "over": "previous", "percent": 5})
STEADY = [3.0] * 6


def essence(flag: Flag) -> tuple[Any, ...]:
    """All of a flag that must not change once it is flagged; NaN written so that it equals itself."""
    findings = [
        (
            *(f.rule, f.at, f.unit, f.window, f.n_used, f.reason),
            *map(str, (f.value, f.expected, f.scale, f.score, f.threshold)),
            *((c.point, c.area, *map(str, (c.value, c.expected, c.change)), c.carried) for c in f.contributions),
        )
        for f in flag.findings
    ]
    fixed = (flag.id, flag.kind, flag.plan, flag.rule, flag.item, flag.point, flag.points, flag.area, flag.direction)
    numbers = tuple(map(str, (flag.value, flag.expected, flag.threshold)))
    return (*fixed, flag.start, flag.first_flagged, *numbers, flag.reason, findings)


def ends(flags: Sequence[Flag], by: datetime) -> dict[str, tuple[datetime, str]]:
    """When and why flags were over that had ended by then."""
    return {f.id: (f.end, f.end_reason) for f in flags if f.end is not None and f.end <= by}


# one flag per item, direction and area


def test_one_flag_for_a_rise_over_several_days() -> None:
    """Three rising days are one flag, from the first, with the highest value as peak; it ends after its hold."""
    (flag,) = moves(quotes([*STEADY, 3.3, 3.6, 3.9] + [3.9] * 12), STEP5)
    assert (flag.start, flag.first_flagged, flag.last_hit) == (at(6), at(6), at(8))
    assert (flag.value, flag.expected, flag.peak) == (3.3, 3.0, 3.9)
    assert flag.threshold == pytest.approx(3.15)
    assert (flag.end, flag.end_reason) == (at(15), "cleared")  # seven readings: hold_days of a daily series


def test_up_and_down_are_two_flags() -> None:
    """A spike and its return: each direction has its own (P1)."""
    flags = moves(quotes([*STEADY, 3.3, 3.0]), STEP5)
    assert [(f.direction, f.first_flagged) for f in flags] == [(Direction.UP, at(6)), (Direction.DOWN, at(7))]


def test_several_rules_on_one_item_are_one_flag_with_all_their_findings() -> None:
    """The strongest leads, the others are evidence."""
    week = rule({"kind": "change", "over": "1w", "percent": 5})
    (flag,) = moves(quotes([3.0] * 10 + [4.0]), rule({"kind": "change", "over": "previous", "percent": 20}), week)
    assert flag.rule == "test/rule2"
    assert [f.rule for f in flag.findings] == ["test/rule2", "test/rule1"]
    assert [f.unit for f in flag.findings] == ["%", "%"]


def test_points_of_an_area_are_one_flag_with_contributions() -> None:
    """The mean moves; which point pushed most comes first, against its own report before."""
    rows = quotes([4.0, 4.0, 5.0]) + quotes([6.0, 6.0, 6.0], point="点2") + quotes([5.0, 5.0, 5.5], point="点3")
    (flag,) = moves(rows, STEP5)
    assert (flag.point, flag.points, flag.area) == ("", ("城南市场", "点2", "点3"), "甲区")
    assert [(c.point, c.change) for c in flag.findings[0].contributions] == [
        ("城南市场", pytest.approx(0.25)),
        ("点3", pytest.approx(0.1)),
        ("点2", 0.0),
    ]


def test_points_that_do_not_report_any_more_are_not_named() -> None:
    """Who stopped months ago, or begins next month, is no point of this flag."""
    rows = quotes([4.0] * 200 + [5.0] * 40) + quotes([6.0] * 240, point="点2")
    rows += quotes([5.0] * 20, point="停报") + quotes([5.0] * 10, point="新增", first=230)
    (flag,) = moves(rows, STEP5)
    assert flag.points == ("城南市场", "点2")


def test_suspects_are_no_contribution() -> None:
    """A digit slip of one point on the day of the others' rise is not what pushed: its price before counts."""
    rows = [o for n in range(3) for o in quotes(STEADY, point=f"点{n}")]
    rows += (
        quotes([30.0], point="点0", first=6)
        + quotes([3.6], point="点1", first=6)
        + quotes([3.6], point="点2", first=6)
    )
    (flag,) = moves(rows, STEP5)
    shown = [(c.point, c.value, c.carried) for c in flag.findings[0].contributions]
    assert shown == [("点1", 3.6, False), ("点2", 3.6, False), ("点0", STEADY[-1], True)]


def test_points_whose_last_price_stands_in_the_mean_are_counted_and_marked() -> None:
    """12 points, one of them silent on the day: the sentence and the list say so, the numbers stay what they were; a
    point that reported at another hour of the day did report."""
    rows = [o for n in range(12) for o in quotes(STEADY, point=f"点{n:02}")]
    rows += [o for n in range(11) for o in quotes([3.6], point=f"点{n:02}", first=6)]
    (flag,) = moves(rows, STEP5)
    assert flag.reason.startswith("大米在甲区12个监测点（其中1个沿用上次报价）为")
    assert flag.value == pytest.approx((11 * 3.6 + STEADY[-1]) / 12)
    found = flag.findings[0].contributions
    assert len(found) == len(flag.points) == 12
    assert [c.point for c in found if c.carried] == ["点11"]
    assert math.isnan(found[-1].change)
    later = [o for n in range(11) for o in quotes([3.6], point=f"点{n:02}", first=6, hour=9)]
    (flag,) = moves([*rows[: 12 * 6], *quotes([3.6], point="点11", first=6), *later], STEP5)
    assert flag.reason.startswith("大米在甲区12个监测点为")
    assert not any(c.carried for c in flag.findings[0].contributions)


def test_areas_together_are_the_city() -> None:
    """Two areas of two move on one day: one flag on 全市, not two."""
    rows = quotes([3.0, 3.3]) + quotes([3.0, 3.3], area="乙区", point="点2")
    (flag,) = moves(rows, STEP5)
    assert (flag.area, flag.points) == ("全市", ("城南市场", "点2"))


def test_areas_are_counted_as_they_were_known_then() -> None:
    """Two of two areas were the city; that three more are watched a year later does not undo it."""
    rows = quotes([3.0, 3.3]) + quotes([3.0, 3.3], area="乙区", point="点2")
    later = [o for n in range(3) for o in quotes([3.0], area=f"新区{n}", point=f"新{n}", first=400)]
    assert [f.id for f in moves(rows + later, STEP5)] == [f.id for f in moves(rows, STEP5)]


def test_the_peak_is_that_of_the_same_spec() -> None:
    """Ribs at 30 are not the peak of lean pork at 13."""
    lean = quotes([12.0, 14.4, 13.0], item="猪肉", spec="精瘦肉")
    ribs = quotes([30.0, 31.8, 31.9], item="猪肉", spec="肋排")
    flags = moves(lean + ribs, STEP5, rule({"kind": "change", "over": "previous", "percent": 0.1}))
    up = [f for f in flags if f.direction is Direction.UP]
    assert [(f.value, f.peak) for f in up] == [(14.4, 14.4)]


def test_hysteresis_carries_on_below_the_threshold() -> None:
    """A level that hovers: above 10 opens, above 9 keeps open; with ease 1 it would have ended."""
    values = [8, 11, 9.5, 9.5, 9.5, 9.5, 9.5, 9.5, 9.5, 9.5, 8, 8]
    eased = rule({"kind": "level", "above": 10}, hold_days=2, direction="up")
    (flag,) = moves(quotes(values), eased)
    assert (flag.last_hit, flag.end) == (at(9), at(11))
    (strict,) = moves(quotes(values), {**eased, "ease": 1.0})
    assert (strict.last_hit, strict.end) == (at(1), at(3))


def test_the_hold_is_counted_in_readings_of_the_series() -> None:
    """A week for a daily series, two reports for a monthly one; weekends are no reason to end."""
    daily = moves(quotes([3.0, 3.3] + [3.3] * 20), STEP5)
    monthly = moves(quotes([3.0, 3.3] + [3.3] * 20, every=30), STEP5)
    assert (daily[0].end, monthly[0].end) == (at(8), at(90))


def test_suspected_errors_are_no_readings_of_the_hold() -> None:
    """They are none in a mean over points either: a second point that reports later must not move an end."""
    values = [3.0, 3.0, 0.3, *[3.0] * 4]  # the slip is taken for a change, what follows it for slips of the new level
    later = quotes([2.4, 3.02], point="东风市场", first=8, every=2)
    for rows, end in ((quotes(values), None), ([*quotes(values), *later], at(10))):
        (down,) = [f for f in moves(rows, STEP5) if f.direction is Direction.DOWN]
        assert (down.first_flagged, down.end) == (at(2), end)


def test_a_grade_is_the_plans() -> None:
    """Rank 1 of the price plan is III; an item of the finance domain gets IV with its colour; rank 0 none."""
    graded = {**STEP5, "rank": 1}
    (price,) = moves(quotes([3.0, 3.3]), graded)
    (index,) = moves(quotes([3.0, 3.3], item="Brent", unit="USD/bbl"), graded)
    (none,) = moves(quotes([3.0, 3.3]), STEP5)
    assert (price.plan, price.peak_grade.label, price.peak_grade.rank) == ("price-daqing", "III", 1)
    assert (index.plan, index.peak_grade.label, index.peak_grade.colour) == ("finance-luohe", "IV", "蓝")
    assert (none.plan, none.peak_grade.rank) == ("price-daqing", 0)


def test_a_rule_that_fails_is_named_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """One bad rule must not silence the rest."""
    from thresholds.conditions import Level

    def broken(*_: object, **__: object) -> object:
        raise ZeroDivisionError("in this rule")

    monkeypatch.setattr(Level, "truth", broken)
    policy = policy_of(rule({"kind": "level", "above": 1}), STEP5)
    result = detect(panel_of(quotes([3.0, 3.3])), policy, at(1))
    assert result.failed == {"test/rule1": "ZeroDivisionError: in this rule"}
    assert [f.rule for f in result.flags] == ["test/rule2"]


def test_rules_apply_to_their_classes_domain_and_dates() -> None:
    """Named classes with their subclasses, without those left out, in the pack's domain, within its dates."""
    rows = quotes([3.0, 3.3, 3.7, 4.2], item="猪肉") + quotes([3.0, 3.3, 3.7, 4.2], item="大米")
    assert {f.item for f in moves(rows, {**STEP5, "classes": ["肉"]})} == {"猪肉"}
    assert {f.item for f in moves(rows, {**STEP5, "without_classes": ["肉"]})} == {"大米"}
    assert moves(rows, STEP5, domain="finance") == []
    dated = moves(rows, STEP5, valid_from=date(2026, 1, 3), valid_until=date(2026, 1, 3))
    assert {(f.first_flagged, f.last_hit) for f in dated} == {(at(2), at(2))}


def test_direction_and_scope_of_a_rule() -> None:
    """A rule for rises says nothing of falls; one on points sees each point's own quotes."""
    rows = quotes([3.0, 3.6]) + quotes([3.0, 2.4], point="点2")
    assert moves(rows, STEP5) == []  # the mean did not move
    up = {**STEP5, "scope": "point", "direction": "up"}
    assert [(f.direction, f.point) for f in moves(rows, up)] == [(Direction.UP, "城南市场")]


def test_expected_observations_stay_out_of_baselines() -> None:
    """A holiday price that a reviewer expected: the return to normal afterwards is no fall."""
    rows = quotes([3.0, 3.0, 3.6, 3.0])
    assert [f.direction for f in moves(rows, STEP5)] == [Direction.UP, Direction.DOWN]
    marked = panel_of(rows, mark={2: Mark.EXPECTED})
    assert [f.direction for f in moves(marked, STEP5)] == [Direction.UP]


def test_a_new_price_that_was_expected_is_not_flagged_again() -> None:
    """A price set by policy stays: the reports after the reviewed one lie on the new level and are no news."""
    rows = quotes([3.0, 3.0, 3.6, 3.6, 3.6])
    marked = panel_of(rows, mark={2: Mark.EXPECTED})
    (flag,) = moves(marked, STEP5)
    assert flag.last_hit == flag.first_flagged


def test_ids_are_stable_and_tell_flags_apart() -> None:
    """The same flag has the same id in any evaluation; item, area, direction, kind and start make another."""
    assert [f.id for f in moves(quotes([3.0, 3.3]), STEP5)] == ["d44312d21b38"]
    variants = [
        quotes([3.0, 3.3]),
        quotes([3.0, 3.3], item="面粉"),
        quotes([3.0, 3.3], area="乙区"),
        quotes([3.0, 2.7]),
        quotes([3.0, 3.0, 3.3]),
    ]
    assert len({f.id for rows in variants for f in moves(rows, STEP5)}) == 5


def test_reading_on_changes_only_end_peak_and_last_hit() -> None:
    """What was first seen stays: appended days do not rewrite why it was raised."""
    rows = quotes([*STEADY, 3.3, 3.6, 3.9, 3.9])
    (early,) = moves(rows[:7], STEP5)
    (late,) = moves(rows, STEP5)
    assert essence(early) == essence(late)
    assert (early.peak, late.peak) == (3.3, 3.9)


# causality, order, items

TREES: list[dict[str, Any]] = [
    {"any": [{"kind": "change", "over": "旬", "percent": 20}, {"kind": "level", "above": 9}]},
    {"kind": "breadth", "of": {"kind": "change", "over": "previous", "percent": 8}, "at_least": 2, "share": 0.5},
    {"kind": "lasting", "of": {"kind": "change", "over": "1w", "percent": 6}, "readings": 2},
    {
        "all": [
            {"not": {"kind": "change", "over": "1m", "percent": 40}},
            {"kind": "score", "value": 4, "least": 5, "window": 8},
        ]
    },
]


def everything() -> Policy:
    """All shipped packs, and one that reaches every kind of condition on points and on areas."""
    own = [rule(tree, scope=scope, rank=rank) for tree in TREES for scope, rank in (("area", 0), ("point", 1))]
    policy = policy_of(*own)
    packs = (*shipped(("ladder-30-50-100",)).packs, *policy.packs)
    return Policy(policy.catalogue, policy.plans, packs, "everything")


EVERYTHING = everything()
VALUES = st.sampled_from([3.0, 3.02, 3.1, 3.3, 3.6, 4.2, 2.4, 6.0, 30.0, 0.3, 0.0, 9.5])
SERIES = st.tuples(
    st.sampled_from(["大米", "豆油", "大白菜", "压力指数"]),
    st.sampled_from(["点一", "点二", "点三", "点四"]),
    st.integers(0, 25),  # first day
    st.sampled_from([1, 1, 1, 7]),  # days between reports
    st.sampled_from([0, 0, 8, 15]),  # hour
    st.lists(st.one_of(VALUES, VALUES, st.none()), min_size=3, max_size=30),
)
AREA = {"点一": "甲区", "点二": "甲区", "点三": "乙区", "点四": "丙区"}


@st.composite
def sheets(draw: st.DrawFn) -> list[Observation]:
    """Several items at several points, with gaps, jumps, slips and zeros."""
    rows = []
    for item, point, first, every, hour, values in draw(
        st.lists(SERIES, min_size=1, max_size=6, unique_by=lambda s: (s[0], s[1]))
    ):
        unit = "标准差" if item == "压力指数" else "元/500克"
        rows += quotes(
            values, item=item, point=point, area=AREA[point], unit=unit, first=first, every=every, hour=hour
        )
    return rows or quotes([3.0])


def flags_of(observations: Sequence[Observation]) -> list[Flag]:
    return found(observations, EVERYTHING).flags


@settings(max_examples=120)
@given(sheets(), st.floats(0, 1))
def test_what_comes_later_changes_nothing_that_was_flagged(rows: list[Observation], where: float) -> None:
    """A file cut at any time gives exactly the flags first flagged until then, with the same evidence and ends."""
    times = sorted({o.at for o in rows})
    cut = times[int(where * (len(times) - 1))]
    part, whole = flags_of([o for o in rows if o.at <= cut]), flags_of(rows)
    assert [essence(f) for f in part] == [essence(f) for f in whole if f.first_flagged <= cut]
    assert ends(part, cut) == ends(whole, cut)


@settings(max_examples=15, deadline=None)
@given(sheets())
def test_day_by_day_is_the_batch(rows: list[Observation]) -> None:
    """Evaluated anew after every single time of the input, each flag appears when the batch says it did."""
    whole = flags_of(rows)
    seen: dict[str, datetime] = {}
    for cut in sorted({o.at for o in rows}):
        for flag in flags_of([o for o in rows if o.at <= cut]):
            seen.setdefault(flag.id, cut)
    assert seen == {f.id: f.first_flagged for f in whole}


@settings(max_examples=60, deadline=None)
@given(sheets(), st.randoms())
def test_the_order_of_rows_and_series_does_not_matter(rows: list[Observation], random: Any) -> None:
    """The daemon knows series in the order in which they first came, a sheet in its own: the flags are the same."""
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert [essence(f) for f in flags_of(shuffled)] == [essence(f) for f in flags_of(rows)]


@settings(max_examples=60, deadline=None)
@given(sheets())
def test_items_do_not_influence_each_other(rows: list[Observation]) -> None:
    """The daemon evaluates the items that changed, replay all of them: the flags of an item are the same."""
    by_item = [[o for o in rows if o.key.item == item] for item in {o.key.item for o in rows}]
    alone = [essence(f) for some in by_item for f in found(some, EVERYTHING, silence=False).flags]
    together = [essence(f) for f in found(rows, EVERYTHING, silence=False).flags]
    assert sorted(alone, key=str) == sorted(together, key=str)


def test_what_carries_a_flag_on_does_not_depend_on_other_items() -> None:
    """A rule that only nearly holds keeps a flag open, whether or not it opens one for another item."""
    rules = STEP5 | {"hold_days": 2}, rule({"kind": "level", "above": 4.0}, hold_days=2)
    rice = quotes([3.0, 3.3, 3.7, *[3.7] * 10, 3.0, 3.0, 3.0])
    alone = [f for f in moves(rice, *rules) if f.direction is Direction.UP]
    beside = [f for f in moves(rice + quotes([5.0, 5.0], item="面粉"), *rules) if f.item == "大米"]
    assert [(f.id, f.last_hit, f.end) for f in alone] == [(alone[0].id, at(12), at(14))]
    assert [(f.id, f.last_hit, f.end) for f in beside if f.direction is Direction.UP] == [
        (alone[0].id, at(12), at(14))
    ]


@settings(max_examples=60, deadline=None)
@given(sheets(), st.integers(0, 200), VALUES)
def test_a_correction_changes_only_what_came_from_that_time_on(
    rows: list[Observation], which: int, value: float
) -> None:
    """One value corrected: flags first flagged before it stay as they are."""
    at_row = which % len(rows)
    old = rows[at_row]
    corrected = [*rows[:at_row], Observation(old.key, old.at, value, area=old.area), *rows[at_row + 1 :]]
    before = [essence(f) for f in flags_of(rows) if f.first_flagged < old.at]
    after = [essence(f) for f in flags_of(corrected) if f.first_flagged < old.at]
    assert before == after


@settings(max_examples=40)
@given(sheets())
def test_every_flag_is_well_formed(rows: list[Observation]) -> None:
    """Unique ids; start not after first flagged; an end with its reason; a direction with a move; words."""
    flags = flags_of(rows)
    assert len({f.id for f in flags}) == len(flags)
    for flag in flags:
        assert flag.start <= flag.first_flagged <= flag.last_hit or flag.kind is Kind.SILENCE
        assert (flag.end is None) == (flag.end_reason == "")
        assert flag.end is None or flag.end >= flag.first_flagged
        assert (flag.direction is Direction.NONE) <= (flag.kind is not Kind.MOVE)
        assert flag.reason.endswith("。")
        assert flag.findings
        assert flag.points
        if flag.kind is Kind.MOVE and math.isfinite(flag.threshold) and math.isfinite(flag.value):
            beyond = flag.value - flag.threshold
            assert (beyond if flag.direction is Direction.UP else -beyond) >= -1e-6


def test_at_most_one_flag_is_open_per_item_direction_and_area() -> None:
    """At no time do two flags of kind move on the same item, direction and area overlap, nor with the city's."""
    rng = np.random.default_rng(8)
    rows = []
    for point in AREA:
        values = np.round(3 * np.exp(np.cumsum(rng.normal(0, 0.025, 900))), 2).tolist()
        rows += quotes(values, point=point, area=AREA[point])
    flags = [f for f in flags_of(rows) if f.kind is Kind.MOVE]
    assert len(flags) > 10
    for one, other in itertools.combinations(flags, 2):
        same = one.direction == other.direction and ({"全市"} & {one.area, other.area} or one.area == other.area)
        if same:
            first, second = sorted((one, other), key=lambda f: f.first_flagged)
            assert first.end is not None
            assert first.end <= second.first_flagged


def test_an_empty_panel_has_no_flags() -> None:
    """Nothing in, nothing out."""
    panel = panel_of(quotes([3.0])).until(at(-1))
    assert detect(panel, shipped(), at()).flags == []


def test_china_is_where_days_are_counted() -> None:
    """A report at seven in the morning belongs to that day in Shanghai, though it is still yesterday in UTC."""
    key = SeriesKey("大米", unit="元/500克", point="点一")
    days = [datetime(2026, 1, d, 7, tzinfo=SHANGHAI) for d in (1, 8)]
    rows = [Observation(key, t, v) for t, v in zip(days, (3.0, 3.3), strict=True)]
    (flag,) = moves(rows, rule({"kind": "change", "over": "1w", "percent": 5, "max_age": "1d"}))
    assert flag.expected == 3.0
    assert shipped_catalogue().classify(key).name == "粮"
