"""Dispersion: how far the prices of a group lie apart between its points, against the group's own earlier days."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

import numpy as np

from thresholds.kernels.cells import Cells, Places, longest
from thresholds.kernels.crosssection import middle_of, take_in
from thresholds.kernels.jit import compiled, over_series
from thresholds.kernels.robust import middle_distance, robust_scores
from thresholds.model import BoolArray, FloatArray, IntArray

SAME = 0.005
"""Least dispersion that is told from none, in log: prices set alike everywhere are half a percent apart at most."""
CALM = 0.1
"""Least scale of the dispersion's own history, in log: a tenth more or less is never remarkable."""


@dataclass(frozen=True, slots=True)
class Dispersion:
    """Per moment of its cells: robust scale of log prices between the points of the group that day so far (NaN: too
    few), how often it is the median of earlier days (`times`), the robust scale of its logarithm on them (`scale`),
    and of how many points and earlier days each was made. `keep` says which rows of the panel count.
    """

    keep: BoolArray
    value: FloatArray
    times: FloatArray
    scale: FloatArray
    points: IntArray
    n_used: IntArray

    def at(self, where: Cells, column: FloatArray | IntArray, rows: IntArray) -> FloatArray:
        """float64: a column at rows of the panel, NaN for those that do not count."""
        return np.where(self.keep[rows], column[where.of_row[rows]], nan)


def dispersion(
    where: Cells, value: FloatArray, usable: BoolArray, points: int = 5, window: int = 60, least: int = 20
) -> Dispersion:
    """How far the points of a group lie apart, against the group's own earlier days.

    value = 1.4826 * MAD of log prices. It is compared on a log scale with the days before, each with what was known
    at its end: log v - median, and the scale of `robust_scores`, floored at a tenth.

    value   float64[n], prices
    usable  bool[n], those that may count, where positive
    points  fewest points; a day with fewer is no part of the history either
    window  days of history, `least` the fewest of them
    """
    keep = usable & (value > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        price = np.log(value)
    apart, counts = np.full(where.n_moments, nan), np.zeros(where.n_moments, np.int64)
    sheet = (where.moment, where.cell, where.group, where.at, where.slot, keep, price)
    over_series(where.rows, lambda a, b: scan_dispersion(*sheet, points, apart, counts, a, b))
    log = np.log(np.maximum(apart, SAME))
    scores = robust_scores(where.history, log, where.ends, np.full(len(log), CALM), window, least)
    return Dispersion(keep, apart, np.exp(log - scores.median), scores.scale, counts, scores.n_used)


@compiled
def scan_dispersion(
    moment: IntArray,
    cell: IntArray,
    group: IntArray,
    at: Places,
    slot: Places,
    keep: BoolArray,
    price: FloatArray,
    points: int,
    value: FloatArray,
    counts: IntArray,
    first: int,
    last: int,
) -> None:
    ordered = np.empty(longest(cell, moment, group[first], group[last]))
    held = ordered.copy()  # by slot
    for c in range(group[first], group[last]):
        begin = moment[cell[c]]
        held[: moment[cell[c + 1]] - begin] = np.nan
        count = 0
        for m in range(cell[c], cell[c + 1]):
            end = moment[m + 1]
            count = take_in(moment[m], end, end - begin, at, slot, keep, price, held, ordered, count)
            counts[m] = count
            if count >= points:
                value[m] = 1.4826 * distance_of(ordered, count, middle_of(ordered, count))


@compiled
def distance_of(ordered: FloatArray, count: int, middle: float) -> float:
    """Median distance of the ordered values from `middle`, their median."""
    low = int(np.searchsorted(ordered[:count], middle, "left")) - 1
    high = int(np.searchsorted(ordered[:count], middle, "right"))
    wanted = count // 2 + 1 - (high - low - 1)
    if wanted <= 0:
        return 0.0
    return middle_distance(ordered, count, middle, low, high, wanted, count % 2 == 0)
