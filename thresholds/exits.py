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
from thresholds.grading import SPAN, RuleHits, utc
from thresholds.kept import Kept
from thresholds.model import BoolArray, Direction, Exit, Flag, IntArray
from thresholds.panel import Panel, ranges_of
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
    judge = Judge.of([flag for flag in flags if flag.id in waiting], found, wide, rules, city, in_force)
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


def newest_abnormal(view: View, found: Sequence[RuleHits], items: set[str]) -> IntArray:
    """int64: for each row that is asked about the time of the newest observation up to it, of its item and area, that
    a rule found abnormal. Of series of other items than these: none."""
    number: dict[tuple[str, str], int] = {}
    panels = {id(p): p for p in (view.panel, *(one.view.panel for one in found))}
    known = {name: numbered(panel, items, number) for name, panel in panels.items()}
    hits = [np.empty(0, np.int64)]
    for one in found:
        panel = one.view.panel
        of = known[id(panel)][panel.series_at(one.at)]
        hits.append((of * SPAN + panel.time[one.at])[of >= 0])
    every = np.unique(np.concatenate(hits))
    if not len(every):
        return np.full(view.n_asked, LONG_AGO, np.int64)
    of = known[id(view.panel)][view.series()]
    newest = every[np.maximum(np.searchsorted(every, of * SPAN + view.here(view.panel.time), "right") - 1, 0)]
    time = newest - of * SPAN
    there = (of >= 0) & (time <= view.here(view.panel.time)) & (time > -SPAN // 2)  # else it is of the one before
    return np.where(there, time, LONG_AGO)


def numbered(panel: Panel, items: set[str], number: dict[tuple[str, str], int]) -> IntArray:
    """int64[n_series]: a number for the item and area of each series, -1 for other items. `number` takes them."""
    named = zip(panel.keys, panel.areas, strict=True)
    codes = [number.setdefault((k.item, area), len(number)) if k.item in items else -1 for k, area in named]
    return np.array(codes, np.int64)


@dataclass
class Judge:
    """Finds the first reading at which the end of a flag is proposed.

    view      means by area, asked about from the first row on that some flag needs
    first_of  by series of flags that wait: the first position asked about; `offset` what brings positions to rows
    involved  bool[n_series]: series that count for rules that look at other rows
    found     what all rules found; `items` those of the flags
    """

    view: View
    first_of: dict[int, int]
    offset: dict[int, int]
    involved: BoolArray
    found: Sequence[RuleHits]
    items: set[str]
    in_force: InForce
    city: str
    answers: dict[tuple[str, Direction], Truth | None] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        flags: Sequence[Flag],
        found: Sequence[RuleHits],
        wide: View,
        rules: Sequence[ExitRule],
        city: str,
        in_force: InForce,
    ) -> Judge:
        """The judge of these flags."""
        items = {flag.item for flag in flags}
        judge = cls(wide, {}, {}, involved(wide, items, rules), found, items, in_force, city)
        first = judge.first_of
        for flag in flags:
            since = int(flag.last_hit.timestamp())
            for s in judge.series_of(flag):
                first[s] = min(first.get(s, len(wide.panel)), judge.begin(s, since))
        series = sorted(first)
        begins, ends = (
            np.array([first[s] for s in series], np.int64),
            wide.panel.start[np.array(series, np.int64) + 1],
        )
        places = np.cumsum(ends - begins) - (ends - begins)
        judge.offset = dict(zip(series, (places - begins).tolist(), strict=True))
        judge.view = replace(wide, rows=ranges_of(begins, ends), cache=Kept())
        judge.view.abnormal = newest_abnormal(judge.view, found, items)
        return judge

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
            if key.item in self.items:
                found.setdefault(key.item, []).append(s)
        return found

    def covers(self, one: ExitRule, series: int) -> bool:
        classified = self.view.classified[series]
        if one.pack.domain not in ("any", classified.domain):
            return False
        chain, rule = set(classified.chain), one.rule
        return (not rule.classes or not chain.isdisjoint(rule.classes)) and chain.isdisjoint(rule.without_classes)

    def answer(self, one: ExitRule, direction: Direction) -> Truth | None:
        """int8, for each row asked about: 1 where the rule is in force and its condition holds; None for nowhere."""
        key = (one.rule.id, direction)
        if key not in self.answers:
            found = self.ask(one, direction)
            self.answers[key] = None if found is None or not (found == 1).any() else found
        return self.answers[key]

    def ask(self, one: ExitRule, direction: Direction) -> Truth | None:
        if not one.rule.when.can_hold(self.view):
            return None
        by_row = one.rule.when.row_by_row
        view = self.view if by_row else self.alone
        valid = self.in_force(one.rule, one.pack, view)
        if not len(valid):
            return None
        truth = np.where(valid, one.rule.when.truth(view, direction), 0)
        return truth if by_row else truth[self.there(self.view.here(np.arange(len(self.view.panel))))]

    @cached_property
    def alone(self) -> View:
        """The series that are involved, asked about everywhere: for rules that look at other rows than their own."""
        view = only_series(self.view, self.involved)
        view.abnormal = newest_abnormal(view, self.found, self.items)
        return view

    def there(self, at: IntArray) -> IntArray:
        """Positions as they are in `alone`."""
        lengths = np.diff(self.view.panel.start)
        skipped = np.append(0, np.cumsum(np.where(self.involved, 0, lengths)))
        found: IntArray = at - skipped[self.view.panel.series_at(at)]
        return found

    def reading(self, one: ExitRule, direction: Direction, series: Sequence[int], since: int) -> int | None:
        """Position of the first reading after `since` at which the rule holds in all series reported by then."""
        truth, panel = self.answer(one, direction), self.view.panel
        if truth is None:
            return None
        parts = [self.readings(s, since) for s in series]
        told = [truth[at + self.offset[s]] == 1 for s, at in zip(series, parts, strict=True)]
        if not any(hold.any() for hold in told):
            return None
        times = np.unique(np.concatenate([panel.time[p] for p in parts]))
        times = times[times > since]
        holds, known = np.ones(len(times), np.bool_), np.zeros(len(times), np.bool_)
        for at, hold in zip(parts, told, strict=True):
            if not len(at):
                continue
            place = np.searchsorted(panel.time[at], times, "right") - 1
            gaps = np.diff(panel.time[at], prepend=panel.time[at[0]] - LEAST_CARRY)
            until = panel.time[at] + np.clip(3 * gaps, LEAST_CARRY, MOST_CARRY)  # as of a quote behind a mean
            standing = (place >= 0) & (times <= until[np.maximum(place, 0)])
            holds &= ~standing | hold[np.maximum(place, 0)]
            known |= standing
        when = np.flatnonzero(holds & known)
        if not len(when):
            return None
        return next(
            int(p[panel.time[p] == times[when[0]]][0]) for p in parts if (panel.time[p] == times[when[0]]).any()
        )

    def readings(self, series: int, since: int) -> IntArray:
        """Positions of the readings of a series that rules are applied to: after `since`, and the two before."""
        begin, end = self.begin(series, since), int(self.view.panel.start[series + 1])
        return begin + np.flatnonzero(self.view.tested[begin:end])

    def begin(self, series: int, since: int) -> int:
        """Position of the second reading of a series before `since` that rules are applied to; its first without."""
        a, b = int(self.view.panel.start[series]), int(self.view.panel.start[series + 1])
        at, tested, before = a + int(np.searchsorted(self.view.panel.time[a:b], since, "right")), self.view.tested, 0
        while before < 2 and at > a:  # years lie before a flag, and are not looked at
            at -= 1
            before += bool(tested[at])
        return at

    def proposal(self, flag: Flag, one: ExitRule, position: int) -> Exit:
        by_row, at = one.rule.when.row_by_row, np.array([position], np.int64)
        view, at = (self.view, at) if by_row else (self.alone, self.there(at))
        said = "，".join(words(one.rule.when, view, at, flag.direction))
        seen = f"{flag.item}{said}。" if said else ""
        about = one.rule.advice or "建议提请终止"
        reason = f"{seen}依据：{sourced(one.rule, one.pack)}，{about}，是否终止由人决定。"
        return Exit(one.rule.id, one.pack.version, utc(int(self.view.panel.time[position])), reason)


def words(root: Condition, view: View, at: IntArray, direction: Direction) -> Iterator[str]:
    """What the conditions that hold at a position (int64[1]) say of what they measured, each in its own words."""
    if isinstance(root, Not):
        return
    if root.children() and not root.needs_about():
        for child in root.children():
            if child.truth(view, direction)[view.place(at)[0]] == 1:
                yield from words(child, view, at, direction)
        return
    measured = root.measure(view, at, direction)
    if measured is not None and measured.clause is not None and measured.clause[0]:
        yield str(measured.clause[0])
