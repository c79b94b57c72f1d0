"""Robust score of a step: how far a change lies from the median of the changes before it, in robust scales.

score = (x - median) / scale, scale = max(1.4826 * MAD, floor, 0.25 * SD), over the `window` newest usable steps
before the tested one. The tested step is never in its own baseline (docs/detectors.md: the most repeated fault of
comparable tools). Where more than half of the steps are zero (sticky quotes), MAD is zero and says nothing: the
scale is then taken from the steps that are not zero. Sources: Iglewicz & Hoaglin 1993 for the modified z-score;
the floor and the treatment of sticky prices are this project's.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan, sqrt

import numpy as np

from thresholds.kernels.jit import compiled, over_series
from thresholds.model import BoolArray, FloatArray, IntArray

CONSISTENT = 1.4826
"""MAD times this estimates the standard deviation of a normal distribution."""
SD_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class RobustScores:
    """Per observation: score in scales (NaN: too little history), median and scale in the unit of the steps."""

    score: FloatArray
    median: FloatArray
    scale: FloatArray
    n_used: IntArray


def robust_scores(
    start: IntArray,
    step: FloatArray,
    usable: BoolArray,
    floor: FloatArray,
    window: int = 60,
    least: int = 12,
    exact_above: float = 0.0,
) -> RobustScores:
    """Score every step against those before it in its series.

    start   int64[n_series + 1], as in the panel
    step    float64[n], the changes; NaN where there is none
    usable  bool[n], which steps may serve as baseline (a suspected error may not)
    floor   float64[n], least scale, in the unit of the steps
    least   fewest steps in the baseline: with fewer the score is NaN, never "normal"
    exact_above   scores of this size and more are exact; a smaller one may be given as the bound that floor and SD
                  alone set, which is below this too: most steps are small, and their MAD need not be looked for
    """
    n = len(step)
    scores = RobustScores(np.full(n, nan), np.full(n, nan), np.full(n, nan), np.zeros(n, np.int64))
    over_series(
        start,
        lambda a, b: scan_scores(
            start,
            step,
            usable,
            floor,
            window,
            least,
            exact_above,
            scores.score,
            scores.median,
            scores.scale,
            scores.n_used,
            a,
            b,
        ),
    )
    return scores


@compiled
def scan_scores(
    start: IntArray,
    step: FloatArray,
    usable: BoolArray,
    floor: FloatArray,
    window: int,
    least: int,
    exact_above: float,
    score: FloatArray,
    median: FloatArray,
    scale: FloatArray,
    n_used: IntArray,
    first: int,
    last: int,
) -> None:
    ring = np.empty(window)
    ordered = np.empty(window)
    for s in range(first, last):
        count = 0
        slot = 0
        total = 0.0
        squares = 0.0
        for i in range(start[s], start[s + 1]):
            x = step[i]
            if np.isnan(x):
                continue
            if count >= least:
                middle = ordered[count // 2]
                if count % 2 == 0:
                    middle = 0.5 * (middle + ordered[count // 2 - 1])
                mean = total / count
                deviation = sqrt(max(squares / count - mean * mean, 0.0))
                width = max(SD_SHARE * deviation, floor[i])
                if abs(x - middle) >= exact_above * width:
                    width = max(width, CONSISTENT * median_distance(ordered, count, middle))
                median[i] = middle
                scale[i] = width
                n_used[i] = count
                if width > 0:
                    score[i] = (x - middle) / width
            if usable[i]:
                if count == window:
                    old = ring[slot]
                    exchange(ordered, count, old, x)
                    total -= old
                    squares -= old * old
                else:
                    count += 1
                    insert(ordered, count, x)
                ring[slot] = x
                slot = (slot + 1) % window
                total += x
                squares += x * x
                if slot == 0:  # once per turn: rounding does not pile up over years
                    total = 0.0
                    squares = 0.0
                    for k in range(count):
                        total += ring[k]
                        squares += ring[k] * ring[k]


@compiled
def median_distance(ordered: FloatArray, count: int, middle: float) -> float:
    """Median of |x - middle| over the ordered values; over those that differ from it, if more than half do not."""
    low = int(np.searchsorted(ordered[:count], middle, "left")) - 1
    high = int(np.searchsorted(ordered[:count], middle, "right"))
    zeros = high - low - 1
    among = count
    if 2 * zeros > count:
        among = count - zeros
        zeros = 0
        if among == 0:
            return 0.0
    return middle_distance(ordered, count, middle, low, high, among // 2 + 1 - zeros, among % 2 == 0)


@compiled
def middle_distance(
    ordered: FloatArray, count: int, middle: float, low: int, high: int, wanted: int, even: bool
) -> float:
    """The `wanted`-th smallest distance from `middle` among ordered[..low] and ordered[high..], 1 for the smallest;
    where `even`, the mean of it and the one before (0 before the first: that is a value equal to `middle`).

    Both sides lie in order of distance already, so how many come from the lower one is found by bisection.
    """
    least = max(0, wanted - (count - high))
    most = min(wanted, low + 1)
    while least < most:
        take = (least + most) // 2
        if middle - ordered[low - take] < ordered[high + wanted - take - 1] - middle:
            least = take + 1
        else:
            most = take
    upper = wanted - least
    below = middle - ordered[low - least + 1] if least > 0 else 0.0
    above = ordered[high + upper - 1] - middle if upper > 0 else 0.0
    distance = max(below, above)
    if not even:
        return distance
    if below >= above:
        before = max(above, middle - ordered[low - least + 2] if least > 1 else 0.0)
    else:
        before = max(below, ordered[high + upper - 2] - middle if upper > 1 else 0.0)
    return 0.5 * (before + distance)


@compiled
def exchange(ordered: FloatArray, count: int, old: float, x: float) -> None:
    """Put `x` in the place of `old`; only what lies between the two moves."""
    k = np.searchsorted(ordered[:count], old)
    while k + 1 < count and ordered[k + 1] < x:
        ordered[k] = ordered[k + 1]
        k += 1
    while k > 0 and ordered[k - 1] > x:
        ordered[k] = ordered[k - 1]
        k -= 1
    ordered[k] = x


@compiled
def insert(ordered: FloatArray, count: int, x: float) -> None:
    """Put `x` into the ordered values, of which there are `count` with it."""
    k = count - 1
    while k > 0 and ordered[k - 1] > x:
        ordered[k] = ordered[k - 1]
        k -= 1
    ordered[k] = x
