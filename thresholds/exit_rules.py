"""Rules with effect "exit": which flags they are about, and what may not stand in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thresholds.conditions import walk
from thresholds.conditions_exit import Calm, rests_on_lifting
from thresholds.model import Flag, Kind
from thresholds.settings import Fault

if TYPE_CHECKING:  # it imports this
    from thresholds.plan import Pack, Plan, Policy, Rule

EXIT = "exit"


@dataclass(frozen=True, slots=True)
class ExitRule:
    """A rule and its pack."""

    rule: Rule
    pack: Pack


def exit_rules(policy: Policy) -> list[ExitRule]:
    return [ExitRule(rule, pack) for pack in policy.exits for rule in pack.rules]


def concerned(flag: Flag, rules: Sequence[ExitRule]) -> list[ExitRule]:
    """Those of the rules that may propose the end of a flag, whatever its class."""
    if flag.kind is not Kind.MOVE:
        return []
    return [
        one
        for one in rules
        if one.rule.rank == flag.peak_grade.rank
        and one.pack.plan in ("", flag.plan)
        and flag.direction in one.rule.directions
    ]


def awaits_exit(flag: Flag, policy: Policy) -> bool:
    """Whether what comes next may bring the proposal to end what the flag began."""
    return flag.exit is None and bool(concerned(flag, exit_rules(policy)))


def stable_days(plan: Plan, packs: Sequence[Pack]) -> int:
    """Days without anything abnormal until a flag that proposed a grade is over: those that the exit rules in force
    ask for, the longest of them; else the plan's own."""
    asked = [
        c.span.days
        for pack in packs
        if pack.plan in ("", plan.id) and pack.domain in ("any", plan.domain)
        for rule in pack.rules
        if 0 < rule.rank <= plan.highest
        for c in walk(rule.when)
        if isinstance(c, Calm)
    ]
    return max(asked, default=plan.stable_days)


def exit_faults(pack: Pack, name: str) -> Iterator[Fault]:
    """What may not stand in a pack: what looks at all other rules where it is no exit pack, scores where it is."""
    for i, rule in enumerate(pack.rules, 1):
        if pack.effect != EXIT and any(isinstance(c, Calm) for c in walk(rule.when)):
            problem = "`calm` looks at what all other rules found"
            yield Fault(name, f"rules[{i}].when", problem, 'Use it in a pack with effect = "exit", or use `steady`')
        if pack.effect == EXIT and rule.rank_from_score:
            problem = "a rule that proposes an end has no score"
            yield Fault(
                name, f"rules[{i}].rank_from_score", problem, "Give the grade whose end it proposes as `rank`"
            )


def not_lifted(rule: Rule, plan: Plan, name: str, key: str) -> Fault | None:
    """P13, P24: a grade that only a decision raises ends only when that is lifted."""
    grade = next((g for g in plan.grades if g.rank == rule.rank), None)
    if rule.rank == 0 or grade is None or grade.numeric or rests_on_lifting(rule.when):
        return None
    problem = f"grade {grade.label} of {plan.id} ends when the decision behind it is lifted, not by numbers"
    remedy = 'Ask for it: { not = { kind = "recorded", record = "decision", measures = ["…"] } }'
    return Fault(name, f"{key}.when", problem, remedy)
