"""Conditions on the cross-section: outliers, dispersion, diffusion, breadth against its own history."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.thresholds.build import condition, moves, panel_of, quotes, rule, view_of
from thresholds.model import Direction, FloatArray, Mark, Observation
from thresholds.view import View

UP, DOWN = Direction.UP, Direction.DOWN


def market(values: FloatArray, *, item: str = "大米", hours: list[int] | None = None) -> list[Observation]:
    """float64[days, points] as quotes."""
    return [
        o
        for p in range(values.shape[1])
        for o in quotes(values[:, p].tolist(), item=item, point=f"{item}点{p}", hour=hours[p] if hours else 0)
    ]


def calm(days: int, points: int, *, seed: int = 1, spread: float = 0.01, level: float = 5.0) -> FloatArray:
    rng = np.random.default_rng(seed)
    prices: FloatArray = level * np.exp(np.cumsum(rng.normal(0, spread, (days, points)), axis=0))
    return prices


def newest(table: dict[str, Any], rows: list[Observation], direction: Direction = UP) -> list[int]:
    """Answers at the last observation of each series, in order of points."""
    view = view_of(rows)
    truth = condition(**table).truth(view, direction)
    return [int(truth[end - 1]) for end in view.panel.start[1:]]


# outlier


def test_the_one_that_moves_alone_is_an_outlier_and_a_general_rise_is_none() -> None:
    """Up by a fifth alone: true for that point, upwards only. Up by a fifth together: false for all."""
    alone = calm(3, 12)
    alone[2, 4] *= 1.25
    assert newest({"kind": "outlier"}, market(alone)) == [0] * 4 + [1] + [0] * 7
    assert newest({"kind": "outlier"}, market(alone), DOWN) == [0] * 12
    together = calm(3, 12)
    together[2] *= 1.25
    assert newest({"kind": "outlier"}, market(together)) == [0] * 12
    together[2, 4] /= 1.25
    assert newest({"kind": "outlier"}, market(together), DOWN) == [0] * 4 + [1] + [0] * 7


@pytest.mark.parametrize("direction", [UP, DOWN])
@pytest.mark.parametrize("moving", [0.0, 0.05])
def test_the_limit_of_an_outlier_is_exact(direction: Direction, moving: float) -> None:
    """A ten-thousandth beyond the limit it is an outlier, a ten-thousandth short of it it is none: whether the floor
    or the spread of the others makes the fence."""
    side = 1 if direction is UP else -1
    values = calm(2, 15, spread=moving)
    values[1, 3] = values[0, 3] * np.exp(side * 0.6)
    view = view_of(market(values))
    measured = condition(kind="outlier").measure(view, np.array([view.panel.start[4] - 1]), direction)
    assert measured is not None
    assert side * measured.score[0] > 7
    for nudge, expected in ((1e-4, 1), (-1e-4, 0)):
        values[1, 3] = measured.limit[0] * np.exp(side * nudge)
        assert newest({"kind": "outlier"}, market(values), direction)[3] == expected


def test_evidence_of_an_outlier_names_the_others() -> None:
    """Expected is the price before times the median ratio; the sentence says how far the others moved."""
    values = np.full((2, 11), 4.0)
    values[1] = 4.4
    values[1, 0] = 6.0
    view = view_of(market(values))
    measured = condition(kind="outlier").measure(view, np.array([1]), UP)
    assert measured is not None
    assert measured.expected[0] == pytest.approx(4.4)
    assert measured.n_used[0] == 11
    assert measured.clause is not None
    assert "11个监测点的变动（中位+10.0%）不一致，本点+50.0%" in measured.clause[0]


def test_a_small_group_borrows_from_its_class_and_nothing_from_strangers() -> None:
    """Four points of one vegetable among twelve of the class are judged; four of an unknown item are not."""
    greens = [o for item in ("大白菜", "黄瓜", "西红柿") for o in market(calm(2, 4), item=item)]
    odd = calm(2, 4)
    odd[1, 2] *= 1.5
    assert newest({"kind": "outlier"}, greens + market(odd, item="土豆"))[-4:] == [0, 0, 1, 0]
    assert newest({"kind": "outlier"}, greens + market(odd, item="某某某"))[-4:] == [-1] * 4


def test_suspects_and_values_that_are_no_prices_stay_out() -> None:
    """A slipped digit has no say in the fences, and differences have no ratios."""
    for points, others in ((11, 0), (10, -1)):  # ten are left, and judged; nine are too few
        values = calm(6, points)
        values[5, 0] *= 10
        assert newest({"kind": "outlier"}, market(values)) == [-1] + [others] * (points - 1)
    signed = [o for p in range(12) for o in quotes([1.0, -1.0, 2.0], item="利差", unit="%", point=f"点{p}")]
    assert newest({"kind": "outlier"}, signed) == [-1] * 12


def test_an_outlier_of_the_week() -> None:
    """`over` and `max_age` choose what it is compared with, as for `change`."""
    values = calm(15, 11, spread=0.002)
    values[8:, 4] *= 1.3
    assert newest({"kind": "outlier"}, market(values))[4] == 0
    assert newest({"kind": "outlier", "over": "1w"}, market(values))[4] == 1
    sparse = [o for o in market(values) if o.key.point != "大米点4" or (o.at.day % 9) == 1]
    assert newest({"kind": "outlier", "max_age": "2d"}, sparse)[4] == -1


# dispersion


def apart(days: int = 60, points: int = 8) -> FloatArray:
    values = calm(days, 1, spread=0.005) * np.exp(np.random.default_rng(5).normal(0, 0.03, (days, points)))
    values[-1] *= np.exp(np.linspace(-0.4, 0.4, points))
    return np.asarray(values, np.float64)


def test_prices_that_fall_apart_are_found_and_a_general_rise_is_not() -> None:
    """Spread over 80 % instead of a few: true for all points, upwards only. A rise of all by half: false."""
    rows = market(apart())
    assert newest({"kind": "dispersion"}, rows) == [1] * 8
    assert newest({"kind": "dispersion"}, rows, DOWN) == [0] * 8
    together = apart()[:-1]
    together[-1] *= 1.5
    assert newest({"kind": "dispersion"}, market(together)) == [0] * 8


def test_evidence_of_dispersion_is_in_times() -> None:
    """Score and threshold say how often the median of earlier days; the bound is the greater of the two asked."""
    view = view_of(market(apart()))
    at = view.panel.start[1:2] - 1
    for keys, low, high in (({"value": 4.0, "times": 1.0}, 1.5, 12.0), ({"value": 0.1, "times": 3.0}, 3.0, 3.0)):
        one = condition(kind="dispersion", **keys)
        measured = one.measure(view, at, UP)
        assert measured is not None
        assert low <= measured.threshold[0] <= high
        assert measured.score[0] > measured.threshold[0]
        assert measured.unit[0] == "倍"
        assert one.truth(view, UP)[at[0]] == 1


def test_dispersion_is_unknown_with_few_points_or_days() -> None:
    """Four points, or nineteen days: no answer in either direction."""
    for rows in (market(apart(60, 4)), market(apart(20))):
        assert set(newest({"kind": "dispersion"}, rows)) == {-1}
        assert set(newest({"kind": "dispersion"}, rows, DOWN)) == {-1}


# diffusion


def test_diffusion_counts_small_changes_of_many() -> None:
    """Seven of ten up by 0.5 %, one down: 60 points. True for those that rose, false for the one that fell."""
    values = np.full((2, 10), 5.0)
    values[1, :7] *= 1.005
    values[1, 7] *= 0.995
    table = {"kind": "diffusion", "share": 0.6}
    assert newest(table, market(values)) == [1] * 7 + [0] * 3
    assert newest(table, market(values), DOWN) == [0] * 10
    assert newest({**table, "op": ">"}, market(values)) == [0] * 10
    assert newest({**table, "percent": 1}, market(values)) == [0] * 10
    assert newest({**table, "points": 11}, market(values)) == [-1] * 7 + [0] * 3
    assert newest(table, market(10 - values), DOWN) == [1] * 7 + [0] * 3


def test_diffusion_over_a_class_counts_items() -> None:
    """Six vegetables with one point each: only together are they enough."""
    items = ("大白菜", "黄瓜", "西红柿", "土豆", "芹菜", "茄子")
    rows = [o for item in items for o in quotes([5, 5.1], item=item)]
    assert newest({"kind": "diffusion", "share": 0.5}, rows) == [-1] * 6
    assert newest({"kind": "diffusion", "share": 0.5, "among": "class"}, rows) == [1] * 6


def test_evidence_of_diffusion_is_in_percentage_points() -> None:
    """Signed as the direction is; the sentence names the side that is ahead."""
    values = np.full((2, 10), 5.0)
    values[1, :7] *= 0.99
    view = view_of(market(values))
    measured = condition(kind="diffusion", share=0.5).measure(view, np.array([1]), DOWN)
    assert measured is not None
    assert (measured.score[0], measured.threshold[0]) == (pytest.approx(-70), -50)
    assert measured.clause is not None
    assert measured.clause[0] == "较上期下跌面比上涨面高70个百分点（共10个报价，界限50个百分点）"


# breadth

BROAD = {
    "kind": "breadth",
    "of": {"kind": "change", "over": "previous", "percent": 5},
    "share": 0.2,
    "unusual": 0.99,
    "least": 20,
}


def weekly(days: int, every: int, points: int = 10) -> list[Observation]:
    """Seven of ten points up by a tenth and back, every so many days, and on the last day."""
    values = np.full((days, points), 5.0)
    values[::every, :7] = 5.5
    values[-1, :7] = 5.5
    values[-2] = 5.0
    return market(values)


def test_what_is_broad_every_week_is_no_breadth() -> None:
    """Seven of ten points: broad where it never happened, usual where it happens each week; plain breadth flags
    both."""
    plain = {k: v for k, v in BROAD.items() if k not in ("unusual", "least")}
    for every, expected in ((1000, 1), (7, 0)):
        rows = weekly(72, every)
        assert newest(plain, rows)[:7] == [1] * 7
        assert newest(BROAD, rows) == [expected] * 7 + [0] * 3


def test_breadth_without_history_is_unknown_only_where_it_matters() -> None:
    """Too few days to know what is usual: unknown for those that moved broadly, false for the others."""
    assert newest(BROAD, weekly(15, 1000)) == [-1] * 7 + [0] * 3


def test_a_fifth_of_the_points_is_asked_whatever_is_usual() -> None:
    """One of ten is more than ever before, and still not broad."""
    values = np.full((60, 10), 5.0)
    values[-1, 0] = 5.7  # a step that the data gate has no question about
    assert newest({**BROAD, "at_least": 1}, market(values)) == [0] * 10


# together

TABLES: tuple[dict[str, Any], ...] = (
    {"kind": "outlier", "c": 2, "points": 6},
    {"kind": "dispersion", "least": 8, "times": 1.1, "value": 0.5},
    {"kind": "diffusion", "share": 0.5},
    {**BROAD, "least": 10, "at_least": 1, "unusual": 0.9},
)


@pytest.mark.parametrize("table", TABLES)
def test_no_answer_depends_on_what_comes_later(table: dict[str, Any]) -> None:
    """Points report at different hours: cut at any moment, answers and evidence up to then are the same."""
    values = calm(40, 9, spread=0.05, seed=6)
    panel = panel_of(market(values, hours=[8, 8, 9, 9, 10, 11, 12, 15, 20]))
    one, whole = condition(**table), view_of(panel)
    seen = 0
    for direction in (UP, DOWN):
        truth = one.truth(whole, direction)
        seen += int(np.count_nonzero(truth == 1))
        for cut in np.unique(panel.time)[10::23]:
            keep = panel.time <= cut
            part = view_of(panel.only(keep))
            answers = one.truth(part, direction)
            np.testing.assert_array_equal(answers, truth[keep])
            at = np.flatnonzero(answers == 1)
            measured, same = (
                one.measure(v, places, direction) for v, places in ((part, at), (whole, np.flatnonzero(keep)[at]))
            )
            assert measured is not None
            assert same is not None
            for name in ("expected", "scale", "score", "threshold", "limit", "clause"):
                if getattr(measured, name) is not None:
                    np.testing.assert_array_equal(getattr(measured, name), getattr(same, name))
    assert seen > 0


@pytest.mark.parametrize("table", TABLES)
def test_the_order_of_points_does_not_matter(table: dict[str, Any]) -> None:
    """Whoever came first in the sheet: the same answers."""
    rows = market(calm(40, 9, spread=0.05, seed=6))
    view, turned = view_of(rows), view_of(rows[::-1])
    for direction in (UP, DOWN):
        answers = {}
        for v in (view, turned):
            truth = condition(**table).truth(v, direction)
            answers[id(v)] = {
                (v.panel.keys[v.panel.series[i]].point, int(v.panel.time[i])): int(truth[i])
                for i in range(len(truth))
            }
        assert answers[id(view)] == answers[id(turned)]


@pytest.mark.parametrize("table", TABLES)
def test_awkward_markets_have_answers(table: dict[str, Any]) -> None:
    """Flat, 80 % unchanged, two observations, one point, expected moves: answers or unknown, no alarm on flat."""
    flat = view_of(market(np.full((60, 10), 5.0)))
    assert 1 not in condition(**table).truth(flat, UP)
    rng = np.random.default_rng(2)
    steps = np.where(rng.random((200, 12)) < 0.2, rng.normal(0, 0.02, (200, 12)), 0.0)
    sticky: View = view_of(market(np.round(5 * np.exp(np.cumsum(steps, axis=0)), 2)))
    asked = {"kind": "outlier"} if table["kind"] == "outlier" else table
    truth = condition(**asked).truth(sticky, UP)
    assert (truth[sticky.panel.day == sticky.panel.day.max()] >= 0).all()
    if table["kind"] == "outlier":
        assert (truth == 1).mean() < 0.001
    alone = condition(**table).truth(view_of(quotes([5.0, 9.0])), UP)
    assert set(alone.tolist()) <= {-1, 0}
    marked = panel_of(market(calm(3, 10)), {2: Mark.EXPECTED, 5: Mark.DATA_ERROR})
    assert len(condition(**table).truth(view_of(marked), UP)) == 30


def test_a_rule_on_points_flags_the_odd_one() -> None:
    """Through the whole path: one flag, at the point, whose reason is the condition's own sentence.

    Alone as it is, the data gate asks about it first: it is flagged when the next report stays there.
    """
    values = calm(31, 12, spread=0.005)
    values[29:, 4] *= 1.3
    flags = moves(market(values), rule({"kind": "outlier"}, scope="point"))
    assert [(f.point, f.direction) for f in flags] == [("大米点4", UP)]
    assert "不一致" in flags[0].reason
    assert flags[0].expected < flags[0].threshold < flags[0].value


def test_a_history_that_can_never_be_full_is_a_fault() -> None:
    """`least` above `window` would be unknown for ever."""
    with pytest.raises(ValueError, match="least"):
        condition(kind="dispersion", window=10, least=20)
