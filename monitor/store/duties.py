"""Who has reported what today, and how complete the last weeks were: the reporting duty against what came.

`refresh` works the duties out from configuration and history and writes them down, with the completeness of the last
days; it runs now and then. `today` is asked by pages and must be quick: one look into the index per series.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy import ColumnElement, Connection, Row, Select, and_, case, delete, false, func, insert, select, true

from collectors.base import SourceOptions
from monitor.entry.duties import (
    LEARN_DAYS,
    MONDAY_TO_FRIDAY,
    SATURDAY,
    Duty,
    Known,
    Timeliness,
    date_of,
    day_number,
    duty_of,
    local_days,
    moment_of,
    timeliness,
    weekday,
)
from monitor.entry.options import DutyOptions, EntryOptions
from monitor.entry.tools import EntryTools, shipped_tools
from monitor.schema import batch, observation, series
from monitor.schema_entry import duty_rule, report_day, report_duty
from monitor.store import duty_rules, records
from monitor.store.database import Database
from monitor.store.text import moment, seconds
from thresholds.catalogue import Catalogue
from thresholds.model import SeriesKey
from thresholds.workdays import Workdays, shipped_workdays

AGAIN_DAYS = 7
"""Days whose completeness is worked out again at every refresh: late reports still come in."""


@dataclass(frozen=True, slots=True)
class DueReport:
    """One report expected on the day: `received_at` is when the first value for it came."""

    series_id: int
    key: SeriesKey
    area: str
    due_at: datetime
    received_at: datetime | None
    state: Timeliness


@dataclass(slots=True)
class PointDay:
    """A point's day. `expected` = `on_time` + `late` + `missing` + `awaited`; `due_at` is the earliest due time of
    what is still to come, or else the latest of all."""

    point: str
    area: str
    day: int
    on_time: int = 0
    late: int = 0
    missing: int = 0
    awaited: int = 0
    due_at: datetime | None = None
    reports: list[DueReport] = field(default_factory=list)

    @property
    def expected(self) -> int:
        return self.on_time + self.late + self.missing + self.awaited

    @property
    def reported(self) -> int:
        return self.on_time + self.late


def refresh(
    db: Database,
    zone: ZoneInfo,
    options: EntryOptions,
    sources: Sequence[SourceOptions],
    catalogue: Catalogue,
    now: datetime,
    workdays: Workdays | None = None,
) -> int:
    """Work out the duties and the completeness of the last days anew; gives the number of series with a duty.

    A rule that changed within these days changes nothing of the days before: each is counted by what held on it.
    """
    today, at = day_number(now, zone), seconds(now)
    by = Days(workdays or shipped_workdays(), catalogue)
    with db.connect() as connection:
        known = _known(db, connection, zone, today)
        stored = connection.execute(select(func.count()).select_from(report_day)).scalar_one()
        first = today - (AGAIN_DAYS if stored else LEARN_DAYS)
        spans = _spans(options, duty_rules.revisions(connection), first, today)

    def worked_out(span: _Span) -> dict[int, Duty]:
        found = {i: duty_of(k, span.last, options, sources, catalogue, span.office) for i, k in known.items()}
        return {i: duty for i, duty in found.items() if duty}

    *earlier, last = spans
    days: list[list[PointDay]] = []
    duties = worked_out(last)
    with db.begin() as connection:
        for span in earlier:  # written down for the counting only; nobody else sees it
            _write(connection, worked_out(span), at)
            days += [_counted(connection, zone, day, now, true(), by) for day in range(span.first, span.last + 1)]
        _write(connection, duties, at)
    with db.connect() as connection:
        days += [_counted(connection, zone, day, now, true(), by) for day in range(last.first, today)]
    with db.begin() as connection:
        connection.execute(delete(report_day).where(report_day.c.day >= first))
        rows = [_day_row(one, at) for points in days for one in points if one.expected]
        if rows:
            connection.execute(insert(report_day), rows)
    return len(duties)


@dataclass(frozen=True, slots=True)
class _Span:
    """Days, the last one included, on which the same rules held; `office` are those of the office."""

    first: int
    last: int
    office: tuple[DutyOptions, ...]


def _spans(options: EntryOptions, revisions: Sequence[duty_rules.Revision], first: int, today: int) -> list[_Span]:
    """The days from `first` to today by the rules that held on them; the last one ends today."""
    found: list[_Span] = []
    before: object = None
    for day in range(first, today + 1):
        office = duty_rules.holding(revisions, day)
        rules = office, tuple(rule for rule in options.duty if rule.holds_on(date_of(day)))
        if rules == before:
            found[-1] = replace(found[-1], last=day)
        else:
            found.append(_Span(day, day, office))
        before = rules
    return found


def _write(connection: Connection, duties: Mapping[int, Duty], at: int) -> None:
    connection.execute(delete(report_duty))
    if duties:
        connection.execute(insert(report_duty), [_duty_row(i, d, at) for i, d in duties.items()])


def _known(db: Database, connection: Connection, zone: ZoneInfo, today: int) -> dict[int, Known]:
    """What is known of each series of a point, with the days on which it was reported lately."""
    since = moment_of(today - LEARN_DAYS, 0, zone)
    rows = db.bulk.read_rows(connection, None, since)
    day = local_days(rows.at, zone)
    ids, cut = np.unique(rows.series_id, return_index=True)
    ends = [*cut[1:].tolist(), len(rows)]
    by_series = {i: np.unique(day[a:b]).tolist() for i, a, b in zip(ids.tolist(), cut.tolist(), ends, strict=False)}
    found = {}
    for row in connection.execute(select(series).where(series.c.point != "")):
        key = SeriesKey(row.item, row.spec, row.unit, row.channel, row.point)
        first = day_number(moment(row.first_seen_at), zone)
        days = by_series.get(row.id, [])
        # a sheet of the last weeks that came today says how often the point reports
        found[row.id] = Known(key, row.source, min([first, *days[:1]]), days)
    return found


def _duty_row(series_id: int, duty: Duty, at: int) -> dict[str, object]:
    return {"series_id": series_id, "weekdays": duty.weekdays, "every": duty.every, "due": duty.due} | {
        "origin": duty.origin,
        "working": duty.working,
        "updated_at": at,
    }


def _day_row(one: PointDay, at: int) -> dict[str, object]:
    counts = {"expected": one.expected, "on_time": one.on_time, "late": one.late}
    return {"day": one.day, "point": one.point, "area": one.area, "updated_at": at} | counts


def _completeness(
    connection: Connection, zone: ZoneInfo, day: int, now: datetime, where: ColumnElement[bool], by: Days
) -> list[PointDay]:
    """The day of every point that had to report on it, report by report."""
    found: dict[str, PointDay] = {}
    urgent = by.urgent(connection, zone, day, where)
    for row in connection.execute(_by_weekday(day, zone, where, by.works(day), urgent)).all():
        _add(found, row, day, zone, now, None if row.came is None else int(row.came))
    _add_overdue(connection, found, zone, day, now, where & by.overdue(day, urgent))
    for one in found.values():
        one.reports.sort(key=lambda r: (r.state in (Timeliness.ON_TIME, Timeliness.LATE), r.key))
    return sorted(found.values(), key=lambda p: (p.area, p.point))


def _counted(
    connection: Connection, zone: ZoneInfo, day: int, now: datetime, where: ColumnElement[bool], by: Days
) -> list[PointDay]:
    """The same, counted by the database: no reports, for pages with many points."""
    urgent = by.urgent(connection, zone, day, where)
    rows = _by_weekday(day, zone, where, by.works(day), urgent).subquery()
    dues = connection.execute(select(report_duty.c.due).distinct()).scalars().all()
    if not dues:
        return []
    due_at = case({due: moment_of(day, due, zone) for due in dues}, value=rows.c.due)
    begin, end = moment_of(day, 0, zone), moment_of(day + 1, 0, zone)
    due_at = case((rows.c.first_seen_at >= begin, end), else_=due_at)
    awaited = rows.c.came.is_(None) & (due_at >= seconds(now))
    query = select(
        rows.c.point,
        func.max(rows.c.area).label("area"),
        func.count().label("expected"),
        func.sum(case((rows.c.came <= due_at, 1), else_=0)).label("on_time"),
        func.sum(case((rows.c.came > due_at, 1), else_=0)).label("late"),
        func.sum(case((awaited, 1), else_=0)).label("awaited"),
        func.min(case((awaited, due_at))).label("still"),
        func.max(due_at).label("due"),
    ).group_by(rows.c.point)
    found: dict[str, PointDay] = {}
    for row in connection.execute(query):
        on_time, late, waits = int(row.on_time), int(row.late), int(row.awaited)
        due = moment(int(row.due if row.still is None else row.still))
        missing = int(row.expected) - on_time - late - waits
        found[row.point] = PointDay(row.point, row.area, day, on_time, late, missing, waits, due)
    _add_overdue(connection, found, zone, day, now, where & by.overdue(day, urgent))
    for one in found.values():
        one.reports = []
    return sorted(found.values(), key=lambda p: (p.area, p.point))


def _add_overdue(connection: Connection, found: dict[str, PointDay], zone: ZoneInfo, day: int, now: datetime,
                 where: ColumnElement[bool]) -> None:  # fmt: skip
    """What is due every so many days: it counts on the day on which it comes, and while it is overdue."""
    end = moment_of(day + 1, 0, zone)
    query = select(series, report_duty.c.due, report_duty.c.every, _newest_before(end)).join(
        report_duty, report_duty.c.series_id == series.c.id
    )
    for row in connection.execute(query.where(report_duty.c.every > 0, where)):
        last = None if row.at is None else day_number(moment(row.at), zone)
        came = _received(connection, row.id, row.at) if row.at is not None else None
        today = came is not None and day_number(moment(came), zone) == day
        if today or last is None or day >= last + row.every:
            _add(found, row, day, zone, now, came if today else None)


@dataclass(frozen=True, slots=True)
class Days:
    """What a day is to the duties: whether offices work on it, and whether a decision forbids to rest on it."""

    workdays: Workdays
    catalogue: Catalogue

    def works(self, day: int) -> bool:
        return self.workdays.is_working(date_of(day))

    def urgent(
        self, connection: Connection, zone: ZoneInfo, day: int, where: ColumnElement[bool]
    ) -> ColumnElement[bool]:
        """Of those wanted, the series that a decision in force on the day covers: for these no day is left out
        (P16, P17)."""
        begin, end = moment_of(day, 0, zone), moment_of(day + 1, 0, zone)
        running = [
            r.record
            for r in records.newest(connection)
            if r.record.kind == "decision" and r.record.start < end and (r.record.end is None or r.record.end > begin)
        ]
        if not running:
            return false()
        query = select(series.c.id, series.c.item, series.c.unit, series.c.area)
        query = query.join(report_duty, report_duty.c.series_id == series.c.id).where(report_duty.c.working, where)
        known: dict[tuple[str, str, str], bool] = {}  # many points report the same items
        covered = []
        for id, item, unit, area in connection.execute(query):
            if (item, unit, area) not in known:
                key = SeriesKey(item, unit=unit)
                classified = self.catalogue.classify(key)
                known[item, unit, area] = any(one.covers(key, area, classified) for one in running)
            if known[item, unit, area]:
                covered.append(id)
        return series.c.id.in_(covered)

    def overdue(self, day: int, urgent: ColumnElement[bool]) -> ColumnElement[bool]:
        """Of what is due every so many days: what may be overdue on this day."""
        return true() if self.works(day) else ~report_duty.c.working | urgent


def _by_weekday(
    day: int, zone: ZoneInfo, where: ColumnElement[bool], works: bool, urgent: ColumnElement[bool]
) -> Select[Any]:
    """The series that are due on this day by its weekday (Duty.expects), with when the first value about it came."""
    t = report_duty.c
    named = t.weekdays.bitwise_and(1 << weekday(day)) != 0
    if not works:
        named &= ~t.working
    elif weekday(day) >= SATURDAY:
        named |= t.working & (t.weekdays.bitwise_and(MONDAY_TO_FRIDAY) == MONDAY_TO_FRIDAY)
    return (
        select(series, report_duty.c.due, _came_on(day, zone))
        .join(report_duty, report_duty.c.series_id == series.c.id)
        .where(
            named | (t.working & (t.every == 0) & urgent),
            series.c.first_seen_at < moment_of(day + 1, 0, zone),
            where,
        )
    )


def _add(
    found: dict[str, PointDay], row: Row[Any], day: int, zone: ZoneInfo, now: datetime, came: int | None
) -> None:
    """Count one expected report. A series first seen on this day has the whole day."""
    if row.first_seen_at >= moment_of(day + 1, 0, zone):
        return
    new = row.first_seen_at >= moment_of(day, 0, zone)
    due = moment_of(day + 1, 0, zone) if new else moment_of(day, row.due, zone)
    one = found.setdefault(row.point, PointDay(row.point, row.area, day))
    one.area = one.area or row.area
    state = timeliness(came, due, seconds(now))
    had_awaited = one.awaited
    setattr(one, state, getattr(one, state) + 1)
    if state is Timeliness.AWAITED:
        one.due_at = min(one.due_at, moment(due)) if had_awaited and one.due_at else moment(due)
    elif not had_awaited:
        one.due_at = max(one.due_at or moment(due), moment(due))
    key = SeriesKey(row.item, row.spec, row.unit, row.channel, row.point)
    received = None if came is None else moment(came)
    one.reports.append(DueReport(row.id, key, row.area, moment(due), received, state))


def _came_on(day: int, zone: ZoneInfo) -> ColumnElement[Any]:
    """When the first value about the local day came; NULL where none did."""
    o = observation.c
    return (
        select(func.min(batch.c.received_at))
        .select_from(observation.join(batch, batch.c.id == o.batch_id))
        .where(
            o.series_id == series.c.id,
            o.at >= moment_of(day, 0, zone),
            o.at < moment_of(day + 1, 0, zone),
            o.revision == 1,
        )
        .correlate(series)
        .scalar_subquery()
        .label("came")
    )


def _newest_before(end: int) -> ColumnElement[Any]:
    """The time of the newest observation that had come before `end`; NULL where there is none."""
    o = observation.c
    return (
        select(func.max(o.at))
        .select_from(observation.join(batch, batch.c.id == o.batch_id))
        .where(o.series_id == series.c.id, batch.c.received_at < end)
        .correlate(series)
        .scalar_subquery()
        .label("at")
    )


def _received(connection: Connection, series_id: int, at: int) -> int:
    o = observation.c
    query = select(batch.c.received_at).join(observation, batch.c.id == o.batch_id)
    return int(connection.execute(query.where(o.series_id == series_id, o.at == at, o.revision == 1)).scalar_one())


def today(
    db: Database, zone: ZoneInfo, now: datetime, *, points: Collection[str] | None = None,
    where: ColumnElement[bool] | None = None, reports: bool = True, by: EntryTools | None = None,
) -> list[PointDay]:  # fmt: skip
    """How far the reports of today are, by point (of `points`, or where `where` holds for columns of `series`).

    by  whose working days and catalogue count; the shipped ones where none are given
    `reports` false leaves the single reports out, which is much quicker for many points.
    """
    wanted = true() if where is None else where
    if points is not None:
        wanted = and_(wanted, series.c.point.in_(sorted(points)))
    tools = by or shipped_tools()
    with db.connect() as connection:
        made = _completeness if reports else _counted
        return made(connection, zone, day_number(now, zone), now, wanted, Days(tools.workdays, tools.catalogue))


@dataclass(frozen=True, slots=True)
class DayCount:
    """How complete one past day was."""

    day: int
    expected: int
    on_time: int
    late: int
    area: str = ""

    @property
    def missing(self) -> int:
        return self.expected - self.on_time - self.late


def history(
    db: Database,
    first: int,
    last: int,
    *,
    points: Collection[str] | None = None,
    where: ColumnElement[bool] | None = None,
) -> dict[str, list[DayCount]]:
    """The days from `first` to `last` (local days since 1970), by point. `where` is about columns of `report_day`."""
    t = report_day.c
    query = select(report_day).where(t.day >= first, t.day <= last).order_by(t.point, t.day)
    if points is not None:
        query = query.where(t.point.in_(sorted(points)))
    if where is not None:
        query = query.where(where)
    found: dict[str, list[DayCount]] = {}
    with db.connect() as connection:
        for row in connection.execute(query):
            found.setdefault(row.point, []).append(DayCount(row.day, row.expected, row.on_time, row.late, row.area))
    return found


@dataclass(frozen=True, slots=True)
class Past:
    """The last days of a point added up; `recent` is the later part of them."""

    point: str
    area: str
    all: DayCount
    recent: DayCount


def past(
    db: Database, first: int, last: int, recent: int, *, where: ColumnElement[bool] | None = None
) -> dict[str, Past]:
    """The days from `first` to `last` by point, and of these those from `recent` on. `where` as in `history`."""
    t = report_day.c
    sums = [func.sum(column) for column in (t.expected, t.on_time, t.late)]
    sums += [func.sum(case((t.day >= recent, column), else_=0)) for column in (t.expected, t.on_time, t.late)]
    query = select(t.point, func.max(t.area), *sums).where(t.day >= first, t.day <= last).group_by(t.point)
    if where is not None:
        query = query.where(where)
    found = {}
    with db.connect() as connection:
        for point, area, *counts in connection.execute(query):
            n = [int(count) for count in counts]
            found[point] = Past(
                point, area, DayCount(first, n[0], n[1], n[2], area), DayCount(recent, n[3], n[4], n[5], area)
            )
    return found


def state_of(db: Database) -> tuple[int, int, datetime | None]:
    """What today's counts rest on besides the clock: the newest batch, the rules, when the duties were worked out."""
    with db.connect() as connection:
        newest = connection.execute(select(func.max(batch.c.id))).scalar()
        rules = connection.execute(select(func.count()).select_from(duty_rule)).scalar_one()
    return newest or 0, rules, worked_out(db)


def worked_out(db: Database) -> datetime | None:
    """When the duties were last worked out, None: never, or there are none."""
    with db.connect() as connection:
        at = connection.execute(select(func.max(report_duty.c.updated_at))).scalar()
    return None if at is None else moment(at)
