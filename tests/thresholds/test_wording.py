"""The sentences that say why a flag exists."""

from __future__ import annotations

import math

import pytest

from tests.thresholds.build import found, moves, quotes, rule, shipped
from thresholds.model import Kind
from thresholds.wording import number

STEADY = [3.0] * 20


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (3.0, "3"),
        (3.456, "3.46"),
        (12345.6, "12,345.6"),
        (0.0456, "0.0456"),
        (0.0, "0"),
        (-0.00001, "0"),
        (-36.98, "-36.98"),
        (100.0, "100"),
        (math.nan, "—"),
        (math.inf, "—"),
    ],
)
def test_numbers_are_written_as_people_do(x: float, text: str) -> None:
    """Two decimals from one upwards, four below, no trailing zeros, no negative zero."""
    assert number(x) == text


def test_a_change_names_both_values_and_the_rule() -> None:
    """Item, area, point, value, comparison, percent, bound, source, place, year, borrowed, what is to be done."""
    (flag,) = moves(
        quotes([3.0, 3.3], spec="一级"),
        rule({"kind": "change", "over": "previous", "percent": 5}, title="一次性变动超过5%"),
        effect="report",
        source={"title": "某规定", "place": "某市", "year": "2014", "mark": "S2"},
    )
    assert flag.reason == (
        "大米（一级）在甲区城南市场为3.3元/500克，较上期的3元/500克上涨10%，超过5%。"
        "依据：一次性变动超过5%（《某规定》，某市2014年，借用标准），须报告。"
    )


def test_a_fall_is_told_without_minus_signs() -> None:
    """下跌 10 %, bound 5 %, and 达到或超过 where the bound is included."""
    (flag,) = moves(quotes([3.0, 2.7]), rule({"kind": "change", "over": "previous", "op": ">=", "percent": 5}))
    assert "较上期的3元/500克下跌10%，达到或超过5%。" in flag.reason
    assert "-" not in flag.reason.split("。")[0]


def test_several_points_are_counted() -> None:
    """The flag is about the item in an area, not about one point."""
    (flag,) = moves(
        quotes([3.0, 3.3]) + quotes([3.0, 3.4], point="点2"),
        rule({"kind": "change", "over": "previous", "percent": 5}),
    )
    assert flag.reason.startswith("大米在甲区2个监测点为3.35元/500克")
    assert (flag.point, flag.points) == ("", ("城南市场", "点2"))


def test_a_flag_on_several_areas_says_in_which_of_them_its_value_was_measured() -> None:
    """The value is the mean of the area that leads, not that of the city."""
    rows = (
        quotes([3.0, 3.3])
        + quotes([3.0, 3.9], point="点2", area="乙区")
        + quotes([3.0, 3.4], point="点3", area="丙区")
    )
    (flag,) = moves(rows, rule({"kind": "change", "over": "previous", "percent": 5}))
    assert (flag.area, flag.value) == ("全市", 3.9)
    assert flag.reason.startswith(
        "大米在全市3个监测点出现异常，其中乙区点2最突出，为3.9元/500克，较上期的3元/500克上涨30%"
    )


def test_a_score_says_what_would_have_been_usual() -> None:
    """How many steps it rests on, what was to be expected, how far off, the bound."""
    (flag,) = moves(quotes([*STEADY, 3.3]), rule({"kind": "score", "value": 7, "window": 60}))
    assert flag.reason.startswith("大米在甲区城南市场为3.3元/500克，按前60期以内的变动（19期）应在3元/500克左右，")
    assert "偏离19.1倍常态波幅（界限7倍），属异常上涨。" in flag.reason


def test_a_level_names_its_bound() -> None:
    """The value and the level it passed."""
    (flag,) = moves(quotes([3.6], item="CPI指数", unit="%"), rule({"kind": "level", "op": ">=", "above": 3.5}))
    assert flag.reason.startswith("CPI指数在甲区城南市场为3.6%，达到或超过界限3.5%。")


def test_a_rule_without_numbers_still_says_which_rule() -> None:
    """Where nothing is measured the sentence names item and rule."""
    (flag,) = moves(quotes([3.6]), rule({"kind": "points", "at_least": 1}, direction="up"))
    assert flag.reason.startswith("大米在甲区城南市场符合监测规则。依据：测试规则")
    assert math.isnan(flag.threshold)


@pytest.mark.parametrize(
    ("values", "unit", "part"),
    [
        ([*STEADY, 0.0], "元/500克", "报送0元/500克，此前水平约3元/500克：该指标不可能为零或负值。"),
        ([*STEADY, 30.0], "元/500克", "报送30元/500克，此前水平约3元/500克：与此前水平约差10倍、100倍或更多"),
        ([*STEADY, 6.0], "元/公斤", "与此前水平恰差一倍，疑为500克与公斤混用。"),
        ([-1.0], "元/500克", "大米在甲区城南市场报送-1元/500克：该指标不可能为零或负值。"),
    ],
)
def test_a_suspected_error_asks_the_point_to_check(values: list[float], unit: str, part: str) -> None:
    """What was reported, what was usual, what it looks like, and that it counts for nothing until checked."""
    (flag,) = [f for f in found(quotes(values, unit=unit), shipped()).flags if f.kind is Kind.DATA]
    assert part in flag.reason
    assert flag.reason.endswith("该值暂不计入基线，也不作价格预警，请监测点核实。")


def test_silence_says_since_when_and_how_often_it_should_be() -> None:
    """The last report's date in local time and the usual interval; hours where it is less than a day."""
    rows = quotes([3.0] * 10) + quotes([3.0], point="别处", first=40)
    (flag,) = [f for f in found(rows, shipped()).flags if f.kind is Kind.SILENCE]
    assert flag.reason == (
        "大米在甲区城南市场最近一次报送为2026-01-10，通常约每1天一报，已逾期。请核实监测点或数据来源是否中断。"
    )
    hourly = [o for h in range(12) for o in quotes([3.0], hour=h)] + quotes([3.0], point="别处", first=40)
    (flag,) = [f for f in found(hourly, shipped()).flags if f.kind is Kind.SILENCE]
    assert "通常约每1小时一报" in flag.reason
