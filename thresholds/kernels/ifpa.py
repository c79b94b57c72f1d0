"""FAO's indicator of food price anomalies (IFPA): is growth unusual for this month of the year?

    growth over k months   c = (P_now / P_(k months ago)) ^ (1/k) - 1,         k = 3 and 12
    normalised             x_k = (c - weighted mean) / weighted deviation      of this calendar month in earlier years
    IFPA                   g x_3 + (1 - g) x_12,                               g = 0.4

At or above 1 a price is abnormally high, from 0.5 moderately high; below -1 and -0.5 the same downwards. Monthly
prices only, the last usable one of each month; at least five years, the current and four before (60 months).

Source: UN metadata of SDG indicator 2.c.1 (FAO, 2023); Baquedano, Developing a price warning indicator. The weights
of the years are not published: linear from 1 (oldest) to n (newest) by default. The deviation is that of the weighted
sample, with the factor n / (n - 1). The current year is not in its own mean (so does the British statistical office).
Nominal prices: nothing here deflates.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan, sqrt

import numpy as np

from thresholds.kernels.jit import compiled, over_series
from thresholds.kernels.seasonal import MOST_CROWDED, last_within, months_of
from thresholds.model import BoolArray, FloatArray, IntArray
from thresholds.panel import Day

QUARTER_SHARE = 0.4
MODERATE, ABNORMAL = 0.5, 1.0
LEAST_YEARS = 4
"""Earlier years, besides the current one."""
LONGEST_GAP = 3
"""Months in a row that may be missing; after a longer gap the history begins anew."""


@dataclass(frozen=True, slots=True)
class IfpaScores:
    """Per observation: the indicator (NaN: too little history) and what it was made of, for three and twelve months.

    before  float64[n, 2], price 3 and 12 months ago
    mean    float64[n, 2], weighted mean of the monthly growth in earlier years, as a ratio
    scale   float64[n, 2], its weighted standard deviation
    n_used  int64[n], earlier years in the shorter of the two baselines
    """

    score: FloatArray
    before: FloatArray
    mean: FloatArray
    scale: FloatArray
    n_used: IntArray

    def price_at(self, at: IntArray, target: FloatArray, g: float = QUARTER_SHARE) -> FloatArray:
        """The price at which the indicator would have been `target` at positions `at` (bisection in log price)."""
        middle = np.log(self.before[at].max(axis=1))
        low, high = middle - 5.0, middle + 5.0
        for _ in range(60):
            half = 0.5 * (low + high)
            more = combined(np.exp(half), self.before[at], self.mean[at], self.scale[at], g) < target
            low, high = np.where(more, half, low), np.where(more, high, half)
        found: FloatArray = np.where(np.isnan(self.score[at]), nan, np.exp(0.5 * (low + high)))
        return found


def combined(price: FloatArray, before: FloatArray, mean: FloatArray, scale: FloatArray, g: float) -> FloatArray:
    """The indicator of given prices."""
    growth = (price[:, None] / before) ** (1 / np.array([3.0, 12.0])) - 1
    parts: FloatArray = (growth - mean) / scale @ np.array([g, 1 - g])
    return parts


def ifpa_scores(
    start: IntArray,
    day: Day,
    price: FloatArray,
    usable: BoolArray,
    fresh: BoolArray,
    g: float = QUARTER_SHARE,
    linear: bool = True,
    years: int = 0,
    floor: float = 0.0,
) -> IfpaScores:
    """Score every price.

    start   int64[n_series + 1], as in the panel
    day     int32[n], civil day
    price   float64[n]; NaN where nothing is tested, and nothing is where it is not positive
    usable  bool[n], which prices may serve as baseline
    fresh   bool[n], where a new level begins
    linear  weights 1 (oldest year) to n (newest); false: all the same
    years   how many earlier years count, the newest ones; 0: all
    floor   least deviation of the monthly growth, as a ratio
    """
    n = len(price)
    scores = IfpaScores(np.full(n, nan), np.full((n, 2), nan), np.full((n, 2), nan), np.full((n, 2), nan),
                        np.zeros(n, np.int64))  # fmt: skip
    if not n:
        return scores
    month = months_of(day)
    good = usable & (price > 0)
    row = last_within(start, month, good)
    low = int(month.min())
    over_series(
        start,
        lambda a, b: scan_ifpa(
            start, month, price, good, row, fresh, low, int(month.max()) - low + 1, g, linear, years, floor,
            scores.score, scores.before, scores.mean, scores.scale, scores.n_used, a, b,
        ),
    )  # fmt: skip
    return scores


@compiled
def scan_ifpa(
    start: IntArray,
    month: IntArray,
    price: FloatArray,
    good: BoolArray,
    row: BoolArray,
    fresh: BoolArray,
    low: int,
    span: int,
    g: float,
    linear: bool,
    years: int,
    floor: float,
    score: FloatArray,
    before: FloatArray,
    mean: FloatArray,
    scale: FloatArray,
    n_used: IntArray,
    first: int,
    last: int,
) -> None:
    monthly = np.full(span, np.nan)  # by month since `low`
    for s in range(first, last):
        monthly[:] = np.nan
        begin, newest, values, months, waiting = -1, -1, 0, 0, -1
        for i in range(start[s], start[s + 1]):
            now = month[i] - low
            if fresh[i]:
                monthly[:] = np.nan
                begin, newest, values, months, waiting = -1, -1, 0, 0, -1
            if waiting >= 0 and now > month[waiting] - low:
                newest = month[waiting] - low
                monthly[newest] = price[waiting]
                begin = newest if begin < 0 else begin
                months += 1
                waiting = -1
            if begin >= 0 and now - newest > LONGEST_GAP + 1:
                monthly[begin : newest + 1] = np.nan
                begin, newest, values, months = -1, -1, 0, 0
            if price[i] > 0 and begin >= 0 and values + 1 <= MOST_CROWDED * (months + 1):
                fewest = 1000
                total = 0.0
                for part in range(2):
                    reach = 3 if part == 0 else 12
                    used = baseline(monthly, begin, now, reach, years, linear, mean[i], scale[i], part)
                    fewest = min(fewest, used)
                    then = monthly[now - reach] if now - reach >= begin else np.nan
                    before[i, part] = then
                    growth = (price[i] / then) ** (1.0 / reach) - 1.0
                    scale[i, part] = max(scale[i, part], floor)
                    if scale[i, part] > 1e-12:
                        total += (g if part == 0 else 1.0 - g) * (growth - mean[i, part]) / scale[i, part]
                    else:
                        total = np.nan
                n_used[i] = fewest
                if fewest >= LEAST_YEARS:
                    score[i] = total
            if good[i]:
                values += 1
                if row[i]:
                    waiting = i


@compiled
def baseline(
    monthly: FloatArray,
    begin: int,
    now: int,
    reach: int,
    years: int,
    linear: bool,
    mean: FloatArray,
    scale: FloatArray,
    part: int,
) -> int:
    """Weighted mean and deviation of the growth over `reach` months in this month of earlier years; their number."""
    growth = np.empty(1 + max(now - begin, 0) // 12)
    n = 0
    at = now - 12
    while at - reach >= begin and (years == 0 or n < years):
        if not np.isnan(monthly[at]) and not np.isnan(monthly[at - reach]):
            growth[n] = (monthly[at] / monthly[at - reach]) ** (1.0 / reach) - 1.0
            n += 1
        at -= 12
    if n < 2:
        return n
    weights, total, squares = 0.0, 0.0, 0.0
    for k in range(n):  # newest first
        weight = float(n - k) if linear else 1.0
        weights += weight
        total += weight * growth[k]
    middle = total / weights
    for k in range(n):
        weight = float(n - k) if linear else 1.0
        squares += weight * (growth[k] - middle) ** 2
    mean[part] = middle
    scale[part] = sqrt(squares / weights * n / (n - 1))
    return n
