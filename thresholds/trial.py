"""A rule on history: how many flags it makes, and which of the events that should be found it finds, how late.

The gate and the means by area are made once; every rule that is tried is applied to them, with the code of detection.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo

import numpy as np
from numpy.typing import NDArray

from thresholds.calendar import Lag
from thresholds.conditions import Change
from thresholds.detect import Detection, apply_rules, in_force, prepare
from thresholds.episodes import Episodes, episodes
from thresholds.grading import Behind, Collected, Names, collect, opening_hits
from thresholds.load import Watched, watched
from thresholds.model import BoolArray, Direction, IntArray
from thresholds.panel import SHANGHAI, Panel, civil_days
from thresholds.plan import Pack, Policy, Rule

Days = NDArray[np.int32]
TOLERANCE, RARE_TOLERANCE = 3, 1
"""Observations after an event's end in which a flag still announces it; of what is reported every three weeks or more
rarely, fewer"""
RARE = 21
PERCENTS = (1, 1.5, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 150, 200, 300, 500, 1000)
"""Of the rule that everybody can write in one line"""


class RuleError(Exception):
    """A rule that fails on this history."""


@dataclass(frozen=True, slots=True)
class Event:
    """What a good rule shows. Days since 1970-01-01; `after` is the last normal one.

    point      empty for the item at any point; `direction` NONE for either
    row        where it stands in its list
    """

    item: str
    point: str
    direction: Direction
    after: int
    start: int
    end: int
    row: int = 0


@dataclass(frozen=True)
class Window:
    """An event in terms of the reports of its item at its point: `days` of all of them, rising. A flag announces it
    where it was first known later than at number `low` (-1: before the first) and no later than at number `high`."""

    event: Event
    days: Days
    low: int
    high: int


@dataclass(frozen=True)
class Judged:
    """The events of a list, by what can be said of them."""

    windows: list[Window]
    unknown: list[Event]
    """the history does not have their item, or not at that point"""
    beyond: list[Event]
    """the rule does not watch their item, direction or time"""


@dataclass(frozen=True)
class Outcome:
    """What a rule did. `delays`: per window the reports from the last normal one to the first flag; None: missed."""

    flags: int
    delays: tuple[int | None, ...]

    @property
    def caught(self) -> int:
        return sum(d is not None for d in self.delays)

    @property
    def recall(self) -> float | None:
        return self.caught / len(self.delays) if self.delays else None

    @property
    def median_delay(self) -> float | None:
        known = [d for d in self.delays if d is not None]
        return float(statistics.median(known)) if known else None


def percent_rule(rule: Rule, percent: float) -> Rule:
    """ "Changed by more than so many percent since the report before", for what `rule` watches and in its way."""
    when = Change(over=Lag.PREVIOUS, percent=percent)
    return rule.model_copy(update={"when": when, "rank_from_score": ()})


class Trial:
    """One history, prepared for rules to be tried on it. `panel` is not empty."""

    def __init__(self, panel: Panel, policy: Policy, zone: tzinfo = SHANGHAI) -> None:
        self.panel, self.policy, self.zone = panel, policy, zone
        self.seen = prepare(panel, policy, Detection())
        self.names = Names.of(panel)

    def valid(self, rule: Rule, pack: Pack) -> BoolArray:
        """bool[n]: observations that the rule watches."""
        found = in_force(rule, pack, self.seen.points, self.zone)
        return found if len(found) else np.zeros(len(self.panel), np.bool_)

    def watched(self, rule: Rule, pack: Pack) -> Watched:
        return watched(self.panel, self.valid(rule, pack))

    def run(self, rule: Rule, pack: Pack, windows: Sequence[Window] = ()) -> Outcome:
        """Try one rule. Raises RuleError, also for rules that cannot be tried here."""
        if rule.scope == "class":
            raise RuleError('scope = "class" is not tried here; `monitor replay --rules` shows its flags')
        result = Detection()
        policy = replace(self.policy, packs=(pack.model_copy(update={"rules": (rule,)}),))
        found = apply_rules(policy, self.seen.points, self.seen.wide, self.zone, result)
        if result.failed:
            raise RuleError(result.failed[rule.id])
        if not found:
            return Outcome(0, (None,) * len(windows))
        collected = collect(found, self.names, policy)
        flags = episodes(collected.hits, len(self.names.areas))
        behind = Behind(found, collected, self.seen.areas, self.seen.points)
        sightings = Sightings(self.names, collected, flags, behind, self.zone)
        return Outcome(len(flags.first), tuple(sightings.delay(w) for w in windows))

    def judged(self, events: Sequence[Event], rule: Rule, pack: Pack) -> Judged:
        """Which of the events a rule can be asked for."""
        valid = self.valid(rule, pack)
        reports: dict[tuple[str, str], tuple[Days, Days, int]] = {}
        windows, unknown, beyond = [], [], []
        for event in events:
            about = (event.item, event.point)
            if about not in reports:
                reports[about] = self.reports(*about, valid)
            days, open_days, tolerance = reports[about]
            if not len(days):
                unknown.append(event)
                continue
            low = int(np.searchsorted(days, event.after, "right")) - 1
            high = min(int(np.searchsorted(days, event.end, "right")) - 1 + tolerance, len(days) - 1)
            window = Window(event, days, low, high)
            directed = event.direction is Direction.NONE or event.direction in rule.directions
            if directed and high > low and np.isin(days[low + 1 : high + 1], open_days).any():
                windows.append(window)
            else:
                beyond.append(event)
        return Judged(windows, unknown, beyond)

    def reports(self, item: str, point: str, valid: BoolArray) -> tuple[Days, Days, int]:
        """The days on which an item was reported at a point (empty: at any), those of them that count, and how many
        reports after an event its flag may come."""
        start, day = self.panel.start, self.panel.day
        series = [i for i, k in enumerate(self.panel.keys) if k.item == item and point in ("", k.point)]
        slices = [slice(start[i], start[i + 1]) for i in series if start[i] < start[i + 1]]
        if not slices:
            nothing = np.empty(0, np.int32)
            return nothing, nothing, TOLERANCE
        days = np.unique(np.concatenate([day[s] for s in slices]))
        counted = np.unique(np.concatenate([day[s][valid[s]] for s in slices]))
        gaps = [float(np.median(np.diff(day[s]))) for s in slices if s.stop - s.start > 1]
        rare = bool(gaps) and statistics.median(gaps) >= RARE
        return days, counted, RARE_TOLERANCE if rare else TOLERANCE


class Sightings:
    """The flags of one run, as far as it matters whether they announce an event: what, where, which way, when."""

    def __init__(self, names: Names, collected: Collected, result: Episodes, behind: Behind, zone: tzinfo) -> None:
        hits = collected.hits
        self.items, self.behind = names.items, behind
        self.key = hits.key[result.first]
        self.day = civil_days(hits.time[result.first], zone)
        opening = np.flatnonzero(opening_hits(hits, result))
        order = np.argsort(result.member[opening], kind="stable")
        self.opening: IntArray = opening[order]
        self.bounds = np.searchsorted(result.member[self.opening], np.arange(len(result.first) + 1))

    def delay(self, window: Window) -> int | None:
        """Reports from the last normal one to the first flag that announces the event."""
        event = window.event
        item = self.items[event.item] * 2
        keys = [item + d for d, way in enumerate((Direction.UP, Direction.DOWN)) if event.direction in ("", way)]
        about = np.flatnonzero(np.isin(self.key, keys))
        number = np.searchsorted(window.days, self.day[about], "right") - 1
        soon = (number > window.low) & (number <= window.high)
        for k in np.flatnonzero(soon)[np.argsort(number[soon], kind="stable")].tolist():
            if not event.point or self.point(int(about[k])) in ("", event.point):
                return int(number[k]) - window.low
        return None

    def point(self, e: int) -> str:
        """The point that a flag is about, empty for several."""
        points = self.behind.points_of(self.opening[self.bounds[e] : self.bounds[e + 1]])
        return points[0] if len(points) == 1 else ""
