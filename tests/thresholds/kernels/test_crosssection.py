"""Hidiroglou-Berthelot: the published fixture, plain numpy as of every moment; false flags where quotes stick."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.thresholds.build import table
from thresholds.kernels.cells import Codes, cells
from thresholds.kernels.crosssection import Fences, Outliers, hidiroglou_berthelot
from thresholds.model import FloatArray
from thresholds.panel import DAY, Panel

CLASSIC = Fences(low=0.25, high=0.75, u=0.4, a=0.05, floor=0.0, leave_out=False)
BEFORE = np.array([10, 12, 8, 9.5, 11, 10.5, 20, 15, 9, 10])
AFTER = np.array([10.2, 12.1, 8.3, 9.4, 11.2, 10.6, 20.5, 15.2, 18.1, 1.02])


def found_in(
    panel: Panel, ratio: FloatArray, size: FloatArray, fences: Fences, least: int = 10, pool: Codes | None = None
) -> Outliers:
    """What is found, a row for each observation."""
    wide = None if pool is None else lambda: cells(panel, pool)
    judged, found = hidiroglou_berthelot(panel, cells(panel), ratio, size, fences, least, wide)
    assert np.flatnonzero(judged).tolist() == found.row.tolist()
    return found.at(np.arange(len(panel)))


def judged(before: FloatArray, after: FloatArray, fences: Fences, least: int = 10) -> Outliers:
    """One day of one item."""
    return found_in(table(after[None, :]), after / before, np.maximum(before, after), fences, least)


# Hidiroglou-Berthelot


def test_the_published_fixture() -> None:
    """d1, d3 to twelve digits and the last two quotes as outliers, with C = 5."""
    found = judged(BEFORE, AFTER, CLASSIC)
    assert found.lower[0] == pytest.approx(0.018523203947, abs=1e-12)
    assert found.upper[0] == pytest.approx(0.025902931263, abs=1e-12)
    assert np.flatnonzero(np.abs(found.score) > 5).tolist() == [8, 9]
    assert found.score[8] > 0 > found.score[9]
    assert found.n_used.tolist() == [10] * 10


def test_the_same_two_stand_out_under_our_fences() -> None:
    """P10/P90, C = 7, floor 2 %, itself left out: the doubled quote and the slipped digit, nobody else."""
    found = judged(BEFORE, AFTER, Fences())
    assert np.flatnonzero(np.abs(found.score) > 7).tolist() == [8, 9]


def test_of_ten_points_one_cannot_hide_in_its_own_fence() -> None:
    """In the published form a quote up by a fifth widens P90 of ten points until it passes; left out it cannot."""
    after = BEFORE.copy()
    after[:4] *= [1.02, 1.015, 0.99, 0.985]
    after[4] *= 1.2
    assert abs(judged(BEFORE, after, replace(Fences(), leave_out=False)).score[4]) < 7
    assert judged(BEFORE, after, Fences()).score[4] > 7


def test_a_general_rise_is_no_outlier() -> None:
    """All points up by about 30 %: nobody stands out; one that stays behind does, downwards."""
    after = BEFORE * (1.3 + 0.01 * (np.arange(10) % 3))
    assert (np.abs(judged(BEFORE, after, Fences()).score) < 1).all()
    after[3] = BEFORE[3]
    score = judged(BEFORE, after, Fences()).score
    assert score[3] < -7
    assert (np.abs(np.delete(score, 3)) < 1).all()


def test_below_c_times_the_floor_nothing_stands_out() -> None:
    """Where no other quote moved, +14 % passes (7 times 2 % in log, 14.14 %) and +15 % does not; without floor +1 %
    is infinitely far."""
    for change, far in ((1.14, False), (1.15, True)):
        after = BEFORE.copy()
        after[2] *= change
        found = judged(BEFORE, after, Fences())
        assert bool(found.score[2] > 7) is far
        assert (np.delete(found.score, 2) == 0).all()
    after = BEFORE.copy()
    after[2] *= 1.01
    assert judged(BEFORE, after, CLASSIC).score[2] == np.inf


@pytest.mark.parametrize(("sticky", "most"), [(0.0, 0.001), (0.5, 0.001), (0.8, 0.005)])
def test_false_flags_stay_rare_where_quotes_stick(sticky: float, most: float) -> None:
    """200 quotes, moves of 4 %, 2 % errors of x2, /2, x10, /10: all errors found; quartiles flag a fifth and more."""
    rng = np.random.default_rng(31)
    false, found, errors, classic = 0, 0, 0, 0
    for _ in range(100):
        before = rng.uniform(2, 30, 200)
        moved = rng.random(200) >= sticky
        after = before * np.exp(np.where(moved, rng.normal(0, 0.04, 200), 0.0))
        wrong = rng.random(200) < 0.02
        after[wrong] *= rng.choice([2, 0.5, 10, 0.1], int(wrong.sum()))
        flagged = np.abs(judged(before, after, Fences()).score) > 7
        false += int((flagged & ~wrong).sum())
        found += int((flagged & wrong).sum())
        errors += int(wrong.sum())
        classic += int(((np.abs(judged(before, after, CLASSIC).score) > 4) & ~wrong).sum())
    assert found == errors
    assert false / (100 * 200 - errors) < most
    if sticky > 0:
        assert classic / (100 * 200 - errors) > 0.15


def plain_score(ratio: FloatArray, size: FloatArray, own: int, fences: Fences) -> float:
    """Score of point `own` within one cross-section, by numpy's median and quantiles."""
    middle = np.median(ratio)
    away = np.where(ratio < middle, 1 - middle / ratio, ratio / middle - 1)
    effect = away * size**fences.u
    usual = np.median(effect)
    others = np.delete(effect, own) if fences.leave_out else effect
    low, high = np.quantile(others, [fences.low, fences.high])
    width = high - usual if effect[own] > usual else usual - low
    least = max(abs(fences.a * usual), np.expm1(fences.floor) * size[own] ** fences.u)
    return float((effect[own] - usual) / max(width, least))


@pytest.mark.parametrize("fences", [CLASSIC, Fences(), Fences(u=0.0, a=0.3, floor=0.001)])
def test_every_moment_has_its_own_cross_section(fences: Fences) -> None:
    """Points report at random hours, some twice: each score is that of plain numpy over what had come by then."""
    rng = np.random.default_rng(17)
    days, points = 6, 14
    hours = np.sort(rng.integers(0, 5, (days, 2, points)), axis=1)
    time = (np.arange(days)[:, None, None] * DAY + hours * 3600).reshape(days * 2, points).astype(float)
    values = rng.uniform(2, 9, (days * 2, points))
    values[rng.random(values.shape) < 0.2] = np.nan
    panel = table(values, time=time)
    n = len(panel)
    ratio, size = np.exp(rng.normal(0, 0.1, n)), rng.uniform(2, 9, n)
    ratio[rng.random(n) < 0.1] = np.nan
    found = found_in(panel, ratio, size, fences, least=8)
    scored = 0
    for i in range(n):
        seen = (panel.day == panel.day[i]) & (panel.time <= panel.time[i]) & ~np.isnan(ratio)
        newest = [np.flatnonzero(seen & (panel.series == s))[-1:] for s in range(points)]
        members = np.concatenate(newest)
        if np.isnan(ratio[i]) or len(members) < 8:
            assert np.isnan(found.score[i])
            continue
        own = int(np.flatnonzero(members == i)[0])
        assert found.n_used[i] == len(members)
        assert found.score[i] == pytest.approx(plain_score(ratio[members], size[members], own, fences), rel=1e-9)
        scored += 1
    assert scored > 30


def test_small_groups_are_judged_within_their_pool() -> None:
    """Four points each of three items of one class, prices far apart: the odd quote stands out among twelve."""
    items = [name for name in ("白菜", "海参", "大葱") for _ in range(4)]
    level = np.repeat([1.0, 300.0, 8.0], 4)
    before = level * np.linspace(0.9, 1.1, 12)
    after = before * np.linspace(0.99, 1.02, 12)
    after[5] *= 1.5
    panel = table(after[None, :], items)
    pool = np.zeros(12, np.int32)
    ratio, size = after / before, np.maximum(before, after)
    found = found_in(panel, ratio, size, Fences(), 10, pool)
    assert np.flatnonzero(np.abs(found.score) > 7).tolist() == [5]
    assert found.n_used.tolist() == [12] * 12
    cheap = found_in(panel, ratio, size / level, Fences(), 10, pool)  # in another currency
    np.testing.assert_allclose(cheap.score, found.score, rtol=1e-9)
    alone = found_in(panel, ratio, size, Fences(), 10)
    assert np.isnan(alone.score).all()
    assert alone.n_used.tolist() == [0] * 12


def test_what_has_ten_points_is_not_judged_by_its_pool() -> None:
    """Only the small group borrows; without a pool it has no answer; nine in all are too few."""
    items = ["白菜"] * 10 + ["海参"] * 2
    before = np.full(12, 5.0)
    after = before * np.linspace(0.99, 1.02, 12)
    panel = table(after[None, :], items)
    ratio, size = after / before, np.maximum(before, after)
    alone = found_in(panel, ratio, size, Fences())
    pooled = found_in(panel, ratio, size, Fences(), 10, np.zeros(12, np.int32))
    apart = found_in(panel, ratio, size, Fences(), 10, np.array([0] * 10 + [-1] * 2, np.int32))
    np.testing.assert_array_equal(pooled.score[:10], alone.score[:10])
    assert np.isfinite(pooled.score[10:]).all()
    assert np.isnan(alone.score[10:]).all()
    assert np.isnan(apart.score[10:]).all()
    few = found_in(table(after[None, :9]), ratio[:9], size[:9], Fences(), 10, np.zeros(9, np.int32))
    assert np.isnan(few.score).all()


def test_scores_that_do_not_matter_may_be_left_out_and_no_others() -> None:
    """Of moments at which no score can come to `exact_above` nothing is found; of the others the same as ever."""
    rng = np.random.default_rng(8)
    values = np.exp(rng.normal(0, 0.003, (400, 12)))
    values[rng.random(values.shape) < 0.02] *= 1.3
    size = rng.uniform(4, 9, values.size)
    panel = table(values)
    ratio = panel.value
    for fences in (Fences(), Fences(u=1.0, a=0.4), CLASSIC):
        where = cells(panel)
        judged, every = hidiroglou_berthelot(panel, where, ratio, size, fences)
        same, some = hidiroglou_berthelot(panel, where, ratio, size, fences, exact_above=3.5)
        np.testing.assert_array_equal(judged, same)
        far = np.flatnonzero(np.abs(every.score) >= 3.5)
        assert np.isin(far, some.row).all()
        np.testing.assert_array_equal(some.score, every.at(some.row).score)
        if fences.floor:
            assert len(far) < len(some.row) < len(every.row) / 2


def test_a_point_that_reports_twice_is_one_point() -> None:
    """Six points, each at eight and at noon: six are fewer than ten."""
    rng = np.random.default_rng(2)
    panel = table(rng.uniform(4, 5, (2, 6)), time=np.array([[0.0], [14_400.0]]) * np.ones(6))
    assert len(np.unique(panel.day)) == 1
    assert np.isnan(found_in(panel, panel.value, panel.value, Fences()).score).all()
    assert found_in(panel, panel.value, panel.value, Fences(), least=6).n_used.tolist() == [6] * 12
