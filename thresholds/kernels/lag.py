"""Lagged comparison: the observation that each observation is compared with.

Use for published rules that name a percentage and a window. Not for seasonal goods on its own: vegetables move by
half within a week without any emergency (docs/detectors.md).
"""

from __future__ import annotations

import numpy as np

from thresholds.calendar import TOLERANCE, Day, Lag, earlier
from thresholds.kernels.jit import compiled, over_series
from thresholds.model import BoolArray, FloatArray, IntArray
from thresholds.panel import Panel


def lag_positions(panel: Panel, usable: BoolArray, lag: Lag, tolerance: int | None = None) -> IntArray:
    """int64[n]: position of the usable observation that each is compared with, -1 where there is none.

    It is the newest usable one on or before the day that `lag` points to, and not older than `tolerance` days
    before that day. For `Lag.PREVIOUS` it is the newest usable one before, and `tolerance` is its greatest age
    in days (default: no limit).
    """
    found = np.empty(len(panel), np.int64)
    if lag is Lag.PREVIOUS:
        oldest = 10**9 if tolerance is None else tolerance
        over_series(panel.start, lambda a, b: scan_previous(panel.start, panel.day, usable, oldest, found, a, b))
        return found
    found[:] = -1
    target = earlier(panel.day, lag)
    limit = TOLERANCE[lag] if tolerance is None else tolerance
    over_series(
        panel.start, lambda a, b: scan_lag(panel.start, panel.day, usable, target, np.int32(limit), found, a, b)
    )
    return found


@compiled
def scan_previous(
    start: IntArray, day: Day, usable: BoolArray, oldest: int, found: IntArray, first: int, last: int
) -> None:
    for s in range(first, last):
        before = -1
        for i in range(start[s], start[s + 1]):
            found[i] = before if before >= 0 and np.int64(day[i]) - day[before] <= oldest else -1
            if usable[i]:
                before = i


def base_at(
    panel: Panel, usable: BoolArray, lag: Lag, tolerance: int | None, at: IntArray, rebased: BoolArray
) -> IntArray:
    """int64[k]: what `lag_positions` and `cut_off` say of the positions `at`, found for these alone."""
    found = np.empty(len(at), np.int64)
    start = panel.start[panel.series_at(at)]
    if lag is Lag.PREVIOUS:
        target = panel.day[at]
        limit = np.int64(10**9 if tolerance is None else tolerance)
    else:
        target = earlier(panel.day[at], lag)
        limit = np.int64(TOLERANCE[lag] if tolerance is None else tolerance)
    seek_bases(panel.day, usable, start, at, target, limit, found)
    found[found < origins_at(start, rebased, at)] = -1
    return found


@compiled
def seek_bases(
    day: Day, usable: BoolArray, start: IntArray, at: IntArray, target: Day, limit: np.int64, found: IntArray
) -> None:
    for k in range(len(at)):
        low, high = start[k], at[k]
        while low < high:  # the first row after the day looked for
            middle = (low + high) // 2
            if day[middle] <= target[k]:
                low = middle + 1
            else:
                high = middle
        i = low - 1
        while i >= start[k] and not usable[i]:
            i -= 1
        found[k] = i if i >= start[k] and np.int64(target[k]) - day[i] <= limit else -1


def origins_at(start: IntArray, rebased: BoolArray, at: IntArray) -> IntArray:
    """int64[k]: the first position of the series that each of the positions `at` may be compared with.

    start  int64[k], where the series of each begins
    """
    levels = np.flatnonzero(rebased)
    if not len(levels):
        return start
    newest = levels[np.searchsorted(levels, at, "right") - 1]  # of no level: the last one, which is not before it
    return np.where(newest <= at, np.maximum(newest, start), start)


def counted_back_at(start: IntArray, allowed: BoolArray, rebased: BoolArray, readings: int, at: IntArray) -> IntArray:
    """int64[k]: what `counted_back` says of the positions `at`; `start` as in `origins_at`."""
    found = np.empty(len(at), np.int64)
    seek_back(allowed, origins_at(start, rebased, at), readings, at, found)
    return found


@compiled
def seek_back(allowed: BoolArray, origin: IntArray, readings: int, at: IntArray, found: IntArray) -> None:
    for k in range(len(at)):
        count = 0
        i = at[k] - 1
        while i >= origin[k]:
            count += allowed[i]
            if count == readings:
                break
            i -= 1
        found[k] = i if count == readings else -1


def cut_off(start: IntArray, rebased: BoolArray, found: IntArray) -> None:
    """Take away, in place, what lies before the row, or an earlier one of its series, at which a level begins anew.

    found  int64[n], positions, -1 for none
    """
    over_series(start, lambda a, b: scan_origins(start, rebased, found, a, b))


@compiled
def scan_origins(start: IntArray, rebased: BoolArray, found: IntArray, first: int, last: int) -> None:
    for s in range(first, last):
        origin = start[s]
        for i in range(start[s], start[s + 1]):
            if rebased[i]:
                origin = i
            if found[i] < origin:
                found[i] = -1


def relative_change(value: FloatArray, base: IntArray, at: IntArray | None = None) -> FloatArray:
    """float64[n]: change against the value at `base` (-1: none), 0.05 for +5 %; NaN without a positive one.

    at  positions of the values, one for each of `base`; None for all
    """
    if at is not None:
        before = np.where(base >= 0, value[base], np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(before > 0.0, value[at] / before - 1.0, np.nan)
    change = np.empty(len(value))
    halves = np.array([0, len(value) // 2, len(value)])
    over_series(halves, lambda a, b: scan_change(value, base, change, halves[a], halves[b]))
    return change


@compiled
def scan_change(value: FloatArray, base: IntArray, change: FloatArray, first: int, last: int) -> None:
    for i in range(first, last):
        change[i] = np.nan
        if base[i] >= 0 and value[base[i]] > 0.0:
            change[i] = value[i] / value[base[i]] - 1.0


def counted_back(start: IntArray, allowed: BoolArray, rebased: BoolArray, readings: int) -> IntArray:
    """int64[n]: position of the allowed row so many allowed ones before each, -1 where there is none, or where it
    lies before the row at which the level began anew."""
    found = np.empty(len(allowed), np.int64)
    over_series(start, lambda a, b: scan_back(start, allowed, rebased, readings, found, a, b))
    return found


@compiled
def scan_back(
    start: IntArray, allowed: BoolArray, rebased: BoolArray, readings: int, found: IntArray, first: int, last: int
) -> None:
    ring = np.empty(readings, np.int64)  # the newest allowed rows
    for s in range(first, last):
        origin, count, oldest = start[s], 0, 0
        for i in range(start[s], start[s + 1]):
            if rebased[i]:
                origin = i
            found[i] = ring[oldest] if count >= readings and ring[oldest] >= origin else -1
            if allowed[i]:
                ring[oldest] = i
                count += 1
                oldest = oldest + 1 if oldest + 1 < readings else 0


@compiled
def scan_lag(
    start: IntArray,
    day: Day,
    usable: BoolArray,
    target: Day,
    tolerance: np.int32,
    found: IntArray,
    first: int,
    last: int,
) -> None:
    for s in range(first, last):
        ahead = start[s]
        before = -1
        reached = target[ahead] if ahead < start[s + 1] else np.int32(0)
        for i in range(start[s], start[s + 1]):
            if target[i] < reached:  # once a year, where the lunar year gives way to the Gregorian one
                ahead, before = start[s], -1
            reached = target[i]
            while ahead < i and day[ahead] <= target[i]:
                if usable[ahead]:
                    before = ahead
                ahead += 1
            if before >= 0 and day[before] >= target[i] - tolerance:
                found[i] = before
