"""Monthly series against their own season: ALPS, with Spring Festival, tested out of sample.

    y = a + b t + g_month + d1 before + d2 during + d3 after + e,   y = log price, t in years

fitted by least squares to one value per month (the last usable one) of the months before the tested one. The score is
the externally studentised residual of the newest point, as if the regression were fitted anew at every time:

    score = (y - expected) / scale,   scale = s sqrt(1 + x' (X'X)^-1 x)

with X, s and n - rank of the months before only. `before`, `during`, `after` are the shares of the windows around
Spring Festival that fall into the month (thresholds.lunar). Which of them can be told apart depends on the years
seen: a month whose regressors lie outside what the history spans (a festival as early as none before) is not judged.

Source: WFP, Calculation and Use of the ALPS Indicator (2014). Deviations, with reasons: logarithms (inflation is
relative), festival regressors, and the tested month outside its own fit: a price that is in its own baseline hides
itself. The regression is kept as a triangular factor and extended by Givens rotations (Gentleman 1973, AS 75): one
row a month, no refitting.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
from numpy.typing import NDArray

from thresholds.kernels.jit import compiled, over_series
from thresholds.lunar import centred_shares
from thresholds.model import BoolArray, FloatArray, IntArray
from thresholds.panel import Day

LEAST_MONTHS = 36
LEAST_SHARE = 0.7
RECENT = 6
"""Of the last six months at least one must be there (WFP): a trend is not drawn out further than that."""
MOST_CROWDED = 1.25
"""Usable values per month above which a series is not monthly: its cadence changed, or it is daily."""
STRANGE = 1e-8
"""Least part of a row of regressors outside the span of the rows before that counts as one."""
STILL = 1e-11
"""Scale below which nothing but rounding is left."""

PHASES = ("正常", "关注", "警戒", "危机")
"""WFP's Normal, Stress, Alert and Crisis: states for a map, on the high side only. Labels, no warning grades."""
PHASE_FROM = (0.25, 1.0, 2.0)


@dataclass(frozen=True, slots=True)
class SeasonalScores:
    """Per observation: score (NaN: too little history), and on the scale of `y` what was expected and the scale.

    n_used counts the values in the baseline, also where they were too few.
    """

    score: FloatArray
    expected: FloatArray
    scale: FloatArray
    n_used: IntArray

    @classmethod
    def blank(cls, n: int) -> SeasonalScores:
        return cls(np.full(n, nan), np.full(n, nan), np.full(n, nan), np.zeros(n, np.int64))


def phases(score: FloatArray) -> NDArray[np.int8]:
    """int8[n]: position in `PHASES` of each score, -1 where it is unknown."""
    found = np.searchsorted(PHASE_FROM, score, "right").astype(np.int8)
    return np.where(np.isnan(score), -1, found).astype(np.int8)


def months_of(day: Day) -> IntArray:
    """int64[n]: months since January 1970 of civil days."""
    if not len(day):
        return np.empty(0, np.int64)
    low = int(day.min())
    table = np.arange(low, int(day.max()) + 1).astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    found: IntArray = table[day - low]  # days are few beside observations
    return found


def last_within(start: IntArray, span: IntArray | Day, good: BoolArray) -> BoolArray:
    """bool[n]: the last good observation of its `span` (a day, a month) in its series: one row of a regression.

    What comes later in the span replaces what came before; nothing is used before its span is over, so this does
    not look ahead.
    """
    row = np.zeros(len(good), np.bool_)
    over_series(start, lambda a, b: scan_rows(start, span, good, row, a, b))
    return row


@compiled
def scan_rows(start: IntArray, span: IntArray | Day, good: BoolArray, row: BoolArray, first: int, last: int) -> None:
    for s in range(first, last):
        newest = -1
        for i in range(start[s], start[s + 1]):
            if good[i]:
                if newest >= 0:
                    row[newest] = span[newest] != span[i]
                newest = i
        if newest >= 0:
            row[newest] = True


def alps_scores(
    start: IntArray,
    day: Day,
    y: FloatArray,
    usable: BoolArray,
    fresh: BoolArray,
    floor: FloatArray,
    years: int = 0,
    festival: bool = True,
    least: int = LEAST_MONTHS,
) -> SeasonalScores:
    """Score every value against the months before it.

    start   int64[n_series + 1], as in the panel
    day     int32[n], civil day
    y       float64[n], log price (or another scale on which changes add); NaN where nothing is tested
    usable  bool[n], which values may serve as baseline
    fresh   bool[n], where a new level begins: nothing before is compared with
    floor   float64[n], least residual deviation s, on the scale of `y` (0: none)
    years   baseline from January of so many years ago; 0: the whole history
    least   fewest months since the first one of the baseline; 70 % of them must be there
    """
    scores = SeasonalScores.blank(len(y))
    if not len(y):
        return scores
    month = months_of(day)
    low = int(month.min())
    table = centred_shares(np.arange(low, int(month.max()) + 1, dtype=np.int64))
    good = usable & np.isfinite(y)
    row = last_within(start, month, good)
    longest = int(np.diff(start).max())
    over_series(
        start,
        lambda a, b: scan_alps(
            start, month, y, good, row, fresh, floor, table, low, 16 if festival else 13, years, least, longest,
            scores.score, scores.expected, scores.scale, scores.n_used, a, b,
        ),
    )  # fmt: skip
    return scores


@compiled
def scan_alps(
    start: IntArray,
    month: IntArray,
    y: FloatArray,
    good: BoolArray,
    row: BoolArray,
    fresh: BoolArray,
    floor: FloatArray,
    table: FloatArray,
    low: int,
    width: int,
    years: int,
    least: int,
    longest: int,
    score: FloatArray,
    expected: FloatArray,
    scale: FloatArray,
    n_used: IntArray,
    first: int,
    last: int,
) -> None:
    factor = np.zeros((width, width + 1))
    x = np.empty(width + 1)
    rows = np.empty(longest, np.int64)  # positions of the months' values, oldest first
    heard = np.empty(longest, np.int64)  # usable values up to the end of each of these months
    for s in range(first, last):
        factor[:] = 0.0
        begin = 0  # of `rows`, where the baseline begins
        end = 0
        values = 0  # usable values so far
        rss = 0.0
        waiting = -1  # the value of the current month, which is no baseline before the month is over
        for i in range(start[s], start[s + 1]):
            if fresh[i]:
                factor[:] = 0.0
                begin, end, values, rss, waiting = 0, 0, 0, 0.0, -1
            now = month[i]
            if waiting >= 0 and now > month[waiting]:
                regressors(x, month[waiting], table, low, width)
                x[width] = y[waiting]
                rss += absorb(factor, x, width)
                rows[end] = waiting
                heard[end] = values
                end += 1
                waiting = -1
            if years > 0 and begin < end:
                oldest = (now // 12 - years) * 12
                if month[rows[begin]] < oldest:
                    while begin < end and month[rows[begin]] < oldest:
                        begin += 1
                    factor[:] = 0.0
                    rss = 0.0
                    for k in range(begin, end):
                        regressors(x, month[rows[k]], table, low, width)
                        x[width] = y[rows[k]]
                        rss += absorb(factor, x, width)
            if not np.isnan(y[i]):
                n_used[i] = end - begin
                dropped = heard[begin - 1] if begin > 0 else 0
                crowded = values + 1 - dropped > MOST_CROWDED * (end - begin + 1)
                if end > begin and not crowded:
                    span = now - month[rows[begin]]
                    recent = now - month[rows[end - 1]] <= RECENT
                    if span >= least and recent and end - begin >= LEAST_SHARE * span:
                        regressors(x, now, table, low, width)
                        judge(factor, x, width, y[i], floor[i], rss, end - begin, score, expected, scale, i)
            if good[i]:
                values += 1
                if row[i]:
                    waiting = i


@compiled
def regressors(x: FloatArray, month: int, table: FloatArray, low: int, width: int) -> None:
    """Intercept, trend in years since 2000, February to December, and, if `width` has room, the three shares."""
    for j in range(width):
        x[j] = 0.0
    x[0] = 1.0
    x[1] = (month - 360) / 12.0
    of_year = month % 12
    if of_year > 0:
        x[1 + of_year] = 1.0
    for k in range(width - 13):
        x[13 + k] = table[month - low, k]


@compiled
def absorb(factor: FloatArray, x: FloatArray, width: int) -> float:
    """Rotate the row `x` (with its y at `width`) into the triangular factor; what it adds to the sum of squares.

    A direction that no row before had takes its place in the factor whole. `x` is used up.
    """
    for j in range(width):
        if abs(x[j]) <= 1e-300:
            continue
        if factor[j, j] == 0.0:
            if abs(x[j]) <= STRANGE:
                continue  # rounding
            for k in range(j, width + 1):
                factor[j, k] = x[k]
            return 0.0
        radius = np.hypot(factor[j, j], x[j])
        c = factor[j, j] / radius
        d = x[j] / radius
        for k in range(j, width + 1):
            held = factor[j, k]
            factor[j, k] = c * held + d * x[k]
            x[k] = c * x[k] - d * held
    return float(x[width] * x[width])


@compiled
def judge(
    factor: FloatArray,
    x: FloatArray,
    width: int,
    y: float,
    floor: float,
    rss: float,
    n: int,
    score: FloatArray,
    expected: FloatArray,
    scale: FloatArray,
    i: int,
) -> None:
    """Predict `y` from the fit; leaves NaN where `x` lies outside what the rows span or no freedom is left."""
    rank = 0
    reach = 0.0  # x' (X'X)^-1 x
    predicted = 0.0
    for j in range(width):
        part = x[j]
        for k in range(j):
            part -= factor[k, j] * x[k]  # x[:j] already holds the solution
        if factor[j, j] == 0.0:
            if abs(part) > STRANGE:
                return
            x[j] = 0.0
            continue
        rank += 1
        x[j] = part / factor[j, j]
        reach += x[j] * x[j]
        predicted += x[j] * factor[j, width]
    if n <= rank:
        return
    deviation = max(sqrt(rss / (n - rank)), floor)
    if deviation > STILL:
        expected[i] = predicted
        scale[i] = deviation * sqrt(1.0 + reach)
        score[i] = (y - predicted) / scale[i]
