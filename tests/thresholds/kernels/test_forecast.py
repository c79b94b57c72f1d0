"""Chances of crossing: calibrated on simulated series, and against statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.tsa.holtwinters import Holt

from thresholds.kernels.forecast import MODELS, forecasts, lay_out, update
from thresholds.model import FloatArray

N, T = 60, 420


def simulated(kind: str) -> FloatArray:
    """N series of T values."""
    rng = np.random.default_rng(7)
    shock = rng.normal(0, 0.02, (N, T)) if kind != "heavy" else rng.standard_t(4, (N, T)) * 0.014
    if kind in ("walk", "heavy"):
        return np.cumsum(shock, axis=1)
    if kind == "season":
        return (
            0.3 * np.sin(2 * np.pi * np.arange(T) / 12) + 0.3 * np.cumsum(shock, axis=1) + rng.normal(0, 0.02, (N, T))
        )
    y = np.zeros((N, T))
    for k in range(1, T):
        y[:, k] = 0.8 * y[:, k - 1] + shock[:, k]
    return y


@pytest.mark.parametrize("horizon", [1, 5])
@pytest.mark.parametrize("kind", ["walk", "heavy", "returning", "season"])
def test_intervals_cover_and_chances_come_true(kind: str, horizon: int) -> None:
    """The 90 % interval covers 90 +/- 3 %; where a chance of p is stated it comes true in p +/- 15 points, in the
    mean within 3 points; and nobody does better by stating the mean frequency always."""
    y = simulated(kind)
    value, start = y.ravel(), np.arange(N + 1) * T
    upper = value + 0.03
    season = 12 if kind == "season" else 0
    found = forecasts(
        start, value, np.ones(N * T, np.bool_), upper, value - 0.03, horizon=horizon, season=season, cover=0.9
    )
    known = np.isfinite(found.low) & (np.arange(N * T) % T < T - horizon)
    future = np.stack([np.roll(value, -k) for k in range(1, horizon + 1)])
    assert known.sum() > 20_000
    assert ((future[-1] >= found.low) & (future[-1] <= found.high))[known].mean() == pytest.approx(0.9, abs=0.03)
    for chance, hit in ((found.rise, future.max(0) >= upper), (found.fall, future.min(0) <= value - 0.03)):
        assert chance[known].mean() == pytest.approx(hit[known].mean(), abs=0.03)
        brier = ((chance - hit)[known] ** 2).mean()
        assert brier < 1.03 * hit[known].mean() * (1 - hit[known].mean())
        for low in (0.0, 0.2, 0.4, 0.6, 0.8):
            stated = known & (chance >= low) & (chance < low + 0.2)
            if stated.sum() > 2000:
                assert chance[stated].mean() == pytest.approx(hit[stated].mean(), abs=0.15)


@pytest.mark.parametrize("model", [0, 1, 4, 5])
def test_the_models_are_damped_trends(model: int) -> None:
    """Level, trend and forecasts of statsmodels' Holt with the same constants and start, to 1e-10."""
    alpha, beta, phi, _ = MODELS[model]
    y = simulated("walk")[0][:60]
    level, trend = np.zeros(len(MODELS)), np.zeros(len(MODELS))
    for k, x in enumerate(y):
        update(MODELS, level, trend, float(x), k)
    made = np.zeros((len(MODELS), 1, 6))
    lay_out(MODELS, level, trend, float(y[-1]), made, 0)
    damped = phi > 0
    holt = Holt(y[1:], damped_trend=damped, initialization_method="known", initial_level=y[0], initial_trend=0.0).fit(
        smoothing_level=alpha,
        smoothing_trend=beta / alpha if not damped else beta,
        damping_trend=phi if damped else None,
        optimized=False,
    )
    np.testing.assert_allclose(made[model, 0], np.asarray(holt.forecast(6)), atol=1e-10)


def one(values: list[float], upper: float, **how: int) -> FloatArray:
    y = np.array(values)
    nothing = np.full(len(y), np.nan)
    options = {"horizon": 3, "least": 10, **how}
    return forecasts(
        np.array([0, len(y)]), y, np.ones(len(y), np.bool_), np.full(len(y), upper), nothing, **options
    ).rise


def test_too_little_history_is_unknown() -> None:
    """`least` complete error paths are needed: two values say nothing."""
    rise = one([1.0] * 20, 2.0)
    assert np.isnan(rise).tolist() == [True] * 12 + [False] * 8
    assert np.isnan(one([1.0, 2.0], 2.0)).all()


def test_a_flat_series_will_not_cross_anything() -> None:
    """Never a move, never an error: the least chance there is, half a path."""
    assert one([1.0] * 60, 1.1)[-1] == pytest.approx(0.5 / 58)


def test_a_steady_climb_will_cross_what_is_near_and_not_what_is_far() -> None:
    """Two steps below the bound with three to go; ten steps below it."""
    climb = [0.1 * k for k in range(80)]
    assert one(climb, climb[-1] + 0.2)[-1] > 0.9
    assert one(climb, climb[-1] + 1.0)[-1] < 0.1


def test_a_season_is_foreseen_where_it_is_known() -> None:
    """The yearly peak is announced three months ahead with a season of twelve, by chance only without."""
    months = [10.0 if k % 12 == 11 else 1.0 for k in range(96 + 9)]
    assert one(months, 9.0, season=12)[-1] > 0.9
    assert one(months, 9.0)[-1] < 0.5


def test_unusable_values_are_neither_origin_nor_history() -> None:
    """A suspected error gets no forecast, and those after it are as if it had not come."""
    rng = np.random.default_rng(3)
    y = np.cumsum(rng.normal(0, 1, 90))
    spoiled = np.insert(y, 70, 1e6)
    usable = np.ones(91, np.bool_)
    usable[70] = False
    nothing = np.full(91, np.nan)
    got = forecasts(np.array([0, 91]), spoiled, usable, np.full(91, y[-1] + 1), nothing, horizon=3, least=10).rise
    assert np.isnan(got[70])
    np.testing.assert_array_equal(np.delete(got, 70), one(y.tolist(), float(y[-1] + 1)))


def test_forecasts_are_causal_bit_for_bit() -> None:
    """Cut anywhere, what was said until then is the same."""
    y = simulated("season")[0].tolist()
    whole = one(y, 0.2, season=12)
    for cut in (1, 20, 77, 300):
        np.testing.assert_array_equal(one(y[:cut], 0.2, season=12), whole[:cut])
