"""When the end of something is proposed: rules with effect "exit", applied to flags (P24).

A rule of such a pack opens no flag. It says, of flags whose grade is its `rank`, from when on their end is to be
proposed: at the first reading after the newest abnormal one at which its condition holds in all series of the item
in the area that are reported then. A further abnormal reading takes the proposal back. It is written on the flag, and
that is all: whatever people decided (an acknowledgement, a verdict, a response in force) stays until they end it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from thresholds.aggregate import LEAST_CARRY, MOST_CARRY
from thresholds.concerns import concerns
from thresholds.conditions import Condition, Truth, walk
from thresholds.conditions_tree import Not
from thresholds.exit_rules import ExitRule, concerned, exit_rules
from thresholds.grading import RuleHits, utc
from thresholds.model import BoolArray, Direction, Exit, Flag, IntArray
from thresholds.panel import Panel
from thresholds.plan import Pack, Policy, Rule
from thresholds.view import View
from thresholds.wording import sourced

LONG_AGO = -(2**62)
InForce = Callable[[Rule, Pack, View], BoolArray]
"""bool[n]: observations that a rule applies to, empty where it applies to no series"""


def with_exits(
    flags: Sequence[Flag], found: Sequence[RuleHits], wide: View, policy: Policy, city: str, in_force: InForce
) -> list[Flag]:
    """The flags, with the proposals to end what they began. `found`: what all rules found; `wide`: means by area."""
    rules = exit_rules(policy)
    waiting = {flag.id: own for flag in flags if (own := concerned(flag, rules))}
    if not waiting:
        return list(flags)
    items = {flag.item for flag in flags if flag.id in waiting}
    part = only_series(wide, involved(wide, items, rules))
    part.abnormal = newest_abnormal(part.panel, found, items)
    judge = Judge(part, in_force, city)
    return [replace(flag, exit=judge.first(flag, waiting[flag.id])) if flag.id in waiting else flag for flag in flags]


def involved(view: View, items: set[str], rules: Iterable[ExitRule]) -> BoolArray:
    """bool[n_series]: series of these items, and counts that the rules look at and that concern them."""
    keys = view.panel.keys
    keep = np.array([key.item in items for key in keys], np.bool_)
    about = {name for one in rules for c in walk(one.rule.when) for name in c.needs_about()}
    if about:
        named = {(keys[s].item, view.classified[s].chain) for s in np.flatnonzero(keep).tolist()}
        for s in np.flatnonzero(view.of_classes(sorted(about)) & ~keep).tolist():
            keep[s] = any(concerns(keys[s], item, chain) for item, chain in named)
    return keep


def only_series(view: View, keep: BoolArray) -> View:
    """The view of some series, as it is seen with them alone."""
    panel = view.panel
    chosen: list[int] = np.flatnonzero(keep).tolist()
    rows = keep[panel.series]
    start = np.concatenate([[0], np.cumsum(np.diff(panel.start)[chosen])]).astype(np.int64)
    keys, areas = [panel.keys[s] for s in chosen], [panel.areas[s] for s in chosen]
    return View(
        Panel(keys, areas, start, panel.time[rows], panel.day[rows], panel.value[rows], panel.mark[rows]),
        [view.classified[s] for s in chosen],
        view.tested[rows],
        view.usable[rows],
        view.n_points[rows],
        view.rebased[rows],
        view.real[rows],
        records=view.records,
    )


def newest_abnormal(panel: Panel, found: Sequence[RuleHits], items: set[str]) -> IntArray:
    """int64[n]: time of the newest observation up to each, of its item and area, that a rule found abnormal."""
    times: dict[tuple[str, str], list[IntArray]] = {}
    for one in found:
        keys, areas = one.view.panel.keys, one.view.panel.areas
        of = one.view.panel.series[one.at]
        for s in np.unique(of).tolist():
            if keys[s].item in items:
                times.setdefault((keys[s].item, areas[s]), []).append(one.view.panel.time[one.at[of == s]])
    newest = np.full(len(panel), LONG_AGO, np.int64)
    for s, (key, area) in enumerate(zip(panel.keys, panel.areas, strict=True)):
        if (key.item, area) in times:
            known = np.unique(np.concatenate(times[key.item, area]))
            a, b = int(panel.start[s]), int(panel.start[s + 1])
            place = np.searchsorted(known, panel.time[a:b], "right") - 1
            newest[a:b] = np.where(place >= 0, known[np.maximum(place, 0)], LONG_AGO)
    return newest


@dataclass
class Judge:
    """Finds the first reading at which the end of a flag is proposed. `view`: series of the flags that wait."""

    view: View
    in_force: InForce
    city: str
    answers: dict[tuple[str, Direction], Truth] = field(default_factory=dict)

    def first(self, flag: Flag, rules: Sequence[ExitRule]) -> Exit | None:
        """The earliest proposal of one of the rules, None while there is none."""
        series = self.series_of(flag)
        since = int(flag.last_hit.timestamp())
        proposals = []
        for one in rules:
            own = [s for s in series if self.covers(one, s)]
            if own and (position := self.reading(one, flag.direction, own, since)) is not None:
                proposals.append((int(self.view.panel.time[position]), one, position))
        if not proposals:
            return None
        _, one, position = min(proposals, key=lambda p: p[0])  # of one time the first in order of the rules
        return self.proposal(flag, one, position)

    def series_of(self, flag: Flag) -> list[int]:
        """The series of a flag: of its area, or all where it is the whole city's."""
        panel = self.view.panel
        own = self.by_item.get(flag.item, [])
        return [s for s in own if flag.area in (panel.areas[s], self.city)]

    @cached_property
    def by_item(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for s, key in enumerate(self.view.panel.keys):
            found.setdefault(key.item, []).append(s)
        return found

    def covers(self, one: ExitRule, series: int) -> bool:
        classified = self.view.classified[series]
        if one.pack.domain not in ("any", classified.domain):
            return False
        chain, rule = set(classified.chain), one.rule
        return (not rule.classes or not chain.isdisjoint(rule.classes)) and chain.isdisjoint(rule.without_classes)

    def answer(self, one: ExitRule, direction: Direction) -> Truth:
        """int8[n]: 1 where the rule is in force and its condition holds."""
        key = (one.rule.id, direction)
        if key not in self.answers:
            valid = self.in_force(one.rule, one.pack, self.view)
            truth = one.rule.when.truth(self.view, direction)
            self.answers[key] = np.where(valid, truth, 0) if len(valid) else np.zeros_like(truth)
        return self.answers[key]

    def reading(self, one: ExitRule, direction: Direction, series: Sequence[int], since: int) -> int | None:
        """Position of the first reading after `since` at which the rule holds in all series reported by then."""
        truth, panel = self.answer(one, direction), self.view.panel
        parts = [self.readings(s, since) for s in series]
        times = np.unique(np.concatenate([panel.time[p] for p in parts]))
        times = times[times > since]
        holds, known = np.ones(len(times), np.bool_), np.zeros(len(times), np.bool_)
        for at in parts:
            if not len(at):
                continue
            place = np.searchsorted(panel.time[at], times, "right") - 1
            gaps = np.diff(panel.time[at], prepend=panel.time[at[0]] - LEAST_CARRY)
            until = panel.time[at] + np.clip(3 * gaps, LEAST_CARRY, MOST_CARRY)  # as of a quote behind a mean
            standing = (place >= 0) & (times <= until[np.maximum(place, 0)])
            holds &= ~standing | (truth[at[np.maximum(place, 0)]] == 1)
            known |= standing
        when = np.flatnonzero(holds & known)
        if not len(when):
            return None
        return next(
            int(p[panel.time[p] == times[when[0]]][0]) for p in parts if (panel.time[p] == times[when[0]]).any()
        )

    def readings(self, series: int, since: int) -> IntArray:
        """Positions of the readings of a series that rules are applied to: after `since`, and the two before."""
        a, b = int(self.view.panel.start[series]), int(self.view.panel.start[series + 1])
        first = a + int(np.searchsorted(self.view.panel.time[a:b], since, "right"))
        after, tested = first + np.flatnonzero(self.view.tested[first:b]), self.view.tested
        before: list[int] = []
        while len(before) < 2 and first > a:  # years lie before a flag, and are not looked at
            first -= 1
            if tested[first]:
                before.insert(0, first)
        return np.concatenate([np.array(before, np.int64), after])

    def proposal(self, flag: Flag, one: ExitRule, position: int) -> Exit:
        said = "，".join(words(one.rule.when, self.view, position, flag.direction))
        seen = f"{flag.item}{said}。" if said else ""
        about = one.rule.advice or "建议提请终止"
        reason = f"{seen}依据：{sourced(one.rule, one.pack)}，{about}，是否终止由人决定。"
        return Exit(one.rule.id, one.pack.version, utc(int(self.view.panel.time[position])), reason)


def words(root: Condition, view: View, position: int, direction: Direction) -> Iterator[str]:
    """What the conditions that hold say of what they measured, each in its own words."""
    if isinstance(root, Not):
        return
    if root.children() and not root.needs_about():
        for child in root.children():
            if child.truth(view, direction)[position] == 1:
                yield from words(child, view, position, direction)
        return
    measured = root.measure(view, np.array([position], np.int64), direction)
    if measured is not None and measured.clause is not None and measured.clause[0]:
        yield str(measured.clause[0])
