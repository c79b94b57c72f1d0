"""Scans along time: run lengths, and shares across series on the same day."""

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


def shares(
    group: NDArray[np.int32], day: NDArray[np.int32], truth: NDArray[np.int8]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """int32[n] twice: on each observation's day, how many of its group are true, and how many are known."""
    n = len(truth)
    if n == 0:
        return np.zeros(0, np.int32), np.zeros(0, np.int32)
    low = int(day.min())
    span = int(day.max()) - low + 1
    cell = group.astype(np.int64) * span + (day - low)
    n_cells = (int(group.max()) + 1) * span
    if n_cells > 8 * n:  # sparse: number the cells that occur
        _, cell = np.unique(cell, return_inverse=True)
        n_cells = int(cell.max()) + 1
    hits = np.bincount(cell[truth == 1], minlength=n_cells)
    known = np.bincount(cell[truth >= 0], minlength=n_cells)
    return hits[cell].astype(np.int32), known[cell].astype(np.int32)
