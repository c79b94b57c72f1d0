"""ALPS against statsmodels, refitted at every month."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from thresholds.kernels.seasonal import PHASES, SeasonalScores, alps_scores, last_within, months_of, phases
from thresholds.lunar import centred_shares
from thresholds.model import BoolArray, FloatArray

Months = NDArray[np.int64]


def mid(months: Months, of_month: int = 15) -> NDArray[np.int32]:
    """Day of the month of each month."""
    return (months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) + of_month - 1).astype(np.int32)


def prices(months: Months, seed: int = 1) -> FloatArray:
    """Log prices with trend, season, Spring Festival and noise."""
    rng = np.random.default_rng(seed)
    wave = 0.2 * np.sin(2 * np.pi * (months % 12) / 12)
    lift: FloatArray = centred_shares(months) @ np.array([0.1, 0.06, -0.08])
    return np.asarray(1.2 + 0.003 * (months - months[0]) + wave + lift + rng.normal(0, 0.03, len(months)))


def design(months: Months, festival: bool = True) -> FloatArray:
    """Intercept, trend, February to December, three windows: as the documentation states them."""
    x = np.zeros((len(months), 13))
    x[:, 0] = 1
    x[:, 1] = months / 12
    for m in range(1, 12):
        x[:, 1 + m] = months % 12 == m
    return np.hstack([x, centred_shares(months)]) if festival else x


def score(
    months: Months, y: FloatArray, usable: BoolArray | None = None, *, floor: float = 0.0, years: int = 0,
    festival: bool = True, fresh: int | None = None, of_month: int = 15,
) -> SeasonalScores:  # fmt: skip
    """Of one series, one value a month."""
    n = len(y)
    good = np.ones(n, np.bool_) if usable is None else usable
    new = np.zeros(n, np.bool_)
    if fresh is not None:
        new[fresh] = True
    return alps_scores(
        np.array([0, n]), mid(months, of_month), y, good, new, np.full(n, floor), years=years, festival=festival
    )


def external(y: FloatArray, x: FloatArray) -> float:
    """Externally studentised residual of the last row, by statsmodels."""
    found: FloatArray = sm.OLS(y, x).fit().get_influence().resid_studentized_external
    return float(found[-1])


@pytest.mark.parametrize("festival", [True, False])
def test_scores_are_statsmodels_external_residuals_refitted_every_month(festival: bool) -> None:
    """With one month in seven missing: to 1e-10 at every month, and n is the number of months before."""
    months = np.arange(12 * 31 + 4, 12 * 31 + 4 + 130)[np.random.default_rng(2).random(130) > 1 / 7]
    y = prices(months)
    found = score(months, y, festival=festival)
    known = np.flatnonzero(~np.isnan(found.score))
    assert len(known) > 70
    for i in known:
        assert found.score[i] == pytest.approx(external(y[: i + 1], design(months[: i + 1], festival)), abs=1e-10)
        assert found.n_used[i] == i


def test_expected_and_scale_are_statsmodels_prediction_from_the_months_before() -> None:
    """Mean and standard error of a new observation."""
    months = np.arange(400, 480)
    y = prices(months)
    found = score(months, y)
    for i in (40, 60, 79):
        ahead = sm.OLS(y[:i], design(months[:i])).fit().get_prediction(design(months[: i + 1])[-1:])
        assert found.expected[i] == pytest.approx(float(ahead.predicted_mean[0]), abs=1e-11)
        assert found.scale[i] == pytest.approx(float(ahead.se_obs[0]), rel=1e-10)


def test_a_fixed_window_is_a_fit_to_its_years() -> None:
    """`years` = 4: from January four years back, each month to 1e-10."""
    months = np.arange(360, 490)
    y = prices(months, 3)
    found = score(months, y, years=4)
    for i in range(60, 130):
        begin = int(np.searchsorted(months, (months[i] // 12 - 4) * 12))
        assert found.n_used[i] == i - begin
        assert found.score[i] == pytest.approx(external(y[begin : i + 1], design(months[begin : i + 1])), abs=1e-10)


def test_fewer_than_36_months_or_70_percent_is_too_little() -> None:
    """NaN, with the number of months there were: month 36 is the first judged; 69 % present never are."""
    months = np.arange(400, 460)
    found = score(months, prices(months), festival=False)
    assert np.flatnonzero(~np.isnan(found.score))[0] == 36
    assert found.n_used[:37].tolist() == list(range(37))
    thin = months[np.arange(60) % 3 != 0]
    found = score(thin, prices(thin))
    assert np.isnan(found.score).all()
    assert found.n_used[-1] == len(thin) - 1


def test_after_half_a_year_of_silence_nothing_is_judged() -> None:
    """Six months after the last value still; seven months after no more."""
    months = np.arange(400, 470)
    for silence, known in ((6, True), (7, False)):
        kept = np.append(months[:60], months[59] + silence)
        assert np.isnan(score(kept, prices(kept)).score[-1]) != known


def test_a_festival_earlier_than_any_before_is_not_judged() -> None:
    """2, 20 and 9 February in 1984 to 1986, 29 January in 1987: nobody had seen a holiday in January."""
    months = np.arange(12 * 14, 12 * 17 + 4)
    found = score(months, prices(months))
    assert np.isnan(found.score[36])
    assert found.n_used[36] == 36
    assert not np.isnan(found.score[37:]).any()
    assert not np.isnan(score(months, prices(months), festival=False).score[36])


def test_suspects_are_scored_but_stay_out_of_baselines() -> None:
    """A value that is not usable changes nothing for the months after it."""
    months = np.arange(400, 480)
    y = prices(months)
    marred, good = y.copy(), np.ones(80, np.bool_)
    marred[60] += 2.0
    good[60] = False
    found = score(months, marred, good)
    assert found.score[60] > 20
    rest = np.arange(80) != 60
    np.testing.assert_array_equal(found.score[rest][60:], score(months[rest], y[rest]).score[60:])


def test_the_tested_month_is_not_in_its_own_baseline() -> None:
    """Its score grows in proportion to its size: in its own fit it would level off."""
    months = np.arange(400, 460)
    small, large = prices(months), prices(months)
    small[-1] += 1
    large[-1] += 1000
    assert score(months, large).score[-1] > 900 * score(months, small).score[-1]


def test_a_flat_series_and_one_change() -> None:
    """Without a floor nothing can be said of a series that never moved; with one, a move of 10 % is far outside."""
    months = np.arange(400, 460)
    y = np.full(60, np.log(3.2))
    assert np.isnan(score(months, y).score).all()
    y[-1] += np.log(1.1)
    found = score(months, y, floor=0.005)
    assert abs(found.score[-2]) < 1e-6
    assert found.score[-1] > 8


def test_sticky_and_short_series_have_defined_answers() -> None:
    """80 % unchanged: judged; two observations: too little history, no fault."""
    months = np.arange(400, 480)
    y = np.repeat(np.log(np.random.default_rng(4).uniform(3, 3.3, 16)), 5)
    assert np.isfinite(score(months, y, floor=0.005).score[40:]).all()
    two = score(months[:2], y[:2])
    assert np.isnan(two.score).all()
    assert two.n_used.tolist() == [0, 1]
    assert len(score(months[:0], y[:0]).score) == 0


def test_daily_and_mixed_cadences_are_not_judged() -> None:
    """Daily values never; a monthly series that turns weekly no more once that is clear."""
    day = np.arange(12_000, 14_000, dtype=np.int32)
    y = np.random.default_rng(1).normal(size=2000)
    never = np.zeros(2000, np.bool_)
    assert np.isnan(alps_scores(np.array([0, 2000]), day, y, ~never, never, np.zeros(2000)).score).all()
    months = np.arange(360, 420)
    days = np.concatenate([mid(months), mid(months)[-1] + 7 * np.arange(1, 53, dtype=np.int32)])
    n = len(days)
    never = np.zeros(n, np.bool_)
    found = alps_scores(np.array([0, n]), days, np.ones(n) + 0.01 * days % 0.7, ~never, never, np.zeros(n))
    assert not np.isnan(found.score[55:60]).any()
    assert np.isnan(found.score[90:]).all()
    assert (found.n_used[90:] > 60).all()


def test_a_new_level_has_no_history() -> None:
    """After the unit changed the months before count for nothing."""
    months = np.arange(360, 460)
    y = prices(months)
    y[50:] += np.log(2)
    found = score(months, y, fresh=50)
    np.testing.assert_array_equal(found.score[50:], score(months[50:], y[50:]).score)
    assert found.n_used[50] == 0


def test_the_last_value_of_a_month_stands_for_it() -> None:
    """Of two values in a month the second is the baseline's; the second is tested against the months before alone."""
    months = np.arange(400, 460)
    y = prices(months)
    days = np.insert(mid(months), 50, mid(months)[50] - 5)
    values = np.insert(y, 50, 7.0)
    n, never = 61, np.zeros(61, np.bool_)
    found = alps_scores(np.array([0, n]), days, values, ~never, never, np.zeros(n))
    np.testing.assert_array_equal(np.delete(found.score, 50), score(months, y).score)
    assert found.score[50] > 50


@settings(max_examples=25)
@given(st.lists(st.integers(0, 2), min_size=50, max_size=90), st.lists(st.booleans(), min_size=90, max_size=90))
def test_nothing_that_comes_later_changes_a_score(steps: list[int], good: list[bool]) -> None:
    """With gaps, two values a month and suspects: month by month equals all at once, bit for bit."""
    months = 400 + np.cumsum(np.array(steps))
    n = len(months)
    days = mid(months) + np.arange(n, dtype=np.int32) % 3
    order = np.argsort(days, kind="stable")
    days, y = days[order], prices(months)
    usable = np.array(good[:n]) | (np.arange(n) % 3 > 0)
    never = np.zeros(n, np.bool_)
    whole = alps_scores(np.array([0, n]), days, y, usable, never, np.zeros(n), years=3)
    for k in range(1, n, 7):
        part = alps_scores(np.array([0, k]), days[:k], y[:k], usable[:k], never[:k], np.zeros(k), years=3)
        for one, other in ((part.score, whole.score), (part.expected, whole.expected), (part.scale, whole.scale)):
            np.testing.assert_array_equal(one, other[:k])


def test_series_do_not_see_each_other() -> None:
    """Two series in one panel score as each alone."""
    months = np.arange(400, 460)
    one, other = prices(months, 1), prices(months, 2)
    never = np.zeros(120, np.bool_)
    both = alps_scores(
        np.array([0, 60, 120]), np.tile(mid(months), 2), np.append(one, other), ~never, never, np.zeros(120)
    )
    np.testing.assert_array_equal(both.score[60:], score(months, other).score)


def test_phases_begin_at_a_quarter_one_and_two() -> None:
    """WFP's limits, each the first value of the higher phase; nothing below zero, unknown stays unknown."""
    values = np.array([-3, 0.2499, 0.25, 0.999, 1, 1.999, 2, 50, np.nan])
    assert phases(values).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, -1]
    assert len(PHASES) == 4


def test_months_and_rows() -> None:
    """Civil days to months since 1970; the last good one of a month, series apart."""
    days = np.array([(date(1969, 12, 31) - date(1970, 1, 1)).days, 0, 30, 31, 59], np.int32)
    assert months_of(days).tolist() == [-1, 0, 0, 1, 2]
    good = np.array([True, True, False, True, True])
    span = np.array([5, 5, 5, 5, 6])
    assert last_within(np.array([0, 2, 5]), span, good).tolist() == [False, True, False, True, True]
