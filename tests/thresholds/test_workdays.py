"""Working days, public holidays and days worked instead, as published."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from thresholds import holidays
from thresholds.settings import TextFile
from thresholds.workdays import load_workdays, shipped_workdays

NEW_YEAR_2027 = """
kind = "workdays"
[[year]]
year = 2027
source = "通知"
holidays = [{ name = "元旦", days = [2026-12-31, 2027-01-02], work = [2027-01-03] }]
"""


def test_days_of_2026_are_those_of_the_notice() -> None:
    """Off: 33 days by name. Worked: two Saturdays and three Sundays and Saturdays more; the rest by weekday."""
    days = shipped_workdays()
    year = [date(2026, 1, 1) + timedelta(days=k) for k in range(365)]
    worked = [d.isoformat() for d in year if d.weekday() >= 5 and days.is_working(d)]
    assert worked == ["2026-01-04", "2026-02-14", "2026-02-28", "2026-05-09", "2026-09-20", "2026-10-10"]
    off = [d for d in year if d.weekday() < 5 and not days.is_working(d)]
    assert len(off) == 19
    assert sum(days.is_working(d) for d in year) == 261 - 19 + 6
    assert days.name_of(date(2026, 2, 16)) == days.name_of(date(2026, 2, 28)) == "春节"


@pytest.mark.parametrize("year", [2024, 2025, 2026])
def test_every_published_holiday_holds_the_day_of_the_law(year: int) -> None:
    """The first day by calendar (清明, 端午, 中秋, Spring Festival, …) is off, and each year names its notice."""
    days = shipped_workdays()
    for name in holidays.LENGTHS:
        firsts = [date(1970, 1, 1) + timedelta(days=int(n)) for n in holidays.first_days(name)]
        (first,) = [d for d in firsts if d.year == year]
        assert not days.is_working(first), (name, first)
    assert "国务院办公厅" in days.years[year].source


def test_a_year_without_notice_is_not_known_and_goes_by_the_law() -> None:
    days = shipped_workdays()
    assert days.is_known(date(2026, 12, 28))
    assert not days.is_known(date(2026, 12, 30)), "the notice of the next year may move it"
    assert not days.is_known(date(2028, 5, 8))
    assert not days.is_working(date(2028, 5, 1))
    assert days.is_working(date(2028, 5, 8))
    assert not days.is_working(date(2028, 5, 6))
    assert days.name_of(date(2028, 1, 25)) == "春节", "the eve is off by law"
    assert days.last_known == date(2026, 12, 28)


def test_a_file_of_the_installation_adds_a_year_and_may_reach_back_over_its_beginning() -> None:
    days, faults = load_workdays([TextFile("own.toml", NEW_YEAR_2027)])
    assert days is not None, faults
    assert days.is_known(date(2026, 12, 30))
    assert not days.is_working(date(2026, 12, 31))
    assert days.is_working(date(2027, 1, 3))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("days = [2026-12-31, 2027-01-02]", "days = [2027-01-02, 2027-01-01]"), "end before they begin"),
        (("work = [2027-01-03]", "work = [2027-01-04]"), "worked anyway"),
        (("work = [2027-01-03]", "work = [2027-01-02]"), "off and worked"),
        (("work = [2027-01-03]", "work = [2028-01-01]"), "no day of 2027"),
        (('source = "通知"', 'source = ""'), "source"),
    ],
)
def test_a_faulty_file_is_refused_with_what_is_wrong(wrong: tuple[str, str], said: str) -> None:
    days, faults = load_workdays([TextFile("own.toml", NEW_YEAR_2027.replace(*wrong))])
    assert days is None
    assert said in str(faults[0])
