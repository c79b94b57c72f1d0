"""The curves of a flag's chart: what they draw is what the rules say."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from monitor.check import check
from monitor.curves import Curves, curves_of, rule_of, warm
from monitor.memory import Held, panel_of
from tests.alerts.make import FLAG
from thresholds.detect import Detection, prepare
from thresholds.model import Contribution, Direction, Flag, SeriesKey
from thresholds.plan import Policy

SHANGHAI = ZoneInfo("Asia/Shanghai")
DAY = 86_400
BEGIN = int(datetime(2025, 1, 1, 16, tzinfo=UTC).timestamp())


@pytest.fixture(scope="module")
def policy() -> Policy:
    found = check(Path(__file__).parents[2] / "config.toml").policy
    assert found is not None
    return found


def held(number: int, point: str, area: str, values: list[float], spec: str = "") -> Held:
    key = SeriesKey("大白菜", spec, "元/500克", "零售", point)
    at = BEGIN + DAY * np.arange(len(values), dtype=np.int64)
    return Held(number, key, area, "s", at, np.array(values), np.zeros(len(values), np.uint8))


def wandering(seed: int, days: int = 420) -> list[float]:
    """Prices that wander, with leaps both ways now and then."""
    random = np.random.default_rng(seed)
    steps = random.normal(0, 0.01, days)
    steps[60::37] += 0.35
    steps[75::37] -= 0.30
    return [round(float(v), 3) for v in 4 * np.exp(np.cumsum(steps))]


def flag(rule: str, **changes: object) -> Flag:
    fields: dict[str, Any] = {"item": "大白菜", "point": "", "points": (), "area": "东区", "rule": rule}
    return replace(FLAG, **fields | changes)


def curves(policy: Policy, one: Flag, *series: Held) -> Curves:
    found = curves_of(one, series, policy, SHANGHAI, "全市")
    assert found is not None
    return found


@pytest.mark.parametrize("rule", ["stat-robust/step", "stat-robust/week", "stat-robust/month"])
def test_a_rule_is_true_exactly_where_the_value_is_outside_of_the_band(policy: Policy, rule: str) -> None:
    series = held(1, "东一", "东区", wandering(1))
    found = curves(policy, flag(rule), series)
    assert found.band is not None
    panel, _ = panel_of([series], SHANGHAI)
    view = prepare(panel, policy, Detection()).wide
    when = rule_of(flag(rule), policy)
    assert when is not None
    above, below = found.main.value > found.band.high, found.main.value < found.band.low
    up, down = (when.when.truth(view, way) == 1 for way in (Direction.UP, Direction.DOWN))
    assert up.any()
    assert down.any()
    assert np.array_equal(above, up)
    assert np.array_equal(below, down)


def test_the_band_is_there_on_calm_days_too(policy: Policy) -> None:
    found = curves(policy, flag("stat-robust/step"), held(1, "东一", "东区", wandering(2)))
    assert found.band is not None
    known = np.isfinite(found.band.high)
    assert known[60:].all(), "no gap where nothing happened"
    assert not known[:12].any(), "too little history is no band"


def test_a_whole_city_is_the_mean_of_its_areas(policy: Policy) -> None:
    east, west = held(1, "东一", "东区", wandering(3)), held(2, "西一", "西区", wandering(4))
    found = curves(policy, flag("stat-robust/step", area="全市"), east, west)
    assert np.allclose(found.main.value, (east.value + west.value) / 2)
    assert {one.area for one in found.neighbours} == {"东区", "西区"}
    assert found.series == (1, 2)


def test_of_several_qualities_the_one_in_the_evidence_is_drawn(policy: Policy) -> None:
    plain, fine = held(1, "东一", "东区", wandering(5), "统货"), held(2, "东一", "东区", wandering(6), "特级")
    at = datetime.fromtimestamp(int(plain.at[100]), UTC)
    part = Contribution("东一", "东区", float(plain.value[100]), 1.0, 0.1)
    seen = replace(FLAG.findings[0], at=at, contributions=(part,))
    found = curves(policy, flag("stat-robust/step", findings=(seen,)), plain, fine)
    assert (found.spec, found.series) == ("统货", (1,))


def test_a_doubt_is_about_one_point_and_the_reading_is_marked(policy: Policy) -> None:
    good, slip = wandering(7, 60), wandering(8, 60)
    slip[40] *= 100
    one = flag("gate/factor", point="东二", points=("东二",))
    found = curves(policy, one, held(1, "东一", "东区", good), held(2, "东二", "东区", slip))
    assert found.main.point == "东二"
    assert found.band is None
    assert (found.of_flag, found.points[0].point, found.series) == (1, "东二", (2, 1))
    doubtful = found.points[0].doubtful
    assert doubtful is not None
    assert np.flatnonzero(doubtful).tolist() == [40]


def test_without_any_value_there_are_no_curves(policy: Policy) -> None:
    assert curves_of(flag("stat-robust/step"), [held(1, "东一", "东区", [])], policy, SHANGHAI, "全市") is None
    assert curves_of(flag("stat-robust/step"), [], policy, SHANGHAI, "全市") is None


def test_what_charts_need_is_loaded_with_one_rule_of_every_kind(
    policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    warm(policy, SHANGHAI)
    drawn: list[Flag] = []
    monkeypatch.setattr("monitor.curves.curves_of", lambda flag, *_: drawn.append(flag))
    warm(policy, SHANGHAI)
    kinds = {type(rule.when) for pack in policy.packs for rule in pack.rules}
    assert {type(rule.when) for one in drawn if (rule := rule_of(one, policy))} == kinds
