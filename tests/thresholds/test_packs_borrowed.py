"""Packs borrowed from other places, each number tried just below, at, and just above what was published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from tests.thresholds.build import at, found
from thresholds.model import Flag, Kind, Observation, SeriesKey
from thresholds.plan import Policy
from thresholds.plan_files import load_policy

OFF = ("gd2013-lamp", "qd2014", "coal-band")


@cache
def enabled(*rules: str) -> Policy:
    policy, faults = load_policy(enable=(*OFF, *rules))
    assert policy is not None, faults
    return policy


def flagged(rows: Sequence[Observation], pack: str, *rules: str) -> list[Flag]:
    policy = enabled(*rules)
    policy = replace(policy, packs=tuple(p for p in policy.packs if p.id == pack))
    return [f for f in found(rows, policy).flags if f.kind is Kind.MOVE]


def names(rows: Sequence[Observation], pack: str, *rules: str) -> set[str]:
    """Rules behind the flags, without the name of the pack."""
    return {one.rule.partition("/")[2] for f in flagged(rows, pack, *rules) for one in f.findings}


def test_they_ship_switched_off() -> None:
    """None of them says anything until an installation asks for it."""
    policy, _ = load_policy()
    assert policy is not None
    assert not {p.id for p in policy.packs} & {*OFF, "fin-ratios-bands"}


# gd2013-lamp

LAMPS = [
    ("大米", "grain", 2, 5),
    ("菜籽油", "oil", 2, 3),
    ("大白菜", "vegetables", 10, 15),
    ("猪肉", "pork", 5, 10),
    ("白条鸡", "chicken", 3, 5),
    ("鸡蛋", "eggs", 3, 5),
]


def by_xun(item: str, values: Sequence[float], channel: str = "零售") -> list[Observation]:
    """One report per 旬, on the 5th, 15th and 25th."""
    key = SeriesKey(item, "", "元/500克", channel, "全市均价")
    days = [31 * m + d for m in range(3) for d in (4, 14, 24)]  # January has 31 days; FIRST is 1 January
    return [Observation(key, at(d), v, area="全市") for d, v in zip(days, values, strict=False)]


@pytest.mark.parametrize(("item", "slug", "yellow", "red"), LAMPS)
def test_the_lamps_of_guangdong(item: str, slug: str, yellow: float, red: float) -> None:
    """超过…含本数: the number itself lights the lamp, a hundredth of a percent less does not; red is above yellow."""
    for percent, lit in (
        (yellow - 0.01, set[str]()),
        (yellow, {f"{slug}-yellow"}),
        (red - 0.01, {f"{slug}-yellow"}),
        (red, {f"{slug}-yellow", f"{slug}-red"}),
    ):
        rows = by_xun(item, [100, 100, 100 * (1 + percent / 100)])
        assert names(rows, "gd2013-lamp") == lit, percent


def test_lamps_are_for_rises_of_retail_prices() -> None:
    """A fall lights nothing, nor does a wholesale price; a red 旬 after a yellow one is news within the flag."""
    assert names(by_xun("大米", [100, 100, 90]), "gd2013-lamp") == set()
    assert names(by_xun("大米", [100, 100, 110], "批发"), "gd2013-lamp") == set()
    assert names(by_xun("大米", [100, 100, 110], ""), "gd2013-lamp") == {"grain-yellow", "grain-red"}
    flags = flagged(by_xun("大米", [100, 102.5, 108.7]), "gd2013-lamp")
    assert [f.rule for f in flags] == ["gd2013-lamp/grain-yellow", "gd2013-lamp/grain-red"]


# qd2014


def daily(values: Sequence[float], *, item: str = "大白菜", area: str = "市南", hour: int = 0) -> list[Observation]:
    key = SeriesKey(item, "", "元/500克", "零售", f"{area}市场")
    return [Observation(key, at(n, hour=hour), v, area=area) for n, v in enumerate(values)]


def jump(percent: float, days: int = 1, before: int = 10) -> list[float]:
    """Ten days at 2, then so many days higher by `percent`: too few before for any forecast."""
    return [2.0] * before + [2.0 * (1 + percent / 100)] * days


WEEK = [2.0] * 10 + [2.0 * 1.1, 2.0 * 1.2, 2.0 * 1.3]


def two(percent: float, days: int = 1) -> list[Observation]:
    """Two vegetables in one district."""
    return daily(jump(percent, days)) + daily(jump(percent, days), item="黄瓜")


def areas(percent: float) -> list[Observation]:
    return daily(jump(percent)) + daily(jump(percent), area="市北")


def test_blue_asks_for_more_than_thirty_in_a_day_or_forty_in_a_week() -> None:
    """超过 excludes the number; alone, whatever its size, a rise is nothing without one of the other conditions."""
    assert names(two(30), "qd2014") == set()
    assert names(two(30.1), "qd2014") == {"4"}
    assert names(daily(jump(200)), "qd2014") == set()
    for factor, expected in ((1.40, set[str]()), (1.405, {"4"})):
        climb = [2.0] * 10 + [2.0 * factor ** (k / 4) for k in range(1, 5)]  # no day of thirty among them
        assert names(daily(climb) + daily(climb, item="黄瓜"), "qd2014") == expected


def test_two_kinds_are_blue_and_three_are_yellow() -> None:
    """Rises of 51 %: two items are level IV, three are level III; beyond 50 % only."""
    three = two(51) + daily(jump(51), item="鸡蛋")
    assert names(two(51), "qd2014") == {"4"}
    assert names(three, "qd2014") == {"4", "3"}
    assert names(two(50) + daily(jump(50), item="鸡蛋"), "qd2014") == {"4"}


def test_two_districts_are_yellow() -> None:
    """Beyond 50 % in two districts; in one district, or at 50 %, it is not."""
    assert names(areas(51), "qd2014") == {"3"}
    assert names(areas(50), "qd2014") == set()
    (flag,) = flagged(areas(51), "qd2014")
    assert flag.area == "全市"
    assert flag.peak_grade.rank == 0


def test_five_days_are_blue_and_seven_are_yellow() -> None:
    """One district and one kind: 45 % held for five days, 65 % held for seven; a day less is not enough."""
    assert names(daily(jump(45, 4)), "qd2014") == set()
    assert names(daily(jump(45, 5)), "qd2014") == {"4"}
    (flag,) = flagged(daily(jump(45, 5)), "qd2014")
    assert (flag.start, flag.first_flagged) == (at(10), at(14))
    assert names(daily(jump(65, 6)), "qd2014") == {"4"}
    assert names(daily(jump(65, 7)), "qd2014") == {"4", "3"}


def test_blue_need_not_wait_where_it_is_expected_to_last() -> None:
    """Eighty steady days, then 45 % more: five days are foreseen on the first of them."""
    rng = np.random.default_rng(3)
    steady = [float(v) for v in 2 * np.exp(np.cumsum(rng.normal(0, 0.01, 80)))]
    (flag, *_) = flagged(daily([*steady, steady[-1] * 1.5]), "qd2014")
    assert (flag.rule, flag.first_flagged) == ("qd2014/4", at(80))


def test_yellow_after_blue_is_news() -> None:
    """A second district joins on the next day: a flag of its own at the higher level of the source."""
    rows = daily([*jump(35, 1), 2.0 * 1.35 * 1.55]) + daily(jump(35, 2), item="黄瓜")
    rows += daily([*[2.0] * 11, 2.0 * 1.6], area="市北")
    assert "qd2014/3" in {f.rule for f in flagged(rows, "qd2014")}


def test_orange_and_red_are_off_until_they_are_verified() -> None:
    """120 % in two districts is yellow as shipped; with the guessed rules named it is all of them."""
    rows = areas(120)
    assert names(rows, "qd2014") == {"3"}
    assert names(rows, "qd2014", "qd2014/2", "qd2014/1") == {"3", "2", "1"}
    for percent, expected in ((70, {"3"}), (70.5, {"3", "2"}), (90, {"3", "2"}), (90.5, {"3", "2", "1"})):
        assert names(areas(percent), "qd2014", "qd2014/2", "qd2014/1") == expected


# coal-band

BANDS = [
    ("秦皇岛港", "qinhuangdao", 570, 770, 1155),
    ("山西", "shanxi", 370, 570, 855),
    ("陕西榆林", "shaanxi", 320, 520, 780),
    ("蒙西", "mengxi", 260, 460, 690),
    ("蒙东", "mengdong", 200, 300, 450),
    ("辽宁", "liaoning", 590, 790, 1185),
]


def coal(place: str, price: float, channel: str, unit: str = "元/吨", usual: float = 0) -> list[Observation]:
    """Three weeks at the usual price (a tenth below, unless given), then this one."""
    key = SeriesKey("动力煤", "", unit, channel, place)
    usual = usual or 0.9 * price
    return [Observation(key, at(7 * n), usual, area="外地") for n in range(3)] + [Observation(key, at(21), price)]


@pytest.mark.parametrize(("place", "slug", "low", "high", "spot"), BANDS)
def test_the_bands_of_coal(place: str, slug: str, low: float, high: float, spot: float) -> None:
    """The ends of a band are reasonable, a cent beyond is not; 150 % of the upper end binds spot prices only."""
    for price, expected in ((low, False), (low - 0.01, True), (high, False), (high + 0.01, True)):
        rows = coal(place, price, "中长期", usual=(low + high) / 2)
        assert (names(rows, "coal-band") == {f"{slug}-contract"}) is expected, price
    for price, expected in ((high + 1, False), (spot, False), (spot + 0.01, True)):
        assert (names(coal(place, price, "现货"), "coal-band") == {f"{slug}-spot"}) is expected, price
    assert spot == pytest.approx(high * 1.5)


def test_coal_is_weighed_in_any_unit_and_told_by_its_place() -> None:
    """1.156 元/千克 at Qinhuangdao is above 1155 元/吨; coal of another place has no band."""
    assert names(coal("秦皇岛港", 1.156, "现货", "元/千克"), "coal-band") == {"qinhuangdao-spot"}
    assert names(coal("秦皇岛港", 1.154, "现货", "元/千克"), "coal-band") == set()
    assert names(coal("山东", 2000, "现货"), "coal-band") == set()


def test_bands_are_in_force_since_may_2022() -> None:
    """The same price a year before breaks nothing."""
    rows = coal("山西", 600, "中长期")
    earlier = [replace(o, at=o.at.replace(year=o.at.year - 4)) for o in rows]
    assert names(rows, "coal-band") == {"shanxi-contract"}
    assert names(earlier, "coal-band") == set()
