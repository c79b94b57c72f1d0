"""Stuck prices: the same figure for longer than a series is used to, while the other points of its group move.

Prices are sticky, so no number of days is right for all. A series that changes at p of its reports stays the same r
times in a row with a chance of (1 - p)^r. It is stuck where that is below 1 in 100,000, the run is half as long again
as any before, and most of the other points changed three times meanwhile. Where fewer than two others report, the
bounds are 1 in 10 million and twice. At least six reports and `least` days: what stands for a week is no news
anywhere.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from thresholds.kernels.jit import compiled, over_series
from thresholds.kernels.lone import newest
from thresholds.model import BoolArray, FloatArray, IntArray
from thresholds.panel import Panel

LEAST_REPORTS = 6
LEAST_CHANGES = 10
"""Changes before the habit of a series is known."""
RARE, RARE_ALONE = np.log(1e-5), np.log(1e-7)
LONGER, LONGER_ALONE = 1.5, 2.0
MOVED = 3
"""Changes of another point during the run that say it moved."""


@compiled
def how_rare(run: int, longest: int, changing: float) -> int:
    """2 where a run of equal values is rare enough for a point on its own, 1 for one among others that move, else 0.

    longest   longest run before
    changing  share of the reports before the run that began another value
    """
    chance = run * np.log(1.0 - min(changing, 0.99))
    if run >= LONGER_ALONE * longest and chance < RARE_ALONE:
        return 2
    return 1 if run >= LONGER * longest and chance < RARE else 0


def stuck(panel: Panel, accepted: Callable[[], BoolArray], at: IntArray, rare: NDArray[np.uint8]) -> IntArray:
    """Positions, rising, at which a price is first known to be stuck; once per run of the same value.

    at, rare  positions, rising, where a run is rare by itself, and how rare (`how_rare`)
    accepted  gives bool[n], what counts: others neither break a run nor lengthen it
    """
    if not len(at):
        return at
    changes = np.zeros(len(panel), np.int32)
    counted = accepted()
    asked = np.zeros(int(panel.group.max()) + 1, np.bool_)
    asked[panel.group[panel.series_at(at)]] = True
    wanted = asked[panel.group]
    over_series(panel.start, lambda a, b: scan_changes(panel.start, panel.value, counted, wanted, changes, a, b))
    members = np.argsort(panel.group, kind="stable")
    bounds = np.searchsorted(panel.group[members], np.arange(int(panel.group.max()) + 2))
    sure = np.zeros(len(at), np.bool_)
    judge(panel.start, panel.time, panel.series_at(at), panel.group, changes, at, rare > 1, members, bounds, sure)
    at = at[sure]
    run = changes[at].astype(np.int64) + panel.start[panel.series_at(at)] * 2  # one number per series and run
    return at[np.append(True, np.diff(run) != 0)] if len(at) else at


@compiled
def scan_changes(
    start: IntArray,
    value: FloatArray,
    accepted: BoolArray,
    wanted: BoolArray,
    changes: NDArray[np.int32],
    first: int,
    last: int,
) -> None:
    """How often the value of a wanted series has changed up to each row."""
    for s in range(first, last):
        if not wanted[s]:
            continue
        count = 0
        known = False
        before = 0.0
        for i in range(start[s], start[s + 1]):
            if accepted[i]:
                count += known and value[i] != before
                before = value[i]
                known = True
            changes[i] = count


@compiled
def judge(
    start: IntArray,
    time: IntArray,
    series: NDArray[np.int32],
    group: NDArray[np.int32],
    changes: NDArray[np.int32],
    at: IntArray,
    alone: BoolArray,
    members: IntArray,
    bounds: IntArray,
    sure: BoolArray,
) -> None:
    for k in range(len(at)):
        i = at[k]
        s = series[k]
        begin = i
        while begin > start[s] and changes[begin - 1] == changes[i]:
            begin -= 1
        heard = 0
        moved = 0
        for other in members[bounds[group[s]] : bounds[group[s] + 1]]:
            if other == s:
                continue
            then, now = newest(start, time, other, time[begin]), newest(start, time, other, time[i])
            if then < 0 or now == then:
                continue
            heard += 1
            moved += changes[now] - changes[then] >= MOVED
        sure[k] = 2 * moved > heard if heard >= 2 else alone[k]
