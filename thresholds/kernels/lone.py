"""Steps of one point beside those of the other points of its group on the same day: company, and who moved alone.

Only large steps are looked at, and of the other points only the reports of those days: a few rows of a large panel.
What is known is what had come by the time of the step itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from thresholds.kernels.crosssection import distance, quantile_without
from thresholds.kernels.jit import compiled, over_series
from thresholds.kernels.scan import so_far
from thresholds.model import BoolArray, FloatArray, IntArray
from thresholds.panel import Day, Panel

LEAST = 0.14
"""Least log step that is looked at: 15 %."""
BIG_MOVES = (0.35, 1.0)
"""Log changes about half as far as a doubtful factor of 2 and of 10: who moved at least so far is company for it. A
general rise by a fifth does not make a slipped digit real."""
LEAST_POINTS, MANY_POINTS = 5, 10
"""Fewest points among which one can be alone, and fewest for the quantiles of Hidiroglou-Berthelot."""
U, A, C, FLOOR = 0.4, 0.05, 7.0, 0.02
"""Hidiroglou-Berthelot with P10 and P90: weight of the price, least spread as a share of the median and in log."""
BEYOND, BEYOND_MANY = 5.0, 2.5
"""So many times as far from the median step as the one of the others that moved most, among few and many points."""
DOUBLE = 0.02
"""Within so much of twice or half is the factor of a unit (log)."""
SOON = 11
"""Days to the report before: who reports so often is asked again before the value is believed."""


def jumps(panel: Panel, positive: BoolArray) -> IntArray:
    """Positions, rising, whose value is `LEAST` or more from the report before, of the series where `positive`."""
    hit = np.zeros(len(panel), np.bool_)
    over_series(panel.start, lambda a, b: scan_jumps(panel.start, panel.value, positive, np.exp(LEAST), hit, a, b))
    return np.flatnonzero(hit)


@compiled
def scan_jumps(
    start: IntArray, value: FloatArray, positive: BoolArray, least: float, hit: BoolArray, first: int, last: int
) -> None:
    for s in range(first, last):
        if not positive[s]:
            continue
        of, found = value[start[s] : start[s + 1]], hit[start[s] : start[s + 1]]
        for i in range(1, len(of)):
            v, before = of[i], of[i - 1]
            if (v >= before * least) | (v * least <= before):  # hardly ever: one jump for both
                found[i] = v > 0.0 and before > 0.0


def company(panel: Panel, at: IntArray) -> NDArray[np.int16]:
    """int16[n]: how many other points of the group moved that day, until then, the same way and about as far.

    at  what `jumps` found; elsewhere nothing is counted
    """
    found = np.zeros(len(panel), np.int16)
    if not len(at):
        return found
    step = np.log(panel.value[at] / panel.value[at - 1])
    for least in BIG_MOVES:
        far = np.abs(step) > least
        if far.any():
            found[at[far]] = others(panel, at[far], step[far] > 0)
    return found


def others(panel: Panel, moved: IntArray, up: BoolArray) -> IntArray:
    """For each of the positions `moved`: how many other points of its group are among them, that day until then."""
    cell = panel.group[panel.series_at(moved)].astype(np.int64) << 33
    cell += (panel.day[moved].astype(np.int64) + 2**30) << 1
    cell += up
    _, code = np.unique(cell, return_inverse=True)
    once = np.zeros(len(moved), np.int64)  # a point counts once a day
    once[np.unique(code * panel.n_series + panel.series_at(moved), return_index=True)[1]] = 1
    return np.minimum(so_far(code, panel.time[moved], once)[0] - 1, 32_000)


def lone(panel: Panel, at: IntArray) -> IntArray:
    """Those of the positions `at` that are outliers among the points of their group that day, and moved alone.

    Alone: at least five points reported by then, and none of the others moved the same way half as far. An outlier:
    Hidiroglou-Berthelot's effect beyond 7 spreads, with P10 and P90 of the others and a floor of 2 %, and 2.5 times
    as far from the median step as any other, among ten points or more; else five times as far. A step within 2 % of a
    factor of two counts at any cadence, others only where the report before was at most eleven days ago: a month is
    too long to wait for the next one.
    """
    size = np.bincount(panel.group, minlength=1)
    at = at[size[panel.group[panel.series_at(at)]] >= LEAST_POINTS]
    if not len(at):
        return at
    group = panel.group[panel.series_at(at)]
    order = np.lexsort((panel.time[at], group))
    at, group = at[order], group[order]
    time = panel.time[at]
    begins = np.flatnonzero(np.append(True, (np.diff(group) != 0) | (np.diff(time) != 0)))
    members = np.argsort(panel.group, kind="stable")
    bounds = np.searchsorted(panel.group[members], np.arange(len(size) + 1))
    hit = np.zeros(len(at), np.bool_)
    moments = np.append(begins, len(at)).astype(np.int64)
    work = (panel.start, panel.time, panel.day, panel.value, at, group, moments, members, bounds, hit)
    over_series(moments, lambda a, b: scan_lone(*work, a, b))
    return np.sort(at[hit])


@compiled
def scan_lone(
    start: IntArray,
    time: IntArray,
    day: Day,
    value: FloatArray,
    at: IntArray,
    group: NDArray[np.int32],
    moments: IntArray,
    members: IntArray,
    bounds: IntArray,
    hit: BoolArray,
    first: int,
    last: int,
) -> None:
    for m in range(first, last):
        lead = at[moments[m]]
        g = group[moments[m]]
        some = members[bounds[g] : bounds[g + 1]]
        row = np.empty(len(some), np.int64)
        step = np.empty(len(some))
        effect = np.empty(len(some))
        count = 0
        for s in some:
            i = newest(start, time, s, time[lead])
            if i < 0 or day[i] != day[lead]:
                continue
            base = i - 1
            while base >= start[s] and day[base] == day[i]:
                base -= 1
            if base < start[s] or value[i] <= 0.0 or value[base] <= 0.0:
                continue
            row[count] = i
            step[count] = np.log(value[i] / value[base])
            effect[count] = max(value[i], value[base]) ** U
            count += 1
        if count < LEAST_POINTS:
            continue
        weight = effect[:count].copy()
        middle = float(np.exp(np.median(step[:count])))
        for k in range(count):
            effect[k] = distance(np.exp(step[k]), middle) * weight[k]
        ordered = np.sort(effect[:count])
        for j in range(moments[m], moments[m + 1]):
            k = place_of(row, count, at[j])
            if k < 0 or not stands_out(step, effect, ordered, weight, count, k):
                continue
            soon = day[at[j]] - day[at[j] - 1] <= SOON
            hit[j] = soon or abs(abs(step[k]) - np.log(2.0)) <= DOUBLE


@compiled
def newest(start: IntArray, time: IntArray, s: int, at: int) -> int:
    """Position of the newest report of a series up to a time, -1 for none."""
    low, high = start[s], start[s + 1]
    while low < high:
        middle = (low + high) // 2
        if time[middle] <= at:
            low = middle + 1
        else:
            high = middle
    return int(low - 1) if low > start[s] else -1


@compiled
def place_of(row: IntArray, count: int, at: int) -> int:
    for k in range(count):
        if row[k] == at:
            return k
    return -1


@compiled
def stands_out(
    step: FloatArray, effect: FloatArray, ordered: FloatArray, weight: FloatArray, count: int, k: int
) -> bool:
    """Whether the k-th step is an outlier that no other one accompanies."""
    rest = np.empty(count - 1)
    n = 0
    for j in range(count):
        if j == k:
            continue
        if step[j] * step[k] > 0.0 and abs(step[j]) >= 0.5 * abs(step[k]):
            return False
        rest[n] = step[j]
        n += 1
    middle = float(np.median(rest))
    most = 0.0
    for x in rest:  # plain loops compile in a third of the time of array expressions
        most = max(most, abs(x - middle))
    away = abs(step[k] - middle)
    if count < MANY_POINTS:
        return bool(away > max(LEAST, BEYOND * most))
    if away <= BEYOND_MANY * most:
        return False
    gone = int(np.searchsorted(ordered, effect[k]))
    usual = quantile_without(ordered, gone, 0.5)
    if effect[k] > usual:
        spread = quantile_without(ordered, gone, 0.9) - usual
    else:
        spread = usual - quantile_without(ordered, gone, 0.1)
    spread = max(spread, abs(A * usual), np.expm1(FLOOR) * weight[k])
    return bool(abs(effect[k] - usual) > C * spread)
