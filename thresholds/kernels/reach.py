"""Reach: in how many areas, or of how many items, something holds on one day, as far as was known by each time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from thresholds.kernels.cells import Codes, Places, cells, longest
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
    where = cells(panel, pool)
    sheet = (where.moment, where.cell, where.group, where.at, where.slot, truth, panel.series, label)
    over_series(where.rows, lambda a, b: scan_reach(*sheet, int(label.max()) + 1, found, a, b))
    return found


@compiled
def scan_reach(
    moment: IntArray,
    cell: IntArray,
    group: IntArray,
    at: Places,
    slot: Places,
    truth: NDArray[np.int8],
    series: Places,
    label: Codes,
    n_labels: int,
    found: IntArray,
    first: int,
    last: int,
) -> None:
    count = np.zeros(n_labels, np.int64)  # series of each label that are true now
    true = np.zeros(longest(cell, moment, group[first], group[last]), np.bool_)  # by slot
    for c in range(group[first], group[last]):
        begin, end = moment[cell[c]], moment[cell[c + 1]]
        true[: end - begin] = False
        labels = 0
        for m in range(cell[c], cell[c + 1]):
            for a in range(moment[m], moment[m + 1]):
                now = truth[at[a]] == 1
                k = label[series[at[a]]]
                if now and not true[slot[a]]:
                    count[k] += 1
                    labels += count[k] == 1
                elif true[slot[a]] and not now:
                    count[k] -= 1
                    labels -= count[k] == 0
                true[slot[a]] = now
            for a in range(moment[m], moment[m + 1]):
                found[at[a]] = labels
        for a in range(begin, end):
            count[label[series[at[a]]]] = 0
