"""Reach: in how many areas, or of how many items, something holds on one day, as far as was known by each time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from thresholds.kernels.cells import Codes, cells
from thresholds.kernels.jit import compiled, over_series
from thresholds.model import IntArray
from thresholds.panel import Panel


def reach(panel: Panel, truth: NDArray[np.int8], pool: Codes, label: Codes) -> IntArray:
    """int64[n]: how many labels of the observation's pool have a series that is true, that day up to its time.

    truth  int8[n], answers; each series stands with its newest answer of the day
    pool   int32[n_series], what is counted together, -1 for not counted (there the result is 0)
    label  int32[n_series], what is counted: number of the area or of the item, from 0
    """
    found = np.zeros(len(panel), np.int64)
    where = cells(panel, pool[panel.series] >= 0, pool)
    if not len(where.at):
        return found
    of_row = label[panel.series[where.at]]
    over_series(
        where.start,
        lambda a, b: scan_reach(
            where.start, where.at, where.slot, panel.time, truth, of_row, int(label.max()) + 1, found, a, b
        ),
    )
    return found


@compiled
def scan_reach(
    start: IntArray,
    at: IntArray,
    slot: IntArray,
    time: IntArray,
    truth: NDArray[np.int8],
    label: Codes,
    n_labels: int,
    found: IntArray,
    first: int,
    last: int,
) -> None:
    count = np.zeros(n_labels, np.int64)  # series of each label that are true now
    for c in range(first, last):
        begin, end = start[c], start[c + 1]
        true = np.zeros(end - begin, np.bool_)  # by slot
        labels = 0
        a = begin
        while a < end:
            b = a
            while b < end and time[at[b]] == time[at[a]]:
                now = truth[at[b]] == 1
                k = label[b]
                if now and not true[slot[b]]:
                    count[k] += 1
                    labels += count[k] == 1
                elif true[slot[b]] and not now:
                    count[k] -= 1
                    labels -= count[k] == 0
                true[slot[b]] = now
                b += 1
            for i in range(a, b):
                found[at[i]] = labels
            a = b
        for i in range(begin, end):
            count[label[i]] = 0
