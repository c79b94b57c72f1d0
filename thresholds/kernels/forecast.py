"""Chance that a bound is crossed within the next readings, from the errors that forecasts of this series really made.

From every reading (origin) each of a few models forecasts the next `horizon` readings: damped trends with several
smoothing constants, among them "stays as it is"; return to a slow mean at several speeds; and, where a season is
given, what was a season ago with and without the present difference in level. When those readings have come, the
errors of the whole path are known. The models with the smallest absolute errors, newer ones weighing more, are taken:
their newest `window` error paths, laid on their present forecasts, give the chance (share of paths that cross the
bound, plus half a path; mean of up to three models that are nearly as good) and the interval (empirical quantiles of
the errors at the last step of the best one). Nothing is assumed about the distribution of the errors, and nothing
looks ahead.

Gardner & McKenzie 1985 for the damped trend; rolling origin: Hyndman & Athanasopoulos, Forecasting, 5.10.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, nan

import numpy as np

from thresholds.kernels.jit import compiled, over_series
from thresholds.model import BoolArray, FloatArray, IntArray

MODELS = np.array(
    [
        (1.0, 0.0, 0.0, 0.0),
        (0.6, 0.0, 0.0, 0.0),
        (0.3, 0.0, 0.0, 0.0),
        (0.9, 0.3, 0.8, 0.0),
        (0.6, 0.2, 0.9, 0.0),
        (0.3, 0.1, 0.95, 0.0),
        (0.05, 0.0, 0.0, 0.9),
        (0.05, 0.0, 0.0, 0.75),
        (0.05, 0.0, 0.0, 0.5),
        (0.05, 0.0, 0.0, 0.0),
    ]
)
"""One row per model: smoothing of level and of trend, damping of the trend, and what is left, one reading later, of
the distance between the value and its level (values that return to their mean)."""
SEASONAL = 2
"""Models with a season: as a season ago; the same, moved to the present level."""
JURY = 3
"""Best models whose chances are averaged: one alone is too sure of itself where its errors hang together."""
SIMPLE = 0.95
"""What the errors of "stays as it is" are multiplied with in the choice: others must be clearly better."""
PEER = 1.02
"""A model whose errors are greater than the best one's by more than this has no say."""
FADING = 0.995
"""What an error of a model weighs a reading later, when the best one is chosen."""


@dataclass(frozen=True, slots=True)
class Forecasts:
    """Per observation, on the scale that was given; NaN where there is too little history.

    rise, fall  chance that a reading within the horizon is at or beyond the upper, the lower bound
    expected    forecast at the end of the horizon; low, high: the interval there
    n_used      error paths behind it
    """

    rise: FloatArray
    fall: FloatArray
    expected: FloatArray
    low: FloatArray
    high: FloatArray
    n_used: IntArray


def forecasts(
    start: IntArray,
    value: FloatArray,
    usable: BoolArray,
    upper: FloatArray,
    lower: FloatArray,
    *,
    horizon: int,
    season: int = 0,
    window: int = 250,
    least: int = 40,
    cover: float = 0.9,
) -> Forecasts:
    """Forecast from every usable observation.

    start, value  as in the panel, on a scale on which errors are alike at all levels (logarithms for prices)
    upper, lower  float64[n], the bounds asked about, on the same scale; NaN: not asked
    season        readings of one season, 0 for none
    least         fewest error paths; with fewer the answer is NaN
    cover         of the interval from low to high; 0 for none, which is quicker
    """
    n = len(value)
    rise, fall, expected, low, high = (np.full(n, nan) for _ in range(5))
    found = Forecasts(rise, fall, expected, low, high, np.zeros(n, np.int64))
    rank = (1 - cover) / 2
    over_series(
        start,
        lambda a, b: scan_forecasts(
            start, value, usable, upper, lower, horizon, season, window, least, rank, MODELS,
            found.rise, found.fall, found.expected, found.low, found.high, found.n_used, a, b,
        ),
    )  # fmt: skip
    return found


@compiled
def scan_forecasts(
    start: IntArray,
    value: FloatArray,
    usable: BoolArray,
    upper: FloatArray,
    lower: FloatArray,
    horizon: int,
    season: int,
    window: int,
    least: int,
    rank: float,
    models: FloatArray,
    rise: FloatArray,
    fall: FloatArray,
    expected: FloatArray,
    low: FloatArray,
    high: FloatArray,
    n_used: IntArray,
    first: int,
    last: int,
) -> None:
    smooth = models.shape[0]
    n_models = smooth + (SEASONAL if season > 0 else 0)
    errors = np.empty((n_models, window, horizon))
    made = np.empty((n_models, horizon, horizon))  # forecasts of the newest origins, a ring
    past = np.empty(max(season, 1))  # the newest season, a ring
    recent = np.empty(horizon)  # the newest readings, a ring
    top, bottom = np.empty(n_models), np.empty(n_models)  # greatest and least error ever
    level = np.empty(smooth)
    trend = np.empty(smooth)
    total = np.empty(n_models)
    for s in range(first, last):
        known = 0
        paths = 0
        total[:] = 0.0
        top[:] = -np.inf
        bottom[:] = np.inf
        for i in range(start[s], start[s + 1]):
            if not usable[i] or np.isnan(value[i]):
                continue
            y = value[i]
            if known >= horizon + season:  # the origin `horizon` readings ago has been followed to its end
                slot = paths % window
                origin = known % horizon
                for m in range(n_models):
                    total[m] *= FADING
                    for k in range(horizon):
                        behind = horizon - 1 - k  # readings ago
                        actual = y if behind == 0 else recent[(known - behind) % horizon]
                        error = actual - made[m, origin, k]
                        errors[m, slot, k] = error
                        total[m] += abs(error)
                        top[m], bottom[m] = max(top[m], error), min(bottom[m], error)
                paths += 1
            recent[known % horizon] = y
            update(models, level, trend, y, known)
            origin = known % horizon
            lay_out(models, level, trend, y, made, origin)
            if season > 0:
                before = past[known % season] if known >= season else y  # the reading one season ago
                past[known % season] = y
                for k in range(horizon):
                    then = past[(known + 1 + k) % season] if known + 1 >= season else y
                    made[smooth, origin, k] = then
                    made[smooth + 1, origin, k] = then + y - before
            known += 1
            count = min(paths, window)
            if count < least:
                continue
            judged = total.copy()
            judged[0] *= SIMPLE
            jury = np.argsort(judged)[:JURY]
            best = jury[0]
            jury = jury[judged[jury] <= PEER * judged[best]]
            n_used[i] = count
            end = expected[i] = made[best, origin, horizon - 1]
            if rank < 0.5:
                ends = np.sort(errors[best, :count, horizon - 1])
                low[i] = end + ends[max(int(np.floor((count + 1) * rank)) - 1, 0)]
                high[i] = end + ends[min(ceil((count + 1) * (1 - rank)) - 1, count - 1)]
            up, down = 0, 0
            for m in jury:
                forecast, paths_of = made[m, origin], errors[m, :count]
                up += crossing(forecast, paths_of, top[m], upper[i], 1.0)
                down += crossing(forecast, paths_of, bottom[m], lower[i], -1.0)
            rise[i] = (0.5 + up / len(jury)) / (count + 1) if not np.isnan(upper[i]) else nan
            fall[i] = (0.5 + down / len(jury)) / (count + 1) if not np.isnan(lower[i]) else nan


@compiled
def lay_out(
    models: FloatArray, level: FloatArray, trend: FloatArray, y: float, made: FloatArray, origin: int
) -> None:
    """Put the forecasts of the smoothing models, made at value `y`, into their place in the ring."""
    for m in range(models.shape[0]):
        push, damp, apart = 0.0, 1.0, y - level[m]
        for k in range(made.shape[2]):
            damp *= models[m, 2]
            push += damp * trend[m]
            apart *= models[m, 3]
            made[m, origin, k] = level[m] + push + apart


@compiled
def update(models: FloatArray, level: FloatArray, trend: FloatArray, y: float, known: int) -> None:
    """One step of each smoothing model."""
    for m in range(models.shape[0]):
        if known == 0:
            level[m] = y
            trend[m] = 0.0
            continue
        led = level[m] + models[m, 2] * trend[m]
        new = led + models[m, 0] * (y - led)
        trend[m] = models[m, 2] * trend[m] + models[m, 1] * (new - level[m] - models[m, 2] * trend[m])
        level[m] = new


@compiled
def crossing(forecast: FloatArray, paths: FloatArray, farthest: float, bound: float, side: float) -> int:
    """How many of the error paths, laid on the forecast, reach the bound on that side; 0 where the bound is NaN.

    `farthest` is the greatest error there ever was on that side: mostly it says already that none does.
    """
    if np.isnan(bound) or (side * forecast).max() + side * farthest < side * bound:
        return 0
    count = 0
    for j in range(paths.shape[0]):
        for k in range(paths.shape[1]):
            if side * (forecast[k] + paths[j, k] - bound) >= 0:
                count += 1
                break
    return count
