"""Breadth and diffusion: how many points of a group do alike on one day, as far as was known by each time."""

from __future__ import annotations

from math import nan

import numpy as np
from numpy.typing import NDArray

from thresholds.kernels.cells import Cells, Places, longest
from thresholds.kernels.charts import quantile_of
from thresholds.kernels.jit import compiled, over_series
from thresholds.kernels.robust import bring_up_to
from thresholds.model import BoolArray, FloatArray, IntArray

SLACK = 1e-9
"""Shares that differ by less are the same."""
NOT_COUNTED = -2


def broad(
    where: Cells,
    truth: NDArray[np.int8],
    tested: BoolArray,
    at_least: int,
    share: float = 0.0,
    unusual: float | None = None,
    window: int = 250,
    least: int = 60,
) -> NDArray[np.int8]:
    """int8[n]: 1 where an answer is true as are so many of its group that day so far, 0 where not, -1 unknown.

    truth   int8[n], answers; each series stands once, with its newest one of the day up to the time of the
            observation: what comes later on the same day is not known yet. Those not `tested` are unknown
    share   and of the known ones at least this share
    unusual and a greater share than this quantile of the shares of earlier days, each at its end
    window  of `unusual`: days of history; `least` the fewest of them, with fewer the answer is unknown

    Points of one town move together: were the share binomial, half of them moving at once would never happen, and it
    happens every week (`binomial_tail`). So the share is compared with what it has been.
    """
    found = np.empty(len(truth), np.int8)
    known, hit = (np.zeros(where.n_moments, np.bool_) for _ in range(2))
    halves = np.array([0, len(truth) // 2, len(truth)])
    first = (where.of_row, truth, tested, found, known, hit)
    over_series(halves, lambda a, b: scan_answers(*first, halves[a], halves[b]))
    sheet = (where.moment, where.cell, where.group, where.at, where.slot, truth, tested, known, hit)
    quantile = nan if unusual is None else unusual
    over_series(where.rows, lambda a, b: scan_broad(*sheet, at_least, share, quantile, window, least, found, a, b))
    return found


@compiled
def scan_answers(
    of_row: Places,
    truth: NDArray[np.int8],
    tested: BoolArray,
    found: NDArray[np.int8],
    known: BoolArray,
    hit: BoolArray,
    first: int,
    last: int,
) -> None:
    """Take no answer for broad yet, and mark the moments at which something is known, and is true. (Threads may mark
    the same moment: they write the same.)"""
    for i in range(first, last):
        answer = truth[i] if tested[i] and of_row[i] >= 0 else np.int8(-1)
        found[i] = min(answer, np.int8(0))
        if answer >= 0:
            known[of_row[i]] = True
        if answer == 1:
            hit[of_row[i]] = True


@compiled
def scan_broad(
    moment: IntArray,
    cell: IntArray,
    group: IntArray,
    at: Places,
    slot: Places,
    truth: NDArray[np.int8],
    tested: BoolArray,
    known: BoolArray,
    hit: BoolArray,
    at_least: int,
    share: float,
    quantile: float,
    window: int,
    least: int,
    found: NDArray[np.int8],
    first: int,
    last: int,
) -> None:
    """Look at the days on which something is true; of the others, only whether their share, zero, is known."""
    answer = np.empty(longest(cell, moment, group[first], group[last]), np.int8)
    ordered = np.empty(window)
    for g in range(first, last):
        past = np.empty(group[g + 1] - group[g])  # shares of the days so far
        days, sorted_to = 0, 0
        for c in range(group[g], group[g + 1]):
            begin, end = cell[c], cell[c + 1]
            if not hit[begin:end].any():
                if known[begin:end].any():
                    past[days] = 0.0
                    days += 1
                continue
            answer[: moment[end] - moment[begin]] = -1
            hits, counted, ended = 0, 0, 0.0
            for m in range(begin, end):
                for k in range(moment[m], moment[m + 1]):
                    new = truth[at[k]] if tested[at[k]] else np.int8(-1)
                    old = answer[slot[k]]
                    hits += (new == 1) - (old == 1)
                    counted += (new >= 0) - (old >= 0)
                    answer[slot[k]] = new
                if counted == 0:
                    continue
                ended = hits / counted
                if not hit[m] or hits < at_least or hits < share * counted:
                    continue
                now = 1
                if not np.isnan(quantile):
                    now = -1
                    if days >= least:
                        bring_up_to(ordered, window, past, sorted_to, days)
                        sorted_to = days
                        now = ended - quantile_of(ordered, min(days, window), quantile) > SLACK
                for k in range(moment[m], moment[m + 1]):
                    if answer[slot[k]] == 1:  # a series reports once at a time
                        found[at[k]] = now
            past[days] = ended
            days += 1


def diffusion(where: Cells, moved: NDArray[np.int8], points: int = 5) -> tuple[FloatArray, IntArray]:
    """Per moment: share that rose less share that fell, -1 to 1 (NaN: too few), and of how many series.

    moved  int8[n], 1 rose, -1 fell, 0 neither, anything else unknown
    points fewest series known that day so far
    """
    index, counts = np.full(where.n_moments, nan), np.zeros(where.n_moments, np.int64)
    sheet = (where.moment, where.cell, where.group, where.at, where.slot, moved)
    over_series(where.rows, lambda a, b: scan_diffusion(*sheet, points, index, counts, a, b))
    return index, counts


@compiled
def scan_diffusion(
    moment: IntArray,
    cell: IntArray,
    group: IntArray,
    at: Places,
    slot: Places,
    moved: NDArray[np.int8],
    points: int,
    index: FloatArray,
    counts: IntArray,
    first: int,
    last: int,
) -> None:
    answer = np.empty(longest(cell, moment, group[first], group[last]), np.int8)
    for c in range(group[first], group[last]):
        answer[: moment[cell[c + 1]] - moment[cell[c]]] = NOT_COUNTED
        balance, known = 0, 0
        for m in range(cell[c], cell[c + 1]):
            for k in range(moment[m], moment[m + 1]):
                old, new = answer[slot[k]], moved[at[k]]
                if -1 <= old <= 1:
                    balance -= old
                    known -= 1
                if -1 <= new <= 1:
                    balance += new
                    known += 1
                answer[slot[k]] = new
            counts[m] = known
            if known >= points:
                index[m] = balance / known


def binomial_tail(hits: IntArray, known: IntArray, rate: float) -> FloatArray:
    """Chance of at least so many hits among `known` independent points that each hit at `rate`.

    For comparison only: points are not independent, see `usual_share`.
    """
    from scipy.special import bdtrc  # a tenth of a second: not at start

    return np.where(hits > 0, bdtrc(np.maximum(hits - 1, 0), known, rate), 1.0)
