"""Lagged comparison: the observation that each observation is compared with.

Use for published rules that name a percentage and a window. Not for seasonal goods on its own: vegetables move by
half within a week without any emergency (docs/detectors.md).
"""

from __future__ import annotations

import numpy as np

from thresholds.calendar import TOLERANCE, Day, Lag, earlier
from thresholds.kernels.jit import compiled, over_series
from thresholds.model import BoolArray, IntArray
from thresholds.panel import Panel


def lag_positions(panel: Panel, usable: BoolArray, lag: Lag, tolerance: int | None = None) -> IntArray:
    """int64[n]: position of the usable observation that each is compared with, -1 where there is none.

    It is the newest usable one on or before the day that `lag` points to, and not older than `tolerance` days
    before that day. For `Lag.PREVIOUS` it is the newest usable one before, and `tolerance` is its greatest age
    in days (default: no limit).
    """
    found = np.full(len(panel), -1, np.int64)
    if lag is Lag.PREVIOUS:
        oldest = (
            panel.day - np.int32(min(tolerance, 10**6))
            if tolerance is not None
            else np.full_like(panel.day, -(2**30))
        )
        over_series(panel.start, lambda a, b: scan_previous(panel.start, panel.day, usable, oldest, found, a, b))
        return found
    target = earlier(panel.day, lag)
    limit = TOLERANCE[lag] if tolerance is None else tolerance
    over_series(
        panel.start, lambda a, b: scan_lag(panel.start, panel.day, usable, target, np.int32(limit), found, a, b)
    )
    return found


@compiled
def scan_previous(
    start: IntArray, day: Day, usable: BoolArray, oldest: Day, found: IntArray, first: int, last: int
) -> None:
    for s in range(first, last):
        before = -1
        for i in range(start[s], start[s + 1]):
            if before >= 0 and day[before] >= oldest[i]:
                found[i] = before
            if usable[i]:
                before = i


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
