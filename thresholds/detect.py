"""The whole path from a panel to flags: gate, means by area, rules, grading. No I/O, no clock.

    panel -> gate -> views (points, areas) -> rules -> episodes -> flags

A flag is a function of the observations of its item up to its time, and of the policy. The daemon evaluates the
items that changed, replay evaluates a file; both call `detect`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, tzinfo
from functools import partial
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from thresholds.aggregate import Areas, by_area
from thresholds.baskets import basket_flags
from thresholds.catalogue import Classified, Measure
from thresholds.doubts import data_flags
from thresholds.exits import with_exits
from thresholds.grading import RuleHits, hits_of
from thresholds.model import BoolArray, Flag, IntArray, Mark
from thresholds.panel import SHANGHAI, Panel, ranges_of
from thresholds.parts import Part, over_parts, parts, whole
from thresholds.plan import Pack, Policy, Rule
from thresholds.quality import Gate, gate
from thresholds.restart import BEGINNING, ENOUGH
from thresholds.silence import Cadence, silence_flags
from thresholds.view import View
from thresholds.writing import grade_moves

CITY = "全市"
ONE = np.int32(1)
ROOM = 18
"""Bytes for each observation that results of kernels may take between one rule and the next: less than the panel."""
LEAST_ROOM = 2**24
"""Bytes that they may take however small the panel is."""


@dataclass
class Detection:
    """What came out: flags in order of first flagging, the rules that failed, seconds by stage (of all
    threads together)."""

    flags: list[Flag] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    """rule id -> error; the other rules went on"""
    seconds: dict[str, float] = field(default_factory=dict)
    status: NDArray[np.uint8] = field(default_factory=lambda: np.empty(0, np.uint8))
    """of each observation, what the gate said (thresholds.quality.Status)"""

    def take(self, part: Detection) -> None:
        """Add what came out of a part."""
        self.flags += part.flags
        self.failed |= part.failed
        for name, seconds in part.seconds.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        begin = perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + perf_counter() - begin


def detect(
    panel: Panel,
    policy: Policy,
    now: datetime,
    *,
    cadences: Mapping[int, Cadence] | None = None,
    axis: IntArray | None = None,
    city: str = CITY,
    zone: tzinfo = SHANGHAI,
    silence: bool = True,
    since: IntArray | None = None,
    asked: IntArray | None = None,
) -> Detection:
    """Evaluate `panel` as seen at `now`.

    cadences  configured reporting intervals by series number; others are taken from the series
    axis      int64, rising: times at which somebody looked, for silence in replay (None: all the time)
    city      name of the whole area, for flags on several areas
    silence   false where `panel` holds some items only: who is silent is judged over all of them
    since     int64[n_series], seconds, the same for all series of an item: only flags that were first flagged then
              or later are given, each as it is without `since`, provided that no other flag of the item was open at
              that time or held one back (thresholds.restart says from when on that is so). Saves most of the work
    asked     int64[n_series], seconds, `since` or earlier: from when on rules are asked what is abnormal, for
              proposals to end something; `since` unless given
    """
    result = Detection()
    if not len(panel):
        return result
    judged = judge(panel, policy, result)
    result.status = judged.gated.status

    some = parts(panel, policy) if since is None else [whole(panel)]  # the newest days are quicker in one

    def part_moves(one: Part) -> Detection:
        own = [None if column is None else column[one.series] for column in (since, asked)]
        return moves(one.view(judged.points), policy, city, zone, *own)

    for part in over_parts(some, part_moves):
        result.take(part)
    with result.stage("grading"):
        result.flags += data_flags(panel, judged.gated, judged.points.classified, policy, since)
    if silence:
        with result.stage("silence"):
            known = cadences or {}
            result.flags += silence_flags(
                panel, judged.points.classified, policy, int(now.timestamp()), cadences=known, axis=axis, zone=zone
            )
    result.flags.sort(key=lambda f: (f.first_flagged, f.item, f.area, f.kind, f.direction, f.id))
    by_id = {f.id: f for f in reversed(result.flags)}
    if len(by_id) < len(result.flags):  # a fault of ours: say so, and let the other flags through
        result.failed["flag_id"] = (
            f"{len(result.flags) - len(by_id)} flags had the id of another one and were left out"
        )
        result.flags = [f for f in result.flags if by_id[f.id] is f]
    return result


def moves(
    points: View,
    policy: Policy,
    city: str,
    zone: tzinfo,
    since: IntArray | None = None,
    asked: IntArray | None = None,
) -> Detection:
    """Flags of kind move of a view that no rule looks beyond; `since` and `asked` as in `detect`."""
    result = Detection()
    seen = with_areas(points, result)
    if since is not None:
        seen.restrict(since if asked is None else seen.far_enough(asked, since))
    with result.stage("rules"):
        found = apply_rules(policy, seen.points, seen.wide, zone, result)
    with result.stage("grading"):
        graded = (
            found if since is None or asked is None else [later for one in found for later in seen.later(one, since)]
        )
        flags = grade_moves(graded, seen.areas, seen.points, policy, city)
        within = partial(in_force, zone=zone)
        result.flags += with_exits(flags, found, seen.wide, policy, city, within)
        views = seen.points.whole, seen.wide.whole, seen.areas.cell
        result.flags += basket_flags(*views, policy, city, within, result.failed)
    return result


@dataclass(frozen=True)
class Judged:
    """What the gate says of every value. points: each point's quotes."""

    gated: Gate
    points: View


@dataclass(frozen=True)
class Prepared:
    """What rules are applied to: made once, whatever the rules.

    points  each point's quotes; wide the means by area
    """

    areas: Areas
    points: View
    wide: View

    def restrict(self, since: IntArray) -> None:
        """Ask both views about what is at `since` (int64[n_series], seconds) or later only."""
        for view in (self.points, self.wide):
            view.rows = rows_since(view.panel, self.series_of(view, since))

    def series_of(self, view: View, of_points: IntArray) -> IntArray:
        """int64[n_series of the view], from a column per series of points."""
        if view.panel is self.points.panel:
            return of_points
        return of_points[np.array([members[0] for members in self.areas.members], np.int64)]

    def far_enough(self, asked: IntArray, since: IntArray) -> IntArray:
        """`asked`, and the beginning for items of which some mean has too few readings between it and `since`: after
        something abnormal before then so many have been reported that it is over for as many as rules ask for."""
        panel = self.wide.panel
        begin, end = self.series_of(self.wide, asked), self.series_of(self.wide, since)
        between = panel.first_at(end) - panel.first_at(begin)
        few = (begin < end) & (between < ENOUGH)
        items = {panel.keys[s].item for s in np.flatnonzero(few).tolist()}
        return np.where(np.array([key.item in items for key in self.points.panel.keys]), BEGINNING, asked)

    def later(self, one: RuleHits, since: IntArray) -> list[RuleHits]:
        """The hits at `since` or later; none of none."""
        panel = one.view.panel
        keep = panel.time[one.at] >= self.series_of(one.view, since)[panel.series_at(one.at)]
        return [one.only(keep)] if keep.any() else []


def rows_since(panel: Panel, since: IntArray) -> IntArray:
    """Positions, rising, of what is at `since` (int64[n_series], seconds) or later."""
    return ranges_of(panel.first_at(since), panel.start[1:])


def prepare(panel: Panel, policy: Policy, result: Detection) -> Prepared:
    """The gate and the means by area, with their seconds in `result`. `panel` is not empty."""
    return with_areas(judge(panel, policy, result).points, result)


def judge(panel: Panel, policy: Policy, result: Detection) -> Judged:
    with result.stage("gate"):
        classified = [policy.catalogue.classify(k) for k in panel.keys]
        gated = gate(panel, classified)
        accepted, rebased = gated.accepted, gated.rebased
        usable = accepted
        if np.bitwise_or.reduce(panel.mark) & Mark.EXPECTED:
            usable = accepted & ((panel.mark & Mark.EXPECTED) == 0)
        points = View(panel, classified, gated.tested, usable, np.broadcast_to(ONE, len(panel)), rebased, accepted)
        points.records = policy.records
    return Judged(gated, points)


def with_areas(points: View, result: Detection) -> Prepared:
    with result.stage("areas"):
        ratio = np.array([c.measure is Measure.PRICE for c in points.classified], np.bool_)
        areas = by_area(points.panel, points.real, points.rebased, ratio)
        wide = area_view(areas, points)
        wide.records = points.records
    return Prepared(areas, points, wide)


def area_view(areas: Areas, points: View) -> View:
    """The view of areas. Where every area has one point it is the view of points itself, kernels and all."""
    if areas.panel is points.panel:
        return points
    panel = areas.panel
    n = len(panel)
    classified: list[Classified] = [points.classified[int(m[0])] for m in areas.members]
    tested, usable, real, rebased = (np.full(n, whole, np.bool_) for whole in (True, True, True, False))
    for cell, members in enumerate(areas.members):
        if len(members) == 1:  # a copy of the point's series: its judgement goes with it
            here = slice(panel.start[cell], panel.start[cell + 1])
            there = slice(points.panel.start[members[0]], points.panel.start[members[0] + 1])
            tested[here], usable[here], real[here] = points.tested[there], points.usable[there], points.real[there]
            rebased[here] = points.rebased[there]
    usable[expected_means(areas, points)] = False
    return View(panel, classified, tested, usable, areas.n_points, rebased, real)


def expected_means(areas: Areas, points: View) -> IntArray:
    """Positions of means that a quote went into which a reviewer expected: no measure of what is usual either."""
    panel, found = areas.panel, []
    if not points.some_expected:
        return np.empty(0, np.int64)
    for i in np.flatnonzero(points.real & ~points.usable).tolist():
        cell = int(areas.cell[points.panel.series[i]])
        first, end = int(panel.start[cell]), int(panel.start[cell + 1])
        at = first + int(np.searchsorted(panel.time[first:end], points.panel.time[i]))
        if at < end and panel.time[at] == points.panel.time[i]:
            found.append(at)
    return np.array(found, np.int64)


def apply_rules(policy: Policy, points: View, wide: View, zone: tzinfo, result: Detection) -> list[RuleHits]:
    """Hits of all rules of all packs. A rule that fails is recorded; the others go on."""
    found: list[RuleHits] = []
    for pack in policy.packs:
        for rule in pack.rules:
            if rule.scope == "class":
                continue  # thresholds.baskets
            asked = wide if rule.scope == "area" else points
            view = asked if rule.when.row_by_row else asked.whole
            try:
                valid = in_force(rule, pack, view, zone)
                if valid.any():  # a rule for classes that are not here costs nothing
                    if view is not asked and asked.rows is not None:
                        valid = only(valid, asked.rows)
                    found += hits_of(rule, pack, view, valid)
                    forget(view, points if asked is wide else wide)
            except Exception as error:  # noqa: BLE001  # one bad rule must not silence the others
                result.failed[rule.id] = f"{type(error).__name__}: {error}"
    return found


def only(column: BoolArray, rows: IntArray) -> BoolArray:
    """The column, false wherever not among `rows`."""
    found = np.zeros_like(column)
    found[rows] = column[rows]
    return found


def forget(used: View, other: View) -> None:
    """Let go, after a rule, of what kernels found more than there is room for; of the view not in use first."""
    room = max(LEAST_ROOM, ROOM * max(len(used.panel), len(other.panel)))
    left = room - used.cache.trim(room)
    if other is not used:
        other.cache.trim(left)


def in_force(rule: Rule, pack: Pack, view: View, zone: tzinfo) -> BoolArray:
    """bool[n]: observations of the rule's classes and domain within its dates, of the rows that the view is asked
    about; empty where no series is."""
    applies = view.of_classes(rule.classes, rule.without_classes)
    if pack.domain != "any":
        applies &= view.series_where(lambda c: c.domain == pack.domain)
    applies &= view.series_where(rule.when.meant_for)
    if not applies.any():
        return applies[:0]
    valid: BoolArray = applies[view.series()]
    time = view.here(view.panel.time)
    for begin in (pack.valid_from, rule.valid_from):
        if begin:
            valid &= time >= midnight(begin, zone)
    for end in (pack.valid_until, rule.valid_until):
        if end:
            valid &= time < midnight(end, zone) + 86_400
    return valid


def midnight(day: date, zone: tzinfo) -> int:
    """Start of a civil day in `zone`, seconds since the epoch."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC).timestamp())
