"""Class baskets: the mean over the items of a class, and rules with scope = "class"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from tests.thresholds.build import at, found, panel_of, policy_of, quotes, rule, shipped_catalogue
from thresholds.baskets import INDEX, Basket, basket_for
from thresholds.detect import Detection, prepare
from thresholds.model import Flag, Kind, Mark, Observation, SeriesKey
from thresholds.panel import Panel

WEEK = {"kind": "change", "over": "1w", "op": ">=", "percent": 10}


def basket(rows: Sequence[Observation] | Panel, name: str = "菜") -> Basket:
    panel = rows if isinstance(rows, Panel) else panel_of(rows)
    seen = prepare(panel, policy_of(rule(WEEK)), Detection())
    made = basket_for(name, seen.points, seen.wide, seen.areas.cell, shipped_catalogue())
    assert made is not None
    return made


def item(name: str, values: Sequence[float], **keys: Any) -> list[Observation]:
    return quotes(values, **{"item": name, "area": "甲区", "point": f"{name}摊", **keys})


def flags(rows: Sequence[Observation], when: dict[str, Any] = WEEK, **keys: Any) -> list[Flag]:
    under = policy_of(rule(when, **{"scope": "class", "classes": ["菜"], "direction": "up", **keys}))
    return [f for f in found(rows, under).flags if f.kind is Kind.MOVE]


def test_the_basket_moves_by_the_geometric_mean_of_its_items() -> None:
    """One rises by 21 %, the other stays: 10 %, whatever their prices are."""
    rows = item("大白菜", [1.0, 1.21]) + item("西红柿", [50.0, 50.0])
    panel = basket(rows).view.panel
    assert panel.value[1] / panel.value[0] == pytest.approx(1.1, abs=1e-12)
    assert panel.value[0] == pytest.approx(50**0.5)
    (key,) = panel.keys
    assert (key.item, key.unit, panel.areas) == ("菜（品类均价）", "元/500克", ["甲区"])


def test_units_that_differ_make_an_index() -> None:
    """Prices of 500 g and of a box cannot be added: the basket begins at 100."""
    rows = item("大白菜", [1.0, 1.21]) + item("西红柿", [50.0, 50.0], unit="元/箱")
    panel = basket(rows).view.panel
    assert panel.keys[0].unit == INDEX
    assert panel.value.tolist() == pytest.approx([100, 110])


def test_an_item_that_joins_or_drops_out_moves_nothing() -> None:
    """A matched sample: the dear item joins on day 5 and is gone from day 10 on; only what stands in both counts."""
    dear = [replace(o, at=o.at + timedelta(days=5)) for o in item("西红柿", [50.0, 50.0, 50.0, 60.0])]
    panel = basket(item("大白菜", [2.0] * 30) + dear).view.panel
    steps = panel.value[1:] / panel.value[:-1]
    moved = {int(d): float(s) for d, s in zip(panel.day[1:] - panel.day[0], steps, strict=True) if abs(s - 1) > 1e-12}
    assert moved == pytest.approx({8: 1.2**0.5})


def test_areas_and_channels_have_baskets_of_their_own() -> None:
    """Retail of two districts and wholesale of one: three."""
    rows = item("大白菜", [1, 1.2]) + item("大白菜", [1, 1.1], area="乙区", point="乙")
    rows += item("黄瓜", [2, 2.0])
    rows += [replace(o, key=replace(o.key, channel="批发")) for o in item("黄瓜", [1, 1.4], point="丙")]
    panel = basket(rows).view.panel
    got = {(a, k.channel): float(panel.value[panel.start[s + 1] - 1] / panel.value[panel.start[s]])
           for s, (k, a) in enumerate(zip(panel.keys, panel.areas, strict=True))}  # fmt: skip
    assert got == pytest.approx({("甲区", "零售"): 1.2**0.5, ("乙区", "零售"): 1.1, ("甲区", "批发"): 1.4})


def test_points_of_an_item_are_averaged_before_items_are() -> None:
    """An item with nine points weighs no more than one with a single point; each point counts once."""
    many = [o for p in range(9) for o in item("大白菜", [1.0, 1.21], point=f"点{p}")]
    made = basket(many + item("黄瓜", [2.0, 2.0], point="点0"))
    assert made.view.panel.value[1] / made.view.panel.value[0] == pytest.approx(1.1)
    assert made.view.n_points.tolist() == [9, 9]


def test_subclasses_belong_to_the_basket() -> None:
    """Pork is meat; the basket of pork holds pork alone."""
    rows = item("猪肉", [10.0, 12.1]) + item("牛肉", [30.0, 30.0])
    meat, pork = (basket(rows, name).view.panel.value for name in ("肉", "猪肉"))
    assert meat[1] / meat[0] == pytest.approx(1.1)
    assert pork[1] / pork[0] == pytest.approx(1.21)


def test_what_the_gate_doubts_is_no_part_of_it() -> None:
    """A slip by ten of one item leaves the basket where it was."""
    rows = item("大白菜", [2.0, 2.1] * 10 + [20.0]) + item("黄瓜", [3.0] * 21)
    panel = basket(rows).view.panel
    assert panel.value[-1] == pytest.approx((2.1 * 3) ** 0.5)
    (flag,) = found(rows, policy_of(rule(WEEK, scope="class", classes=["菜"]))).flags
    assert flag.kind is Kind.DATA


@pytest.mark.parametrize(("rise", "expected"), [(1.2099, 0), (1.21, 1), (1.2101, 1)])
def test_a_rule_on_the_basket(rise: float, expected: int) -> None:
    """Ten percent of the basket: 21 % of one of two items, included; a hundredth less is not."""
    rows = item("大白菜", [2.0] * 8 + [2.0 * rise]) + item("黄瓜", [3.0] * 9)
    assert len(flags(rows)) == expected


def test_the_flag_names_class_points_and_items() -> None:
    """Its item is the basket, its points say which item they are of, strongest first."""
    rows = item("大白菜", [2.0] * 8 + [2.8]) + item("黄瓜", [3.0] * 8 + [3.3])
    (flag,) = flags(rows)
    assert (flag.item, flag.area, flag.first_flagged) == ("菜（品类均价）", "甲区", at(8))
    assert [c.point for c in flag.findings[0].contributions] == ["大白菜摊（大白菜）", "黄瓜摊（黄瓜）"]
    assert [round(c.change, 3) for c in flag.findings[0].contributions] == [0.4, 0.1]
    assert flag.reason.startswith("菜（品类均价）在甲区2个监测点为3.04元/500克，较一周前的2.45元/500克上涨24.1%")


def test_one_vegetable_is_no_basket() -> None:
    """Half as much again in a week, while five others stay, is 7 %: single vegetables do not flood the rule."""
    others = [o for name in ("黄瓜", "西红柿", "土豆", "茄子", "芹菜") for o in item(name, [3.0] * 9)]
    assert flags(item("大白菜", [2.0] * 8 + [3.0]) + others) == []


def test_two_areas_are_the_city() -> None:
    """As with items: what opens in both areas is one flag of the whole city."""
    rows = item("大白菜", [2.0] * 8 + [3.0]) + item("大白菜", [2.0] * 8 + [3.0], area="乙区", point="乙")
    (flag,) = flags(rows)
    assert flag.area == "全市"


def market(seed: int = 4) -> list[Observation]:
    """Vegetables in two areas, at different hours, with gaps and points that come and go."""
    rng = np.random.default_rng(seed)
    rows = []
    for n, name in enumerate(("大白菜", "黄瓜", "西红柿", "土豆")):
        for p in range(3):
            values = np.round(3 * np.exp(np.cumsum(rng.normal(0, 0.06, 60))), 2)
            series = item(name, values.tolist(), area=f"{p % 2}区", point=f"点{p}", hour=7 + n + p)
            rows += [o for k, o in enumerate(series) if rng.random() > 0.15 and (k > 20 or (n + p) % 3)]
    return rows


def told(flag: Flag) -> tuple[Any, ...]:
    """What stays of a flag whatever comes later."""
    return flag.first_flagged, flag.item, flag.reason


def test_day_by_day_is_as_all_at_once() -> None:
    """What later data brings changes no value of the basket, and no flag that was first flagged before."""
    rows = market()
    panel = panel_of(rows)
    whole = basket(panel).view
    under = policy_of(rule(WEEK, scope="class", classes=["菜"]))
    final = {f.id: told(f) for f in found(panel, under).flags}
    assert sum(1 for _ in final) > 5
    for day in range(10, 60, 7):
        until = at(day) + timedelta(hours=13)
        part = basket(panel.until(until)).view
        keep = whole.panel.time <= int(until.timestamp())
        np.testing.assert_array_equal(part.panel.value, whole.panel.value[keep])
        np.testing.assert_array_equal(part.n_points, whole.n_points[keep])
        early = {f.id: told(f) for f in found(panel.until(until), under).flags}
        assert early == {name: one for name, one in final.items() if one[0] <= until}


def test_the_order_of_series_does_not_matter() -> None:
    """The same flags, whichever point reported first."""
    rows = market(7)
    under = policy_of(rule(WEEK, scope="class", classes=["菜"]))
    one, other = (found(list(some), under).flags for some in (rows, rows[::-1]))
    assert list(map(repr, one)) == list(map(repr, other))


def test_a_value_that_was_expected_is_no_measure_of_what_is_usual() -> None:
    """A holiday price that a reviewer expected: the basket's value at that time serves no baseline."""
    rows = item("大白菜", [2.0, 2.0, 2.6, 2.0]) + item("黄瓜", [3.0] * 4)
    view = basket(panel_of(rows, {2: Mark.EXPECTED})).view
    assert view.usable.tolist() == [True, True, False, True]
    assert view.real.all()


def test_a_class_without_prices_has_no_basket() -> None:
    """Counts have no mean price; nothing fails."""
    key = SeriesKey("12315投诉举报", "", "件", "", "热线")
    rows = [Observation(key, at(d), 5.0, area="甲区") for d in range(10)]
    under = policy_of(rule(WEEK, scope="class", classes=["投诉", "菜"]))
    assert found(rows, under).flags == []
