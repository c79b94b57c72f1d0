"""Cells: the observations of one group on one day, in order of time, for kernels that look across series.

They are made once for a panel, of all its rows, and serve every kernel: a kernel passes over what it does not count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thresholds.kernels.jit import compiled, over_series
from thresholds.model import BoolArray, IntArray
from thresholds.panel import Day, Panel

Codes = NDArray[np.int32]
Places = NDArray[np.int32]

INSIDE, LAST, LAST_OF_DAY = 0, 1, 2
"""What a row is within its moment."""
SPARSE, SPARE = 4, 1000
"""Days are counted in a table of up to so many days per row, and so many more; else they are sorted."""


@dataclass(frozen=True)
class Cells:
    """Rows of a panel by group, day and moment (time), each level as beginnings within the next lower one.

    at      int32[m], positions into the panel, in order of group, day, time
    slot    int32[m], number of the point within its cell, in order of first appearance: a point that reports again
            keeps its number
    moment  int64[moments + 1], where the rows of each moment begin in `at`
    cell    int64[cells + 1], where the moments of each cell (group and day) begin
    group   int64[groups + 1], where the cells of each group begin
    rows    int64[groups + 1], where the rows of each group begin in `at`
    of_row  int32[n], number of the moment of each row of the panel, -1 where it is in no group
    series  int64[k], the series of the groups, group by group; `bounds` int64[groups + 1], where each begins
    """

    at: Places
    slot: Places
    moment: IntArray
    cell: IntArray
    group: IntArray
    rows: IntArray
    of_row: Places
    series: IntArray
    bounds: IntArray

    @property
    def n_moments(self) -> int:
        return len(self.moment) - 1

    @property
    def ends(self) -> BoolArray:
        """bool[moments], the last one of its day: it stands for the day in the history of later days."""
        ends = np.zeros(self.n_moments, np.bool_)
        ends[self.cell[1:] - 1] = True
        return ends

    @property
    def history(self) -> IntArray:
        """int64[groups + 1], where the moments of each group begin."""
        return self.cell[self.group]


def cells(panel: Panel, group: Codes | None = None) -> Cells:
    """All observations by `group`, int32[n_series], from 0, -1 for series left out; None: those of the panel."""
    code = panel.group if group is None else group
    members = np.argsort(code, kind="stable")[np.count_nonzero(code < 0) :]
    bounds = np.searchsorted(code[members], np.arange(int(code.max(initial=-1)) + 2))
    counts = np.diff(panel.start)[members]
    rows = np.concatenate([[0], np.cumsum(counts)])[bounds].astype(np.int64)
    n = int(rows[-1])
    at, slot, kind = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.uint8)
    of_row = np.full(len(panel), -1, np.int32) if n < len(panel) else np.empty(n, np.int32)
    series = panel.series
    over_series(
        rows,
        lambda a, b: scan_groups(
            panel.start, series, panel.day, panel.time, members, bounds, rows, at, slot, kind, of_row, a, b
        ),
    )
    last = np.flatnonzero(kind)
    moment = np.append(0, last + 1)
    cell = np.append(0, np.flatnonzero(kind[last] == LAST_OF_DAY) + 1)
    over_series(rows, lambda a, b: scan_moments(at, moment, rows, of_row, a, b))
    return Cells(at, slot, moment, cell, np.searchsorted(moment[cell], rows), rows, of_row, members, bounds)


@compiled
def scan_groups(
    start: IntArray,
    series: Places,
    day: Day,
    time: IntArray,
    members: IntArray,
    bounds: IntArray,
    rows: IntArray,
    at: Places,
    slot: Places,
    kind: NDArray[np.uint8],
    slot_of: Places,
    first: int,
    last: int,
) -> None:
    """Fill order, slots and kinds of rows of some groups; `slot_of` is written at the rows of these groups only."""
    for g in range(first, last):
        begin, end = rows[g], rows[g + 1]
        if begin == end:
            continue
        some = members[bounds[g] : bounds[g + 1]]
        by_day(start, day, some, at[begin:end])
        if plain(start, day, time, some):
            opened = begin
            for k in range(begin, end):
                slot[k] = k - opened
                kind[k] = INSIDE
                if k + 1 == end or day[at[k + 1]] != day[at[k]]:
                    kind[k] = LAST_OF_DAY
                    opened = k + 1
            continue
        a = begin
        while a < end:
            b = a + 1
            ordered = True
            while b < end and day[at[b]] == day[at[a]]:
                ordered = ordered and time[at[b]] >= time[at[b - 1]]
                b += 1
            if not ordered:
                at[a:b] = at[a:b][np.argsort(time[at[a:b]], kind="mergesort")]
            count = 0
            for k in range(a, b):
                p = at[k]
                if p > 0 and series[p - 1] == series[p] and day[p - 1] == day[p]:
                    slot_of[p] = slot_of[p - 1]
                else:
                    slot_of[p] = count
                    count += 1
                slot[k] = slot_of[p]
                if k + 1 == b:
                    kind[k] = LAST_OF_DAY
                else:
                    kind[k] = LAST if time[at[k + 1]] != time[p] else INSIDE
            a = b


@compiled
def plain(start: IntArray, day: Day, time: IntArray, members: IntArray) -> bool:
    """Whether the series report once a day at most, all at the same hour: as sheets with bare dates do."""
    hour = np.int64(-1)
    for s in members:
        for i in range(start[s], start[s + 1]):
            if hour < 0:
                hour = time[i] - np.int64(day[i]) * 86_400 + 86_400
            if time[i] - np.int64(day[i]) * 86_400 + 86_400 != hour or (i > start[s] and day[i] == day[i - 1]):
                return False
    return True


@compiled
def by_day(start: IntArray, day: Day, members: IntArray, at: Places) -> None:
    """Fill `at` with the rows of the series `members`, in order of day, then of the members."""
    low, high = np.int64(2**40), np.int64(-(2**40))
    for s in members:
        if start[s] < start[s + 1]:
            low = min(low, day[start[s]])
            high = max(high, day[start[s + 1] - 1])
    if high - low > SPARSE * len(at) + SPARE:
        n = 0
        for s in members:
            for i in range(start[s], start[s + 1]):
                at[n] = i
                n += 1
        at[:] = at[np.argsort(day[at], kind="mergesort")]
        return
    free = np.zeros(high - low + 2, np.int64)
    for s in members:
        for i in range(start[s], start[s + 1]):
            free[day[i] - low + 1] += 1
    for d in range(1, len(free)):
        free[d] += free[d - 1]
    for s in members:
        for i in range(start[s], start[s + 1]):
            d = day[i] - low
            at[free[d]] = i
            free[d] += 1


@compiled
def scan_moments(at: Places, moment: IntArray, rows: IntArray, of_row: Places, first: int, last: int) -> None:
    """Number the moments of the rows of some groups."""
    m = np.searchsorted(moment, rows[first], "right") - 1
    for k in range(rows[first], rows[last]):
        while moment[m + 1] <= k:
            m += 1
        of_row[at[k]] = m


def spread(where: Cells, answer: NDArray[np.int8], keep: BoolArray, other: int) -> NDArray[np.int8]:
    """int8[n]: the answer of the moment of each row where `keep`, `other` elsewhere."""
    found = np.empty(len(keep), np.int8)
    whole = np.array([0, len(keep) // 2, len(keep)])  # two halves, for two threads
    over_series(whole, lambda a, b: scan_spread(where.of_row, answer, keep, other, found, whole[a], whole[b]))
    return found


@compiled
def scan_spread(
    of_row: Places,
    answer: NDArray[np.int8],
    keep: BoolArray,
    other: int,
    found: NDArray[np.int8],
    first: int,
    last: int,
) -> None:
    for i in range(first, last):
        found[i] = answer[of_row[i]] if keep[i] else other


@compiled
def longest(where: IntArray, moment: IntArray, first: int, last: int) -> int:
    """Rows of the largest of the cells `first` to `last`."""
    rows = 0
    for c in range(first, last):
        rows = max(rows, moment[where[c + 1]] - moment[where[c]])
    return rows
