"""Condition on how far something reaches: areas of an item, items of a class."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from tests.thresholds.build import condition, moves, panel_of, quotes, rule, view_of
from thresholds.model import Direction, Mark, Observation
from thresholds.view import View

UP, DOWN = Direction.UP, Direction.DOWN
RISE = {"kind": "change", "over": "previous", "percent": 30}
AREAS = {"kind": "reach", "count": "areas", "of": RISE}
KINDS = {"kind": "reach", "count": "items", "of": RISE}


def two_days(*where: tuple[str, str, float], hour: int = 0, item: str = "大白菜") -> list[Observation]:
    """(area, point, rise in %) as two quotes each."""
    return [
        o
        for area, point, rise in where
        for o in quotes([2.0, 2.0 * (1 + rise / 100)], item=item, area=area, point=point, hour=hour)
    ]


def last_day(table: dict[str, Any], rows: list[Observation], direction: Direction = UP) -> dict[str, int]:
    """Answers at the newest observation, by "item point"."""
    view = view_of(rows)
    truth = condition(**table).truth(view, direction)
    ends = view.panel.start[1:] - 1
    return {f"{k.item}{k.point}": int(truth[e]) for k, e in zip(view.panel.keys, ends, strict=True)}


def test_two_areas_are_counted_whatever_the_number_of_points() -> None:
    """Three points of one district are one area; one of another makes two; the calm point stays false."""
    one = two_days(("市南", "甲", 40), ("市南", "乙", 40), ("市南", "丙", 40), ("市北", "丁", 5))
    assert set(last_day(AREAS, one).values()) == {0}
    two = two_days(("市南", "甲", 40), ("市南", "乙", 5), ("市北", "丁", 31))
    assert last_day(AREAS, two) == {"大白菜甲": 1, "大白菜乙": 0, "大白菜丁": 1}
    assert last_day({**AREAS, "at_least": 3}, two)["大白菜甲"] == 0
    assert set(last_day(AREAS, two, DOWN).values()) == {0}


def test_areas_of_another_item_do_not_count_unless_its_class_is_named() -> None:
    """Cabbage in one district and cucumber in another: two areas of vegetables, one area of each."""
    rows = two_days(("市南", "甲", 40)) + two_days(("市北", "乙", 40), item="黄瓜")
    assert set(last_day(AREAS, rows).values()) == {0}
    assert set(last_day({**AREAS, "classes": ["菜"]}, rows).values()) == {1}


def test_kinds_are_items_of_the_class() -> None:
    """Two vegetables are two kinds, however many points each has; rice beside one of them is not, but is among named
    classes."""
    greens = two_days(("市南", "甲", 40)) + two_days(("市南", "甲", 35), item="黄瓜")
    assert set(last_day(KINDS, greens).values()) == {1}
    one_kind = two_days(("市南", "甲", 40), ("市北", "乙", 40))
    assert set(last_day(KINDS, one_kind).values()) == {0}
    mixed = two_days(("市南", "甲", 40)) + two_days(("市南", "甲", 40), item="大米")
    assert set(last_day(KINDS, mixed).values()) == {0}
    assert set(last_day({**KINDS, "classes": ["菜", "粮"]}, mixed).values()) == {1}


def test_what_is_outside_the_named_classes_is_neither_counted_nor_true() -> None:
    """Eggs beside two vegetables, where vegetables are named."""
    rows = two_days(("市南", "甲", 40)) + two_days(("市南", "甲", 40), item="黄瓜")
    rows += two_days(("市南", "甲", 40), item="鸡蛋")
    assert last_day({**KINDS, "classes": ["菜"]}, rows) == {"大白菜甲": 1, "黄瓜甲": 1, "鸡蛋甲": 0}


def test_what_comes_later_that_day_is_not_known_yet() -> None:
    """The district that reports at noon reaches the number; the one at eight did not know."""
    rows = two_days(("市南", "甲", 40), hour=8) + two_days(("市北", "乙", 40), hour=12)
    assert last_day(AREAS, rows) == {"大白菜甲": 0, "大白菜乙": 1}
    assert [f.points for f in moves(rows, rule(AREAS, scope="point", direction="up"))] == [("乙",)]


def test_a_newer_answer_of_the_day_stands() -> None:
    """The first district takes its price back at ten: at noon only one area is left."""
    early = two_days(("市南", "甲", 40), hour=8)
    back = [Observation(early[1].key, early[1].at.replace(hour=2), 2.0, area="市南")]
    late = two_days(("市北", "乙", 40), hour=12)
    assert last_day(AREAS, early + back + late)["大白菜乙"] == 0
    assert last_day(AREAS, early + late)["大白菜乙"] == 1


def on_days(*where: tuple[str, str, int, float]) -> list[Observation]:
    """(area, item, day of the rise, rise in %): daily quotes for a month."""
    rows = []
    for area, item, day, rise in where:
        values = [2.0] * day + [2.0 * (1 + rise / 100)] * (30 - day)
        rows += quotes(values, item=item, area=area, point=f"{area}市场")
    return rows


@pytest.mark.parametrize(("days", "expected"), [(1, 0), (3, 0), (4, 1), (30, 1)])
def test_within_so_many_days(days: int, expected: int) -> None:
    """One district rises on day 10, another on day 13: the fourth day, the first included, is the least window."""
    rows = on_days(("市南", "大白菜", 10, 40), ("市北", "大白菜", 13, 40))
    truth = condition(**AREAS, days=days).truth(view_of(rows), UP)
    assert int(truth[30 + 13]) == expected
    assert (truth == 1).sum() == expected  # on no other day is it true here
    items = on_days(("市南", "大白菜", 10, 40), ("市南", "黄瓜", 13, 40))
    assert (condition(**KINDS, days=days).truth(view_of(items), UP) == 1).sum() == expected


def test_a_district_counts_once_within_the_days() -> None:
    """The same district on two days is one; with another on the third day it is two."""
    rows = quotes([2.0] * 10 + [2.8, 2.8, 4.0], area="市南", point="甲")
    assert set(condition(**AREAS, days=7).truth(view_of(rows), UP)[1:]) == {0}
    rows += quotes([2.0] * 13 + [2.8], area="市北", point="乙")
    assert condition(**AREAS, days=7).truth(view_of(rows), UP).tolist().count(1) == 1


def test_what_was_taken_back_by_the_end_of_its_day_does_not_count_later() -> None:
    """The first district rises in the morning and corrects itself in the evening; the second rises the day after."""
    rows = quotes([2.0, 2.8], area="市南", point="甲", hour=8) + quotes([2.0, 2.0, 2.8], area="市北", point="乙")
    back = Observation(rows[1].key, rows[1].at.replace(hour=10), 2.0, area="市南")
    wide = condition(**AREAS, days=2)
    assert int(wide.truth(view_of(rows), UP)[-1]) == 1
    assert int(wide.truth(view_of([*rows, back]), UP)[-1]) == 0


def test_suspects_do_not_count() -> None:
    """An area whose only quote is a reviewed error is no second area; unknown stays unknown."""
    rows = two_days(("市南", "甲", 40), ("市北", "乙", 40))
    assert last_day(AREAS, rows) == {"大白菜甲": 1, "大白菜乙": 1}
    view = view_of(panel_of(rows, {3: Mark.DATA_ERROR}))
    assert condition(**AREAS).truth(view, UP).tolist() == [-1, 0, -1, -1]


def market(seed: int = 3) -> list[Observation]:
    rng = np.random.default_rng(seed)
    rows = []
    for number, item in enumerate(("大白菜", "黄瓜", "西红柿", "大米")):
        for p in range(4):
            values = 3 * np.exp(np.cumsum(rng.normal(0, 0.2, 40)))
            rows += quotes(values.tolist(), item=item, point=f"点{p}", area=f"{p % 3}区", hour=8 + number + 2 * p)
    return rows


def by_hand(view: View, inner: list[int], n: int, days: int) -> int:
    """Areas of the item in which the newest answer of a day, up to the time of observation n, is true."""
    panel = view.panel
    newest: dict[tuple[int, int], int] = {}
    for i in np.argsort(panel.time, kind="stable").tolist():
        s, day = int(panel.series[i]), int(panel.day[i])
        same = panel.keys[s].item == panel.keys[panel.series[n]].item
        if same and panel.day[n] - days < day <= panel.day[n] and panel.time[i] <= panel.time[n]:
            newest[s, day] = inner[i]
    return len(Counter(panel.areas[s] for (s, _), answer in newest.items() if answer == 1))


@pytest.mark.parametrize("days", [1, 2, 5])
def test_counting_one_by_one_gives_the_same(days: int) -> None:
    """Sixteen series at different hours, counted slowly."""
    view = view_of(market())
    steps = condition(kind="change", over="previous", percent=10).truth(view, UP)
    inner = np.where(view.tested, steps, -1).tolist()  # what the data gate doubts counts as unknown
    least = 2 if days == 1 else 3
    table = {**AREAS, "at_least": least, "of": {"kind": "change", "over": "previous", "percent": 10}}
    truth = condition(**table, days=days).truth(view, UP).tolist()
    slow = [-1 if a < 0 else int(a == 1 and by_hand(view, inner, n, days) >= least) for n, a in enumerate(inner)]
    assert truth == slow
    assert 1 in truth


@pytest.mark.parametrize(
    "table", [AREAS, {**AREAS, "days": 3}, KINDS, {**KINDS, "classes": ["菜", "粮"], "at_least": 3, "days": 5}]
)
def test_no_answer_depends_on_what_comes_later_nor_on_the_order(table: dict[str, Any]) -> None:
    """Cut at any moment, or with the series in another order: the same answers."""
    one = condition(**{**table, "of": {**RISE, "percent": 10}})
    rows = market()
    panel = panel_of(rows)
    truth = one.truth(view_of(panel), UP)
    assert 1 in truth
    for cut in np.unique(panel.time)[5::37]:
        keep = panel.time <= cut
        np.testing.assert_array_equal(one.truth(view_of(panel.only(keep)), UP), truth[keep])
    turned = view_of(rows[::-1])
    answers = {
        (turned.panel.keys[s], int(t)): int(a)
        for s, t, a in zip(turned.panel.series, turned.panel.time, one.truth(turned, UP), strict=True)
    }
    assert answers == {
        (panel.keys[s], int(t)): int(a) for s, t, a in zip(panel.series, panel.time, truth, strict=True)
    }


def test_nothing_and_one_observation_have_answers() -> None:
    """A single quote has no change yet."""
    assert condition(**AREAS).truth(view_of(quotes([5.0])), UP).tolist() == [-1]
    empty = view_of(view_of(quotes([5.0])).panel.only(np.array([False])))
    assert len(condition(**KINDS).truth(empty, UP)) == 0
