"""Reports made from the database: what is due, what counts, what is left out."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from sqlalchemy import Connection

from monitor.documents.model import ReportKind
from monitor.documents.options import ReportOptions
from monitor.reporting import Maker, due, make_due
from monitor.store import observations, reports, reviews
from monitor.store.database import Database
from monitor.store.flags import get_flag, save_evaluation
from monitor.store.suspects import doubted, suspects
from tests.store.build import CABBAGE, NOW, PORK, day, flag
from thresholds.catalogue import load_catalogue
from thresholds.model import Grade, Kind, Observation, ObservationBatch, SeriesKey

ZONE = ZoneInfo("Asia/Shanghai")
LAST = (day(59)).astimezone(ZONE).date()
COUNT = SeriesKey("12315投诉", "", "件", "", "热线")


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE)


@pytest.fixture
def maker(sqlite_db: Database) -> Maker:
    """A maker over two months of cabbage and pork at a steady price, which rises by a tenth on the last day."""
    catalogue, faults = load_catalogue()
    assert catalogue is not None, faults
    rows = [
        Observation(key, day(n), price * (1.1 if n == 59 else 1.0), area="南区")
        for key, price in ((CABBAGE, 2.0), (PORK, 20.0), (COUNT, 7.0))
        for n in range(60)
    ]
    observations.add(sqlite_db, ObservationBatch.of(rows), source="日报", name="a.csv", now=NOW)
    return Maker(sqlite_db, catalogue, ReportOptions(issuer="价格监测中心", phone="0459-0000000"), ZONE)


def nobody(_connection: Connection, _changes: object) -> None:
    """Nobody is told."""


def test_a_daily_report_compares_the_day_with_the_day_before(maker: Maker) -> None:
    made, new = maker.make(ReportKind.DAILY, LAST, "monitor", NOW)
    report = reports.get(maker.db, made).report
    assert new
    assert (report.first, report.last, report.issue, report.issuer) == (LAST, LAST, 1, "价格监测中心")
    rows = {row.item: row for section in report.sections for row in section.rows}
    assert rows["大白菜"].change == pytest.approx(0.1)
    assert set(rows) == {"大白菜", "猪肉"}, "counts are no prices"
    assert report.phone == "0459-0000000"


def test_a_weekly_report_compares_two_weeks(maker: Maker) -> None:
    made, _ = maker.make(ReportKind.WEEKLY, LAST, "monitor", NOW)
    report = reports.get(maker.db, made).report
    row = next(row for section in report.sections for row in section.rows if row.item == "大白菜")
    assert row.change == pytest.approx(0.1 / 7)
    assert (report.last - report.first) == timedelta(days=6)


def test_a_price_that_is_suspected_or_judged_an_error_is_left_out(maker: Maker) -> None:
    doubt = flag("d1", 59, kind=Kind.DATA)
    save_evaluation(maker.db, [doubt], items={CABBAGE.item}, since={}, dirty=[], now=NOW, notify=nobody)
    report = reports.get(maker.db, maker.make(ReportKind.DAILY, LAST, "monitor", NOW)[0]).report
    assert {row.item for section in report.sections for row in section.rows} == {"猪肉"}
    assert "1个疑似报送差错" in report.sections[-1].paragraphs[0]


def test_a_suspected_price_that_a_reviewer_calls_real_counts(maker: Maker) -> None:
    doubt = flag("d1", 59, kind=Kind.DATA)
    save_evaluation(maker.db, [doubt], items={CABBAGE.item}, since={}, dirty=[], now=NOW, notify=nobody)
    reviews.review(maker.db, "d1", "real_move", "", "user:甲", NOW, None)
    report = reports.get(maker.db, maker.make(ReportKind.DAILY, LAST, "monitor", NOW)[0]).report
    assert {row.item for section in report.sections for row in section.rows} == {"大白菜", "猪肉"}


def test_moves_of_the_period_stand_in_the_report_the_highest_grade_first(maker: Maker) -> None:
    high = flag("m2", 59, peak_grade=Grade(2, "Ⅱ级", "orange"), reason="第二")
    moves = [flag("m1", 59, reason="第一"), high, flag("m0", 20, reason="早已过去")]
    save_evaluation(maker.db, moves, items={CABBAGE.item}, since={}, dirty=[], now=NOW, notify=nobody)
    report = reports.get(maker.db, maker.make(ReportKind.DAILY, LAST, "monitor", NOW)[0]).report
    lines = next(one for one in report.sections if "异常" in one.heading).paragraphs
    assert [("第二" in line, "第一" in line) for line in lines] == [(True, False), (False, True)]


def test_simulated_prices_mark_the_report(maker: Maker) -> None:
    rows = [Observation(SeriesKey("黄瓜", "", "元/500克", "零售", "演示点"), day(59), 3.0)]
    observations.add(maker.db, ObservationBatch.of(rows), source="演示数据", name="demo", now=NOW)
    assert reports.get(maker.db, maker.make(ReportKind.DAILY, LAST, "monitor", NOW)[0]).report.simulated
    before = maker.make(ReportKind.DAILY, LAST - timedelta(days=1), "monitor", NOW)[0]
    assert not reports.get(maker.db, before).report.simulated


def test_the_report_of_a_flag_says_what_the_system_knows(maker: Maker) -> None:
    save_evaluation(maker.db, [flag("m1", 59)], items={CABBAGE.item}, since={}, dirty=[], now=NOW, notify=nobody)
    record = get_flag(maker.db, "m1")
    assert record is not None
    made, new = maker.make_abnormal(record, "user:甲", NOW)
    stored = reports.get(maker.db, made)
    assert new
    assert stored.flag_id == "m1"
    assert "一周上涨 100%，超过 30%" in "".join(stored.report.sections[0].paragraphs)
    assert maker.make_abnormal(record, "user:甲", NOW) == (made, False)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-03-02 10:59", {ReportKind.DAILY: "2026-03-01", ReportKind.WEEKLY: "2026-03-01"}),
        ("2026-03-02 11:00", {ReportKind.DAILY: "2026-03-02", ReportKind.WEEKLY: "2026-03-01"}),
        ("2026-03-02 08:59", {ReportKind.DAILY: "2026-03-01"}),
        ("2026-03-06 12:00", {ReportKind.DAILY: "2026-03-06"}),
    ],
)
def test_what_is_due_follows_the_clock(now: str, expected: dict[ReportKind, str]) -> None:
    assert dict(due(ReportOptions(), ZONE, local(now))) == {k: date.fromisoformat(v) for k, v in expected.items()}


def test_nothing_is_due_that_is_switched_off() -> None:
    assert due(ReportOptions(daily=False, weekly=False), ZONE, local("2026-03-02 12:00")) == []


def test_what_is_due_is_made_once_also_after_a_restart(maker: Maker) -> None:
    now = local("2026-03-02 10:00")
    made = make_due(maker, now)
    assert len(made) == 2
    assert make_due(maker, now) == []
    assert {one.made_by for one in reports.list_reports(maker.db)} == {"monitor"}


def test_a_report_waits_for_the_prices_of_its_day(maker: Maker) -> None:
    noon = local("2026-03-02 12:00")
    kinds = {reports.get(maker.db, one).report.kind for one in make_due(maker, noon)}
    assert kinds == {ReportKind.WEEKLY}, "no price of the second of March is in"
    rows = [Observation(CABBAGE, day(60), 2.2)]
    observations.add(maker.db, ObservationBatch.of(rows), source="日报", name="b.csv", now=NOW)
    (late,) = make_due(maker, noon)
    assert reports.get(maker.db, late).report.kind is ReportKind.DAILY


def test_a_draft_drawn_again_has_the_newest_figures_and_keeps_its_number(maker: Maker) -> None:
    made, _ = maker.make(ReportKind.DAILY, LAST, "monitor", NOW)
    mended = ObservationBatch.of([Observation(CABBAGE, day(59), 4.0)])
    observations.add(maker.db, mended, source="更正", name="c.csv", now=NOW)
    again = maker.drawn_again(reports.get(maker.db, made))
    row = next(row for section in again.sections for row in section.rows if row.item == "大白菜")
    assert (row.current, again.issue) == (4.0, 1)


@pytest.mark.parametrize(("key", "value"), [("daily_at", "24:00"), ("weekly_at", "9:00"), ("weekly_on", "monday")])
def test_a_time_that_does_not_exist_is_refused(key: str, value: str) -> None:
    with pytest.raises(ValueError, match=key):
        ReportOptions.model_validate({key: value})


def test_only_what_the_gate_keeps_out_of_use_is_left_out(maker: Maker) -> None:
    """Not the good price that ended a doubt, not one doubted for never moving only, not that of another spec."""
    doubts = [
        flag("d1", 58, kind=Kind.DATA, rule="gate/factor", end=day(59), end_reason="cleared"),
        flag("d2", 50, kind=Kind.DATA, rule="gate/stuck", last_hit=day(59)),
        flag("d3", 59, kind=Kind.DATA, rule="gate/jin", end=day(59), end_reason="stayed"),
    ]
    save_evaluation(maker.db, doubts, items={CABBAGE.item}, since={}, dirty=[], now=NOW, notify=nobody)
    report = reports.get(maker.db, maker.make(ReportKind.DAILY, LAST, "monitor", NOW)[0]).report
    assert {row.item for section in report.sections for row in section.rows} == {"大白菜", "猪肉"}
    with maker.db.connect() as connection:
        (found,) = suspects(connection, 0, {CABBAGE.item})
    assert (found.first, found.last) == (int(day(58).timestamp()), int(day(58).timestamp()))
    named = replace(found, reason="大白菜（一级）在东区报送30元")
    keys = [SeriesKey(CABBAGE.item, spec, "", "", CABBAGE.point) for spec in ("", "一级", "二级")]
    at = np.full(3, found.first)
    assert doubted([named], keys, np.arange(3), at).tolist() == [False, True, False]
    assert doubted([found], keys, np.arange(3), at).all(), "its reason names none of them"
