"""Cross-section: the points of one item against each other on one day, and that day against earlier ones.

All results are as of an observation: they use the reports of that civil day up to its own time, each point with its
newest one. What comes later the same day is not known yet. A group is what may be compared: item, spec, unit and
channel. Each moment of a day has its own cross-section, so the cost of a day is its points times its moments.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from math import nan

import numpy as np

from thresholds.kernels.cells import Cells, Places, longest
from thresholds.kernels.charts import quantile_of
from thresholds.kernels.jit import compiled, over_series
from thresholds.kernels.robust import exchange, insert
from thresholds.model import BoolArray, FloatArray, IntArray
from thresholds.panel import Day, Panel

MANY = 32
"""More reports than this at one moment are sorted together, fewer are put in their places one by one."""


@dataclass(frozen=True, slots=True)
class Outliers:
    """What was found at some rows of the panel, in order: one column each.

    row     position in the panel
    score   distance of the effect from its median, in `spread`: Hidiroglou-Berthelot's C is its threshold
    ratio   median ratio of the cross-section
    middle  median effect
    lower   d1, upper: d3, the spreads below and above; without the absolute floor, which depends on the observation
    size    the greater of the two prices, or that over its group's median where groups were pooled
    spread  what `score` is measured in, in units of the effect
    n_used  points in the cross-section
    """

    row: IntArray
    score: FloatArray
    ratio: FloatArray
    middle: FloatArray
    lower: FloatArray
    upper: FloatArray
    size: FloatArray
    spread: FloatArray
    n_used: IntArray

    @classmethod
    def of(cls, row: IntArray, columns: FloatArray) -> Outliers:
        """From float64[8, n] in the order of the fields."""
        score, ratio, middle, lower, upper, size, spread, n_used = columns
        return cls(row, score, ratio, middle, lower, upper, size, spread, n_used.astype(np.int64))

    @property
    def columns(self) -> FloatArray:
        """float64[8, n] in the order of the fields."""
        return np.array([getattr(self, f.name) for f in fields(self)[1:]])

    def joined(self, other: Outliers) -> Outliers:
        row = np.concatenate([self.row, other.row])
        order = np.argsort(row)
        return Outliers.of(row[order], np.concatenate([self.columns, other.columns], axis=1)[:, order])

    def at(self, rows: IntArray) -> Outliers:
        """The same at `rows`: NaN, and no points, where nothing was found."""
        found = np.full((8, len(rows)), nan)
        found[7] = 0
        place = np.searchsorted(self.row, rows)
        here = np.append(self.row, -1)[place] == rows
        found[:, here] = self.columns[:, place[here]]
        return Outliers.of(rows, found)


@dataclass(frozen=True, slots=True)
class Fences:
    """Settings of Hidiroglou-Berthelot.

    low, high  quantiles whose distance from the median is the spread: quartiles fail where quotes stick
    u          0 to 1, how much the size of the price counts
    a          least spread as a share of the median effect (nothing where the median quote did not change)
    floor      least spread in log ratio, whatever the median: 0.02 with C = 7 lets every change up to 14 % pass
    leave_out  whether the tested point is left out of the quantiles; the published form does not
    """

    low: float = 0.1
    high: float = 0.9
    u: float = 0.4
    a: float = 0.05
    floor: float = 0.02
    leave_out: bool = True


def ratios(value: FloatArray, base: IntArray, known: BoolArray) -> tuple[FloatArray, FloatArray]:
    """float64[n] twice: of two positive prices, the observation's and that at `base` (-1: none), the ratio and the
    greater; NaN elsewhere, and where not `known`."""
    ratio, size = np.empty(len(value)), np.empty(len(value))
    halves = np.array([0, len(value) // 2, len(value)])
    over_series(halves, lambda a, b: scan_ratios(value, base, known, ratio, size, halves[a], halves[b]))
    return ratio, size


@compiled
def scan_ratios(
    value: FloatArray, base: IntArray, known: BoolArray, ratio: FloatArray, size: FloatArray, first: int, last: int
) -> None:
    for i in range(first, last):
        ratio[i] = size[i] = np.nan
        if known[i] and base[i] >= 0 and value[i] > 0.0 and value[base[i]] > 0.0:
            ratio[i] = value[i] / value[base[i]]
            size[i] = max(value[i], value[base[i]])


def hidiroglou_berthelot(
    panel: Panel,
    where: Cells,
    ratio: FloatArray,
    size: FloatArray,
    fences: Fences,
    least: int = 10,
    wide: Callable[[], Cells] | None = None,
    exact_above: float = 0.0,
) -> tuple[BoolArray, Outliers]:
    """Score the ratio of each observation against those of the other points of its group on its day.

    where  cells of the groups of the panel
    ratio  float64[n], price over the price before, positive; NaN: not in the cross-section
    size   float64[n], the greater of the two prices
    least  fewest points; a group with fewer is judged within its wider one
    wide   gives the cells of the wider groups (classes); asked only where a group has too few points
    exact_above   smaller scores need not be found

    Gives bool[n], whether each observation could be judged, and what was found. In a wider group prices differ in
    kind, so the size there is that over the median of its own group so far.
    Source: Hidiroglou & Berthelot 1986; P10/P90 by Hidiroglou & Emond 2018; the absolute floor is this project's.
    """
    known = np.isfinite(ratio) & (ratio > 0) & (size > 0)
    judged, found = judge(panel, where, known, ratio, size, fences, least, exact_above)
    few = known & ~judged
    if wide is None or not few.any():
        return judged, found
    centre = centres(where, known, size)
    pools = wide()
    known &= pools.of_row >= 0
    pooled, more = judge(panel, pools, known, ratio, size / centre[where.of_row], fences, least, exact_above)
    keep = few[more.row]
    return judged | (few & pooled), found.joined(Outliers.of(more.row[keep], more.columns[:, keep]))


def judge(
    panel: Panel,
    where: Cells,
    known: BoolArray,
    ratio: FloatArray,
    size: FloatArray,
    fences: Fences,
    least: int,
    exact_above: float,
) -> tuple[BoolArray, Outliers]:
    """Which rows are among enough points, and what is found in the moments that may hold a score so great."""
    floor = float(np.expm1(fences.floor))
    judged, look = np.zeros(len(known), np.bool_), np.zeros(where.n_moments, np.bool_)
    flat = (
        panel.start,
        panel.day,
        where.series,
        where.bounds,
        where.cell,
        where.group,
        where.of_row,
        known,
        ratio,
        size,
    )
    reach = exact_above * floor * (1.0 - 1e-6)
    over_series(where.rows, lambda a, b: scan_ranges(*flat, least, fences.u, reach, judged, look, a, b))
    sheet = (where.moment, where.cell, where.group, where.at, where.slot, known, ratio, size)
    place = np.concatenate([[0], np.cumsum(np.where(look, np.diff(where.moment), 0))])
    row, columns = np.full(place[-1], -1, np.int64), np.full((8, place[-1]), nan)
    setting = np.array([fences.low, fences.high, fences.u, fences.a, floor])
    over_series(
        where.rows, lambda a, b: scan_effects(*sheet, setting, fences.leave_out, look, place, row, columns, a, b)
    )
    order = np.argsort(row)[np.count_nonzero(row < 0) :]
    return judged, Outliers.of(row[order], columns[:, order])


@compiled
def scan_ranges(
    start: IntArray,
    day: Day,
    series: IntArray,
    bounds: IntArray,
    cell: IntArray,
    group: IntArray,
    of_row: Places,
    known: BoolArray,
    ratio: FloatArray,
    size: FloatArray,
    least: int,
    u: float,
    reach: float,
    judged: BoolArray,
    look: BoolArray,
    first: int,
    last: int,
) -> None:
    """Say which rows are among enough points, and where a score may come to `reach` over the floor.

    Effects are at most (highest / lowest ratio - 1) * weight, and the median one lies midway between one that is not
    positive and one that is not negative: score * floor <= (highest / lowest - 1) * (1 + half the ratio of weights).
    """
    origin = cell[group[first]]
    n = cell[group[last]] - origin
    count, some = np.zeros(n, np.int64), np.zeros(n, np.bool_)
    lowest, highest, small, large = np.full(n, np.inf), np.zeros(n), np.full(n, np.inf), np.zeros(n)
    for s in series[bounds[first] : bounds[last]]:
        counted = -1  # the last row of the series that was counted as one more point of its day
        for i in range(start[s], start[s + 1]):
            if not known[i]:
                continue
            m = of_row[i] - origin
            if counted < 0 or day[counted] != day[i]:
                counted = i
                count[m] += 1
            some[m] = True
            lowest[m], highest[m] = min(lowest[m], ratio[i]), max(highest[m], ratio[i])
            small[m], large[m] = min(small[m], size[i]), max(large[m], size[i])
    for c in range(group[first], group[last]):
        for m in range(cell[c] - origin, cell[c + 1] - origin):
            if m > cell[c] - origin:  # and what came before that day
                count[m] += count[m - 1]
                lowest[m], highest[m] = min(lowest[m], lowest[m - 1]), max(highest[m], highest[m - 1])
                small[m], large[m] = min(small[m], small[m - 1]), max(large[m], large[m - 1])
            if count[m] < least or not some[m]:
                continue
            most = highest[m] / lowest[m] - 1.0
            if most * (1.0 + 0.5 * (large[m] / small[m])) >= reach:
                look[m + origin] = most * (1.0 + 0.5 * (large[m] / small[m]) ** u) >= reach
    for s in series[bounds[first] : bounds[last]]:
        for i in range(start[s], start[s + 1]):
            judged[i] = known[i] and count[of_row[i] - origin] >= least


@compiled
def scan_effects(
    moment: IntArray,
    cell: IntArray,
    group: IntArray,
    at: Places,
    slot: Places,
    known: BoolArray,
    ratio: FloatArray,
    size: FloatArray,
    setting: FloatArray,
    leave_out: bool,
    look: BoolArray,
    place: IntArray,
    row: IntArray,
    columns: FloatArray,
    first: int,
    last: int,
) -> None:
    """Write what is found at the known rows of each moment to `look` at, from `place` of the moment on."""
    low, high, u, a, floor = setting[0], setting[1], setting[2], setting[3], setting[4]
    members = np.empty(longest(cell, moment, group[first], group[last]), np.int64)  # by slot
    number, so_far = members.copy(), members.copy()
    for c in range(group[first], group[last]):
        if place[cell[c]] == place[cell[c + 1]]:  # nothing to look at that day
            continue
        members[: moment[cell[c + 1]] - moment[cell[c]]] = -1
        for m in range(cell[c], cell[c + 1]):
            for k in range(moment[m], moment[m + 1]):
                if known[at[k]]:
                    members[slot[k]] = at[k]
            if not look[m]:
                continue
            count = 0
            for j in range(moment[m + 1] - moment[cell[c]]):
                if members[j] >= 0:
                    so_far[count] = members[j]
                    number[j] = count
                    count += 1
            middle_ratio = float(np.median(ratio[so_far[:count]]))
            weight = size[so_far[:count]] ** u
            effect = np.empty(count)
            for j in range(count):
                effect[j] = distance(ratio[so_far[j]], middle_ratio) * weight[j]
            ordered = np.sort(effect)
            usual = quantile_of(ordered, count, 0.5)
            n = place[m]
            for k in range(moment[m], moment[m + 1]):
                if not known[at[k]]:
                    continue
                e = effect[number[slot[k]]]
                gone = int(np.searchsorted(ordered, e)) if leave_out else -1
                below = max(usual - quantile_without(ordered, gone, low), abs(a * usual))
                above = max(quantile_without(ordered, gone, high) - usual, abs(a * usual))
                width = max(above if e > usual else below, floor * weight[number[slot[k]]])
                row[n] = at[k]
                if width > 0.0:
                    columns[0, n] = (e - usual) / width
                else:  # published form, all others alike: any difference is infinitely far
                    columns[0, n] = 0.0 if e == usual else np.copysign(np.inf, e - usual)
                columns[1, n] = middle_ratio
                columns[2, n] = usual
                columns[3, n] = below
                columns[4, n] = above
                columns[5, n] = size[at[k]]
                columns[6, n] = width
                columns[7, n] = count
                n += 1


def centres(where: Cells, known: BoolArray, size: FloatArray) -> FloatArray:
    """float64[moments]: median size of the group's points that day so far; NaN where none is known."""
    centre = np.full(where.n_moments, nan)
    sheet = (where.moment, where.cell, where.group, where.at, where.slot, known, size)
    over_series(where.rows, lambda a, b: scan_centres(*sheet, centre, a, b))
    return centre


@compiled
def scan_centres(
    moment: IntArray,
    cell: IntArray,
    group: IntArray,
    at: Places,
    slot: Places,
    known: BoolArray,
    size: FloatArray,
    centre: FloatArray,
    first: int,
    last: int,
) -> None:
    ordered = np.empty(longest(cell, moment, group[first], group[last]))
    held = ordered.copy()  # by slot
    for c in range(group[first], group[last]):
        begin = moment[cell[c]]
        held[: moment[cell[c + 1]] - begin] = np.nan
        count = 0
        for m in range(cell[c], cell[c + 1]):
            end = moment[m + 1]
            count = take_in(moment[m], end, end - begin, at, slot, known, size, held, ordered, count)
            if count > 0:
                centre[m] = middle_of(ordered, count)


@compiled
def distance(ratio: float, middle: float) -> float:
    """Distance of a ratio from the median one, the same up and down."""
    return 1.0 - middle / ratio if ratio < middle else ratio / middle - 1.0


@compiled
def quantile_without(ordered: FloatArray, gone: int, share: float) -> float:
    """Quantile (type 7) of the ordered values without the one at `gone` (-1: of all)."""
    count = len(ordered)
    if gone < 0 or count < 2:
        return quantile_of(ordered, count, share)
    place = share * (count - 2)
    low = int(place)
    high = min(low + 1, count - 2)
    bottom = ordered[low + (low >= gone)]
    return float(bottom + (place - low) * (ordered[high + (high >= gone)] - bottom))


@compiled
def take_in(
    begin: int,
    end: int,
    slots: int,
    at: Places,
    slot: Places,
    known: BoolArray,
    x: FloatArray,
    held: FloatArray,
    ordered: FloatArray,
    count: int,
) -> int:
    """Take rows of a moment into the values by slot, of which there are `slots`, and into the ordered ones.

    Gives how many there are now.
    """
    few = end - begin <= MANY
    for k in range(begin, end):
        p = at[k]
        if not known[p]:
            continue
        if few and np.isnan(held[slot[k]]):
            count += 1
            insert(ordered, count, x[p])
        elif few:
            exchange(ordered, count, held[slot[k]], x[p])
        held[slot[k]] = x[p]
    if few:
        return count
    count = 0
    for j in range(slots):
        if not np.isnan(held[j]):
            ordered[count] = held[j]
            count += 1
    ordered[:count] = np.sort(ordered[:count])
    return count


@compiled
def middle_of(ordered: FloatArray, count: int) -> float:
    """Median of the ordered values, of which there are `count`."""
    if count % 2 == 1:
        return float(ordered[count // 2])
    return float(0.5 * (ordered[count // 2 - 1] + ordered[count // 2]))
