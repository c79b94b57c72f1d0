"""The office's rules of who reports what by when: entered, changed, ended, never overwritten.

A change is a further revision that holds from a day of its own on, so what was due on the days before stays as it
was. Of two people who change the same rule at the same time, the second is told.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import uuid4

from pydantic import ValidationError
from sqlalchemy import Connection, Row, func, insert, select

from monitor.entry.options import WEEKDAYS, DutyOptions
from monitor.schema import series
from monitor.schema_entry import duty_rule as table
from monitor.store.database import Database
from monitor.store.text import is_storable, moment, seconds
from thresholds.records import Wrong

NAME_LENGTH, NOTE_LENGTH, MOST_ITEMS, MOST_RULES = 200, 500, 200, 5000


@dataclass(frozen=True, slots=True)
class Rule:
    """What is due, from whom, when.

    point, items, item_class  whom and what it is about; empty: all
    weekdays   bits, Monday is 1; 0: as the point reported so far, or as `every`, `working_days` and `emergency` say
    every      days from one report to the next, 0: by weekday
    due        minutes after local midnight
    emergency  due on every day and before all other rules; never together with `working_days`
    none       need not be reported
    since, until   local days since 1970, both included; until None: until it is ended
    """

    point: str = ""
    items: tuple[str, ...] = ()
    item_class: str = ""
    weekdays: int = 0
    every: int = 0
    due: int = 600
    working_days: bool = False
    emergency: bool = False
    none: bool = False
    since: int = 0
    until: int | None = None


@dataclass(frozen=True)
class Revision:
    """A rule as it was entered or changed by `actor` at `recorded_at`; revisions count from 1."""

    id: str
    revision: int
    rule: Rule
    area: str
    ended: bool
    note: str
    actor: str
    recorded_at: datetime

    @cached_property
    def options(self) -> tuple[DutyOptions, ...]:
        """The rule as the arithmetic of duties takes it: one for each item."""
        return options_of(self.rule)


class RuleError(Exception):
    """A rule that cannot be stored; `faults` says what is wrong by field."""

    def __init__(self, faults: dict[str, Wrong]) -> None:
        super().__init__("; ".join(f"{field}: {fault.en}" for field, fault in faults.items()))
        self.faults = faults


class RuleNotFound(Exception):
    """There is no rule with this id."""


class Changed(Exception):
    """Somebody else has changed the rule meanwhile."""


def options_of(rule: Rule) -> tuple[DutyOptions, ...]:
    """Raises ValidationError for what contradicts itself."""
    named = tuple(name for k, name in enumerate(WEEKDAYS) if rule.weekdays >> k & 1)
    common = {
        "point": rule.point,
        "item_class": rule.item_class,
        "weekdays": named,
        "every": rule.every,
        "working_days": rule.working_days,
        "emergency": rule.emergency,
        "none": rule.none,
        "due": f"{rule.due // 60:02d}:{rule.due % 60:02d}",
    }
    return tuple(DutyOptions.model_validate(common | {"item": item}) for item in rule.items or ("",))


def problems(rule: Rule, classes: Collection[str] | None = None) -> dict[str, Wrong]:
    """What is wrong with a rule, by field; empty where it may be stored. `classes`: those of the catalogue."""
    found: dict[str, Wrong] = {}
    for name in ("point", "item_class"):
        if len(getattr(rule, name)) > NAME_LENGTH or not is_storable(getattr(rule, name)):
            found[name] = Wrong(f"最多{NAME_LENGTH}个字，不能含有控制字符", f"at most {NAME_LENGTH} characters")
    if len(rule.items) > MOST_ITEMS or any(not i or len(i) > NAME_LENGTH or not is_storable(i) for i in rule.items):
        found["items"] = Wrong(f"最多{MOST_ITEMS}个品种，每个至多{NAME_LENGTH}个字", f"at most {MOST_ITEMS} items")
    if rule.items and rule.item_class:
        found["item_class"] = Wrong("品种和品类只写一种", "name items or a class, not both")
    if rule.item_class and classes is not None and rule.item_class not in classes:
        found["item_class"] = Wrong(
            f"目录中没有品类“{rule.item_class}”", f"the class {rule.item_class!r} is not in the catalogue"
        )
    if rule.emergency and (rule.working_days or rule.none or rule.weekdays or rule.every):
        found["emergency"] = Wrong(
            "应急报送每日一次、不分节假日，不能限于工作日、星期或免报（预案4.2）",
            "an emergency report is due on every day, days off as well (P16, P17): leave the other days out",
        )
    if rule.weekdays and rule.every:
        found["every"] = Wrong("星期和间隔天数只写一种", "name weekdays or a number of days, not both")
    if rule.none and (rule.weekdays or rule.every or rule.working_days):
        found["none"] = Wrong("免报的任务不要再写报送日", "what need not be reported has no days")
    if not 0 <= rule.weekdays <= 127 or not 0 <= rule.every <= 366 or not 0 <= rule.due < 1440:
        found["due"] = Wrong("报送日或时间有误", "the days or the time are out of range")
    if rule.until is not None and rule.until < rule.since:
        found["until"] = Wrong("结束日期早于开始日期", "it ends before it begins")
    if not found:
        try:
            options_of(rule)
        except ValidationError as error:
            found["point"] = Wrong("内容有误", str(error.errors()[0]["msg"]))
    return found


def add(
    db: Database, rule: Rule, note: str, actor: str, now: datetime, classes: Collection[str] | None = None
) -> Revision:
    """Store a new rule under an id of its own. Raises RuleError."""
    _check(rule, note, classes)
    with db.begin() as connection:
        if connection.execute(select(func.count(table.c.id.distinct()))).scalar_one() >= MOST_RULES:
            raise RuleError({"point": Wrong(f"最多{MOST_RULES}条任务", f"at most {MOST_RULES} rules")})
        return _store(connection, uuid4().hex[:12], 1, rule, False, note, actor, now)


def change(
    db: Database, id: str, revision: int, rule: Rule, note: str, actor: str, now: datetime,
    classes: Collection[str] | None = None,
) -> Revision:  # fmt: skip
    """What the rule says from `rule.since` on. Raises RuleNotFound, Changed, RuleError."""
    _check(rule, note, classes)
    with db.begin() as connection:
        _current(connection, id, revision)
        return _store(connection, id, revision + 1, rule, False, note, actor, now)


def end(db: Database, id: str, revision: int, since: int, note: str, actor: str, now: datetime) -> Revision:
    """The rule holds no longer from the local day `since` on. Raises RuleNotFound, Changed, RuleError."""
    with db.begin() as connection:
        before = _current(connection, id, revision)
        if before.ended:
            raise Changed
        rule = replace(before.rule, since=since, until=None)
        _check(rule, note, None)
        return _store(connection, id, revision + 1, rule, True, note, actor, now)


def revisions(connection: Connection) -> list[Revision]:
    """All that was ever said, rule by rule, the oldest revision first."""
    return [_revision(row) for row in connection.execute(select(table).order_by(table.c.id, table.c.revision))]


def history(db: Database, id: str) -> list[Revision]:
    """All that was ever said of a rule, the oldest first; nothing where there is none."""
    with db.connect() as connection:
        rows = connection.execute(select(table).where(table.c.id == id).order_by(table.c.revision))
        return [_revision(row) for row in rows]


def list_rules(db: Database) -> list[Revision]:
    """The newest revision of every rule: those in force by point and item, then those that were ended."""
    with db.connect() as connection:
        newest = {one.id: one for one in revisions(connection)}
    return sorted(newest.values(), key=lambda r: (r.ended, r.rule.point, r.rule.items, r.rule.item_class, r.id))


def holding(found: Sequence[Revision], day: int) -> tuple[DutyOptions, ...]:
    """The rules that hold on a local day: of each its newest revision that had begun."""
    begun = {
        one.id: one for one in found if one.rule.since <= day
    }  # the later revision takes the place of the earlier
    return tuple(
        options
        for one in begun.values()
        if not one.ended and (one.rule.until is None or one.rule.until >= day)
        for options in one.options
    )


def area_of(db: Database, point: str) -> str | None:
    """The area of a point; None where nothing of it was reported yet."""
    with db.connect() as connection:
        query = select(func.max(series.c.area)).where(series.c.point == point)
        found: str | None = connection.execute(query).scalar()
    return found


def _check(rule: Rule, note: str, classes: Collection[str] | None) -> None:
    faults = problems(rule, classes)
    if len(note) > NOTE_LENGTH or not is_storable(note):
        faults["note"] = Wrong(f"最多{NOTE_LENGTH}个字，不能含有控制字符", f"at most {NOTE_LENGTH} characters")
    if faults:
        raise RuleError(faults)


def _current(connection: Connection, id: str, revision: int) -> Revision:
    rows = connection.execute(select(table).where(table.c.id == id).order_by(table.c.revision.desc()).limit(1)).all()
    if not rows:
        raise RuleNotFound(id)
    if rows[0].revision != revision:
        raise Changed
    return _revision(rows[0])


def _store(
    connection: Connection, id: str, revision: int, rule: Rule, ended: bool, note: str, actor: str, now: datetime
) -> Revision:
    area = connection.execute(select(func.max(series.c.area)).where(series.c.point == rule.point)).scalar() or ""
    values = {
        "id": id,
        "revision": revision,
        "since": rule.since,
        "area": area if rule.point else "",
        "point": rule.point,
        "items": list(rule.items),
        "item_class": rule.item_class,
        "weekdays": rule.weekdays,
        "every": rule.every,
        "due": rule.due,
        "working_days": rule.working_days,
        "emergency": rule.emergency,
        "none": rule.none,
        "until": rule.until,
        "ended": ended,
        "note": note,
        "actor": actor,
        "recorded_at": seconds(now),
    }
    connection.execute(insert(table).values(values))
    return Revision(id, revision, rule, str(values["area"]), ended, note, actor, moment(seconds(now)))


def _revision(row: Row[Any]) -> Revision:
    rule = Rule(
        point=row.point,
        items=tuple(row.items),
        item_class=row.item_class,
        weekdays=row.weekdays,
        every=row.every,
        due=row.due,
        working_days=row.working_days,
        emergency=row.emergency,
        none=row.none,
        since=row.since,
        until=row.until,
    )
    return Revision(row.id, row.revision, rule, row.area, row.ended, row.note, row.actor, moment(row.recorded_at))
