"""Who reported what today, and how complete the last weeks were."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from collectors.base import Expectation
from collectors.push import PushOptions
from monitor.entry.duties import EPOCH, Timeliness, day_number
from monitor.entry.options import DutyOptions, EntryOptions
from monitor.schema import series
from monitor.schema_entry import report_day
from monitor.store import duties, duty_rules, observations, records
from monitor.store.database import Database
from monitor.store.duty_rules import Rule
from thresholds.catalogue import Catalogue, load_catalogue
from thresholds.model import Observation, ObservationBatch, SeriesKey
from thresholds.records import Record

ZONE = ZoneInfo("Asia/Shanghai")
MONDAY = datetime(2026, 3, 2, tzinfo=ZONE)
TODAY = day_number(MONDAY, ZONE)


def catalogue() -> Catalogue:
    found, faults = load_catalogue()
    assert found is not None, faults
    return found


def report(db: Database, point: str, items: list[str], days_ago: int, clock: float, area: str = "东区") -> None:
    """A point's report of a day, received at `clock` hours of that day."""
    at = MONDAY - timedelta(days=days_ago)
    rows = [Observation(SeriesKey(item, point=point), at.astimezone(UTC), 3.0, area=area) for item in items]
    now = (at + timedelta(hours=clock)).astimezone(UTC)
    observations.add(db, ObservationBatch.of(rows), source="收件箱", name="表", now=now)


def refresh(
    db: Database, clock: float, options: EntryOptions | None = None, sources: tuple[PushOptions, ...] = ()
) -> None:
    now = (MONDAY + timedelta(hours=clock)).astimezone(UTC)
    duties.refresh(db, ZONE, options or EntryOptions(), sources, catalogue(), now)


def today(db: Database, clock: float, **how: object) -> dict[str, tuple[int, int, int, int]]:
    now = (MONDAY + timedelta(hours=clock)).astimezone(UTC)
    found = duties.today(db, ZONE, now, **how)  # type: ignore[arg-type]
    return {p.point: (p.on_time, p.late, p.missing, p.awaited) for p in found}


def test_today_by_point(db: Database) -> None:
    """What came by ten is on time, what came later late; the rest is awaited until ten and missing afterwards."""
    for k in range(14, 0, -1):
        report(db, "东市场", ["粳米", "猪肉", "鸡蛋"], k, 9)
        report(db, "西市场", ["粳米"], k, 9, area="西区")
    refresh(db, 8)
    assert today(db, 8) == {"东市场": (0, 0, 0, 3), "西市场": (0, 0, 0, 1)}
    report(db, "东市场", ["粳米"], 0, 9.5)
    report(db, "东市场", ["猪肉"], 0, 10.5)
    assert today(db, 11) == {"东市场": (1, 1, 1, 0), "西市场": (0, 0, 1, 0)}
    assert today(db, 11, points={"东市场"}) == {"东市场": (1, 1, 1, 0)}
    assert today(db, 11, where=series.c.area == "西区") == {"西市场": (0, 0, 1, 0)}
    now = (MONDAY + timedelta(hours=11)).astimezone(UTC)
    (east, _) = duties.today(db, ZONE, now)
    assert (east.expected, east.reported, east.area) == (3, 2, "东区")
    assert (east.reports[0].key.item, east.reports[0].state) == ("鸡蛋", Timeliness.MISSING)
    assert east.due_at == MONDAY + timedelta(hours=10)


def test_the_last_weeks_by_point_and_day(db: Database) -> None:
    """On time, late and missing, day by day; a report that comes days later is counted late, not missing."""
    for k in range(19, 0, -1):
        report(db, "东市场", ["粳米"] if k == 3 else ["粳米", "猪肉"], k, 12 if k == 2 else 9)
    refresh(db, 8)
    found = duties.history(db, TODAY - 5, TODAY - 1)
    assert [(d.expected, d.on_time, d.late, d.missing) for d in found["东市场"]] == [
        (2, 2, 0, 0),
        (2, 2, 0, 0),
        (2, 1, 0, 1),
        (2, 0, 2, 0),
        (2, 2, 0, 0),
    ]
    report(db, "东市场", ["猪肉"], 3, 9 + 24 * 3)
    refresh(db, 12)
    late = duties.history(db, TODAY - 3, TODAY - 3)["东市场"]
    assert [(d.expected, d.on_time, d.late) for d in late] == [(2, 1, 1)]
    assert duties.worked_out(db) == (MONDAY + timedelta(hours=12)).astimezone(UTC)


def test_nothing_is_expected_before_a_series_was_first_seen(db: Database) -> None:
    """History that was imported today makes nobody late for it; what came today for today is on time."""
    now = (MONDAY + timedelta(hours=15)).astimezone(UTC)
    rows = [
        Observation(SeriesKey("粳米", point="东市场"), (MONDAY - timedelta(days=k)).astimezone(UTC), 3.0)
        for k in range(28)
    ]
    observations.add(db, ObservationBatch.of(rows), source="收件箱", name="表", now=now)
    refresh(db, 16)
    assert duties.history(db, TODAY - 28, TODAY) == {}
    assert today(db, 16) == {"东市场": (1, 0, 0, 0)}


def test_a_correction_is_no_late_report(db: Database) -> None:
    """What counts is when the first value of the day came."""
    for k in range(14, -1, -1):
        report(db, "东市场", ["粳米"], k, 9)
    changed = [Observation(SeriesKey("粳米", point="东市场"), MONDAY.astimezone(UTC), 3.5)]
    now = (MONDAY + timedelta(hours=14)).astimezone(UTC)
    observations.add(db, ObservationBatch.of(changed), source="收件箱", name="更正", now=now)
    refresh(db, 15)
    assert today(db, 15) == {"东市场": (1, 0, 0, 0)}


def test_a_monthly_report_shows_when_it_comes_and_while_it_is_overdue(db: Database) -> None:
    """Forty days after the last one it is missing, every day until it comes."""
    source = PushOptions(
        name="收件箱",
        kind="push",
        expect=(Expectation(point="银行", cadence="31d", grace="9d"),),
    )
    report(db, "银行", ["不良贷款率"], 41, 9)
    refresh(db, 8, sources=(source,))
    assert today(db, 8) == {"银行": (0, 0, 0, 1)}
    assert today(db, 11) == {"银行": (0, 0, 1, 0)}
    report(db, "银行", ["不良贷款率"], 2, 57)  # about Saturday, received on Monday at nine
    assert today(db, 11) == {"银行": (1, 0, 0, 0)}


def test_a_configured_duty_is_a_duty_without_history(db: Database) -> None:
    """Rice on Mondays by nine, whatever was reported so far."""
    report(db, "东市场", ["粳米", "猪肉"], 30, 9)
    rules = (DutyOptions(item="粳米", weekdays=("mon",), due="09:00"),)
    refresh(db, 8, EntryOptions(duty=rules))
    assert today(db, 9.5) == {"东市场": (0, 0, 1, 0)}


def test_counting_in_the_database_gives_the_same(db: Database) -> None:
    """Late, missing and awaited, by weekday and every so many days, with two due times at one point."""
    source = PushOptions(
        name="收件箱",
        kind="push",
        expect=(Expectation(item="不良贷款率", cadence="31d", grace="9d"),),
    )
    report(db, "东市场", ["不良贷款率"], 45, 9)
    for k in range(14, 0, -1):
        report(db, "东市场", ["粳米", "猪肉", "鸡蛋"], k, 9 if k % 3 else 12)
        report(db, "西市场", ["粳米"], k, 9, area="西区")
    rules = (DutyOptions(item="鸡蛋", due="14:00"),)
    refresh(db, 8, EntryOptions(duty=rules), (source,))
    report(db, "东市场", ["粳米"], 0, 10.5)
    for clock in (9.0, 10.0, 11.0, 13.0, 15.0):
        now = (MONDAY + timedelta(hours=clock)).astimezone(UTC)
        singly, counted = duties.today(db, ZONE, now), duties.today(db, ZONE, now, reports=False)
        for one in singly:
            one.reports = []
        assert counted == singly
    past = duties.past(db, TODAY - 28, TODAY - 1, TODAY - 7)
    days = duties.history(db, TODAY - 28, TODAY - 1)
    for point, added in past.items():
        assert added.all.expected == sum(d.expected for d in days[point])
        assert added.all.late == sum(d.late for d in days[point])
        assert added.recent.on_time == sum(d.on_time for d in days[point] if d.day >= TODAY - 7)
    assert duties.past(db, TODAY - 28, TODAY - 1, TODAY - 7, where=report_day.c.area == "西区").keys() == {"西市场"}


def test_of_several_values_on_a_day_the_first_to_come_counts(db: Database) -> None:
    """Reported in the morning and again in the afternoon: on time."""
    for k in range(14, 0, -1):
        report(db, "东市场", ["粳米"], k, 9)
    for hour in (8, 15):
        at = (MONDAY + timedelta(hours=hour)).astimezone(UTC)
        row = [Observation(SeriesKey("粳米", point="东市场"), at, 3.0)]
        observations.add(db, ObservationBatch.of(row), source="推送", name="表", now=at + timedelta(minutes=5))
    refresh(db, 16)
    assert today(db, 16) == {"东市场": (1, 0, 0, 0)}


# --- working days, and the office's rules ---------------------------------------------------------------------------

FESTIVAL = datetime(2026, 2, 16, tzinfo=ZONE)
"""A Monday of the Spring Festival; the Saturday before is worked."""


def daily(db: Database, now: datetime, rules: tuple[DutyOptions, ...]) -> list[tuple[str, int]]:
    """The expected reports of the week before `now` and of its day, by date."""
    at = now.astimezone(UTC)
    duties.refresh(db, ZONE, EntryOptions(duty=rules), (), catalogue(), at)
    days = duties.history(db, day_number(at, ZONE) - 4, day_number(at, ZONE) - 1).get("东市场", [])
    today = duties.today(db, ZONE, at, reports=False)
    past = [(str(EPOCH + timedelta(days=d.day)), d.expected) for d in days]
    return [*past, *[(str(EPOCH + timedelta(days=p.day)), p.expected) for p in today]]


def test_days_off_are_not_due_and_days_worked_instead_are(db: Database) -> None:
    report(db, "东市场", ["粳米", "猪肉"], 40, 9)
    working = (DutyOptions(working_days=True),)
    expected = [("2026-02-12", 2), ("2026-02-13", 2), ("2026-02-14", 2)]  # the last one a Saturday
    assert daily(db, FESTIVAL, working) == expected
    single, counted = (duties.today(db, ZONE, FESTIVAL.astimezone(UTC), reports=r) for r in (True, False))
    assert single == counted == []
    every_day = (DutyOptions(weekdays=("mon", "tue", "wed", "thu", "fri", "sat", "sun")),)
    assert daily(db, FESTIVAL, every_day)[-1] == ("2026-02-16", 2)


def test_a_decision_in_force_lifts_the_exemption_for_what_it_covers(db: Database) -> None:
    """P16, P17: while emergency measures on grain run, the grain is due on the holiday as well."""
    report(db, "东市场", ["粳米", "猪肉"], 40, 9)
    start = int((FESTIVAL - timedelta(days=1)).timestamp())
    measures = Record("", "decision", "紧急", "国务院", "国发〔2026〕1号", start, None, classes=("粮",))
    made = records.add(db, measures, "", "user:a", FESTIVAL.astimezone(UTC))
    working = (DutyOptions(working_days=True),)
    assert daily(db, FESTIVAL, working)[-2:] == [("2026-02-15", 1), ("2026-02-16", 1)]
    (one,) = duties.today(db, ZONE, FESTIVAL.astimezone(UTC))
    assert [r.key.item for r in one.reports] == ["粳米"]
    records.lift(db, made.record.id, FESTIVAL, "", "user:a", FESTIVAL.astimezone(UTC))
    assert daily(db, FESTIVAL, working)[-1] == ("2026-02-15", 1)


def test_what_is_due_every_so_many_working_days_is_not_overdue_on_a_day_off(db: Database) -> None:
    report(db, "东市场", ["粳米"], 20, 9)
    rules = (DutyOptions(every=3, working_days=True),)
    assert daily(db, FESTIVAL, rules)[-1] == ("2026-02-14", 1)


def test_a_rule_of_the_office_holds_from_its_day_on_and_its_past_stays(db: Database) -> None:
    report(db, "东市场", ["粳米", "猪肉"], 40, 9)
    day = day_number(FESTIVAL, ZONE)
    now = FESTIVAL.astimezone(UTC)
    made = duty_rules.add(db, Rule(point="东市场", items=("粳米",), emergency=True, since=day - 3), "", "user:a", now)
    assert made.area == "东区"
    nothing = (DutyOptions(none=True),)
    assert daily(db, FESTIVAL, nothing) == [(f"2026-02-{d}", 1) for d in (13, 14, 15, 16)]
    both = Rule(point="东市场", emergency=True, since=day)
    changed = duty_rules.change(db, made.id, 1, both, "加报猪肉", "user:b", now)
    assert daily(db, FESTIVAL, nothing) == [
        ("2026-02-13", 1),
        ("2026-02-14", 1),
        ("2026-02-15", 1),
        ("2026-02-16", 2),
    ]
    duty_rules.end(db, made.id, changed.revision, day, "", "user:a", now)
    assert daily(db, FESTIVAL, nothing)[-1] == ("2026-02-15", 1)
    told = [(r.revision, r.actor, r.ended, r.note) for r in duty_rules.history(db, made.id)]
    assert told == [(1, "user:a", False, ""), (2, "user:b", False, "加报猪肉"), (3, "user:a", True, "")]


def test_two_who_change_one_rule_do_not_overwrite_each_other(db: Database) -> None:
    now = FESTIVAL.astimezone(UTC)
    made = duty_rules.add(db, Rule(point="东市场", working_days=True), "", "user:a", now)
    duty_rules.change(db, made.id, 1, Rule(point="东市场", due=480, working_days=True), "", "user:b", now)
    with pytest.raises(duty_rules.Changed):
        duty_rules.end(db, made.id, 1, 20_000, "", "user:a", now)
    with pytest.raises(duty_rules.RuleNotFound):
        duty_rules.end(db, "none", 1, 20_000, "", "user:a", now)
    (one,) = duty_rules.list_rules(db)
    assert (one.revision, one.rule.due) == (2, 480)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (Rule(emergency=True, working_days=True), "emergency"),
        (Rule(weekdays=1, every=3), "every"),
        (Rule(none=True, working_days=True), "none"),
        (Rule(since=5, until=4), "until"),
        (Rule(items=("粳米",), item_class="粮"), "item_class"),
        (Rule(item_class="没有"), "item_class"),
        (Rule(point="市\x00场"), "point"),
    ],
)
def test_a_faulty_rule_is_not_stored(db: Database, wrong: Rule, field: str) -> None:
    with pytest.raises(duty_rules.RuleError) as raised:
        duty_rules.add(db, wrong, "", "user:a", FESTIVAL.astimezone(UTC), {"粮"})
    assert field in raised.value.faults
    assert duty_rules.list_rules(db) == []
