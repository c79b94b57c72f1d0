"""Units of one kind: a limit holds whatever it is reported in."""

from __future__ import annotations

import numpy as np
import pytest

from tests.thresholds.build import condition, moves, quotes, rule, view_of
from thresholds.model import Direction
from thresholds.units import factor

UP, DOWN = Direction.UP, Direction.DOWN


@pytest.mark.parametrize(
    ("unit", "into", "expected"),
    [
        ("万元", "万元", 1),
        ("亿元", "万元", 10_000),
        ("元", "亿元", 1e-8),
        ("％", "%", 1),
        ("比率", "%", 100),
        ("%", "倍", 0.01),
        ("分钟", "小时", 1 / 60),
        ("", "元/吨", 1),
        ("元/千克", "元/吨", 1000),
        ("人", "%", None),
        ("元", "%", None),
        ("美元/吨", "元/吨", None),
        ("件", "人", None),
    ],
)
def test_units_are_converted_where_that_is_sure(unit: str, into: str, expected: float | None) -> None:
    """The same kind, and weights; a unit that was not given is that of the limit; others have no factor."""
    assert factor(unit, into) == (None if expected is None else pytest.approx(expected))


CAPITAL = {"kind": "level", "below": 8, "unit": "%"}


def answers(table: dict[str, object], values: list[float], unit: str, direction: Direction) -> list[int]:
    rows = quotes(values, item="利率", unit=unit)
    view = view_of(rows)
    view.tested[:] = True
    return [int(t) for t in condition(**table).truth(view, direction)]


@pytest.mark.parametrize(("unit", "share"), [("%", 1), ("", 1), ("比率", 0.01), ("‰", 10)])
def test_a_limit_in_percent_holds_for_ratios_too(unit: str, share: float) -> None:
    """7.99, 8 and 8.01 %: only the first is below 8; with `op` >= the second as well."""
    values = [7.99 * share, 8 * share, 8.01 * share]
    assert answers(CAPITAL, values, unit, DOWN) == [1, 0, 0]
    assert answers({**CAPITAL, "op": ">="}, values, unit, DOWN) == [1, 1, 0]
    assert answers(CAPITAL, values, unit, UP) == [0, 0, 0]


def test_a_value_in_another_kind_of_unit_is_unknown() -> None:
    """A number of people has nothing to do with percent: neither below nor above."""
    assert answers(CAPITAL, [1, 900], "人", DOWN) == [-1, -1]


def test_evidence_is_in_the_unit_of_the_series() -> None:
    """The limit of 1,000 万元 is 0.1 亿元 for a series in 亿元, in the numbers and in the sentence."""
    table = {"kind": "level", "above": 1000, "op": ">=", "unit": "万元"}
    view = view_of(quotes([0.05, 0.1], item="涉案金额", unit="亿元"))
    measured = condition(**table).measure(view, np.array([1]), UP)
    assert measured is not None
    assert (measured.limit[0], measured.score[0]) == (pytest.approx(0.1), pytest.approx(0))
    (flag,) = moves(quotes([0.05, 0.1], item="涉案金额", unit="亿元"), rule(table))
    assert "为0.1亿元，达到或超过界限0.1亿元。" in flag.reason


def test_a_fall_is_said_to_be_below() -> None:
    """低于, not 超过."""
    (flag,) = moves(quotes([9.0, 7.9], item="资本充足率", unit="%"), rule(CAPITAL, direction="down"))
    assert "为7.9%，低于界限8%。" in flag.reason
