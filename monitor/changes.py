"""Changes of one item against earlier times, as price offices give them: 日环比, 周环比, 旬环比, 月环比, 同比.

The earlier value is the newest one on the day that the lag points to, or within its tolerance before it
(thresholds/calendar.py, the same as for the rules). A mean is compared over the series that have both values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from thresholds.calendar import TOLERANCE, Lag, earlier
from thresholds.model import FloatArray, IntArray

LAGS = (Lag.DAY, Lag.WEEK, Lag.XUN, Lag.MONTH, Lag.YEAR, Lag.LUNAR_YEAR)
NAMES = {
    Lag.DAY: "日环比",
    Lag.WEEK: "周环比",
    Lag.XUN: "旬环比",
    Lag.MONTH: "月环比",
    Lag.YEAR: "同比",
    Lag.LUNAR_YEAR: "农历同比",
}
TOLERANCES = np.array([TOLERANCE.get(lag, 0) for lag in LAGS], np.int64)


@dataclass(frozen=True, slots=True)
class Line:
    """One series: its newest reading and the value at each lag before it (NaN for none).

    day      days since 1970-01-01 of the newest reading
    earlier  float64[len(LAGS)]
    """

    day: int
    value: float
    earlier: FloatArray

    @property
    def changes(self) -> list[float | None]:
        """Ratio of change at each lag."""
        return [ratio(self.value, then) for then in self.earlier.tolist()]


def ratio(now: float, then: float) -> float | None:
    return now / then - 1 if then == then and then > 0 and now == now else None


def line_of(day: IntArray, value: FloatArray) -> Line | None:
    """The comparisons of one series; `day` (int64[n]) rising. None for an empty one."""
    if not len(day):
        return None
    newest = int(day[-1])
    wanted = days_before(newest)
    place = np.searchsorted(day, wanted, side="right") - 1
    there = np.maximum(place, 0)
    known = (place >= 0) & (wanted - day[there] <= TOLERANCES)
    return Line(newest, float(value[-1]), np.where(known, value[there], np.nan))


@lru_cache(maxsize=1_000)
def days_before(newest: int) -> IntArray:
    """int64[len(LAGS)]: the day that each lag points to from this one; most series of an item end on the same."""
    one = np.array([newest], np.int32)
    return np.array([int(earlier(one, lag)[0]) for lag in LAGS], np.int64)


def mean_of(lines: Sequence[Line]) -> Line | None:
    """The mean of the series whose newest reading is as new as any: matched at each lag.

    `earlier` is set so that its ratio to `value` is that of the matched means.
    """
    if not lines:
        return None
    newest = max(line.day for line in lines)
    current = [line for line in lines if line.day == newest]
    value = float(np.mean([line.value for line in current]))
    then = np.full(len(LAGS), np.nan)
    for n in range(len(LAGS)):
        both = [line for line in current if line.earlier[n] == line.earlier[n]]
        before = float(np.sum([line.earlier[n] for line in both])) if both else 0.0
        if before > 0:
            then[n] = value * before / float(np.sum([line.value for line in both]))
    return Line(newest, value, then)
