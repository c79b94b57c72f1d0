"""`monitor duties`: who reports what by when, as the office lays it down; nothing is overwritten."""

from __future__ import annotations

import argparse
import getpass
from datetime import UTC, date, datetime, timedelta

from monitor.cli import UserError
from monitor.commands.common import database, load
from monitor.entry.duties import EPOCH, EVERY_DAY, bits_of, date_of, day_number
from monitor.entry.options import CLOCK, WEEKDAYS, minutes
from monitor.store import audit, duty_rules
from monitor.store.database import Database
from monitor.store.duty_rules import Revision, Rule


def main(options: argparse.Namespace) -> int:
    config, policy = load(options.config)
    now = datetime.now(UTC)
    actor, today = f"cli:{getpass.getuser()}", day_number(now, config.zone)
    with database(config) as db:
        if options.action == "list":
            for one in duty_rules.list_rules(db):
                if options.all or not is_over(one, today):
                    print(shown(one))
            return 0
        try:
            if options.action == "add":
                rule = entered(options, today)
                made = duty_rules.add(db, rule, options.note, actor, now, policy.catalogue.classes)
                audit.note(db, actor, "duty.add", f"duty:{made.id}", {"after": shown(made), "note": made.note}, now)
            elif options.action == "change":
                before = newest(db, options.id)
                rule = entered(options, today)
                made = duty_rules.change(
                    db, before.id, before.revision, rule, options.note, actor, now, policy.catalogue.classes
                )
                detail = {"before": shown(before), "after": shown(made), "note": made.note}
                audit.note(db, actor, "duty.change", f"duty:{made.id}", detail, now)
            else:
                before = newest(db, options.id)
                since = number(options.begin) if options.begin else today
                made = duty_rules.end(db, before.id, before.revision, since, options.note, actor, now)
                detail = {"before": shown(before), "after": shown(made), "note": made.note}
                audit.note(db, actor, "duty.end", f"duty:{made.id}", detail, now)
        except duty_rules.RuleError as error:
            faults = "".join(f"\n  {field}: {fault.en}" for field, fault in error.faults.items())
            raise UserError(f"this duty cannot be stored{faults}") from error
        except duty_rules.Changed:
            raise UserError(
                "the duty has ended, or somebody changed it this moment; look at it with `monitor duties list --all`"
            ) from None
    print(f"stored, in force within ten minutes: {shown(made)}")
    return 0


def newest(db: Database, id: str) -> Revision:
    found = duty_rules.history(db, id)
    if not found:
        raise UserError(f"there is no duty {id!r}; `monitor duties list --all` shows them")
    return found[-1]


def is_over(one: Revision, today: int) -> bool:
    return (one.ended and one.rule.since <= today) or (one.rule.until is not None and one.rule.until < today)


def entered(options: argparse.Namespace, today: int) -> Rule:
    """The rule as typed. Raises UserError for days or a time that are none."""
    if not CLOCK.fullmatch(options.due):
        raise UserError(f"{options.due!r} is no time of day; write hours and minutes, such as 10:00")
    rule = Rule(
        point=options.point,
        items=tuple(dict.fromkeys(options.item_names)),
        item_class=options.item_class,
        due=minutes(options.due),
        working_days=options.working_days or options.days == "working",
        emergency=options.days == "emergency",
        none=options.days == "none",
        weekdays=weekdays(options.days),
        every=every(options.days),
        since=number(options.begin) if options.begin else today,
        until=number(options.until) if options.until else None,
    )
    words = {"working", "usual", "emergency", "none"}
    if options.days not in words and not rule.weekdays and not rule.every:
        raise UserError(
            f"{options.days!r} are no days; write working, daily, usual, emergency, none, weekdays such as mon,thu,"
            " or a number of days such as 7d"
        )
    return rule


def weekdays(days: str) -> int:
    names = [part.strip().lower() for part in days.split(",")]
    if days == "daily":
        return EVERY_DAY
    return bits_of(names) if all(name in WEEKDAYS for name in names) else 0


def every(days: str) -> int:
    return (
        int(days[:-1]) if days.endswith("d") and days[:-1].isascii() and days[:-1].isdigit() and len(days) < 5 else 0
    )


def number(day: date) -> int:
    return (day - EPOCH) // timedelta(days=1)


def days_of(rule: Rule) -> str:
    """The days as they are typed."""
    if rule.none or rule.emergency:
        return "none" if rule.none else "emergency"
    if rule.every:
        days = f"{rule.every}d"
    elif rule.weekdays:
        named = [name for k, name in enumerate(WEEKDAYS) if rule.weekdays >> k & 1]
        days = "daily" if rule.weekdays == EVERY_DAY else ",".join(named)
    else:
        return "working" if rule.working_days else "usual"
    return f"{days} on working days" if rule.working_days else days


def shown(one: Revision) -> str:
    """One line: id, who, what, when, from when to when."""
    r = one.rule
    what = " ".join(r.items) or (f"[{r.item_class}]" if r.item_class else "all items")
    until = f" until {date_of(r.until)}" if r.until is not None else ""
    when = f"ended from {date_of(r.since)}" if one.ended else f"from {date_of(r.since)}{until}"
    days = days_of(r) if r.none else f"{days_of(r)} by {r.due // 60:02d}:{r.due % 60:02d}"
    return "\t".join((one.id, r.point or "all points", what, days, when, one.actor))
