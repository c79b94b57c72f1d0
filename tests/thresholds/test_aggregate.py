"""Means by area: matched samples, asynchronous reports, staleness."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.thresholds.build import panel_of, quotes
from thresholds.aggregate import Areas, by_area
from thresholds.evidence import members_of
from thresholds.model import BoolArray, FloatArray, Observation
from thresholds.panel import Panel


def averaged(
    observations: Sequence[Observation] | Panel,
    usable: BoolArray | None = None,
    rebased: BoolArray | None = None,
    ratio: bool = True,
) -> Areas:
    panel = observations if isinstance(observations, Panel) else panel_of(observations)
    good = np.ones(len(panel), np.bool_) if usable is None else usable
    anew = np.zeros(len(panel), np.bool_) if rebased is None else rebased
    return by_area(panel, good, anew, np.full(panel.n_series, ratio))


def means(observations: Sequence[Observation] | Panel, **how: object) -> FloatArray:
    return averaged(observations, **how).panel.value  # type: ignore[arg-type]  # as in averaged


def test_while_the_same_points_report_it_is_their_plain_mean() -> None:
    """Exactly, without rounding of a chain: what the duty officer computes by hand is what stands there."""
    rng = np.random.default_rng(1)
    values = np.round(rng.uniform(3, 9, (3, 200)), 2)
    rows = [o for n in range(3) for o in quotes(values[n].tolist(), point=f"点{n}")]
    np.testing.assert_array_equal(means(rows), (values[0] + values[1] + values[2]) / 3)
    assert averaged(rows).n_points.tolist() == [3] * 200


def test_a_point_that_joins_moves_nothing() -> None:
    """A dear shop joins: the mean stays, and from then on follows the three together."""
    rows = (
        quotes([4, 4, 4, 4, 5]) + quotes([6, 6, 6, 6, 6], point="点2") + quotes([20, 20, 20], point="贵店", first=2)
    )
    found = averaged(rows)
    assert found.panel.value[:4].tolist() == [5, 5, 5, 5]
    assert found.panel.value[4] == pytest.approx(5 * 31 / 30)
    assert found.n_points.tolist() == [2, 2, 3, 3, 3]


def test_a_point_that_drops_out_moves_nothing() -> None:
    """The cheap shop stops reporting: its last quote stands for a while, then it is left out, and nothing jumps."""
    rows = quotes([4.0] * 20) + quotes([10.0] * 20, point="点2") + quotes([1.0] * 5, point="便宜店")
    found = averaged(rows)
    assert found.panel.value == pytest.approx(np.full(20, 5.0))
    assert found.n_points.tolist() == [3] * 8 + [2] * 12  # three of its own intervals


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 30), st.floats(0.1, 100)), min_size=2, max_size=6))
def test_points_that_come_and_go_at_constant_prices_never_move_the_mean(stays: list[tuple[int, int, float]]) -> None:
    """Whoever joins or leaves whenever: as long as one constant price stands, the mean does not move at all."""
    rows = quotes([5.0] * 70, point="常在")
    for n, (first, length, price) in enumerate(stays):
        rows += quotes([price] * length, point=f"点{n}", first=first)
    found = means(rows)
    assert found == pytest.approx(np.full(len(found), found[0]))


def test_points_do_not_all_report_at_the_same_hour() -> None:
    """A quote stands until the next one: at each report the mean moves by that point's part alone."""
    rows = quotes([4, 5], hour=8) + quotes([6, 6], point="点2", hour=10)
    found = averaged(rows)
    assert found.panel.value.tolist() == pytest.approx([4, 4, 4.4, 4.4])  # joins at the level, then +10 %
    assert found.n_points.tolist() == [1, 2, 2, 2]
    assert found.panel.day.tolist() == [found.panel.day[0]] * 2 + [found.panel.day[0] + 1] * 2


def test_a_quote_stands_for_three_of_its_own_intervals() -> None:
    """Three days at least, three intervals, 62 days at most; the same rule tells who stood behind a value."""
    for every, days in ((1, 3), (5, 15), (30, 62)):
        late = every + days
        rows = quotes([2, 2], point="旧", every=every) + quotes([4.0] * (late + 2), point="日报")
        found = averaged(rows)
        assert found.n_points[late - 1 : late + 2].tolist() == [2, 2, 1]
        time = found.panel.time[late - 1 : late + 2]
        behind = members_of(found, panel_of(rows), np.full(3, True), np.zeros(3, np.int64), time)
        assert np.diff(behind.bounds).tolist() == [2, 2, 1]


def test_when_all_quotes_are_stale_it_begins_anew() -> None:
    """After a silence of everybody the level is the plain mean of who reports then."""
    rows = quotes([4, 4]) + quotes([8, 8], point="点2") + quotes([20], first=90)
    assert means(rows).tolist() == [6, 6, 20]


def test_suspected_errors_are_left_out() -> None:
    """A digit slip of one point never shows in the mean; the point counts with its last good quote."""
    panel = panel_of(quotes([4, 4, 4, 4]) + quotes([6, 60, 6, 6], point="点2"))
    usable = panel.value < 50
    found = averaged(panel, usable=usable)
    assert found.panel.value.tolist() == [5, 5, 5, 5]
    assert found.n_points.tolist() == [2] * 4


def test_a_point_on_a_new_level_joins_again() -> None:
    """Where its quotes begin anew (another unit) a point is as one that joins: no jump."""
    panel = panel_of(quotes([4, 4, 4, 4]) + quotes([6, 6, 60, 60], point="点2"))
    found = averaged(panel, rebased=panel.value == np.where(panel.time == panel.time[2], 60, -1))
    assert found.panel.value.tolist() == [5, 5, 5, 5]


def test_signed_values_move_by_the_mean_of_differences() -> None:
    """A ratio means nothing for what passes through zero: an index of two banks, one of which joins later."""
    rows = quotes([-0.1, 0.1, 0.3, 0.3], item="压力指数", point="甲行") + quotes(
        [5, 5, 6], point="乙行", first=1, item="压力指数"
    )
    assert means(rows, ratio=False) == pytest.approx([-0.1, 0.1, 0.2, 0.7])


def test_the_order_of_points_does_not_matter() -> None:
    """Not even in the last bit: the daemon may know points in another order than the sheet."""
    rng = np.random.default_rng(4)
    parts = [quotes(rng.uniform(3, 9, 30).tolist(), point=f"点{n}", first=int(rng.integers(9))) for n in range(5)]
    one = averaged([o for part in parts for o in part])
    other = averaged([o for part in reversed(parts) for o in part])
    np.testing.assert_array_equal(one.panel.value, other.panel.value)
    np.testing.assert_array_equal(one.panel.time, other.panel.time)


def test_points_that_report_at_different_hours_make_more_values_than_any_has_quotes() -> None:
    """A year of three points at three hours: a value at each of them, the first month's what they are alone."""
    rng = np.random.default_rng(4)
    rows = [
        o for n in range(3) for o in quotes(np.round(rng.uniform(3, 9, 365), 2).tolist(), point=f"点{n}", hour=7 * n)
    ] + quotes([5.0] * 365, point="点3", area="乙区")
    panel = panel_of(rows)
    found, early = averaged(panel), averaged(panel.only(panel.day < panel.day[0] + 30))
    assert np.diff(found.panel.start).tolist() == [3 * 365, 365]
    assert np.diff(early.panel.start).tolist() == [90, 30]
    for name in ("time", "day", "value", "mark"):
        long, short = getattr(found.panel, name), getattr(early.panel, name)
        assert long[:90].tolist() == short[:90].tolist()
        assert long[3 * 365 :][:30].tolist() == short[90:].tolist()
    assert found.n_points[[0, 1, 2, -1]].tolist() == [1, 2, 3, 1]


def test_areas_and_specs_are_averaged_apart() -> None:
    """Never across area, spec, unit or channel; a single point keeps its name, several have none."""
    rows = (
        quotes([4, 4], point="点1")
        + quotes([6, 6], point="点2")
        + quotes([8, 8], point="点3", area="乙区")
        + quotes([9, 9], point="点1", spec="一级")
    )
    found = averaged(rows)
    cells = [(found.panel.areas[s], k.spec, k.point) for s, k in enumerate(found.panel.keys)]
    assert cells == [("甲区", "", ""), ("乙区", "", "点3"), ("甲区", "一级", "点1")]
    assert [found.panel.value[a] for a in found.panel.start[:-1]] == [5, 8, 9]
    assert [m.tolist() for m in found.members] == [[0, 1], [2], [3]]


def test_single_points_everywhere_need_no_copy() -> None:
    """Where no area has two points the panel of areas is the panel of points itself."""
    panel = panel_of(quotes([4, 4]) + quotes([5], area="乙区", point="点2"))
    assert averaged(panel).panel is panel


def test_a_single_point_keeps_its_suspects_beside_averaged_areas() -> None:
    """An area with one point is copied with all its observations and marks: judged already, shown as they are."""
    panel = panel_of(quotes([4, 40], point="独", area="乙区") + quotes([4, 4]) + quotes([6, 6], point="点2"))
    found = averaged(panel, usable=panel.value < 30)
    assert found.panel.value[:2].tolist() == [4, 40]


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.lists(st.floats(1, 50), min_size=1, max_size=12), st.integers(0, 10), st.integers(0, 2)),
        min_size=1,
        max_size=4,
    ),
    st.integers(0, 20),
)
def test_what_comes_later_changes_no_mean(points: list[tuple[list[float], int, int]], cut: int) -> None:
    """Cut at any day, also before some points ever reported: the means up to then are the same, bit for bit."""
    rows = [
        o
        for n, (values, first, hour) in enumerate(points)
        for o in quotes(values, point=f"点{n}", first=first, hour=8 * hour)
    ]
    newest = sorted({o.at for o in rows})[min(cut, len({o.at for o in rows}) - 1)]
    part, whole = averaged([o for o in rows if o.at <= newest]), averaged(rows)
    np.testing.assert_array_equal(part.panel.value, whole.panel.value[: len(part.panel)])
    np.testing.assert_array_equal(part.panel.time, whole.panel.time[: len(part.panel)])
    np.testing.assert_array_equal(part.n_points, whole.n_points[: len(part.panel)])
