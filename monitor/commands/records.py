"""`monitor records`: decisions in force and what people saw; nothing is overwritten."""

from __future__ import annotations

import argparse
import getpass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from monitor.cli import UserError
from monitor.commands.common import database, load
from monitor.commands.roster import local
from monitor.store import records
from monitor.store.text import moment, seconds
from thresholds.records import Record


def main(options: argparse.Namespace) -> int:
    config, policy = load(options.config)
    now = datetime.now(UTC)
    actor = f"cli:{getpass.getuser()}"
    with database(config) as db:
        try:
            if options.action == "add":
                one = entered(options, config.zone)
                made = records.add(db, one, options.note, actor, now, policy.catalogue.classes)
                print(f"recorded: {shown(made, config.zone)}")
            elif options.action == "lift":
                end = local(options.end, config.zone)
                made = records.lift(db, options.id, end, options.note, actor, now)
                print(f"lifted: {shown(made, config.zone)}")
            else:
                for found in records.list_records(db, at=None if options.all else now):
                    print(shown(found, config.zone))
        except records.RecordNotFound:
            raise UserError(f"there is no record {options.id!r}; `monitor records list --all` shows them") from None
        except records.RecordError as error:
            faults = "".join(f"\n  {field}: {fault.en}" for field, fault in error.faults.items())
            raise UserError(f"this cannot be recorded{faults}") from error
    return 0


def entered(options: argparse.Namespace, zone: ZoneInfo) -> Record:
    """The record as typed. Raises UserError for what is no time."""
    return Record(
        "",
        options.kind,
        options.measure,
        options.issuer,
        options.document,
        seconds(local(options.start, zone)),
        None if options.end is None else seconds(local(options.end, zone)),
        tuple(options.item_names),
        tuple(options.class_names),
        tuple(options.area_names),
    )


def shown(one: records.Revision, zone: ZoneInfo) -> str:
    """One line: id, what, scope, from when to when."""
    r = one.record
    begin = f"{moment(r.start).astimezone(zone):%Y-%m-%d %H:%M}"
    end = "in force" if r.end is None else f"until {moment(r.end).astimezone(zone):%Y-%m-%d %H:%M}"
    scope = " ".join((*r.items, *(f"[{c}]" for c in r.classes), *(f"@{a}" for a in r.areas)))
    return "\t".join((r.id, r.kind, r.measure, r.issuer, r.document, scope, f"from {begin}", end))
