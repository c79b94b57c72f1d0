"""Each number of the packs that are in force, tried just below, at, and just above what was published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from tests.thresholds.build import at, found, quotes, shipped
from thresholds.model import Kind, Observation, SeriesKey
from thresholds.panel import SHANGHAI
from thresholds.plan import Policy


def only(pack: str) -> Policy:
    policy = shipped((pack,))
    return replace(policy, packs=tuple(p for p in policy.packs if p.id == pack))


def rules(rows: Sequence[Observation], pack: str) -> set[str]:
    """Rules behind the flags of kind move, without the name of the pack."""
    flags = [f for f in found(rows, only(pack)).flags if f.kind is Kind.MOVE]
    return {one.rule.partition("/")[2] for f in flags for one in f.findings}


STEPS = [("大米", 5, "staple"), ("大豆油", 5, "staple"), ("猪肉", 5, "staple"), ("鸡蛋", 5, "staple")]
STEPS += [("棉花", 10, "fuel-medicine"), ("阿莫西林胶囊", 10, "fuel-medicine")]
STEPS += [("无烟煤", 10, "fuel-medicine"), ("液化石油气", 10, "fuel-medicine"), ("尿素", 10, "fuel-medicine")]


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(("item", "percent", "rule"), STEPS)
def test_the_national_reporting_trigger_excludes_its_number(item: str, percent: float, rule: str, side: int) -> None:
    """超过5%, 超过10%: the number itself need not be reported, a hundredth more must, rise or fall."""
    for change, expected in ((percent - 0.01, set[str]()), (percent, set[str]()), (percent + 0.01, {rule})):
        rows = quotes([100.0] * 5 + [100 * (1 + side * change / 100)], item=item)
        assert rules(rows, "ndrc-report") == expected, change


def test_state_set_prices_are_no_report() -> None:
    """Petrol, whose price government sets: its change is no report, whatever its size."""
    assert shipped().catalogue.classify(SeriesKey("92号汽油")).state_set
    assert rules(quotes([7.0] * 5 + [8.4], item="92号汽油"), "ndrc-report") == set()


@pytest.mark.parametrize(("item", "days", "percent", "rule"), [
    ("大米", 10, 10, "staple-10d"), ("大豆油", 10, 10, "staple-10d"),
    ("阿莫西林胶囊", 30, 20, "fuel-medicine-30d"), ("92号汽油", 30, 20, "fuel-medicine-30d"),
])  # fmt: skip
def test_the_cumulative_rises_of_zhejiang_exclude_their_number(
    item: str, days: int, percent: float, rule: str
) -> None:
    """累计超过10%, 20%: over just so many days, in even steps."""
    for change, expected in ((percent - 0.01, set[str]()), (percent, set[str]()), (percent + 0.01, {rule})):
        climb = [100 * (1 + change / 100) ** (k / days) for k in range(1, days + 1)]
        assert rules(quotes([100.0] * 20 + climb, item=item), "zj2004-cumulative") == expected, change


@pytest.mark.parametrize("percent", [30, 50, 100])
def test_the_ladder_includes_its_numbers_and_asks_for_two_readings_at_two_points(percent: int) -> None:
    """达到30%: of the class's mean, on the second reading, with two points behind it."""

    def weeks(change: float, last: int, points: int) -> list[Observation]:
        factor = 1 + change / 100
        climb = [2.0 * factor ** (k / 4) for k in range(1, 4)]  # at once it would be taken for a slip of units
        values = [2.0] * 14 + climb + [2.0 * factor] * last
        names = [f"点{p}" for p in range(points)]
        return [o for name in names for o in quotes(values, item="大白菜", point=name, area="甲区")]

    steps = {str(p) for p in (30, 50, 100) if p <= percent}
    lower = {str(p) for p in (30, 50, 100) if p < percent}
    for change, expected in ((percent - 0.01, lower), (percent, steps), (percent + 0.01, steps)):
        assert rules(weeks(change, 2, 2), "ladder-30-50-100") == expected, change
    assert str(percent) not in rules(weeks(percent + 1, 1, 2), "ladder-30-50-100")
    assert rules(weeks(percent + 1, 2, 1), "ladder-30-50-100") == set()


def ratios(values: Sequence[float]) -> list[Observation]:
    """猪粮比价 as published, Friday by Friday."""
    key = SeriesKey("猪粮比价", "", ":1", "", "全国")
    return [Observation(key, at(7 * n), v, area="全国") for n, v in enumerate(values)]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([7.5, 7, 6.01], set()),
        ([7.5, 7, 6], set()),
        ([7.5, 7, 5.99], {"fall-3"}),
        ([7, 5.9, 5.8], {"fall-3"}),
        ([7, 5.9, 5.8, 5.5], {"fall-3", "fall-2"}),
        ([7, 5.9, 5.8, 5], {"fall-3", "fall-2"}),
        ([7, 5.9, 5.8, 6, 5.9], {"fall-3"}),
        ([6, 5, 5], {"fall-3"}),
        ([6.5, 6, 4.99], {"fall-3", "fall-1"}),
        ([8, 8.5, 9], set()),
        ([8, 8.5, 9.01], {"rise-3"}),
        ([8.5, 9.5, 10], {"rise-3"}),
        ([9.5, 10, 10], {"rise-3", "rise-2"}),
        ([9.5, 9.99, 10], {"rise-3"}),
        ([9.5, 12, 12], {"rise-3", "rise-2"}),
        ([9.5, 11, 12], {"rise-3", "rise-2"}),
        ([9.5, 11, 12.01], {"rise-3", "rise-1"}),
    ],
)
def test_the_bounds_of_the_pig_grain_ratio(values: list[float], expected: set[str]) -> None:
    """低于6:1, 5:1至6:1 in three weeks running, 低于5:1; 高于9:1, 10:1至12:1 in two weeks running, 高于12:1."""
    assert rules(ratios(values), "pork2021") == expected


@pytest.mark.parametrize(
    ("rise", "expected"), [(29.99, set()), (30, {"lean-2"}), (40, {"lean-2"}), (40.01, {"lean-2", "lean-1"})]
)
def test_the_bounds_of_lean_pork(rise: float, expected: set[str]) -> None:
    """30 % over the same week of the year before is included, 40 % excluded."""
    key = SeriesKey("精瘦肉", "", "元/500克", "零售", "36城市")
    rows = [Observation(key, at(7 * n), 15.0, area="全国") for n in range(52)]
    rows += [Observation(key, at(7 * 52), 15 * (1 + rise / 100), area="全国")]
    assert rules(rows, "pork2021") == expected


@pytest.mark.parametrize(
    ("fall", "expected"), [(4.99, set()), (5, {"sow-2"}), (9.99, {"sow-2"}), (10, {"sow-2", "sow-1"})]
)
def test_the_bounds_of_the_stock_of_sows(fall: float, expected: set[str]) -> None:
    """达到5%, 达到10% against the same month of the year before; the fall itself came slowly."""
    key = SeriesKey("能繁母猪存栏", "", "万头", "", "全国")
    months = [date(2024 + m // 12, m % 12 + 1, 1) for m in range(13)]
    when = [datetime.combine(d, datetime.min.time(), SHANGHAI).astimezone(UTC) for d in months]
    values = [4000 * (1 - fall / 100 * m / 12) for m in range(13)]
    rows = [Observation(key, t, v, area="全国") for t, v in zip(when, values, strict=True)]
    assert rules(rows, "pork2021") == expected


@pytest.mark.parametrize(("count", "expected"), [(23, set()), (24, {"multiple"}), (25, {"multiple"})])
def test_twice_as_many_complaints(count: int, expected: set[str]) -> None:
    """At twelve a day 24 are twice as many, included."""
    key = SeriesKey("12315投诉举报", "", "件", "", "热线")
    rows = [Observation(key, at(d), 12.0, area="甲区") for d in range(60)]
    rows += [Observation(key, at(60), float(count), area="甲区")]
    assert rules(rows, "complaints-12315") & {"multiple"} == expected


@pytest.mark.parametrize(("count", "expected"), [(4, set()), (5, {"multiple"})])
def test_at_least_five_complaints(count: int, expected: set[str]) -> None:
    """Where one a day is usual four are four times as many, and no matter."""
    key = SeriesKey("12315投诉举报", "", "件", "", "热线")
    rows = [Observation(key, at(d), 1.0, area="甲区") for d in range(60)]
    rows += [Observation(key, at(60), float(count), area="甲区")]
    assert rules(rows, "complaints-12315") & {"multiple"} == expected


def test_a_step_of_long_ago_is_no_step() -> None:
    """一次性: two reports more than fifteen days apart make none."""
    key = SeriesKey("大米", "", "元/500克", "零售", "东市场")
    for gap, expected in ((15, {"staple"}), (16, set[str]())):
        days = [0, 1, 2, 2 + gap]
        rows = [Observation(key, at(0) + timedelta(days=d), 3.0 if d < 3 else 3.3, area="甲区") for d in days]
        assert rules(rows, "ndrc-report") == expected
