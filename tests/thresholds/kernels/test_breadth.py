"""Breadth and diffusion: counts as of every moment, numpy's quantiles of earlier days, scipy's binomial tail."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom

from tests.thresholds.build import table
from thresholds.kernels.breadth import binomial_tail, broad, diffusion
from thresholds.kernels.cells import cells
from thresholds.model import BoolArray, FloatArray, IntArray
from thresholds.panel import DAY, Panel


def of_rows(panel: Panel, moved: NDArray[np.int8], points: int = 5) -> tuple[FloatArray, IntArray]:
    """The diffusion index and its points, a row for each observation."""
    where = cells(panel)
    index, known = diffusion(where, moved, points)
    return index[where.of_row], known[where.of_row]


def unusual(true: BoolArray, quantile: float, window: int, least: int) -> list[int]:
    """bool[days, points]: the answer of each day at the points that are true; 0 where none is."""
    panel = table(np.full(true.shape, 5.0))
    truth = true.T.reshape(-1).astype(np.int8)
    found = broad(cells(panel), truth, np.ones(len(truth), np.bool_), 1, 0.0, quantile, window, least)
    answers = found.reshape(true.T.shape).T
    return [int(answers[d, true[d]][0]) if true[d].any() else 0 for d in range(len(true))]


def test_a_share_is_compared_with_its_own_earlier_days() -> None:
    """The bound is numpy's quantile of the days before, and unknown with too few of them."""
    rng = np.random.default_rng(4)
    true = np.arange(10) < np.maximum(rng.integers(-6, 8, 160), 0)[:, None]  # on many days nothing is true
    share = true.mean(axis=1)
    found = unusual(true, 0.6, 50, 20)
    assert found[:20] == [-1 if share[d] else 0 for d in range(20)]
    expected = [int(share[d] > np.quantile(share[max(0, d - 50) : d], 0.6)) for d in range(20, 160)]
    assert found[20:] == expected
    assert 10 < sum(expected) < 130


def test_half_a_day_is_no_history() -> None:
    """What counts of a day is its last share, not that of the morning when one point of one had moved."""
    time = (np.arange(30)[:, None] * DAY + np.array([0, 3600, 7200])).astype(float)
    panel = table(np.full((30, 3), 5.0), time=time)
    truth = np.tile([[1], [0], [0]], 30).reshape(-1).astype(np.int8)
    found = broad(cells(panel), truth, np.ones(90, np.bool_), 1, 0.0, 1.0, 20, 10)
    assert found[:30].tolist() == [-1] * 10 + [1] * 20  # all of one at once, where a third of a day was the most
    truth[30 + 25] = 1  # one day two of three have moved: in the morning as ever, and at noon more than ever
    found = broad(cells(panel), truth, np.ones(90, np.bool_), 1, 0.0, 1.0, 20, 10)
    assert found[30 + 25] == 1


def test_each_moment_counts_what_has_come() -> None:
    """Random hours, some points twice a day, some answers unknown or not tested: plain counting says the same."""
    rng = np.random.default_rng(12)
    days, points = 5, 9
    hours = np.sort(rng.integers(0, 6, (days, 2, points)), axis=1)
    time = (np.arange(days)[:, None, None] * DAY + hours * 3600).reshape(days * 2, points).astype(float)
    panel = table(rng.uniform(2, 9, time.shape), time=time)
    n = len(panel)
    truth, tested = rng.integers(-1, 2, n).astype(np.int8), rng.random(n) < 0.9
    found = broad(cells(panel), truth, tested, 2, 0.4)
    said = np.where(tested, truth, -1)
    for i in range(n):
        seen = (panel.day == panel.day[i]) & (panel.time <= panel.time[i])
        newest = np.concatenate([np.flatnonzero(seen & (panel.series == s))[-1:] for s in range(points)])
        hits, known = int((said[newest] == 1).sum()), int((said[newest] >= 0).sum())
        enough = hits >= 2 and hits >= 0.4 * known
        assert found[i] == (said[i] if said[i] < 1 else int(enough))
    assert {-1, 0, 1} == set(found.tolist())


def test_where_points_move_together_the_binomial_tail_cries_wolf() -> None:
    """A common cause moves most points one day in 25: at 1e-3 the binomial always alarms, the own history hardly."""
    rng = np.random.default_rng(6)
    days, points = 600, 10
    common = rng.random(days) < 0.04
    moved = rng.random((days, points)) < np.where(common, 0.8, 0.02)[:, None]
    rate = float(moved[:250].mean())
    tail = binomial_tail(moved.sum(axis=1), np.full(days, points), rate)
    found = np.array(unusual(moved, 0.99, 250, 60))
    later = np.arange(days) >= 250
    assert (tail[later & common] < 1e-3).mean() > 0.9
    assert (found == 1)[later].mean() < 0.02


def test_the_binomial_tail_is_scipys() -> None:
    """Chance of at least so many, from none to all."""
    hits, known = np.arange(13), np.full(13, 12)
    np.testing.assert_allclose(binomial_tail(hits, known, 0.07), binom.sf(hits - 1, 12, 0.07), rtol=1e-10)


def test_diffusion_is_the_share_up_less_the_share_down() -> None:
    """Five up, two down, one neither, two unknown: three eighths, among eight."""
    panel = table(np.full((1, 10), 5.0))
    moved = np.array([1, 1, 1, 1, 1, -1, -1, 0, -128, -128], np.int8)
    index, known = of_rows(panel, moved)
    assert (index == 3 / 8).all()
    assert (known == 8).all()
    assert np.isnan(of_rows(panel, moved, 9)[0]).all()


def test_diffusion_counts_what_has_come_so_far() -> None:
    """The index at nine is that of the points at nine; a point that reports again counts once, as it says then."""
    time = np.array([[0.0, 3600.0, 7200.0], [10800.0, np.nan, np.nan]])
    values = np.array([[5.0, 5.0, 5.0], [5.0, np.nan, np.nan]])
    panel = table(values, time=time)
    moved = np.array([1, -1, 1, 1], np.int8)  # the first point rises, and takes it back at the end
    index, known = of_rows(panel, moved, 1)
    assert index.tolist() == pytest.approx([1.0, 1 / 3, 1.0, 1.0])
    assert known.tolist() == [1, 3, 2, 3]
