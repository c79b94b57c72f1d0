"""Whether the newest readings of the points of an area, and their mean, have moved enough to mean anything.

The mean is followed over the few weeks that rules look back, as thresholds.aggregate makes it, up to a factor: its
changes are those of the points that had a quote before and have one now. Nothing before these weeks is read, except
where a price has stood so long that it may be stuck.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from thresholds.aggregate import LEAST_CARRY, stands
from thresholds.kernels.jit import compiled
from thresholds.kernels.stuck import LEAST_CHANGES, LEAST_REPORTS, how_rare
from thresholds.model import BoolArray, FloatArray, IntArray
from thresholds.panel import Day

BEFORE = 5
"""Readings before the newest one that the gate compares it with, all accepted."""
FOR_EVER = 2**62
WEEKS, AT_ONCE = 40, 16
"""Readings, as of six weeks, that are fetched of the series of so many areas together."""
NOT_HEARD = np.int64(0)


@compiled
def fetch(
    start: IntArray, time: IntArray, day: Day, value: FloatArray, mark: NDArray[np.uint8], series: IntArray
) -> float:
    """Touch the newest weeks of some series; what it gives must be used, or the compiler leaves all of it out. Memory
    answers many questions at a time in the time of one, and a scan asks the next when it has gone through the one
    before."""
    seen = 0.0
    for s in series:
        i = start[s + 1] - 1
        if i - WEEKS < start[s]:
            continue
        for j in range(0, WEEKS, 8):  # a value of each line that the processor reads
            seen += value[i - j] + time[i - j] + day[i - j]
        seen += mark[i]
    return seen


@compiled
def scan_cells(
    start: IntArray,
    time: IntArray,
    day: Day,
    value: FloatArray,
    mark: NDArray[np.uint8],
    status: NDArray[np.uint8],
    since: IntArray,
    bounds: IntArray,
    members: IntArray,
    near: FloatArray,
    wide: FloatArray,
    days: IntArray,
    readings: IntArray,
    stick: int,
    result: BoolArray,
    first: int,
    last: int,
) -> None:
    """Fill `result` (bool[n_cells]): whether nothing from `since` on (int64[n_series]) can mean anything.

    status   uint8[n], what the gate said of the readings before `since` (thresholds.quality.Status); what stands at
             later ones is not read
    members  series of each cell, those of cell c at bounds[c]:bounds[c + 1]
    near, wide  float64[n_cells, n_spans]: ratios from which on a point or the mean is of interest, within `days` and
             `readings` (int64[n_spans])
    stick    days after which a price may be stuck
    """
    most_days, most_readings = days.max(), readings.max()
    fetched, seen = first, 0.0
    for c in range(first, last):
        if c == fetched:
            fetched = min(c + AT_ONCE, last)
            seen += fetch(start, time, day, value, mark, members[bounds[c] : bounds[fetched]])
        series = members[bounds[c] : bounds[c + 1]]
        calm = seen == seen  # always: values are finite
        begin = np.int64(-FOR_EVER)
        for s in series:
            if not point_calm(
                start[s], start[s + 1], time, day, value, mark, status, since[s], near[c], days, readings, stick
            ):
                calm = False
                break
            at = window(start[s], start[s + 1], time, day, status, since[s], most_days, most_readings)
            if at >= 0:  # one point's readings are rows enough
                begin = max(begin, time[at])
        rows = np.int64(0)
        if calm:
            calm = bool(begin > -FOR_EVER)  # else all points are too young
            for s in series if calm else series[:0]:
                i = start[s + 1]
                while i > start[s] and time[i - 1] >= begin:
                    i -= 1
                    if value[i] <= 0.0 or mark[i] != 0 or (status[i] > 1 and time[i] < since[s]):
                        calm = False
                rows += start[s + 1] - i
        if calm:
            calm = mean_calm(start, time, day, value, status, since, series, begin, rows, wide[c], days, readings)
        result[c] = calm


@compiled
def window(
    begin: int,
    end: int,
    time: IntArray,
    day: Day,
    status: NDArray[np.uint8],
    since: int,
    most_days: int,
    most_readings: int,
) -> int:
    """Position of the reading of a series with which the weeks begin that are looked at; -1 where it is too young."""
    i = end - 1
    newest = day[i] if i >= begin else 0
    while i >= begin and time[i] >= since:
        newest = day[i]
        i -= 1
    count = 0
    while i >= begin:
        count += status[i] == 0
        if count > most_readings + 2 and newest - day[i] > most_days + 1:
            return int(i)
        i -= 1
    return -1


@compiled
def point_calm(
    begin: int,
    end: int,
    time: IntArray,
    day: Day,
    value: FloatArray,
    mark: NDArray[np.uint8],
    status: NDArray[np.uint8],
    since: int,
    bar: FloatArray,
    days: IntArray,
    readings: IntArray,
    stick: int,
) -> bool:
    """Whether the new readings of a series are certain to be accepted, and lie beyond no bar of a point."""
    i = end - 1
    while i >= begin and time[i] >= since:
        v = value[i]
        if v <= 0.0 or mark[i] != 0:
            return False
        same = True  # all readings so far are equal to this one
        back = 0  # accepted readings since then
        j = i - 1
        while j >= begin:
            accepted = status[j] == 0 or time[j] >= since
            back += accepted
            inside = i - j <= BEFORE + 1
            if inside and not accepted:
                return False
            for k in range(len(bar)):
                if bar[k] < np.inf and (back <= readings[k] + 1 or day[i] - day[j + 1] <= days[k]):
                    inside = True
                    if value[j] <= 0.0 or mark[j] != 0 or max(v / value[j], value[j] / v) >= bar[k]:
                        return False
            same = same and (value[j] == v or not accepted)
            if same and day[i] - day[j] >= stick:
                if may_stick(begin, i, time, day, value, status, since, stick):
                    return False
                same = False
            if not inside and not same:
                break
            j -= 1
        i -= 1
    return True


@compiled
def may_stick(
    begin: int,
    at: int,
    time: IntArray,
    day: Day,
    value: FloatArray,
    status: NDArray[np.uint8],
    since: int,
    stick: int,
) -> bool:
    """Whether the price at `at` has stood so long that this is rare for its series (as scan_gate counts)."""
    run, longest, changes, reports = 0, 0, 0, 0
    before, began = np.nan, 0
    for i in range(begin, at + 1):
        if time[i] < since and status[i] != 0:
            if status[i] == 2:
                return True  # a new level: its habits are counted in another way
            continue
        if value[i] == before:
            run += 1
            continue
        changes += run > 0
        reports += run
        longest = max(longest, run)
        run, before, began = 1, value[i], day[i]
    if run < LEAST_REPORTS or changes < LEAST_CHANGES or day[at] - began < stick:
        return False
    return how_rare(run, longest, changes / reports) > 0


@compiled
def mean_calm(
    start: IntArray,
    time: IntArray,
    day: Day,
    value: FloatArray,
    status: NDArray[np.uint8],
    since: IntArray,
    series: IntArray,
    begin: np.int64,
    most: np.int64,
    bar: FloatArray,
    days: IntArray,
    readings: IntArray,
) -> bool:
    """Whether the mean of `series` from `begin` on, made of `most` readings at most, is calm at what is new."""
    new = False
    for s in series:
        new = new or (start[s + 1] > start[s] and time[start[s + 1] - 1] >= since[s])
    if not new:
        return True
    level, row_time, row_day = np.empty(most), np.empty(most, np.int64), np.empty(most, np.int64)
    n = follow(start, time, day, value, status, since, series, begin, level, row_time, row_day)
    i = n - 1
    while i >= 0 and row_time[i] >= since[series[0]]:
        j = i - 1
        inside = True
        while inside:
            if j < 0:
                return False  # the window was too short
            far = max(level[i] / level[j], level[j] / level[i])
            inside = False
            for b in range(len(bar)):
                if i - j <= readings[b] + 1 or row_day[i] - row_day[j + 1] <= days[b]:
                    inside = True
                    if far >= bar[b]:
                        return False
            j -= 1
        i -= 1
    return n > 0


@compiled
def follow(
    start: IntArray,
    time: IntArray,
    day: Day,
    value: FloatArray,
    status: NDArray[np.uint8],
    since: IntArray,
    series: IntArray,
    begin: np.int64,
    level: FloatArray,
    row_time: IntArray,
    row_day: IntArray,
) -> int:
    """The mean from `begin` on, as a multiple of what it was before, its times and days; how many there are, 0 where
    it begins anew meanwhile."""
    k = len(series)
    at, quote = np.empty(k, np.int64), np.empty(k)
    heard, until = np.empty(k, np.int64), np.empty(k, np.int64)
    for j in range(k):
        s = series[j]
        at[j], quote[j], heard[j], until[j] = standing(start[s], start[s + 1], time, value, status, begin, k)
    n = 0
    mean = 1.0
    while True:
        now = np.int64(FOR_EVER)
        for j in range(k):
            end = start[series[j] + 1]
            while at[j] < end and time[at[j]] < since[series[j]] and status[at[j]] != 0:
                at[j] += 1
            if at[j] < end:
                now = min(now, time[at[j]])
        if now == FOR_EVER:
            return n
        before, after = 0.0, 0.0
        for j in range(k):
            fresh = at[j] < start[series[j] + 1] and time[at[j]] == now
            new = value[at[j]] if fresh else quote[j]
            if now <= until[j]:
                before += quote[j]
                after += new
            if fresh:
                row_day[n] = day[at[j]]
                until[j] = holds(now, heard[j], k)
                heard[j], quote[j] = now, new
                at[j] += 1
        if before <= 0.0:
            return 0  # no point had a quote
        mean *= after / before
        level[n], row_time[n] = mean, now
        n += 1


@compiled
def standing(
    begin: int, end: int, time: IntArray, value: FloatArray, status: NDArray[np.uint8], moment: np.int64, points: int
) -> tuple[int, float, int, int]:
    """The first position of a series at `moment` or later, and what stood before: quote, since when, until when."""
    at = end
    while at > begin and time[at - 1] >= moment:
        at -= 1
    i = accepted_before(begin, at, status)
    if i < 0:
        return at, 0.0, 0, -FOR_EVER
    earlier = accepted_before(begin, i, status)
    return at, value[i], time[i], holds(time[i], time[earlier] if earlier >= 0 else NOT_HEARD, points)


@compiled
def holds(now: np.int64, heard: np.int64, points: int) -> int:
    """Until when a quote stands; that of a single point, which is no mean, as long as there is no other."""
    if points == 1:
        return FOR_EVER
    interval = int(now - heard) if heard != NOT_HEARD else LEAST_CARRY
    return int(now) + stands(interval)


@compiled
def accepted_before(begin: int, at: int, status: NDArray[np.uint8]) -> int:
    """Position of the accepted reading before `at`, -1 for none."""
    i = at - 1
    while i >= begin and status[i] != 0:
        i -= 1
    return i if i >= begin else -1
