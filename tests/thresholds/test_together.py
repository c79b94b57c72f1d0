"""Which items are judged together: ratios, classes, publishers of counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.thresholds.build import policy_of, rule, shipped
from thresholds.model import SeriesKey
from thresholds.plan import Policy
from thresholds.together import Together

RISE = {"kind": "change", "over": "previous", "percent": 5}
ITEMS = ("大白菜", "黄瓜", "大米", "面粉", "生猪", "玉米", "玉米油", "某某", "某些")


def known(items: Sequence[str] = ITEMS) -> Mapping[str, Sequence[SeriesKey]]:
    return {item: [SeriesKey(item, "", "元/500克", "零售", "城南市场")] for item in items}


def group(policy: Policy, item: str) -> set[str]:
    return set(Together(policy, known()).group(item))


def only(pack: str) -> Policy:
    policy = shipped()
    return replace(policy, packs=tuple(p for p in policy.packs if p.id == pack))


def test_the_items_of_a_ratio_are_judged_together() -> None:
    """A new maize price changes the ratio, which is flagged on the hog: whoever judges one must have the other."""
    assert group(only("pork2021"), "玉米") == {"生猪", "玉米"}
    assert group(only("subsidy-cpi"), "玉米") == {"玉米"}


@pytest.mark.parametrize(
    "when",
    [
        {"kind": "reach", "count": "items", "of": RISE},
        {"kind": "outlier"},
        {"kind": "diffusion", "share": 0.5, "among": "class"},
        {"not": {"all": [RISE, {"kind": "outlier"}]}},
    ],
)
def test_a_pooled_class_is_judged_together(when: dict[str, Any]) -> None:
    """However deep in the tree; items without a class are by themselves, and so are classes that no rule pools."""
    everywhere, greens = policy_of(rule(when)), policy_of(rule(when, classes=["菜"]))
    assert group(everywhere, "大白菜") == group(greens, "黄瓜") == {"大白菜", "黄瓜"}
    assert group(everywhere, "大米") == {"大米", "面粉"}
    assert group(greens, "大米") == {"大米"}
    assert group(everywhere, "某某") == {"某某"}


@pytest.mark.parametrize(
    "when",
    [
        {"kind": "reach", "of": RISE},
        {"kind": "diffusion", "share": 0.5},
        {"kind": "breadth", "of": RISE},
    ],
)
def test_what_looks_at_one_item_needs_no_other(when: dict[str, Any]) -> None:
    """Areas and points of one item are in its own series."""
    assert group(policy_of(rule(when)), "大白菜") == {"大白菜"}


def test_named_classes_draw_in_who_is_judged_and_who_is_counted() -> None:
    """A rule on greens that counts kinds of grain: both change with each other; a ratio draws in further ones."""
    counted = {"kind": "reach", "count": "items", "classes": ["粮"], "of": RISE}
    greens = policy_of(rule(counted, classes=["菜"]))
    assert group(greens, "大米") == group(greens, "黄瓜") == {"大白菜", "黄瓜", "大米", "面粉"}
    assert group(greens, "某某") == {"某某"}
    ratio = {"kind": "ratio", "numerator": ["黄瓜"], "denominator": ["生猪"], "above": 2}
    chained = policy_of(rule(counted, classes=["菜"]), rule(ratio))
    assert group(chained, "生猪") == {"生猪", "大白菜", "黄瓜", "大米", "面粉"}


def test_counts_of_one_publisher_are_judged_together() -> None:
    """Whether a register is out shows in all that it counts; another register, and prices, have no say."""

    def key(item: str, point: str, unit: str = "件") -> SeriesKey:
        return SeriesKey(item, "", unit, "", point)

    series = {
        "食品投诉": [key("食品投诉", "甲县")],
        "网购投诉": [key("网购投诉", "甲县"), key("网购投诉", "乙县")],
        "物业投诉": [key("物业投诉", "乙县")],
        "停车投诉": [key("停车投诉", "丙县")],
        "猪肉": [key("猪肉", "甲县", "元/500克")],
    }
    together = Together(shipped(), series)
    assert together.group("食品投诉") == {"食品投诉", "网购投诉", "物业投诉"}
    assert together.group("停车投诉") == {"停车投诉"}
    assert together.group("猪肉") == {"猪肉"}


def test_groups_are_told_once_and_hold_every_item_asked_for() -> None:
    """Both items of a ratio among those asked for: one group; each item is in one group only."""
    found = list(Together(shipped(), known()).groups(ITEMS))
    assert sorted(item for one in found for item in one) == sorted(ITEMS)
    assert frozenset({"生猪", "玉米"}) in found
