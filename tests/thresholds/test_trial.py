"""Rules tried on a history: the flags are those of detection, events are announced within their window only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import pytest

from tests.thresholds.build import FIRST, panel_of, policy_of, quotes, rule
from thresholds.detect import detect
from thresholds.model import Direction, Kind, Observation
from thresholds.panel import Panel
from thresholds.plan import Pack, Rule
from thresholds.trial import Event, RuleError, Trial, percent_rule

ZERO = (FIRST - date(1970, 1, 1)).days
TENTH = rule({"kind": "change", "over": "previous", "percent": 10}, hold_days=1)
RISES = rule({"kind": "change", "over": "previous", "percent": 10}, hold_days=1, direction="up", classes=["粮"])


def trial_of(observations: Sequence[Observation] | Panel, table: dict[str, object]) -> tuple[Trial, Rule, Pack]:
    panel = observations if isinstance(observations, Panel) else panel_of(observations)
    policy = policy_of(table)
    pack = policy.packs[0]
    return Trial(panel, policy), pack.rules[0], pack


def event(start: int, end: int | None = None, **keys: object) -> Event:
    """An event of rice on these days of the panel; the day before is the last normal one."""
    given = {"item": "大米", "point": "", "direction": Direction.UP, "after": start - 1} | keys
    return Event(
        str(given["item"]), str(given["point"]), Direction(str(given["direction"])), ZERO + int(str(given["after"])),
        ZERO + start, ZERO + (start if end is None else end),
    )  # fmt: skip


def delays(observations: Sequence[Observation], table: dict[str, object], *events: Event) -> list[int | None]:
    trial, one, pack = trial_of(observations, table)
    judged = trial.judged(events, one, pack)
    assert len(judged.windows) == len(events)
    return list(trial.run(one, pack, judged.windows).delays)


def step(day: int, n: int = 40, every: int = 1) -> list[Observation]:
    return quotes([3.0] * day + [3.6] * (n - day), every=every)


def test_a_flag_counts_after_the_last_normal_report_only() -> None:
    """The price rises on day 20: too early for an event of day 21 or later, at once for one of day 20."""
    found = delays(step(20), TENTH, event(21), event(20), event(19), event(18, after=15))
    assert found == [None, 1, 2, 5]


def test_a_flag_counts_until_three_reports_after_the_end() -> None:
    assert delays(step(20), TENTH, event(17), event(16), event(10, 17), event(10, 16)) == [4, None, 11, None]


def test_of_monthly_reports_only_the_next_one_counts() -> None:
    """Reports thirty days apart: one after the event's end, not three."""
    monthly = step(6, 12, every=30)
    assert delays(monthly, TENTH, event(180), event(150), event(120)) == [1, 2, None]


def test_delays_are_counted_in_reports_not_in_days() -> None:
    """Two weeks without a report between the last normal one and the rise are one report."""
    rows = quotes([3.0] * 10 + [None] * 14 + [3.6] * 10)
    assert delays(rows, TENTH, event(10, 24)) == [1]


def test_the_direction_must_be_that_of_the_event() -> None:
    fall = quotes([3.0] * 20 + [2.4] * 20)
    either = event(20, direction="")
    assert delays(fall, TENTH, event(20), event(20, direction="down"), either) == [None, 1, 1]


def test_the_first_flag_of_several_counts() -> None:
    """Rises on days 20 and 22: the event is known with the first."""
    rows = quotes([3.0] * 20 + [3.6] * 2 + [5.4] * 18)
    assert delays(rows, TENTH, event(20, 22)) == [1]


def test_events_are_told_apart_by_what_can_be_said_of_them() -> None:
    """Unknown items and points; and what the rule does not watch: the direction, the class, the time."""
    rows = [*step(20), *quotes([3.0] * 40, item="大白菜")]
    trial, one, pack = trial_of(rows, {**RISES, "valid_from": str(date(2026, 1, 11))})
    known = event(20)
    unknown = [event(20, item="生姜"), event(20, point="城西市场")]
    beyond = [event(20, direction="down"), event(20, item="大白菜"), event(3), event(60)]
    judged = trial.judged([*unknown, known, *beyond], one, pack)
    assert [w.event for w in judged.windows] == [known]
    assert judged.unknown == unknown
    assert judged.beyond == beyond
    assert trial.watched(one, pack).series_weeks == pytest.approx(29 / 7)


@pytest.mark.parametrize("scope", ["area", "point"])
def test_the_flags_are_as_many_as_detection_makes(scope: str) -> None:
    """On random prices at many points, rule after rule on one trial, in either order."""
    rng = np.random.default_rng(5)
    rows = []
    for item in ("大米", "面粉", "大白菜"):
        for n, area in enumerate(("甲区", "甲区", "乙区", "丙区")):
            values = (3 * np.exp(np.cumsum(rng.normal(0, 0.06, 150)))).tolist()
            rows += quotes(values, item=item, point=f"第{n}市场", area=area)
    panel = panel_of(rows)
    counts = {}
    for percents in ([2.0, 5.0, 9.0, 14.0], [14.0, 9.0, 5.0, 2.0]):
        trial, one, pack = trial_of(panel, rule(TENTH["when"], scope=scope))
        counts = {p: trial.run(percent_rule(one, p), pack).flags for p in percents}
        for percent, flags in counts.items():
            own = {**rule({"kind": "change", "over": "previous", "percent": percent}), "scope": scope}
            known = detect(panel, policy_of(own), rows[-1].at, silence=False).flags
            assert flags == sum(f.kind is Kind.MOVE for f in known)
    assert len(set(counts.values())) == 4


def test_the_percent_rule_is_of_the_rules_own_classes_direction_and_hold() -> None:
    """A cabbage that rises and rice that falls are none of a rule for rises of grain."""
    rows = [*quotes([3.0] * 20 + [2.4] * 20), *quotes([3.0] * 20 + [3.6] * 20, item="大白菜")]
    trial, one, pack = trial_of(rows, RISES)
    assert trial.run(percent_rule(one, 5), pack).flags == 0
    wide = one.model_copy(update={"classes": (), "direction": "both", "rank_from_score": (1.0, 2.0)})
    assert trial.run(percent_rule(wide, 5), pack).flags == 2
    assert percent_rule(wide, 5).rank_from_score == ()


def test_a_rule_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    trial, one, pack = trial_of(step(20), TENTH)

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by hand")

    monkeypatch.setattr(type(one.when), "truth", broken)
    with pytest.raises(RuleError, match="by hand"):
        trial.run(one, pack)


def test_a_rule_about_class_baskets_is_refused_instead_of_finding_nothing() -> None:
    """Baskets are made elsewhere: an empty answer would look like a rule that never fires."""
    table = rule({"kind": "change", "over": "previous", "percent": 5}, scope="class", classes=["粮"])
    trial, one, own = trial_of(quotes([2.0, 2.0, 4.0]), table)
    with pytest.raises(RuleError, match="monitor replay --rules"):
        trial.run(one, own)
