"""Fourier terms for daily and weekly series, against statsmodels fitted to the window at sampled times."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from thresholds.kernels.fourier import BLOCK, fourier_scores
from thresholds.kernels.seasonal import SeasonalScores
from thresholds.lunar import phase
from thresholds.model import BoolArray, FloatArray

Days = NDArray[np.int64]
D0 = (date(2015, 1, 3) - date(1970, 1, 1)).days


def design(day: Days, pairs: int, weekly: bool, festival: bool = True) -> FloatArray:
    """The regressors as the documentation states them, those that never occur left out."""
    columns = [np.ones(len(day)), (day - D0) / 365.25]
    for k in range(1, pairs + 1):
        columns += [np.cos(2 * np.pi * k * day / 365.25), np.sin(2 * np.pi * k * day / 365.25)]
    if festival:
        columns += [phase(day.astype(np.int32)) == n for n in (1, 2, 3)]
    if weekly:
        columns += [(day + 3) % 7 == n for n in range(1, 7)]
    x = np.stack(columns, axis=1).astype(np.float64)
    return x[:, np.abs(x).max(axis=0) > 0]


def independent(x: FloatArray) -> FloatArray:
    """Without columns that the ones before them add up to: three days a week are an intercept and two, not three."""
    kept: list[int] = []
    for j in range(x.shape[1]):
        if np.linalg.matrix_rank(x[:, [*kept, j]]) > len(kept):
            kept.append(j)
    return x[:, kept]


def prices(day: Days, seed: int = 1) -> FloatArray:
    """Log prices with trend, season, market days and noise."""
    rng = np.random.default_rng(seed)
    wave = 0.2 * np.sin(2 * np.pi * day / 365.25) + 0.02 * (day % 7 == 2)
    return np.asarray(np.log(5) + 0.05 * (day - D0) / 365 + wave + rng.normal(0, 0.03, len(day)))


def score(
    day: Days, y: FloatArray, usable: BoolArray | None = None, *, floor: float = 0.0, fresh: int | None = None,
    pairs: int = 3, years: int = 3, festival: bool = True,
) -> SeasonalScores:  # fmt: skip
    """Of one series."""
    n = len(y)
    good = np.ones(n, np.bool_) if usable is None else usable
    new = np.zeros(n, np.bool_)
    if fresh is not None:
        new[fresh] = True
    return fourier_scores(
        np.array([0, n]), day.astype(np.int32), y, good, new, np.full(n, floor), pairs, years, festival
    )


def window(day: Days, i: int, years: int = 3) -> int:
    """First row of the window of row i: this half-year and those before it."""
    return int(np.searchsorted(day, (day[i] // BLOCK - 2 * years + 1) * BLOCK))


EVERY = D0 + np.arange(1700)
CASES = {
    "daily with gaps": (EVERY[np.random.default_rng(2).random(1700) > 0.05], 3, True, True),
    "working days": (EVERY[(EVERY + 3) % 7 < 5], 4, True, True),
    "three a week": (EVERY[np.isin((EVERY + 3) % 7, (1, 3, 5))], 2, True, False),
    "weekly": (D0 + np.arange(0, 2400, 7), 2, False, True),
    "once in ten days": (D0 + np.arange(0, 2400, 10), 3, False, False),
    "thirty years back": (D0 - 11_000 + np.arange(12_000), 3, True, True),
}


@pytest.mark.parametrize("name", CASES)
def test_scores_are_statsmodels_prediction_errors_at_sampled_times(name: str) -> None:
    """Fitted to the window before, error over the standard error of a new observation: to 1e-8."""
    day, pairs, weekly, festival = CASES[name]
    y = prices(day)
    found = score(day, y, pairs=pairs, festival=festival)
    known = np.flatnonzero(~np.isnan(found.score))
    assert day[known[0]] - day[0] >= 730
    assert len(known) > 0.9 * (day > day[0] + 730).sum()
    for i in np.random.default_rng(3).choice(known, 25, replace=False):
        a = window(day, i)
        x = independent(design(day[a : i + 1], pairs, weekly, festival))
        ahead = sm.OLS(y[a:i], x[:-1]).fit().get_prediction(x[-1:])
        mean, error = float(ahead.predicted_mean[0]), float(ahead.se_obs[0])
        assert found.expected[i] == pytest.approx(mean, abs=1e-9)
        assert found.scale[i] == pytest.approx(error, rel=1e-8)
        assert found.score[i] == pytest.approx((y[i] - mean) / error, abs=1e-8)
        assert found.n_used[i] == i - a


def test_that_is_the_externally_studentised_residual() -> None:
    """Weekly, against `resid_studentized_external` of a fit that includes the newest point."""
    day = D0 + np.arange(0, 1800, 7)
    y = prices(day, 5)
    found = score(day, y)
    for i in (120, 180, 250):
        a = window(day, i)
        fit = sm.OLS(y[a : i + 1], design(day[a : i + 1], 3, False)).fit()
        assert found.score[i] == pytest.approx(fit.get_influence().resid_studentized_external[-1], abs=1e-8)


def test_less_than_two_years_is_too_little() -> None:
    """NaN, with the number of days there were."""
    day = D0 + np.arange(760)
    found = score(day, prices(day))
    assert np.flatnonzero(~np.isnan(found.score))[0] == 730
    assert found.n_used[:730].tolist() == list(range(730))
    assert np.isnan(score(day[:2], prices(day[:2])).score).all()
    assert len(score(day[:0], prices(day[:0])).score) == 0


def test_monthly_and_mixed_cadences_are_not_judged() -> None:
    """Monthly never; a weekly series that turns daily, and a daily one that turns weekly, not until the window has
    forgotten the old cadence."""
    monthly = D0 + np.arange(0, 3000, 30)
    assert np.isnan(score(monthly, prices(monthly)).score).all()
    change = (D0 // BLOCK + 6) * BLOCK
    for first, then in ((7, 1), (1, 7)):
        day = np.concatenate([np.arange(D0, change, first), np.arange(change, change + 9 * BLOCK, then)])
        found = score(day, prices(day))
        since = (day - change) // BLOCK
        assert np.isfinite(found.score[(since == -1) & (day > D0 + 730)]).all()
        assert np.isnan(found.score[(since >= 1) & (since < 5)]).all()
        assert np.isfinite(found.score[since > 5]).all()
        assert (found.n_used[since >= 1] > 100).all()


def test_a_weekday_without_history_is_not_judged_once() -> None:
    """The first Saturday of a series of working days: unknown; the next one has one before it."""
    day = EVERY[((EVERY + 3) % 7 < 5) | ((EVERY > D0 + 1000) & ((EVERY + 3) % 7 == 5))]
    found = score(day, prices(day))
    saturdays = np.flatnonzero((day + 3) % 7 == 5)
    assert np.isnan(found.score[saturdays[0]])
    assert np.isfinite(found.score[saturdays[1:]]).all()
    assert np.isfinite(found.score[saturdays[0] + 1])
    assert found.scale[saturdays[1]] > 1.3 * found.scale[saturdays[1] - 1]


def test_a_silence_is_not_bridged() -> None:
    """60 days after the last value it is judged, 61 days after it is not; later it is again."""
    for silence, known in ((60, True), (61, False)):
        day = np.concatenate([EVERY[:900], EVERY[899] + silence + np.arange(30)])
        found = score(day, prices(day))
        assert np.isnan(found.score[900]) != known
        assert np.isfinite(found.score[901:]).all()


def test_suspects_are_scored_but_stay_out_of_baselines() -> None:
    """A value that is not usable changes nothing for the days after it."""
    day = D0 + np.arange(1200)
    y = prices(day)
    marred, good = y.copy(), np.ones(1200, np.bool_)
    marred[900] += 2
    good[900] = False
    found = score(day, marred, good)
    assert found.score[900] > 20
    rest = np.arange(1200) != 900
    np.testing.assert_array_equal(found.score[rest][900:], score(day[rest], y[rest]).score[900:])


def test_a_flat_series_and_one_change() -> None:
    """Nothing to say without a floor; with one, a move of 10 % is far outside."""
    day = D0 + np.arange(900)
    y = np.full(900, np.log(3.2))
    assert np.isnan(score(day, y).score).all()
    y[-1] += np.log(1.1)
    found = score(day, y, floor=0.005)
    assert abs(found.score[-2]) < 1e-6
    assert found.score[-1] > 15


def test_a_new_level_has_no_history() -> None:
    """After the unit changed the days before count for nothing."""
    day = D0 + np.arange(1800)
    y = prices(day)
    y[900:] += np.log(2)
    found = score(day, y, fresh=900)
    assert found.n_used[900] == 0
    np.testing.assert_allclose(found.score[900:], score(day[900:], y[900:]).score, rtol=1e-9)


def test_the_last_value_of_a_day_stands_for_it() -> None:
    """Several quotes a day: each is tested against the days before; the last one is the baseline's."""
    day = D0 + np.arange(900)
    y = prices(day)
    found = score(np.insert(day, 800, day[800]), np.insert(y, 800, 9.0))
    assert found.score[800] > 100
    np.testing.assert_array_equal(np.delete(found.score, 800), score(day, y).score)


@settings(max_examples=8)
@given(st.integers(0, 10_000), st.sampled_from([1, 2, 7, 10]))
def test_nothing_that_comes_later_changes_a_score(seed: int, every: int) -> None:
    """With gaps, doubled days, suspects and holes: cut anywhere, the same bit for bit."""
    rng = np.random.default_rng(seed)
    day = D0 + np.arange(0, 1500, every)
    day = np.sort(np.append(day[rng.random(len(day)) > 0.1], rng.choice(day, 3)))
    hole = D0 + rng.integers(1500)
    day = day[(day < hole) | (day > hole + 40)]
    y, good = prices(day, seed), rng.random(len(day)) > 0.05
    y[rng.random(len(day)) < 0.02] = np.nan
    whole = score(day, y, good)
    for k in np.unique(np.linspace(1, len(day), 14, dtype=int)):
        part = score(day[:k], y[:k], good[:k])
        for one, other in ((part.score, whole.score), (part.expected, whole.expected), (part.scale, whole.scale)):
            np.testing.assert_array_equal(one, other[:k])
        np.testing.assert_array_equal(part.n_used, whole.n_used[:k])


def test_series_do_not_see_each_other() -> None:
    """Series of different cadence in one panel, in threads, score as each alone."""
    many = [CASES[name][0] for name in ("weekly", "working days", "daily with gaps")] * 70
    y = [prices(day, n) for n, day in enumerate(many)]
    start = np.append(0, np.cumsum([len(d) for d in many]))
    n = int(start[-1])
    never = np.zeros(n, np.bool_)
    days = np.concatenate(many).astype(np.int32)
    found = fourier_scores(start, days, np.concatenate(y), ~never, never, np.zeros(n))
    assert n > 200_000
    for s in (0, 1, 2, 88, 89, 90, 91, 179):
        part = slice(start[s], start[s + 1])
        np.testing.assert_array_equal(found.score[part], score(many[s], y[s]).score)
