"""Rows in each other's place, and prices that contradict each other."""

from __future__ import annotations

import numpy as np
import pytest

from tests.thresholds.build import panel_of, quotes
from thresholds.kernels.beside import contradictions, exchanged, role_of, swapped
from thresholds.kernels.lone import jumps
from thresholds.model import Observation


def pairs(rows: list[Observation]) -> list[tuple[str, str]]:
    panel = panel_of(rows)
    one, other = swapped(panel, jumps(panel, np.ones(panel.n_series, np.bool_)))
    name = [panel.keys[s].item for s in panel.series]
    return [(name[a], name[b]) for a, b in zip(one.tolist(), other.tolist(), strict=True)]


def two(first: float, second: float, **where: str) -> list[Observation]:
    return quotes([5.0, 5.0, first], item="柴油") + quotes([7.0, 7.0, second], item="汽油", **where)  # type: ignore[arg-type]


def test_each_has_what_the_other_had() -> None:
    """Within 2 % both ways; with one of them farther off it is none."""
    assert pairs(two(7.1, 4.95)) == [("柴油", "汽油")]
    assert pairs(two(7.2, 5.0)) == []
    assert pairs(two(7.0, 5.2)) == []


def test_only_of_one_point_area_and_time() -> None:
    """Another point, another area, another hour."""
    assert pairs(two(7.0, 5.0, point="乙")) == []
    assert pairs(two(7.0, 5.0, area="乙区")) == []
    assert pairs(two(7.0, 7.0) + quotes([5.0], item="汽油", first=2, hour=1)) == []


def test_prices_that_lie_near_each_other_are_not_told_apart() -> None:
    """Less than 15 % apart, an exchange is a small step."""
    assert pairs(quotes([5.0, 5.0, 5.5], item="柴油") + quotes([5.5, 5.5, 5.0], item="汽油")) == []


def test_many_pairs_in_one_sheet() -> None:
    """Twelve rows that all hold one of two values: every pair is found, more of them than rows."""
    value, before = np.array([1.0, 2.0] * 6), np.array([2.0, 1.0] * 6)
    one, other = exchanged(value, before, np.ones(11, np.bool_))
    assert len(one) == 36
    assert ((one + other) % 2 == 1).all()
    none = exchanged(value[:0], before[:0], np.ones(0, np.bool_))
    assert [len(x) for x in none] == [0, 0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("最低价", ("", 0)),
        ("一级 最高价", ("一级", 2)),
        ("一级（均价）", ("一级", 1)),
        ("平均价格", ("格", 1)),
        ("精瘦肉", ("精瘦肉", -1)),
        ("", ("", -1)),
    ],
)
def test_roles_are_read_from_spec_and_channel(text: str, expected: tuple[str, int]) -> None:
    """The word and its 价 are taken off, so that what remains is the same for all three."""
    assert role_of(text) == expected


def at_fault(low: list[float], high: list[float], hour: int = 0) -> list[float]:
    panel = panel_of(quotes(low, spec="最低价") + quotes(high, spec="最高价", hour=hour))
    return [float(v) for v in panel.value[contradictions(panel)]]


def test_the_one_that_moved_is_at_fault() -> None:
    """Twice as far from its own report before as the other; else both."""
    assert at_fault([3.0, 3.0, 4.0], [3.5, 3.5, 3.6]) == [4.0]
    assert at_fault([3.0, 3.0, 3.1], [3.5, 3.5, 2.5]) == [2.5]
    assert at_fault([3.0, 3.0, 3.6], [3.5, 3.5, 3.0]) == [3.6, 3.0]
    assert at_fault([3.6], [3.5]) == [3.6, 3.5]


def test_only_the_same_time_is_compared() -> None:
    """Yesterday's highest price says nothing of today's lowest."""
    assert at_fault([3.0, 4.0], [3.5, 3.5], hour=6) == []
    assert at_fault([3.5, 3.5], [3.5, 3.4999]) == []
