"""Cells: every row once, by group, day and time, each level where it begins."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.thresholds.build import table
from thresholds.kernels.breadth import broad, diffusion
from thresholds.kernels.cells import cells, spread
from thresholds.kernels.crosssection import Fences, hidiroglou_berthelot
from thresholds.kernels.dispersion import dispersion
from thresholds.model import BoolArray, FloatArray, SeriesKey
from thresholds.panel import DAY, Panel


def mixed(every: int, hours: int = 8) -> Panel:
    """Series of four items in disorder, at random hours of so many, `every` so many days, one of them empty."""
    rng = np.random.default_rng(every)
    keys = [SeriesKey(f"品{rng.integers(0, 4)}", point=f"点{s}") for s in range(30)]
    series = np.repeat(np.arange(29), 40)
    time = rng.integers(0, 30, len(series)) * DAY * every + rng.integers(0, hours, len(series)) * 3600
    return Panel.build(keys, [""] * 30, series, time, np.ones(len(series)))


@pytest.mark.parametrize(("every", "hours"), [(1, 8), (700, 8), (1, 1), (700, 1)])
def test_rows_are_in_order_of_group_day_and_time(every: int, hours: int) -> None:
    """Against numpy's lexical sort; days so far apart that no table of them is made, and reports that all come at one
    hour, give the same."""
    panel = mixed(every, hours)
    where = cells(panel)
    group = panel.group[panel.series]
    expected = np.lexsort((np.arange(len(panel)), panel.time, panel.day, group))
    np.testing.assert_array_equal(where.at, expected)
    codes = np.column_stack([group, panel.day, panel.time])[expected]
    for level, width in (
        (where.moment, 3),
        (where.moment[where.cell], 2),
        (where.moment[where.cell][where.group], 1),
    ):
        turns = np.flatnonzero((np.diff(codes[:, :width], axis=0) != 0).any(axis=1)) + 1
        np.testing.assert_array_equal(level, [0, *turns, len(panel)])
    np.testing.assert_array_equal(
        np.repeat(np.arange(where.n_moments), np.diff(where.moment)), where.of_row[where.at]
    )
    assert where.ends.sum() == len(where.cell) - 1


def test_points_of_one_hour_are_numbered_as_any() -> None:
    """One report at another hour, of a day of its own, changes nothing for the days before it."""
    panel = mixed(1, 1)
    last = int(panel.time.max())
    key = panel.keys[0]
    late = Panel.build(
        [*panel.keys, SeriesKey(key.item, point="迟到")],
        [""] * 31,
        np.append(panel.series, 30).astype(np.int64),
        np.append(panel.time, last + DAY + 3600),
        np.ones(len(panel) + 1),
    )
    one, other = cells(panel), cells(late)
    before = other.at < len(panel)
    np.testing.assert_array_equal(one.at, other.at[before])
    np.testing.assert_array_equal(one.slot, other.slot[before])


def test_a_point_keeps_its_number_through_the_day() -> None:
    """Numbers count up in order of first appearance; who reports again has the one it had."""
    panel = mixed(1)
    where = cells(panel)
    again = 0
    for c in range(len(where.cell) - 1):
        rows = slice(where.moment[where.cell[c]], where.moment[where.cell[c + 1]])
        numbers: dict[int, int] = {}
        for series, slot in zip(panel.series[where.at[rows]].tolist(), where.slot[rows].tolist(), strict=True):
            again += series in numbers
            assert numbers.setdefault(series, len(numbers)) == slot
    assert again > 100


def test_what_is_in_no_group_is_left_out() -> None:
    """Series with a code of -1 have no moment; answers go to the rows of a moment that are asked."""
    panel = mixed(1)
    code = np.where(np.arange(30) % 3 == 0, -1, np.arange(30) % 3).astype(np.int32)
    where = cells(panel, code)
    inside = code[panel.series] >= 0
    assert len(where.at) == inside.sum()
    np.testing.assert_array_equal(where.of_row >= 0, inside)
    answer = (np.arange(where.n_moments) % 2).astype(np.int8)
    np.testing.assert_array_equal(
        spread(where, answer, inside, -1), np.where(inside, answer[np.where(inside, where.of_row, 0)], -1)
    )
    nothing = cells(panel, np.full(30, -1, np.int32))
    assert (len(nothing.at), nothing.n_moments) == (0, 0)


# the kernels on cells together


def everything(panel: Panel, ratio: FloatArray, truth: NDArray[np.int8], keep: BoolArray) -> list[np.ndarray]:
    """Columns of all kernels on the rows to keep, a row for each."""
    part = panel.only(keep)
    every, pool, rows = np.ones(len(part), np.bool_), np.zeros(panel.n_series, np.int32), np.arange(len(part))
    where, wide = cells(part), cells(part, pool)
    judged, found = hidiroglou_berthelot(part, where, ratio[keep], part.value, Fences(), 6, lambda: wide)
    one = found.at(rows)
    two = dispersion(where, part.value, every, 4, 10, 5)
    three = broad(where, truth[keep], every, 1, 0.0, 0.7, 10, 5)
    index, known = diffusion(where, np.sign(ratio[keep] - 1).astype(np.int8))
    spans = [two.at(where, column, rows) for column in (two.times, two.scale)]
    return [judged, one.score, one.ratio, one.n_used, *spans, three, index[where.of_row], known[where.of_row]]


def test_day_by_day_is_batch_bit_for_bit() -> None:
    """Cut at any moment, the numbers up to then are the same."""
    rng = np.random.default_rng(23)
    days, points = 25, 12
    hours = rng.integers(0, 24, (days, points))
    time = (np.arange(days)[:, None] * DAY + hours * 3600).astype(float)
    values = 5 * np.exp(rng.normal(0, 0.1, (days, points)))
    values[rng.random(values.shape) < 0.15] = np.nan
    panel = table(values, ["白菜"] * 7 + ["大葱"] * 5, time)
    ratio, truth = np.exp(rng.normal(0, 0.1, len(panel))), rng.integers(-1, 2, len(panel)).astype(np.int8)
    whole = everything(panel, ratio, truth, np.ones(len(panel), np.bool_))
    assert all(np.isfinite(column).any() for column in whole)
    for cut in np.unique(panel.time)[::17]:
        keep = panel.time <= cut
        for part, all_of_it in zip(everything(panel, ratio, truth, keep), whole, strict=True):
            np.testing.assert_array_equal(part, all_of_it[keep])


def test_an_empty_panel_and_days_before_1970() -> None:
    """Nothing in, nothing out; and a day with a negative number is a day like others."""
    empty, nothing = table(np.full((1, 3), np.nan)), np.empty(0)
    assert all(len(c) == 0 for c in everything(empty, nothing, nothing.astype(np.int8), nothing.astype(np.bool_)))
    rng = np.random.default_rng(3)
    ratio, truth = np.exp(rng.normal(0, 0.1, 240)), rng.integers(-1, 2, 240).astype(np.int8)
    values, days = rng.uniform(2, 9, (20, 12)), np.arange(20)[:, None] + np.zeros(12)
    panels = [table(values, time=(first + days) * DAY) for first in (4000, -4000)]
    late, early = (everything(panel, ratio, truth, np.ones(240, np.bool_)) for panel in panels)
    for one, other in zip(late, early, strict=True):
        np.testing.assert_array_equal(one, other)
