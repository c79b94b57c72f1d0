"""The `[entry]` table: when points report, how much may be uploaded, from which change on a reason is asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from thresholds.settings import Duration, Settings

CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def clock(text: str) -> str:
    """'10:00' as it is. Raises ValueError for what is no time of a day."""
    if not CLOCK.fullmatch(text):
        raise ValueError(f"{text!r} is no time of day|Write hours and minutes, such as 10:00")
    return text


def minutes(text: str) -> int:
    """'10:30' as minutes after midnight."""
    hour, minute = text.split(":")
    return int(hour) * 60 + int(minute)


Clock = Annotated[str, AfterValidator(clock)]


class DutyOptions(Settings):
    """One rule of the reporting duty. It holds for the series that match all of the fields that are given; of several
    that match, the one that names most fields counts.
    """

    point: str = ""
    """monitoring point; empty: every point"""
    item: str = ""
    """item name; empty: every item"""
    item_class: str = ""
    """class of the catalogue; empty: every class"""
    weekdays: tuple[Weekday, ...] = ()
    """days on which it is due; empty: as the point has reported so far"""
    every: int = Field(default=0, ge=0, le=366)
    """due every so many days after the last report, instead of by weekday; 0: by weekday"""
    working_days: bool = False
    """true: on working days only, public holidays and days worked instead (调休) as published; without `weekdays` on
    every working day. While an official decision (P13) about the item is in force, days off are reported as well"""
    emergency: bool = False
    """true: an emergency report, due on every day, days off as well (P16, P17), before all other rules"""
    due: Clock = "10:00"
    """time of the day by which it must have come, in the installation's zone"""
    valid_from: date | None = None
    """first day on which the rule holds; without it it always did"""
    valid_to: date | None = None
    """last day on which it holds; without it until it is taken away"""
    none: bool = False
    """true: these series need not be reported at all"""

    @model_validator(mode="after")
    def no_contradiction(self) -> DutyOptions:
        if self.emergency and (self.working_days or self.none or self.weekdays or self.every):
            raise ValueError(
                "an emergency report is due on every day, days off as well (P16, P17)"
                "|Leave out working_days, weekdays, every and none, or emergency"
            )
        if self.weekdays and self.every:
            raise ValueError("a report is due by weekday or every so many days, not both|Leave out one of the two")
        if self.none and (self.weekdays or self.every or self.working_days):
            raise ValueError("what need not be reported has no days|Leave out none, or the days")
        if self.valid_from and self.valid_to and self.valid_to < self.valid_from:
            raise ValueError("it ends before it begins|Correct valid_from or valid_to")
        return self

    def holds_on(self, day: date) -> bool:
        """Whether the rule is valid on a local day."""
        return not (self.valid_from and day < self.valid_from) and not (self.valid_to and day > self.valid_to)


class EntryOptions(Settings):
    """What holds for those who report by sheet or form."""

    due: Clock = "10:00"
    """time of the day by which a report of that day must have come, where no `duty` says otherwise"""
    duty: tuple[DutyOptions, ...] = ()
    """who reports what by when; without it the duty is what the sources' `cadence` and `expect` say, and else what
    the point reported in the last four weeks
    """
    workdays: tuple[str, ...] = ()
    """further files with the arrangement of holidays and working days, relative to the configuration file; what they
    say of a year wins over the shipped file
    """
    explain: Mapping[str, Annotated[float, Field(gt=0, le=1000)]] = {}
    """class (or `other`) -> change in % from which a reason is asked for; the rest stays as shipped"""
    max_rows: int = Field(default=20_000, ge=1, le=200_000)
    """most rows of one uploaded sheet"""
    max_unpacked: int = Field(default=32 * 1024 * 1024, ge=1024, le=1024 * 1024 * 1024)
    """largest uploaded sheet after decompression, in bytes"""
    uploads: int = Field(default=20, ge=1, le=1000)
    """most uploads of one person that wait or are kept at the same time"""
    kept: Duration = timedelta(days=2)
    """how long an upload is kept: after this it is deleted, whether it was committed or not"""
    late_days: int = Field(default=31, ge=0, le=366)
    """how many days back a price may still be typed in"""
