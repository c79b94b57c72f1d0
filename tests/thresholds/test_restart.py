"""What is evaluated from a restart on is what is evaluated from the beginning on, to the last field."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from tests.thresholds.build import at, condition, found, panel_of, policy_of, quotes, rule, shipped, view_of
from tests.thresholds.test_newest import DAYS, FROM, ITEMS, city
from thresholds.calendar import Lag
from thresholds.detect import CITY, detect
from thresholds.model import Direction, Flag, Kind, Mark, Observation
from thresholds.panel import Panel
from thresholds.plan import Policy
from thresholds.restart import one_mean, restart
from thresholds.view import View

CITY_RULES = ("ladder-30-50-100", "qd2014", "gd2013-lamp")


def day_by_day(whole: Panel, policy: Policy, days: range, items: tuple[str, ...]) -> tuple[int, int]:
    """Compare on each day; how many evaluations began with the newest day alone, and how many did not."""
    alone = further = 0
    before: list[Flag] = []
    for day in days:
        panel = whole.until(at(day) + timedelta(hours=23))
        now = found(panel, policy, silence=False).flags
        news = int(at(day).timestamp())
        keys = {item: [k for k in panel.keys if k.item == item] for item in items}
        had = {item: [f for f in before if f.item == item] for item in items}
        begins = {i: restart(had[i], news, policy, CITY, alone=one_mean(keys[i])) for i in items}
        begin = {item: one.since for item, one in begins.items()}
        since, asked = (np.array([getattr(begins[k.item], n) for k in panel.keys]) for n in ("since", "asked"))
        anew = detect(panel, policy, at(day), silence=False, since=since, asked=asked)
        assert not anew.failed
        for item in items if day > days[0] else ():
            kept = [f for f in before if f.item == item and f.first_flagged.timestamp() < begin[item]]
            got = kept + [f for f in anew.flags if f.item == item]
            assert [repr(f) for f in got] == [repr(f) for f in now if f.item == item], (day, item)
            alone += begin[item] == news
            further += begin[item] < news
        before = now
    return alone, further


def graded(rows: list[Observation]) -> list[Observation]:
    """With half of the quotes of one item as those of another spec of it: two means in each area."""
    return [
        replace(o, key=replace(o.key, spec="一级")) if o.key.item == ITEMS[1] and o.key.point in ("点1", "点3") else o
        for o in rows
    ]


@pytest.mark.parametrize(("seed", "enable"), [(0, ()), (1, CITY_RULES), (4, CITY_RULES)])
def test_flags_of_a_restart_and_those_before_it_are_those_of_the_whole_history(
    seed: int, enable: tuple[str, ...]
) -> None:
    """Day by day, jumps, slips, gaps, means by area, rules of rows and rules of runs: flags that began before the
    restart as they were the day before, and those that began since then as found anew."""
    alone, further = day_by_day(panel_of(graded(city(seed))), shipped(enable), range(FROM - 1, DAYS), ITEMS)
    assert alone > 100
    assert further > 40


def test_days_around_spring_festival_and_expected_values_too() -> None:
    """Two winters of three points that rise every festival, with values that a reviewer judged: the lunar year before
    is looked up for the newest rows alone."""
    rng = np.random.default_rng(3)
    rows: list[Observation] = []
    marks: dict[int, Mark] = {}
    festivals = (48, 403)  # 2026-02-17 and 2027-02-06 are days 47 and 401 from the first of January 2026
    for point in range(3):
        values = 10 * np.exp(np.cumsum(rng.normal(0, 0.01, 430)))
        for festival in festivals:
            values[festival - 5 : festival + 8] *= 1.4
        begin = len(rows)
        rows += quotes(np.round(values, 2).tolist(), item="大白菜", point=f"点{point}", area=f"区{point % 2}")
        marks |= {begin + int(n): Mark.EXPECTED for n in rng.choice(430, 6)}
        marks |= {begin + int(n): Mark.DATA_ERROR for n in rng.choice(430, 6)}
    alone, further = day_by_day(panel_of(rows, marks), shipped(CITY_RULES), range(396, 425), ("大白菜",))
    assert alone + further == 28


def test_an_open_flag_is_evaluated_from_its_beginning_and_what_it_holds_back_with_it() -> None:
    policy = policy_of(rule({"kind": "change", "over": "previous", "percent": 10}))
    values = [5.0] * 20 + [6.0] * 30
    flags = found(quotes(values), policy, silence=False).flags
    (flag,) = flags
    end, began = flag.end, int(flag.first_flagged.timestamp())
    assert end is not None
    over = int(end.timestamp())
    held = over + (over - int(flag.last_hit.timestamp()))
    assert [restart(flags, t, policy, CITY).since for t in (over - 5, over, held, held + 1)] == [
        began,
        began,
        began,
        held + 1,
    ]
    opened = replace(flag, end=None, end_reason="")
    assert restart([opened], held + 10**7, policy, CITY).since == began
    merged = replace(flag, end_reason="merged")
    assert [restart([merged], t, policy, CITY).since for t in (over, over + 1)] == [began, over + 1]
    assert restart([replace(opened, kind=Kind.SILENCE)], held, policy, CITY).since == held
    earlier = replace(flag, first_flagged=at(2), last_hit=at(2), end=at(15))  # it held back until day 28
    later = replace(opened, first_flagged=at(25))
    assert restart([earlier, later], int(at(60).timestamp()), policy, CITY).since == int(at(2).timestamp())


def test_what_another_spec_reported_last_may_lie_before_the_flag_whose_end_is_asked_about() -> None:
    """A fall on day 45, a jump on day 80. The second spec reported last on day 56, eleven days after the fall, and is
    not calm by that until it reports again: no end is proposed on day 95. Asked from the jump on it would be."""
    step = {"kind": "change", "over": "previous", "op": ">=", "percent": 20}
    policy = replace(
        policy_of(rule(step, rank=1, direction="up"), rule(step, direction="down")), exits=shipped().exits
    )
    rows = quotes([2.8] * 45 + [2.0] * 35 + [2.8] * 16) + quotes([3.0, 3.0], spec="一级", first=26, every=30)
    panel, news = panel_of(rows), int(at(95).timestamp())
    before = found(panel.until(at(94)), policy, silence=False).flags
    begin = restart(before, news, policy, CITY, alone=one_mean(panel.keys))
    assert begin.since == int(at(80).timestamp())

    def exits(asked: int) -> list[bool]:
        since, asked_from = (np.full(panel.n_series, t, np.int64) for t in (begin.since, asked))
        anew = detect(panel, policy, at(95), silence=False, since=since, asked=asked_from)
        return [f.exit is not None for f in anew.flags]

    assert (
        exits(begin.asked) == [f.exit is not None for f in found(panel, policy, silence=False).flags[1:]] == [False]
    )
    assert exits(begin.since) == [True]
    one = [o for o in rows if not o.key.spec]
    assert one_mean(panel_of(one).keys)
    assert restart(before, news, policy, CITY, alone=True).asked == begin.since


def asked(view: View, rows: np.ndarray) -> View:
    return replace(view, rows=rows, cache=type(view.cache)())


@pytest.fixture(scope="module")
def whole() -> View:
    """Four series with new levels, values that are no baseline, expected ones, gaps and two reports a day."""
    rng = np.random.default_rng(8)
    rows = []
    for point in range(4):
        values: list[float | None] = (np.exp(np.cumsum(rng.normal(0, 0.05, 800))) * 5).tolist()
        for day in np.flatnonzero(rng.random(800) < 0.15).tolist():
            values[day] = None
        rows += quotes(values, point=f"点{point}")
        rows += quotes([v if n % 3 else None for n, v in enumerate(values)], point=f"点{point}", hour=9)
    view = view_of(rows)
    n = len(view.panel)
    real = rng.random(n) > 0.1
    rebased = np.zeros(n, np.bool_)
    rebased[[int(begin) + level for begin, level in zip(view.panel.start, (30, 50, 400, 700), strict=False)]] = True
    return replace(view, real=real, usable=real & (rng.random(n) > 0.1), rebased=rebased)


@pytest.mark.parametrize("lag", list(Lag))
@pytest.mark.parametrize("tolerance", [None, 0, 9])
def test_what_is_compared_with_is_the_same_asked_for_some_rows(whole: View, lag: Lag, tolerance: int | None) -> None:
    rows = np.flatnonzero(np.random.default_rng(1).random(len(whole.panel)) < 0.3)
    some = asked(whole, rows)
    assert (some.base(lag, tolerance) == whole.base(lag, tolerance)[rows]).all()
    assert (some.base(lag, tolerance) >= 0).sum() > 10
    np.testing.assert_array_equal(some.change(lag, tolerance), whole.change(lag, tolerance)[rows])


@pytest.mark.parametrize("over", [1, 5, 20])
def test_scores_of_interest_are_the_same_asked_for_some_rows(whole: View, over: int) -> None:
    """A series of which no row is of interest scores zero."""
    rows = np.flatnonzero(np.random.default_rng(2).random(len(whole.panel)) < 0.02)
    some = asked(whole, rows)
    assert (some.back(over) == whole.back(over)[rows]).all()
    np.testing.assert_array_equal(some.steps(over)[0], whole.steps(over)[0][rows])
    score = condition(kind="score", over=over, value=1, percent=14, window=60)
    hit = score.truth(whole, Direction.UP) == 1
    assert (score.truth(some, Direction.UP) == 1).tolist() == hit[rows].tolist()
    at_rows = rows[hit[rows]]
    assert len(at_rows)
    one, other = score.measure(some, at_rows, Direction.UP), score.measure(whole, at_rows, Direction.UP)
    assert one is not None
    assert other is not None
    for name in ("value", "expected", "scale", "score", "limit", "n_used"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    calm = asked(whole, rows[:3])
    assert (calm.scores(60, 12, over, 0.0, 1e6).score == 0).all()


@pytest.mark.parametrize("readings", [1, 2, 9])
def test_what_is_over_is_the_same_asked_for_some_rows(whole: View, readings: int) -> None:
    """Calm and steady, answers and words, with abnormal readings of the series now and then."""
    rng, n = np.random.default_rng(readings), len(whole.panel)
    rows = np.flatnonzero(rng.random(n) < 0.3)
    known = np.where(rng.random(n) < 0.05, whole.panel.time, -(2**62))
    known[: int(whole.panel.start[1])] = -(2**62)  # of the first series nothing is abnormal
    cuts = whole.panel.start.tolist()
    abnormal = np.concatenate([np.maximum.accumulate(known[a:b]) for a, b in pairwise(cuts)])
    every = replace(whole, abnormal=abnormal, tested=rng.random(n) < 0.8, cache=type(whole.cache)())
    some = replace(asked(every, rows), abnormal=abnormal[rows])
    calm = condition(kind="calm", span="6d", readings=readings)
    steady = condition(kind="steady", span="6d", percent=12)
    for one in (calm, steady, condition(all=[calm, {"not": steady}])):
        answers = one.truth(every, Direction.UP)
        assert {*answers.tolist()} >= {0, 1}
        assert one.truth(some, Direction.UP).tolist() == answers[rows].tolist()
        at_rows = rows[answers[rows] == 1]
        found, same = (one.measure(v, at_rows, Direction.UP) for v in (some, every))
        assert found is not None
        assert same is not None
        np.testing.assert_array_equal(found.clause, same.clause)


def test_conditions_that_look_at_other_rows_are_asked_everywhere() -> None:
    change = {"kind": "change", "over": "1w", "percent": 5}
    score = {"kind": "score", "value": 5}
    tables: list[dict[str, Any]] = [change, score, {"not": change}, {"all": [change, {"not": {"kind": "state_set"}}]}]
    assert [condition(**t).row_by_row for t in tables] == [True] * 4
    others: list[dict[str, Any]] = [
        {"kind": "lasting", "of": change, "readings": 2},
        {"kind": "breadth", "of": change},
        {"not": score},
    ]
    assert [condition(**t).row_by_row for t in (*others, {"all": [change, others[0]]})] == [False] * 4
