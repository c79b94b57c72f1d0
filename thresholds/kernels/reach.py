"""Reach: in how many areas, or of how many items, something holds within some days, as far as was known by then."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from thresholds.kernels.cells import Codes, Places, cells, longest
from thresholds.kernels.jit import compiled, over_series
from thresholds.model import IntArray
from thresholds.panel import Day, Panel

NEVER = -(2**40)
"""A day before all days."""


def reach(panel: Panel, truth: NDArray[np.int8], pool: Codes, label: Codes, days: int = 1) -> IntArray:
    """int64[n]: how many labels of the observation's pool have a series that is true, that day up to its time, or was
    at the end of one of the `days - 1` days before.

    truth  int8[n], answers; each series stands with its newest answer of a day
    pool   int32[n_series], what is counted together, -1 for not counted (there the result is 0)
    label  int32[n_series], what is counted: number of the area or of the item, from 0
    """
    found = np.zeros(len(panel), np.int64)
    where = cells(panel, pool)
    sheet = (where.moment, where.cell, where.group, where.at, where.slot, truth, panel.series, panel.day, label)
    over_series(where.rows, lambda a, b: scan_reach(*sheet, int(label.max()) + 1, days, found, a, b))
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
    day: Day,
    label: Codes,
    n_labels: int,
    days: int,
    found: IntArray,
    first: int,
    last: int,
) -> None:
    count = np.zeros(n_labels, np.int64)  # series of each label that are true now
    until = np.full(n_labels, NEVER)  # last day on which a label counts by what it was at the end of another
    late = np.empty(n_labels, np.int64)  # the labels of which that is today or later
    true = np.zeros(longest(cell, moment, group[first], group[last]), np.bool_)  # by slot
    for g in range(first, last):
        kept = 0
        for c in range(group[g], group[g + 1]):
            begin, end = moment[cell[c]], moment[cell[c + 1]]
            today = np.int64(day[at[begin]])
            true[: end - begin] = False
            labels = 0
            for j in range(kept):
                k = late[j]
                if until[k] >= today:
                    late[labels] = k
                    labels += 1
                else:
                    until[k] = NEVER
            kept = labels
            for m in range(cell[c], cell[c + 1]):
                for a in range(moment[m], moment[m + 1]):
                    now = truth[at[a]] == 1
                    k = label[series[at[a]]]
                    alone = until[k] < today  # it counts by what is true today alone
                    if now and not true[slot[a]]:
                        count[k] += 1
                        labels += alone and count[k] == 1
                    elif true[slot[a]] and not now:
                        count[k] -= 1
                        labels -= alone and count[k] == 0
                    true[slot[a]] = now
                for a in range(moment[m], moment[m + 1]):
                    found[at[a]] = labels
            for a in range(begin, end):
                k = label[series[at[a]]]
                if count[k] > 0 and days > 1:
                    if until[k] < today:
                        late[kept] = k
                        kept += 1
                    until[k] = today + days - 1
                count[k] = 0
        for j in range(kept):
            until[late[j]] = NEVER
