"""Conditions: three-valued logic, exact bounds, breadth, duration, evidence."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.thresholds.build import condition, panel_of, quotes, view_of
from thresholds.conditions import KINDS, Condition, Truth, Worded, parse, walk
from thresholds.model import Direction, Observation
from thresholds.panel import Panel
from thresholds.view import View

UP, DOWN = Direction.UP, Direction.DOWN
TRUTH = st.sampled_from([1, 0, -1])


class Said(Condition):
    """A leaf whose answers are given."""

    kind: str = "said"
    answers: tuple[int, ...]

    def truth(self, view: View, direction: Direction, ease: float = 1.0) -> Truth:
        return np.array(self.answers, np.int8)


def said(*answers: int) -> Said:
    return Said(answers=answers)


def steady(n: int, points: int = 1) -> View:
    """A view on `points` series of one item with `n` daily values each, in which nothing happens."""
    return view_of([o for p in range(points) for o in quotes([3.0] * n, point=f"点{p}")])


def truth(
    table: dict[str, Any], observations: Sequence[Observation], direction: Direction = UP, **how: float
) -> list[int]:
    answers: list[int] = parse(table).truth(view_of(observations), direction, **how).tolist()
    return answers


# logic


@given(st.lists(st.lists(TRUTH, min_size=4, max_size=4), min_size=1, max_size=4))
def test_all_any_and_not_are_kleenes(columns: list[list[int]]) -> None:
    """`all` is the least, `any` the greatest, where unknown lies between false and true; `not` keeps unknown."""
    view, between = steady(4), {0: 0.0, -1: 0.5, 1: 1.0}
    back = {v: k for k, v in between.items()}
    rows = list(zip(*columns, strict=True))
    parts = [said(*c) for c in columns]
    assert parse({"all": parts}).truth(view, UP).tolist() == [back[min(between[x] for x in r)] for r in rows]
    assert parse({"any": parts}).truth(view, UP).tolist() == [back[max(between[x] for x in r)] for r in rows]
    assert parse({"not": parts[0]}).truth(view, UP).tolist() == [back[1 - between[r[0]]] for r in rows]


@given(st.lists(TRUTH, min_size=6, max_size=6), st.lists(TRUTH, min_size=6, max_size=6))
def test_de_morgan_holds_with_the_unknown(a: list[int], b: list[int]) -> None:
    """not (a and b) is (not a) or (not b), in each of the nine cases."""
    view, one, two = steady(6), said(*a), said(*b)
    left = parse({"not": {"all": [one, two]}}).truth(view, UP)
    right = parse({"any": [{"not": one}, {"not": two}]}).truth(view, UP)
    assert left.tolist() == right.tolist()


def test_what_is_excluded_is_judged_as_written() -> None:
    """Hysteresis does not ease an exclusion: `not` of a change above 10 % is still false at +11 % only."""
    rows = quotes([10, 10.95, 12.2])
    table = {"not": {"kind": "change", "over": "previous", "percent": 10}}
    assert truth(table, rows) == truth(table, rows, ease=0.5) == [-1, 1, 0]


# change


@settings(max_examples=400)
@given(
    st.integers(1, 100_000),
    st.integers(1, 100_000),
    st.integers(1, 2000),
    st.sampled_from([">", ">="]),
    st.booleans(),
)
def test_the_bound_is_judged_as_with_exact_decimals(before: int, after: int, mills: int, op: str, near: bool) -> None:
    """Prices in cents, thresholds in tenths of a percent: `>` and `>=` as with fractions, never by binary noise."""
    if near:  # land on the bound itself where cents allow it
        after = max(1, before * (1000 + mills) // 1000)
    change = Fraction(after, before) - 1
    bound = Fraction(mills, 1000)
    table = {"kind": "change", "over": "previous", "op": op, "percent": mills / 10}
    rows = quotes([before / 100, after / 100])
    up = change > bound or (op == ">=" and change == bound)
    down = -change > bound or (op == ">=" and -change == bound)
    assert truth(table, rows, UP) == [-1, int(up)]
    assert truth(table, rows, DOWN) == [-1, int(down)]


def test_five_percent_exactly_is_not_more_than_five_percent() -> None:
    """10.50 / 10.00 is a hair above 1.05 in binary; the rule says 超过 5 %, which excludes 5 % itself."""
    assert 10.50 / 10.00 - 1 > 0.05
    rows = quotes([10.00, 10.50])
    assert truth({"kind": "change", "over": "previous", "op": ">", "percent": 5}, rows) == [-1, 0]
    assert truth({"kind": "change", "over": "previous", "op": ">=", "percent": 5}, rows) == [-1, 1]


def test_ease_lowers_the_threshold() -> None:
    """At nine tenths of 10 % a change of 9.5 % keeps a flag open and one of 8.9 % does not."""
    table = {"kind": "change", "over": "previous", "percent": 10}
    assert truth(table, quotes([100, 109.5]), ease=0.9) == [-1, 1]
    assert truth(table, quotes([100, 108.9]), ease=0.9) == [-1, 0]
    assert truth(table, quotes([100, 90.5]), DOWN, ease=0.9) == [-1, 1]


def test_change_is_unknown_without_anything_to_compare_with() -> None:
    """Too little history, too old a report, a base of zero or below: unknown, never normal."""
    table = {"kind": "change", "over": "1w", "percent": 5}
    assert truth(table, quotes([3.0] * 7)) == [-1] * 7
    assert truth(table, quotes([3.0] * 8)) == [-1] * 7 + [0]
    week_old = {"kind": "change", "over": "previous", "percent": 5, "max_age": "7d"}
    assert truth(week_old, quotes([3, 4], every=7)) == [-1, 1]
    assert truth(week_old, quotes([3, 4], every=8)) == [-1, -1]
    crude = quotes([-5, 5], item="WTI", unit="USD/bbl")
    assert truth({"kind": "change", "over": "previous", "percent": 5}, crude) == [-1, -1]


def test_level_has_a_bound_for_each_direction() -> None:
    """CPI at or above 3.5; hog to corn below 6: each direction its own, none given means never."""
    rows = quotes([3.4, 3.5, 3.6], item="CPI指数", unit="%")
    assert truth({"kind": "level", "op": ">=", "above": 3.5}, rows) == [0, 1, 1]
    assert truth({"kind": "level", "op": ">", "above": 3.5}, rows) == [0, 0, 1]
    assert truth({"kind": "level", "above": 3.5}, rows, DOWN) == [0, 0, 0]
    assert truth({"kind": "level", "below": 3.5}, rows, DOWN) == [1, 0, 0]
    assert truth({"kind": "level", "op": ">=", "above": 3.5}, rows, ease=0.9) == [1, 1, 1]
    assert truth({"kind": "level", "below": -2.0}, quotes([-1.9], item="指数", unit="点"), DOWN, ease=0.9) == [1]


def test_score_is_unknown_with_too_little_history() -> None:
    """Thirteen values make twelve steps: the thirteenth step is the first that can be judged."""
    values = [3 + 0.01 * (n % 3) for n in range(13)]
    answers = truth({"kind": "score", "value": 7}, quotes([*values, 6.5]))
    assert answers == [-1] * 13 + [1]
    assert truth({"kind": "score", "value": 7}, quotes([*values, 1.3]), DOWN)[-1] == 1


def test_a_score_may_ask_for_a_least_size_of_the_step() -> None:
    """A very steady price that moves by 9 % is far out, but not by the tenth that is asked; exact both ways."""
    flat = [100.0] * 20
    table = {"kind": "score", "value": 7, "percent": 10}
    assert truth(table, quotes([*flat, 109.9]))[-1] == 0
    assert truth(table, quotes([*flat, 110]))[-1] == 1
    assert truth(table, quotes([*flat, 90.1]), DOWN)[-1] == 0
    assert truth(table, quotes([*flat, 90]), DOWN)[-1] == 1
    assert truth({**table, "percent": 0}, quotes([*flat, 109.9]))[-1] == 1
    assert truth(table, quotes([*flat, 109.5]), ease=0.9)[-1] == 1
    index = quotes([100.0] * 20 + [109.0], item="压力指数", unit="点")
    assert truth(table, index)[-1] == 1  # a percentage of an index is not asked


def test_state_set_prices_are_known_from_the_catalogue() -> None:
    """Petrol is priced by government, cabbage is not."""
    assert truth({"kind": "state_set"}, quotes([8.0], item="92号汽油", unit="元/升")) == [1]
    assert truth({"kind": "state_set"}, quotes([1.0], item="大白菜")) == [0]


# breadth, duration, points


def rise(
    *last: float, hours: Sequence[int] = (0, 0, 0, 0), unit: Sequence[str] = ("元/500克",) * 4
) -> list[Observation]:
    """Points at 10.00 that report `last` on the next day."""
    return [
        o
        for n, value in enumerate(last)
        for o in quotes([10], point=f"点{n}", unit=unit[n])
        + quotes([value], point=f"点{n}", unit=unit[n], first=1, hour=hours[n])
    ]


WIDE = {"kind": "breadth", "of": {"kind": "change", "over": "previous", "percent": 5}, "at_least": 2}


def newest(table: dict[str, Any], observations: list[Observation]) -> list[int]:
    """The answers at the last observation of each series."""
    panel = panel_of(observations)
    return [int(x) for x in np.array(truth(table, observations))[panel.start[1:] - 1]]


def test_breadth_counts_series_of_the_same_item_and_day() -> None:
    """Two of four rose: true for the two, false for the others; one alone is not enough; other units do not count."""
    assert newest(WIDE, rise(11, 11, 10, 10)) == [1, 1, 0, 0]
    assert newest(WIDE, rise(11, 10, 10, 10)) == [0, 0, 0, 0]
    assert newest(WIDE, rise(11, 11, unit=["元/500克", "元/公斤"])) == [0, 0]


def test_breadth_may_ask_for_a_share() -> None:
    """Half of those known: two of four are, two of five are not."""
    half = {**WIDE, "share": 0.5}
    assert newest(half, rise(11, 11, 10, 10)) == [1, 1, 0, 0]
    assert newest({**WIDE, "share": 0.6}, rise(11, 11, 10, 10)) == [0, 0, 0, 0]


def test_breadth_on_a_day_counts_what_has_come_so_far() -> None:
    """At nine nobody knows of ten o'clock: only the second to report is the second."""
    assert newest(WIDE, rise(11, 11, hours=[9, 10])) == [0, 1]
    assert newest(WIDE, rise(11, 11, hours=[10, 9])) == [1, 0]


def test_breadth_leaves_suspects_out() -> None:
    """Two digit slips and one real rise are no breadth of three."""
    rows = [o for n in range(3) for o in quotes([3.2] * 6, point=f"点{n}")]
    rows += (
        quotes([32], point="点0", first=6) + quotes([3.6], point="点1", first=6) + quotes([3.2], point="点2", first=6)
    )
    assert newest(WIDE, rows) == [-1, 0, 0]


def test_breadth_counts_each_series_once_with_its_newest_answer() -> None:
    """A point that reports at 9 and takes it back at 11 does not count at 12; nor does it count twice."""
    rows = rise(11, 11, hours=[9, 12]) + quotes([10.1], point="点0", first=1, hour=11)
    assert newest(WIDE, rows) == [0, 0]
    rows = rise(11, 10, hours=[9, 12]) + quotes([12.1], point="点0", first=1, hour=11)
    assert newest(WIDE, rows) == [0, 0]


def test_breadth_is_unknown_where_its_own_series_is() -> None:
    """A new point knows nothing of its own change, whatever the others did."""
    rows = rise(11, 11) + quotes([11], point="新", first=1)
    assert newest(WIDE, rows) == [1, 1, -1]


@given(st.lists(TRUTH, min_size=1, max_size=15), st.integers(2, 4))
def test_lasting_is_the_conjunction_of_the_newest_readings(answers: list[int], readings: int) -> None:
    """True after so many true in a row, false where one of them is false, unknown otherwise; never with fewer."""
    view = steady(len(answers))
    got = parse({"kind": "lasting", "of": said(*answers), "readings": readings}).truth(view, UP)
    for i in range(len(answers)):
        tail = answers[max(0, i + 1 - readings) : i + 1]
        expected = 0 if 0 in tail or len(tail) < readings else -1 if -1 in tail else 1
        assert got[i] == expected


def test_lasting_skips_suspects_and_does_not_cross_series() -> None:
    """A digit slip in between neither counts nor breaks the run; the next series starts its own."""
    rows = quotes([3.2] * 6 + [4.2, 42.0, 4.25]) + quotes([4.2], point="点2")
    table = {"kind": "lasting", "readings": 2, "of": {"kind": "level", "above": 4.0}}
    assert truth(table, rows) == [0] * 8 + [1, 0]


def test_lasting_knows_since_when() -> None:
    """The first abnormal observation is the first of the run, not the one at which the rule became true."""
    rows = quotes([3, 4.2, 4.3, 4.4])
    view = view_of(rows)
    lasting = condition(kind="lasting", readings=3, of={"kind": "level", "above": 4})
    for table in (lasting, parse({"all": [lasting]}), parse({"any": [{"kind": "level", "above": 9}, lasting]})):
        assert table.since(view, np.array([3]), UP).tolist() == [1]


def test_points_counts_who_stands_behind_a_value() -> None:
    """On points themselves it is one each."""
    assert truth({"kind": "points", "at_least": 1}, quotes([3])) == [1]
    assert truth({"kind": "points", "at_least": 2}, quotes([3])) == [0]


# evidence

EITHER = {"any": [{"kind": "change", "over": "previous", "percent": 50}, {"kind": "level", "above": 12}]}


def test_evidence_is_that_of_the_part_that_is_true() -> None:
    """Of two alternatives each position is explained by the one that holds there, not by the first."""
    view = view_of(quotes([10, 12.5, 20]))
    measured = parse(EITHER).measure(view, np.array([1, 2]), UP)
    assert measured is not None
    assert measured.window.tolist() == ["当期值", "较上期"]
    assert measured.threshold.tolist() == [12, 50]
    assert measured.score.tolist() == pytest.approx([0.5, 60])


@settings(max_examples=60)
@given(st.lists(st.sampled_from([8.0, 10.0, 12.5, 20.0]), min_size=2, max_size=12))
def test_evidence_at_one_position_does_not_depend_on_the_others(values: list[float]) -> None:
    """Measured alone or together with whatever came later, the numbers are the same."""
    view = view_of(quotes(values))
    at = np.arange(len(values))
    together = parse(EITHER).measure(view, at, UP)
    assert together is not None
    for i in at.tolist():
        alone = parse(EITHER).measure(view, np.array([i]), UP)
        assert alone is not None
        assert alone.window[0] == together.window[i]
        np.testing.assert_array_equal(alone.score[0], together.score[i])


def test_what_measures_nothing_gives_no_borrowed_numbers() -> None:
    """Where only a part without numbers is true the numbers of the other, which did not hold, are not shown."""
    table = parse({"any": [{"kind": "change", "over": "previous", "percent": 50}, {"kind": "points", "at_least": 1}]})
    measured = table.measure(view_of(quotes([10, 11])), np.array([1]), UP)
    assert measured is not None
    assert np.isnan(measured.score[0])


def test_expected_and_limit_are_in_the_unit_of_the_series() -> None:
    """A step of +10 % against 5 %: compared with 10.00, the limit is 10.50; the score says what would be usual."""
    change = condition(kind="change", over="previous", percent=5).measure(
        view_of(quotes([10, 11])), np.array([1]), UP
    )
    assert change is not None
    assert (change.value[0], change.expected[0]) == (11, 10)
    assert change.limit[0] == pytest.approx(10.5)
    assert change.score[0] == pytest.approx(10)
    flat = quotes([10.0] * 20 + [11])
    score = condition(kind="score", value=7).measure(view_of(flat), np.array([20]), UP)
    assert score is not None
    assert score.expected[0] == pytest.approx(10)
    assert score.limit[0] == pytest.approx(10 * np.exp(7 * 0.005))


# form


def test_a_tree_can_be_written_short_or_long() -> None:
    """`{ all = […] }` is `{ kind = "all", of = […] }`."""
    leaf = {"kind": "points", "at_least": 2}
    for name in ("all", "any"):
        assert parse({name: [leaf]}) == parse({"kind": name, "of": [leaf]})
    assert parse({"not": leaf}) == parse({"kind": "not", "of": leaf})


def test_walk_visits_every_node() -> None:
    """Depth first, the root included."""
    tree = parse({"all": [WIDE, {"not": {"kind": "state_set"}}]})
    assert [c.kind for c in walk(tree)] == ["all", "breadth", "change", "not", "state_set"]


SAYS_NOTHING_HERE = {
    *("state_set", "recorded", "holiday"),  # nothing of it is in these days
    *(
        "extremes",
        "ifpa",
        "outlier",
        "seasonal",
        "surge",
        "volatility",
    ),  # need more: cut in the tests of their kernels
    "points",  # every item has them
}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_is_causal(kind: str) -> None:
    """For each kind of condition there is: cut anywhere, the answers up to then are the same."""
    examples: dict[str, dict[str, Any]] = {
        "change": {"over": "1w", "percent": 5},
        "score": {"value": 3, "over": 2},
        "level": {"above": 3.3, "below": 3.1},
        "points": {"at_least": 1},
        "breadth": {"of": {"kind": "change", "over": "previous", "percent": 5}},
        "lasting": {"of": {"kind": "level", "above": 3.2}, "readings": 2},
        "all": {"of": [{"kind": "level", "above": 3.2}, WIDE]},
        "any": {"of": [{"kind": "level", "above": 3.4}, WIDE]},
        "not": {"of": WIDE},
        "state_set": {},
        "surge": {"alpha": 0.05},
        "multiple": {"times": 1.1, "at_least": 1},
        "hp_gap": {"above": 0.01, "below": -0.01, "least": 8},
        "ratio": {"numerator": ["大米"], "denominator": ["面粉"], "published": ["大米"], "above": 3.2, "below": 3.1},
        "forecast": {"percent": 3, "least": 10, "window": 20, "chance": 0.3},
        "ewma": {"window": 12, "least": 8, "width": 1},
        "cusum": {"window": 12, "least": 8, "limit": 1},
        "volatility": {"window": 30, "least": 20, "times": 1.01},
        "extremes": {"readings": 10, "least": 100},
        "outlier": {"points": 4, "c": 0.5},
        "dispersion": {"points": 3, "least": 5, "value": 0.5, "times": 1},
        "diffusion": {"points": 2, "share": 0.5},
        "seasonal": {"value": 1},
        "ifpa": {"value": 0.5},
        "season": {"festival": [-30, 0], "months": [1, 2]},
        "holiday": {"before": 1, "after": 2},
        "m_of_n": {"of": {"kind": "level", "above": 3.2, "below": 3.2}, "m": 2, "n": 4},
        "series": {"mentions": ["点1"]},
        "reach": {"of": {"kind": "change", "over": "previous", "percent": 2}, "at_least": 1},
        "staying": {"over": "previous", "percent": 2, "least": 10, "window": 20, "chance": 0.2},
        "recorded": {},
        "calm": {"span": "3d"},
        "steady": {"span": "3d", "percent": 12},
        "receded": {"span": "3d", "within": "30d", "weeks": 3},
        "complaints": {"of": {"kind": "level", "above": 4.5, "below": 3.5}, "max_age": "10d"},
    }
    rng = np.random.default_rng(5)
    rows = [
        o
        for p in range(3)
        for o in quotes(np.round(3.2 * np.exp(rng.normal(0, 0.05, 40)), 2).tolist(), point=f"点{p}", hour=7 * p)
    ]
    if kind in ("complaints", "receded"):
        surge = np.where(np.arange(60) // 7 % 4 == 2, 40, 4) + rng.integers(0, 3, 60)
        rows += quotes(surge.astype(float).tolist(), item="12315投诉", spec="大米", unit="件", point="热线", hour=3)
    one = parse({"kind": kind, **examples[kind]})
    panel = panel_of(rows)

    def seen(part: Panel) -> View:
        view = view_of(part)
        abnormal = np.where(part.value > 3.4, part.time, np.iinfo(np.int64).min // 2)  # what other rules found
        view.abnormal = np.concatenate(
            [np.maximum.accumulate(abnormal[a:b]) for a, b in pairwise(part.start.tolist())]
        )
        return view

    whole = {d: one.truth(seen(panel), d) for d in (UP, DOWN)}
    if kind not in SAYS_NOTHING_HERE:
        assert len(np.unique(np.concatenate(list(whole.values())))) > 1, "the answers tell nothing"
    for cut in np.unique(panel.time)[5::9]:
        known = panel.time <= cut
        for direction, answers in whole.items():
            part = one.truth(seen(panel.only(known)), direction)
            np.testing.assert_array_equal(part, answers[known])


# words


def test_words_are_made_for_the_rows_that_are_looked_at() -> None:
    """One row or some; as a column they are all rows, whatever is the same in all of them."""
    words = Worded("{}至{:.1f}倍（界限{:g}倍）", ["甲", "乙", "丙"], np.array([1.25, np.nan, 3.0]), 2)
    assert words[0] == "甲至1.2倍（界限2倍）"
    assert words[np.array([2, 1])].tolist() == ["丙至3.0倍（界限2倍）", "乙至nan倍（界限2倍）"]
    assert list(words) == [words[k] for k in range(3)]
    assert np.where([True, False, True], "", words).tolist() == ["", words[1], ""]
