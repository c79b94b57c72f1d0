"""`monitor roster`: people, contacts and shifts, and whether anybody is on duty (P9)."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from monitor.cli import UserError
from monitor.commands.common import database, load
from monitor.config_model import Config
from monitor.store import people
from monitor.store.database import Database


def main(options: argparse.Namespace) -> int:
    config, _ = load(options.config)
    now = datetime.now(UTC)
    with database(config) as db:
        try:
            return act(options, config, db, now)
        except people.PeopleError as error:
            raise UserError(str(error)) from error


def act(options: argparse.Namespace, config: Config, db: Database, now: datetime) -> int:
    """Carry out one action. Raises PeopleError."""
    action = options.action
    if action == "show":
        return show(db, now, options.days, config.zone)
    if action == "add-person":
        print(f"added: {people.add_person(db, options.name, now).name}")
    elif action == "add-contact":
        channels = [c.name for c in config.channel]
        who = people.find_person(db, options.name)
        made = people.add_contact(
            db, who.id, options.channel, options.address, channels=channels, priority=options.priority
        )
        print(f"added: contact {made.id} of {who.name}")
    elif action == "add-shift":
        who = people.find_person(db, options.name)
        begin, end = local(options.start, config.zone), local(options.end, config.zone)
        print(f"added: shift {people.add_shift(db, who.id, options.duty, begin, end).id} of {who.name}")
    elif action == "remove-contact":
        people.remove_contact(db, options.number)
    elif action == "remove-shift":
        people.remove_shift(db, options.number)
    else:
        people.set_active(db, people.find_person(db, options.name).id, action == "activate")
    return 0


def local(text: str, zone: ZoneInfo) -> datetime:
    """A time as typed; without an offset it is local. Raises UserError."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise UserError(f"{text!r} is not a time; write it as 2026-01-05T08:00") from None
    return at if at.tzinfo else at.replace(tzinfo=zone)


def show(db: Database, now: datetime, days: int, zone: ZoneInfo) -> int:
    """People with their contacts, shifts to come, and gaps."""
    names = {p.id: p for p in people.list_people(db)}
    for person in names.values():
        print(f"{person.name}{'' if person.active else ' (off)'}")
        for one in people.list_contacts(db, person.id):
            print(f"  contact {one.id}: {one.channel} {one.address} (priority {one.priority})")
    end = now + timedelta(days=days)
    for shift in people.list_shifts(db, now, end):
        span = f"{shift.start.astimezone(zone):%Y-%m-%d %H:%M} to {shift.end.astimezone(zone):%Y-%m-%d %H:%M}"
        print(f"shift {shift.id}: {span} {shift.duty} {names[shift.person_id].name}")
    gaps = people.gaps(db, now, end)
    for gap in gaps:
        span = f"{gap.start.astimezone(zone):%Y-%m-%d %H:%M} to {gap.end.astimezone(zone):%Y-%m-%d %H:%M}"
        print(f"GAP: nobody on {gap.duty} duty from {span}")
    return 0
