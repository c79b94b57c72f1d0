"""Flags as rows of the table `flag`, and back again.

JSON knows no NaN and no infinity, PostgreSQL refuses them: a missing number is null, an infinite one a word.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import RowMapping

from monitor.store.text import moment, moment_or_none, number, seconds
from thresholds.model import Contribution, Direction, Earlier, Exit, Finding, Flag, Grade, Kind


class FlagState(StrEnum):
    """What became of a flag. What people decided comes first: see `state_of`."""

    OPEN = "open"
    """it goes on and nobody has said that he knows of it"""
    ACKNOWLEDGED = "acknowledged"
    """it goes on and somebody knows of it"""
    REVIEWED = "reviewed"
    """somebody has judged it; it stays so when it ends, `end` then says when"""
    OVER = "over"
    """it ended without being judged; it can still be"""


class Verdict(StrEnum):
    """What a reviewer says of a flag."""

    REAL_MOVE = "real_move"
    DATA_ERROR = "data_error"
    EXPECTED = "expected"
    TO_CHECK = "to_check"


@dataclass(frozen=True, slots=True)
class FlagRecord:
    """A stored flag: the machine's part in `flag`, and what people did.

    raised_at is when this daemon first knew it, by the clock. `revision` counts the reviews, from 1: it is the lock
    for people who review at the same time; what the machine adds and who acknowledges does not change it.
    """

    flag: Flag
    state: FlagState
    acknowledged_at: datetime | None
    acknowledged_by: str
    verdict: str
    reviewer: str
    reviewed_at: datetime | None
    note: str
    raised_at: datetime
    updated_at: datetime
    revision: int
    evaluation: int | None = None
    """id of the evaluation that gave the machine's part; None: made before evaluations were kept"""


def state_of(*, verdict: str, end_at: int | None, acknowledged_at: int | None) -> FlagState:
    """The one rule: reviewed for good once there is a verdict; else over once it ended; else acknowledged or open."""
    if verdict:
        return FlagState.REVIEWED
    if end_at is not None:
        return FlagState.OVER
    return FlagState.OPEN if acknowledged_at is None else FlagState.ACKNOWLEDGED


def machine_fields(flag: Flag) -> dict[str, Any]:
    """The columns that the machine owns."""
    return {
        "kind": str(flag.kind),
        "plan": flag.plan,
        "plan_version": flag.plan_version,
        "rule": flag.rule,
        "rule_version": flag.rule_version,
        "item": flag.item,
        "point": flag.point,
        "area": flag.area,
        "direction": str(flag.direction),
        "start_at": seconds(flag.start),
        "first_flagged_at": seconds(flag.first_flagged),
        "last_hit_at": seconds(flag.last_hit),
        "end_at": None if flag.end is None else seconds(flag.end),
        "end_reason": flag.end_reason,
        "peak": null_for_nan(flag.peak),
        "grade_rank": flag.peak_grade.rank,
        "grade": flag.peak_grade.label,
        "grade_colour": flag.peak_grade.colour,
        "value": null_for_nan(flag.value),
        "expected": null_for_nan(flag.expected),
        "threshold": null_for_nan(flag.threshold),
        "reason": flag.reason,
        "points": list(flag.points),
        "findings": [finding_to_json(finding) for finding in flag.findings],
        "exit": exit_to_json(flag.exit),
    }


def to_record(row: Mapping[str, Any] | RowMapping) -> FlagRecord:
    """A row of the table as a record."""
    return FlagRecord(
        flag=to_flag(row),
        state=FlagState(row["state"]),
        acknowledged_at=moment_or_none(row["acknowledged_at"]),
        acknowledged_by=row["acknowledged_by"],
        verdict=row["verdict"],
        reviewer=row["reviewer"],
        reviewed_at=moment_or_none(row["reviewed_at"]),
        note=row["note"],
        raised_at=moment(row["raised_at"]),
        updated_at=moment(row["updated_at"]),
        revision=row["revision"],
        evaluation=row["evaluation_id"],
    )


def to_flag(row: Mapping[str, Any] | RowMapping) -> Flag:
    """The machine's part of a row."""
    return Flag(
        id=row["id"],
        kind=Kind(row["kind"]),
        plan=row["plan"],
        plan_version=row["plan_version"],
        rule=row["rule"],
        rule_version=row["rule_version"],
        item=row["item"],
        point=row["point"],
        area=row["area"],
        direction=Direction(row["direction"]),
        start=moment(row["start_at"]),
        first_flagged=moment(row["first_flagged_at"]),
        last_hit=moment(row["last_hit_at"]),
        end=moment_or_none(row["end_at"]),
        end_reason=row["end_reason"],
        peak=number(row["peak"]),
        peak_grade=Grade(row["grade_rank"], row["grade"], row["grade_colour"]),
        value=number(row["value"]),
        expected=number(row["expected"]),
        threshold=number(row["threshold"]),
        reason=row["reason"],
        findings=tuple(finding_from_json(one) for one in row["findings"]),
        points=tuple(row["points"]),
        exit=exit_from_json(row["exit"]),
    )


def finding_to_json(finding: Finding) -> dict[str, Any]:
    """The evidence as stored: times as epoch seconds, numbers as `number_to_json` says."""
    return {
        "rule": finding.rule,
        "rule_version": finding.rule_version,
        "at": seconds(finding.at),
        "direction": str(finding.direction),
        "value": number_to_json(finding.value),
        "expected": number_to_json(finding.expected),
        "scale": number_to_json(finding.scale),
        "score": number_to_json(finding.score),
        "threshold": number_to_json(finding.threshold),
        "unit": finding.unit,
        "window": finding.window,
        "n_used": int(finding.n_used),
        "reason": finding.reason,
        "contributions": [
            {
                "point": one.point,
                "area": one.area,
                "value": number_to_json(one.value),
                "expected": number_to_json(one.expected),
                "change": number_to_json(one.change),
                **({"carried": True} if one.carried else {}),
            }
            for one in finding.contributions
        ],
        "earlier": [
            {
                "years": one.years,
                "calendar": one.calendar,
                "at": seconds(one.at),
                "value": number_to_json(one.value),
                "change": number_to_json(one.change),
            }
            for one in finding.earlier
        ],
    }


def finding_from_json(stored: Mapping[str, Any]) -> Finding:
    """The inverse of `finding_to_json`."""
    numbers = {name: number_from_json(stored[name]) for name in ("value", "expected", "scale", "score", "threshold")}
    return Finding(
        rule=stored["rule"],
        rule_version=stored["rule_version"],
        at=moment(stored["at"]),
        direction=Direction(stored["direction"]),
        unit=stored["unit"],
        window=stored["window"],
        n_used=stored["n_used"],
        reason=stored["reason"],
        contributions=tuple(
            Contribution(
                point=one["point"],
                area=one["area"],
                value=number_from_json(one["value"]),
                expected=number_from_json(one["expected"]),
                change=number_from_json(one["change"]),
                carried=one.get("carried", False),
            )
            for one in stored["contributions"]
        ),
        earlier=tuple(
            Earlier(
                years=one["years"],
                calendar=one["calendar"],
                at=moment(one["at"]),
                value=number_from_json(one["value"]),
                change=number_from_json(one["change"]),
            )
            for one in stored.get("earlier", ())  # flags of before this was kept have none
        ),
        **numbers,
    )


def exit_to_json(proposal: Exit | None) -> dict[str, Any] | None:
    """The proposal to end what a flag began, its time as epoch seconds."""
    return None if proposal is None else {**asdict(proposal), "at": seconds(proposal.at)}


def exit_from_json(stored: Mapping[str, Any] | None) -> Exit | None:
    """The inverse of `exit_to_json`."""
    return None if stored is None else Exit(**{**stored, "at": moment(stored["at"])})


def number_to_json(value: float) -> float | str | None:
    """A finite number, null for NaN, "inf" or "-inf". numpy scalars become Python's."""
    plain = float(value)
    if math.isfinite(plain):
        return plain
    return None if math.isnan(plain) else ("inf" if plain > 0 else "-inf")


def number_from_json(stored: float | str | None) -> float:
    return math.nan if stored is None else float(stored)


def value_to_json(value: Any) -> Any:
    """A column's value as JSON: infinite numbers are words, the rest is JSON already."""
    return number_to_json(value) if isinstance(value, float) else value


def null_for_nan(value: float) -> float | None:
    plain = float(value)
    return None if math.isnan(plain) else plain
