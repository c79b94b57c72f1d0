"""What stands behind hits: which points, what each of them did, and the same date in the years before by both
calendars. For many hits at once, since a replay makes thousands of flags."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from thresholds import lunar
from thresholds.aggregate import Areas, stands_at
from thresholds.calendar import TOLERANCE, Day, Lag, clipped
from thresholds.kernels.jit import compiled
from thresholds.model import BoolArray, Contribution, Earlier, FloatArray, IntArray
from thresholds.panel import Panel
from thresholds.view import View

YEARS = 3
MOST_CONTRIBUTIONS = 20
CALENDARS = ("gregorian", "lunar")


@lru_cache(maxsize=8192)
def utc(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@dataclass(frozen=True)
class Members:
    """The points that stand behind values: one row per value and point, value by value.

    bounds  int64[values + 1], where the rows of each value begin
    series  int64[m], series of the panel of points
    at      int64[m], the usable quote of the time of the value (of several points: the newest one, perhaps of an
            earlier time), -1 for none; `before` the one before it
    """

    bounds: IntArray
    series: IntArray
    at: IntArray
    before: IntArray

    def carried(self, day: Day) -> BoolArray:
        """bool[m]: points that did not report on the day of the value: their last price stands in it. `day`: that of
        each quote. Some point always did, for else there were no value."""
        if not len(self.at):
            return np.zeros(0, np.bool_)
        own = np.where(self.at >= 0, day[self.at], np.iinfo(np.int32).min)
        filled = np.diff(self.bounds) > 0
        newest = np.maximum.reduceat(own, self.bounds[:-1][filled])
        late: BoolArray = own < np.repeat(newest, np.diff(self.bounds)[filled])
        return late & (self.at >= 0)

    def only(self, values: IntArray) -> Members:
        """Those of some of the values."""
        counts = np.diff(self.bounds)[values]
        bounds = np.append(0, np.cumsum(counts))
        rows = np.arange(bounds[-1]) + np.repeat(self.bounds[values] - bounds[:-1], counts)
        return Members(bounds, self.series[rows], self.at[rows], self.before[rows])


def members_of(areas: Areas, points: Panel, wide: BoolArray, series: IntArray, time: IntArray) -> Members:
    """The points behind values of `series` at `time` (seconds): of several in an area those whose quote stood then.

    wide   bool, values of `areas.panel`; the others are of `points`, and stand for themselves
    """
    lengths = np.array([len(m) for m in areas.members], np.int64)
    every = np.concatenate(areas.members) if len(areas.members) else np.empty(0, np.int64)
    begin = np.concatenate([[0], np.cumsum(lengths)])
    most = int(np.where(wide, lengths[np.where(wide, series, 0)], 1).sum()) if len(lengths) else len(series)
    bounds = np.zeros(len(series) + 1, np.int64)
    found, at, before = (np.full(most, -1, np.int64) for _ in range(3))
    scan_members(points.start, points.time, areas.usable, every, begin, wide, series, time, bounds, found, at, before)
    n = int(bounds[-1])
    return Members(bounds, found[:n], at[:n], before[:n])


@compiled
def scan_members(
    start: IntArray,
    time: IntArray,
    usable: BoolArray,
    every: IntArray,
    begin: IntArray,
    wide: BoolArray,
    series: IntArray,
    when: IntArray,
    bounds: IntArray,
    found: IntArray,
    at: IntArray,
    before: IntArray,
) -> None:
    n = 0
    one = np.empty(1, np.int64)
    for h in range(len(series)):
        one[0] = series[h]
        some = every[begin[series[h]] : begin[series[h] + 1]] if wide[h] else one
        for s in some:
            a, b = start[s], start[s + 1]
            if len(some) > 1 and not stands_at(time[a:b], usable[a:b], when[h]):
                continue
            found[n] = s
            i = a + np.searchsorted(time[a:b], when[h], "right") - 1
            while len(some) > 1 and i >= a and not usable[i]:
                i -= 1
            if i >= a and usable[i] and (len(some) > 1 or time[i] == when[h]):
                at[n] = i
                k = i - 1
                while k >= a and not usable[k]:
                    k -= 1
                before[n] = k if k >= a else -1
            n += 1
        bounds[h + 1] = n


def contributions(panel: Panel, behind: Members, push: FloatArray) -> list[tuple[Contribution, ...]]:
    """Per value what each point behind it did against its own usable report before, those that pushed most first;
    those whose last price was carried come last, without a change.

    push   float64[values], -1 for a fall, else 1
    """
    value = np.repeat(np.arange(len(push)), np.diff(behind.bounds))
    several = np.repeat(np.diff(behind.bounds) > 1, np.diff(behind.bounds))
    known = np.flatnonzero((behind.at >= 0) & ((behind.before >= 0) | several))
    value, series, carried = value[known], behind.series[known], behind.carried(panel.day)[known]
    now = panel.value[behind.at[known]]
    before = np.where((behind.before[known] >= 0) & ~carried, panel.value[behind.before[known]], np.nan)
    change = ratio(now, before)
    pushed = np.where(np.isnan(change), np.inf, -push[value] * change)
    names, areas, rank = named_points(panel, series)
    order = np.lexsort((rank, pushed, value))
    bounds = np.searchsorted(value[order], np.arange(len(push) + 1)).tolist()
    which = np.unique(series, return_inverse=True)[1][order].tolist()
    columns = (x[order].tolist() for x in (now, before, change, carried))
    rows = [Contribution(names[s], areas[s], *numbers) for s, *numbers in zip(which, *columns, strict=True)]
    return [tuple(rows[a : min(b, a + MOST_CONTRIBUTIONS)]) for a, b in pairwise(bounds)]


def ratio(now: FloatArray, before: FloatArray) -> FloatArray:
    """float64[n]: relative change, NaN where there is nothing positive to compare with."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        change: FloatArray = np.where(before > 0, now / before - 1, np.nan)
    return change


def carried_behind(panel: Panel, behind: Members, groups: IntArray) -> list[int]:
    """Per group of values how many of the points behind them reported in none of them on the day."""
    _, _, rank = named_points(panel, behind.series)
    group = np.repeat(np.arange(len(groups) - 1), np.diff(behind.bounds[groups]))
    key = group * (int(rank.max(initial=0)) + 1) + rank
    carried = behind.carried(panel.day)
    only = np.setdiff1d(key[carried], key[~carried])
    found: list[int] = np.bincount(only // (int(rank.max(initial=0)) + 1), minlength=len(groups) - 1).tolist()
    return found


def named_points(panel: Panel, series: IntArray) -> tuple[list[str], list[str], IntArray]:
    """Points and areas of the distinct ones of `series`, in order of number; and per row the place of its point in
    order of names."""
    which, number = np.unique(series, return_inverse=True)
    points = [panel.keys[s].point for s in which.tolist()]
    place = {name: k for k, name in enumerate(sorted(set(points)))}
    rank = np.array([place[p] for p in points], np.int64)
    return points, [panel.areas[s] for s in which.tolist()], rank[number]


def points_behind(panel: Panel, behind: Members, groups: IntArray) -> list[tuple[str, ...]]:
    """Per group of values the names of the points behind them, in order. `groups`: where each begins, and the end."""
    names, _, rank = named_points(panel, behind.series)
    ordered = sorted(set(names))
    group = np.repeat(np.arange(len(groups) - 1), np.diff(behind.bounds[groups]))
    each = np.unique(group * (len(ordered) + 1) + rank)
    bounds = np.searchsorted(each, np.arange(len(groups)) * (len(ordered) + 1)).tolist()
    found = [ordered[k] for k in (each % (len(ordered) + 1)).tolist()]
    return [tuple(found[a:b]) for a, b in pairwise(bounds)]


def earlier_years(view: View, at: IntArray) -> list[tuple[Earlier, ...]]:
    """What the series of observations `at` were on the same date 1, 2 and 3 years before, where it is known.

    The newest real value on that day or up to `TOLERANCE` days before it, as in a change over a year. The lunar date
    is given where it differs from the Gregorian one, which is around Spring Festival.
    """
    panel = view.panel
    days, asked = same_days(panel.day[at])
    found = np.full(days.shape, -1, np.int64)
    scan_earlier(
        panel.start,
        panel.series_at(at),
        panel.day,
        view.real,
        view.rebased,
        at,
        days,
        asked,
        TOLERANCE[Lag.YEAR],
        found,
    )
    row, column = np.nonzero(found >= 0)
    there = found[row, column]
    change = ratio(panel.value[at[row]], panel.value[there]).tolist()
    times, values = panel.time[there].tolist(), panel.value[there].tolist()
    every = [
        Earlier(1 + c // 2, CALENDARS[c % 2], utc(t), v, x)
        for c, t, v, x in zip(column.tolist(), times, values, change, strict=True)
    ]
    bounds = np.searchsorted(row, np.arange(len(at) + 1)).tolist()
    return [tuple(every[a:b]) for a, b in pairwise(bounds)]


def same_days(day: Day) -> tuple[NDArray[np.int32], BoolArray]:
    """int32[n, 2 * YEARS]: the days that each is compared with, by both calendars year after year; and which of them
    are asked for: the lunar one only where it is another day."""
    columns, asked = [], []
    for years in range(1, YEARS + 1):
        gregorian = same_date(day, years)
        by_moon = lunar.years_earlier(day, years, gregorian)
        columns += [gregorian, by_moon]
        asked += [np.ones(len(day), np.bool_), by_moon != gregorian]
    return np.stack(columns, axis=1), np.stack(asked, axis=1)


def same_date(days: Day, years: int) -> Day:
    """The same day of the same month so many years before (28 February for the 29th)."""
    date = days.astype("datetime64[D]")
    month = date.astype("datetime64[M]")
    of_month = (date - month.astype("datetime64[D]")).astype(np.int64)
    return clipped(month - 12 * years, of_month).astype(np.int32)


@compiled
def scan_earlier(
    start: IntArray,
    series: NDArray[np.int32],
    day: Day,
    real: BoolArray,
    rebased: BoolArray,
    at: IntArray,
    days: NDArray[np.int32],
    asked: BoolArray,
    tolerance: int,
    found: IntArray,
) -> None:
    """Fill `found` with positions; a new level is compared with nothing before it."""
    for k in range(len(at)):
        first = at[k]
        while first > start[series[k]] and not rebased[first]:
            first -= 1
        for c in range(days.shape[1]):
            if not asked[k, c]:
                continue
            i = first + np.searchsorted(day[first : at[k]], days[k, c], "right") - 1
            while i >= first and not real[i]:
                i -= 1
            if i >= first and day[i] >= days[k, c] - tolerance:
                found[k, c] = i
