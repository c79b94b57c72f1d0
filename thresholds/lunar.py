"""The lunar calendar as far as prices know it: days to and from Spring Festival.

Food prices climb before Spring Festival and fall after it, and the festival moves between 21 January and 20 February.
So a day near it is compared with the day of the same distance to the festival in another year; leap months, which
shift every lunar date after them, cannot disturb that. Away from it (more than 30 days) the Gregorian date says more.

Source of the dates: Hong Kong Observatory, Gregorian-Lunar Calendar Conversion Table (rules: GB/T 33661-2017). Before
1950 and after 2099 nothing is known of the festival: there, offsets are `FAR` and comparisons Gregorian.
"""

from __future__ import annotations

from datetime import date

import numpy as np
from numpy.typing import NDArray

from thresholds.model import FloatArray

Day = NDArray[np.int32]

FIRST_YEAR = 1950
DATES = (
    "0217 0206 0127 0214 0203 0124 0212 0131 0218 0208 "  # 1950
    "0128 0215 0205 0125 0213 0202 0121 0209 0130 0217 "  # 1960
    "0206 0127 0215 0203 0123 0211 0131 0218 0207 0128 "  # 1970
    "0216 0205 0125 0213 0202 0220 0209 0129 0217 0206 "  # 1980
    "0127 0215 0204 0123 0210 0131 0219 0207 0128 0216 "  # 1990
    "0205 0124 0212 0201 0122 0209 0129 0218 0207 0126 "  # 2000
    "0214 0203 0123 0210 0131 0219 0208 0128 0216 0205 "  # 2010
    "0125 0212 0201 0122 0210 0129 0217 0206 0126 0213 "  # 2020
    "0203 0123 0211 0131 0219 0208 0128 0215 0204 0124 "  # 2030
    "0212 0201 0122 0210 0130 0217 0206 0126 0214 0202 "  # 2040
    "0123 0211 0201 0219 0208 0128 0215 0204 0124 0212 "  # 2050
    "0202 0121 0209 0129 0217 0205 0126 0214 0203 0123 "  # 2060
    "0211 0131 0219 0207 0127 0215 0205 0124 0212 0202 "  # 2070
    "0122 0209 0129 0217 0206 0126 0214 0203 0124 0210 "  # 2080
    "0130 0218 0207 0127 0215 0205 0125 0212 0201 0121"  # 2090
)
"""Month and day of the first day of the first lunar month, one per year from `FIRST_YEAR` on."""

SPRING_FESTIVAL: dict[int, date] = {
    FIRST_YEAR + n: date(FIRST_YEAR + n, int(text[:2]), int(text[2:])) for n, text in enumerate(DATES.split())
}
FESTIVAL_DAYS: Day = np.array([(d - date(1970, 1, 1)).days for d in SPRING_FESTIVAL.values()], np.int32)
"""The same as days since 1970-01-01, rising."""

NEAR = 30
"""Days before and after the festival within which a date is compared by its distance to it."""
FAR = 10_000
"""Offset of a day of which no festival within two years is known."""

PHASES = ((-20, -1), (0, 6), (7, 26))
"""First and last day, from the festival, of what comes before it, of the holiday itself and of what comes after.
Windows of Lin & Liu (2003) and RBA RDP 2015-13 are of this kind; the lengths are METHODS' starting values."""


def nearest(days: Day) -> NDArray[np.int64]:
    """Position in `FESTIVAL_DAYS` of the festival nearest to each day; of two equally near ones the later."""
    after = np.clip(np.searchsorted(FESTIVAL_DAYS, days), 1, len(FESTIVAL_DAYS) - 1)
    to_next, since_last = FESTIVAL_DAYS[after] - days, days - FESTIVAL_DAYS[after - 1]
    return np.where(to_next <= since_last, after, after - 1).astype(np.int64)


def offset(days: Day) -> Day:
    """int32[n]: days from the nearest Spring Festival, negative before it, 0 on its day; `FAR` beyond the table."""
    away = days - FESTIVAL_DAYS[nearest(days)]
    return np.where(np.abs(away) > 366, FAR, away).astype(np.int32)


def phase(days: Day) -> NDArray[np.int8]:
    """int8[n]: 1, 2, 3 where a day is in the window before, during or after the festival (`PHASES`), else 0."""
    away = offset(days)
    found = np.zeros(len(days), np.int8)
    for number, (first, last) in enumerate(PHASES, 1):
        found[(away >= first) & (away <= last)] = number
    return found


def years_earlier(days: Day, years: int, gregorian: Day) -> Day:
    """int32[n]: the day to compare each of `days` with, `years` years before.

    Where a day lies within `NEAR` days of a festival, or its counterpart by the Gregorian calendar does, it is the
    day as far from the festival of that year; else `gregorian`, int32[n], the same date that many years before. The
    second case keeps an ordinary day from being compared with one of the festival's, only because the festival moved.
    """
    which = nearest(days)
    away = days - FESTIVAL_DAYS[which]
    near = (np.abs(away) <= NEAR) | (np.abs(offset(gregorian)) <= NEAR)
    known = (which >= years) & (np.abs(away) <= NEAR + 30)
    return np.where(near & known, FESTIVAL_DAYS[np.maximum(which - years, 0)] + away, gregorian).astype(np.int32)


def shares(months: NDArray[np.int64]) -> FloatArray:
    """float64[n, 3]: share of the days of each window of `PHASES` that fall into each month; the regressors.

    months  int64[n], months since January 1970. A month outside the table has no share: zeros.
    """
    year = 1970 + np.floor_divide(months, 12) - FIRST_YEAR
    known = (year >= 0) & (year < len(FESTIVAL_DAYS))
    festival = FESTIVAL_DAYS[np.where(known, year, 0)].astype(np.int64)
    first = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    last = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) - 1
    found = np.zeros((len(months), len(PHASES)))
    for k, (begin, end) in enumerate(PHASES):
        inside = np.minimum(festival + end, last) - np.maximum(festival + begin, first) + 1
        found[:, k] = np.where(known, np.maximum(inside, 0) / (end - begin + 1), 0.0)
    return found


def centre() -> FloatArray:
    """float64[12, 3]: mean of `shares` by calendar month over 1980 to 2050.

    A constant, so that what is known later changes nothing. Subtracting it leaves the season of an average year to
    the months, and to these regressors only how far a year's festival is from average.
    """
    months = np.arange(12 * 10, 12 * 81, dtype=np.int64)
    mean: FloatArray = shares(months).reshape(-1, 12, len(PHASES)).mean(axis=0)
    return mean


def centred_shares(months: NDArray[np.int64]) -> FloatArray:
    """float64[n, 3]: `shares` less their mean by calendar month; zeros outside the table."""
    year = 1970 + np.floor_divide(months, 12) - FIRST_YEAR
    known = (year >= 0) & (year < len(FESTIVAL_DAYS))
    found: FloatArray = np.where(known[:, None], shares(months) - centre()[np.mod(months, 12)], 0.0)
    return found
