"""The reporting duty: which series are to be reported on which days, and whether they were, in time (P15).

A series' duty is, in this order: what the rules of the office (/duties) and `[[entry.duty]]` say (the most
particular one, the office's where both are, an emergency report before all others); the `cadence` (or `expect`) of
its source; what its point reported before. Learned is a duty by weekdays: a weekday on which the series was reported
in at least half of the last four weeks. What it reports less often than weekly has no duty unless a rule says so.

What is due on working days only rests on days off (thresholds/workdays.py), unless a decision that covers the
series is in force: emergency reporting knows no holiday (P16, P17).

A report of a day is on time when it came by the due time of that day, late when it came afterwards, and missing as
long as it did not come. What is due every so many days is expected on the day on which it comes, and on every day on
which it is overdue. Nothing is expected of a series before it was first seen, and on that day it has the whole day.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from collectors.base import Expectation, SourceOptions
from monitor.entry.options import WEEKDAYS, DutyOptions, EntryOptions, minutes
from thresholds.catalogue import Catalogue
from thresholds.model import IntArray, SeriesKey

LEARN_DAYS = 28
EVERY_DAY = 0b1111111
MONDAY_TO_FRIDAY = 0b0011111
SATURDAY = 5
DAY = 86_400
EPOCH = date(1970, 1, 1)


class Timeliness(StrEnum):
    """What became of one expected report."""

    ON_TIME = "on_time"
    LATE = "late"
    MISSING = "missing"
    AWAITED = "awaited"
    """not there, and not due yet"""


@dataclass(frozen=True, slots=True)
class Duty:
    """The duty of one series: by weekday, or every so many days.

    weekdays  a bit for each day, Monday is 1; 0 where `every` is given
    every     days after the date of the newest report by which the next must have come, 0: by weekday
    due       minutes after local midnight
    origin    office, configured, source or learned
    working   on working days only; of a duty of all of Monday to Friday also on Saturdays and Sundays that are worked
    """

    weekdays: int
    every: int
    due: int
    origin: str
    working: bool = False

    def expects(self, day: int, *, works: bool = True, emergency: bool = False) -> bool:
        """Whether a report is due on `day` (days since 1970) by its weekday.

        works      whether offices work on the day
        emergency  whether a decision about the series is in force: then no day is left out
        """
        named = bool(self.weekdays >> weekday(day) & 1)
        if not self.working:
            return named
        whole = self.weekdays & MONDAY_TO_FRIDAY == MONDAY_TO_FRIDAY
        return emergency or (works and (named or (whole and weekday(day) >= SATURDAY)))

    @property
    def days(self) -> list[int]:
        """The weekdays, Monday is 0."""
        return [k for k in range(7) if self.weekdays >> k & 1]


def weekday(day: int) -> int:
    """Monday is 0."""
    return (day + 3) % 7


def day_number(at: datetime, zone: ZoneInfo) -> int:
    """The local day of a time, counted from 1970-01-01."""
    return (at.astimezone(zone).date() - EPOCH).days


def date_of(day: int) -> date:
    return EPOCH + timedelta(days=day)


@lru_cache(maxsize=10_000)
def moment_of(day: int, minute: int, zone: ZoneInfo) -> int:
    """Epoch seconds of a local time of day."""
    midnight = datetime.combine(date_of(day), time(), zone)
    return int((midnight + timedelta(minutes=minute)).timestamp())  # wall clock: 10:00 stays 10:00 in summer time


def timeliness(received: int | None, due: int, now: int) -> Timeliness:
    """All in epoch seconds; `received` is when the day's first report came, None where none did."""
    if received is not None:
        return Timeliness.ON_TIME if received <= due else Timeliness.LATE
    return Timeliness.MISSING if now > due else Timeliness.AWAITED


def learned_weekdays(days: Collection[int], first: int, today: int) -> int:
    """Bits of the weekdays on which a series is usually reported, from the distinct `days` before `today` on which it
    was; `first` is the first day that it was seen at all. A weekday that has not come yet since counts like the rest
    of the days so far.
    """
    start = max(first, today - LEARN_DAYS)
    seen = {d for d in days if start <= d < today}
    if len(seen) < 2:
        return 0
    came, reported = [0] * 7, [0] * 7
    for day in range(start, today):
        came[weekday(day)] += 1
        reported[weekday(day)] += day in seen
    usual = 3 * len(seen) >= 2 * (today - start) and len(seen) >= 3
    bits = 0
    for k in range(7):
        if (2 * reported[k] >= came[k]) if came[k] else usual:
            bits |= 1 << k
    return bits


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a series when its duty is worked out; `days` are those on which it was reported lately."""

    key: SeriesKey
    source: str
    first: int
    days: Sequence[int]


def duty_of(
    one: Known,
    today: int,
    options: EntryOptions,
    sources: Sequence[SourceOptions],
    catalogue: Catalogue,
    office: Sequence[DutyOptions] = (),
) -> Duty | None:
    """The duty of a series on the day, None where it has none. `office`: the rules of the office, which win."""
    rule, origin = ruling(one.key, options.duty, office, catalogue, date_of(today))
    if rule is not None and rule.none:
        return None
    due = minutes(rule.due if rule else options.due)
    if rule is not None and rule.every > 1:
        return Duty(0, rule.every, due, origin, rule.working_days)
    if rule is not None and (rule.weekdays or rule.every or rule.working_days or rule.emergency):
        return Duty(bits_of(rule.weekdays) or EVERY_DAY, 0, due, origin, rule.working_days)
    named = cadence_of(one, sources, catalogue)
    if named is not None:
        every, grace = named
        if every < timedelta(days=2):
            return Duty(EVERY_DAY, 0, due, "source")
        return Duty(0, math.ceil((every + grace) / timedelta(days=1)), due, "source")
    bits = learned_weekdays(one.days, one.first, today)
    return Duty(bits, 0, due, origin if rule else "learned") if bits else None


def bits_of(weekdays: Collection[str]) -> int:
    return sum(1 << WEEKDAYS.index(name) for name in set(weekdays) if name in WEEKDAYS)


def ruling(
    key: SeriesKey, configured: Sequence[DutyOptions], office: Sequence[DutyOptions], catalogue: Catalogue, day: date
) -> tuple[DutyOptions | None, str]:
    """The rule for a series and whose it is: emergency reports first, then the most particular one."""
    mine = rule_of(key, office, catalogue, day)
    theirs = rule_of(key, configured, catalogue, day)
    if mine is None or (theirs is not None and rank(theirs) > rank(mine)):
        return theirs, "configured"
    return mine, "office"


def rule_of(
    key: SeriesKey, rules: Sequence[DutyOptions], catalogue: Catalogue, day: date | None = None
) -> DutyOptions | None:
    """The most particular rule for a series, of those that are valid on the day."""
    fits = [r for r in rules if (day is None or r.holds_on(day)) and matches(r, key, catalogue)]
    return max(fits, key=rank, default=None)


def rank(rule: DutyOptions) -> tuple[bool, int]:
    return rule.emergency, sum(map(bool, (rule.item, rule.item_class, rule.point)))


def matches(rule: DutyOptions | Expectation, key: SeriesKey, catalogue: Catalogue) -> bool:
    if rule.item_class and rule.item_class not in catalogue.classify(key).chain:
        return False
    return rule.item in ("", key.item) and rule.point in ("", key.point)


def cadence_of(
    one: Known, sources: Sequence[SourceOptions], catalogue: Catalogue
) -> tuple[timedelta, timedelta] | None:
    """Cadence and grace that the series' source names for it, None where it names none."""
    source = next((s for s in sources if s.name == one.source), None)
    if source is None:
        return None
    fits = [e for e in source.expect if matches(e, one.key, catalogue)]
    nearest = max(fits, key=lambda e: sum(map(bool, (e.item, e.item_class, e.point))), default=None)
    every, grace = (nearest.cadence, nearest.grace) if nearest else (source.cadence, source.grace)
    return None if every is None else (every, grace or timedelta())


def local_days(at: IntArray, zone: ZoneInfo) -> IntArray:
    """int64[n]: the local days of epoch seconds. Offsets are looked up once per day."""
    days = at // DAY
    found = np.empty(len(at), np.int64)
    for utc_day in np.unique(days).tolist():
        here = days == utc_day
        low = int(datetime.fromtimestamp(utc_day * DAY, zone).utcoffset().total_seconds())  # type: ignore[union-attr]
        high = int(datetime.fromtimestamp((utc_day + 1) * DAY - 1, zone).utcoffset().total_seconds())  # type: ignore[union-attr]
        if low == high:
            found[here] = (at[here] + low) // DAY
        else:  # the clocks change within this day
            found[here] = [day_number(datetime.fromtimestamp(t, zone), zone) for t in at[here].tolist()]
    return found
