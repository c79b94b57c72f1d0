"""Rebound: whether a move only takes back one that came just before it.

A change over k readings is a rebound where one of the changes over k readings that ended in the `days` before it, or
at one of the k readings before it, went the other way, was as large or nearly, and set out from as far or nearly:
what falls after a leap to where it leapt from has not left the range that the leap was told about. Source: this
project's (docs/detectors.md, From hits to flags).
"""

from __future__ import annotations

from math import asinh, log, nan, sqrt

import numpy as np
from numpy.typing import NDArray

from thresholds.calendar import Day
from thresholds.kernels.jit import compiled
from thresholds.model import BoolArray, FloatArray, IntArray

OVERSHOOT = 1.2
"""The way back may be so many times as long: prices seldom come back to the very quote that they left."""
SIGNED, RATIO, ROOT, AREA = 0, 1, 2, 3
"""Codes of the scales on which steps are differences: as they are, log, 2 sqrt, arcsinh of half."""


def rebounds(
    value: FloatArray,
    usable: BoolArray,
    rebased: BoolArray,
    day: Day,
    at: IntArray,
    base: IntArray,
    first: IntArray,
    scale: NDArray[np.int8],
    days: int,
) -> BoolArray:
    """bool[k]: which of the moves from `base` to `at` (int64[k], positions) only take back.

    usable, rebased  bool[n], as in the view: what is compared with, and where a level begins anew
    first            int64[k], where the series of each begins; `scale` int8[k], its code
    days             how long before `at` is looked at; at least as many readings are as the move itself spans
    """
    found = np.zeros(len(at), np.bool_)
    scan_rebounds(value, usable, rebased, day, at, base, first, scale, days, found)
    return found


def singles(usable: BoolArray, at: IntArray, base: IntArray) -> BoolArray:
    """bool[k]: which of the moves from `base` to `at` have no usable reading between."""
    found = np.zeros(len(at), np.bool_)
    scan_singles(usable, at, base, found)
    return found


@compiled
def scan_singles(usable: BoolArray, at: IntArray, base: IntArray, found: BoolArray) -> None:
    for k in range(len(at)):
        i = at[k] - 1
        while i > base[k] and not usable[i]:
            i -= 1
        found[k] = base[k] >= 0 and i == base[k]


@compiled
def on_scale(x: float, code: int) -> float:
    """`x` on its scale; NaN where it has no place on it."""
    if code == RATIO:
        return log(x) if x > 0 else nan
    if code == ROOT:
        return 2 * sqrt(x) if x >= 0 else nan
    if code == AREA:
        return asinh(x / 2)
    return x


@compiled
def before(i: int, first: int, usable: BoolArray, rebased: BoolArray) -> int:
    """Position of the usable reading before `i`; -1 for none, or where the level began anew meanwhile."""
    while i > first and not rebased[i]:
        i -= 1
        if usable[i]:
            return i
    return -1


@compiled
def scan_rebounds(
    value: FloatArray,
    usable: BoolArray,
    rebased: BoolArray,
    day: Day,
    at: IntArray,
    base: IntArray,
    first: IntArray,
    scale: NDArray[np.int8],
    days: int,
    found: BoolArray,
) -> None:
    for k in range(len(at)):
        if base[k] < 0:
            continue
        end = on_scale(value[at[k]], scale[k])
        move = end - on_scale(value[base[k]], scale[k])
        span = np.count_nonzero(usable[base[k] : at[k]])
        later, earlier = at[k], base[k]
        while True:
            later = before(later, first[k], usable, rebased)
            earlier = before(earlier, first[k], usable, rebased)
            if earlier < 0 or (span <= 0 and np.int64(day[at[k]]) - day[later] > days):
                break
            span -= 1
            origin = on_scale(value[earlier], scale[k])
            other = on_scale(value[later], scale[k]) - origin
            back = end - origin if move > 0 else origin - end  # above zero: beyond where the other set out
            longest = OVERSHOOT * abs(other)
            if other * move < 0 and abs(move) <= longest and back <= longest - abs(other):
                found[k] = True
                break
