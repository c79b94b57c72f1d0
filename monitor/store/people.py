"""People, contacts and shifts in the database, checked on the way in.

A faulty entry raises PeopleError, which says what is wrong and how to mend it. Shifts may overlap. People are
switched off, not deleted: messages and logs name them.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from alerts.roster import Contact, Duty, Gap, Person, Roster, Shift
from monitor.schema import contact, person, shift
from monitor.store.database import Database
from monitor.store.text import is_storable, moment, seconds

NAME_LENGTH = 80
ADDRESS_LENGTH = 300
FIRST_YEAR, LAST_YEAR = 2000, 2200


class PeopleError(Exception):
    """An entry that cannot be stored. `reason`: unknown, exists, name, channel, address, priority, duty, times."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def add_person(db: Database, name: str, now: datetime) -> Person:
    """A new, active person. Raises PeopleError for an empty, overlong or existing name."""
    name = name.strip()
    check_text("name", name, NAME_LENGTH)
    try:
        with db.begin() as connection:
            made = connection.execute(
                insert(person).values(name=name, active=True, created_at=seconds(now)).returning(person.c.id)
            ).scalar_one()
    except IntegrityError as error:
        raise PeopleError(
            "exists", f"there is already a person named {name!r}; use that one or another name"
        ) from error
    return Person(made, name)


def set_active(db: Database, person_id: int, active: bool) -> None:
    """Switch a person on or off. Somebody who is off is never on duty and gets no message. Raises PeopleError."""
    with db.begin() as connection:
        statement = update(person).where(person.c.id == person_id).values(active=active)
        if connection.execute(statement).rowcount == 0:
            raise unknown("person", person_id)


def find_person(db: Database, name: str) -> Person:
    """The person of that name. Raises PeopleError 'unknown'."""
    with db.connect() as connection:
        row = connection.execute(select(person).where(person.c.name == name.strip())).first()
    if row is None:
        raise PeopleError("unknown", f"there is no person named {name!r}; add the person first")
    return Person(row.id, row.name, row.active)


def list_people(db: Database) -> list[Person]:
    """Everybody, active or not, in order of names."""
    with db.connect() as connection:
        rows = connection.execute(select(person).order_by(person.c.name)).all()
    return [Person(row.id, row.name, row.active) for row in rows]


def add_contact(
    db: Database, person_id: int, channel: str, address: str, *, channels: Collection[str], priority: int = 1
) -> Contact:
    """A new way to reach a person; `channels` are the names of the configured channels. Raises PeopleError."""
    address = address.strip()
    if channel not in channels:
        names = ", ".join(sorted(channels)) or "(none is configured)"
        raise PeopleError("channel", f"there is no channel {channel!r}; use one of {names}")
    check_text("address", address, ADDRESS_LENGTH)
    if not 1 <= priority <= 99:
        raise PeopleError("priority", f"the priority {priority} is out of range; write 1 (first) to 99 (last)")
    with db.begin() as connection:
        require_person(connection, person_id)
        same = and_(contact.c.person_id == person_id, contact.c.channel == channel, contact.c.address == address)
        if connection.execute(select(contact.c.id).where(same)).first() is not None:
            raise PeopleError("exists", f"this person already has this address on channel {channel!r}")
        values = {"person_id": person_id, "channel": channel, "address": address, "priority": priority}
        made = connection.execute(insert(contact).values(values).returning(contact.c.id)).scalar_one()
    return Contact(made, person_id, channel, address, priority)


def remove_contact(db: Database, contact_id: int) -> None:
    """Raises PeopleError 'unknown'. Messages that are queued to the address still go there."""
    with db.begin() as connection:
        if connection.execute(delete(contact).where(contact.c.id == contact_id)).rowcount == 0:
            raise unknown("contact", contact_id)


def list_contacts(db: Database, person_id: int | None = None) -> list[Contact]:
    """Contacts of one person or of all, the first to use in front."""
    query = select(contact).order_by(contact.c.person_id, contact.c.priority, contact.c.id)
    if person_id is not None:
        query = query.where(contact.c.person_id == person_id)
    with db.connect() as connection:
        rows = connection.execute(query).all()
    return [Contact(row.id, row.person_id, row.channel, row.address, row.priority) for row in rows]


def add_shift(db: Database, person_id: int, duty: str, start: datetime, end: datetime) -> Shift:
    """A new shift from `start` to just before `end` (aware datetimes). Raises PeopleError."""
    if duty not in tuple(Duty):
        raise PeopleError("duty", f"there is no duty {duty!r}; use one of {', '.join(Duty)}")
    for at in (start, end):
        if at.tzinfo is None:
            raise PeopleError(
                "times", f"{at.isoformat()} has no time zone; write it with one, as in 2026-01-05T08:00+08:00"
            )
    for at in (start, end):
        if not FIRST_YEAR <= at.year <= LAST_YEAR:
            raise PeopleError(
                "times", f"the year {at.year} cannot be meant; write one from {FIRST_YEAR} to {LAST_YEAR}"
            )
    if seconds(end) <= seconds(start):
        raise PeopleError("times", "the shift does not end after it starts; exchange or correct the two times")
    values = {"person_id": person_id, "duty": str(duty), "start_at": seconds(start), "end_at": seconds(end)}
    with db.begin() as connection:
        require_person(connection, person_id)
        made = connection.execute(insert(shift).values(values).returning(shift.c.id)).scalar_one()
    return Shift(made, person_id, str(duty), moment(seconds(start)), moment(seconds(end)))


def remove_shift(db: Database, shift_id: int) -> None:
    """Raises PeopleError 'unknown'."""
    with db.begin() as connection:
        if connection.execute(delete(shift).where(shift.c.id == shift_id)).rowcount == 0:
            raise unknown("shift", shift_id)


def list_shifts(db: Database, start: datetime, end: datetime) -> list[Shift]:
    """The shifts that touch [start, end), in order of time."""
    with db.connect() as connection:
        return shifts_between(connection, seconds(start), seconds(end))


def roster_between(db: Database, start: datetime, end: datetime) -> Roster:
    """Everybody, their contacts, and the shifts that touch [start, end): what gaps are looked for in."""
    with db.connect() as connection:
        return roster_in(connection, seconds(start), seconds(end))


def roster_in(connection: Connection, start: int, end: int) -> Roster:
    """The same within a transaction; times in epoch seconds."""
    people = [Person(r.id, r.name, r.active) for r in connection.execute(select(person))]
    ways = [Contact(r.id, r.person_id, r.channel, r.address, r.priority) for r in connection.execute(select(contact))]
    return Roster(people, ways, shifts_between(connection, start, end))


def roster_at(db: Database, at: datetime) -> Roster:
    """Everybody, their contacts, and the shifts that hold at `at`."""
    with db.connect() as connection:
        return roster_in(connection, seconds(at), seconds(at) + 1)


def on_duty(db: Database, duty: str, at: datetime) -> tuple[Person, ...]:
    """The active people on duty for `duty` at `at`, in order of names."""
    return roster_at(db, at).on_duty(duty, at)


def gaps(db: Database, start: datetime, end: datetime) -> list[Gap]:
    """When in [start, end) a duty has nobody (P9)."""
    return roster_between(db, start, end).gaps(start, end)


def shifts_between(connection: Connection, start: int, end: int) -> list[Shift]:
    touches: ColumnElement[bool] = and_(shift.c.end_at > start, shift.c.start_at < end)
    rows = connection.execute(select(shift).where(touches).order_by(shift.c.start_at, shift.c.id))
    return [Shift(r.id, r.person_id, r.duty, moment(r.start_at), moment(r.end_at)) for r in rows]


def require_person(connection: Connection, person_id: int) -> None:
    if connection.execute(select(person.c.id).where(person.c.id == person_id)).first() is None:
        raise unknown("person", person_id)


def unknown(what: str, number: int) -> PeopleError:
    return PeopleError("unknown", f"there is no {what} with the number {number}; list them to see the numbers")


def check_text(what: str, text: str, length: int) -> None:
    """Names and addresses go into headers and logs: no control characters, nothing empty, nothing overlong."""
    if not text:
        raise PeopleError(what, f"the {what} is empty; write one")
    if len(text) > length:
        raise PeopleError(what, f"the {what} is longer than {length} characters; shorten it")
    if not text.isprintable() or not is_storable(text):
        raise PeopleError(what, f"the {what} holds a line break or another control character; remove it")
