"""Publisher outage: counts that fall to near nothing are missing data, not calm.

The level of a series is the median of its newest twelve accepted counts. On one day of one publisher (point and
channel), as far as reported by then:

together  at least 3 series with a level of 5 or more, and 60 % of those that reported, at or below a tenth of it: out
partly    at least 5 such series, and 60 % of them, at or below half: the day's counts are incomplete
alone     one series, steady so far, with a level of 20 or more, at or below a fiftieth

While a publisher is out none of its counts below their level counts. What is out stays out of the level; the first
count that is not low again is compared with the level from before, so the return is no surge. After 24 reports in a
row the new level is believed. Use for counts only: a price does not fall to nothing. Real case: a complaints
register whose extract stopped from 2023-04 to 2023-10 (a handful a month instead of 80,000) with half a month before.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from thresholds.kernels.jit import compiled
from thresholds.model import BoolArray, FloatArray, IntArray
from thresholds.panel import Day, Panel, codes_of

WINDOW = 12
LEAST = 6
"""Accepted counts before there is a level."""
NOTHING, HALF, ALONE = 0.1, 0.5, 0.02
TOGETHER_SERIES, TOGETHER_SHARE = 3, 0.6
PARTLY_SERIES, PARTLY_SHARE = 5, 0.6
LEVEL, LEVEL_ALONE = 5.0, 20.0
STEADY = 0.25
"""A series is steady where its lowest accepted count was no less than this share of its level."""
BELIEVED = 24


class Outage(IntEnum):
    """What is the matter with a count."""

    NONE = 0
    OUT = 1
    """missing data: neither tested nor baseline"""
    RETURN = 2
    """the first count after an outage; a count like any other, compared with those from before it"""


def outages(panel: Panel, counts: BoolArray, usable: BoolArray) -> NDArray[np.uint8]:
    """uint8[n] of Outage.

    counts  bool[n_series], series that count things (thresholds.catalogue.Measure.COUNT); others are never out
    usable  bool[n], what may enter a level (no reviewed errors)

    The panel should hold all series of a publisher: with one of them only, it is judged alone.
    """
    state = np.zeros(len(panel), np.uint8)
    rows = np.flatnonzero(counts[panel.series]) if len(panel) else np.empty(0, np.int64)
    if not len(rows):
        return state
    publisher = codes_of([(k.point, k.channel) for k in panel.keys])[panel.series[rows]]
    order = np.lexsort((panel.series[rows], panel.time[rows], publisher))
    rows = rows[order]
    scan_outages(
        rows, publisher[order], panel.series, panel.n_series, panel.time, panel.day, panel.value, usable, state
    )
    return state


@compiled
def scan_outages(
    rows: IntArray,
    publisher: NDArray[np.int32],
    series: NDArray[np.int32],
    n_series: int,
    time: IntArray,
    day: Day,
    value: FloatArray,
    usable: BoolArray,
    state: NDArray[np.uint8],
) -> None:
    ring = np.empty((n_series, WINDOW))
    known = np.zeros(n_series, np.int64)
    out = np.zeros(n_series, np.int64)  # reports in a row that were out
    level = np.full(n_series, np.nan)
    heard = half = nothing = 0  # today, of the series with a level: reported, at most half, near nothing
    a = 0
    while a < len(rows):
        if a == 0 or publisher[a] != publisher[a - 1] or day[rows[a]] != day[rows[a - 1]]:
            heard = half = nothing = 0
        b = a
        while b < len(rows) and publisher[b] == publisher[a] and time[rows[b]] == time[rows[a]]:
            s, v = series[rows[b]], value[rows[b]]
            if level[s] >= LEVEL:
                heard += 1
                half += v <= HALF * level[s]
                nothing += v <= NOTHING * level[s]
            b += 1
        gone = nothing >= TOGETHER_SERIES and nothing >= TOGETHER_SHARE * heard
        gone = gone or (half >= PARTLY_SERIES and half >= PARTLY_SHARE * heard)
        for i in rows[a:b]:
            s, v = series[i], value[i]
            low = v <= ALONE * level[s] and level[s] >= LEVEL_ALONE
            low = low and ring[s, : min(known[s], WINDOW)].min() >= STEADY * level[s]
            still = out[s] > 0 and v <= NOTHING * level[s]  # what is out stays out until it is heard again
            if (low or still or (gone and v < level[s])) and out[s] < BELIEVED:
                state[i] = 1
                out[s] += 1
                continue
            if out[s] >= BELIEVED:  # this is how it is now
                known[s] = 0
                level[s] = np.nan
            elif out[s] > 0:
                state[i] = 2
            out[s] = 0
            if usable[i]:
                ring[s, known[s] % WINDOW] = v
                known[s] += 1
                if known[s] >= LEAST:
                    level[s] = np.median(ring[s, : min(known[s], WINDOW)])
        a = b
