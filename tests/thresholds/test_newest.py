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
from thresholds.newest import Ask, Cells, Watch, asks, quiet_items
from thresholds.panel import Panel, codes_of
from thresholds.quality import Status, gate
from thresholds.restart import settled_from

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
    """Day by day, every item that is quiet and has no flag that may change: its flags are those of the day before, to
    the last field. And many are: else this would prove nothing."""
    policy = shipped(("ladder-30-50-100",))
    watch = Watch(policy)
    whole = panel_of(city(seed))
    passed = 0
    before: list[Flag] = []
    for day in range(FROM - 1, DAYS):
        news = int(at(day).timestamp())
        panel = whole.until(at(day) + timedelta(hours=23))
        now = found(panel, policy, silence=False).flags
        quiet = watch_of(panel, watch, news)
        for item in ITEMS:
            had = [f for f in before if f.item == item]
            if day >= FROM and quiet.get(item) and not any(news < settled_from(f, policy) for f in had):
                passed += 1
                assert [repr(f) for f in now if f.item == item] == [repr(f) for f in had]
        before = now
    assert passed > 0.1 * len(ITEMS) * (DAYS - FROM)


def calm_of(panel: Panel, watch: Watch, since: int) -> dict[str, bool]:
    """Of each item whether all its areas are calm; the gate's word on the readings before `since` alone is known."""
    classified = [watch.policy.catalogue.classify(key) for key in panel.keys]
    before = panel.time < since
    status = np.full(len(panel), 99, np.uint8)
    status[before] = gate(panel.only(before), classified).status
    cells = Cells.of(codes_of(list(zip(panel.group.tolist(), panel.areas, strict=True))).astype(np.int64))
    news = np.full(panel.n_series, since, np.int64)
    calm = watch.calm(panel, watch.rows(panel.keys, classified), news, status, cells)
    found = {key.item: True for key in panel.keys}
    for cell in np.flatnonzero(~calm).tolist():
        found[panel.keys[int(cells.members[cells.bounds[cell]])].item] = False
    return found


@pytest.mark.parametrize("seed", range(4))
def test_items_that_are_calm_at_a_closer_look_have_the_flags_that_they_had(seed: int) -> None:
    """As above, for items of which a closer look at their means, doubts and standing prices is taken; it finds many
    more of them calm."""
    policy = shipped()
    watch = Watch(policy)
    whole = panel_of(city(seed))
    passed = at_first = 0
    before: list[Flag] = []
    for day in range(FROM - 1, DAYS):
        news = int(at(day).timestamp())
        panel = whole.until(at(day) + timedelta(hours=23))
        now = found(panel, policy, silence=False).flags
        calm, quiet = calm_of(panel, watch, news), watch_of(panel, watch, news)
        for item in ITEMS if day >= FROM else ():
            had = [f for f in before if f.item == item]
            if any(news < settled_from(f, policy) for f in had):
                continue
            at_first += quiet.get(item, False)
            if calm.get(item):
                passed += 1
                assert [repr(f) for f in now if f.item == item] == [repr(f) for f in had], (day, item)
        before = now
    assert passed > max(120, 1.2 * at_first)


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


@pytest.mark.parametrize("days_ago", [1, 2, 3, 6, 7, 8, 12, 20, 25, 32, 39, 41, 45])
def test_a_step_is_quiet_where_it_lies_within_all_bars_that_count_so_far_back(days_ago: int) -> None:
    """Steps of 3 to 40 %, of rules over a week and a month, against the plain definition: reading by reading."""
    rules = (rule({"kind": "change", "over": lag, "percent": p}) for lag, p in (("1w", 20), ("1m", 30)))
    watch = Watch(policy_of(*rules))
    answers = []
    for size in (1.0, 1.03, 1.05, 1.1, 1.16, 1.25, 1.4):
        values = [*LIVELY, *LIVELY][: 200 - days_ago] + [v * size for v in LIVELY[:days_ago]]
        panel = panel_of(quotes(values))
        (row,) = watch.rows(panel.keys, [watch.policy.catalogue.classify(key) for key in panel.keys])
        bars = [(d, r, math.exp(least)) for (d, r), least in zip(watch.spans, watch.table[row], strict=True)]
        far = [max(values[-1] / v, v / values[-1]) for v in values[-2::-1]]  # readings and days back, from one on
        hit = any(far[k] >= bar for d, r, bar in bars for k in range(60) if k <= r or k <= d)
        assert watch_of(panel, watch, int(at(199).timestamp())) == {"大米": not hit}, size
        answers.append(hit)
    assert answers[0] is False
    assert answers[-1] is (days_ago <= 41)  # one reading more than the month and its tolerance


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


LIVELY = [5.0, 5.03, 5.01, 5.04, 5.02] * 20
"""Changes at every report."""


def five(**other: list[float | None]) -> list[Observation]:
    """Five points of one area; `other` gives the values of some of them."""
    return [o for p in range(5) for o in quotes(other.get(f"p{p}") or list(LIVELY), point=f"点{p}")]


@pytest.mark.parametrize(
    ("values", "calm"),
    [
        ([*LIVELY], True),
        ([*LIVELY[:80], *[None] * 8, *LIVELY[:12]], True),  # out for a week, and back: the mean knows it
        ([*LIVELY[:80], *[v * 1.12 for v in LIVELY[:20]]], True),  # one of five moved by 12 % three weeks ago
        ([*LIVELY[:80], *[v * 1.3 for v in LIVELY[:20]]], True),  # by 30 %: the mean by 6 %
        ([*LIVELY[:80], *[v * 1.5 for v in LIVELY[:20]]], False),  # by 50 %: the mean by 10 %
        ([*LIVELY[:97], *[v * 1.14 for v in LIVELY[:3]]], False),  # three days ago: the gate compares with it
        ([*LIVELY[:99], 0.0], False),
        ([*[v for v in LIVELY[:11] for _ in range(8)][:82], *[5.05] * 18], True),  # used to equal figures
        ([*LIVELY[:82], *[5.05] * 18], False),  # not used to them
        ([5.0, 5.03], True),  # a point that is there no more
        ([*[None] * 96, *LIVELY[:4]], True),  # a point that came four days ago
    ],
)
def test_a_closer_look_follows_the_mean(values: list[float | None], calm: bool) -> None:
    watch = Watch(shipped())
    panel = panel_of(five(p0=values))
    assert calm_of(panel, watch, int(at(99).timestamp())) == {"大米": calm}


def test_a_closer_look_needs_history_prices_without_marks_and_a_price_that_is_not_stuck() -> None:
    watch, since = Watch(shipped()), int(at(99).timestamp())
    rare: list[float | None] = [5.0 if n >= 60 else 5 + n % 7 * 0.01 for n in range(100)]
    assert calm_of(panel_of(five(p0=rare)), watch, since) == {"大米": False}, "it may be stuck"
    marked = panel_of(five(), {90: Mark.EXPECTED})
    assert calm_of(marked, watch, since) == {"大米": False}
    young = [None] * 80 + LIVELY[:20]
    assert calm_of(panel_of(quotes(young)), watch, since) == {"大米": False}
    assert calm_of(panel_of(quotes(list(LIVELY))), watch, since) == {"大米": True}
    other = panel_of(quotes(list(LIVELY), item="压力指数", unit="标准差"))
    assert calm_of(other, watch, since) == {"压力指数": False}


def test_a_closer_look_says_nothing_of_what_the_mean_of_a_class_is_asked_about() -> None:
    """Several items make it, and which of them stand may change."""
    change = {"kind": "change", "over": "1w", "percent": 30}
    since = int(at(99).timestamp())
    for scope, calm in (("area", True), ("point", True), ("class", False)):
        watch = Watch(policy_of(rule(change, scope=scope, classes=["粮"])))
        assert calm_of(panel_of(five()), watch, since) == {"大米": calm}
        assert watch_of(panel_of(five()), watch, since) == {"大米": True}


def test_doubts_of_the_past_are_left_out_of_the_mean() -> None:
    """A point slipped by a digit two weeks ago: its mean did not move, and no rule compares with the slip."""
    slipped: list[float | None] = [*LIVELY]
    slipped[85] = 50.0
    panel, watch = panel_of(five(p0=slipped)), Watch(shipped())
    doubtful = gate(panel, [watch.policy.catalogue.classify(key) for key in panel.keys]).status == Status.SUSPECT
    assert panel.value[doubtful].tolist() == [50.0]
    assert calm_of(panel, watch, int(at(99).timestamp())) == {"大米": True}


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
