"""People, contacts and shifts in the database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest

from alerts.roster import Duty, Gap
from monitor.store import people
from monitor.store.database import Database
from monitor.store.people import PeopleError
from tests.store.build import NOW

CHANNELS = ("hook", "mail")


def hour(n: float) -> datetime:
    return NOW + timedelta(hours=n)


def reason_of(call: Callable[[], object]) -> str:
    with pytest.raises(PeopleError) as caught:
        call()
    assert str(caught.value)
    return caught.value.reason


def test_a_person_with_contacts_and_a_shift_is_on_duty_then(db: Database) -> None:
    one = people.add_person(db, " 值班员甲 ", NOW)
    people.add_contact(db, one.id, "mail", "b@price.example", channels=CHANNELS, priority=2)
    people.add_contact(db, one.id, "hook", "100", channels=CHANNELS)
    people.add_shift(db, one.id, Duty.MONITORING, hour(0), hour(8))
    assert [p.name for p in people.on_duty(db, Duty.MONITORING, hour(0))] == ["值班员甲"]
    assert people.on_duty(db, Duty.MONITORING, hour(8)) == ()
    assert people.on_duty(db, Duty.TECHNICAL, hour(1)) == ()
    assert [c.address for c in people.list_contacts(db, one.id)] == ["100", "b@price.example"]
    assert people.find_person(db, "值班员甲") == one


def test_shifts_may_overlap_and_somebody_switched_off_is_not_on_duty(db: Database) -> None:
    first, second = people.add_person(db, "值班员甲", NOW), people.add_person(db, "值班员乙", NOW)
    people.add_shift(db, first.id, Duty.MONITORING, hour(0), hour(8))
    people.add_shift(db, first.id, Duty.MONITORING, hour(4), hour(12))
    people.add_shift(db, second.id, Duty.MONITORING, hour(7), hour(15))
    assert {p.id for p in people.on_duty(db, Duty.MONITORING, hour(7.5))} == {first.id, second.id}
    people.set_active(db, first.id, False)
    assert {p.id for p in people.on_duty(db, Duty.MONITORING, hour(7.5))} == {second.id}
    assert people.gaps(db, hour(0), hour(15))[0] == Gap(Duty.MONITORING, hour(0), hour(7))
    people.set_active(db, first.id, True)
    assert people.gaps(db, hour(0), hour(15)) == [Gap(Duty.TECHNICAL, hour(0), hour(15))]


def test_times_in_any_zone_are_the_same_moments(db: Database) -> None:
    one = people.add_person(db, "值班员甲", NOW)
    shanghai = timezone(timedelta(hours=8))
    made = people.add_shift(db, one.id, Duty.TECHNICAL, hour(0).astimezone(shanghai), hour(8).astimezone(shanghai))
    assert (made.start, made.end) == (hour(0), hour(8))
    assert people.list_shifts(db, hour(7), hour(9)) == [made]
    assert people.list_shifts(db, hour(8), hour(9)) == []


def test_faulty_entries_are_refused_with_a_reason(db: Database) -> None:
    one = people.add_person(db, "值班员甲", NOW)

    def contact(channel: str, address: str, priority: int = 1) -> Callable[[], object]:
        return lambda: people.add_contact(db, one.id, channel, address, channels=CHANNELS, priority=priority)

    def shift(duty: str, start: datetime, end: datetime) -> Callable[[], object]:
        return lambda: people.add_shift(db, one.id, duty, start, end)

    assert reason_of(lambda: people.add_person(db, "值班员甲", NOW)) == "exists"
    assert reason_of(lambda: people.add_person(db, "  ", NOW)) == "name"
    assert reason_of(lambda: people.add_person(db, "x" * 81, NOW)) == "name"
    assert reason_of(lambda: people.add_person(db, "a\nb", NOW)) == "name"
    assert reason_of(lambda: people.add_person(db, "a\ud800", NOW)) == "name"
    assert reason_of(contact("fax", "1")) == "channel"
    assert reason_of(contact("mail", "")) == "address"
    assert reason_of(contact("mail", "a@b\r\nBcc: c@d")) == "address"
    assert reason_of(contact("mail", "a@b", 0)) == "priority"
    assert reason_of(shift("cooking", hour(0), hour(1))) == "duty"
    assert reason_of(shift(Duty.MONITORING, hour(1), hour(1))) == "times"
    assert reason_of(shift(Duty.MONITORING, hour(0), hour(0.5).replace(tzinfo=None))) == "times"
    assert people.list_people(db) == [one]
    assert people.list_contacts(db) == []
    assert people.list_shifts(db, hour(-99), hour(99)) == []


def test_what_is_not_there_cannot_be_changed_or_removed(db: Database) -> None:
    assert reason_of(lambda: people.set_active(db, 7, False)) == "unknown"
    assert reason_of(lambda: people.remove_contact(db, 7)) == "unknown"
    assert reason_of(lambda: people.remove_shift(db, 7)) == "unknown"
    assert reason_of(lambda: people.find_person(db, "niemand")) == "unknown"
    assert reason_of(lambda: people.add_shift(db, 7, Duty.MONITORING, hour(0), hour(1))) == "unknown"
    assert reason_of(lambda: people.add_contact(db, 7, "mail", "a@b", channels=CHANNELS)) == "unknown"


def test_contacts_and_shifts_can_be_removed(db: Database) -> None:
    one = people.add_person(db, "值班员甲", NOW)
    way = people.add_contact(db, one.id, "hook", "100", channels=CHANNELS)
    assert reason_of(lambda: people.add_contact(db, one.id, "hook", "100", channels=CHANNELS)) == "exists"
    turn = people.add_shift(db, one.id, Duty.MONITORING, hour(0), hour(8))
    people.remove_contact(db, way.id)
    people.remove_shift(db, turn.id)
    assert people.list_contacts(db, one.id) == []
    assert people.on_duty(db, Duty.MONITORING, hour(1)) == ()


def test_a_roster_for_a_moment_holds_what_notifications_need(db: Database) -> None:
    one = people.add_person(db, "值班员甲", NOW)
    people.add_contact(db, one.id, "hook", "100", channels=CHANNELS)
    people.add_shift(db, one.id, Duty.MONITORING, hour(0), hour(8))
    people.add_shift(db, one.id, Duty.MONITORING, hour(24), hour(32))
    roster = people.roster_at(db, hour(1))
    assert len(roster.shifts) == 1
    assert roster.on_duty(Duty.MONITORING, hour(1)) == (one,)
    assert [c.address for c in roster.ways_to(one)] == ["100"]
