"""Scans along time: run lengths, and counts across series on the same day, each without looking ahead."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from thresholds.kernels.jit import compiled, over_series
from thresholds.model import BoolArray, IntArray


def run_length(start: IntArray, hit: BoolArray, tested: BoolArray) -> NDArray[np.int32]:
    """int32[n]: for how many tested observations in a row `hit` has been true, up to and including each.

    An observation that is not tested (a suspected error) neither counts nor breaks the run.
    """
    run = np.zeros(len(hit), np.int32)
    over_series(start, lambda a, b: scan_runs(start, hit, tested, run, a, b))
    return run


@compiled
def scan_runs(
    start: IntArray, hit: BoolArray, tested: BoolArray, run: NDArray[np.int32], first: int, last: int
) -> None:
    for s in range(first, last):
        length = 0
        for i in range(start[s], start[s + 1]):
            if tested[i]:
                length = length + 1 if hit[i] else 0
                run[i] = length


def so_far(cell: IntArray, time: IntArray, *gains: IntArray) -> list[IntArray]:
    """Sums of each of `gains` over the rows of the same cell up to and including each row's time."""
    n = len(cell)
    if n == 0:
        return [np.zeros(0, np.int64) for _ in gains]
    order = np.lexsort((time, cell))
    cells, times = cell[order], time[order]
    begins = np.append(True, np.diff(cells) != 0)
    ends = np.append((np.diff(cells) != 0) | (np.diff(times) != 0), True)  # the last row of a cell's time
    first = np.maximum.accumulate(np.where(begins, np.arange(n), 0))
    last = np.flatnonzero(ends)[np.cumsum(np.append(0, ends[:-1]))]
    found = []
    for gain in gains:
        total = np.cumsum(gain[order])
        sums = np.empty(n, np.int64)
        sums[order] = total[last] - total[first] + gain[order][first]
        found.append(sums)
    return found
