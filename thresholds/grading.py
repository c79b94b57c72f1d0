"""Hits: what rules found, in the order in which the machine of thresholds.episodes takes it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from thresholds.aggregate import Areas
from thresholds.conditions import Measured
from thresholds.episodes import GRADE, LEVEL, NEVER, Episodes, Hits
from thresholds.evidence import Members, members_of, points_behind
from thresholds.evidence import utc as utc  # flags of all kinds take it from here
from thresholds.fresh import leaps, takes_back
from thresholds.kernels.jit import compiled
from thresholds.model import (
    NO_GRADE,
    BoolArray,
    Direction,
    FloatArray,
    Grade,
    IntArray,
    Kind,
)
from thresholds.panel import DAY, Panel
from thresholds.plan import Pack, Plan, Policy, Rule
from thresholds.ranks import alike_last_year, base_ranks
from thresholds.view import View

LEAST_READINGS = 2
SPAN = 2**40
"""Seconds, more than any time of an observation, before or after 1970."""


@dataclass(frozen=True)
class RuleHits:
    """What one rule found on one view in one direction. Positions into the view's panel, rising.

    measured, since, compared  as of the rule's condition, for the positions `at`: asked for at once, while what the
                               kernels found is still there
    """

    rule: Rule
    pack: Pack
    direction: Direction
    view: View
    at: IntArray
    opens: BoolArray
    measured: Measured | None
    since: IntArray
    compared: IntArray | None

    def only(self, keep: BoolArray) -> RuleHits:
        """Those where `keep`, one for each, is true."""
        if keep.all():
            return self
        measured = None if self.measured is None else self.measured.only(keep)
        compared = None if self.compared is None else self.compared[keep]
        at, opens, since = self.at[keep], self.opens[keep], self.since[keep]
        return replace(self, at=at, opens=opens, measured=measured, since=since, compared=compared)


def hits_of(rule: Rule, pack: Pack, view: View, valid: BoolArray) -> list[RuleHits]:
    """Apply a rule to a view; `valid` bool[n] is where it is in force and applies to the class, of the rows that the
    view is asked about."""
    found = []
    for direction in rule.directions:
        carrying = rule.when.truth(view, direction, rule.ease) == 1
        place = np.flatnonzero(carrying & view.here(view.tested) & valid).astype(np.int64)
        if not len(place):
            continue
        at = place if view.rows is None else view.rows[place]
        # kept also where it opens nothing: it may carry on what another rule opened, whatever else is in the panel
        opens = rule.when.truth(view, direction)[place] == 1
        base = rule.when.compared(view, at)
        if rule.rank_from_score:  # what every Spring Festival brings is not unusual, however large beside other weeks
            opens &= ~alike_last_year(view, at, base)
            opens[opens] = ~takes_back(view, at[opens], None if base is None else base[opens])
        behind = rule.when.measure(view, at, direction), rule.when.since(view, at, direction)
        found.append(RuleHits(rule, pack, direction, view, at, opens, *behind, base))
    return found


def held_until(view: View, at: IntArray, hold_days: IntArray) -> IntArray:
    """int64: the time at which the hold after each position has passed, NEVER where the data ends before.

    That is the first reading of the series `hold_days` or more later, and at least the second one: a week for a daily
    series, two reports for a monthly one, whatever the hours at which the points of an area report. Suspected errors
    are no readings, as they are none of a mean over several points.
    """
    until = np.full(len(at), NEVER, np.int64)
    panel = view.panel
    scan_holds(panel.start, panel.time, panel.series_at(at), view.real, at, hold_days * DAY, until)
    return until


@compiled
def scan_holds(
    start: IntArray,
    time: IntArray,
    series: NDArray[np.int32],
    real: BoolArray,
    at: IntArray,
    hold: IntArray,
    until: IntArray,
) -> None:
    for k in range(len(at)):
        readings = 0
        for i in range(at[k] + 1, start[series[k] + 1]):
            if real[i]:
                readings += 1
                if readings >= LEAST_READINGS and time[i] >= time[at[k]] + hold[k]:
                    until[k] = time[i]
                    break


@dataclass(frozen=True)
class Names:
    """Numbers for items and areas that both views share; areas are numbered in order of their names."""

    items: dict[str, int]
    areas: dict[str, int]
    first: IntArray
    """int64, when an item was first seen in an area, as item * SPAN + time, rising"""

    @classmethod
    def of(cls, panel: Panel) -> Names:
        items: dict[str, int] = {}
        areas = {name: number for number, name in enumerate(sorted(set(panel.areas)))}
        first: dict[tuple[int, str], int] = {}
        for s, (key, area) in enumerate(zip(panel.keys, panel.areas, strict=True)):
            item = items.setdefault(key.item, len(items))
            if panel.start[s] < panel.start[s + 1]:
                begin = int(panel.time[panel.start[s]])
                first[item, area] = min(begin, first.get((item, area), begin))
        seen = np.sort(np.array([item * SPAN + begin for (item, _), begin in first.items()], np.int64))
        return cls(items, areas, seen)

    def columns(self, panel: Panel) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Number of item and area per series."""
        return (
            np.array([self.items[k.item] for k in panel.keys], np.int32),
            np.array([self.areas[a] for a in panel.areas], np.int32),
        )

    def n_areas(self, item: IntArray, time: IntArray) -> NDArray[np.int32]:
        """In how many areas each item had been seen by each time."""
        known = np.searchsorted(self.first, item * SPAN + time, "right")
        earlier = np.searchsorted(self.first, item * SPAN - SPAN // 2, "left")
        return (known - earlier).astype(np.int32)


@dataclass(frozen=True)
class Collected:
    """All hits as the machine takes them, and where each came from: index into `found` and position in its list.

    base   int32[n], the rank that the rule of each hit proposes by itself
    """

    hits: Hits
    base: NDArray[np.int32]
    source: NDArray[np.int32]
    row: IntArray


def scores_of(one: RuleHits) -> tuple[FloatArray, FloatArray]:
    """float64[n] twice: the score of each hit in its own unit (NaN: none), and how far beyond its threshold it lies,
    as a multiple of it; 1 where that cannot be said."""
    measured = one.measured
    if measured is None:
        return np.full(len(one.at), np.nan), np.ones(len(one.at))
    with np.errstate(divide="ignore", invalid="ignore"):
        times = np.abs(measured.score / measured.threshold)
    times = np.where(measured.unit == "", 1 + times, times)  # a distance from a level, zero at the level itself
    return measured.score, np.where(np.isfinite(times), np.minimum(times, LEVEL - 1), 1.0)


def holds_of(
    one: RuleHits, series: NDArray[np.int32], base: NDArray[np.int32], policy: Policy, days: Mapping[str, int]
) -> IntArray:
    """int64[n]: days that each hit keeps a flag open: the rule's, and the plan's where numbers propose a grade.

    days  those of each plan, by its id
    """
    kinds, codes = one.view.kinds
    plans = [policy.plan_of(c.domain) for c in kinds]
    own = np.array([(days[p.id], p.highest) if p else (0, 0) for p in plans], np.int64)
    stable, highest = own[codes[series]].T
    numeric = (base > 0) & (base <= highest)  # a grade that was decided on ends when that is lifted (P24)
    return np.maximum(one.rule.hold_days, np.where(numeric & one.opens, stable, 0))


def numbered(found: Sequence[RuleHits]) -> dict[int, IntArray]:
    """int64[n_series] by the id of each panel: numbers of the series with hits, no two alike. In order of their keys,
    so that they do not depend on the order of the panel."""
    numbers: dict[int, IntArray] = {}
    panels = {id(one.view.panel): one.view.panel for one in found}
    for place, (name, panel) in enumerate(panels.items()):
        hit = np.unique(
            np.concatenate([one.view.panel.series_at(one.at) for one in found if one.view.panel is panel])
        )
        ordered = [s for _, _, s in sorted((panel.keys[s], panel.areas[s], s) for s in hit.tolist())]
        numbers[name] = np.zeros(panel.n_series, np.int64)
        numbers[name][ordered] = np.arange(len(ordered)) * len(panels) + place
    return numbers


def collect(found: Sequence[RuleHits], names: Names, policy: Policy) -> Collected:
    """Bring the hits of all rules into the order of (item and direction, time, area)."""
    parts = []
    numbers = numbered(found)
    days = {plan.id: policy.stable_days(plan) for plan in policy.plans.values()}
    for number, one in enumerate(found):
        panel = one.view.panel
        item, area = names.columns(panel)
        series = panel.series_at(one.at)
        number_of_item, time = item[series].astype(np.int64), panel.time[one.at]
        score, times = scores_of(one)
        base = base_ranks(one.rule, score)
        parts.append(
            (
                number_of_item * 2 + (one.direction is Direction.DOWN),
                area[series],
                names.n_areas(number_of_item, time),
                time,
                held_until(one.view, one.at, holds_of(one, series, base, policy, days)),
                one.opens,
                # a higher grade, and a higher level of the source, is stronger than any move within a lower one
                times + GRADE * one.rule.rank + LEVEL * one.rule.level,
                numbers[id(panel)][series],
                panel.value[one.at] * (-1 if one.direction is Direction.DOWN else 1),
                leaps(one.view, one.at, one.compared if one.rule.rank_from_score else None),
                base,
                np.full(len(one.at), number, np.int32),
                np.arange(len(one.at), dtype=np.int64),
            )
        )
    columns = [np.concatenate(c) for c in zip(*parts, strict=True)]
    order = np.lexsort((columns[1], columns[3], columns[0]))
    *hits, base, source, row = (c[order] for c in columns)
    return Collected(Hits(*hits), base, source, row)


@dataclass(frozen=True)
class Behind:
    """What stands behind hits: where they were found, and the points whose quotes they are."""

    found: Sequence[RuleHits]
    collected: Collected
    areas: Areas
    points: View

    def by_rule(self, hits: IntArray) -> Iterator[tuple[RuleHits, IntArray, IntArray]]:
        """Rule by rule that has some of `hits`: what it found, which of them they are, and their rows in it."""
        source, row = self.collected.source[hits], self.collected.row[hits]
        for number, one in enumerate(self.found):
            where = np.flatnonzero(source == number)
            if len(where):
                yield one, where, row[where]

    def series(self, hits: IntArray) -> IntArray:
        """int64: the series of each hit in the panel of its rule's view."""
        found = np.empty(len(hits), np.int64)
        for one, where, row in self.by_rule(hits):
            found[where] = one.view.panel.series_at(one.at[row])
        return found

    def members(self, hits: IntArray) -> Members:
        """The points behind each of `hits`."""
        wide = np.array([one.view.panel is self.areas.panel for one in self.found], np.bool_)
        time = self.collected.hits.time[hits]
        return members_of(self.areas, self.points.panel, wide[self.collected.source[hits]], self.series(hits), time)

    def points_of(self, opening: IntArray) -> tuple[str, ...]:
        """The names of all points behind some hits, in order."""
        return points_behind(self.points.panel, self.members(opening), np.array([0, len(opening)]))[0]


def opening_hits(hits: Hits, result: Episodes) -> BoolArray:
    """bool[n]: hits that open an episode, all of its first time."""
    opening = np.zeros(len(hits), np.bool_)
    kept = result.member >= 0
    opening[kept] = hits.opens[kept] & (hits.time[kept] == hits.time[result.first[result.member[kept]]])
    return opening


def grade_of(plan: Plan | None, rank: int) -> Grade:
    return plan.grade(rank) if plan and rank else NO_GRADE


def flag_id(
    kind: Kind, plan: Plan | None, item: str, area: str, direction: Direction, opened: int, point: str
) -> str:
    """Twelve hex digits, the same whenever and wherever the flag is computed. `opened`: seconds since the epoch."""
    words = (kind.value, plan.id if plan else "", item, area, direction.value, point, str(opened))
    return hashlib.sha256("\x1f".join(words).encode()).hexdigest()[:12]
