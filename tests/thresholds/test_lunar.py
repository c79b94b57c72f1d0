"""Spring Festival, against the moon itself, the published table of shares and plain dates."""

from __future__ import annotations

from datetime import date, timedelta
from math import floor, radians, sin

import numpy as np
import pytest
from numpy.typing import NDArray

from thresholds.lunar import (
    FAR,
    FESTIVAL_DAYS,
    NEAR,
    SPRING_FESTIVAL,
    centred_shares,
    offset,
    phase,
    shares,
    years_earlier,
)


def days_of(*dates: date) -> NDArray[np.int32]:
    return np.array([(d - date(1970, 1, 1)).days for d in dates], np.int32)


def month(year: int, of_year: int) -> NDArray[np.int64]:
    return np.array([12 * (year - 1970) + of_year - 1], np.int64)


def new_moon(k: int) -> float:
    """Days since 1970-01-01, China time, of the k-th new moon after 2000-01-06 (Meeus, Astronomical Algorithms, 49).

    The main periodic terms only: within about a quarter of an hour over these years.
    """
    t = k / 1236.85
    day = 2451550.09766 + 29.530588861 * k + 0.00015437 * t * t
    e = 1 - 0.002516 * t
    sun = radians(2.5534 + 29.10535670 * k)
    moon = radians(201.5643 + 385.81693528 * k + 0.0107582 * t * t)
    lat = radians(160.7108 + 390.67050284 * k - 0.0016118 * t * t)
    node = radians(124.7746 - 1.56375588 * k)
    day += -0.40720 * sin(moon) + 0.17241 * e * sin(sun) + 0.01608 * sin(2 * moon) + 0.01039 * sin(2 * lat)
    day += 0.00739 * e * sin(moon - sun) - 0.00514 * e * sin(moon + sun) + 0.00208 * e * e * sin(2 * sun)
    day += -0.00111 * sin(moon - 2 * lat) - 0.00057 * sin(moon + 2 * lat) + 0.00056 * e * sin(2 * moon + sun)
    day += -0.00042 * sin(3 * moon) + 0.00042 * e * sin(sun + 2 * lat) + 0.00038 * e * sin(sun - 2 * lat)
    day += -0.00024 * e * sin(2 * moon - sun) - 0.00017 * sin(node)
    dynamical = (64 + 55 * t) / 86_400 if t > 0 else 50 / 86_400  # rough: the earth's rotation slows down
    return day - 2440587.5 - dynamical + 8 / 24


def test_every_festival_is_the_day_of_a_new_moon_in_china() -> None:
    """150 years against the moon's orbit; from 21 January to 20 February there is one new moon, two at most."""
    moons = np.array([new_moon(k) for k in range(-640, 1260)])
    for year, day in SPRING_FESTIVAL.items():
        assert date(year, 1, 21) <= day <= date(year, 2, 20)
        at = moons[np.argmin(np.abs(moons - 0.5 - days_of(day)[0]))]
        slack = 0.02  # of a day: a new moon that close to midnight is left to the observatory
        assert floor(at - slack) <= days_of(day)[0] <= floor(at + slack), (year, day, at)


def test_lunar_years_have_twelve_or_thirteen_months() -> None:
    """353 to 355 or 383 to 385 days from festival to festival; seven leap years in nineteen."""
    lengths = np.diff(FESTIVAL_DAYS)
    assert set(lengths.tolist()) <= {353, 354, 355, 383, 384, 385}
    assert {round(float((lengths[n : n + 19] > 360).sum())) for n in range(len(lengths) - 18)} <= {6, 7, 8}
    assert min(SPRING_FESTIVAL) <= 1980
    assert max(SPRING_FESTIVAL) >= 2050


def test_dates_that_everybody_remembers() -> None:
    """First days of years whose festivals are on record."""
    for text in ("1980-02-16", "2008-02-07", "2015-02-19", "2017-01-28", "2020-01-25", "2024-02-10", "2033-01-31"):
        day = date.fromisoformat(text)
        assert SPRING_FESTIVAL[day.year] == day


GOLDEN = {
    2020: ((1, 0, 0), (1, 0, 0), (0, 1, 0)),
    2023: ((1, 0, 0), (1, 0, 0), (0.15, 0.85, 0)),
    2024: ((0.55, 0.45, 0), (0, 1, 0), (0, 0.65, 0.35)),
    2025: ((1, 0, 0), (3 / 7, 4 / 7, 0), (0, 1, 0)),
    2026: ((0.20, 0.80, 0), (0, 1, 0), (0, 0.25, 0.75)),
}
"""METHODS 4.3: shares of the windows before, during and after in January, February and March."""


@pytest.mark.parametrize("year", GOLDEN)
def test_shares_are_those_of_the_published_table(year: int) -> None:
    """Exactly, the .43 and .57 of 2025 being three and four sevenths."""
    found = np.vstack([shares(month(year, m)) for m in (1, 2, 3)]).T
    np.testing.assert_allclose(found, np.array(GOLDEN[year]), rtol=0, atol=1e-15)


def test_shares_are_counted_days() -> None:
    """Every month of 1980 to 2050 against a count day by day; what is shared out each year is one whole window."""
    for year in range(1980, 2051):
        total = np.zeros(3)
        for m in range(1, 13):
            inside = [
                sum(
                    1
                    for n in range(first, last + 1)
                    if (d := SPRING_FESTIVAL[year] + timedelta(days=n)).month == m and d.year == year
                )
                / (last - first + 1)
                for first, last in ((-20, -1), (0, 6), (7, 26))
            ]
            found = shares(month(year, m))[0]
            np.testing.assert_allclose(found, inside, atol=1e-15)
            total += found
        np.testing.assert_allclose(total, 1.0)


def test_centred_shares_average_to_nothing_over_the_years() -> None:
    """By calendar month over 1980 to 2050; and outside the table they are zero, not the centre's negative."""
    months = np.arange(120, 12 * 81, dtype=np.int64)
    np.testing.assert_allclose(centred_shares(months).reshape(-1, 12, 3).mean(axis=0), 0.0, atol=1e-14)
    assert (centred_shares(month(2150, 1)) == 0).all()
    assert (centred_shares(month(1900, 2)) == 0).all()


def test_offsets_run_from_the_nearest_festival() -> None:
    """2026 (17 February): the day, the eve, a week on; in August the coming one; beyond the table nothing."""
    days = days_of(date(2026, 2, 17), date(2026, 2, 16), date(2026, 2, 24), date(2026, 10, 1), date(2150, 1, 1))
    assert offset(days).tolist() == [0, -1, 7, (date(2026, 10, 1) - date(2027, 2, 6)).days, FAR]
    assert phase(days).tolist() == [2, 1, 3, 0, 0]
    edges = days_of(*[date(2026, 2, 17) + timedelta(days=n) for n in (-21, -20, -1, 0, 6, 7, 26, 27)])
    assert phase(edges).tolist() == [0, 1, 1, 2, 2, 3, 3, 0]


def test_the_same_lunar_day_of_other_years() -> None:
    """Days before and after the festival, over leap months (2023 has one, 2025 too), one to three years back."""
    for n in (-NEAR, -8, 0, 14, NEAR):
        day = date(2026, 2, 17) + timedelta(days=n)
        for back, festival in ((1, date(2025, 1, 29)), (2, date(2024, 2, 10)), (3, date(2023, 1, 22))):
            found = years_earlier(days_of(day), back, days_of(day.replace(year=2026 - back)))
            assert found.tolist() == days_of(festival + timedelta(days=n)).tolist()


def test_an_ordinary_day_is_not_compared_with_one_of_the_festival() -> None:
    """17 January 2026 is 31 days before it, 17 January 2025 was 12: 29 December 2024 is the one to take."""
    found = years_earlier(days_of(date(2026, 1, 17)), 1, days_of(date(2025, 1, 17)))
    assert found.tolist() == days_of(date(2024, 12, 29)).tolist()
    for day in (date(2026, 6, 1), date(2025, 12, 20), date(1950, 2, 17)):
        before = days_of(day.replace(year=day.year - 1))
        assert years_earlier(days_of(day), 1, before).tolist() == before.tolist()
