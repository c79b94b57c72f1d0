"""Daily and weekly series against their own season: trend, yearly waves, days of the week, Spring Festival.

    y = a + b t + sum_k (c_k cos 2 pi k t + d_k sin 2 pi k t) + festival window + weekday + e

fitted by least squares to one value per day (the last usable one) of the days before the tested one, over a window of
the current half-year and those before it (`years` = 3: two and a half to three years). The score is the externally
studentised residual of the newest point, as in thresholds.kernels.seasonal. The festival enters as one level for each
of its three windows (thresholds.lunar.PHASES), the day of the week for daily series only.

Nothing is refitted day by day. A new row updates the inverse of the normal equations, the coefficients and the sum of
squares by rank one (Plackett 1950; Brown, Durbin & Evans 1975); nothing is ever taken out, because that loses digits:
the sums are kept by half-years, and with each new half-year the fit begins anew from those in the window.

A regressor that the window does not tell apart from others (Saturdays, where none was ever reported) is left out,
and a day on which it differs from what they say is not judged.
"""

from __future__ import annotations

from math import pi, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from thresholds.kernels.jit import compiled, over_series
from thresholds.kernels.seasonal import STILL, SeasonalScores, last_within
from thresholds.lunar import phase
from thresholds.model import BoolArray, FloatArray, IntArray
from thresholds.panel import Day

CYCLE = 1461
"""Days in four years of 365.25: waves repeat exactly, so they are looked up."""
BLOCK = 183
"""Days in a half-year."""
LEAST_DAYS = 730
"""Two full seasons: with fewer, one odd summer passes for the season."""
RECENT_DAYS = 60
"""Nothing is judged after a silence of that length: the trend is not drawn out further."""
LEAST_DENSITY = (0.3, 0.07)
"""Fewest values per day of the baseline, for daily and for weekly series: the former down to three a week, the latter
down to two in three of those that come once in ten days."""
DAILY, WEEKLY, SPARSE, UNKNOWN = 0, 1, 2, 3
"""Cadence of a half-year by what most of its intervals are: up to 4 days, up to 12 days, longer."""
DEPENDENT = 1e-9
"""Share of a regressor's sum of squares that is its own below which it counts as a mixture of others."""


class Sums(NamedTuple):
    """What is kept of a series by half-years, in a ring; all that a fit begins from.

    gram    float64[blocks, p, p + 1], sums of x x' and, in the last column, of x y
    counts  int64[blocks, 4], rows by the length of the interval before them (`DAILY` ...; `UNKNOWN` for the first)
    begins  int64[blocks], day of the first row
    """

    gram: FloatArray
    counts: IntArray
    begins: IntArray


class Fit(NamedTuple):
    """A fit: inverse of the normal equations, coefficients, and of what each regressor left out is made.

    number  float64[4], for the scalars `N`, `WIDTH`, `RANK`, `RSS`: values, regressors, of these kept, sum of squares
    """

    inverse: FloatArray
    beta: FloatArray
    relation: FloatArray
    left_out: BoolArray
    number: FloatArray


N, WIDTH, RANK, RSS = 0, 1, 2, 3


class Row(NamedTuple):
    """One value as judged: its regressors, the inverse times these, and `INSIDE`, `REACH`, `MISS`, `PREDICTED`.

    ones       int64[2], which of the festival windows and which of the weekdays is one, -1 for none: all others are
               zero, so that most of the work is done on the first regressors alone
    INSIDE     1 where the fit can say something about it
    REACH      x' (X'X)^-1 x
    MISS       y - predicted
    """

    x: FloatArray
    ones: IntArray
    turned: FloatArray
    number: FloatArray


INSIDE, REACH, MISS, PREDICTED = 0, 1, 2, 3
NEVER = -(2**40)
"""A day before all days."""


class Shape(NamedTuple):
    """Where regressors are looked up: yearly waves; festival window by day from `low` on; festival levels, 3 or 0."""

    table: FloatArray
    around: NDArray[np.int8]
    low: int
    festival: int


def waves(pairs: int) -> FloatArray:
    """float64[CYCLE, 2 * pairs]: cosine and sine of 1 to `pairs` turns a year, by day modulo `CYCLE`."""
    angle = 2 * pi * np.arange(CYCLE)[:, None] / 365.25 * np.arange(1, pairs + 1)
    return np.stack([np.cos(angle), np.sin(angle)], axis=2).reshape(CYCLE, 2 * pairs)


def fourier_scores(
    start: IntArray,
    day: Day,
    y: FloatArray,
    usable: BoolArray,
    fresh: BoolArray,
    floor: FloatArray,
    pairs: int = 3,
    years: int = 3,
    festival: bool = True,
    least: int = LEAST_DAYS,
    into: SeasonalScores | None = None,
) -> SeasonalScores:
    """Score every value against the days before it; arguments as for `alps_scores`.

    pairs  2 to 4 waves a year
    years  the window, by half-years: at most so many years, at least half a year less
    least  fewest days from the first value of the baseline to the tested one
    into   scores of another model, to which are added those of the values that it does not judge
    """
    scores = into or SeasonalScores.blank(len(y))
    if not len(y):
        return scores
    low = int(day.min())
    shape = Shape(waves(pairs), phase(np.arange(low, int(day.max()) + 1, dtype=np.int32)), low, 3 if festival else 0)
    good = usable & np.isfinite(y)
    row = last_within(start, day, good)
    over_series(
        start,
        lambda a, b: scan_fourier(
            start, day, y, good, row, fresh, floor, shape, 2 * years, least,
            scores.score, scores.expected, scores.scale, scores.n_used, a, b,
        ),
    )  # fmt: skip
    return scores


@compiled
def scan_fourier(
    start: IntArray,
    day: Day,
    y: FloatArray,
    good: BoolArray,
    row: BoolArray,
    fresh: BoolArray,
    floor: FloatArray,
    shape: Shape,
    blocks: int,
    least: int,
    score: FloatArray,
    expected: FloatArray,
    scale: FloatArray,
    n_used: IntArray,
    first: int,
    last: int,
) -> None:
    plain = 2 + shape.table.shape[1] + shape.festival  # regressors without those of the weekday
    full = plain + 6
    sums = Sums(np.zeros((blocks, full, full + 1)), np.zeros((blocks, 4), np.int64), np.zeros(blocks, np.int64))
    fit = Fit(np.zeros((full, full)), np.zeros(full), np.zeros((full, full)), np.zeros(full, np.bool_), np.zeros(4))
    none = np.full(2, -1)
    tested = Row(np.zeros(full), none.copy(), np.zeros(full), np.zeros(4))
    held = Row(
        np.zeros(full), none, np.zeros(full), np.zeros(4)
    )  # the day's value: no baseline before the day is over
    for s in range(first, last):
        waiting, block, newest, ready = -1, NEVER, NEVER, False
        oldest, origin, level, settled, n = start[s], 0, 0.0, UNKNOWN, 0
        for i in range(start[s], start[s + 1]):
            now = int(day[i])
            if fresh[i]:
                waiting, block, newest, ready = -1, NEVER, NEVER, False
            if waiting >= 0 and now > day[waiting]:
                record(sums, held, plain - shape.festival, block % blocks, int(day[waiting]), newest,
                       y[waiting] - level)  # fmt: skip
                newest = int(day[waiting])
                n += 1
                ready = ready and learn(fit, held)
                waiting = -1
            if np.isnan(y[i]):
                continue
            if now // BLOCK > block:
                if block == NEVER:
                    sums.counts[:] = 0
                    sums.gram[:] = 0.0
                    oldest, origin, level = i, now, y[i]
                turn(sums, block, now // BLOCK)
                block = now // BLOCK
                n = int(sums.counts.sum())
                settled = cadence(sums.counts, block % blocks)
                ready = False
            free = np.isnan(score[i])
            n_used[i] = n if free else n_used[i]
            regressors(tested, now, origin, shape)
            tested.number[INSIDE] = 0.0
            current = majority(sums.counts[block % blocks])
            kind = current if settled == UNKNOWN else settled
            if kind < SPARSE and current in (UNKNOWN, kind) and now - newest <= RECENT_DAYS:
                if not ready and enough(sums, kind, n, now, least):
                    while day[oldest] < (block - blocks + 1) * BLOCK:
                        oldest += 1
                    solve(sums, fit, full if kind == DAILY else plain)
                    settle(fit, day, y, row, oldest, i, level, origin, shape)
                    ready = True
                if ready:
                    judge(fit, tested, plain - shape.festival, y[i] - level)
                    deviation = max(fit_deviation(fit), floor[i])
                    if free and tested.number[INSIDE] > 0 and deviation > STILL:
                        expected[i] = level + tested.number[PREDICTED]
                        scale[i] = deviation * sqrt(1.0 + tested.number[REACH])
                        score[i] = tested.number[MISS] / scale[i]
            if good[i]:
                waiting = i
                hold(held, tested)


@compiled
def hold(held: Row, tested: Row) -> None:
    """Keep a row; by loops, which take less time than slices."""
    for k in range(len(tested.x)):
        held.x[k] = tested.x[k]
        held.turned[k] = tested.turned[k]
    for k in range(2):
        held.ones[k] = tested.ones[k]
    for k in range(4):
        held.number[k] = tested.number[k]


@compiled
def regressors(tested: Row, now: int, origin: int, shape: Shape) -> None:
    """Intercept, years since the first value, waves, festival windows, Tuesday to Sunday."""
    x, ones = tested.x, tested.ones
    for j in range(2):
        if ones[j] >= 0:
            x[ones[j]] = 0.0
    waves = shape.table.shape[1]
    at = now % CYCLE
    x[0] = 1.0
    x[1] = (now - origin) / 365.25
    for j in range(waves):
        x[2 + j] = shape.table[at, j]
    ones[0], ones[1] = indicators(now, shape)
    for j in range(2):
        if ones[j] >= 0:
            x[ones[j]] = 1.0


@compiled
def indicators(now: int, shape: Shape) -> tuple[int, int]:
    """Which regressor is one for the festival window of the day, and which for its weekday; -1 for none."""
    first = 2 + shape.table.shape[1]
    window = int(shape.around[now - shape.low])
    weekday = (now + 3) % 7  # 1970-01-01 was a Thursday; 0 is Monday
    return (
        first + window - 1 if 0 < window <= shape.festival else -1,
        first + shape.festival + weekday - 1 if weekday > 0 else -1,
    )


@compiled
def record(sums: Sums, held: Row, first: int, slot: int, when: int, newest: int, y: float) -> None:
    """Add one row to the sums of its half-year; `first` is how many regressors come before the indicators."""
    gap = when - newest
    kind = UNKNOWN if newest == NEVER else DAILY if gap <= 4 else WEEKLY if gap <= 12 else SPARSE
    if sums.counts[slot].sum() == 0:
        sums.begins[slot] = when
    sums.counts[slot, kind] += 1
    x, gram = held.x, sums.gram[slot]
    p = len(x)
    for j in range(first):
        for k in range(j + 1):
            gram[j, k] += x[j] * x[k]
        gram[j, p] += x[j] * y
    window, weekday = held.ones[0], held.ones[1]
    for j in range(2):
        one = held.ones[j]
        if one >= 0:
            for k in range(first):
                gram[one, k] += x[k]
            gram[one, one] += 1.0
            gram[one, p] += y
    if window >= 0 and weekday >= 0:
        gram[weekday, window] += 1.0


@compiled
def turn(sums: Sums, block: int, upcoming: int) -> None:
    """Clear the half-years between the last one and the one that begins: they take the places of the oldest."""
    blocks = len(sums.begins)
    if block == NEVER:
        return
    for k in range(max(block, upcoming - blocks) + 1, upcoming + 1):
        sums.gram[k % blocks] = 0.0
        sums.counts[k % blocks] = 0


@compiled
def majority(counts: IntArray) -> int:
    """What most of at least five intervals are, else `UNKNOWN`."""
    if counts[DAILY] + counts[WEEKLY] + counts[SPARSE] < 5:
        return UNKNOWN
    kind = DAILY
    for k in (WEEKLY, SPARSE):
        if counts[k] > counts[kind]:
            kind = k
    return kind


@compiled
def cadence(counts: IntArray, current: int) -> int:
    """The cadence of all half-years but the current one: `SPARSE`, which is not judged, where they differ."""
    found = UNKNOWN
    for b in range(len(counts)):
        kind = UNKNOWN if b == current else majority(counts[b])
        if kind != UNKNOWN:
            found = kind if found in (UNKNOWN, kind) else SPARSE
    return found


@compiled
def enough(sums: Sums, kind: int, n: int, now: int, least: int) -> bool:
    """Whether the baseline is long and dense enough."""
    begin = now
    for b in range(len(sums.begins)):
        if sums.counts[b].sum() > 0:
            begin = min(begin, sums.begins[b])
    span = now - begin
    return bool(span >= least and n >= LEAST_DENSITY[kind] * span)


@compiled
def solve(sums: Sums, fit: Fit, width: int) -> None:
    """Invert the normal equations of the window by Cholesky's method, leaving out what depends on regressors before.

    `fit.relation[j]` holds, for each regressor j left out, what the others must make of it.
    """
    total = sums.gram.sum(axis=0)
    p = total.shape[0]
    factor = np.zeros((width, width))
    root = np.zeros((width, width))  # inverse of the factor
    fit.number[RANK] = 0
    fit.relation[:] = 0.0
    for j in range(width):
        rest = total[j, j]
        for k in range(j):
            if fit.left_out[k]:
                continue
            part = total[j, k]
            for m in range(k):
                part -= factor[j, m] * factor[k, m]
            factor[j, k] = part / factor[k, k]
            rest -= factor[j, k] * factor[j, k]
        fit.left_out[j] = rest <= DEPENDENT * total[j, j]
        if fit.left_out[j]:
            for m in range(j):
                for k in range(m, j):
                    fit.relation[j, m] += root[k, m] * factor[j, k]
            factor[j] = 0.0
            continue
        fit.number[RANK] += 1
        factor[j, j] = sqrt(rest)
        for m in range(j):
            part = 0.0
            for k in range(m, j):
                part -= factor[j, k] * root[k, m]
            root[j, m] = part / factor[j, j]
        root[j, j] = 1.0 / factor[j, j]
    fit.inverse[:] = 0.0
    fit.beta[:] = 0.0
    fit.inverse[:width, :width] = root.T @ root
    for j in range(width):
        for k in range(width):
            fit.beta[j] += fit.inverse[j, k] * total[k, p]
    fit.number[WIDTH] = width


@compiled
def settle(
    fit: Fit,
    day: Day,
    y: FloatArray,
    row: BoolArray,
    oldest: int,
    i: int,
    level: float,
    origin: int,
    shape: Shape,
) -> None:
    """Number of rows and sum of squares of a new fit, from the rows themselves: differences of sums lose digits."""
    beta, table = fit.beta, shape.table
    rss, n = 0.0, 0
    for k in range(oldest, i):
        if row[k] and day[k] < day[i]:
            now = int(day[k])
            at = now % CYCLE
            rest = y[k] - level - beta[0] - beta[1] * ((now - origin) / 365.25)
            for j in range(table.shape[1]):
                rest -= beta[2 + j] * table[at, j]
            window, weekday = indicators(now, shape)
            if window >= 0:
                rest -= beta[window]
            if weekday >= 0:
                rest -= beta[weekday]
            rss += rest * rest
            n += 1
    fit.number[RSS] = rss
    fit.number[N] = n


@compiled
def judge(fit: Fit, tested: Row, first: int, y: float) -> None:
    """Predict `y` (less the level), if its regressors lie within what the rows of the fit span."""
    width = int(fit.number[WIDTH])
    if fit.number[RANK] < width and beyond(fit, tested.x, width):
        return
    x, ones, turned, beta, inverse = tested.x, tested.ones, tested.turned, fit.beta, fit.inverse
    for k in range(width):
        turned[k] = inverse[0, k] * x[0] + inverse[1, k] * x[1]
    for j in range(2, first, 2):  # the waves, by pairs: half the stores
        cosine, sine = x[j], x[j + 1]
        for k in range(width):
            turned[k] = (turned[k] + inverse[j, k] * cosine) + inverse[j + 1, k] * sine
    reach, predicted = 0.0, 0.0
    for j in range(2):
        if 0 <= ones[j] < width:
            for k in range(width):
                turned[k] += inverse[ones[j], k]
    for j in range(first):
        reach += turned[j] * x[j]
        predicted += beta[j] * x[j]
    for j in range(2):
        if 0 <= ones[j] < width:
            reach += turned[ones[j]]
            predicted += beta[ones[j]]
    tested.number[INSIDE] = 1.0
    tested.number[REACH] = reach
    tested.number[PREDICTED] = predicted
    tested.number[MISS] = y - predicted


@compiled
def beyond(fit: Fit, x: FloatArray, width: int) -> bool:
    """Whether a regressor that was left out differs from what the others say."""
    for j in range(width):
        if fit.left_out[j]:
            apart = x[j]
            for k in range(j):
                apart -= fit.relation[j, k] * x[k]
            if abs(apart) > 1e-6:
                return True
    return False


@compiled
def learn(fit: Fit, held: Row) -> bool:
    """Take one more row into the fit; false where it shows a direction that no row had, and the fit begins anew."""
    if held.number[INSIDE] == 0.0:
        return False
    width = int(fit.number[WIDTH])
    weight = 1.0 / (1.0 + held.number[REACH])
    miss = held.number[MISS]
    for j in range(width):
        part = held.turned[j] * weight
        fit.beta[j] += part * miss
        for k in range(width):
            fit.inverse[j, k] -= part * held.turned[k]
    fit.number[RSS] += miss * miss * weight
    fit.number[N] += 1
    return True


@compiled
def fit_deviation(fit: Fit) -> float:
    """Residual standard deviation of the fit; 0 without freedom."""
    free = fit.number[N] - fit.number[RANK]
    return sqrt(fit.number[RSS] / free) if free > 0 else 0.0
