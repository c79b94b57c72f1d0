"""Everything that is known of a flag, the same for the API, its page and `monitor explain`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from monitor.reasoning import local, reasoning
from monitor.store.database import Database
from monitor.store.demo import Places, demo_places, is_demo
from monitor.store.flag_rows import FlagRecord, finding_to_json, number_to_json
from monitor.store.flags import flag_log
from monitor.store.policies import read_rules
from monitor.store.stamps import Evaluated, read_evaluations
from monitor.store.text import moment
from thresholds.model import Contribution, Direction, Flag

MARKS = {
    "S": "据原文",
    "S2": "据报道或转述",
    "M-high": "凭记忆，较有把握，未经核实",
    "M-med": "凭记忆，未经核实",
    "M-low": "凭记忆，把握不大，未经核实",
    "P": "本项目建议",
}
"""how well a source is established (thresholds.plan.Mark)"""


def flag_fields(record: FlagRecord, zone: ZoneInfo, demo: Places) -> dict[str, Any]:
    """What a list of flags shows of each: the fields of monitor.web.schemas.FlagOut. Times are in `zone`."""
    flag = record.flag
    return {
        "id": flag.id,
        "kind": str(flag.kind),
        "state": str(record.state),
        "grade": {"rank": flag.peak_grade.rank, "label": flag.peak_grade.label, "colour": flag.peak_grade.colour},
        "item": flag.item,
        "point": flag.point,
        "points": list(flag.points),
        "area": flag.area,
        "direction": str(flag.direction),
        "start": flag.start.astimezone(zone),
        "first_flagged": flag.first_flagged.astimezone(zone),
        "last_hit": flag.last_hit.astimezone(zone),
        "end": in_zone(flag.end, zone),
        "end_reason": flag.end_reason,
        "exit": exit_fields(flag, zone),
        **{name: number_to_json(getattr(flag, name)) for name in ("value", "expected", "threshold", "peak")},
        "reason": flag.reason,
        "plan": flag.plan,
        "plan_version": flag.plan_version,
        "rule": flag.rule,
        "rule_version": flag.rule_version,
        "verdict": record.verdict,
        "acknowledged_at": in_zone(record.acknowledged_at, zone),
        "acknowledged_by": record.acknowledged_by,
        "revision": record.revision,
        "demo": is_demo(flag, demo),
    }


def flag_facts(db: Database, record: FlagRecord, zone: ZoneInfo) -> dict[str, Any]:
    """Everything about one flag: the fields of monitor.web.schemas.FlagDetail. Raises StoreError."""
    flag = record.flag
    log = flag_log(db, flag.id)
    evaluations = read_evaluations(db, sorted({i for i in (record.evaluation, *(e.evaluation for e in log)) if i}))
    rules = rules_behind(db, flag, evaluations.get(record.evaluation or 0))
    return {
        **flag_fields(record, zone, demo_places(db, {flag.item})),
        "reviewer": record.reviewer,
        "reviewed_at": in_zone(record.reviewed_at, zone),
        "note": record.note,
        "raised_at": record.raised_at.astimezone(zone),
        "reasoning": steps(flag, zone, rules, evaluations.get(record.evaluation or 0)),
        "findings": [finding_fields(finding_to_json(finding), zone) for finding in flag.findings],
        "contributions": [
            {"point": c.point, "area": c.area, "carried": c.carried}
            | {name: number_to_json(getattr(c, name)) for name in ("value", "expected", "change")}
            for c in ranked(flag)
        ],
        "rules": rules,
        "evaluation": stamp_fields(evaluations.get(record.evaluation or 0), zone),
        "log": [
            {
                "at": entry.at.astimezone(zone),
                "actor": entry.actor,
                "action": entry.action,
                "detail": dict(entry.detail),
                "evaluation": stamp_fields(evaluations.get(entry.evaluation or 0), zone),
            }
            for entry in log
        ],
    }


def flag_steps(db: Database, record: FlagRecord, zone: ZoneInfo) -> list[str]:
    """The reasoning alone, for the page."""
    evaluated = read_evaluations(db, [record.evaluation]).get(record.evaluation) if record.evaluation else None
    return steps(record.flag, zone, rules_behind(db, record.flag, evaluated), evaluated)


def steps(flag: Flag, zone: ZoneInfo, rules: Sequence[Mapping[str, Any]], evaluated: Evaluated | None) -> list[str]:
    """The reasoning with where the rules come from and what the evaluation rests on, one sentence per step."""
    return [*reasoning(flag, zone), *(origin(rule) for rule in rules), resting_on(evaluated, zone)]


def rules_behind(db: Database, flag: Flag, evaluated: Evaluated | None) -> list[dict[str, Any]]:
    """The rules that a flag rests on, its own first, as they were in the policy of its evaluation.

    The checks of the data gate and of silence are no rules of a policy; they are not among them.
    """
    if evaluated is None:
        return []
    known = read_rules(db, evaluated.stamp.policy)
    names = dict.fromkeys([flag.rule, *(finding.rule for finding in flag.findings)])
    if flag.exit is not None:
        names[flag.exit.rule] = None
    return [{"rule": name, **known[name]} for name in names if name in known]


def exit_fields(flag: Flag, zone: ZoneInfo) -> dict[str, Any] | None:
    """The proposal to end what it began, with its time in `zone`."""
    return None if flag.exit is None else {**asdict(flag.exit), "at": flag.exit.at.astimezone(zone)}


def ranked(flag: Flag) -> list[Contribution]:
    """Each point's part once, those that pushed most in the flag's direction first."""
    by_point = {(c.area, c.point): c for finding in reversed(flag.findings) for c in finding.contributions}
    push = -1 if flag.direction is Direction.DOWN else 1

    def strongest(one: Contribution) -> tuple[float, str, str]:
        return -push * one.change if math.isfinite(one.change) else math.inf, one.area, one.point

    return sorted(by_point.values(), key=strongest)


def origin(rule: Mapping[str, Any]) -> str:
    """Where a rule comes from, and whether it is in force here or borrowed."""
    source = rule["source"]
    title = source["title"] if "《" in source["title"] else f"《{source['title']}》"
    parts = [f"{title}（{source['place']}，{source['year']}）"]
    if source["clause"]:
        parts.append(f"第 {source['clause']} 条" if source["clause"][:1].isdigit() else source["clause"])
    parts.append(MARKS[source["mark"]])
    parts.append("借用外地规则，仅供参考" if source["borrowed"] else "适用于本地")
    return f"规则 {rule['rule']}“{rule['title']}”出自{'，'.join(parts)}。"


def resting_on(evaluated: Evaluated | None, zone: ZoneInfo) -> str:
    if evaluated is None:
        return "此提示产生于开始记录判定依据之前，无法重现。"
    stamp = evaluated.stamp
    return (
        f"判定于{local(evaluated.at, zone)}，政策版本 {stamp.policy}，数据版本 {stamp.data}"
        f"（{local(moment(stamp.since), zone)}以来的观测值），程序版本 {stamp.program}。"
    )


def stamp_fields(evaluated: Evaluated | None, zone: ZoneInfo) -> dict[str, Any] | None:
    if evaluated is None:
        return None
    stamp = evaluated.stamp
    return {
        "id": evaluated.id,
        "at": evaluated.at.astimezone(zone),
        "policy_version": stamp.policy,
        "data_revision": str(stamp.data),
        "history_from": moment(stamp.since).astimezone(zone),
        "program": stamp.program,
    }


def finding_fields(stored: dict[str, Any], zone: ZoneInfo) -> dict[str, Any]:
    """A finding as stored, with its times in `zone`."""
    fields = {**stored, "at": moment(stored["at"]).astimezone(zone)}
    if "contributions" in stored:
        fields["contributions"] = [{"carried": False} | one for one in stored["contributions"]]
    if "earlier" in stored:
        fields["earlier"] = [{**one, "at": moment(one["at"]).astimezone(zone)} for one in stored["earlier"]]
    return fields


def in_zone(at: datetime | None, zone: ZoneInfo) -> datetime | None:
    return at.astimezone(zone) if at else None
