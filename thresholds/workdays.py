"""Working days: weekends, public holidays and the days worked instead (调休), as published year by year.

The arrangement is data: thresholds/workdays.toml, and an installation's own files, which win. A year without a
published arrangement is not known: `is_working` then goes by the law alone (weekends and the statutory days of
全国年节及纪念日放假办法 as revised in November 2024), and `is_known` says that it does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from thresholds.settings import Fault, Settings, TextFile, parse_toml, read_text, validate

SHIPPED = Path(__file__).parent / "workdays.toml"
SATURDAY = 5
TURN_OF_YEAR = 29
"""From this day of December on, the notice of the next year counts as well: that of 2019 moved 29 to 31 December."""

STATUTORY = {
    "元旦": (0, 1),
    "春节": (-1, 4),
    "清明": (0, 1),
    "劳动节": (0, 2),
    "端午": (0, 1),
    "中秋": (0, 1),
    "国庆": (0, 3),
}
"""Of each holiday, when it begins (days from its first day in thresholds.holidays) and its days by law."""


class Holiday(Settings):
    """One holiday of one year."""

    name: str = Field(min_length=1)
    days: tuple[date, date]
    """first and last day off"""
    work: tuple[date, ...] = ()
    """Saturdays and Sundays that are worked instead"""

    @model_validator(mode="after")
    def in_order(self) -> Holiday:
        first, last = self.days
        if not first <= last < first + timedelta(days=31):
            raise ValueError(f"{self.name}: the days off end before they begin, or last a month|Correct the days")
        for day in self.work:
            if day.weekday() < SATURDAY:
                raise ValueError(f"{day} is worked anyway|Only Saturdays and Sundays are worked instead")
            if first <= day <= last:
                raise ValueError(f"{day} cannot be off and worked|Correct one of the two")
        return self


class Year(Settings):
    """The arrangement of one year."""

    year: int = Field(ge=1950, le=2099)
    source: str = Field(min_length=1)
    """the notice that says so"""
    holidays: tuple[Holiday, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def of_this_year(self) -> Year:
        low, high = date(self.year - 1, 12, TURN_OF_YEAR), date(self.year, 12, 31)
        for one in self.holidays:
            for day in (*one.days, *one.work):
                if not low <= day <= high:
                    raise ValueError(f"{day} is no day of {self.year}|Correct it, or write it under its own year")
        worked = {day for one in self.holidays for day in one.work}
        for one in self.holidays:
            for day in worked:
                if one.days[0] <= day <= one.days[1]:
                    raise ValueError(f"{day} cannot be off and worked|Correct one of the two")
        return self


class WorkdaysFile(Settings):
    """A file of arrangements."""

    kind: Literal["workdays"]
    year: tuple[Year, ...] = ()

    @model_validator(mode="after")
    def each_once(self) -> WorkdaysFile:
        years = [one.year for one in self.year]
        if len(set(years)) != len(years):
            raise ValueError("a year stands there twice|Keep one of the two")
        return self


@dataclass(frozen=True, slots=True)
class Moved:
    """A day that the arrangement speaks of."""

    name: str
    works: bool


class Workdays:
    """Several files as one; of a year that several have, the first one's counts."""

    def __init__(self, files: Iterable[WorkdaysFile]) -> None:
        self.years: dict[int, Year] = {}
        for file in files:
            for one in file.year:
                self.years.setdefault(one.year, one)
        self._moved: dict[date, Moved] = {}
        for year in self.years.values():
            for holiday in year.holidays:
                first, last = holiday.days
                for k in range((last - first).days + 1):
                    self._moved[first + timedelta(days=k)] = Moved(holiday.name, False)
                self._moved |= {day: Moved(holiday.name, True) for day in holiday.work}

    def is_working(self, day: date) -> bool:
        """Whether offices work on the day: as published, and else by the law alone (see `is_known`)."""
        moved = self._moved.get(day)
        if moved is not None:
            return moved.works
        return day.weekday() < SATURDAY and (day.year in self.years or statutory(day) == "")

    def is_known(self, day: date) -> bool:
        """Whether the arrangement of the day was published, so that `is_working` is sure of it."""
        if (day.month, day.day) >= (12, TURN_OF_YEAR) and day.year + 1 not in self.years:
            return day in self._moved
        return day.year in self.years or day in self._moved

    def name_of(self, day: date) -> str:
        """The holiday that the day belongs to, or for which it is worked; "" for every other day."""
        moved = self._moved.get(day)
        return moved.name if moved else "" if day.year in self.years else statutory(day)

    @property
    def last_known(self) -> date:
        """The last day up to which, from the newest year without a gap, everything is known."""
        newest = max(self.years, default=1950)
        return date(newest, 12, TURN_OF_YEAR) - timedelta(days=1)


@cache
def _statutory_days() -> dict[int, str]:
    """Days since 1970-01-01 that the law itself makes free."""
    from thresholds import holidays

    found: dict[int, str] = {}
    for name, (begin, length) in STATUTORY.items():
        for first in holidays.first_days(name).tolist():
            found |= {first + begin + k: name for k in range(length)}
    return found


def statutory(day: date) -> str:
    """The holiday that the law makes this day free for, "" where none."""
    return _statutory_days().get((day - date(1970, 1, 1)).days, "")


def load_workdays(extra: Sequence[Path | TextFile] = ()) -> tuple[Workdays | None, list[Fault]]:
    """The shipped file with further ones before it. Gives None and all faults, or the days and no fault."""
    files: list[WorkdaysFile] = []
    faults: list[Fault] = []
    for source in (*extra, SHIPPED):
        text, wrong = (source, []) if isinstance(source, TextFile) else read_text(source)
        if text is not None:
            tables, wrong = parse_toml(text.text, text.name)
            if not wrong:
                file, wrong = validate(WorkdaysFile, tables, text.name)
                files += [file] if file else []
        faults += wrong
    return (None, sorted(faults)) if faults else (Workdays(files), [])


@cache
def shipped_workdays() -> Workdays:
    """Those of the shipped file alone. Raises ValueError where it was damaged."""
    found, faults = load_workdays()
    if found is None:
        raise ValueError("\n".join(map(str, faults)))
    return found
