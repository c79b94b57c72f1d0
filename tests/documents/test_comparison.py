"""Means of two periods and indices of classes, by hand-worked numbers."""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import pytest

from monitor.documents.comparison import compared, counted, index_chart, means, newest
from tests.documents.make import LAST, key, quotes


def test_a_point_that_reports_in_one_period_only_moves_no_mean() -> None:
    given = quotes(
        (key("白菜", "甲"), "蔬菜", {0: 2.2, 7: 2.0}),
        (key("白菜", "乙"), "蔬菜", {0: 9.0}),
    )
    current = means(given, LAST, LAST)
    (row,) = compared(given, current, newest(given, LAST - timedelta(days=1), 7))["蔬菜"]
    assert (row.current, row.previous, row.points) == (2.2, 2.0, 1)
    assert row.change == pytest.approx(0.1)


def test_equal_means_are_written_alike_whatever_the_order_of_their_points() -> None:
    """2.265 is 2.27 in both columns: never 2.27 beside 2.26 with no change between them."""
    now = [2.25, 2.2, 2.45, 2.25, 2.1, 2.35, 2.15, 2.45, 2.2, 2.25]
    before = [2.25, 2.2, 2.4, 2.3, 2.1, 2.35, 2.15, 2.45, 2.2, 2.25]
    given = quotes(
        *[(key("土豆", f"点{n}"), "蔬菜", {0: a, 1: b}) for n, (a, b) in enumerate(zip(now, before, strict=True))]
    )
    (row,) = compared(given, means(given, LAST, LAST), newest(given, LAST - timedelta(days=1), 7))["蔬菜"]
    assert (row.current, row.previous) == (2.265, 2.265)


def test_goods_that_nobody_reported_before_have_no_change() -> None:
    given = quotes((key("白菜", "甲"), "蔬菜", {0: 2.2}), (key("白菜", "乙"), "蔬菜", {0: 2.4}))
    (row,) = compared(
        given, means(given, LAST, LAST), means(given, LAST - timedelta(days=7), LAST - timedelta(days=1))
    )["蔬菜"]
    assert row.current == pytest.approx(2.3)
    assert (row.previous, row.change, row.points) == (None, None, 2)


@pytest.mark.parametrize("part", ["spec", "unit"])
def test_specifications_and_units_are_never_averaged_together(part: str) -> None:
    given = quotes(
        (key("大米", "甲"), "粮油", {0: 3.0, 1: 3.0}),
        (key("大米", "甲", **{part: "元/5升"}), "粮油", {0: 60.0, 1: 60.0}),
    )
    rows = compared(given, means(given, LAST, LAST), newest(given, LAST - timedelta(days=1), 7))["粮油"]
    assert sorted(row.current for row in rows) == [3.0, 60.0]


def test_the_newest_quote_of_the_window_stands_and_older_ones_do_not() -> None:
    given = quotes((key("白菜"), "蔬菜", {1: 5.0, 3: 4.0}), (key("黄瓜"), "蔬菜", {9: 1.0}))
    found = newest(given, LAST, 7)
    assert found[0] == 5.0
    assert math.isnan(found[1])


def test_up_down_and_flat_are_counted_and_what_cannot_be_compared_is_not() -> None:
    given = quotes(
        (key("涨"), "菜", {0: 1.1, 1: 1.0}),
        (key("跌"), "菜", {0: 0.9, 1: 1.0}),
        (key("平"), "菜", {0: 1.0, 1: 1.0}),
        (key("新"), "菜", {0: 1.0}),
    )
    rows = compared(given, means(given, LAST, LAST), newest(given, LAST - timedelta(days=1), 7))["菜"]
    found = counted(rows)
    assert (found.up, found.down, found.flat, found.total) == (1, 1, 1, 3)


def test_an_index_chains_the_geometric_mean_of_matched_ratios() -> None:
    given = quotes(
        (key("白菜"), "蔬菜", {2: 1.0, 1: 2.0, 0: 2.0}),
        (key("黄瓜"), "蔬菜", {2: 4.0, 1: 2.0, 0: 4.5}),
    )
    chart = index_chart(given, ["蔬菜"], LAST, 3, "指数", lambda _: True)
    ((name, values),) = chart.lines
    assert name == "蔬菜"
    assert values == pytest.approx((100.0, 100.0, 150.0))


def test_a_point_that_skips_a_day_carries_its_last_quote() -> None:
    given = quotes((key("白菜"), "蔬菜", {2: 1.0, 0: 1.21}), (key("黄瓜"), "蔬菜", {2: 1.0, 1: 1.0, 0: 1.0}))
    ((_, values),) = index_chart(given, ["蔬菜"], LAST, 3, "指数", lambda _: True).lines
    assert values == pytest.approx((100.0, 100.0, 110.0))


def test_a_group_without_quotes_has_no_line() -> None:
    given = quotes((key("白菜"), "蔬菜", {0: 1.0, 1: 1.0}))
    chart = index_chart(given, ["蔬菜", "水果"], LAST, 5, "指数", lambda _: True)
    assert [name for name, _ in chart.lines] == ["蔬菜"]
    assert np.isfinite([v for v in chart.lines[0][1] if v is not None]).all()
