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
RESORT = 16
"""A window is sorted anew when more than this part of it has changed since it was last in order."""


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
    least_step: FloatArray | None = None,
) -> RobustScores:
    """Score every step against those before it in its series.

    start   int64[n_series + 1], as in the panel
    step    float64[n], the changes; NaN where there is none
    usable  bool[n], which steps may serve as baseline (a suspected error may not)
    floor   float64[n], least scale, in the unit of the steps
    least   fewest steps in the baseline: with fewer the score is NaN, never "normal"
    exact_above   scores of this size and more are exact; a smaller one may be given as the bound that floor and SD
                  alone set, which is below this too: most steps are small, and their MAD need not be looked for
    least_step    float64[n_series], sizes below which a step is of no interest: where there is history enough its
                  score is given as zero, its median and scale as NaN, and nothing is computed for it
    """
    n = len(step)
    scores = RobustScores(np.full(n, nan), np.full(n, nan), np.full(n, nan), np.zeros(n, np.int64))
    least_size = np.zeros(len(start) - 1) if least_step is None else least_step
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
            least_size,
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
    least_step: FloatArray,
    score: FloatArray,
    median: FloatArray,
    scale: FloatArray,
    n_used: IntArray,
    first: int,
    last: int,
) -> None:
    longest = 0
    for s in range(first, last):
        longest = max(longest, start[s + 1] - start[s])
    past = np.empty(longest)  # the usable steps of the series so far
    ordered = np.empty(window)  # the newest of them in order, as they were when `sorted_to` were known
    for s in range(first, last):
        known, turn = 0, 0  # how many there are, and how many of them since the sums were made anew
        sorted_to = 0
        total = 0.0
        squares = 0.0
        for i in range(start[s], start[s + 1]):
            x = step[i]
            if np.isnan(x):
                continue
            count = min(known, window)
            if count >= least:
                n_used[i] = count
                if abs(x) < least_step[s]:
                    score[i] = 0.0
                else:
                    bring_up_to(ordered, window, past, sorted_to, known)
                    sorted_to = known
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
                    if width > 0:
                        score[i] = (x - middle) / width
            if usable[i]:
                if count == window:
                    old = past[known - window]
                    total -= old
                    squares -= old * old
                past[known] = x
                known += 1
                turn += 1
                total += x
                squares += x * x
                if turn == window:  # once per turn: rounding does not pile up over years
                    total, squares, turn = 0.0, 0.0, 0
                    for k in range(known - window, known):
                        total += past[k]
                        squares += past[k] * past[k]


@compiled
def bring_up_to(ordered: FloatArray, window: int, past: FloatArray, sorted_to: int, known: int) -> None:
    """Bring the ordered window from the state of `sorted_to` steps to that of `known`.

    Most steps are never asked about, so the order is made when one is: by exchanging what has come since, or anew
    where that is less work.
    """
    if known - sorted_to > window // RESORT:
        first = max(0, known - window)
        ordered[: known - first] = np.sort(past[first:known])
        return
    for k in range(sorted_to, known):
        if k >= window:
            exchange(ordered, window, past[k - window], past[k])
        else:
            insert(ordered, k + 1, past[k])


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
