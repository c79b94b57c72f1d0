"""Who is on duty when, and when nobody is."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from alerts.roster import Contact, Duty, Gap, Person, Roster, Shift, gaps_of
from tests.alerts.make import NOW


def hour(n: int) -> datetime:
    return NOW + timedelta(hours=n)


def shift(start: int, end: int, *, person: int = 1, duty: str = Duty.MONITORING) -> Shift:
    return Shift(0, person, duty, hour(start), hour(end))


PEOPLE = [Person(1, "值班员甲"), Person(2, "值班员乙"), Person(3, "离岗人员", active=False)]


def test_a_shift_holds_from_its_start_to_just_before_its_end() -> None:
    roster = Roster(PEOPLE, (), [shift(0, 8)])
    assert [p.name for p in roster.on_duty(Duty.MONITORING, hour(0))] == ["值班员甲"]
    assert roster.on_duty(Duty.MONITORING, hour(8) - timedelta(seconds=1))
    assert not roster.on_duty(Duty.MONITORING, hour(8))
    assert not roster.on_duty(Duty.MONITORING, hour(0) - timedelta(seconds=1))


def test_two_duties_are_two_things() -> None:
    roster = Roster(PEOPLE, (), [shift(0, 8, duty=Duty.TECHNICAL)])
    assert not roster.on_duty(Duty.MONITORING, hour(1))
    assert roster.on_duty(Duty.TECHNICAL, hour(1))


def test_overlapping_shifts_give_each_person_once() -> None:
    roster = Roster(PEOPLE, (), [shift(0, 8), shift(2, 9), shift(7, 16, person=2)])
    assert [p.id for p in roster.on_duty(Duty.MONITORING, hour(7))] == sorted(
        [2, 1], key=lambda i: PEOPLE[i - 1].name
    )


def test_somebody_inactive_is_not_on_duty_and_fills_no_gap() -> None:
    roster = Roster(PEOPLE, (), [shift(0, 8, person=3)])
    assert not roster.on_duty(Duty.MONITORING, hour(1))
    assert roster.gaps(hour(0), hour(8), [Duty.MONITORING]) == [Gap(Duty.MONITORING, hour(0), hour(8))]


def test_contacts_come_in_order_of_priority() -> None:
    contacts = [Contact(1, 1, "mail", "b", 2), Contact(2, 2, "mail", "x", 1), Contact(3, 1, "hook", "a", 1)]
    assert [c.address for c in Roster(PEOPLE, contacts).ways_to(PEOPLE[0])] == ["a", "b"]


def test_p9_a_duty_that_nobody_fills_is_a_gap_for_each_duty_by_itself() -> None:
    roster = Roster(PEOPLE, (), [shift(0, 8), shift(10, 24), shift(0, 24, duty=Duty.TECHNICAL)])
    assert roster.gaps(hour(0), hour(24)) == [Gap(Duty.MONITORING, hour(8), hour(10))]
    assert roster.gaps(hour(0), hour(26))[1:] == [
        Gap(Duty.MONITORING, hour(24), hour(26)),
        Gap(Duty.TECHNICAL, hour(24), hour(26)),
    ]


@given(st.lists(st.tuples(st.integers(-5, 30), st.integers(-5, 30)), max_size=8))
def test_an_hour_is_in_a_gap_exactly_when_no_shift_holds_it(spans: list[tuple[int, int]]) -> None:
    shifts = [shift(a, b) for a, b in spans]
    gaps = gaps_of(Duty.MONITORING, shifts, hour(0), hour(24))
    for n in range(24):
        held = any(a <= n < b for a, b in spans)
        assert held != any(g.start <= hour(n) < g.end for g in gaps)
    assert all(a.end < b.start for a, b in pairwise(gaps))
    assert all(hour(0) <= g.start < g.end <= hour(24) for g in gaps)
