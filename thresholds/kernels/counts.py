"""Counts of complaints and cases: what was to be expected, and how far a count may lie from it by chance.

Two baselines, each without the newest two periods (guard) and without the tested count:

season  the same date of earlier years, `neighbours` periods to each side: quasi-Poisson regression with log link, a
        trend over the years where it is significant and leads to no more than was ever seen, and past outbreaks
        (standardised Anscombe residual above 2.58) weighted down. Farrington et al. 1996, Noufaily et al. 2013.
recent  the newest `baseline` periods: mean and standard deviation, at least 1. EARS-C2, Fricker 2008.

Daily counts are compared with the same weekday only. The bound is the quantile of a negative binomial distribution
whose variance holds the dispersion and the error of the estimate (1 + 1/n for a mean), widened by the ratio of
Student's t quantile to the normal one. Without that, C1 at a nominal rate of 0.001 fires at 0.01 to 0.07
(docs/detectors.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
from numpy.typing import NDArray

from thresholds.calendar import Lag, earlier
from thresholds.kernels.jit import compiled, over_series
from thresholds.model import BoolArray, FloatArray, IntArray
from thresholds.panel import Day, Panel

GUARD = 2
"""Newest periods that serve as no baseline: the onset of an outbreak would hide the outbreak."""
LEAST_RECENT = 7
LEAST_YEARS = 3
OUTBREAK = 2.58
"""Standardised residual above which a past count is weighted down."""
SIGNIFICANT = 1.96
DAILY = 4
"""Days: a series with shorter intervals is a daily one, and weekdays are told apart."""
SILENT_CASES, SILENT_PERIODS = 5, 4
"""Fewer cases than this in the newest periods are no surge, however rare."""


@dataclass(frozen=True, slots=True)
class CountModel:
    """Per observation the predictive mean and variance (NaN: too little history) and the number of counts used."""

    mean: FloatArray
    variance: FloatArray
    n_used: IntArray


@dataclass(frozen=True, slots=True)
class CountBounds:
    """Per observation what was expected and beyond which counts it is no chance; NaN where history is too short."""

    expected: FloatArray
    lower: FloatArray
    upper: FloatArray
    n_used: IntArray
    years: BoolArray
    """whether earlier years stand behind the upper bound"""
    recent_cases: FloatArray
    """sum of the newest four periods, the tested one included"""

    @classmethod
    def blank(cls, n: int) -> CountBounds:
        """Of a panel without counts; the columns take no room and cannot be written."""
        unknown, none = np.broadcast_to(nan, n), np.broadcast_to(np.int64(0), n)
        return cls(unknown, unknown, unknown, none, np.broadcast_to(np.False_, n), np.broadcast_to(0.0, n))


def count_bounds(
    panel: Panel, usable: BoolArray, alpha: float, *, years: int = 5, neighbours: int = 3, baseline: int = 12
) -> CountBounds:
    """Bounds at false-alarm rate `alpha` per side and observation.

    usable  bool[n], counts that may serve as baseline: no suspects, no outages
    Where both baselines are long enough a count must lie beyond both: a level that shifted last year is no surge.
    """
    season, recent, cases = count_models(panel, usable, years, neighbours, baseline)
    low_s, high_s = quantiles(season, alpha)
    low_r, high_r = quantiles(recent, alpha)
    by_year = np.isfinite(season.mean) & ~(high_r > high_s)
    expected = np.where(by_year, season.mean, recent.mean)
    n_used = np.where(by_year, season.n_used, recent.n_used)
    return CountBounds(expected, np.fmin(low_r, low_s), np.fmax(high_r, high_s), n_used, by_year, cases)


def quantiles(model: CountModel, alpha: float) -> tuple[FloatArray, FloatArray]:
    """Counts below the first, or above the second, have a chance of at most `alpha` each.

    Negative binomial with the predictive variance, widened as Student's t is wider than the normal distribution:
    the variance itself is only estimated, from few counts. No narrower than Student's bounds: next to no case ever,
    the negative binomial is all zeros.
    """
    from scipy.special import ndtri, stdtrit  # with scipy.stats half a second: not at start
    from scipy.stats import nbinom

    known = np.isfinite(model.mean)
    low, high = np.full(len(known), nan), np.full(len(known), nan)
    mean = model.mean[known]
    df = np.maximum(model.n_used[known] - 1.0, 1.0)
    widen = (stdtrit(df, alpha) / ndtri(alpha)) ** 2
    variance = np.maximum(model.variance[known] * widen, mean * (1 + 1e-6))  # barely overdispersed is Poisson
    mean = np.maximum(mean, 1e-9)  # no case ever, all of them zero
    size = mean**2 / (variance - mean)
    share = mean / variance
    margin = -stdtrit(df, alpha) * np.sqrt(model.variance[known])
    low[known] = np.minimum(nbinom.ppf(alpha, size, share), mean - margin)
    high[known] = np.maximum(nbinom.ppf(1 - alpha, size, share), mean + margin)
    return low, high


def count_models(
    panel: Panel, usable: BoolArray, years: int, neighbours: int, baseline: int
) -> tuple[CountModel, CountModel, FloatArray]:
    """The model from earlier years, the one from recent periods, and the cases of the newest four periods."""
    n = len(panel)
    season = CountModel(np.full(n, nan), np.full(n, nan), np.zeros(n, np.int64))
    recent = CountModel(np.full(n, nan), np.full(n, nan), np.zeros(n, np.int64))
    cases = np.zeros(n)
    if not n:
        return season, recent, cases
    low = int(panel.day.min())
    past = same_dates(low, int(panel.day.max()), years)
    over_series(
        panel.start,
        lambda a, b: scan_counts(
            panel.start, panel.day, panel.value, usable, past, low, neighbours, baseline, season.mean,
            season.variance, season.n_used, recent.mean, recent.variance, recent.n_used, cases, a, b,
        ),
    )  # fmt: skip
    return season, recent, cases


def same_dates(low: int, high: int, years: int) -> NDArray[np.int32]:
    """int32[years, high - low + 1]: the same date of each earlier year, for the days from `low` to `high`.

    Days are few beside observations.
    """
    past = np.empty((years, high - low + 1), np.int32)
    target = np.arange(low, high + 1, dtype=np.int32)
    for k in range(years):
        target = past[k] = earlier(target, Lag.YEAR)
    return past


@compiled
def scan_counts(
    start: IntArray,
    day: Day,
    value: FloatArray,
    usable: BoolArray,
    past: NDArray[np.int32],
    low: int,
    neighbours: int,
    baseline: int,
    mean_s: FloatArray,
    variance_s: FloatArray,
    used_s: IntArray,
    mean_r: FloatArray,
    variance_r: FloatArray,
    used_r: IntArray,
    cases: FloatArray,
    first: int,
    last: int,
) -> None:
    room = max(past.shape[0] * (2 * neighbours + 1), baseline)
    y = np.empty(room)
    t = np.empty(room)
    for s in range(first, last):
        begin = start[s]
        if not usable[begin : start[s + 1]].any():
            continue  # no counts at all: prices cost nothing
        for i in range(begin, start[s + 1]):
            total = value[i]
            for back in range(1, SILENT_PERIODS):
                if i - back >= begin and usable[i - back]:
                    total += value[i - back]
            cases[i] = total
            gap = interval(day, begin, i)
            if gap == 0:
                continue
            count = recent_counts(day, value, usable, begin, i, gap, baseline, y)
            if count >= LEAST_RECENT:
                mean, variance = moments(y, count)
                mean_r[i], variance_r[i], used_r[i] = mean, variance, count
            count, found = season_counts(day, value, usable, past[:, day[i] - low], begin, i, gap, neighbours, y, t)
            if found >= LEAST_YEARS:
                mean, variance = fitted(y, t, count)
                mean_s[i], variance_s[i], used_s[i] = mean, variance, count


@compiled
def interval(day: Day, begin: int, i: int) -> int:
    """Days between reports, the shortest of the newest three; 0 where there are no two reports yet."""
    gap = 0
    for k in range(i, max(begin, i - 3), -1):
        step = int(day[k] - day[k - 1])
        if step > 0 and (gap == 0 or step < gap):
            gap = step
    return gap


@compiled
def on_day(day: Day, usable: BoolArray, begin: int, end: int, wanted: int) -> int:
    """The newest usable observation of the day `wanted` among begin..end, -1 for none."""
    k = begin + int(np.searchsorted(day[begin:end], wanted + 1)) - 1
    while k >= begin and day[k] == wanted:
        if usable[k]:
            return k
        k -= 1
    return -1


@compiled
def recent_counts(
    day: Day, value: FloatArray, usable: BoolArray, begin: int, i: int, gap: int, baseline: int, y: FloatArray
) -> int:
    """Put the newest counts before the guard into `y`; how many."""
    count = 0
    if gap < DAILY:
        for week in range(GUARD + 1, 2 * baseline + GUARD + 1):
            k = on_day(day, usable, begin, i, day[i] - 7 * week)
            if k >= 0:
                y[count] = value[k]
                count += 1
                if count == baseline:
                    break
        return count
    oldest = day[i] - 3 * gap * (baseline + GUARD)
    skipped = 0
    for k in range(i - 1, begin - 1, -1):
        if day[k] < oldest or count == baseline:
            break
        if not usable[k]:
            continue
        if skipped < GUARD:
            skipped += 1
            continue
        y[count] = value[k]
        count += 1
    return count


@compiled
def season_counts(
    day: Day,
    value: FloatArray,
    usable: BoolArray,
    past: NDArray[np.int32],
    begin: int,
    i: int,
    gap: int,
    neighbours: int,
    y: FloatArray,
    t: FloatArray,
) -> tuple[int, int]:
    """Put the counts about the same date of earlier years (`past`) into `y`, their distance in years into `t`.

    How many counts, and from how many years (a year counts with more than half of its places filled).
    """
    count = 0
    found = 0
    for year in range(len(past)):
        target = int(past[year])
        step = gap
        if gap < DAILY:  # the same weekday nearest to the date
            off = int(day[i] - target) % 7
            target += off if off <= 3 else off - 7
            step = 7
        before = count
        for j in range(-neighbours, neighbours + 1):
            wanted = target + j * step
            if gap < DAILY:
                k = on_day(day, usable, begin, i, wanted)
            else:
                k = near_day(day, usable, begin, i, wanted, step // 2)
            if k < 0 or day[k] > day[i] - GUARD * step:
                continue
            if count > before and t[count - 1] == (day[k] - day[i]) / 365.25:
                continue  # months differ in length: the same report again
            y[count] = value[k]
            t[count] = (day[k] - day[i]) / 365.25
            count += 1
        if count - before > neighbours:
            found += 1
    return count, found


@compiled
def near_day(day: Day, usable: BoolArray, begin: int, end: int, wanted: int, tolerance: int) -> int:
    """The usable observation nearest to the day `wanted`, at most `tolerance` days off; -1 for none."""
    best = -1
    k = begin + int(np.searchsorted(day[begin:end], wanted - tolerance))
    while k < end and day[k] <= wanted + tolerance:
        if usable[k] and (best < 0 or abs(day[k] - wanted) < abs(day[best] - wanted)):
            best = k
        k += 1
    return best


@compiled
def moments(y: FloatArray, count: int) -> tuple[float, float]:
    """Mean, and variance of the next value: with the error of the mean, and a standard deviation of at least 1."""
    mean = y[:count].mean()
    spread = 0.0
    for k in range(count):
        spread += (y[k] - mean) ** 2
    return mean, max(spread / (count - 1), 1.0) * (1 + 1 / count)


@compiled
def fitted(y: FloatArray, t: FloatArray, count: int) -> tuple[float, float]:
    """Mean and variance of the count at t = 0 by quasi-Poisson regression, past outbreaks weighted down."""
    most = y[:count].max()
    if most <= 0:
        return 0.5 / count, 0.5 / count * (1 + 1 / count)  # no case ever: half a one over all
    weight = np.ones(count)
    mean, variance, slope, error = regression(y, t, count, weight, True)
    trend = abs(slope) > SIGNIFICANT * error and mean <= most
    mean, variance, slope, error = regression(y, t, count, weight, trend)
    reweighted(y, t, count, weight, trend)
    mean, variance, slope, error = regression(y, t, count, weight, trend)
    if trend and mean > most:
        mean, variance, slope, error = regression(y, t, count, weight, False)
    return mean, variance


@compiled
def coefficients(
    y: FloatArray, t: FloatArray, count: int, weight: FloatArray, trend: bool
) -> tuple[float, float, float, float, float]:
    """Intercept, slope, and the inverse of the information (three numbers) by iterated least squares."""
    a = np.log(max((weight * y[:count]).sum() / weight.sum(), 1e-8))
    b = 0.0
    i00 = i01 = i11 = 0.0
    for _ in range(50):
        s0 = s1 = g0 = g1 = 0.0
        s2 = 0.0
        for k in range(count):
            mu = np.exp(min(a + b * t[k], 50.0))
            w = weight[k] * mu
            r = weight[k] * (y[k] - mu)
            s0 += w
            s1 += w * t[k]
            s2 += w * t[k] * t[k]
            g0 += r
            g1 += r * t[k]
        if trend:
            det = s0 * s2 - s1 * s1
            if det <= 1e-12 * s0 * s2:
                return a, b, i00, i01, 1e12
            i00, i01, i11 = s2 / det, -s1 / det, s0 / det
        else:
            i00, i01, i11 = 1 / s0, 0.0, 0.0
        da = i00 * g0 + i01 * g1
        db = i01 * g0 + i11 * g1
        a += min(max(da, -3.0), 3.0)
        b += min(max(db, -3.0), 3.0)
        if abs(da) + abs(db) < 1e-12:
            break
    return a, b, i00, i01, i11


@compiled
def dispersion(
    y: FloatArray, t: FloatArray, count: int, weight: FloatArray, trend: bool, a: float, b: float
) -> float:
    """Pearson's, at least 1."""
    total = 0.0
    for k in range(count):
        mu = np.exp(min(a + b * t[k], 50.0))
        total += weight[k] * (y[k] - mu) ** 2 / max(mu, 1e-12)
    return max(total / (count - (2 if trend else 1)), 1.0)


@compiled
def regression(
    y: FloatArray, t: FloatArray, count: int, weight: FloatArray, trend: bool
) -> tuple[float, float, float, float]:
    """Predicted mean at t = 0, its predictive variance, the slope and its standard error."""
    a, b, i00, _, i11 = coefficients(y, t, count, weight, trend)
    phi = dispersion(y, t, count, weight, trend, a, b)
    mean = np.exp(min(a, 50.0))
    return mean, phi * (mean + mean * mean * i00), b, sqrt(phi * i11)


@compiled
def reweighted(y: FloatArray, t: FloatArray, count: int, weight: FloatArray, trend: bool) -> None:
    """Weights s**-2 for past outbreaks, s their standardised Anscombe residual; the sum of the weights stays.

    The dispersion is the lesser of Pearson's and a robust one: otherwise three outbreaks hide each other. What comes
    back in most years is no outbreak but the season.
    """
    a, b, i00, i01, i11 = coefficients(y, t, count, weight, trend)
    raw, distance = np.empty(count), np.empty(count)
    for k in range(count):
        mu = np.exp(min(a + b * t[k], 50.0))
        raw[k] = 1.5 * (y[k] ** (2 / 3) * mu ** (-1 / 6) - sqrt(mu))
    middle = np.median(raw)
    hit = False
    for k in range(count):
        distance[k] = abs(raw[k] - middle)
    phi = dispersion(y, t, count, weight, trend, a, b)
    phi = min(phi, max((1.4826 * np.median(distance)) ** 2, 1.0))
    for k in range(count):
        mu = np.exp(min(a + b * t[k], 50.0))
        leverage = mu * (i00 + 2 * i01 * t[k] + i11 * t[k] * t[k])
        residual = raw[k] / sqrt(phi * max(1 - leverage, 1e-6))
        weight[k] = 1.0 if residual <= OUTBREAK else residual**-2
    seen = struck = 0  # years, and years with an outbreak
    for k in range(count):
        if k == 0 or round(t[k]) != round(t[k - 1]):
            seen += 1
            hit = False
        if weight[k] < 1 and not hit:
            struck += 1
            hit = True
    if 2 * struck > seen:
        weight[:] = 1.0
    weight *= count / weight.sum()


def weekday_medians(panel: Panel, usable: BoolArray, weeks: int, least: int) -> tuple[FloatArray, IntArray]:
    """Median of the newest `weeks` counts of the same weekday, and how many they are; NaN with fewer than `least`.

    Series with longer intervals than a few days have no weekdays: their newest counts are taken.
    """
    n = len(panel)
    middle, used = np.full(n, nan), np.zeros(n, np.int64)
    over_series(
        panel.start,
        lambda a, b: scan_weekdays(panel.start, panel.day, panel.value, usable, weeks, least, middle, used, a, b),
    )
    return middle, used


@compiled
def scan_weekdays(
    start: IntArray,
    day: Day,
    value: FloatArray,
    usable: BoolArray,
    weeks: int,
    least: int,
    middle: FloatArray,
    used: IntArray,
    first: int,
    last: int,
) -> None:
    y = np.empty(weeks)
    for s in range(first, last):
        begin = start[s]
        if not usable[begin : start[s + 1]].any():
            continue
        for i in range(begin, start[s + 1]):
            gap = interval(day, begin, i)
            if gap == 0:
                continue
            count = 0
            if gap < DAILY:
                for week in range(1, 2 * weeks + 1):
                    k = on_day(day, usable, begin, i, day[i] - 7 * week)
                    if k >= 0 and count < weeks:
                        y[count] = value[k]
                        count += 1
            else:
                for k in range(i - 1, begin - 1, -1):
                    if count == weeks:
                        break
                    if usable[k]:
                        y[count] = value[k]
                        count += 1
            if count >= least:
                middle[i] = np.median(y[:count])
                used[i] = count
