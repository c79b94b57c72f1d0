"""Who is on duty when, and when nobody is: pure functions over people, contacts and shifts.

A shift holds from `start` to just before `end`. Shifts may overlap (a hand-over, two people at once). People who
are no longer active are never on duty, even where a shift of theirs is still in the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Duty(StrEnum):
    """The two posts that must be filled at any time (P9)."""

    MONITORING = "monitoring"
    """reviews flags and carries the duty phone"""
    TECHNICAL = "technical"
    """keeps the system running"""


@dataclass(frozen=True, slots=True)
class Person:
    id: int
    name: str
    active: bool = True


@dataclass(frozen=True, slots=True)
class Contact:
    """One way to reach a person: `channel` is the name of a configured channel, `address` what it understands.

    The lowest `priority` is used first; the others follow only when nobody has acknowledged by then.
    """

    id: int
    person_id: int
    channel: str
    address: str
    priority: int = 1


@dataclass(frozen=True, slots=True)
class Shift:
    """One person's duty, from `start` to just before `end` (aware datetimes)."""

    id: int
    person_id: int
    duty: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of time in which nobody is on duty for `duty`."""

    duty: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Roster:
    """The people, their contacts and their shifts: what the duty table holds, or the part of it that matters."""

    people: Sequence[Person] = ()
    contacts: Sequence[Contact] = ()
    shifts: Sequence[Shift] = ()

    def on_duty(self, duty: str, at: datetime) -> tuple[Person, ...]:
        """The active people on duty for `duty` at `at`, each once, in order of their names."""
        ids = {s.person_id for s in self.shifts if s.duty == duty and s.start <= at < s.end}
        return tuple(sorted((p for p in self.people if p.id in ids and p.active), key=lambda p: (p.name, p.id)))

    def ways_to(self, person: Person) -> tuple[Contact, ...]:
        """The contacts of a person, the one to use first in front."""
        own = (c for c in self.contacts if c.person_id == person.id)
        return tuple(sorted(own, key=lambda c: (c.priority, c.id)))

    def gaps(self, start: datetime, end: datetime, duties: Iterable[str] = tuple(Duty)) -> list[Gap]:
        """When between `start` and `end` a duty has nobody, in order of time, then of `duties`."""
        active = {p.id for p in self.people if p.active}
        found = [
            gap
            for duty in duties
            for gap in gaps_of(duty, [s for s in self.shifts if s.duty == duty and s.person_id in active], start, end)
        ]
        return sorted(found, key=lambda g: g.start)


def gaps_of(duty: str, shifts: Sequence[Shift], start: datetime, end: datetime) -> list[Gap]:
    """What of [start, end) no shift covers. A shift that ends before it starts covers nothing."""
    found: list[Gap] = []
    covered = start
    for shift in sorted(shifts, key=lambda s: s.start):
        if shift.end <= covered or shift.end <= shift.start:
            continue
        if shift.start >= end:
            break
        if shift.start > covered:
            found.append(Gap(duty, covered, shift.start))
        covered = shift.end
    if covered < end:
        found.append(Gap(duty, covered, end))
    return found
