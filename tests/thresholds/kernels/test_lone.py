"""Large steps beside those of other points: company, and who moved alone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.thresholds.build import panel_of, quotes
from thresholds.kernels.cells import cells
from thresholds.kernels.crosssection import Fences, hidiroglou_berthelot
from thresholds.kernels.lone import BEYOND_MANY, LEAST, C, company, jumps, lone, newest
from thresholds.model import FloatArray, Observation
from thresholds.panel import Panel


def day_panel(steps: FloatArray, before: float = 3.2, every: int = 1) -> Panel:
    """One row per point: log steps from day to day, all at midnight."""
    value = before * np.exp(np.cumsum(np.atleast_2d(steps), axis=1))
    rows = [o for n, v in enumerate(value) for o in quotes([before, *v.tolist()], point=f"点{n:02}", every=every)]
    return panel_of(rows)


def every_series(panel: Panel) -> np.ndarray:
    return np.ones(panel.n_series, np.bool_)


def test_jumps_are_steps_of_fifteen_percent_up_or_down() -> None:
    """From the report before, of positive values, never from one series to the next, and of wanted series only."""
    rows = quotes([3.0, 3.4, 3.46, 3.1, 0.0, 3.0, 3.0]) + quotes([9.0, 9.0, 11.0], point="乙")
    panel = panel_of(rows)
    assert jumps(panel, every_series(panel)).tolist() == [9]
    assert jumps(panel_of(quotes([3.0, 3.5, 3.0])), np.ones(1, np.bool_)).tolist() == [1, 2]
    assert len(jumps(panel, ~every_series(panel))) == 0


def test_company_is_counted_by_points_direction_and_size() -> None:
    """Three rise by half, one by a fifth, one falls: each of the three has two others; the rest has none."""
    panel = day_panel(np.array([[0.45], [0.4], [0.5], [0.2], [-0.4]]))
    at = jumps(panel, every_series(panel))
    assert company(panel, at)[at].tolist() == [2, 2, 2, 0, 0]
    assert company(panel, at[:0]).sum() == 0


def by_definition(panel: Panel, at: int) -> bool:
    """Whether a row stands alone, point by point, by the kernel that is tested against its published fixture."""
    day = panel.day == panel.day[at]
    rows = np.flatnonzero(day)
    step = np.log(panel.value[rows] / panel.value[rows - 1])
    mine = step[rows == at][0]
    rest = step[rows != at]
    if len(rows) < 5 or (np.sign(rest) * np.sign(mine) * np.abs(rest) >= 0.5 * abs(mine)).any():
        return False
    away, most = abs(mine - np.median(rest)), np.abs(rest - np.median(rest)).max()
    if len(rows) < 10:
        return bool(away > max(LEAST, 5 * most))
    ratio, size = np.full(len(panel), np.nan), np.ones(len(panel))
    ratio[rows] = np.exp(step)
    size[rows] = np.maximum(panel.value[rows], panel.value[rows - 1])
    _, found = hidiroglou_berthelot(panel, cells(panel), ratio, size, Fences())
    return bool(abs(found.at(np.array([at])).score[0]) > C and away > BEYOND_MANY * most)


@pytest.mark.parametrize("points", [4, 5, 7, 9, 10, 14, 30])
def test_alone_is_what_the_definition_says(points: int) -> None:
    """Random markets with noise of several sizes and one or two far off: the same rows, one by one."""
    rng = np.random.default_rng(points)
    found = 0
    for noise, far in itertools.product((0.0, 0.01, 0.04, 0.08), (0.15, 0.3, 0.6, -0.5)):
        steps = rng.normal(0, noise, (points, 6)) * (rng.random((points, 6)) < 0.6)
        steps[0, 2] += far
        steps[0, 3] -= far
        steps[:2, 4] += far
        panel = day_panel(steps)
        at = jumps(panel, every_series(panel))
        expected = [i for i in at.tolist() if by_definition(panel, i)]
        assert lone(panel, at).tolist() == expected
        found += len(expected)
    assert (found > 8) == (points >= 5)


def test_only_what_had_come_is_counted() -> None:
    """Five points of which one is first, at eight: alone only for those who report when the others have."""
    rows = [o for n in range(5) for o in quotes([3.2] * 6, point=f"点{n}")]
    late = rows + [o for n in range(5) for o in quotes([3.2 if n else 4.2], point=f"点{n}", first=6, hour=8 - n)]
    early = rows + [o for n in range(5) for o in quotes([3.2 if n else 4.2], point=f"点{n}", first=6, hour=8 + n)]
    for some, count in ((late, 1), (early, 0)):
        panel = panel_of(some)
        assert len(lone(panel, jumps(panel, every_series(panel)))) == count


def test_a_second_report_of_the_day_is_compared_with_the_day_before() -> None:
    """A point that corrects itself at noon has moved from yesterday, not from the morning."""
    rows: list[Observation] = [o for n in range(5) for o in quotes([3.2] * 6, point=f"点{n}")]
    rows += [o for n in range(1, 5) for o in quotes([3.2], point=f"点{n}", first=6)]
    rows += quotes([3.2], point="点0", first=6) + quotes([4.2], point="点0", first=6, hour=12)
    panel = panel_of(rows)
    assert len(lone(panel, jumps(panel, every_series(panel)))) == 1


def test_steps_after_a_long_gap_are_not_waited_for() -> None:
    """Eleven days are soon enough, twelve are not; a factor of two is, whatever the gap."""
    steps = np.zeros((6, 3))
    for every, far, count in ((11, 0.4, 1), (12, 0.4, 0), (12, np.log(2), 1), (12, -np.log(1.97), 1)):
        steps[0, 2] = far
        panel = day_panel(steps, every=every)
        assert len(lone(panel, jumps(panel, every_series(panel)))) == count


def test_the_newest_report_up_to_a_time() -> None:
    """By halving: the last one at or before, -1 where there is none."""
    start, time = np.array([0, 0, 4]), np.array([10, 20, 30, 40])
    assert [newest(start, time, 1, t) for t in (9, 10, 25, 40, 99)] == [-1, 0, 1, 3, 3]
    assert newest(start, time, 0, 99) == -1
