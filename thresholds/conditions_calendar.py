"""Conditions on the date alone: season and public holidays, for narrowing a rule or, under `not`, for excluding."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, cast

import numpy as np
from pydantic import Field, field_validator, model_validator

from thresholds import holidays, lunar
from thresholds.conditions import Condition, Truth, condition
from thresholds.model import Direction, IntArray
from thresholds.panel import Day
from thresholds.view import View

MONTH_DAY = re.compile(r"(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")
XUN = ("上", "中", "下")
PERIODS = {"春节前": 1, "春节": 2, "春节后": 3}
"""Named periods, as the phases of thresholds.lunar."""
LONGEST = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}


def by_date(view: View, answer: Callable[[Day], Truth]) -> Truth:
    """int8[n]: `answer` for the day of each observation; it is asked once per day between the first and the last."""
    day = view.panel.day
    if not len(day):
        return np.empty(0, np.int8)
    low = int(day.min())
    return answer(np.arange(low, int(day.max()) + 1, dtype=np.int32))[day - low]


def both(one: Truth, other: Truth) -> Truth:
    """True where both are, false where one is false, else unknown."""
    return np.where((one == 0) | (other == 0), 0, np.minimum(one, other)).astype(np.int8)


def month_and_day(days: Day) -> tuple[IntArray, IntArray]:
    """int64 twice: month 1 to 12 and day of the month 1 to 31."""
    dates = days.astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    month = months.astype(np.int64) % 12 + 1
    return month, (dates - months.astype("datetime64[D]")).astype(np.int64) + 1


@condition
class Season(Condition):
    """The day lies in a season: months, a part of the year, thirds of the month, days around Spring Festival.

    Use beside another condition to give a rule different bounds by season, or under `not` to leave out the weeks in
    which a market is known to move. Not to compare years around Spring Festival: `change` over 1y-lunar does that
    better. What is given must hold together; the rest does not matter. Days around the festival are counted from its
    first day; beyond 1950 to 2099 they are unknown. Measures nothing; no unit. Source: each rule names its own.
    """

    kind: Literal["season"] = "season"
    months: tuple[int, ...] = ()
    """1 to 12"""
    begin: str = ""
    """first day of the part of the year, "11-15"; a part that begins after it ends goes over New Year"""
    end: str = ""
    """its last day, "03-15"; "02-29" is the end of February in every year"""
    xun: tuple[Literal["上", "中", "下"], ...] = ()
    """thirds of the month: days 1 to 10, 11 to 20, 21 to the end"""
    festival: tuple[int, int] | None = None
    """first and last day from Spring Festival, [-20, 6] for twenty days before it to the sixth day after"""
    period: Literal["", "春节前", "春节", "春节后"] = ""
    """named days: 春节前 -20 to -1, 春节 0 to 6, 春节后 7 to 26"""

    @field_validator("months")
    @classmethod
    def real_months(cls, months: tuple[int, ...]) -> tuple[int, ...]:
        if wrong := [m for m in months if not 1 <= m <= 12]:
            raise ValueError(f"{wrong[0]} is not a month|Write months as numbers from 1 to 12")
        return months

    @field_validator("begin", "end")
    @classmethod
    def real_day(cls, text: str) -> str:
        if text and (not MONTH_DAY.fullmatch(text) or int(text[3:]) > LONGEST.get(int(text[:2]), 31)):
            raise ValueError(f'{text!r} is not a day of the year|Write month and day, for example "11-15"')
        return text

    @field_validator("festival")
    @classmethod
    def rising(cls, days: tuple[int, int] | None) -> tuple[int, int] | None:
        if days is not None and not -180 <= days[0] <= days[1] <= 180:
            raise ValueError(
                "the days around Spring Festival do not rise, or lie too far off"
                "|Write the first and the last, between -180 and 180"
            )
        return days

    @model_validator(mode="after")
    def some(self) -> Season:
        if bool(self.begin) != bool(self.end):
            raise ValueError("only one of `begin` and `end` is given|Give both")
        if not (self.months or self.begin or self.xun or self.festival or self.period):
            raise ValueError("no season is given|Give `months`, `begin` and `end`, `xun`, `festival` or `period`")
        return self

    def truth(self, view: View, direction: Direction, ease: float = 1.0) -> Truth:
        key = ("season", self.model_dump_json())
        if key not in view.cache:
            view.cache[key] = by_date(view, self.of_days)
        return cast(Truth, view.cache[key]).copy()

    def of_days(self, days: Day) -> Truth:
        month, of_month = month_and_day(days)
        inside = np.ones(len(days), np.bool_)
        if self.months:
            inside &= np.isin(month, self.months)
        if self.begin:
            first, last = (int(text[:2]) * 100 + int(text[3:]) for text in (self.begin, self.end))
            today = month * 100 + of_month
            after, before = today >= first, today <= last
            inside &= (after & before) if first <= last else (after | before)
        if self.xun:
            inside &= np.isin(np.minimum((of_month - 1) // 10, 2), [XUN.index(x) for x in self.xun])
        found = inside.astype(np.int8)
        if self.festival is not None:
            found = both(found, self.around(days, *self.festival))
        if self.period:
            found = both(found, self.around(days, *lunar.PHASES[PERIODS[self.period] - 1]))
        return found

    @staticmethod
    def around(days: Day, first: int, last: int) -> Truth:
        away = lunar.offset(days)
        return np.where(away == lunar.FAR, -1, (away >= first) & (away <= last)).astype(np.int8)


@condition
class Holiday(Condition):
    """The day is a public holiday, or lies a few days before or after one.

    Use under `not` to leave out prices of days on which markets are shut or crowded, and the first quotes after them.
    Not for working days that were moved by the notice of the year: these are not known, `before` and `after` take
    them in. Days: 元旦 1, 春节 7 from its first, 清明 1, 劳动节 5, 端午 1, 中秋 1, 国庆 7; 清明, 端午, 中秋 since
    2008. Beyond 1950 to 2099 it is unknown. Measures nothing; no unit. Source: 全国年节及纪念日放假办法, with the
    lengths of recent notices.
    """

    kind: Literal["holiday"] = "holiday"
    names: tuple[Literal["元旦", "春节", "清明", "劳动节", "端午", "中秋", "国庆"], ...] = ()
    """which; none: all"""
    before: int = Field(default=0, ge=0, le=60)
    """days before the first day that count as well"""
    after: int = Field(default=0, ge=0, le=60)
    """days after the last day that count as well"""

    def truth(self, view: View, direction: Direction, ease: float = 1.0) -> Truth:
        key = ("holiday", self.names, self.before, self.after)
        if key not in view.cache:
            view.cache[key] = by_date(view, self.of_days)
        return cast(Truth, view.cache[key]).copy()

    def of_days(self, days: Day) -> Truth:
        near = holidays.near(days, self.names or tuple(holidays.LENGTHS), self.before, self.after)
        return np.where(holidays.known(days), near, -1).astype(np.int8)
