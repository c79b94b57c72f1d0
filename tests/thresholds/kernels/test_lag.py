"""Lagged comparison, against pandas and against the calendar of the standard library."""

from __future__ import annotations

import calendar
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.thresholds.build import panel_of, quotes
from thresholds.calendar import FIXED, TOLERANCE, Lag, earlier
from thresholds.kernels.lag import counted_back, cut_off, lag_positions, relative_change
from thresholds.lunar import SPRING_FESTIVAL
from thresholds.model import SeriesKey
from thresholds.panel import Panel

CALENDAR_LAGS = [lag for lag in Lag if lag is not Lag.PREVIOUS]
DAYS = st.lists(st.integers(0, 1200), min_size=1, max_size=120, unique=True).map(sorted)


def one_earlier(day: date, lag: Lag) -> date:
    """The same with plain dates, one at a time."""
    if lag in FIXED:
        return day - timedelta(days=FIXED[lag])
    before = day.replace(day=1) - timedelta(days=1)
    if lag is Lag.XUN:
        last = calendar.monthrange(day.year, day.month)[1]
        if day.day == last or day.day > 30:
            return day.replace(day=20)
        if day.day > 10:
            return day.replace(day=day.day - 10)
        if day.day == 10:
            return before
        return before.replace(day=min(day.day + 20, before.day))
    if lag is Lag.LUNAR_YEAR:
        gregorian = one_earlier(day, Lag.YEAR)
        for year in (day.year, day.year + 1):
            away = (day - SPRING_FESTIVAL[year]).days
            if abs(away) <= 30 or (abs(away) < 90 and abs((gregorian - SPRING_FESTIVAL[year - 1]).days) <= 30):
                return SPRING_FESTIVAL[year - 1] + timedelta(days=away)
    back = {Lag.MONTH: 1, Lag.THREE_MONTHS: 3}.get(lag, 12)
    year, month = divmod(day.year * 12 + day.month - 1 - back, 12)
    month += 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def days_of(dates: list[date]) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    return np.array([(d - date(1970, 1, 1)).days for d in dates], np.int32)


@pytest.mark.parametrize("lag", CALENDAR_LAGS)
def test_earlier_is_right_on_every_day_of_nine_years(lag: Lag) -> None:
    """Months of 28 to 31 days, two leap years, both ends of every 旬: each day against plain dates."""
    dates = [date(2019, 1, 1) + timedelta(days=n) for n in range(9 * 366)]
    assert earlier(days_of(dates), lag).tolist() == days_of([one_earlier(d, lag) for d in dates]).tolist()


@pytest.mark.parametrize(
    ("lag", "day", "expected"),
    [
        (Lag.MONTH, date(2024, 3, 31), date(2024, 2, 29)),
        (Lag.MONTH, date(2023, 3, 29), date(2023, 2, 28)),
        (Lag.MONTH, date(2026, 1, 15), date(2025, 12, 15)),
        (Lag.YEAR, date(2024, 2, 29), date(2023, 2, 28)),
        (Lag.YEAR, date(2025, 2, 28), date(2024, 2, 28)),
        (Lag.XUN, date(2026, 3, 5), date(2026, 2, 25)),
        (Lag.XUN, date(2026, 3, 10), date(2026, 2, 28)),
        (Lag.XUN, date(2026, 5, 31), date(2026, 5, 20)),
        (Lag.XUN, date(2026, 2, 28), date(2026, 2, 20)),
        (Lag.XUN, date(2026, 6, 10), date(2026, 5, 31)),
        (Lag.XUN, date(2026, 6, 20), date(2026, 6, 10)),
        (Lag.WEEK, date(2026, 3, 3), date(2026, 2, 24)),
        (Lag.LUNAR_YEAR, date(2026, 2, 16), date(2025, 1, 28)),
        (Lag.LUNAR_YEAR, date(2026, 3, 19), date(2025, 2, 28)),
        (Lag.LUNAR_YEAR, date(2026, 3, 20), date(2025, 3, 20)),
        (Lag.LUNAR_YEAR, date(2026, 1, 17), date(2024, 12, 29)),
        (Lag.LUNAR_YEAR, date(2024, 2, 29), date(2023, 2, 10)),
    ],
)
def test_the_edges_of_months_by_hand(lag: Lag, day: date, expected: date) -> None:
    """Ends of months, leap days, and the last day of a 旬 with the last day of the 旬 before."""
    assert earlier(days_of([day]), lag).tolist() == days_of([expected]).tolist()


@pytest.mark.parametrize("lag", CALENDAR_LAGS)
def test_no_lag_ever_goes_forward(lag: Lag) -> None:
    """A later day points to no earlier target, save where the lunar year gives way to the Gregorian one."""
    days = np.arange(15_000, 22_000, dtype=np.int32)
    target = earlier(days, lag)
    assert ((np.diff(target) < 0).sum() > 0) == (lag is Lag.LUNAR_YEAR)
    assert (target < days).all()


def panel_from(many: list[list[int]]) -> Panel:
    """One daily series per list of days."""
    rows = [o for n, days in enumerate(many) for d in days for o in quotes([1.0 + d], point=f"点{n}", first=d)]
    return panel_of(rows)


@pytest.mark.parametrize("lag", CALENDAR_LAGS)
@settings(max_examples=40)
@given(st.lists(DAYS, min_size=1, max_size=3))
def test_positions_are_those_of_pandas_per_series(lag: Lag, many: list[list[int]]) -> None:
    """For every series the same as `reindex(method='ffill', tolerance=…)` at the lagged dates."""
    panel = panel_from(many)
    found = lag_positions(panel, np.ones(len(panel), np.bool_), lag)
    target = earlier(panel.day, lag)
    for s in range(panel.n_series):
        part = slice(panel.start[s], panel.start[s + 1])
        positions = pd.Series(np.arange(part.start, part.stop), index=panel.day[part])
        expected = positions.reindex(target[part], method="ffill", tolerance=TOLERANCE[lag]).fillna(-1)
        assert found[part].tolist() == expected.astype(int).tolist()


@settings(max_examples=60)
@given(DAYS, st.lists(st.booleans(), min_size=120, max_size=120), st.sampled_from(list(Lag)), st.integers(0, 40))
def test_positions_skip_what_is_not_usable(days: list[int], good: list[bool], lag: Lag, tolerance: int) -> None:
    """With suspects left out the same as `merge_asof` on the usable rows alone, for every lag and tolerance."""
    panel = panel_from([days])
    usable = np.array(good[: len(panel)])
    found = lag_positions(panel, usable, lag, tolerance)
    target = panel.day - 1 if lag is Lag.PREVIOUS else earlier(panel.day, lag)
    reach = tolerance - 1 if lag is Lag.PREVIOUS else tolerance
    left = pd.DataFrame({"target": np.sort(target.astype(np.int64))})
    order = np.argsort(target, kind="stable")
    right = pd.DataFrame({"day": panel.day.astype(np.int64), "place": np.arange(len(panel))})[usable]
    if not len(right) or reach < 0:
        assert (found == -1).all()
        return
    merged = pd.merge_asof(left, right, left_on="target", right_on="day", tolerance=reach)
    assert found[order].tolist() == merged["place"].fillna(-1).astype(int).tolist()


def test_previous_is_the_one_before_whenever_that_was() -> None:
    """Without a limit of age the observation before counts after any gap; the same day's earlier one too."""
    rows = quotes([1], first=0) + quotes([2], first=400) + quotes([3], first=400, hour=9)
    assert lag_positions(panel_of(rows), np.ones(3, np.bool_), Lag.PREVIOUS).tolist() == [-1, 0, 1]


def test_previous_with_a_limit_of_age() -> None:
    """`max_age` of 15 days: a report 15 days before is compared with, one 16 days before is not."""
    rows = quotes([1], first=0) + quotes([2], first=15) + quotes([3], first=31)
    assert lag_positions(panel_of(rows), np.ones(3, np.bool_), Lag.PREVIOUS, 15).tolist() == [-1, 0, -1]


def test_series_do_not_see_each_other() -> None:
    """The first observation of a series has nothing before it, though another series lies left of it."""
    panel = panel_from([[0, 1, 2], [2, 3]])
    for lag in Lag:
        found = lag_positions(panel, np.ones(5, np.bool_), lag, 10)
        assert found[0] == -1
        assert found[3] == -1
        assert found[4] in (-1, 3)


def test_many_series_in_threads_give_the_same() -> None:
    """Above the size where two threads share the work nothing changes."""
    n_series, length = 300, 800
    series = np.repeat(np.arange(n_series), length)
    at = np.tile(np.arange(length) * 86_400, n_series)
    keys = [SeriesKey("大米", point=str(s)) for s in range(n_series)]
    panel = Panel.build(keys, [""] * n_series, series, at, np.ones(n_series * length))
    assert len(panel) > 200_000
    found = lag_positions(panel, np.ones(len(panel), np.bool_), Lag.WEEK)
    place = np.tile(np.arange(length), n_series)
    assert (found == np.where(place >= 7, np.arange(len(panel)) - 7, -1)).all()


def test_where_the_lunar_year_gives_way_the_scan_steps_back() -> None:
    """Ten years of days: each finds the very day that it points to, also after targets that lay later."""
    panel = panel_of(quotes([1.0] * 3650))
    target = earlier(panel.day, Lag.LUNAR_YEAR)
    found = lag_positions(panel, np.ones(3650, np.bool_), Lag.LUNAR_YEAR, 0)
    inside = target >= panel.day[0]
    assert (np.diff(target) < 0).sum() >= 5
    np.testing.assert_array_equal(panel.day[found[inside]], target[inside])
    assert (found[~inside] == -1).all()


@pytest.mark.parametrize("readings", [1, 2, 5])
def test_counting_back_passes_over_what_is_not_allowed_and_stops_where_a_level_begins(readings: int) -> None:
    """One by one: the row so many allowed ones before, of the same series, not from before the newest new level."""
    rng = np.random.default_rng(readings)
    start = np.array([0, 40, 40, 43, 100])
    allowed, rebased = rng.random(100) < 0.7, rng.random(100) < 0.05
    found = counted_back(start, allowed, rebased, readings)
    some = 0
    for s in range(4):
        for i in range(start[s], start[s + 1]):
            before = [j for j in range(start[s], i) if allowed[j]]
            begun = max([j for j in range(start[s], i + 1) if rebased[j]], default=0)
            expected = before[-readings] if len(before) >= readings and before[-readings] >= begun else -1
            assert found[i] == expected
            some += expected >= 0
    assert some > 20


def test_what_lies_before_a_new_level_is_no_base() -> None:
    """From the row at which it begins on, until the end of its series."""
    start, rebased = np.array([0, 5, 8]), np.zeros(8, np.bool_)
    rebased[2] = True
    found = np.array([-1, 0, 1, 1, 2, -1, 5, 5])
    cut_off(start, rebased, found)
    assert found.tolist() == [-1, 0, -1, -1, 2, -1, 5, 5]


def test_change_is_against_a_positive_value_at_the_base() -> None:
    """Half as much again, none left, a value below zero now; nothing where there is no base, or not above zero."""
    value = np.array([2.0, 3.0, 0.0, -1.0, 5.0])
    change = relative_change(value, np.array([-1, 0, 0, 1, 2]))
    assert change[1:4].tolist() == [0.5, -1.0, -1.0 / 3.0 - 1.0]
    assert np.isnan(change[[0, 4]]).all()
    assert np.isnan(relative_change(value, np.array([3, 3, 3, 3, 3]))).all()
