"""What stands beside a finding: what each point did, and the same date in the years before by both calendars."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache

import numpy as np

from thresholds import lunar
from thresholds.calendar import TOLERANCE, Day, Lag, clipped
from thresholds.model import BoolArray, Contribution, Direction, Earlier
from thresholds.panel import Panel
from thresholds.view import View

YEARS = 3
MOST_CONTRIBUTIONS = 20


def contributions(
    panel: Panel, usable: BoolArray, series: Sequence[int], time: int, direction: Direction
) -> tuple[Contribution, ...]:
    """What each point did at `time` against its own usable report before, those that pushed most first."""
    out = []
    for s in series:
        a, b = int(panel.start[s]), int(panel.start[s + 1])
        i = a + int(np.searchsorted(panel.time[a:b], time, "right")) - 1
        earlier = np.flatnonzero(usable[a : max(i, a)])
        if i < a or panel.time[i] != time or not usable[i] or not len(earlier):
            continue
        before, now = float(panel.value[a + earlier[-1]]), float(panel.value[i])
        change = now / before - 1 if before > 0 else float("nan")
        out.append(Contribution(panel.keys[s].point, panel.areas[s], now, before, change))
    push = -1 if direction is Direction.DOWN else 1
    out.sort(key=lambda c: (-push * c.change if c.change == c.change else np.inf, c.point))
    return tuple(out[:MOST_CONTRIBUTIONS])


def earlier_years(view: View, position: int) -> tuple[Earlier, ...]:
    """What the series of an observation was on the same date 1, 2 and 3 years before, where it is known.

    The newest real value on that day or up to `TOLERANCE` days before it, as in a change over a year. The lunar date
    is given where it differs from the Gregorian one, which is around Spring Festival.
    """
    panel = view.panel
    series = int(panel.series[position])
    begin = int(panel.start[series])
    levels = np.flatnonzero(view.rebased[begin : position + 1])  # a new level is compared with nothing before it
    first = begin + int(levels[-1]) if len(levels) else begin
    days = same_days(int(panel.day[position]))
    found = (at_day(view, position, first, day, years, calendar) for years, calendar, day in days)
    return tuple(one for one in found if one is not None)


@lru_cache(maxsize=4096)
def same_days(day: int) -> tuple[tuple[int, str, int], ...]:
    """Years back, calendar and day (since 1970-01-01) for the days that `day` is compared with."""
    days = np.array([day], np.int32)
    found = []
    for years in range(1, YEARS + 1):
        gregorian = same_date(days, years)
        by_moon = lunar.years_earlier(days, years, gregorian)
        found.append((years, "gregorian", int(gregorian[0])))
        if by_moon[0] != gregorian[0]:
            found.append((years, "lunar", int(by_moon[0])))
    return tuple(found)


def same_date(days: Day, years: int) -> Day:
    """The same day of the same month so many years before (28 February for the 29th)."""
    date = days.astype("datetime64[D]")
    month = date.astype("datetime64[M]")
    of_month = (date - month.astype("datetime64[D]")).astype(np.int64)
    return clipped(month - 12 * years, of_month).astype(np.int32)


def at_day(view: View, position: int, first: int, day: int, years: int, calendar: str) -> Earlier | None:
    panel = view.panel
    i = first + int(np.searchsorted(panel.day[first:position], day, "right")) - 1
    while i >= first and not view.real[i]:
        i -= 1
    if i < first or panel.day[i] < day - TOLERANCE[Lag.YEAR]:
        return None
    value, now = float(panel.value[i]), float(panel.value[position])
    change = now / value - 1 if value > 0 else float("nan")
    return Earlier(years, calendar, datetime.fromtimestamp(int(panel.time[i]), UTC), value, change)
