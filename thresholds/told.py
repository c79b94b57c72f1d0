"""What the data gate says of a value, and the flag of kind `data` made of it (P4, P15, G4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thresholds.catalogue import Classified
from thresholds.grading import flag_id, utc
from thresholds.model import NO_GRADE, Direction, Doubt, Finding, Flag, Kind
from thresholds.panel import Panel
from thresholds.plan import Policy
from thresholds.wording import Shown

GATE_VERSION = "2"
"""Raised when the decisions of the gate change."""
NOTHING = float("nan")


@dataclass(frozen=True)
class Told:
    """What a flag says, with the series it stands with.

    Times are seconds since the epoch, `end` None while it is open; `known` counts the values behind `level`.
    """

    doubt: Doubt
    series: int
    start: int
    flagged: int
    last: int
    end: int | None
    end_reason: str
    direction: Direction
    value: float
    level: float
    peak: float
    window: str
    known: int
    reason: str


def shown_of(panel: Panel, s: int) -> Shown:
    key = panel.keys[s]
    return Shown(key.item, key.spec, key.unit, panel.areas[s], (key.point,))


def side(value: float, level: float) -> Direction:
    """On which side of a level a value lies; none where there is no level."""
    return Direction.NONE if np.isnan(level) or value == level else Direction.UP if value > level else Direction.DOWN


def flag_of(panel: Panel, classified: Sequence[Classified], policy: Policy, told: Told) -> Flag:
    """The flag that says it."""
    s = told.series
    key, area, plan = panel.keys[s], panel.areas[s], policy.plan_of(classified[s].domain)
    rule = f"gate/{told.doubt.name.lower()}"
    finding = Finding(
        rule, GATE_VERSION, utc(told.flagged), told.direction, told.value, told.level, NOTHING, NOTHING, NOTHING, "",
        told.window, told.known, told.reason,
    )  # fmt: skip
    # the place of the older doubts in the id is that of the key alone: their flags keep their ids
    about = repr(key) if told.doubt <= Doubt.CONFLICT else f"{told.doubt.name}:{key!r}"
    return Flag(
        id=flag_id(Kind.DATA, plan, key.item, area, told.direction, told.flagged, about),
        kind=Kind.DATA,
        plan=plan.id if plan else "",
        plan_version=plan.version if plan else "",
        rule=rule,
        rule_version=GATE_VERSION,
        item=key.item,
        point=key.point,
        area=area,
        direction=told.direction,
        start=utc(told.start),
        first_flagged=utc(told.flagged),
        last_hit=utc(told.last),
        end=None if told.end is None else utc(told.end),
        end_reason=told.end_reason,
        peak=told.peak,
        peak_grade=NO_GRADE,
        value=told.value,
        expected=told.level,
        threshold=NOTHING,
        reason=told.reason,
        findings=(finding,),
        points=(key.point,),
    )
