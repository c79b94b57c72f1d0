"""What is asked back before a reported price is stored."""

from __future__ import annotations

import math

import pytest

from thresholds.catalogue import Classified, load_catalogue
from thresholds.explain import Ask, Limits, limits, question, shipped
from thresholds.model import SeriesKey


def asked(item: str, unit: str, value: float, before: float | None, known: Limits | None = None) -> Ask | None:
    key = SeriesKey(item, unit=unit)
    found = question(value, before, key, classified(key), known or limits())
    return None if found is None else found.ask


def classified(key: SeriesKey) -> Classified:
    catalogue, faults = load_catalogue()
    assert catalogue is not None, faults
    return catalogue.classify(key)


@pytest.mark.parametrize(
    ("item", "before", "at_limit", "over"),
    [
        ("粳米", 3.00, 3.06, 3.07),
        ("大豆油", 50.0, 49.0, 48.9),
        ("猪肉", 20.0, 21.0, 21.1),
        ("鸡蛋", 4.00, 3.80, 3.79),
        ("大白菜", 1.00, 1.15, 1.16),
        ("白砂糖", 4.00, 4.20, 4.21),
        ("尿素", 2000.0, 2200.0, 2201.0),
    ],
)
def test_a_reason_is_asked_above_the_limit_of_the_class(
    item: str, before: float, at_limit: float, over: float
) -> None:
    """Grain and oil 2 %, meat and eggs 5 %, vegetables 15 %, others 10 %: exactly the limit is not above it."""
    assert asked(item, "元/盒", at_limit, before) is None
    assert asked(item, "元/盒", over, before) is Ask.REASON


def test_an_installation_changes_single_limits() -> None:
    """What it does not name stays as shipped; `other` is for the classes without a limit."""
    known = limits({"菜": 30, "other": 1})
    assert asked("大白菜", "", 1.29, 1.0, known) is None
    assert asked("苹果", "", 1.02, 1.0, known) is Ask.REASON
    assert asked("粳米", "", 3.07, 3.0, known) is Ask.REASON


@pytest.mark.parametrize(
    ("unit", "before", "value", "expected"),
    [
        ("元/500克", 12.0, 24.0, Ask.KILO),
        ("元/公斤", 24.0, 12.0, Ask.JIN),
        ("元/500克", 12.0, 120.0, Ask.POINT),
        ("元/500克", 12.0, 1.2, Ask.POINT),
        ("元/50千克", 8.0, 400.0, Ask.HEAVY),
        ("元/500克", 12.0, 9999.0, Ask.PLACEHOLDER),
        ("元/500克", 12.0, 40.0, Ask.FAR),
        ("元/500克", 12.0, 0.0, Ask.ZERO),
        ("元/500克", 12.0, -3.0, Ask.ZERO),
        ("元/盒", 12.0, 24.0, Ask.REASON),
    ],
)
def test_slips_are_told_from_moves(unit: str, before: float, value: float, expected: Ask) -> None:
    """Units, decimal points and placeholders are recognised by their ratios to the report before."""
    assert asked("猪肉", unit, value, before) is expected


def test_what_no_answer_makes_right_is_told_apart() -> None:
    """A price of zero is not stored for any reason; a slip must be confirmed, a move explained only."""
    key = SeriesKey("猪肉", unit="元/500克")
    zero = question(0, 12.0, key, classified(key), limits())
    slip = question(24, 12.0, key, classified(key), limits())
    move = question(13, 12.0, key, classified(key), limits())
    assert zero is not None
    assert slip is not None
    assert move is not None
    assert (zero.possible, slip.possible, move.possible) == (False, True, True)
    assert (slip.to_confirm, move.to_confirm) == (True, False)
    assert (move.before, move.limit) == (12.0, 0.05)
    assert math.isclose(move.change, 1 / 12)


def test_without_a_report_before_there_is_nothing_to_compare_with() -> None:
    """The first price of an item is taken as it is, unless it is impossible or stands for none."""
    assert asked("猪肉", "元/500克", 12.0, None) is None
    assert asked("猪肉", "元/500克", 0.0, None) is Ask.ZERO
    assert asked("猪肉", "元/500克", 999.0, None) is Ask.PLACEHOLDER


def test_only_prices_are_explained() -> None:
    """Ratios of banks and counts of complaints have rules of their own; a count is a whole number from zero."""
    assert asked("不良贷款率", "%", 3.0, 1.5) is None
    assert asked("12315投诉举报(鸡蛋)", "件", 40.0, 2.0) is None
    assert asked("12315投诉举报(液化石油气)", "件", 1.5, 2.0) is Ask.COUNT
    assert asked("12315投诉举报(鸡蛋)", "件", -1.0, 2.0) is Ask.COUNT


def test_every_shipped_limit_says_where_it_comes_from() -> None:
    """Its class is in the catalogue, and its mark says how sure the source is."""
    catalogue, _ = load_catalogue()
    assert catalogue is not None
    file = shipped()
    for one in file.limits:
        assert one.item_class in catalogue.classes
        assert one.source.reference.startswith("THRESHOLDS")
    assert {one.item_class: one.percent for one in file.limits if one.source.mark == "P"} == {
        "肉": 5,
        "蛋": 5,
        "菜": 15,
    }
