"""Robust scores, against plain numpy and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import median_abs_deviation

from thresholds.kernels.robust import SD_SHARE, RobustScores, robust_scores
from thresholds.model import BoolArray, FloatArray

NEVER = 0.0
"""no floor"""


def score(step: FloatArray, *, window: int = 60, least: int = 12, floor: float = 0.005) -> RobustScores:
    """Of one series, all usable."""
    n = len(step)
    return robust_scores(np.array([0, n]), step, np.ones(n, np.bool_), np.full(n, floor), window, least)


def plain(
    step: FloatArray, usable: BoolArray, floor: float, window: int, least: int
) -> tuple[FloatArray, FloatArray, FloatArray, NDArray[np.int64]]:
    """Scores, medians, scales and counts as the documentation states them, one observation at a time."""
    n = len(step)
    out, middle, scale = np.full(n, np.nan), np.full(n, np.nan), np.full(n, np.nan)
    used = np.zeros(n, np.int64)
    for i in range(n):
        before = step[:i][usable[:i] & ~np.isnan(step[:i])][-window:]
        if np.isnan(step[i]) or len(before) < least:
            continue
        middle[i] = np.median(before)
        distances = np.abs(before - middle[i])
        if 2 * np.count_nonzero(distances == 0) > len(before):  # sticky: of those that differ
            distances = distances[distances > 0]
        spread = float(np.median(distances)) if len(distances) else 0.0
        scale[i] = max(1.4826 * spread, SD_SHARE * float(np.std(before)), floor)
        used[i] = len(before)
        if scale[i] > 0:
            out[i] = (step[i] - middle[i]) / scale[i]
    return out, middle, scale, used


STEP = st.one_of(
    st.just(0.0),
    st.floats(-1, 1, allow_nan=False).map(lambda x: round(x, 3)),
    st.just(float("nan")),
)


@settings(max_examples=150)
@given(
    st.lists(STEP, min_size=1, max_size=90),
    st.lists(st.booleans(), min_size=90, max_size=90),
    st.integers(5, 12),
    st.integers(0, 12),
)
def test_scores_are_those_of_a_plain_computation(
    values: list[float], good: list[bool], least: int, more: int
) -> None:
    """Window turnover, gaps, zeros and suspects: the running order statistics give what sorting every time gives."""
    step = np.array(values)
    usable = np.array(good[: len(step)])
    window = least + more
    found = robust_scores(np.array([0, len(step)]), step, usable, np.full(len(step), 0.005), window, least)
    expected, middle, scale, used = plain(step, usable, 0.005, window, least)
    np.testing.assert_allclose(found.median, middle, atol=1e-12)
    np.testing.assert_allclose(found.scale, scale, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.score, expected, rtol=1e-8, atol=1e-9)
    assert found.n_used.tolist() == used.tolist()


@pytest.mark.parametrize("window", [12, 61, 250])
def test_scores_asked_for_rarely_are_those_asked_for_always(window: int) -> None:
    """Sizes of no interest are passed over; what is computed after a short or a long pause is the same to the bit."""
    rng = np.random.default_rng(window)
    n = 3000
    step = rng.normal(0, 0.02, n) * (rng.random(n) < 0.5)
    usable = rng.random(n) < 0.97
    start, floor = np.array([0, 1000, 1003, n]), np.full(n, 0.005)
    always = robust_scores(start, step, usable, floor, window, 12)
    for least in (0.005, 0.02, 0.05):
        rarely = robust_scores(start, step, usable, floor, window, 12, least_step=np.full(3, least))
        asked = np.abs(step) >= least
        assert asked.any()
        assert (~asked).any()
        for column in ("score", "median", "scale"):
            np.testing.assert_array_equal(getattr(rarely, column)[asked], getattr(always, column)[asked])
        np.testing.assert_array_equal(rarely.n_used, always.n_used)
        known = always.n_used > 0
        assert (rarely.score[known & ~asked] == 0).all()
        assert np.isnan(rarely.score[~known]).all()


def test_the_scale_is_scipys_normal_consistent_mad() -> None:
    """Without floor and ties: `median_abs_deviation(scale='normal')`, to five digits, for odd and even windows."""
    step = np.random.default_rng(7).normal(0, 0.02, 400)
    for window in (60, 61):
        found = score(step, window=window, floor=NEVER)
        for i in (window, window + 1, 200, 399):
            expected = median_abs_deviation(step[i - window : i], scale="normal")
            assert found.scale[i] == pytest.approx(expected, rel=2e-5)
            assert found.median[i] == np.median(step[i - window : i])
            assert found.n_used[i] == window


def test_the_window_forgets_after_its_length() -> None:
    """A wild month has no effect any more once `window` usable steps have followed it."""
    rng = np.random.default_rng(3)
    calm = rng.normal(0, 0.01, 100)
    wild = calm.copy()
    wild[:30] = rng.normal(0, 0.5, 30)
    one, other = score(calm, window=60), score(wild, window=60)
    assert other.scale[60] > 3 * one.scale[60]
    np.testing.assert_allclose(other.score[90:], one.score[90:], rtol=1e-9)


def test_the_tested_step_is_not_in_its_own_baseline() -> None:
    """Its score grows without bound with its size: were it in the baseline the score would level off."""
    calm = np.random.default_rng(5).normal(0, 0.01, 40)
    small, large = np.append(calm, 1.0), np.append(calm, 1000.0)
    assert score(small).scale[40] == score(large).scale[40]
    assert score(large).score[40] > 900 * score(small).score[40]


def test_suspects_are_scored_but_stay_out_of_baselines() -> None:
    """A step that is not usable changes nothing for those after it."""
    step = np.random.default_rng(11).normal(0, 0.01, 80)
    marred = step.copy()
    marred[40] = 5.0
    usable = np.ones(80, np.bool_)
    usable[40] = False
    ends, floor = np.array([0, 80]), np.full(80, 0.005)
    with_it = robust_scores(ends, marred, usable, floor, 30, 12)
    without = robust_scores(ends, np.where(usable, step, np.nan), usable, floor, 30, 12)
    assert with_it.score[40] > 100
    np.testing.assert_allclose(with_it.score[41:], without.score[41:], rtol=1e-12)


def test_sticky_quotes_take_their_scale_from_the_moves() -> None:
    """Where 80 % of steps are zero the MAD is zero: a usual move of 2 % must not look like an alarm."""
    rng = np.random.default_rng(2)
    step = np.where(rng.random(300) < 0.2, rng.normal(0, 0.02, 300), 0.0)
    found = score(step, floor=0.005)
    assert (found.median[60:] == 0).all()
    assert (found.scale[60:] > 0.007).all()
    assert (np.abs(found.score[60:]) > 7).mean() < 0.01


def test_a_flat_series_scores_its_first_move_by_the_floor() -> None:
    """Nothing ever moved: the scale is the floor, no division by zero, and the first move of 5 % is 10 floors."""
    step = np.zeros(50)
    step[40] = 0.05
    found = score(step, floor=0.005)
    assert found.scale[40] == 0.005
    assert found.score[40] == pytest.approx(10)
    assert found.score[39] == 0
    assert np.isnan(score(step, floor=NEVER).score[40])  # without any scale there is no score


def test_too_little_history_is_an_answer_of_its_own() -> None:
    """With fewer than `least` steps before it there is no score: not even for a jump."""
    step = np.full(20, 0.01)
    step[12] = 9.0
    found = score(step, least=13)
    assert np.isnan(found.score[:13]).all()
    assert found.n_used[:13].tolist() == [0] * 13
    assert np.isfinite(found.score[13:]).all()
    assert np.isfinite(score(step, least=12).score[12])


def test_series_have_baselines_of_their_own() -> None:
    """The second series starts from nothing, whatever the first one did."""
    first, second = np.random.default_rng(1).normal(0, 1, 50), np.random.default_rng(2).normal(0, 0.01, 50)
    both = robust_scores(
        np.array([0, 50, 100]), np.append(first, second), np.ones(100, np.bool_), np.full(100, 0.001), 30, 12
    )
    alone = score(second, window=30, floor=0.001)
    np.testing.assert_array_equal(both.score[50:], alone.score)


def test_ten_years_cut_anywhere_give_the_same_bits() -> None:
    """Evaluating day by day equals the batch bit for bit: running sums do not depend on what comes after."""
    step = np.random.default_rng(9).normal(0, 0.01, 2500)
    whole = score(step)
    for cut in (13, 61, 500, 2499):
        part = score(step[:cut])
        np.testing.assert_array_equal(part.score, whole.score[:cut])
        np.testing.assert_array_equal(part.scale, whole.scale[:cut])
