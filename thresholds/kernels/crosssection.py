"""Cross-section: the points of one item against each other on one day, and that day against earlier ones.

All results are as of an observation: they use the reports of that civil day up to its own time, each point with its
newest one. What comes later the same day is not known yet. A group is what may be compared: item, spec, unit and
channel. Each moment of a day has its own cross-section, so the cost of a day is its points times its moments.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import nan

import numpy as np
from numpy.typing import NDArray

from thresholds.kernels.cells import Cells, Codes, Days, cells
from thresholds.kernels.charts import quantile_of
from thresholds.kernels.jit import compiled, over_series
from thresholds.kernels.robust import exchange, insert, robust_scores
from thresholds.model import BoolArray, FloatArray, IntArray
from thresholds.panel import Panel

SAME = 0.005
"""Least dispersion that is told from none, in log: prices set alike everywhere are half a percent apart at most."""
CALM = 0.1
"""Least scale of the dispersion's own history, in log: a tenth more or less is never remarkable."""


@dataclass(frozen=True, slots=True)
class Outliers:
    """Per observation (NaN: too few points, or no ratio).

    score   distance of the effect from its median, in `spread`: Hidiroglou-Berthelot's C is its threshold
    ratio   median ratio of the cross-section
    middle  median effect
    lower   d1, upper: d3, the spreads below and above; without the absolute floor, which depends on the observation
    size    the greater of the two prices, or that over its group's median where groups were pooled
    spread  what `score` is measured in, in units of the effect
    n_used  points in the cross-section
    """

    score: FloatArray
    ratio: FloatArray
    middle: FloatArray
    lower: FloatArray
    upper: FloatArray
    size: FloatArray
    spread: FloatArray
    n_used: IntArray

    @classmethod
    def empty(cls, n: int) -> Outliers:
        score, ratio, middle, lower, upper, size, spread = np.full((7, n), nan)
        return cls(score, ratio, middle, lower, upper, size, spread, np.zeros(n, np.int64))


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


def hidiroglou_berthelot(
    panel: Panel, ratio: FloatArray, size: FloatArray, fences: Fences, least: int = 10, pool: Codes | None = None
) -> Outliers:
    """Score the ratio of each observation against those of the other points of its group on its day.

    ratio  float64[n], price over the price before, positive; NaN: not in the cross-section
    size   float64[n], the greater of the two prices
    least  fewest points; a group with fewer is judged within its pool
    pool   int32[n_series], the wider group of each series (its class), -1 for none

    In a pool prices differ in kind, so the size there is that over the median of its own group so far.
    Source: Hidiroglou & Berthelot 1986; P10/P90 by Hidiroglou & Emond 2018; the absolute floor is this project's.
    """
    n = len(panel)
    found, centre = Outliers.empty(n), np.full(n, nan)
    known = np.isfinite(ratio) & (ratio > 0) & (size > 0)
    judge(cells(panel, known), panel.time, ratio, size, fences, least, found, centre, pool is not None)
    few = known & (found.n_used < least)
    if pool is None or not few.any():
        return found
    small = np.unique(pool[panel.series[few]])
    pooled = known & np.isin(pool[panel.series], small[small >= 0])
    wide = Outliers.empty(n)
    judge(cells(panel, pooled, pool), panel.time, ratio, size / centre, fences, least, wide, centre, False)
    few &= pooled
    return Outliers(*(np.where(few, getattr(wide, f.name), getattr(found, f.name)) for f in fields(Outliers)))


def judge(
    where: Cells,
    time: IntArray,
    ratio: FloatArray,
    size: FloatArray,
    fences: Fences,
    least: int,
    found: Outliers,
    centre: FloatArray,
    pooling: bool,
) -> None:
    """Fill `found`, and, if `pooling`, in `centre` the median size so far, at the rows of `where`."""
    setting = np.array([fences.low, fences.high, fences.u, fences.a, np.expm1(fences.floor)])
    out = (found.score, found.ratio, found.middle, found.lower, found.upper, found.size, found.spread)
    over_series(
        where.start,
        lambda a, b: scan_cells(
            where.start, where.at, where.slot, time, ratio, size, setting, fences.leave_out, pooling, least, out,
            centre, found.n_used, a, b,
        ),
    )  # fmt: skip


@compiled
def scan_cells(
    start: IntArray,
    at: IntArray,
    slot: IntArray,
    time: IntArray,
    ratio: FloatArray,
    size: FloatArray,
    setting: FloatArray,
    leave_out: bool,
    pooling: bool,
    least: int,
    out: tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray],
    centre: FloatArray,
    n_used: IntArray,
    first: int,
    last: int,
) -> None:
    low, high, u, a, floor = setting[0], setting[1], setting[2], setting[3], setting[4]
    score, median, middle, lower, upper, sizes, spread = out
    for c in range(first, last):
        members = np.empty(start[c + 1] - start[c], np.int64)
        count = 0
        i = start[c]
        while i < start[c + 1]:
            end = i
            now = time[at[i]]
            while end < start[c + 1] and time[at[end]] == now:  # all that came at this moment
                members[slot[end]] = at[end]
                count = max(count, slot[end] + 1)
                end += 1
            so_far = members[:count]
            middle_size = float(np.median(size[so_far])) if pooling else np.nan
            for k in range(i, end):
                n_used[at[k]] = count
                if pooling:
                    centre[at[k]] = middle_size
            if count < least:
                i = end
                continue
            middle_ratio = float(np.median(ratio[so_far]))
            weight = size[so_far] ** u
            effect = np.empty(count)
            for k in range(count):
                effect[k] = distance(ratio[so_far[k]], middle_ratio) * weight[k]
            ordered = np.sort(effect)
            usual = quantile_of(ordered, count, 0.5)
            for k in range(i, end):
                p = at[k]
                e = effect[slot[k]]
                gone = int(np.searchsorted(ordered, e)) if leave_out else -1
                below = max(usual - quantile_without(ordered, gone, low), abs(a * usual))
                above = max(quantile_without(ordered, gone, high) - usual, abs(a * usual))
                width = max(above if e > usual else below, floor * weight[slot[k]])
                median[p] = middle_ratio
                middle[p] = usual
                lower[p] = below
                upper[p] = above
                sizes[p] = size[p]
                spread[p] = width
                if width > 0.0:
                    score[p] = (e - usual) / width
                else:  # published form, all others alike: any difference is infinitely far
                    score[p] = 0.0 if e == usual else np.copysign(np.inf, e - usual)
            i = end


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


@dataclass(frozen=True, slots=True)
class Dispersion:
    """Per observation: robust scale of log prices between the points of its group that day so far (NaN: too few),
    how often it is the median of earlier days (`times`), the robust scale of its logarithm on them (`scale`), and of
    how many points and earlier days each was made.
    """

    value: FloatArray
    times: FloatArray
    scale: FloatArray
    points: IntArray
    n_used: IntArray


def dispersion(panel: Panel, usable: BoolArray, points: int = 5, window: int = 60, least: int = 20) -> Dispersion:
    """How far the points of a group lie apart, against the group's own earlier days.

    value = 1.4826 * MAD of log prices. It is compared on a log scale with the days before, each with what was known
    at its end: log v - median, and the scale of `robust_scores`, floored at a tenth.

    usable  bool[n], positive prices that may count
    points  fewest points; a day with fewer is no part of the history either
    window  days of history, `least` the fewest of them
    """
    n = len(panel)
    result = Dispersion(*np.full((3, n), nan), *np.zeros((2, n), np.int64))
    keep = usable & (panel.value > 0)
    where = cells(panel, keep)
    price = np.log(np.where(keep, panel.value, 1.0))
    over_series(
        where.start,
        lambda a, b: scan_dispersion(
            where.start, where.at, where.slot, panel.time, price, points, result.value, result.points, a, b
        ),
    )
    seen = Days.of(panel, where, ~np.isnan(result.value))
    log = np.log(np.maximum(result.value[seen.last], SAME))
    scores = robust_scores(seen.start, log, seen.final, np.full(len(log), CALM), window, least)
    result.scale[seen.at] = scores.scale[seen.moment]
    result.times[seen.at] = np.exp(log - scores.median)[seen.moment]
    result.n_used[seen.at] = scores.n_used[seen.moment]
    return result


@compiled
def scan_dispersion(
    start: IntArray,
    at: IntArray,
    slot: IntArray,
    time: IntArray,
    price: FloatArray,
    points: int,
    value: FloatArray,
    counts: IntArray,
    first: int,
    last: int,
) -> None:
    for c in range(first, last):
        members = np.empty(start[c + 1] - start[c], np.int64)
        count = 0
        i = start[c]
        while i < start[c + 1]:
            end = i
            now = time[at[i]]
            while end < start[c + 1] and time[at[end]] == now:
                members[slot[end]] = at[end]
                count = max(count, slot[end] + 1)
                end += 1
            apart = np.nan
            if count >= points:
                known = price[members[:count]]
                apart = 1.4826 * float(np.median(np.abs(known - np.median(known))))
            for k in range(i, end):
                value[at[k]] = apart
                counts[at[k]] = count
            i = end


def diffusion(panel: Panel, moved: NDArray[np.int8], group: Codes, points: int = 5) -> tuple[FloatArray, IntArray]:
    """Per observation: share that rose less share that fell, -1 to 1 (NaN: too few), and of how many series.

    moved  int8[n], 1 rose, -1 fell, 0 neither, anything else unknown
    group  int32[n_series], what is counted together
    points fewest series known that day so far
    """
    where = cells(panel, np.ones(len(panel), np.bool_), group)
    index, counts = np.full(len(panel), nan), np.zeros(len(panel), np.int64)
    over_series(
        where.start,
        lambda a, b: scan_diffusion(
            where.start, where.at, where.slot, panel.time, moved, points, index, counts, a, b
        ),
    )
    return index, counts


@compiled
def scan_diffusion(
    start: IntArray,
    at: IntArray,
    slot: IntArray,
    time: IntArray,
    moved: NDArray[np.int8],
    points: int,
    index: FloatArray,
    counts: IntArray,
    first: int,
    last: int,
) -> None:
    for c in range(first, last):
        answer = np.full(start[c + 1] - start[c], 2, np.int8)
        balance = 0
        known = 0
        i = start[c]
        while i < start[c + 1]:
            end = i
            now = time[at[i]]
            while end < start[c + 1] and time[at[end]] == now:
                old, new = answer[slot[end]], moved[at[end]]
                if -1 <= old <= 1:
                    balance -= old
                    known -= 1
                if -1 <= new <= 1:
                    balance += new
                    known += 1
                answer[slot[end]] = new
                end += 1
            for k in range(i, end):
                counts[at[k]] = known
                if known >= points:
                    index[at[k]] = balance / known
            i = end


@dataclass(frozen=True, slots=True)
class Usual:
    """Per observation: what a share is compared with (NaN: too little history), and how many earlier days say so."""

    bound: FloatArray
    n_used: IntArray


def usual_share(panel: Panel, share: FloatArray, quantile: float = 0.99, window: int = 250, least: int = 60) -> Usual:
    """The `quantile` of a group's share on its earlier days, each with what was known at its end.

    share  float64[n], of the group's points that day so far; NaN where it is not known
    window days of history, `least` the fewest of them

    Points of one town move together: were the share binomial, half of them moving at once would never happen, and it
    happens every week (`binomial_tail`). So the share is compared with what it has been.
    """
    n = len(panel)
    result = Usual(np.full(n, nan), np.zeros(n, np.int64))
    known = ~np.isnan(share)
    seen = Days.of(panel, cells(panel, known), known)
    x = share[seen.last]
    bound, used = np.full(len(x), nan), np.zeros(len(x), np.int64)
    over_series(
        seen.start, lambda a, b: scan_usual(seen.start, x, seen.final, quantile, window, least, bound, used, a, b)
    )
    result.bound[seen.at] = bound[seen.moment]
    result.n_used[seen.at] = used[seen.moment]
    return result


@compiled
def scan_usual(
    start: IntArray,
    x: FloatArray,
    final: BoolArray,
    quantile: float,
    window: int,
    least: int,
    bound: FloatArray,
    n_used: IntArray,
    first: int,
    last: int,
) -> None:
    ring = np.empty(window)
    ordered = np.empty(window)
    for g in range(first, last):
        kept = 0
        for i in range(start[g], start[g + 1]):
            count = min(kept, window)
            n_used[i] = count
            if count >= least:
                bound[i] = quantile_of(ordered, count, quantile)
            if final[i]:
                if count == window:
                    exchange(ordered, count, ring[kept % window], x[i])
                else:
                    insert(ordered, count + 1, x[i])
                ring[kept % window] = x[i]
                kept += 1


def binomial_tail(hits: IntArray, known: IntArray, rate: float) -> FloatArray:
    """Chance of at least so many hits among `known` independent points that each hit at `rate`.

    For comparison only: points are not independent, see `usual_share`.
    """
    from scipy.special import bdtrc  # a tenth of a second: not at start

    return np.where(hits > 0, bdtrc(np.maximum(hits - 1, 0), known, rate), 1.0)
