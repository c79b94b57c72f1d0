"""Which series a count of complaints belongs to, and that the rules find it."""

from __future__ import annotations

import pytest

from collectors.sheet_values import CellError
from monitor.entry.complaints import ALL, count_of, goods_of, series_of
from thresholds.catalogue import Measure, load_catalogue
from thresholds.concerns import concerns


@pytest.mark.parametrize("goods", ["鸡蛋", "液化石油气", "居民消费价格", "cooking oil", "停车（路边）"])
def test_a_count_is_a_count_whatever_it_is_about(goods: str) -> None:
    """Its class is 投诉, also where the name of the goods would be a class of its own."""
    catalogue, faults = load_catalogue()
    assert catalogue is not None, faults
    known = catalogue.classify(series_of(goods, "东区"))
    assert (known.name, known.measure) == ("投诉", Measure.COUNT)


def test_the_rules_on_prices_find_the_complaints_about_an_item() -> None:
    """By the item or by its class; those of all goods together are about none."""
    assert concerns(series_of("大米", "东区"), "大米", ("粮",))
    assert concerns(series_of("粮", "东区"), "大米", ("粮",))
    assert not concerns(series_of("鸡蛋", "东区"), "大米", ("粮",))
    assert not concerns(series_of(ALL, "东区"), "大米", ("粮",))


def test_areas_are_told_apart() -> None:
    """Each area's counts are a series of their own; the goods are found again in the key."""
    east, west = series_of("鸡蛋", "东区"), series_of("鸡蛋", "西区")
    assert east != west
    assert (goods_of(east), goods_of(series_of(ALL, "东区"))) == ("鸡蛋", ALL)
    assert goods_of(series_of("停车（路边）", "东区")) == "停车(路边)"
    for goods, area in (("", "东区"), ("鸡蛋", " ")):
        with pytest.raises(CellError):
            series_of(goods, area)


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("１２", 12), ("1,234", 1234)])
def test_counts_are_whole_numbers(text: str, number: int) -> None:
    assert count_of(text) == number


@pytest.mark.parametrize("text", ["", "-1", "1.5", "三", "1e3", "12345678"])
def test_what_is_no_count_is_refused(text: str) -> None:
    with pytest.raises(CellError):
        count_of(text)
