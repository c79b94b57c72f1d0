"""Public holidays of the mainland: their first days, 1950 to 2099.

What is fixed by law is here: which days, by which calendar. How working days are moved around them is announced year
by year, and no business of a rule. Sources: 全国年节及纪念日放假办法 (清明, 端午 and 中秋 since 2008); Hong Kong
Observatory, Gregorian-Lunar Calendar Conversion Table, for the dates that move.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import cache

import numpy as np

from thresholds import lunar
from thresholds.model import BoolArray
from thresholds.panel import Day

SINCE = 2008
"""Year from which the three below are holidays, and of the first of their dates."""
QINGMING = (
    "0404 0404 0405 0405 0404 0404 0405 0405 0404 0404 0405 0405 "  # 2008
    "0404 0404 0405 0405 0404 0404 0405 0405 0404 0404 0405 0405 "  # 2020
    "0404 0404 0405 0405 0404 0404 0405 0405 0404 0404 0404 0405 "  # 2032
    "0404 0404 0404 0405 0404 0404 0404 0405 0404 0404 0404 0405 "  # 2044
    "0404 0404 0404 0405 0404 0404 0404 0405 0404 0404 0404 0405 "  # 2056
    "0404 0404 0404 0405 0404 0404 0404 0404 0404 0404 0404 0404 "  # 2068
    "0404 0404 0404 0404 0404 0404 0404 0404 0404 0404 0404 0404 "  # 2080
    "0404 0404 0404 0404 0404 0404 0404 0404"  # 2092
)
"""Month and day of 清明, one per year."""
DRAGON_BOAT = (
    "0608 0528 0616 0606 0623 0612 0602 0620 0609 0530 0618 0607 "  # 2008
    "0625 0614 0603 0622 0610 0531 0619 0609 0528 0616 0605 0624 "  # 2020
    "0612 0601 0620 0610 0530 0618 0607 0527 0614 0603 0622 0611 "  # 2032
    "0531 0619 0608 0529 0615 0604 0623 0613 0601 0620 0610 0530 "  # 2044
    "0617 0606 0625 0614 0603 0622 0611 0601 0619 0608 0528 0616 "  # 2056
    "0604 0623 0613 0602 0620 0610 0530 0617 0606 0624 0614 0604 "  # 2068
    "0622 0611 0601 0619 0607 0527 0615 0605 0623 0613 0602 0621 "  # 2080
    "0609 0529 0617 0606 0624 0614 0604 0623"  # 2092
)
"""Of 端午, the fifth day of the fifth lunar month."""
MID_AUTUMN = (
    "0914 1003 0922 0912 0930 0919 0908 0927 0915 1004 0924 0913 "  # 2008
    "1001 0921 0910 0929 0917 1006 0925 0915 1003 0922 0912 1001 "  # 2020
    "0919 0908 0927 0916 1004 0924 0913 1002 0920 0910 0928 0917 "  # 2032
    "1005 0925 0915 1004 0922 0911 0930 0919 0907 0926 0916 1005 "  # 2044
    "0924 0913 1002 0921 0909 0928 0917 1006 0925 0915 1003 0923 "  # 2056
    "0911 0929 0919 0908 0926 0916 1005 0924 0912 1001 0920 0910 "  # 2068
    "0928 0917 1006 0926 0914 1003 0922 0911 0929 0918 0908 0927 "  # 2080
    "0916 1005 0924 0913 0930 0920 0909 0929"  # 2092
)
"""Of 中秋, the fifteenth day of the eighth lunar month."""

LENGTHS = {"元旦": 1, "春节": 7, "清明": 1, "劳动节": 5, "端午": 1, "中秋": 1, "国庆": 7}
"""Days off from the first day on, as in the notices since 2020."""
FIXED = {"元旦": (1, 1), "劳动节": (5, 1), "国庆": (10, 1)}
MOVING = {"清明": QINGMING, "端午": DRAGON_BOAT, "中秋": MID_AUTUMN}


def ordinal(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - date(1970, 1, 1)).days


@cache
def first_days(name: str) -> Day:
    """int32: the first day of a holiday in each year, rising. Nobody may change it."""
    if name == "春节":
        return lunar.FESTIVAL_DAYS
    years = range(lunar.FIRST_YEAR, max(lunar.SPRING_FESTIVAL) + 1)
    if name in FIXED:
        return np.array([ordinal(date(year, *FIXED[name])) for year in years], np.int32)
    dates = MOVING[name].split()
    return np.array([ordinal(date(SINCE + n, int(d[:2]), int(d[2:]))) for n, d in enumerate(dates)], np.int32)


def near(days: Day, names: Sequence[str], before: int, after: int) -> BoolArray:
    """bool[n]: days of one of the holidays, or at most `before` days before its first or `after` after its last."""
    found = np.zeros(len(days), np.bool_)
    for name in names:
        firsts = first_days(name)
        which = np.searchsorted(firsts, days + np.int32(before), "right") - 1  # the newest that can reach this day
        away = days - firsts[np.maximum(which, 0)]
        found |= (which >= 0) & (away < LENGTHS[name] + after)
    return found


def known(days: Day) -> BoolArray:
    """bool[n]: days of the years whose holidays are in the tables."""
    first, last = date(lunar.FIRST_YEAR, 1, 1), date(max(lunar.SPRING_FESTIVAL), 12, 31)
    inside: BoolArray = (days >= ordinal(first)) & (days <= ordinal(last))
    return inside
