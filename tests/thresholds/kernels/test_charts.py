"""Control charts, against plain Python, pandas and scipy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm

from thresholds.kernels.charts import (
    Chart,
    Extremes,
    Volatility,
    cusum,
    ewma,
    extremes,
    least_extremes,
    volatility,
    whiten,
)
from thresholds.kernels.runlength import ewma_run_length
from thresholds.model import BoolArray, FloatArray

SCORE = st.one_of(st.floats(-6, 6).map(lambda x: round(x, 2)), st.just(float("nan")))
SCORES = st.lists(SCORE, min_size=1, max_size=60)
FRESH = st.sets(st.integers(0, 59), max_size=3)


def one(x: FloatArray, fresh: set[int] | None = None) -> tuple[np.ndarray, FloatArray, BoolArray]:
    """Arguments for one series."""
    return np.array([0, len(x)]), x, np.isin(np.arange(len(x)), sorted(fresh or ()))


def noise(n: int, seed: int = 4, correlation: float = 0.0) -> FloatArray:
    """Standard normal numbers, each correlated with the one before."""
    x = np.random.default_rng(seed).standard_normal(n)
    for i in range(1, n):
        x[i] = correlation * x[i - 1] + np.sqrt(1 - correlation**2) * x[i]
    return x


# ewma and cusum


@settings(max_examples=200)
@given(SCORES, FRESH)
def test_ewma_is_the_recursion_with_restart(values: list[float], fresh: set[int]) -> None:
    """One observation at a time, as the documentation states it."""
    chart = ewma(*one(np.array(values), fresh), 0.3, 1.5)
    unit, state, begin = np.sqrt(0.3 / 1.7), 0.0, 0
    for i, x in enumerate(values):
        state = 0.0 if i in fresh else state
        if np.isnan(x):
            assert np.isnan(chart.up[i])
            assert np.isnan(chart.down[i])
            continue
        moved = 0.7 * state + 0.3 * x
        begin = i if moved * state <= 0 else begin
        state = moved
        assert chart.up[i] == pytest.approx(state / unit, abs=1e-12)
        assert chart.down[i] == -chart.up[i]
        assert chart.up_since[i] == begin
        state = 0.0 if abs(state) > 1.5 * unit else state


@settings(max_examples=200)
@given(SCORES, FRESH)
def test_cusum_is_the_recursion_with_restart(values: list[float], fresh: set[int]) -> None:
    """Both sides begin anew after an alarm of either."""
    chart = cusum(*one(np.array(values), fresh), 0.5, 3.0)
    sums, begins = [0.0, 0.0], [0, 0]
    for i, x in enumerate(values):
        sums = [0.0, 0.0] if i in fresh else sums
        if np.isnan(x):
            assert np.isnan([chart.up[i], chart.down[i]]).all()
            continue
        begins = [i if s == 0 else b for s, b in zip(sums, begins, strict=True)]
        sums = [max(0.0, sums[0] + x - 0.5), max(0.0, sums[1] - x - 0.5)]
        assert [chart.up[i], chart.down[i]] == pytest.approx(sums)
        since = [b if s > 0 else i for s, b in zip(sums, begins, strict=True)]
        assert [chart.up_since[i], chart.down_since[i]] == since
        sums = [0.0, 0.0] if max(sums) > 3 else sums


def test_cusum_knows_since_when() -> None:
    """A shift of two scales from the 30th observation on: alarm at the fourth, and the first is named."""
    x = np.zeros(50)
    x[30:] = 2.0
    chart = cusum(*one(x))
    first = int(np.flatnonzero(chart.up > 5)[0])
    assert (first, chart.up_since[first]) == (33, 30)
    assert not (chart.down > 0).any()


def test_a_flat_series_never_alarms() -> None:
    """Scores of zero for years: statistics of zero, not NaN."""
    for chart in (ewma(*one(np.zeros(1000))), cusum(*one(np.zeros(1000)))):
        assert (chart.up == 0).all()
        assert (chart.down == 0).all()


def test_series_do_not_touch_each_other() -> None:
    """The second series begins at zero, whatever the first did."""
    x = np.append(np.full(3, 1.2), noise(40))
    fresh = np.zeros(43, np.bool_)
    for run in (ewma, cusum):
        both: Chart = run(np.array([0, 3, 43]), x, fresh)
        alone: Chart = run(np.array([0, 40]), x[3:], fresh[3:])
        np.testing.assert_array_equal(both.up[3:], alone.up)
        np.testing.assert_array_equal(both.up_since[3:], alone.up_since + 3)


# whitening


@settings(max_examples=100)
@given(SCORES, FRESH)
def test_whitening_is_the_recursion(values: list[float], fresh: set[int]) -> None:
    """Correlation and mean square of all earlier pairs, remembered at 0.998, fifty of none and one before."""
    found = whiten(*one(np.array(values), fresh), cap=4.0)
    products, squares, weight, before = 0.0, 50.0, 50.0, None
    for i, x in enumerate(values):
        before = None if i in fresh else before
        if np.isnan(x):
            assert np.isnan(found.value[i])
            continue
        share, clipped = 1.0, min(max(x, -4.0), 4.0)
        expected = x
        if before is not None:
            correlation = min(max(products / squares, -0.9), 0.9)
            share = np.sqrt((1 - correlation**2) * max(squares / weight, 1.0))
            expected = (x - correlation * before) / share
            products = 0.998 * products + clipped * before
            squares = 0.998 * squares + (clipped**2 + before**2) / 2
            weight = 0.998 * weight + 1
        before = clipped
        assert found.value[i] == pytest.approx(expected)
        assert found.share[i] == pytest.approx(share)


@pytest.mark.parametrize("correlation", [-0.4, 0.3])
def test_whitening_restores_the_run_length(correlation: float) -> None:
    """Bounce makes a chart dull, drag makes it shy: whitened it alarms within a fifth of its table again."""
    n = 600_000
    x = noise(n, correlation=correlation)
    start, _, fresh = one(x)
    lengths = []
    for scores in (x, whiten(start, x, fresh).value):
        alarms = np.count_nonzero(np.abs(ewma(start, scores, fresh).up) > 2.962)
        lengths.append(n / float(max(int(alarms), 1)))
    plain, white = lengths
    assert white == pytest.approx(ewma_run_length(), rel=0.2)
    assert plain < 150 if correlation > 0 else plain > 5000


def test_whitening_widens_a_scale_that_promised_too_little() -> None:
    """Scores half as wild again alarm as rarely as they should; tame ones are not blown up."""
    n = 300_000
    start, x, fresh = one(1.5 * noise(n))
    white = whiten(start, x, fresh).value
    plain, better = (n / float(np.count_nonzero(np.abs(ewma(start, z, fresh).up) > 2.962)) for z in (x, white))
    assert plain < 60
    assert better > 350
    tame = whiten(start, x / 5, fresh).value
    assert np.std(tame) == pytest.approx(0.3, rel=0.02)


def test_one_error_does_not_colour_what_follows() -> None:
    """A spike of a thousand scales shifts the next whitened score by no more than one of four scales would."""
    x = noise(400, correlation=0.3)
    spiked, capped = x.copy(), x.copy()
    spiked[300], capped[300] = 1000.0, 4.0
    one_, other = whiten(*one(spiked)), whiten(*one(capped))
    np.testing.assert_array_equal(one_.value[301:], other.value[301:])


# volatility


def wild(step: FloatArray, usable: BoolArray | None = None, *, floor: float = 0.0, **how: float) -> Volatility:
    good = np.ones(len(step), np.bool_) if usable is None else usable
    return volatility(np.array([0, len(step)]), step, good, np.full(len(step), floor), **how)  # type: ignore[arg-type]


def test_volatility_is_that_of_pandas() -> None:
    """`ewm(alpha=0.06, adjust=False)` of squares, over a rolling mean of those older than the gap."""
    step = np.random.default_rng(8).normal(0, 0.01, 1500)
    squares = pd.Series(step**2)
    newest = np.sqrt(squares.ewm(alpha=0.06, adjust=False).mean())
    long_run = np.sqrt(squares.rolling(500, min_periods=60).mean().shift(34))
    found = wild(step)
    np.testing.assert_allclose(found.newest, newest, rtol=1e-12)
    np.testing.assert_allclose(found.long_run, long_run, rtol=1e-9)
    np.testing.assert_allclose(found.ratio, newest / long_run, rtol=1e-9)
    assert np.isnan(found.ratio[:93]).all()
    assert np.isfinite(found.ratio[93:]).all()
    assert found.n_used[[92, 93, 1499]].tolist() == [59, 60, 500]


def test_a_doubling_of_volatility_is_seen_within_weeks_and_forgotten_after_years() -> None:
    """Steps three times as wild: the ratio passes two within 20 steps, and is one again when they are usual."""
    step = np.random.default_rng(1).normal(0, 0.01, 1400)
    step[500:] *= 3
    ratio = wild(step, cap=4.0).ratio
    assert ratio[480] < 1.5
    assert ratio[500:520].max() > 2
    assert 0.6 < ratio[1300] < 1.4


def test_one_jump_is_no_time_of_wild_movement() -> None:
    """Twenty scales at once double the ratio; counted as four they do not."""
    step = np.random.default_rng(2).normal(0, 0.01, 300)
    step[250] = 0.2
    assert wild(step).ratio[250] > 4
    assert wild(step, cap=4.0).ratio[250:].max() < 1.6


def test_volatility_of_a_flat_series_is_none_and_its_first_move_is_measured_by_the_floor() -> None:
    """No division by zero: with a floor the ratio is zero, without one there is none."""
    step = np.zeros(200)
    step[150] = 0.05
    assert (wild(step, floor=0.005).ratio[93:150] == 0).all()
    assert 0.5 < wild(step, floor=0.005, cap=4.0).ratio[150] < 1.5
    assert np.isnan(wild(step).ratio[93:150]).all()


def test_unusable_steps_leave_volatility_alone() -> None:
    """A suspected error has no ratio, and those after it are as without it."""
    step = np.random.default_rng(3).normal(0, 0.01, 300)
    usable = np.ones(300, np.bool_)
    usable[200] = False
    marred = step.copy()
    marred[200] = 9.0
    with_it, without = wild(marred, usable), wild(np.delete(step, 200))
    assert np.isnan(with_it.ratio[200])
    np.testing.assert_array_equal(np.delete(with_it.ratio, 200), without.ratio)


# extremes


def plain_extremes(
    step: FloatArray, usable: BoolArray, floor: float, window: int, least: int, history: int
) -> tuple[list[int], list[int]]:
    """Counts as documented, with numpy's quantile over a list that grows."""
    earlier: list[float] = []
    squares: list[float] = []
    signs: list[int] = []
    up, down, variance = [], [], 0.0
    for x, good in zip(step, usable, strict=True):
        counts = (-1, -1)
        if good and not np.isnan(x):
            width = max(np.sqrt(variance), floor)
            if len(squares) >= 30 and width > 0:
                known = earlier[-history:]
                if len(known) >= least:
                    high, low = np.quantile(known, 0.95), np.quantile(known, 0.05)
                    signs.append(int(x / width > high) - int(x / width < low))
                    if len(signs) >= window:
                        newest = signs[-window:]
                        counts = (newest.count(1), newest.count(-1))
                earlier.append(x / width)
            squares.append(x * x)
            variance = 0.94 * variance + 0.06 * x * x if len(squares) > 30 else float(np.mean(squares))
        up.append(counts[0])
        down.append(counts[1])
    return up, down


@pytest.mark.parametrize("sticky", [0.0, 0.8])
def test_extremes_are_counted_as_documented(sticky: float) -> None:
    """Turnover of window and history, gaps, suspects, sticky quotes: the counts are those of plain Python."""
    rng = np.random.default_rng(6)
    step = rng.standard_t(4, 900) * 0.01
    step[rng.random(900) < sticky] = 0.0
    step[rng.random(900) < 0.05] = np.nan
    usable = rng.random(900) > 0.05
    found = extremes(np.array([0, 900]), step, usable, np.full(900, 0.002), window=40, least=100, history=300)
    up, down = plain_extremes(step, usable, 0.002, 40, 100, 300)
    assert found.up.tolist() == up
    assert found.down.tolist() == down
    assert max(up) > 0
    assert max(down) > 0


def counted(step: FloatArray) -> Extremes:
    n = len(step)
    return extremes(np.array([0, n]), step, np.ones(n, np.bool_), np.full(n, 1e-6))


def test_extremes_need_two_years_and_a_quarter() -> None:
    """30 steps to start, 500 for the quantile, 60 to count in: before that there is no answer, not "none"."""
    found = counted(np.random.default_rng(0).normal(0, 0.01, 700))
    first = 30 + 500 + 60 - 1
    assert (found.up[:first] == -1).all()
    assert (found.up[first:] >= 0).all()
    assert found.n_used[first] == 559


def test_the_rate_of_extremes_is_that_of_the_quantile_even_where_volatility_comes_in_waves() -> None:
    """GARCH with fat tails: 3 of 60 on average, both ways; a plain quantile of returns would cluster."""
    rng, n = np.random.default_rng(12), 20_000
    step, variance = np.empty(n), 1e-4
    for i in range(n):
        step[i] = np.sqrt(variance) * rng.standard_t(6) * np.sqrt(4 / 6)
        variance = 2e-6 + 0.08 * step[i] ** 2 + 0.9 * variance
    found = counted(step)
    for count in (found.up, found.down):
        known = count[count >= 0]
        assert known.mean() == pytest.approx(3.0, abs=0.25)
        assert np.mean(known >= 7) < 0.06


def test_seven_of_sixty_by_the_normal_approximation_eight_exactly() -> None:
    """Chances of scipy: 0.0089 and 0.0297 at seven, 0.0098 at eight."""
    assert least_extremes() == 7
    assert least_extremes(exact=True) == 8
    assert norm.sf((7 - 3) / np.sqrt(60 * 0.05 * 0.95)) == pytest.approx(0.0089, abs=5e-5)
    assert binom.sf(6, 60, 0.05) == pytest.approx(0.0297, abs=5e-5)
    assert binom.sf(7, 60, 0.05) == pytest.approx(0.0098, abs=5e-5)
    for window, quantile, level in ((60, 0.9, 0.01), (120, 0.95, 0.05), (250, 0.99, 0.001)):
        k = least_extremes(window, quantile, level, exact=True)
        assert binom.sf(k - 1, window, 1 - quantile) <= level < binom.sf(k - 2, window, 1 - quantile)
        k = least_extremes(window, quantile, level)
        mean, sd = window * (1 - quantile), np.sqrt(window * quantile * (1 - quantile))
        assert norm.sf((k - mean) / sd) <= level < norm.sf((k - 1 - mean) / sd)
    assert least_extremes(10, 0.95, 1e-14, exact=True) == 11  # never


# all of them


def test_day_by_day_is_batch_bit_for_bit() -> None:
    """Cut anywhere, the numbers up to then are the same: nothing depends on what comes after."""
    n = 900
    step = np.random.default_rng(9).standard_t(4, n) * 0.01
    step[::13] = np.nan
    good, fresh = np.ones(n, np.bool_), np.zeros(n, np.bool_)
    fresh[400] = True

    def everything(end: int) -> list[np.ndarray]:
        start, x = np.array([0, end]), step[:end]
        white = whiten(start, x * 100, fresh[:end])
        a, b = ewma(start, white.value, fresh[:end]), cusum(start, white.value, fresh[:end])
        c = volatility(start, x, good[:end], np.full(end, 0.001), window=50)
        d = extremes(start, x, good[:end], np.full(end, 0.001), window=20, least=100, history=150)
        return [white.value, white.share, a.up, a.up_since, b.up, b.down, c.ratio, c.long_run, d.up, d.down]

    whole = everything(n)
    for cut in (1, 2, 61, 150, 401, 640, 899):
        for part, all_of_it in zip(everything(cut), whole, strict=True):
            np.testing.assert_array_equal(part, all_of_it[:cut])


def test_two_observations_and_none_are_too_little() -> None:
    """Every kernel takes an empty panel and a series with one step."""
    for n in (0, 2):
        start, step = np.array([0, n]), np.full(n, np.nan)
        step[1:] = 0.01
        good, floor = np.ones(n, np.bool_), np.full(n, 0.005)
        assert np.isnan(volatility(start, step, good, floor).ratio).all()
        assert (extremes(start, step, good, floor).up == -1).all()
        assert len(whiten(start, step, ~good).value) == n
