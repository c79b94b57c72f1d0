"""Cross-section: the published fixture, plain numpy as of every moment, scipy; false flags where quotes stick."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom, median_abs_deviation

from thresholds.kernels.crosssection import (
    Fences,
    Outliers,
    binomial_tail,
    diffusion,
    dispersion,
    hidiroglou_berthelot,
    usual_share,
)
from thresholds.model import BoolArray, FloatArray, SeriesKey
from thresholds.panel import DAY, Panel

CLASSIC = Fences(low=0.25, high=0.75, u=0.4, a=0.05, floor=0.0, leave_out=False)
BEFORE = np.array([10, 12, 8, 9.5, 11, 10.5, 20, 15, 9, 10])
AFTER = np.array([10.2, 12.1, 8.3, 9.4, 11.2, 10.6, 20.5, 15.2, 18.1, 1.02])


def panel_of(values: FloatArray, items: list[str] | None = None, time: FloatArray | None = None) -> Panel:
    """float64[days, points], NaN where a point did not report; all at midnight UTC unless `time` (seconds) says."""
    days, points = values.shape
    names = items or ["大米"] * points
    keys = [SeriesKey(names[p], unit="元/500克", point=f"点{p}") for p in range(points)]
    at = np.repeat(np.arange(days) * DAY, points).reshape(days, points) if time is None else time
    series = np.tile(np.arange(points), days).reshape(days, points)
    keep = ~np.isnan(values)
    return Panel.build(keys, ["甲区"] * points, series[keep], at[keep].astype(np.int64), values[keep])


def judged(before: FloatArray, after: FloatArray, fences: Fences, least: int = 10) -> Outliers:
    """One day of one item."""
    return hidiroglou_berthelot(panel_of(after[None, :]), after / before, np.maximum(before, after), fences, least)


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
    panel = panel_of(values, time=time)
    n = len(panel)
    ratio, size = np.exp(rng.normal(0, 0.1, n)), rng.uniform(2, 9, n)
    ratio[rng.random(n) < 0.1] = np.nan
    found = hidiroglou_berthelot(panel, ratio, size, fences, least=8)
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
    panel = panel_of(after[None, :], items)
    pool = np.zeros(12, np.int32)
    ratio, size = after / before, np.maximum(before, after)
    found = hidiroglou_berthelot(panel, ratio, size, Fences(), 10, pool)
    assert np.flatnonzero(np.abs(found.score) > 7).tolist() == [5]
    assert found.n_used.tolist() == [12] * 12
    cheap = hidiroglou_berthelot(panel, ratio, size / level, Fences(), 10, pool)  # in another currency
    np.testing.assert_allclose(cheap.score, found.score, rtol=1e-9)
    alone = hidiroglou_berthelot(panel, ratio, size, Fences(), 10)
    assert np.isnan(alone.score).all()
    assert alone.n_used.tolist() == [4] * 12


def test_what_has_ten_points_is_not_judged_by_its_pool() -> None:
    """Only the small group borrows; without a pool it has no answer; nine in all are too few."""
    items = ["白菜"] * 10 + ["海参"] * 2
    before = np.full(12, 5.0)
    after = before * np.linspace(0.99, 1.02, 12)
    panel = panel_of(after[None, :], items)
    ratio, size = after / before, np.maximum(before, after)
    alone = hidiroglou_berthelot(panel, ratio, size, Fences())
    pooled = hidiroglou_berthelot(panel, ratio, size, Fences(), 10, np.zeros(12, np.int32))
    apart = hidiroglou_berthelot(panel, ratio, size, Fences(), 10, np.array([0] * 10 + [-1] * 2, np.int32))
    np.testing.assert_array_equal(pooled.score[:10], alone.score[:10])
    assert np.isfinite(pooled.score[10:]).all()
    assert np.isnan(alone.score[10:]).all()
    assert np.isnan(apart.score[10:]).all()
    few = hidiroglou_berthelot(panel_of(after[None, :9]), ratio[:9], size[:9], Fences(), 10, np.zeros(9, np.int32))
    assert np.isnan(few.score).all()


# dispersion


def test_dispersion_is_scipys_mad_and_its_history_is_that_of_earlier_days() -> None:
    """1.4826 MAD of log prices per day; times is over the median of the days before, today's never among them."""
    rng = np.random.default_rng(3)
    values = 5 * np.exp(rng.normal(0, 0.05, (60, 8)))
    values[50] = 5 * np.exp(rng.normal(0, 0.5, 8))
    panel = panel_of(values)
    found = dispersion(panel, np.ones(len(panel), np.bool_), 5, 30, 10)
    daily = median_abs_deviation(np.log(values), axis=1, scale="normal")
    day = panel.day - panel.day.min()
    np.testing.assert_allclose(found.value, daily[day], rtol=2e-5)
    assert np.isnan(found.times[day < 10]).all()
    for d in (10, 35, 50, 51):
        usual = np.exp(np.median(np.log(daily[max(0, d - 30) : d])))
        np.testing.assert_allclose(found.times[day == d], daily[d] / usual, rtol=2e-5)
        assert (found.n_used[day == d] == min(d, 30)).all()
    assert (found.times[day == 50] > 5).all()
    assert (found.points == 8).all()


def test_the_history_of_dispersion_is_that_of_whole_days() -> None:
    """Five points report at eight, three far dearer ones at noon: history is what each day ended with."""
    rng = np.random.default_rng(9)
    values = np.array([5.0] * 4 + [5.5] + [9.0] * 3) * np.exp(rng.normal(0, 0.02, (40, 8)))
    hours = np.where(np.arange(8) < 5, 8, 12)
    panel = panel_of(values, time=(np.arange(40)[:, None] * DAY + hours * 3600).astype(float))
    found = dispersion(panel, np.ones(len(panel), np.bool_), 5, 30, 10)
    morning = median_abs_deviation(np.log(values[:, :5]), axis=1, scale="normal")
    evening = median_abs_deviation(np.log(values), axis=1, scale="normal")
    for d in (12, 39):
        usual = np.exp(np.median(np.log(evening[max(0, d - 30) : d])))
        at = panel.day - panel.day.min() == d
        early = panel.time % DAY == 8 * 3600
        np.testing.assert_allclose(found.times[at & early], max(morning[d], 0.005) / usual, rtol=2e-5)
        np.testing.assert_allclose(found.times[at & ~early], evening[d] / usual, rtol=2e-5)
        assert (found.n_used[at] == min(d, 30)).all()


def test_prices_set_alike_are_half_a_percent_apart() -> None:
    """Identical prices for weeks, then one cent between two of them: not infinitely more than nothing."""
    values = np.full((40, 6), 5.0)
    values[39, :3] = 5.01
    panel = panel_of(values)
    found = dispersion(panel, np.ones(len(panel), np.bool_))
    assert (found.times[panel.day - panel.day.min() >= 20] == 1).all()
    assert (found.scale[panel.day - panel.day.min() >= 20] == 0.1).all()


def test_dispersion_needs_points_and_positive_prices() -> None:
    """Four points are too few, and zero or negative values are no prices."""
    values = np.full((3, 6), 5.0)
    values[1, :2] = [0.0, -1.0]
    values[2, 0] = np.nan
    panel = panel_of(values)
    found = dispersion(panel, np.ones(len(panel), np.bool_), 5, 30, 10)
    day = panel.day - panel.day.min()
    assert (found.value[day == 0] == 0).all()
    assert np.isnan(found.value[day == 1]).all()
    assert (found.value[day == 2] == 0).all()


# breadth and diffusion


def test_a_share_is_compared_with_its_own_earlier_days() -> None:
    """The bound is numpy's quantile of the days before, each with its share at the end of it."""
    rng = np.random.default_rng(4)
    panel = panel_of(rng.uniform(1, 2, (120, 5)))
    day = panel.day - panel.day.min()
    daily = np.round(rng.random(120), 1)
    found = usual_share(panel, daily[day], 0.9, 50, 20)
    assert np.isnan(found.bound[day < 20]).all()
    for d in (20, 49, 70, 119):
        expected = np.quantile(daily[max(0, d - 50) : d], 0.9)
        np.testing.assert_allclose(found.bound[day == d], expected, rtol=1e-12)
        assert (found.n_used[day == d] == min(d, 50)).all()


def test_half_a_day_is_no_history() -> None:
    """What counts of a day is its last share, not that of the morning when one point had reported."""
    time = np.arange(30)[:, None] * DAY + np.array([0, 3600, 7200])
    panel = panel_of(np.full((30, 3), 5.0), time=time.astype(float))
    share = np.where((panel.time - panel.time.min()) % DAY < 3600, 1.0, 0.2)
    bound = usual_share(panel, share, 1.0, 20, 10).bound
    assert (bound[panel.day - panel.day.min() >= 10] == 0.2).all()


def test_where_points_move_together_the_binomial_tail_cries_wolf() -> None:
    """A common cause moves most points one day in 25: at 1e-3 the binomial always alarms, the own history hardly."""
    rng = np.random.default_rng(6)
    days, points = 600, 10
    common = rng.random(days) < 0.04
    moved = rng.random((days, points)) < np.where(common, 0.8, 0.02)[:, None]
    panel = panel_of(np.full((days, points), 5.0))
    day = panel.day - panel.day.min()
    share = moved.mean(axis=1)
    rate = float(moved[:250].mean())
    tail = binomial_tail(moved.sum(axis=1), np.full(days, points), rate)
    bound = np.empty(days)
    bound[day] = usual_share(panel, share[day], 0.99).bound
    later = np.arange(days) >= 250
    assert (tail[later & common] < 1e-3).mean() > 0.9
    assert (share > bound)[later].mean() < 0.02


def test_the_binomial_tail_is_scipys() -> None:
    """Chance of at least so many, from none to all."""
    hits, known = np.arange(13), np.full(13, 12)
    np.testing.assert_allclose(binomial_tail(hits, known, 0.07), binom.sf(hits - 1, 12, 0.07), rtol=1e-10)


def test_diffusion_is_the_share_up_less_the_share_down() -> None:
    """Five up, two down, one neither, two unknown: three eighths, among eight."""
    panel = panel_of(np.full((1, 10), 5.0))
    moved = np.array([1, 1, 1, 1, 1, -1, -1, 0, -128, -128], np.int8)
    index, known = diffusion(panel, moved, panel.group)
    assert (index == 3 / 8).all()
    assert (known == 8).all()
    assert np.isnan(diffusion(panel, moved, panel.group, 9)[0]).all()


def test_diffusion_counts_what_has_come_so_far() -> None:
    """The index at nine is that of the points at nine; a point that reports again counts once, as it says then."""
    time = np.array([[0.0, 3600.0, 7200.0], [10800.0, np.nan, np.nan]])
    values = np.array([[5.0, 5.0, 5.0], [5.0, np.nan, np.nan]])
    panel = panel_of(values, time=time)
    moved = np.array([1, -1, 1, 1], np.int8)  # the first point rises, and takes it back at the end
    index, known = diffusion(panel, moved, panel.group, 1)
    assert index.tolist() == pytest.approx([1.0, 1 / 3, 1.0, 1.0])
    assert known.tolist() == [1, 3, 2, 3]


# all of them


def everything(panel: Panel, ratio: FloatArray, share: FloatArray, keep: BoolArray) -> list[np.ndarray]:
    part = panel.only(keep)
    n, pool = int(keep.sum()), np.zeros(panel.n_series, np.int32)
    one = hidiroglou_berthelot(part, ratio[keep], part.value, Fences(), 6, pool)
    two = dispersion(part, np.ones(n, np.bool_), 4, 10, 5)
    three = usual_share(part, share[keep], 0.9, 10, 5)
    four, five = diffusion(part, np.sign(ratio[keep] - 1).astype(np.int8), part.group)
    return [one.score, one.ratio, one.n_used, two.times, two.scale, three.bound, four, five]


def test_day_by_day_is_batch_bit_for_bit() -> None:
    """Cut at any moment, the numbers up to then are the same."""
    rng = np.random.default_rng(23)
    days, points = 25, 12
    hours = rng.integers(0, 24, (days, points))
    time = (np.arange(days)[:, None] * DAY + hours * 3600).astype(float)
    values = 5 * np.exp(rng.normal(0, 0.1, (days, points)))
    values[rng.random(values.shape) < 0.15] = np.nan
    panel = panel_of(values, ["白菜"] * 7 + ["大葱"] * 5, time)
    ratio, share = np.exp(rng.normal(0, 0.1, len(panel))), np.zeros(len(panel))
    share[:] = (panel.time % 11) / 11
    whole = everything(panel, ratio, share, np.ones(len(panel), np.bool_))
    assert all(np.isfinite(column).any() for column in whole)
    for cut in np.unique(panel.time)[::17]:
        keep = panel.time <= cut
        for part, all_of_it in zip(everything(panel, ratio, share, keep), whole, strict=True):
            np.testing.assert_array_equal(part, all_of_it[keep])


def test_an_empty_panel_and_days_before_1970() -> None:
    """Nothing in, nothing out; and a day with a negative number is a day like others."""
    empty = panel_of(np.full((1, 3), np.nan))
    assert all(len(column) == 0 for column in everything(empty, np.empty(0), np.empty(0), np.empty(0, np.bool_)))
    values = np.tile(AFTER, (1, 1))
    old = panel_of(values, time=np.full((1, 10), -4000.0 * DAY))
    found = hidiroglou_berthelot(old, AFTER / BEFORE, np.maximum(BEFORE, AFTER), CLASSIC)
    assert np.flatnonzero(np.abs(found.score) > 5).tolist() == [8, 9]
