"""Reports made from what is stored: on schedule by the daemon, on demand from the console."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from monitor.documents.abnormal import Abnormal, abnormal
from monitor.documents.comparison import Quotes, number_of
from monitor.documents.model import Report, ReportKind
from monitor.documents.options import WEEKDAYS, ReportOptions
from monitor.documents.periodic import CHART_DAYS, Given, daily, group_of, weekly
from monitor.reasoning import brief, several_areas
from monitor.store import reports
from monitor.store.columns import read_columns, read_series
from monitor.store.database import Database
from monitor.store.demo import demo_places, is_demo, is_demo_source
from monitor.store.flag_rows import FlagRecord, FlagState
from monitor.store.flags import FlagFilter, list_flags
from monitor.store.suspects import doubted as doubted_of
from monitor.store.suspects import suspects
from monitor.web.flag_words import VERDICTS, line_of
from thresholds.catalogue import Catalogue, Measure
from thresholds.model import IntArray, Kind, Mark

log = logging.getLogger(__name__)

MACHINE = "monitor"
LOOK_BACK = CHART_DAYS + 8
"""days read before the last one of a report: its chart, and the period before it"""
LATE = timedelta(days=3)
"""a report that was due longer ago (the daemon was off) is not made by itself any more"""
FLAGS_NAMED = 50
UNUSABLE = int(Mark.DATA_ERROR)


@dataclass(frozen=True)
class Maker:
    """Makes reports from one database."""

    db: Database
    catalogue: Catalogue
    options: ReportOptions
    zone: ZoneInfo

    def make(self, kind: ReportKind, last: date, actor: str, now: datetime) -> tuple[int, bool]:
        """The periodic report whose last day is `last`: stored as a draft; its id and whether it is new."""
        return reports.add(self.db, self.drawn(kind, last), actor, now)

    def drawn(self, kind: ReportKind, last: date) -> Report:
        """The periodic report as the data now gives it; nothing is stored."""
        given = self.given(kind, last)
        made = daily(given, last) if kind is ReportKind.DAILY else weekly(given, last)
        return msgspec.structs.replace(made, phone=self.options.phone)

    def drawn_again(self, stored: reports.Stored) -> Report:
        """A periodic draft with the figures of now; what people wrote into it is gone, number and names stay."""
        old = stored.report
        made = self.drawn(old.kind, old.last)
        return msgspec.structs.replace(made, issue=old.issue, author=old.author, phone=old.phone)

    def make_abnormal(self, record: FlagRecord, actor: str, now: datetime) -> tuple[int, bool]:
        """The report of clause P5 about one flag; one a day for each flag."""
        flag, today = record.flag, now.astimezone(self.zone).date()
        demo = is_demo(flag, demo_places(self.db, {flag.item}))
        line = line_of(record, self.zone, demo=demo)
        given = Abnormal(
            item=line.item,
            place=line.place,
            since=line.start.astimezone(self.zone).strftime("%Y年%-m月%-d日"),
            move=f"最突出处{line.move}" if line.move and several_areas(flag) else line.move,
            grade=line.grade,
            steps=brief(flag, self.zone),
            contrast=(),
            verdict=VERDICTS.get(record.verdict, record.verdict),
            simulated=demo,
        )
        made = msgspec.structs.replace(abnormal(given, today, self.options.issuer), phone=self.options.phone)
        return reports.add(self.db, made, actor, now, flag_id=flag.id, area=flag.area)

    def given(self, kind: ReportKind, last: date) -> Given:
        """What a periodic report rests on: usable prices of the last weeks, flags of the period."""
        known = read_series(self.db)
        classified = [self.catalogue.classify(key) for key in known.keys]
        prices = np.array([c.domain == "price" and c.measure is Measure.PRICE for c in classified], np.bool_)
        first = last - timedelta(days=LOOK_BACK)
        columns = read_columns(self.db, None, int(self.midnight(first).timestamp()))
        place = np.searchsorted(known.ids, columns.series_id)
        until = int(self.midnight(last + timedelta(days=1)).timestamp())
        usable = prices[place] & (columns.value > 0) & (columns.at < until) & ((columns.mark & UNUSABLE) == 0)
        with self.db.connect() as connection:
            found = suspects(connection, int(self.midnight(first).timestamp()))
        doubted = doubted_of(found, known.keys, place, columns.at) & usable
        usable &= ~doubted
        start = int(self.midnight(last if kind is ReportKind.DAILY else last - timedelta(days=6)).timestamp())
        shown = usable & (columns.at >= start)
        demo = np.array([is_demo_source(source) for source in known.sources], np.bool_)
        return Given(
            quotes=Quotes(
                keys=known.keys,
                groups=[group_of(c.chain) for c in classified],
                series=place[usable],
                day=self.days_of(columns.at[usable]),
                value=columns.value[usable],
            ),
            issue=0,
            issuer=self.options.issuer,
            flagged=self.flagged(start, until),
            doubted=int((doubted & (columns.at >= start)).sum()),
            simulated=bool(demo[place[shown]].any()),
        )

    def flagged(self, start: int, until: int) -> Sequence[str]:
        """Moves that were first flagged in the period or are still open, in words, highest grade first."""
        states = (FlagState.OPEN, FlagState.ACKNOWLEDGED, FlagState.REVIEWED)
        found = [
            record
            for record in list_flags(self.db, FlagFilter(kinds=(Kind.MOVE,), states=states), 1000)
            if start <= record.flag.last_hit.timestamp() < until and record.verdict != "data_error"
        ]
        found.sort(key=lambda r: (-r.flag.peak_grade.rank, r.flag.item, r.flag.id))
        lines = [self.flag_line(record) for record in found[:FLAGS_NAMED]]
        if len(found) > FLAGS_NAMED:
            lines.append(f"以及另外{len(found) - FLAGS_NAMED}条，详见复核队列。")
        return lines

    def flag_line(self, record: FlagRecord) -> str:
        flag = record.flag
        grade = flag.peak_grade.label if flag.peak_grade.rank else "未定级"
        place = flag.area or "、".join(flag.points) or "全市"
        verdict = f"复核结论：{VERDICTS[record.verdict]}。" if record.verdict in VERDICTS and record.verdict else ""
        return f"{flag.item}（{place}，{grade}）：{flag.reason}。{verdict}".replace("。。", "。")

    def midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), self.zone)

    def days_of(self, at: IntArray) -> IntArray:
        """int64[n]: local days since 1970-01-01 of epoch seconds."""
        low = int(at.min()) if len(at) else 0
        high = int(at.max()) if len(at) else 0
        first = datetime.fromtimestamp(low, self.zone).date()
        span = (datetime.fromtimestamp(high, self.zone).date() - first).days + 2
        edges = np.array([int(self.midnight(first + timedelta(days=d)).timestamp()) for d in range(span)], np.int64)
        days: IntArray = np.searchsorted(edges, at, side="right") - 1 + number_of(first)
        return days


def due(options: ReportOptions, zone: ZoneInfo, now: datetime) -> list[tuple[ReportKind, date]]:
    """The newest report of each kind that should exist by now, with its last day."""
    local = now.astimezone(zone)
    found = []
    if options.daily:
        at = newest_time(local, options.daily_at, None)
        if local - at <= LATE:
            found.append((ReportKind.DAILY, at.date()))
    if options.weekly:
        at = newest_time(local, options.weekly_at, WEEKDAYS.index(options.weekly_on))
        if local - at <= LATE:
            found.append((ReportKind.WEEKLY, at.date() - timedelta(days=1)))
    return found


def newest_time(local: datetime, clock: str, weekday: int | None) -> datetime:
    """The newest local time of day `clock` (on that weekday) that is not later than `local`."""
    hour, minute = map(int, clock.split(":"))
    at = local.replace(hour=hour, minute=minute, second=0, microsecond=0)
    while at > local or (weekday is not None and at.weekday() != weekday):
        at -= timedelta(days=1)
    return at


def make_due(maker: Maker, now: datetime) -> list[int]:
    """Make what is due and does not exist yet; gives the ids of what was made."""
    made = []
    for kind, last in due(maker.options, maker.zone, now):
        if reports.has(maker.db, kind, last):
            continue
        report = maker.drawn(kind, last)
        if not any(section.rows for section in report.sections):
            log.debug("no prices yet for the %s report of %s; it is made when they are in", kind.value, last)
            continue
        report_id, new = reports.add(maker.db, report, MACHINE, now)
        if new:
            made.append(report_id)
            log.info("made the %s report of %s as a draft", kind.value, last.isoformat())
    return made
