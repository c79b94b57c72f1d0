"""Plans and rule packs: policy as data, in TOML files that are versioned and reviewed like code.

A plan states the grades of a contingency plan and which of them numbers may raise (P13: price grades II and I are
legal facts, never percentages). A rule pack holds rules with their source. Both live in thresholds/plans/*.toml;
an installation adds its own folders. They are read by thresholds/plan_files.py. See docs/plans.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from thresholds.catalogue import Catalogue
from thresholds.exit_rules import stable_days
from thresholds.kinds import AnyCondition
from thresholds.model import NO_GRADE, Direction, Grade
from thresholds.records import Record
from thresholds.settings import Settings, TextFile

Mark = Literal["S", "S2", "M-high", "M-med", "M-low", "P"]
"""How well a source is established: statute, press or restatement, from memory, proposal of this project."""


class Source(Settings):
    """Where a rule comes from. `borrowed`: it is a rule of another place, used here as advice."""

    title: str
    place: str
    year: str
    mark: Mark
    clause: str = ""
    reference: str = ""
    borrowed: bool = True


class Rule(Settings):
    """One rule. `scope` area: on the matched mean of an item's points in an area; point: on each point's quotes;
    class: on the basket of each class that it names, the mean of the class's items in an area (thresholds.baskets).

    `rank` is the grade it proposes (0: report or watch only). `hold_days` is how long a flag stays without a new hit.
    """

    id: str
    title: str
    classes: tuple[str, ...] = ()
    without_classes: tuple[str, ...] = ()
    direction: Literal["both", "up", "down"] = "both"
    scope: Literal["area", "point", "class"] = "area"
    rank: int = Field(default=0, ge=0, le=9)
    advice: str = ""
    hold_days: int = Field(default=7, ge=1, le=400)
    rank_from_score: tuple[float, ...] = ()
    """of a statistical rule: the scores from which ranks 1, 2, … are proposed, instead of `rank`"""
    level: int = Field(default=0, ge=0, le=9)
    """the level in the source's own scheme, 1 the lowest: a hit of a higher one is news within an open flag"""
    enabled: bool = True
    """whether it is in force with its pack; `[detection] enable` and `disable` may name it"""
    source: Source | None = None
    """where it comes from, if not from the source of the pack"""
    valid_from: date | None = None
    """first day whose observations it judges; the pack may set a later one"""
    valid_until: date | None = None
    """last day whose observations it judges; the pack may set an earlier one"""
    ease: float = Field(default=0.9, gt=0, le=1)
    """the share of the threshold that keeps an open flag open (hysteresis)"""
    when: AnyCondition

    @model_validator(mode="after")
    def scores_rise(self) -> Self:
        steps = self.rank_from_score
        if steps and self.rank:
            raise ValueError("both `rank` and `rank_from_score` are given|Keep one of them")
        if any(b <= a for a, b in pairwise((0.0, *steps))):
            raise ValueError("`rank_from_score` does not rise|Write the scores from the lowest rank to the highest")
        return self

    @model_validator(mode="after")
    def baskets_named(self) -> Self:
        if self.scope == "class" and (self.without_classes or not self.classes):
            raise ValueError(
                "a rule on baskets names its classes and leaves none out|Write `classes`: each of them is one basket"
            )
        return self

    @property
    def directions(self) -> tuple[Direction, ...]:
        both = (Direction.UP, Direction.DOWN)
        return both if self.direction == "both" else (Direction(self.direction),)


class Pack(Settings):
    """A file of rules with one source."""

    page = "docs/plans.md"

    kind: Literal["rules"]
    id: str
    title: str
    version: str
    enabled: bool
    effect: Literal["report", "watch", "candidate", "exit"]
    """what follows from a hit: report (须报告), watch (关注), candidate (建议研判); exit: its rules open no flag,
    they say when the end of what flags of grade `rank` began is to be proposed"""
    domain: Literal["price", "finance", "any"] = "price"
    plan: str = ""
    """if given, it is in force with this plan only: its ranks are those of that plan"""
    valid_from: date | None = None
    valid_until: date | None = None
    source: Source
    rules: tuple[Rule, ...] = Field(min_length=1)

    def source_of(self, rule: Rule) -> Source:
        """Where one of its rules comes from."""
        return rule.source or self.source


class PlanGrade(Settings):
    """A grade of a plan. `numeric`: numbers may propose it; otherwise it enters only as a recorded decision."""

    rank: int = Field(ge=1, le=9)
    label: str
    name: str
    colour: str = ""
    numeric: bool
    basis: str = ""


class Plan(Settings):
    """A contingency plan, as far as detection needs it: its grades."""

    page = "docs/plans.md"

    kind: Literal["plan"]
    id: str
    title: str
    version: str
    domain: Literal["price", "finance"]
    source: Source
    stable_days: int = Field(default=0, ge=0, le=400)
    """days without anything abnormal until a flag that proposed a grade is over, where no exit pack is in force that
    says so; 0 leaves it to each rule"""
    persistent_days: int = Field(default=0, ge=0, le=400)
    """days after which a flag that goes on proposes one grade more; 0 for never"""
    grades: tuple[PlanGrade, ...] = Field(min_length=1)

    @field_validator("grades")
    @classmethod
    def ranks_once(cls, grades: tuple[PlanGrade, ...]) -> tuple[PlanGrade, ...]:
        ranks = [g.rank for g in grades]
        if twice := sorted({r for r in ranks if ranks.count(r) > 1}):
            raise ValueError(f"the rank {twice[0]} is used twice|Number the grades from 1, the lowest, upwards")
        return grades

    @property
    def highest(self) -> int:
        """The highest rank that numbers may propose; 0 where they may propose none."""
        return max((g.rank for g in self.grades if g.numeric), default=0)

    def grade(self, rank: int) -> Grade:
        """The grade of `rank` in this plan's words; NO_GRADE for 0. Raises KeyError for a rank it does not have."""
        if rank == 0:
            return NO_GRADE
        found = {g.rank: g for g in self.grades}[rank]
        return Grade(found.rank, found.label, found.colour)


@dataclass(frozen=True)
class PolicyTexts:
    """All that a policy is made of: enough to make it again, wherever it is kept meanwhile (`policy_again`).

    files       plans and rule packs in the order read, also those that are not in force
    catalogues  the installation's, then the shipped one
    plans, packs  ids of those in force; behind those of the packs the ids of their rules in force
    """

    files: tuple[TextFile, ...] = ()
    catalogues: tuple[TextFile, ...] = ()
    plans: tuple[str, ...] = ()
    packs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Policy:
    """Everything that detection is governed by, loaded and checked."""

    catalogue: Catalogue
    plans: dict[str, Plan]
    """by domain: the plan in force"""
    packs: tuple[Pack, ...]
    """the packs that are switched on"""
    version: str
    """hash over all files: which policy an evaluation was made under"""
    texts: PolicyTexts = field(default=PolicyTexts(), repr=False, compare=False)
    records: tuple[Record, ...] = ()
    """what people recorded: decisions in force and observations (thresholds.records)"""
    exits: tuple[Pack, ...] = ()
    """the packs that are switched on whose rules propose the end of what flags began"""

    def plan_of(self, domain: str) -> Plan | None:
        return self.plans.get(domain)

    def stable_days(self, plan: Plan) -> int:
        """Days without anything abnormal until a flag that proposed a grade of `plan` is over."""
        return stable_days(plan, self.exits)
