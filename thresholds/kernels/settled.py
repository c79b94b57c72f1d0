"""Settled: whether prices have kept to their level, and whether counts are back at theirs after a surge.

range     highest and lowest value of the last days, with the one that stood when they began
receded   a surge is where the counts of some days are together at least `times` what is usual on them (median of the
          newest `weeks` counts of the same weekday; of the newest counts for series by week or month) and at least
          `least`. Single counts as high are no part of what is usual afterwards: otherwise a long surge becomes its
          own measure, and is over while it goes on. It has receded where the counts of the last days are together no
          more than `back` times what was usual on them, or fewer than `least`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import NDArray

from thresholds.kernels.counts import DAILY, interval, on_day
from thresholds.kernels.jit import compiled, over_series
from thresholds.model import BoolArray, FloatArray, IntArray
from thresholds.panel import Day, Panel

LEAST_COUNTS = 4
"""Counts behind what is usual, at least."""
SLACK = 1e-9


def ranges(
    panel: Panel, real: BoolArray, rebased: BoolArray, seconds: int, at: IntArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """float64[n] twice: lowest and highest real value from `seconds` before each observation until it; or before each
    of the positions `at`.

    The value that stood at the beginning counts; NaN where there is none (the history, or the level of the series,
    begins later), and where the observation itself is not real.
    """
    n = len(panel) if at is None else len(at)
    low, high = np.full(n, nan), np.full(n, nan)
    columns = panel.time, panel.value, real, rebased, seconds, low, high
    if at is None:
        over_series(panel.start, lambda a, b: scan_ranges(panel.start, *columns, a, b))
    else:
        scan_ranges_at(panel.start[panel.series_at(at)], at, *columns)
    return low, high


@compiled
def scan_ranges(
    start: IntArray,
    time: IntArray,
    value: FloatArray,
    real: BoolArray,
    rebased: BoolArray,
    seconds: int,
    low: FloatArray,
    high: FloatArray,
    first: int,
    last: int,
) -> None:
    for s in range(first, last):
        for i in range(start[s], start[s + 1]):
            low[i], high[i] = range_at(start[s], i, time, value, real, rebased, seconds)


@compiled
def scan_ranges_at(
    begin: IntArray,
    at: IntArray,
    time: IntArray,
    value: FloatArray,
    real: BoolArray,
    rebased: BoolArray,
    seconds: int,
    low: FloatArray,
    high: FloatArray,
) -> None:
    for k in range(len(at)):
        low[k], high[k] = range_at(begin[k], at[k], time, value, real, rebased, seconds)


@compiled
def range_at(
    begin: int, i: int, time: IntArray, value: FloatArray, real: BoolArray, rebased: BoolArray, seconds: int
) -> tuple[float, float]:
    """Lowest and highest until position `i` of a series that begins at `begin`."""
    if not real[i]:
        return nan, nan
    least = most = value[i]
    j = i
    while time[j] > time[i] - seconds and j > begin and not rebased[j]:
        j -= 1
        if real[j]:
            least, most = min(least, value[j]), max(most, value[j])
    return (least, most) if real[j] and time[j] <= time[i] - seconds else (nan, nan)


def reported(
    panel: Panel, tested: BoolArray, at: IntArray, begin: IntArray, abnormal: IntArray, readings: int
) -> BoolArray:
    """bool[k]: whether up to each of the positions `at`, it included, at least `readings` tested observations of its
    series came after `abnormal` (int64[k], seconds). begin  int64[k], where its series begins"""
    found = np.zeros(len(at), np.bool_)
    scan_reported(panel.time, tested, at, begin, abnormal, readings, found)
    return found


@compiled
def scan_reported(
    time: IntArray,
    tested: BoolArray,
    at: IntArray,
    begin: IntArray,
    abnormal: IntArray,
    readings: int,
    found: BoolArray,
) -> None:
    for k in range(len(at)):
        count = 0
        i = at[k]
        while i >= begin[k] and time[i] > abnormal[k] and count < readings:
            count += tested[i]
            i -= 1
        found[k] = count >= readings


@dataclass(frozen=True, slots=True)
class Receded:
    """Per observation: `answer` int8 (1 a surge has receded, 0 not or there was none, -1 unknown), the counts of the
    last days together and what was usual on them (NaN: unknown)."""

    answer: NDArray[np.int8]
    total: FloatArray
    usual: FloatArray


def receded(
    panel: Panel,
    usable: BoolArray,
    *,
    times: float,
    least: float,
    back: float,
    over: int,
    span: int,
    within: int,
    weeks: int,
) -> Receded:
    """Where a surge, as counted over `over` days, of the last `within` days has receded over the last `span` days.

    usable  bool[n], counts that are counts: no suspected error, no outage
    """
    n = len(panel)
    found = Receded(np.full(n, -1, np.int8), np.full(n, nan), np.full(n, nan))
    over_series(
        panel.start,
        lambda a, b: scan_receded(
            panel.start, panel.day, panel.value, usable, times, least, back, over, span, within, weeks,
            found.answer, found.total, found.usual, a, b,
        ),
    )  # fmt: skip
    return found


@compiled
def scan_receded(
    start: IntArray,
    day: Day,
    value: FloatArray,
    usable: BoolArray,
    times: float,
    least: float,
    back: float,
    over: int,
    span: int,
    within: int,
    weeks: int,
    answer: NDArray[np.int8],
    total: FloatArray,
    usual: FloatArray,
    first: int,
    last: int,
) -> None:
    y = np.empty(weeks)
    for s in range(first, last):
        begin, end = start[s], start[s + 1]
        if not usable[begin:end].any():
            continue
        normal = np.zeros(len(day[begin:end]), np.bool_)
        expect = np.full(end - begin, nan)
        surge = -(10**9)  # day of the newest count of a surge
        for i in range(begin, end):
            if not usable[i]:
                continue
            k = i - begin
            normal[k] = True
            expect[k] = usual_of(day[begin:end], value[begin:end], normal, k, weeks, y)
            if value[i] >= max(times * expect[k] - SLACK, least):  # false where nothing is known of it
                normal[k] = False
            counted, were = lately(day[begin:end], value[begin:end], usable[begin:end], expect, k, over)
            if counted >= max(times * were - SLACK, least):
                surge = day[i]
            counted, were = lately(day[begin:end], value[begin:end], usable[begin:end], expect, k, span)
            if np.isnan(were):
                continue
            total[i], usual[i] = counted, were
            seen = day[i] - surge <= within and normal[k]
            answer[i] = 1 if seen and (counted <= back * were + SLACK or counted < least) else 0


@compiled
def lately(
    day: Day, value: FloatArray, usable: BoolArray, expect: FloatArray, i: int, days: int
) -> tuple[float, float]:
    """The counts of the last `days` together, and what was usual on them; NaN where that is not known of one."""
    counted, were, j = 0.0, 0.0, i
    while j >= 0 and day[j] > day[i] - days:
        if usable[j]:
            counted += value[j]
            were += expect[j]
        j -= 1
    return counted, were


@compiled
def usual_of(day: Day, value: FloatArray, normal: BoolArray, i: int, weeks: int, y: FloatArray) -> float:
    """Median of the newest normal counts before `i`, of its weekday where the series is a daily one."""
    gap = interval(day, 0, i)
    count = 0
    if gap == 0:
        return nan
    if gap < DAILY:
        wanted = day[i] - 7
        while wanted >= day[0] and count < weeks:  # a surge of months leaves none among the newest: further back
            k = on_day(day, normal, 0, i, wanted)
            if k >= 0:
                y[count] = value[k]
                count += 1
            wanted -= 7
    else:
        k = i - 1
        while k >= 0 and count < weeks:
            if normal[k]:
                y[count] = value[k]
                count += 1
            k -= 1
    return float(np.median(y[:count])) if count >= min(LEAST_COUNTS, weeks) else nan
