"""Composite indicators: one-sided HP gap, ratio of two series, systemic stress in the form of the CISS.

hp_gap  the value less its trend, the trend being the last value of a Hodrick-Prescott filter on the data until then.
        For each number of readings the last row of (I + lambda K'K)^-1 is a fixed vector of weights: no filter is run
        over and over. Credit-to-GDP: quarterly, lambda 400,000, gap in percentage points, 2 and 10 (BCBS 2010).
ratio   one price by another in the same unit, as it stood at the time of the first: hog by maize (猪粮比价)
ciss    ranks among all values so far, mean by group, and those weighted by their correlations: high where many groups
        are high together. Holló, Kremer, Lo Duca, ECB Working Paper 1426.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import numpy as np

from thresholds.kernels.jit import compiled, over_series
from thresholds.model import BoolArray, FloatArray, IntArray
from thresholds.panel import DAY, Day, Panel

LAMBDA = 400_000.0
MOST_READINGS = 400
"""Readings of a trend at most: a hundred years by quarter, beyond which earlier ones weigh nothing."""
HOLE = 2.6
"""An interval so many times the usual one is a hole, after which the trend begins anew: one may be missing."""


@lru_cache(maxsize=1024)
def hp_weights(n: int, smoothing: float = LAMBDA) -> FloatArray:
    """float64[n], read-only: weights of the last value of the two-sided HP trend of `n` >= 3 values."""
    from scipy.linalg import solveh_banded

    bands = np.zeros((3, n))  # upper form: the last row is the diagonal of I + lambda K'K
    bands[2] = 1.0
    for shift, row in ((0, 2), (1, 1), (2, 0)):
        for j, k in ((j, j + shift) for j in range(3 - shift)):
            part = np.array([1.0, -2.0, 1.0])[j] * np.array([1.0, -2.0, 1.0])[k]
            bands[row, k : n - 2 + k] += smoothing * part
    weights = np.zeros(n, np.longdouble)
    for _ in range(3):  # the matrix is ill-conditioned: what is left over is solved for again, in longer numbers
        bend = np.convolve(np.diff(weights, 2), (1.0, -2.0, 1.0))
        left = -weights - smoothing * bend
        left[-1] += 1.0
        weights = weights + solveh_banded(bands, left.astype(np.float64))
    weights = weights.astype(np.float64)
    weights.setflags(write=False)
    return cast(FloatArray, weights)


@dataclass(frozen=True, slots=True)
class Gap:
    """Per observation: trend and gap, in the unit of the series; NaN where there are too few readings."""

    trend: FloatArray
    gap: FloatArray
    n_used: IntArray


def hp_gap(panel: Panel, usable: BoolArray, smoothing: float = LAMBDA, least: int = 20) -> Gap:
    """The one-sided gap of every observation; its own value is part of its trend, as in the definition.

    Readings count one after another; those that are not usable are left out and get no gap, and a hole begins the
    series anew.
    """
    n = len(panel)
    run = np.zeros(n, np.int64)
    over_series(panel.start, lambda a, b: scan_regular(panel.start, panel.day, usable, run, a, b))
    found = Gap(np.full(n, np.nan), np.full(n, np.nan), np.zeros(n, np.int64))
    places = np.flatnonzero(usable)
    order = np.cumsum(usable) - 1
    length = np.minimum(run, MOST_READINGS)
    for size in np.unique(length[length >= max(least, 3)]).tolist():
        at = np.flatnonzero(length == size)
        window = places[order[at][:, None] + np.arange(1 - size, 1)]
        # einsum sums each row by itself in a fixed order: one row or many give the same bits, a BLAS product does not
        found.trend[at] = np.einsum("ij,j->i", panel.value[window], hp_weights(size, smoothing))
        found.n_used[at] = size
    found.gap[:] = panel.value - found.trend
    return found


@compiled
def scan_regular(start: IntArray, day: Day, usable: BoolArray, run: IntArray, first: int, last: int) -> None:
    """How many usable readings without a hole end at each usable observation."""
    for s in range(first, last):
        length = 0
        newest = 0
        usual = 0.0
        for i in range(start[s], start[s + 1]):
            if not usable[i]:
                continue
            gap = float(day[i] - newest)
            if length >= 2 and gap > HOLE * usual:
                length = 0
            elif length == 1:
                usual = gap
            elif length >= 2:
                usual += 0.2 * (gap - usual)
            length += 1
            newest = day[i]
            run[i] = length


GRAMS = {"克": 1.0, "g": 1.0, "斤": 500.0, "市斤": 500.0, "两": 50.0, "担": 50_000.0, "吨": 1e6, "t": 1e6}
GRAMS |= {"千克": 1000.0, "公斤": 1000.0, "kg": 1000.0}


def per_kilogram(unit: str) -> tuple[str, float] | None:
    """Currency, and the factor from the unit to that currency by kilogram: 元/50千克 -> ("元", 0.02).

    None where the unit is no price by weight.
    """
    text = unicodedata.normalize("NFKC", unit).casefold().replace(" ", "").replace("每", "/")
    money, slash, amount = text.partition("/")
    digits = amount[: len(amount) - len(amount.lstrip("0123456789."))]
    grams = GRAMS.get(amount[len(digits) :])
    try:
        number = float(digits or 1)
    except ValueError:
        return None
    if not slash or grams is None or number <= 0:
        return None
    return money, 1000.0 / (grams * number)


def conversion(unit: str, other: str) -> float | None:
    """Factor that brings a price in `unit` and one in `other` to the same unit (value * factor / value of other)."""
    if unit == other:
        return 1.0
    one, two = per_kilogram(unit), per_kilogram(other)
    if one is None or two is None or one[0] != two[0]:
        return None
    return one[1] / two[1]


@dataclass(frozen=True, slots=True)
class Ratio:
    """Per observation of the numerator: the ratio (NaN: nothing to divide by), and the divisor in the same unit."""

    ratio: FloatArray
    divisor: FloatArray
    n_used: IntArray
    """series behind the divisor"""


def ratios(
    panel: Panel, usable: BoolArray, numerator: Sequence[int], denominator: Sequence[int], max_age: int
) -> Ratio:
    """Ratio of the series `numerator` to the series `denominator`, at every observation of the former.

    The divisor is the mean of the newest usable values of the denominators at that time, none older than `max_age`
    days: those of the same area if there are any, else all. Series whose units do not go together are left out.
    """
    n = len(panel)
    found = Ratio(np.full(n, np.nan), np.full(n, np.nan), np.zeros(n, np.int64))
    for s in numerator:
        here = slice(int(panel.start[s]), int(panel.start[s + 1]))
        factors = [(d, conversion(panel.keys[s].unit, panel.keys[d].unit)) for d in denominator if d != s]
        parts = [(d, f) for d, f in factors if f is not None]
        if not parts or here.start == here.stop:
            continue
        standing = np.stack([stood(panel, usable, d, panel.time[here], max_age) / f for d, f in parts])
        near = np.array([panel.areas[d] == panel.areas[s] for d, _ in parts])
        local = standing[near]
        alone = np.isfinite(local).any(axis=0)
        mean_all, count_all = mean_of(standing)
        mean_near, count_near = mean_of(local)
        divisor = np.where(alone, mean_near, mean_all)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = panel.value[here] / divisor
        found.ratio[here] = np.where(divisor > 0, ratio, np.nan)
        found.divisor[here] = divisor
        found.n_used[here] = np.where(alone, count_near, count_all)
    return found


def stood(panel: Panel, usable: BoolArray, series: int, times: IntArray, max_age: int) -> FloatArray:
    """The newest usable value of `series` at each of `times`, NaN where it is older than `max_age` days."""
    here = slice(int(panel.start[series]), int(panel.start[series + 1]))
    keep = usable[here]
    time, value = panel.time[here][keep], panel.value[here][keep]
    if not len(time):
        return np.full(len(times), np.nan)
    k = np.searchsorted(time, times, "right") - 1
    fresh = (k >= 0) & (times - time[k] <= max_age * DAY)
    return np.where(fresh, value[k], np.nan)


def mean_of(rows: FloatArray) -> tuple[FloatArray, IntArray]:
    """Mean of what is known by column, NaN for nothing, and how many that are."""
    known = np.isfinite(rows)
    count = known.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: FloatArray = np.where(known, rows, 0.0).sum(axis=0) / count
    return mean, count.astype(np.int64)


def ecdf_ranks(values: FloatArray, least: int = 20) -> FloatArray:
    """float64[T, N]: share of the values so far, the present one included, that are no greater; in (0, 1].

    NaN where a value is missing or fewer than `least` are known.
    """
    ranks = np.full(values.shape, np.nan)
    scan_ranks(np.ascontiguousarray(values, np.float64), least, ranks)
    return ranks


@compiled
def scan_ranks(values: FloatArray, least: int, ranks: FloatArray) -> None:
    n, width = values.shape
    ordered = np.empty(n)
    for j in range(width):
        count = 0
        for i in range(n):
            x = values[i, j]
            if np.isnan(x):
                continue
            place = int(np.searchsorted(ordered[:count], x, "right"))
            for k in range(count, place, -1):
                ordered[k] = ordered[k - 1]
            ordered[place] = x
            count += 1
            if count >= least:
                ranks[i, j] = (place + 1) / count


def ciss(
    values: FloatArray, groups: Sequence[int], weights: Sequence[float] | None = None, decay: float = 0.93,
    least: int = 20,
) -> FloatArray:  # fmt: skip
    """float64[T]: systemic stress between 0 and 1; NaN until every group is known.

    values   float64[T, N], raw measures, each higher under stress; NaN where missing
    groups   number of the group of each measure; weights one per group in order of number (default: equal)
    decay    of the exponentially weighted covariances of the group means about 0.5

    (w o s)' C (w o s), s the group means and C their correlations: the square of their weighted mean where all move
    together, less where they do not.
    """
    ranks = ecdf_ranks(values, least)
    names = sorted(set(groups))
    members = [np.flatnonzero(np.asarray(groups) == g) for g in names]
    means = np.stack([mean_of(ranks[:, m].T)[0] for m in members], axis=1)
    share = np.full(len(names), 1 / len(names)) if weights is None else np.asarray(weights, np.float64)
    share = share / share.sum()
    index = np.full(len(values), np.nan)
    scan_ciss(means, share, decay, least, index)
    return index


@compiled
def scan_ciss(means: FloatArray, share: FloatArray, decay: float, least: int, index: FloatArray) -> None:
    n, k = means.shape
    covariance = np.zeros((k, k))
    seen = 0
    for i in range(n):
        if np.isnan(means[i]).any():
            continue
        seen += 1
        for a in range(k):
            for b in range(k):
                step = (means[i, a] - 0.5) * (means[i, b] - 0.5)
                covariance[a, b] = step if seen == 1 else decay * covariance[a, b] + (1 - decay) * step
        if seen < least:
            continue
        total = 0.0
        for a in range(k):
            for b in range(k):
                spread = np.sqrt(covariance[a, a] * covariance[b, b])
                together = covariance[a, b] / spread if spread > 0 else (1.0 if a == b else 0.0)
                total += share[a] * means[i, a] * share[b] * means[i, b] * together
        index[i] = max(total, 0.0)
