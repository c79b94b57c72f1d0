"""Hits and flags: what rules found becomes one flag per item, direction and area, each with its evidence."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from thresholds.aggregate import Areas
from thresholds.conditions import Measured
from thresholds.episodes import CITY, CLEARED, EXCEEDED, GRADE, LEVEL, MERGED, NEVER, Episodes, Hits, episodes
from thresholds.evidence import MOST_CONTRIBUTIONS, contributions, earlier_years
from thresholds.kernels.jit import compiled
from thresholds.model import (
    NO_GRADE,
    BoolArray,
    Direction,
    Finding,
    Flag,
    FloatArray,
    Grade,
    IntArray,
    Kind,
    SeriesKey,
)
from thresholds.panel import DAY, Panel
from thresholds.plan import Pack, Plan, Policy, Rule
from thresholds.ranks import Ranks, alike_last_year, base_ranks, proposed, remark
from thresholds.view import View
from thresholds.wording import Shown, move_reason

LEAST_READINGS = 2
END_WORDS = {CLEARED: "cleared", MERGED: "merged", EXCEEDED: "exceeded"}
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


def hits_of(rule: Rule, pack: Pack, view: View, valid: BoolArray) -> list[RuleHits]:
    """Apply a rule to a view; `valid` bool[n] is where it is in force and applies to the class."""
    found = []
    for direction in rule.directions:
        carrying = rule.when.truth(view, direction, rule.ease) == 1
        at = np.flatnonzero(carrying & view.tested & valid).astype(np.int64)
        if not len(at):
            continue
        # kept also where it opens nothing: it may carry on what another rule opened, whatever else is in the panel
        opens = rule.when.truth(view, direction)[at] == 1
        base = rule.when.compared(view, at)
        if rule.rank_from_score:  # what every Spring Festival brings is not unusual, however large beside other weeks
            opens &= ~alike_last_year(view, at, base)
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
    scan_holds(panel.start, panel.time, panel.series, view.real, at, hold_days * DAY, until)
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
        for i in range(at[k] + 1, start[series[at[k]] + 1]):
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


def holds_of(one: RuleHits, series: NDArray[np.int32], base: NDArray[np.int32], policy: Policy) -> IntArray:
    """int64[n]: days that each hit keeps a flag open: the rule's, and the plan's where numbers propose a grade."""
    kinds, codes = one.view.kinds
    plans = [policy.plan_of(c.domain) for c in kinds]
    own = np.array([(p.stable_days, p.highest) if p else (0, 0) for p in plans], np.int64)
    stable, highest = own[codes[series]].T
    numeric = (base > 0) & (base <= highest)  # a grade that was decided on ends when that is lifted (P24)
    return np.maximum(one.rule.hold_days, np.where(numeric & one.opens, stable, 0))


def collect(found: Sequence[RuleHits], names: Names, policy: Policy) -> Collected:
    """Bring the hits of all rules into the order of (item and direction, time, area)."""
    parts = []
    for number, one in enumerate(found):
        panel = one.view.panel
        item, area = names.columns(panel)
        series = panel.series[one.at]
        number_of_item, time = item[series].astype(np.int64), panel.time[one.at]
        score, times = scores_of(one)
        base = base_ranks(one.rule, score)
        parts.append(
            (
                number_of_item * 2 + (one.direction is Direction.DOWN),
                area[series],
                names.n_areas(number_of_item, time),
                time,
                held_until(one.view, one.at, holds_of(one, series, base, policy)),
                one.opens,
                # a higher grade, and a higher level of the source, is stronger than any move within a lower one
                times + GRADE * one.rule.rank + LEVEL * one.rule.level,
                base,
                np.full(len(one.at), number, np.int32),
                np.arange(len(one.at), dtype=np.int64),
            )
        )
    columns = [np.concatenate(c) for c in zip(*parts, strict=True)]
    order = np.lexsort((columns[1], columns[3], columns[0]))
    key, area, n_areas, time, until, opens, strength, base, source, row = (c[order] for c in columns)
    return Collected(Hits(key, area, n_areas, time, until, opens, strength), base, source, row)


def grade_moves(found: Sequence[RuleHits], areas: Areas, points: View, policy: Policy, city: str) -> list[Flag]:
    """Flags of kind `move` from all that the rules found."""
    if not found:
        return []
    names = Names.of(points.panel)
    collected = collect(found, names, policy)
    result = episodes(collected.hits, len(names.areas))
    if not len(result.first):
        return []
    writer = Writer(found, collected, result, areas, points, policy, city, list(names.items), list(names.areas))
    return writer.flags()


@dataclass(frozen=True)
class Behind:
    """What stands behind hits: the rule's hits, and the points whose quotes they are."""

    found: Sequence[RuleHits]
    collected: Collected
    areas: Areas
    points: View

    def members(self, hit: int) -> tuple[RuleHits, int, list[int]]:
        """The rule's hits, the position in its panel, and the series of the points that stand behind the value."""
        one = self.found[self.collected.source[hit]]
        position = int(one.at[self.collected.row[hit]])
        series = int(one.view.panel.series[position])
        if one.view.panel is not self.areas.panel:
            return one, position, [series]
        time = int(one.view.panel.time[position])
        behind = self.areas.members[series].tolist()
        if len(behind) > 1:
            behind = [s for s in behind if self.areas.standing(self.points.panel, s, time)]
        return one, position, behind

    def points_of(self, opening: IntArray) -> tuple[str, ...]:
        names: dict[str, None] = {}
        for hit in opening.tolist():
            for series in self.members(hit)[2]:
                names[self.points.panel.keys[series].point] = None
        return tuple(sorted(names))


def opening_hits(hits: Hits, result: Episodes) -> BoolArray:
    """bool[n]: hits that open an episode, all of its first time."""
    opening = np.zeros(len(hits), np.bool_)
    kept = result.member >= 0
    opening[kept] = hits.opens[kept] & (hits.time[kept] == hits.time[result.first[result.member[kept]]])
    return opening


class Writer:
    """Turns episodes into flags; measures the opening hits of each rule in one go."""

    def __init__(
        self,
        found: Sequence[RuleHits],
        collected: Collected,
        result: Episodes,
        areas: Areas,
        points: View,
        policy: Policy,
        city: str,
        items: list[str],
        area_names: list[str],
    ) -> None:
        self.found, self.collected, self.result = found, collected, result
        self.areas, self.points, self.policy, self.city = areas, points, policy, city
        self.items, self.area_names = items, area_names
        self.behind = Behind(found, collected, areas, points)
        self.opening = opening_hits(collected.hits, result)
        self.measured = self.measure(self.opening)
        self.ranks = self.graded()

    def graded(self) -> Ranks:
        """The rank that each hit proposes."""
        hits, source = self.collected.hits, self.collected.source
        plans = list(self.policy.plans.values())
        festival, plan = np.zeros(len(hits), np.bool_), np.full(len(hits), len(plans), np.int32)
        statistical = np.array([bool(one.rule.rank_from_score) for one in self.found], np.bool_)[source]
        asks = hits.opens & (self.result.member >= 0) & ((self.collected.base > 0) | statistical)
        for number, one in enumerate(self.found):
            where = np.flatnonzero((source == number) & asks)
            if not len(where):
                continue
            row = self.collected.row[where]
            at = one.at[row]
            if not one.rule.rank_from_score:  # a statistical rule opens nothing on such a move (`hits_of`)
                compared = one.compared[row] if one.compared is not None else None
                festival[where] = alike_last_year(one.view, at, compared)
            kinds, codes = one.view.kinds
            own = [self.policy.plan_of(c.domain) for c in kinds]
            numbers = np.array([plans.index(p) if p else len(plans) for p in own], np.int32)
            plan[where] = numbers[codes[one.view.panel.series[at]]]
        return proposed(hits, self.result, self.collected.base, statistical, festival, [*plans, None], plan)

    def measure(self, opening: BoolArray) -> dict[int, tuple[Measured | None, IntArray, int]]:
        """Per opening hit: what its rule measured, the start position, and its row in the measured columns."""
        out: dict[int, tuple[Measured | None, IntArray, int]] = {}
        for number, one in enumerate(self.found):
            where = np.flatnonzero(opening & (self.collected.source == number))
            if not len(where):
                continue
            for hit, row in zip(where.tolist(), self.collected.row[where].tolist(), strict=True):
                out[hit] = (one.measured, one.since, row)
        return out

    def flags(self) -> list[Flag]:
        member = self.result.member
        order = np.argsort(member, kind="stable")
        bounds = np.searchsorted(member[order], np.arange(len(self.result.first) + 1))
        flags = []
        for e in range(len(self.result.first)):
            rows = order[bounds[e] : bounds[e + 1]]
            opening = rows[self.opening[rows]]
            flags.append(self.flag(e, rows, np.array(sorted(opening.tolist(), key=self.standing_out), np.int64)))
        return flags

    def standing_out(self, hit: int) -> tuple[float, int, str, SeriesKey]:
        """Strongest first; among equals in an order that does not depend on that of the series in the panel."""
        one = self.found[self.collected.source[hit]]
        series = int(one.view.panel.series[one.at[self.collected.row[hit]]])
        strong = float(self.collected.hits.score[hit])
        return -strong, int(self.collected.source[hit]), one.view.panel.areas[series], one.view.panel.keys[series]

    def flag(self, e: int, rows: IntArray, opening: IntArray) -> Flag:
        """One flag; `opening` its opening hits, strongest first."""
        hits, result = self.collected.hits, self.result
        lead = int(opening[0])
        one = self.found[self.collected.source[lead]]
        findings = tuple(self.finding(int(h), first=h == lead) for h in opening[:MOST_CONTRIBUTIONS])
        item = self.items[int(hits.key[lead]) // 2]
        wide = result.area[e] == CITY
        area = self.city if wide else self.area_names[int(result.area[e])]
        points = self.behind.points_of(opening)
        measured, since, k = self.measured[lead]
        start = int(one.view.panel.time[since[k]])
        series = int(one.view.panel.series[one.at[self.collected.row[lead]]])
        key = one.view.panel.keys[series]
        plan = self.policy.plan_of(one.view.classified[series].domain)
        end = int(result.end[e])
        ended = end < NEVER
        shown = Shown(item, key.spec, key.unit, area, points)
        return Flag(
            id=flag_id(Kind.MOVE, plan, item, area, one.direction, int(hits.time[lead]), ""),
            kind=Kind.MOVE,
            plan=plan.id if plan else "",
            plan_version=plan.version if plan else "",
            rule=one.rule.id,
            rule_version=one.pack.version,
            item=item,
            point=points[0] if len(points) == 1 else "",
            area=area,
            direction=one.direction,
            start=utc(start),
            first_flagged=utc(int(hits.time[lead])),
            last_hit=utc(int(result.last_hit[e])),
            end=utc(end) if ended else None,
            end_reason=END_WORDS[int(result.how[e])] if ended else "",
            peak=self.peak(rows, key, one.direction),
            peak_grade=grade_of(plan, int(self.ranks.rank[rows].max())),
            value=float(measured.value[k]) if measured else float("nan"),
            expected=float(measured.expected[k]) if measured else float("nan"),
            threshold=float(measured.limit[k]) if measured else float("nan"),
            reason=move_reason(
                shown, one.direction, one.rule, one.pack, measured, k, remark(int(self.ranks.why[lead]))
            ),
            findings=findings,
            points=points,
        )

    def peak(self, rows: IntArray, key: SeriesKey, direction: Direction) -> float:
        """The most extreme value of the episode, over hits in the same spec, unit and channel."""
        values = []
        for number in set(self.collected.source[rows].tolist()):
            one = self.found[number]
            at = one.at[self.collected.row[rows[self.collected.source[rows] == number]]]
            keys = [one.view.panel.keys[s] for s in one.view.panel.series[at]]
            same = [(k.spec, k.unit, k.channel) == (key.spec, key.unit, key.channel) for k in keys]
            values.append(one.view.panel.value[at[np.array(same, np.bool_)]])
        every = np.concatenate(values)
        return float(every.min() if direction is Direction.DOWN else every.max())

    def finding(self, hit: int, *, first: bool) -> Finding:
        one, position, behind = self.behind.members(hit)
        measured, _, k = self.measured[hit]
        time = int(one.view.panel.time[position])
        return Finding(
            rule=one.rule.id,
            rule_version=one.pack.version,
            at=utc(time),
            direction=one.direction,
            value=float(one.view.panel.value[position]),
            expected=float(measured.expected[k]) if measured else float("nan"),
            scale=float(measured.scale[k]) if measured else float("nan"),
            score=float(measured.score[k]) if measured else float("nan"),
            threshold=float(measured.threshold[k]) if measured else float("nan"),
            unit=str(measured.unit[k]) if measured else "",
            window=str(measured.window[k]) if measured else "",
            n_used=int(measured.n_used[k]) if measured else 0,
            reason=one.rule.title,
            contributions=contributions(self.points.panel, self.areas.usable, behind, time, one.direction),
            earlier=earlier_years(one.view, position) if first else (),
        )


def grade_of(plan: Plan | None, rank: int) -> Grade:
    return plan.grade(rank) if plan and rank else NO_GRADE


def utc(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def flag_id(
    kind: Kind, plan: Plan | None, item: str, area: str, direction: Direction, opened: int, point: str
) -> str:
    """Twelve hex digits, the same whenever and wherever the flag is computed. `opened`: seconds since the epoch."""
    words = (kind.value, plan.id if plan else "", item, area, direction.value, point, str(opened))
    return hashlib.sha256("\x1f".join(words).encode()).hexdigest()[:12]
