"""Changes of one item against earlier times, as price offices give them: 日环比, 周环比, 旬环比, 月环比, 同比.

The earlier value is the newest one on the day that the lag points to, or within its tolerance before it
(thresholds/calendar.py, the same as for the rules). A mean is compared over the series that have both values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    found = np.full(len(LAGS), np.nan)
    for n, lag in enumerate(LAGS):
        wanted = int(earlier(np.array([newest], np.int32), lag)[0])
        place = int(np.searchsorted(day, wanted, side="right")) - 1
        if place >= 0 and wanted - int(day[place]) <= TOLERANCE.get(lag, 0):
            found[n] = value[place]
    return Line(newest, float(value[-1]), found)


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
