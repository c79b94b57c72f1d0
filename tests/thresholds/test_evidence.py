"""What stands beside a finding: the same date in the years before, by both calendars."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from tests.thresholds.build import found, panel_of, policy_of, quotes, rule
from thresholds.model import Direction, Earlier, Kind, Mark, Observation
from thresholds.panel import SHANGHAI

CHANGE = rule({"kind": "change", "over": "previous", "percent": 20})


def daily(first: date, last: date, jump: date) -> list[Observation]:
    """Each day's value tells its date, month and day as 1.0131 for 31 January; half as much again from `jump` on."""
    days = [first + timedelta(days=k) for k in range((last - first).days + 1)]
    values = [
        (1 + d.month / 1000 + d.day / 10_000) * (1 + (d.year - 2020) / 100) * (1.5 if d >= jump else 1) for d in days
    ]
    return quotes(values, first=(first - date(2026, 1, 1)).days)


def shown(rows: list[Observation], mark: dict[int, Mark] | None = None) -> list[tuple[int, str, str]]:
    flags = found(panel_of(rows, mark), policy_of(CHANGE)).flags
    up = [f for f in flags if f.kind is Kind.MOVE and f.direction is Direction.UP]
    return [(e.years, e.calendar, e.at.astimezone(SHANGHAI).date().isoformat()) for e in up[-1].findings[0].earlier]


def test_the_same_date_of_three_years_is_given() -> None:
    rows = daily(date(2021, 1, 1), date(2026, 6, 20), date(2026, 6, 15))
    assert shown(rows) == [
        (1, "gregorian", "2025-06-15"),
        (2, "gregorian", "2024-06-15"),
        (3, "gregorian", "2023-06-15"),
    ]


def test_near_spring_festival_the_lunar_date_is_given_too() -> None:
    """10 February 2026 is seven days before: so were 22 January 2025, 3 February 2024 and 15 January 2023."""
    rows = daily(date(2021, 1, 1), date(2026, 2, 20), date(2026, 2, 10))
    assert shown(rows) == [
        (1, "gregorian", "2025-02-10"),
        (1, "lunar", "2025-01-22"),
        (2, "gregorian", "2024-02-10"),
        (2, "lunar", "2024-02-03"),
        (3, "gregorian", "2023-02-10"),
        (3, "lunar", "2023-01-15"),
    ]


def test_values_and_changes_are_those_of_that_day() -> None:
    rows = daily(date(2024, 1, 1), date(2026, 6, 20), date(2026, 6, 15))
    (flag,) = [f for f in found(rows, policy_of(CHANGE)).flags if f.direction is Direction.UP]
    one = flag.findings[0].earlier[0]
    assert isinstance(one, Earlier)
    assert one.value == pytest.approx((1 + 0.006 + 0.0015) * 1.05)
    assert one.change == pytest.approx(flag.value / one.value - 1)


def test_years_without_data_and_data_errors_are_left_out() -> None:
    """A day without a quote takes the last one before, up to twenty days; a value judged an error is passed over."""
    rows = daily(date(2024, 6, 14), date(2026, 6, 20), date(2026, 6, 15))
    place = next(n for n, o in enumerate(rows) if o.at.astimezone(SHANGHAI).date() == date(2025, 6, 15))
    assert shown(rows, {place: Mark.DATA_ERROR}) == [(1, "gregorian", "2025-06-14"), (2, "gregorian", "2024-06-15")]
    gap = [o for o in rows if not date(2025, 5, 25) < o.at.astimezone(SHANGHAI).date() < date(2025, 7, 1)]
    assert shown(gap) == [(2, "gregorian", "2024-06-15")]


def test_the_29th_of_february_is_compared_with_the_28th() -> None:
    rows = daily(date(2022, 1, 1), date(2024, 3, 5), date(2024, 2, 29))
    assert (1, "gregorian", "2023-02-28") in shown(rows)
