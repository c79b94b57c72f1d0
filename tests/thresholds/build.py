"""Short ways to make panels, policies and flags for the tests of the core."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

import numpy as np

from thresholds.catalogue import Catalogue, load_catalogue
from thresholds.conditions import Condition, parse
from thresholds.detect import Detection, detect
from thresholds.model import Flag, FloatArray, Kind, Mark, Observation, ObservationBatch, SeriesKey
from thresholds.panel import DAY, SHANGHAI, Panel
from thresholds.plan import Pack, Plan, Policy
from thresholds.plan_files import load_policy
from thresholds.quality import gate
from thresholds.view import View

FIRST = date(2026, 1, 1)
BOTH = "price-daqing", "finance-luohe"


def at(n: float = 0, *, hour: int = 0, first: date = FIRST) -> datetime:
    """Midnight in Shanghai `n` days after `first` (or `hour` hours later), aware UTC."""
    start = datetime(first.year, first.month, first.day, hour, tzinfo=SHANGHAI)
    return (start + timedelta(days=n)).astimezone(UTC)


def seconds(n: float = 0, **where: Any) -> int:
    return int(at(n, **where).timestamp())


def quotes(
    values: Sequence[float | None],
    *,
    item: str = "大米",
    point: str = "城南市场",
    area: str = "甲区",
    unit: str = "元/500克",
    spec: str = "",
    first: int = 0,
    every: int = 1,
    hour: int = 0,
) -> list[Observation]:
    """One observation per value, `every` days apart; None leaves a gap."""
    key = SeriesKey(item, spec, unit, "零售", point)
    return [
        Observation(key, at(first + n * every, hour=hour), value, area=area)
        for n, value in enumerate(values)
        if value is not None
    ]


def panel_of(observations: Sequence[Observation], mark: Mapping[int, Mark] | None = None) -> Panel:
    """A panel; `mark` gives marks by position in `observations`."""
    batch = ObservationBatch.of(observations)
    marks = np.zeros(len(batch), np.uint8)
    for place, bits in (mark or {}).items():
        marks[place] = bits
    return Panel.build(batch.keys, batch.areas, batch.series, batch.at, batch.value, marks)


def table(values: FloatArray, items: list[str] | None = None, time: FloatArray | None = None) -> Panel:
    """float64[days, points], NaN where a point did not report; all at midnight UTC unless `time` (seconds) says."""
    days, points = values.shape
    names = items or ["大米"] * points
    keys = [SeriesKey(names[p], unit="元/500克", point=f"点{p}") for p in range(points)]
    at = np.repeat(np.arange(days) * DAY, points).reshape(days, points) if time is None else time
    series = np.tile(np.arange(points), days).reshape(days, points)
    keep = ~np.isnan(values)
    return Panel.build(keys, ["甲区"] * points, series[keep], at[keep].astype(np.int64), values[keep])


@cache
def shipped_catalogue() -> Catalogue:
    catalogue, faults = load_catalogue()
    assert catalogue is not None, faults
    return catalogue


@cache
def shipped(enable: tuple[str, ...] = ()) -> Policy:
    """The policy as shipped, with packs of `enable` switched on."""
    policy, faults = load_policy(enable=enable)
    assert policy is not None, faults
    return policy


def rule(when: object, **keys: Any) -> dict[str, Any]:
    """The table of a rule; `hold_days` and the like by keyword."""
    return {"id": "test/rule", "title": "测试规则", "when": when, **keys}


def pack(*rules: dict[str, Any], **keys: Any) -> Pack:
    """A pack of rules, ids made different."""
    numbered = [{**r, "id": f"{r['id']}{n}"} for n, r in enumerate(rules, 1)]
    source = {"title": "测试标准", "place": "某市", "year": "2026", "mark": "P"}
    table = {"kind": "rules", "id": "test", "title": "测试", "version": "1", "enabled": True, "effect": "watch"}
    return Pack.model_validate({**table, "domain": "any", "source": source, "rules": numbered, **keys})


def policy_of(*rules: dict[str, Any], plans: Mapping[str, Plan] | None = None, **keys: Any) -> Policy:
    """The shipped catalogue and plans with one pack of these rules only."""
    return Policy(shipped_catalogue(), dict(plans or shipped().plans), (pack(*rules, **keys),), "test")


def found(
    observations: Sequence[Observation] | Panel, policy: Policy, *, now: datetime | None = None, **options: Any
) -> Detection:
    """What is detected in these observations; `now` is the time of the newest one unless given."""
    panel = observations if isinstance(observations, Panel) else panel_of(observations)
    newest = datetime.fromtimestamp(int(panel.time.max()), UTC)
    options.setdefault("axis", np.unique(panel.time))
    detection = detect(panel, policy, now or newest, **options)
    assert not detection.failed, detection.failed
    return detection


def moves(observations: Sequence[Observation] | Panel, *rules: dict[str, Any], **keys: Any) -> list[Flag]:
    """Flags of kind move under these rules, in order of first flagging; `keys` are those of the pack."""
    return [f for f in found(observations, policy_of(*rules, **keys)).flags if f.kind is Kind.MOVE]


def view_of(observations: Sequence[Observation] | Panel) -> View:
    """The points of a panel as rules see them."""
    panel = observations if isinstance(observations, Panel) else panel_of(observations)
    classified = [shipped_catalogue().classify(k) for k in panel.keys]
    gated = gate(panel, classified)
    usable = gated.accepted & ((panel.mark & (Mark.EXPECTED | Mark.DATA_ERROR)) == 0)
    return View(panel, classified, gated.tested, usable, np.ones(len(panel), np.int32), gated.rebased, gated.accepted)


def condition(**table: Any) -> Condition:
    return parse(table)


Maker = Callable[..., list[Observation]]
