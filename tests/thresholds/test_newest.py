"""What is passed over because nothing new can be said has exactly the flags that it had."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from tests.thresholds.build import at, condition, found, panel_of, policy_of, quotes, rule, shipped
from thresholds.conditions import Condition
from thresholds.model import Flag, Mark, Observation
from thresholds.newest import Ask, Watch, asks, quiet_items
from thresholds.panel import Panel

ITEMS = ("大米", "猪肉", "大白菜", "黄瓜", "鸡蛋", "汽油")
DAYS = 130
FROM = 70


def city(seed: int) -> list[Observation]:
    """Six items at four points: sticky walks, jumps, slips, gaps, pauses, and a point that joins late."""
    rng = np.random.default_rng(seed)
    rows = []
    for number, item in enumerate(ITEMS):
        for point in range(4):
            step = rng.normal(0, 0.008, DAYS) * (rng.random(DAYS) < 0.5)
            step += rng.normal(0, 0.25, DAYS) * (rng.random(DAYS) < 0.004)
            values: list[float | None] = np.round(5 * np.exp(np.cumsum(step)), 2).tolist()
            for day in np.flatnonzero(rng.random(DAYS) < 0.004).tolist():
                values[day] = round((values[day] or 1.0) * float(rng.choice([10, 0.1, 2, 0])), 2)
            for day in np.flatnonzero(rng.random(DAYS) < 0.05).tolist():
                values[day] = None
            if rng.random() < 0.1:
                pause = int(rng.integers(20, 110))
                values[pause : pause + 9] = [None] * len(values[pause : pause + 9])
            if rng.random() < 0.1:
                values[: int(rng.integers(10, 110))] = [None] * len(values[: int(rng.integers(10, 110))])
            area = "甲区" if point < 2 else "乙区"
            rows += quotes(values, item=item, point=f"点{point}", area=area, hour=(number * 3 + point) % 2 * 6)
    return rows


def watch_of(panel: Panel, watch: Watch, since: int) -> dict[str, bool]:
    classified = [watch.policy.catalogue.classify(key) for key in panel.keys]
    quiet = watch.quiet(panel, watch.rows(panel.keys, classified), np.full(panel.n_series, since, np.int64))
    return quiet_items(panel.keys, quiet)


@pytest.mark.parametrize("seed", range(4))
def test_items_that_are_passed_over_have_the_flags_that_they_had(seed: int) -> None:
    """Day by day, every item that is quiet and has no open flag: its flags are those of the day before, to the last
    field. And many are: else this would prove nothing."""
    policy = shipped(("ladder-30-50-100",))
    watch = Watch(policy)
    whole = panel_of(city(seed))
    passed = 0
    before: list[Flag] = []
    for day in range(FROM - 1, DAYS):
        end = at(day) + timedelta(hours=23)
        panel = whole.until(end)
        now = found(panel, policy, silence=False).flags
        quiet = watch_of(panel, watch, int(at(day).timestamp()))
        for item in ITEMS:
            had = [f for f in before if f.item == item]
            if day >= FROM and quiet.get(item) and all(f.end is not None for f in had):
                passed += 1
                assert [repr(f) for f in now if f.item == item] == [repr(f) for f in had]
        before = now
    assert passed > 0.1 * len(ITEMS) * (DAYS - FROM)


def test_a_panel_cut_off_in_the_past_gives_the_same_answer() -> None:
    """Only a few weeks before the newest readings are looked at: `Watch.reach` days and the quote that stood then."""
    policy = shipped(("ladder-30-50-100",))
    watch = Watch(policy)
    whole = panel_of(city(9))
    since = int(at(DAYS - 1).timestamp())
    short = whole.only(whole.time >= int(at(DAYS - 1 - watch.reach - 10).timestamp()))
    answer = watch_of(whole, watch, since)
    assert answer == watch_of(short, watch, since)
    assert True in answer.values()


CALM = [5.0, 5.01] * 30


@pytest.mark.parametrize(
    ("newest", "quiet"),
    [
        ([5.02], True),
        ([5.0, 5.02, 5.03], True),
        ([5.3], False),  # 6 %
        ([5.3, 5.3], False),  # moved yesterday, and looked at since then
        ([0.0], False),
        ([-5.0], False),
    ],
)
def test_a_reading_is_quiet_where_nothing_moved(newest: list[float], quiet: bool) -> None:
    rows = quotes([*CALM, *newest])
    since = int(at(len(CALM)).timestamp())
    assert watch_of(panel_of(rows), Watch(shipped()), since) == {"大米": quiet}


def test_gaps_marks_youth_and_a_price_that_stands_are_no_quiet() -> None:
    watch = Watch(shipped())

    def quiet(values: list[float | None], mark: dict[int, Mark] | None = None) -> bool:
        since = int(at(len(values) - 1).timestamp())
        return watch_of(panel_of(quotes(values), mark), watch, since)["大米"]

    assert quiet([*CALM])
    assert not quiet([*CALM, *[None] * 5, 5.0]), "the quote had lapsed"
    assert not quiet([*CALM], {len(CALM) - 4: Mark.EXPECTED})
    assert not quiet([*CALM], {len(CALM) - 1: Mark.CONFLICT})
    assert not quiet([5.0, 5.01, 5.0, 5.01])
    assert not quiet([*CALM, *[5.0] * 16]), "it may be stuck"


def test_items_of_other_measures_and_of_rules_that_ask_for_no_change_are_always_evaluated() -> None:
    watch = Watch(shipped())
    rows = [*quotes(CALM, item="压力指数", unit="标准差"), *quotes(CALM)]
    assert watch_of(panel_of(rows), watch, int(at(59).timestamp())) == {"压力指数": False, "大米": True}
    level = Watch(policy_of(rule({"kind": "level", "above": 4})))
    assert watch_of(panel_of(quotes(CALM)), level, int(at(59).timestamp())) == {"大米": False}


CHANGE = {"kind": "change", "over": "1w", "percent": 10}


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (CHANGE, [Ask(10, 1, math.log1p(0.09))]),
        ({"kind": "score", "value": 5, "over": 5, "percent": 20}, [Ask(0, 5, math.log1p(0.18))]),
        ({"kind": "score", "value": 5}, None),
        ({"kind": "change", "over": "1y", "percent": 10}, None),
        ({"any": [CHANGE, {"kind": "score", "value": 5}]}, None),
        ({"all": [CHANGE, {"kind": "score", "value": 5}]}, [Ask(10, 1, math.log1p(0.09))]),
        ({"not": CHANGE}, None),
        ({"kind": "lasting", "of": CHANGE, "readings": 2}, [Ask(10, 1, math.log1p(0.09))]),
    ],
)
def test_what_a_rule_asks_for(table: dict[str, Any], expected: list[Ask] | None) -> None:
    one: Condition = condition(**table)
    got = asks(one, 0.9)
    if expected is None or got is None:
        assert got == expected
    else:
        assert [(a.days, a.readings) for a in got] == [(a.days, a.readings) for a in expected]
        assert [a.least for a in got] == pytest.approx([a.least for a in expected], abs=1e-5)
