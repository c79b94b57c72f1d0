"""Cells: the observations of one group on one day, in order of time, for kernels that look across series."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thresholds.kernels.jit import compiled
from thresholds.model import BoolArray, IntArray
from thresholds.panel import Panel

Codes = NDArray[np.int32]


@dataclass(frozen=True)
class Cells:
    """Rows of a panel by cell (group and day) and time.

    at     int64[m], positions into the panel, cell by cell in order of time
    start  int64[cells + 1], where each cell begins in `at`
    slot   int64[m], number of the point within its cell: a point that reports again keeps its number
    """

    at: IntArray
    start: IntArray
    slot: IntArray


def cells(panel: Panel, keep: BoolArray, group: Codes | None = None) -> Cells:
    """Sort the observations where `keep` into cells. `group` int32[n_series] is that of the panel unless given."""
    at = np.flatnonzero(keep)
    if not len(at):
        return Cells(at, np.zeros(1, np.int64), np.empty(0, np.int64))
    code = panel.group if group is None else group
    series, day = panel.series[at], panel.day[at]
    first, days = int(day.min()), int(day.max()) - int(day.min()) + 1
    cell = code[series].astype(np.int64) * days + (day - first)
    if days * (int(code.max()) + 1) > 4 * len(at) + 1000:  # too sparse for a table of all cells
        cell = np.unique(cell, return_inverse=True)[1].astype(np.int64)
    visit = np.zeros(len(at), np.int64)  # number of (series, day)
    np.cumsum((series[1:] != series[:-1]) | (day[1:] != day[:-1]), out=visit[1:])
    order, start, slot = scan_sort(cell, panel.time[at], visit, int(cell.max()) + 1)
    return Cells(at[order], start, slot)


@compiled
def scan_sort(cell: IntArray, time: IntArray, visit: IntArray, n_cells: int) -> tuple[IntArray, IntArray, IntArray]:
    """Order by cell, then time, then place; beginnings of the cells that hold something; slots. By counting."""
    n = len(cell)
    begin = np.zeros(n_cells + 1, np.int64)
    for i in range(n):
        begin[cell[i] + 1] += 1
    filled = 0
    for c in range(n_cells):
        filled += begin[c + 1] > 0
        begin[c + 1] += begin[c]
    order, start, slot = np.empty(n, np.int64), np.empty(filled + 1, np.int64), np.empty(n, np.int64)
    free = begin[:-1].copy()
    for i in range(n):
        order[free[cell[i]]] = i
        free[cell[i]] += 1
    slot_of = np.full(visit[-1] + 1, -1, np.int64)
    filled = 0
    for c in range(n_cells):
        first, last = begin[c], begin[c + 1]
        if first == last:
            continue
        start[filled] = first
        filled += 1
        rows = order[first:last]
        for i in range(1, last - first):  # in order already where all report at one hour
            if time[rows[i]] < time[rows[i - 1]]:
                rows[:] = rows[np.argsort(time[rows], kind="mergesort")]
                break
        count = 0
        for i in range(last - first):
            v = visit[rows[i]]
            if slot_of[v] < 0:
                slot_of[v] = count
                count += 1
            slot[first + i] = slot_of[v]
    start[filled] = n
    return order, start, slot


@dataclass(frozen=True)
class Days:
    """Observations by group and moment, as a history of the group.

    at      int64[m], positions into the panel, group by group in order of time
    moment  int64[m], number of the (group, time) that each belongs to
    last    int64[moments], position of the last row of each moment
    start   int64[groups + 1], where the moments of each group begin
    final   bool[moments], the last moment of its day: it stands for the day in later days' history
    """

    at: IntArray
    moment: IntArray
    last: IntArray
    start: IntArray
    final: BoolArray

    @classmethod
    def of(cls, panel: Panel, where: Cells, known: BoolArray) -> Days:
        """Of the rows of `where` that are `known`, bool[n] of the panel."""
        keep = known[where.at]
        at = where.at[keep]
        if not len(at):
            none = np.empty(0, np.int64)
            return cls(at, none, none, np.zeros(1, np.int64), np.empty(0, np.bool_))
        cell = np.repeat(np.arange(len(where.start) - 1), np.diff(where.start))[keep]
        turn = cell[1:] != cell[:-1]
        ends = np.append(turn | (panel.time[at[1:]] != panel.time[at[:-1]]), True)
        moment = np.cumsum(ends) - ends
        last = at[ends]
        group = panel.group[panel.series[last]]
        start = np.flatnonzero(np.append(True, group[1:] != group[:-1]))
        return cls(at, moment, last, np.append(start, len(last)), np.append(turn, True)[ends])
