"""Civil calendar arithmetic on whole columns of days (int32, days since 1970-01-01).

A month, three months or a year earlier is the same day of the month, or the last day where that month is shorter
(31 March -> 28 or 29 February). A 旬 is the third of a month: days 1-10, 11-20, 21 to the end. A 旬 earlier is the
same place in the 旬 before; the last day of a 旬 goes with the last day of the 旬 before (10 May -> 30 April,
28 February -> 20 February).
A lunar year earlier is the day as far from Spring Festival, where this day or the Gregorian one a year earlier lies
within 30 days of it (an ordinary day is not compared with a festival's), else the Gregorian year earlier.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from thresholds import lunar

Day = NDArray[np.int32]


class Lag(StrEnum):
    """With what an observation is compared. `PREVIOUS` is the last usable one before it, whenever that was."""

    PREVIOUS = "previous"
    DAY = "1d"
    WEEK = "1w"
    XUN = "旬"
    TEN_DAYS = "10d"
    THIRTY_DAYS = "30d"
    MONTH = "1m"
    THREE_MONTHS = "3m"
    YEAR = "1y"
    YEAR_OF_WEEKS = "52w"
    LUNAR_YEAR = "1y-lunar"


MONTHS = {Lag.MONTH: 1, Lag.THREE_MONTHS: 3}
FIXED = {Lag.DAY: 1, Lag.WEEK: 7, Lag.TEN_DAYS: 10, Lag.THIRTY_DAYS: 30, Lag.YEAR_OF_WEEKS: 364}

TOLERANCE = {
    Lag.DAY: 3,
    Lag.WEEK: 3,
    Lag.XUN: 4,
    Lag.TEN_DAYS: 4,
    Lag.THIRTY_DAYS: 10,
    Lag.MONTH: 10,
    Lag.THREE_MONTHS: 10,
    Lag.YEAR: 20,
    Lag.YEAR_OF_WEEKS: 6,
    Lag.LUNAR_YEAR: 20,
}
"""Days by which the compared observation may be older than the exact date: weekends and holidays have no quotes."""

WORDS = {
    Lag.PREVIOUS: "较上期",
    Lag.DAY: "较前一日",
    Lag.WEEK: "较一周前",
    Lag.XUN: "较上旬",
    Lag.TEN_DAYS: "10日内累计",
    Lag.THIRTY_DAYS: "30日内累计",
    Lag.MONTH: "较上月同日",
    Lag.THREE_MONTHS: "3个月内累计",
    Lag.YEAR: "较上年同日",
    Lag.YEAR_OF_WEEKS: "较上年同周",
    Lag.LUNAR_YEAR: "较上年农历同日",
}


def earlier(day: Day, lag: Lag) -> Day:
    """The day that `lag` points to, for each of `day`. Not for PREVIOUS, which is no calendar distance."""
    if lag in FIXED:
        return day - np.int32(FIXED[lag])
    low, high = (int(day.min()), int(day.max())) if len(day) else (0, 0)
    table = earlier_dates(np.arange(low, high + 1, dtype=np.int32), lag)
    return table[day - low]


def earlier_dates(days: Day, lag: Lag) -> Day:
    """The same for a range of days: the table that `earlier` looks up."""
    dates = days.astype("datetime64[D]")
    month = dates.astype("datetime64[M]")
    of_month = (dates - month.astype("datetime64[D]")).astype(np.int64)  # 0 for the first
    if lag is Lag.XUN:
        return xun_earlier(month, of_month).astype(np.int32)
    found = clipped(month - MONTHS.get(lag, 12), of_month).astype(np.int32)
    if lag is Lag.LUNAR_YEAR:
        found = lunar.years_earlier(days, 1, found)
    return found


def xun_earlier(month: NDArray[np.datetime64], of_month: NDArray[np.int64]) -> NDArray[np.datetime64]:
    """The day one 旬 before day `of_month` (0-based) of `month`."""
    length = ((month + 1).astype("datetime64[D]") - month.astype("datetime64[D]")).astype(np.int64)
    last = of_month == length - 1
    within = np.where(last, 19, np.minimum(of_month - 10, 19))
    across = np.where(of_month == 9, 30, of_month + 20)  # clipped: the 10th goes with the last day, whichever it is
    first = of_month < 10
    return clipped(np.where(first, month - 1, month), np.where(first, across, within))


def clipped(month: NDArray[np.datetime64], of_month: NDArray[np.int64]) -> NDArray[np.datetime64]:
    """Day `of_month` (0-based) of `month`, or its last day where it is shorter."""
    first = month.astype("datetime64[D]")
    last = (month + 1).astype("datetime64[D]") - np.timedelta64(1, "D")
    found: NDArray[np.datetime64] = np.minimum(first + of_month.astype("timedelta64[D]"), last)
    return found
