"""Control charts along time: slow shifts (EWMA, CUSUM), wilder movement (EWMA volatility), a surplus of extremes.

The charts take scores, the robust standardised steps of `thresholds.kernels.robust`, not prices and not raw steps.
Their limits are set for independent input of scale one: levels of prices are so strongly autocorrelated that a chart
on them is in alarm for good; steps are nearly independent, but rounding and bargains make them bounce back (negative
autocorrelation: the chart grows dull) and smoothed or matched means make them drag on (positive: at 0.3 a chart made
for one false alarm in 500 gives one in about 100). `whiten` takes out what the step before predicts, and widens the
scale where scores have turned out wilder than the robust scale promised (many unchanged quotes, fat tails).

After an alarm EWMA and CUSUM begin anew from zero. Sources: Roberts 1959; Page 1954; RiskMetrics 1996 (0.94);
Martins-Filho, Yao & Torero 2018 (extremes); run lengths in `thresholds.kernels.runlength`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
from numpy.typing import NDArray

from thresholds.kernels.jit import compiled, over_series
from thresholds.model import BoolArray, FloatArray, IntArray

MEMORY = 0.998
"""Weight of a pair of scores against the next one in what `whiten` estimates: half after 346."""
PRIOR = 50.0
"""So many pairs without correlation, of mean square one, stand at the beginning of those estimates."""
MOST_CORRELATED = 0.9
WARM_UP = 30
"""Steps before the running volatility is taken for one."""
SPARE = 35
"""Values held beyond a quantile: so many may leave the tail before it is looked for anew."""


@dataclass(frozen=True, slots=True)
class Whitened:
    """Per observation: what the step before did not predict (NaN where there is no score), standardised, and by what
    it was divided: a score greater by `share` has a value greater by one."""

    value: FloatArray
    share: FloatArray


def whiten(start: IntArray, score: FloatArray, fresh: BoolArray, cap: float = 4.0) -> Whitened:
    """Take out of each score what the one before it predicts, and divide by what is left of the scale.

    The correlation and the mean square (counted as one where it is less) are those of all earlier pairs.

    start  int64[n_series + 1], as in the panel
    score  float64[n], standardised steps; NaN is skipped
    fresh  bool[n], where a series begins anew: the score before is no predecessor
    cap    scores beyond it count as `cap` in estimate and prediction: one error does not colour what follows
    """
    result = Whitened(np.full(len(score), nan), np.ones(len(score)))
    over_series(start, lambda a, b: scan_whiten(start, score, fresh, cap, result.value, result.share, a, b))
    return result


@compiled
def scan_whiten(
    start: IntArray,
    score: FloatArray,
    fresh: BoolArray,
    cap: float,
    value: FloatArray,
    share: FloatArray,
    first: int,
    last: int,
) -> None:
    for s in range(first, last):
        products = 0.0
        squares = PRIOR
        weight = PRIOR
        before = np.nan
        for i in range(start[s], start[s + 1]):
            if fresh[i]:
                before = np.nan
            x = score[i]
            if np.isnan(x):
                continue
            clipped = min(max(x, -cap), cap)
            if np.isnan(before):
                value[i] = x
            else:
                correlation = min(max(products / squares, -MOST_CORRELATED), MOST_CORRELATED)
                share[i] = sqrt((1.0 - correlation * correlation) * max(squares / weight, 1.0))
                value[i] = (x - correlation * before) / share[i]
                products = MEMORY * products + clipped * before
                # both ends of the pair: the estimate is never above one, and it is the same read backwards
                squares = MEMORY * squares + 0.5 * (clipped * clipped + before * before)
                weight = MEMORY * weight + 1.0
            before = clipped


@dataclass(frozen=True, slots=True)
class Chart:
    """Per observation, upwards and downwards: the statistic just before a restart (NaN: no score), at or above zero
    on the side it points to, and the position of the first observation of the present excursion from zero."""

    up: FloatArray
    down: FloatArray
    up_since: IntArray
    down_since: IntArray


def ewma(start: IntArray, x: FloatArray, fresh: BoolArray, weight: float = 0.2, width: float = 2.962) -> Chart:
    """Two-sided EWMA chart with steady-state limits: statistic in its own standard deviations, alarm above `width`.

    x      float64[n], independent, standardised; NaN is skipped
    fresh  bool[n], where the chart begins anew
    weight of the newest observation
    """
    n = len(x)
    statistic, since = np.full(n, nan), np.arange(n, dtype=np.int64)
    unit = sqrt(weight / (2 - weight))
    over_series(start, lambda a, b: scan_ewma(start, x, fresh, weight, width * unit, statistic, since, a, b))
    statistic /= unit
    return Chart(statistic, -statistic, since, since)


@compiled
def scan_ewma(
    start: IntArray,
    x: FloatArray,
    fresh: BoolArray,
    weight: float,
    limit: float,
    statistic: FloatArray,
    since: IntArray,
    first: int,
    last: int,
) -> None:
    for s in range(first, last):
        state = 0.0
        begin = start[s]
        for i in range(start[s], start[s + 1]):
            if fresh[i]:
                state = 0.0
            if np.isnan(x[i]):
                continue
            moved = (1.0 - weight) * state + weight * x[i]
            if moved * state <= 0.0:
                begin = i
            state = moved
            statistic[i] = state
            since[i] = begin
            if abs(state) > limit:
                state = 0.0


def cusum(start: IntArray, x: FloatArray, fresh: BoolArray, slack: float = 0.5, limit: float = 5.0) -> Chart:
    """Two-sided CUSUM: sums of what exceeds `slack`, never below zero; alarm above `limit`, both in scales of `x`.

    `slack` is half the shift that should be found fastest. x, fresh as for `ewma`.
    """
    n = len(x)
    here = np.arange(n, dtype=np.int64)
    chart = Chart(np.full(n, nan), np.full(n, nan), here, here.copy())
    over_series(
        start,
        lambda a, b: scan_cusum(
            start, x, fresh, slack, limit, chart.up, chart.down, chart.up_since, chart.down_since, a, b
        ),
    )
    return chart


@compiled
def scan_cusum(
    start: IntArray,
    x: FloatArray,
    fresh: BoolArray,
    slack: float,
    limit: float,
    up: FloatArray,
    down: FloatArray,
    up_since: IntArray,
    down_since: IntArray,
    first: int,
    last: int,
) -> None:
    for s in range(first, last):
        high = 0.0
        low = 0.0
        high_begin = start[s]
        low_begin = start[s]
        for i in range(start[s], start[s + 1]):
            if fresh[i]:
                high = 0.0
                low = 0.0
            if np.isnan(x[i]):
                continue
            if high == 0.0:
                high_begin = i
            if low == 0.0:
                low_begin = i
            high = max(0.0, high + x[i] - slack)
            low = max(0.0, low - x[i] - slack)
            up[i] = high
            down[i] = low
            up_since[i] = high_begin if high > 0.0 else i
            down_since[i] = low_begin if low > 0.0 else i
            if high > limit or low > limit:
                high = 0.0
                low = 0.0


@dataclass(frozen=True, slots=True)
class Volatility:
    """Per observation: newest over long-run volatility (NaN: too little history), both in the unit of the steps."""

    ratio: FloatArray
    newest: FloatArray
    long_run: FloatArray
    n_used: IntArray


def volatility(
    start: IntArray,
    step: FloatArray,
    usable: BoolArray,
    floor: FloatArray,
    decay: float = 0.94,
    window: int = 500,
    least: int = 60,
    gap: int = 33,
    cap: float = np.inf,
) -> Volatility:
    """Exponentially weighted volatility of steps against their root mean square over the `window` steps before.

    floor  float64[n], least long-run volatility, in the unit of the steps
    decay  of the weights: 0.94 halves them every 11 steps
    gap    the newest steps that the long run leaves out: they are what is tested (0.94 ** 33 leaves them 87 %)
    cap    in long-run volatilities: what lies beyond counts as that much; one jump is not a time of wild movement
    """
    n = len(step)
    result = Volatility(np.full(n, nan), np.full(n, nan), np.full(n, nan), np.zeros(n, np.int64))
    over_series(
        start,
        lambda a, b: scan_volatility(
            start, step, usable, floor, decay, window, least, gap, cap, result.ratio, result.newest, result.long_run,
            result.n_used, a, b,
        ),
    )  # fmt: skip
    return result


@compiled
def scan_volatility(
    start: IntArray,
    step: FloatArray,
    usable: BoolArray,
    floor: FloatArray,
    decay: float,
    window: int,
    least: int,
    gap: int,
    cap: float,
    ratio: FloatArray,
    newest: FloatArray,
    long_run: FloatArray,
    n_used: IntArray,
    first: int,
    last: int,
) -> None:
    size = window + gap
    ring = np.empty(size)  # squares of the newest steps, as they counted
    for s in range(first, last):
        seen = 0
        total = 0.0  # of the squares older than the gap
        variance = np.nan
        for i in range(start[s], start[s + 1]):
            if np.isnan(step[i]) or not usable[i]:
                continue
            square = step[i] * step[i]
            known = min(max(seen - gap, 0), window)
            ordinary = np.nan
            if known >= least:
                ordinary = max(sqrt(max(total, 0.0) / known), floor[i])
                square = min(square, (cap * ordinary) ** 2) if ordinary > 0.0 else square
            variance = square if np.isnan(variance) else decay * variance + (1.0 - decay) * square
            newest[i] = sqrt(variance)
            long_run[i] = ordinary
            n_used[i] = known
            if ordinary > 0.0:
                ratio[i] = newest[i] / ordinary
            # the square that leaves the gap comes in, the oldest one goes out
            if seen >= size:
                total -= ring[seen % size]
            ring[seen % size] = square
            seen += 1
            if seen > gap:
                total += ring[(seen - 1 - gap) % size]
            if seen % size == 0:  # once per turn: rounding does not pile up over years
                total = 0.0
                for k in range(gap + 1, min(seen, size) + 1):
                    total += ring[(seen - k) % size]


@dataclass(frozen=True, slots=True)
class Extremes:
    """Per observation: how many of the newest steps were extreme, upwards and downwards (-1: too little history).

    n_used is how many earlier steps the quantiles came from.
    """

    up: NDArray[np.int32]
    down: NDArray[np.int32]
    n_used: IntArray


def extremes(
    start: IntArray,
    step: FloatArray,
    usable: BoolArray,
    floor: FloatArray,
    quantile: float = 0.95,
    window: int = 60,
    least: int = 500,
    history: int = 1250,
    decay: float = 0.94,
) -> Extremes:
    """Count the extreme steps among the newest `window`.

    A step is extreme when, divided by the volatility that the steps before it let expect, it lies beyond the
    `quantile` of the earlier steps so divided: the conditional quantile of a location-scale model, without its
    bias correction (the plain version tests better). Quantiles are interpolated (type 7).

    floor    float64[n], least volatility to divide by
    least    fewest earlier steps for the quantile, of the newest `history`
    """
    n = len(step)
    result = Extremes(np.full(n, -1, np.int32), np.full(n, -1, np.int32), np.zeros(n, np.int64))
    over_series(
        start,
        lambda a, b: scan_extremes(
            start, step, usable, floor, quantile, window, least, history, decay, result.up, result.down,
            result.n_used, a, b,
        ),
    )  # fmt: skip
    return result


@compiled
def scan_extremes(
    start: IntArray,
    step: FloatArray,
    usable: BoolArray,
    floor: FloatArray,
    quantile: float,
    window: int,
    least: int,
    history: int,
    decay: float,
    up: NDArray[np.int32],
    down: NDArray[np.int32],
    n_used: IntArray,
    first: int,
    last: int,
) -> None:
    ring = np.empty(history)
    room = min(int((1.0 - quantile) * history) + SPARE, history)
    lowest = np.empty(room)  # of the values in the ring, in order
    highest = np.empty(room)  # the same of their negatives
    signs = np.empty(window, np.int8)
    for s in range(first, last):
        seen = 0
        kept = 0
        low_held = 0
        high_held = 0
        judged = 0
        above = 0
        below = 0
        variance = 0.0
        for i in range(start[s], start[s + 1]):
            x = step[i]
            if np.isnan(x) or not usable[i]:
                continue
            width = max(sqrt(variance), floor[i])
            if seen >= WARM_UP and width > 0.0:
                z = x / width
                count = min(kept, history)
                if count >= least:
                    low_held = refilled(lowest, low_held, ring, count, 1.0, quantile)
                    high_held = refilled(highest, high_held, ring, count, -1.0, quantile)
                    sign = 0
                    if z > -tail_quantile(highest, count, quantile, True):
                        sign = 1
                    elif z < tail_quantile(lowest, count, 1.0 - quantile, False):
                        sign = -1
                    if judged >= window:
                        gone = signs[judged % window]
                        above -= gone == 1
                        below -= gone == -1
                    signs[judged % window] = sign
                    judged += 1
                    above += sign == 1
                    below += sign == -1
                    n_used[i] = count
                    if judged >= window:
                        up[i] = above
                        down[i] = below
                if count == history:
                    old = ring[kept % history]
                    low_held = without(lowest, low_held, old)
                    high_held = without(highest, high_held, -old)
                    count -= 1
                low_held = taken_in(lowest, low_held, count, z)
                high_held = taken_in(highest, high_held, count, -z)
                ring[kept % history] = z
                kept += 1
            # while the volatility is unknown it is the plain mean of the squares so far
            weight = 1.0 - decay if seen >= WARM_UP else 1.0 / (seen + 1)
            variance = (1.0 - weight) * variance + weight * x * x
            seen += 1


@compiled
def taken_in(tail: FloatArray, held: int, count: int, x: float) -> int:
    """Put `x` among the `held` least of `count` values, where it is one of them; how many are held then."""
    if held < count and (held == 0 or x >= tail[held - 1]):
        return held  # what is beyond the held ones is not known
    if held == len(tail):
        if x >= tail[held - 1]:
            return held
        held -= 1
    k = held
    while k > 0 and tail[k - 1] > x:
        tail[k] = tail[k - 1]
        k -= 1
    tail[k] = x
    return held + 1


@compiled
def without(tail: FloatArray, held: int, x: float) -> int:
    """Take one `x` out of the held least values, where it is one of them; how many are held then."""
    if held == 0 or x > tail[held - 1]:
        return held
    for k in range(int(np.searchsorted(tail[:held], x)), held - 1):
        tail[k] = tail[k + 1]
    return held - 1


@compiled
def refilled(tail: FloatArray, held: int, ring: FloatArray, count: int, sign: float, quantile: float) -> int:
    """See to it that the least of `sign` times the values are held as far as the quantile; how many are held then."""
    if held > count - 1 - int(quantile * (count - 1)) and held > int((1.0 - quantile) * (count - 1)) + 1:
        return held
    held = 0
    for k in range(count):
        held = taken_in(tail, held, k, sign * ring[k])
    return held


@compiled
def tail_quantile(tail: FloatArray, count: int, share: float, mirrored: bool) -> float:
    """Quantile of `count` values, interpolated as numpy does by default (type 7), from the least of them.

    mirrored  the tail holds the negatives, and what is returned is the negative of the quantile
    """
    place = share * (count - 1)
    low = int(place)
    high = min(low + 1, count - 1)
    if mirrored:
        low, high = count - 1 - low, count - 1 - high
    return float(tail[low] + (place - int(place)) * (tail[high] - tail[low]))


@compiled
def quantile_of(ordered: FloatArray, count: int, share: float) -> float:
    """Quantile of the ordered values, of which there are `count`, interpolated as numpy does by default (type 7)."""
    place = share * (count - 1)
    low = int(place)
    high = min(low + 1, count - 1)
    return float(ordered[low] + (place - low) * (ordered[high] - ordered[low]))


def least_extremes(window: int = 60, quantile: float = 0.95, level: float = 0.025, exact: bool = False) -> int:
    """The count of extremes from which on it is too high to be chance: 7 of 60, or 8 by the exact test.

    The normal approximation without correction is what the food-price watch uses; at 7 of 60 the exact chance is
    0.0297, above its level of 0.025.
    """
    from scipy.special import bdtrc, ndtr  # a tenth of a second: not at start

    counts = np.arange(1, window + 1)
    chance = 1.0 - quantile
    if exact:
        tail = bdtrc(counts - 1, window, chance)
    else:
        tail = ndtr(-(counts - window * chance) / sqrt(window * chance * quantile))
    enough = np.flatnonzero(tail <= level)
    return int(counts[enough[0]]) if len(enough) else window + 1
