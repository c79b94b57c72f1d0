"""The reporting duty as arithmetic on days."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from collectors.base import Expectation
from collectors.push import PushOptions
from monitor.entry.duties import (
    EPOCH,
    EVERY_DAY,
    Duty,
    Known,
    Timeliness,
    day_number,
    duty_of,
    learned_weekdays,
    local_days,
    moment_of,
    timeliness,
    weekday,
)
from monitor.entry.options import DutyOptions, EntryOptions
from thresholds.catalogue import Catalogue, load_catalogue
from thresholds.model import SeriesKey

SHANGHAI = ZoneInfo("Asia/Shanghai")
TODAY = (date(2026, 3, 2) - EPOCH).days  # a Monday
RICE = SeriesKey("粳米", unit="元/500克", point="东市场")
WORKDAYS = 0b0011111


def catalogue() -> Catalogue:
    found, faults = load_catalogue()
    assert found is not None, faults
    return found


def known(days: list[int], source: str = "收件箱", key: SeriesKey = RICE) -> Known:
    return Known(key, source, min(days, default=TODAY), days)


def test_days_are_local() -> None:
    """Midnight in Shanghai is 16:00 UTC the day before; Monday is weekday 0."""
    assert day_number(datetime(2026, 3, 1, 16, tzinfo=UTC), SHANGHAI) == TODAY
    assert weekday(TODAY) == 0
    assert moment_of(TODAY, 600, SHANGHAI) == int(datetime(2026, 3, 2, 10, tzinfo=SHANGHAI).timestamp())
    at = np.array([moment_of(TODAY, m, SHANGHAI) for m in (0, 1439, 1440)])
    assert local_days(at, SHANGHAI).tolist() == [TODAY, TODAY, TODAY + 1]


def test_local_days_where_the_clocks_change() -> None:
    """Each time has the date that the wall calendar showed."""
    paris = ZoneInfo("Europe/Paris")
    times = [datetime(2026, 3, 28, 22, 30, tzinfo=UTC) + timedelta(minutes=30 * k) for k in range(100)]
    found = local_days(np.array([int(t.timestamp()) for t in times]), paris)
    assert found.tolist() == [day_number(t, paris) for t in times]


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (range(TODAY - 28, TODAY), EVERY_DAY),
        ([d for d in range(TODAY - 28, TODAY) if weekday(d) < 5], WORKDAYS),
        ([d for d in range(TODAY - 28, TODAY) if weekday(d) == 2], 0b0000100),
        ([d for d in range(TODAY - 28, TODAY) if weekday(d) == 2][:2], 0b0000100),
        ([d for d in range(TODAY - 28, TODAY) if weekday(d) == 2][:1], 0),
        (range(TODAY - 3, TODAY), EVERY_DAY),
        (range(TODAY - 2, TODAY), 0b1100000),
        ([], 0),
    ],
)
def test_the_duty_is_learned_from_four_weeks(days: list[int], expected: int) -> None:
    """A weekday counts when half of its reports came; after three days in a row the others count as well."""
    days = list(days)
    first = TODAY - 28 if len(days) < 3 or days[0] < TODAY - 20 else days[0]
    if len(days) == 2 and days[1] - days[0] == 1:
        first = days[0]
    assert learned_weekdays(days, first, TODAY) == expected


def test_configuration_wins_over_source_and_history() -> None:
    """The rule that names most fields counts; without weekdays it changes the due time only; `none` ends the duty."""
    every_day = known(list(range(TODAY - 28, TODAY)))
    rules = (
        DutyOptions(due="09:00"),
        DutyOptions(item_class="粮", weekdays=("wed",), due="14:00"),
        DutyOptions(point="西市场", item_class="粮", none=True),
    )
    options = EntryOptions(duty=rules)
    assert duty_of(every_day, TODAY, options, (), catalogue()) == Duty(0b100, 0, 840, "configured")
    pork = known(list(range(TODAY - 28, TODAY)), key=SeriesKey("猪肉", point="东市场"))
    assert duty_of(pork, TODAY, options, (), catalogue()) == Duty(EVERY_DAY, 0, 540, "configured")
    west = known(list(range(TODAY - 28, TODAY)), key=SeriesKey("粳米", point="西市场"))
    assert duty_of(west, TODAY, options, (), catalogue()) is None


def test_a_source_says_how_often_it_has_news() -> None:
    """Every day, or so many days with its grace; an expectation for the point counts before the source's own."""
    source = PushOptions(
        name="推送",
        kind="push",
        cadence="1d",
        grace="6h",
        expect=(Expectation(point="银行", cadence="31d", grace="20d"),),
    )
    assert duty_of(known([], "推送"), TODAY, EntryOptions(), [source], catalogue()) == Duty(
        EVERY_DAY, 0, 600, "source"
    )
    bank = known([], "推送", SeriesKey("不良贷款率", point="银行"))
    assert duty_of(bank, TODAY, EntryOptions(), [source], catalogue()) == Duty(0, 51, 600, "source")


def test_nothing_known_is_no_duty() -> None:
    """What came once in four weeks is not expected."""
    assert duty_of(known([TODAY - 9]), TODAY, EntryOptions(), (), catalogue()) is None


def test_on_time_late_missing_awaited() -> None:
    """The due second itself is on time; before it nothing is missing yet."""
    assert timeliness(100, 100, 500) is Timeliness.ON_TIME
    assert timeliness(101, 100, 500) is Timeliness.LATE
    assert timeliness(None, 100, 101) is Timeliness.MISSING
    assert timeliness(None, 100, 100) is Timeliness.AWAITED


def test_working_days_follow_holidays_and_days_worked_instead() -> None:
    """Monday to Friday also means a Saturday that is worked; single weekdays do not move."""
    saturday = (date(2026, 2, 28) - EPOCH).days
    week, mondays = Duty(WORKDAYS, 0, 600, "office", True), Duty(0b1, 0, 600, "office", True)
    assert week.expects(TODAY)
    assert not week.expects(TODAY, works=False)
    assert week.expects(saturday, works=True)
    assert not week.expects(saturday, works=False)
    assert mondays.expects(TODAY)
    assert not mondays.expects(saturday, works=True)
    assert Duty(EVERY_DAY, 0, 600, "learned").expects(saturday, works=False)


def test_in_an_emergency_no_day_is_left_out() -> None:
    saturday = (date(2026, 2, 28) - EPOCH).days
    assert Duty(WORKDAYS, 0, 600, "office", True).expects(saturday, works=False, emergency=True)


def test_an_emergency_report_cannot_be_exempted() -> None:
    for wrong in ({"working_days": True}, {"none": True}, {"weekdays": ("mon",)}, {"every": 7}):
        with pytest.raises(ValueError, match="due on every day"):
            DutyOptions.model_validate({"emergency": True} | wrong)


def test_the_rules_of_the_office_win_and_an_emergency_wins_over_all() -> None:
    configured = EntryOptions(duty=(DutyOptions(item="粳米", point="东市场", due="09:00", weekdays=("mon",)),))
    one = known([TODAY - 1])
    general, same = DutyOptions(due="08:00", working_days=True), DutyOptions(item="粳米", point="东市场", every=7)
    urgent = DutyOptions(emergency=True, due="07:00")

    def found(*office: DutyOptions, day: int = TODAY) -> Duty | None:
        return duty_of(one, day, configured, (), catalogue(), office)

    assert found() == Duty(0b1, 0, 540, "configured")
    assert found(general) == Duty(0b1, 0, 540, "configured"), "the more particular rule counts"
    assert found(same) == Duty(0, 7, 600, "office")
    assert found(same, urgent) == Duty(EVERY_DAY, 0, 420, "office")
    ended = urgent.model_copy(update={"valid_to": date(2026, 3, 1)})
    assert found(same, ended) == Duty(0, 7, 600, "office")
    assert found(same, ended, day=TODAY - 1) == Duty(EVERY_DAY, 0, 420, "office")
