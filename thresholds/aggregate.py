"""From points to areas: the matched-sample mean of an item over the points of an area.

Per group (item, spec, unit, channel) and area one series, without a point, whose change from one time to the next is
the change of those points that had a quote before and have one now: a point that joins or drops out moves nothing,
nor does one whose quotes begin anew on another level (thresholds.quality.Status.REBASED). Prices change by the ratio
of their sums, other measures by the mean of their differences. While the same points stand from the beginning on,
that is their plain mean, and it is computed so. A quote stands until the next one of its point, at most three of its
own intervals (3 to 62 days): points do not all report at the same hour. An area with one point keeps that point's
series as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thresholds.kernels.jit import compiled
from thresholds.model import BoolArray, FloatArray, IntArray, SeriesKey
from thresholds.panel import DAY, Panel, codes_of

LEAST_CARRY = 3 * DAY
MOST_CARRY = 62 * DAY


@dataclass(frozen=True)
class Areas:
    """The panel of areas and how it hangs together with the panel of points.

    panel    series per (group, area); `point` of the key is empty where several points were averaged
    members  per series of `panel`, the series of the point panel behind it
    cell     int32[n_series of points], the series of `panel` that each point's series belongs to
    n_points int32[n], with how many points' quotes the value was made
    usable   bool[n of points], the quotes that went into means
    """

    panel: Panel
    members: list[NDArray[np.int64]]
    cell: NDArray[np.int32]
    n_points: NDArray[np.int32]
    usable: BoolArray


def by_area(points: Panel, usable: BoolArray, rebased: BoolArray, ratio: BoolArray) -> Areas:
    """Average `points` by group and area. Observations that are not usable (suspected errors) are left out.

    rebased  bool[n], where the quotes of a point begin anew on another level
    ratio    bool[n_series], whether changes are ratios (prices), else they are differences

    Single-point areas keep all their observations, with their marks; gating has already judged them.
    """
    cell = codes_of(list(zip(points.group.tolist(), points.areas, strict=True)))
    n_cells = int(cell.max()) + 1 if len(cell) else 0
    names = np.argsort(np.argsort(np.array([k.point for k in points.keys], np.str_), kind="stable"), kind="stable")
    order = np.lexsort((names, cell))  # by name: sums do not depend on the order in which points first reported
    bounds = np.searchsorted(cell[order], np.arange(n_cells + 1))
    members = [order[bounds[c] : bounds[c + 1]].astype(np.int64) for c in range(n_cells)]
    if all(len(m) == 1 for m in members):
        return Areas(points, members, cell, np.ones(len(points), np.int32), usable)
    return assemble(points, usable, rebased, ratio, members, cell)


def assemble(
    points: Panel,
    usable: BoolArray,
    rebased: BoolArray,
    ratio: BoolArray,
    members: list[NDArray[np.int64]],
    cell: NDArray[np.int32],
) -> Areas:
    """Build the area panel, means for areas with several points, plain copies for the others."""
    times, days, values, marks, counts, lengths, keys, areas = [], [], [], [], [], [], [], []
    for series in members:
        key = points.keys[series[0]]
        areas.append(points.areas[series[0]])
        if len(series) == 1:
            part = slice(points.start[series[0]], points.start[series[0] + 1])
            time, day, value = points.time[part], points.day[part], points.value[part]
            count = np.ones(len(time), np.int32)
            marks.append(points.mark[part])
            keys.append(key)
        else:
            time, day, value, count = matched_mean(points, usable, rebased, bool(ratio[series[0]]), series)
            marks.append(np.zeros(len(time), np.uint8))
            keys.append(SeriesKey(key.item, key.spec, key.unit, key.channel, ""))
        times.append(time)
        days.append(day)
        values.append(value)
        counts.append(count)
        lengths.append(len(time))
    time = np.concatenate(times)
    start = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    panel = Panel(keys, areas, start, time, np.concatenate(days), np.concatenate(values), np.concatenate(marks))
    return Areas(panel, members, cell, np.concatenate(counts), usable)


def matched_mean(
    points: Panel, usable: BoolArray, rebased: BoolArray, ratio: bool, series: NDArray[np.int64]
) -> tuple[IntArray, NDArray[np.int32], FloatArray, NDArray[np.int32]]:
    """Times, days, chained means and number of points for one group of series."""
    most = int((points.start[series + 1] - points.start[series]).sum())
    from_position, means, counts = np.empty(most, np.int64), np.empty(most), np.empty(most, np.int32)
    n = scan_matched(
        points.start, points.time, points.value, usable, rebased, ratio, series, from_position, means, counts
    )
    at = from_position[:n]
    return points.time[at], points.day[at], means[:n].copy(), counts[:n].copy()


@compiled
def stands(interval: int) -> int:
    """Seconds for which a quote stands that came so long after the one before it."""
    return min(max(3 * interval, LEAST_CARRY), MOST_CARRY)


@compiled
def stands_at(time: IntArray, usable: BoolArray, now: int) -> bool:
    """Whether a point with quotes at `time` had one that stood at `now`."""
    i = np.searchsorted(time, now, "right") - 1
    while i >= 0 and not usable[i]:
        i -= 1
    if i < 0:
        return False
    k = i - 1
    while k >= 0 and not usable[k]:
        k -= 1
    gap = time[i] - time[k] if k >= 0 else LEAST_CARRY
    return bool(now <= time[i] + stands(gap))


@compiled
def scan_matched(
    start: IntArray,
    time: IntArray,
    value: FloatArray,
    usable: BoolArray,
    rebased: BoolArray,
    ratio: bool,
    series: NDArray[np.int64],
    from_position: IntArray,
    means: FloatArray,
    counts: NDArray[np.int32],
) -> int:
    k = len(series)
    at = np.empty(k, np.int64)  # next observation of each point
    quote = np.full(k, np.nan)  # the quote that stands
    until = np.zeros(k, np.int64)  # how long it stands
    heard = np.zeros(k, np.int64)  # when it came
    for j in range(k):
        at[j] = start[series[j]]
    n = 0
    level = np.nan
    plainly = True  # the level is the plain mean of the quotes that stand
    stood_before = 0
    while True:
        now = np.int64(2**62)
        for j in range(k):
            end = start[series[j] + 1]
            while at[j] < end and not usable[at[j]]:
                at[j] += 1
            if at[j] < end and time[at[j]] < now:
                now = time[at[j]]
        if now == 2**62:
            return n
        at_now = np.int64(0)
        before = 0.0
        after = 0.0
        matched = 0
        plain = 0.0
        standing = 0
        for j in range(k):
            fresh = at[j] < start[series[j] + 1] and time[at[j]] == now
            anew = fresh and rebased[at[j]]
            stood = not np.isnan(quote[j]) and now <= until[j] and not anew
            new = value[at[j]] if fresh else quote[j]
            if stood:
                before += quote[j]
                after += new
                matched += 1
            if stood or fresh:
                plain += new
                standing += 1
            if fresh:
                at_now = at[j]
                gap = now - heard[j] if heard[j] != 0 else LEAST_CARRY
                until[j] = now + stands(gap)
                heard[j] = now
                quote[j] = new
                at[j] += 1
        same = matched == standing and matched == stood_before
        if matched == 0 or (same and plainly):
            level = plain / standing
            plainly = True
        elif not ratio:
            level = level + (after - before) / matched
            plainly = False
        elif before > 0 and after > 0 and level > 0:
            level = level * (after / before)
            plainly = False
        else:
            level = plain / standing
            plainly = True
        stood_before = standing
        from_position[n] = at_now
        means[n] = level
        counts[n] = standing
        n += 1
