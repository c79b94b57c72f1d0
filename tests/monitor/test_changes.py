"""Changes of one item at each lag, by hand-worked dates."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from monitor.changes import LAGS, NAMES, Line, line_of, mean_of
from monitor.documents.comparison import number_of
from thresholds.calendar import Lag


def line(*quotes: tuple[str, float]) -> Line:
    days = np.array([number_of(date.fromisoformat(day)) for day, _ in quotes], np.int64)
    found = line_of(days, np.array([value for _, value in quotes]))
    assert found is not None
    return found


def change(found: Line, lag: Lag) -> float | None:
    return found.changes[LAGS.index(lag)]


@pytest.mark.parametrize(
    ("lag", "day"),
    [
        (Lag.DAY, "2026-05-14"),
        (Lag.WEEK, "2026-05-08"),
        (Lag.XUN, "2026-05-05"),
        (Lag.MONTH, "2026-04-15"),
        (Lag.YEAR, "2025-05-15"),
    ],
)
def test_each_lag_compares_with_its_day(lag: Lag, day: str) -> None:
    assert change(line((day, 2.0), ("2026-05-15", 2.5)), lag) == pytest.approx(0.25)


def test_a_lag_without_a_quote_near_its_day_is_not_compared() -> None:
    found = line(("2026-01-01", 2.0), ("2026-05-15", 2.5))
    assert found.changes == [None] * len(LAGS)


def test_the_lunar_year_goes_by_spring_festival() -> None:
    found = line(("2025-01-28", 2.0), ("2026-02-16", 3.0))
    assert change(found, Lag.LUNAR_YEAR) == pytest.approx(0.5)
    assert change(found, Lag.YEAR) is None or change(found, Lag.YEAR) == pytest.approx(0.5)


def test_a_mean_is_compared_over_the_points_that_have_both() -> None:
    both, new = line(("2026-05-14", 2.0), ("2026-05-15", 2.2)), line(("2026-05-15", 9.0))
    mean = mean_of([both, new])
    assert mean is not None
    assert mean.value == pytest.approx(5.6)
    assert change(mean, Lag.DAY) == pytest.approx(0.1)


def test_a_point_that_did_not_report_on_the_newest_day_is_not_in_the_mean() -> None:
    mean = mean_of([line(("2026-05-15", 2.0)), line(("2026-05-01", 99.0))])
    assert mean is not None
    assert mean.value == 2.0


def test_a_series_without_readings_has_no_line() -> None:
    assert line_of(np.empty(0, np.int64), np.empty(0)) is None
    assert mean_of([]) is None


def test_zero_and_negative_values_are_never_divided_by() -> None:
    assert change(line(("2026-05-14", 0.0), ("2026-05-15", 2.5)), Lag.DAY) is None
    assert change(line(("2026-05-14", -1.0), ("2026-05-15", 2.5)), Lag.DAY) is None


def test_every_lag_has_its_name() -> None:
    assert set(NAMES) == set(LAGS)
