"""Flags: what rules found becomes one flag per item, direction and area, each with its evidence.

A replay makes thousands of flags, so what they say is computed in columns, for all of them at once; the objects are
made at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from thresholds.aggregate import Areas
from thresholds.episodes import CITY, CLEARED, EXCEEDED, MERGED, NEVER, Episodes, episodes
from thresholds.evidence import (
    MOST_CONTRIBUTIONS,
    Members,
    carried_behind,
    contributions,
    earlier_years,
    points_behind,
    utc,
)
from thresholds.grading import Behind, Names, RuleHits, collect, flag_id, grade_of, opening_hits
from thresholds.model import Contribution, Direction, Earlier, Finding, Flag, IntArray, Kind
from thresholds.plan import Policy
from thresholds.ranks import Ranks, alike_last_year, proposed, remark
from thresholds.view import View
from thresholds.wording import Seen, Shown, basis, move_reason

END_WORDS = {CLEARED: "cleared", MERGED: "merged", EXCEEDED: "exceeded"}


def grade_moves(found: Sequence[RuleHits], areas: Areas, points: View, policy: Policy, city: str) -> list[Flag]:
    """Flags of kind `move` from all that the rules found."""
    if not found:
        return []
    names = Names.of(points.panel)
    collected = collect(found, names, policy)
    result = episodes(collected.hits, len(names.areas))
    if not len(result.first):
        return []
    return Writer(Behind(found, collected, areas, points), result, policy, city, names).flags()


class Episode(NamedTuple):
    """What a flag says of its episode. Times are seconds since the epoch; `area` CITY for several."""

    area: int
    last_hit: int
    end: int
    how: int
    peak: float
    rank: int
    why: int
    points: tuple[str, ...]
    carried: int


class Hit(NamedTuple):
    """What a finding says, beside what its rule measured. `value` is the newest of the series, `start` the time of
    the first observation of what is true."""

    source: int
    series: int
    time: int
    start: int
    value: float
    contributions: tuple[Contribution, ...]


class Writer:
    """Turns episodes into flags.

    opening   int64, the hits that open an episode, all of its first time: episode by episode, strongest first
    bounds    int64[n_episodes + 1], where those of each episode begin
    """

    def __init__(self, behind: Behind, result: Episodes, policy: Policy, city: str, names: Names) -> None:
        self.behind, self.result, self.policy, self.city = behind, result, policy, city
        self.found, self.collected = behind.found, behind.collected
        self.items, self.area_names = list(names.items), list(names.areas)
        self.opening = self.strongest_first(np.flatnonzero(opening_hits(self.collected.hits, result)))
        self.bounds = np.searchsorted(result.member[self.opening], np.arange(len(result.first) + 1))
        self.lead = self.opening[self.bounds[:-1]]
        self.laws: dict[tuple[int, int], str] = {}

    def strongest_first(self, opening: IntArray) -> IntArray:
        """`opening` episode by episode; equals in an order that does not depend on that of the series in the panel:
        by rule, area and key."""
        member, source = self.result.member[opening], self.collected.source[opening]
        strong = self.collected.hits.score[opening]
        order = np.lexsort((source, -strong, member))
        member, source, strong = member[order], source[order], strong[order]
        new = np.append(True, (np.diff(member) != 0) | (np.diff(source) != 0) | (np.diff(strong) != 0))
        begin = np.flatnonzero(new)
        length = np.diff(np.append(begin, len(order)))
        equal = np.flatnonzero(np.repeat(length > 1, length))
        series = dict(zip(equal.tolist(), self.behind.series(opening[order[equal]]).tolist(), strict=True))
        for a, b in zip(begin[length > 1].tolist(), (begin + length)[length > 1].tolist(), strict=True):
            panel = self.found[int(source[a])].view.panel
            named = [(panel.areas[series[k]], panel.keys[series[k]], int(order[k])) for k in range(a, b)]
            order[a:b] = [hit for _, _, hit in sorted(named)]
        return opening[order]

    def flags(self) -> list[Flag]:
        members = self.behind.members(self.opening)
        findings, seen, hits = self.findings(members)
        panel = self.behind.points.panel
        points, carried = points_behind(panel, members, self.bounds), carried_behind(panel, members, self.bounds)
        return [
            self.flag(episode, hits[a], seen[a], findings[a:b])
            for episode, (a, b) in zip(
                self.episodes(points, carried), pairwise(self.shown_bounds().tolist()), strict=True
            )
        ]

    def shown_bounds(self) -> IntArray:
        """Where the findings of each episode begin: the strongest hits, so many at most."""
        return np.append(0, np.cumsum(np.minimum(np.diff(self.bounds), MOST_CONTRIBUTIONS)))

    def findings(self, members: Members) -> tuple[list[Finding], list[Seen], list[Hit]]:
        """The findings of all flags, flag by flag, and what they were made of. `members` are those of `opening`."""
        place = np.arange(len(self.opening)) - np.repeat(self.bounds[:-1], np.diff(self.bounds))
        shown = np.flatnonzero(place < MOST_CONTRIBUTIONS)
        seen, hits = self.seen(self.opening[shown]), self.hits(self.opening[shown], members.only(shown))
        earlier: list[tuple[Earlier, ...]] = [()] * len(shown)
        leads = np.flatnonzero(place[shown] == 0)
        for one, where, row in self.behind.by_rule(self.lead):
            for k, years in zip(leads[where].tolist(), earlier_years(one.view, one.at[row]), strict=True):
                earlier[k] = years
        return [self.finding(*what) for what in zip(seen, hits, earlier, strict=True)], seen, hits

    def seen(self, hits: IntArray) -> list[Seen]:
        """What the rule of each of `hits` measured there."""
        n = len(hits)
        numbers = {name: np.full(n, np.nan) for name in ("value", "expected", "scale", "score", "threshold", "limit")}
        words = {name: np.full(n, "", np.object_) for name in ("unit", "window", "comparison", "clause")}
        n_used = np.zeros(n, np.int64)
        for one, where, row in self.behind.by_rule(hits):
            if one.measured is None:
                continue
            n_used[where] = one.measured.n_used[row]
            for name, column in (numbers | words).items():
                measured = getattr(one.measured, name)
                if measured is not None:
                    column[where] = measured[row]
        columns = {name: column.tolist() for name, column in (numbers | words | {"n_used": n_used}).items()}
        return [Seen(*row) for row in zip(*(columns[name] for name in Seen._fields), strict=True)]

    def hits(self, hits: IntArray, members: Members) -> list[Hit]:
        """What else a finding says; `members` are those of `hits`."""
        series, start = np.empty(len(hits), np.int64), np.empty(len(hits), np.int64)
        value = np.empty(len(hits))
        for one, where, row in self.behind.by_rule(hits):
            panel, at = one.view.panel, one.at[row]
            series[where], value[where], start[where] = (
                panel.series_at(at),
                panel.value[at],
                panel.time[one.since[row]],
            )
        source = self.collected.source[hits]
        push = np.array([-1.0 if one.direction is Direction.DOWN else 1.0 for one in self.found])[source]
        did = contributions(self.behind.points.panel, members, push)
        columns = (source, series, self.collected.hits.time[hits], start, value)
        return [Hit(*row) for row in zip(*(c.tolist() for c in columns), did, strict=True)]

    def finding(self, seen: Seen, hit: Hit, earlier: tuple[Earlier, ...]) -> Finding:
        one = self.found[hit.source]
        return Finding(
            rule=one.rule.id,
            rule_version=one.pack.version,
            at=utc(hit.time),
            direction=one.direction,
            value=hit.value,
            expected=seen.expected,
            scale=seen.scale,
            score=seen.score,
            threshold=seen.threshold,
            unit=seen.unit,
            window=seen.window,
            n_used=seen.n_used,
            reason=one.rule.title,
            contributions=hit.contributions,
            earlier=earlier,
        )

    def episodes(self, points: Sequence[tuple[str, ...]], carried: Sequence[int]) -> list[Episode]:
        """What flags say of their episodes; `points` are those behind the opening hits of each, `carried` how many of
        them did not report on the day."""
        result = self.result
        rank, why = self.ranks()
        columns = (result.area, result.last_hit, result.end, result.how, self.peaks(), rank, why[self.lead])
        return [Episode(*row) for row in zip(*(c.tolist() for c in columns), points, carried, strict=True)]

    def ranks(self) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
        """The highest rank that hits propose, per episode; and what changed it, per hit."""
        graded = self.graded()
        inside = np.flatnonzero(self.result.member >= 0)
        highest = np.zeros(len(self.result.first), np.int32)
        np.maximum.at(highest, self.result.member[inside], graded.rank[inside])
        return highest, graded.why

    def graded(self) -> Ranks:
        """The rank that each hit proposes."""
        hits, source = self.collected.hits, self.collected.source
        plans = list(self.policy.plans.values())
        festival, plan = np.zeros(len(hits), np.bool_), np.full(len(hits), len(plans), np.int32)
        statistical = np.array([bool(one.rule.rank_from_score) for one in self.found], np.bool_)[source]
        asks = np.flatnonzero(hits.opens & (self.result.member >= 0) & ((self.collected.base > 0) | statistical))
        for one, which, row in self.behind.by_rule(asks):
            where, at = asks[which], one.at[row]
            if not one.rule.rank_from_score:  # a statistical rule opens nothing on such a move (`hits_of`)
                compared = one.compared[row] if one.compared is not None else None
                festival[where] = alike_last_year(one.view, at, compared)
            kinds, codes = one.view.kinds
            own = [self.policy.plan_of(c.domain) for c in kinds]
            numbers = np.array([plans.index(p) if p else len(plans) for p in own], np.int32)
            plan[where] = numbers[codes[one.view.panel.series_at(at)]]
        return proposed(hits, self.result, self.collected.base, statistical, festival, [*plans, None], plan)

    def peaks(self) -> NDArray[np.float64]:
        """The most extreme value of each episode, over hits in the spec, unit and channel of the one that leads."""
        number: dict[tuple[str, str, str], int] = {}
        inside = np.flatnonzero(self.result.member >= 0)
        value, code = np.empty(len(inside)), np.empty(len(inside), np.int64)
        code_of_lead = np.empty(len(self.lead), np.int64)
        codes: dict[int, IntArray] = {}
        for hits, into, values in ((inside, code, value), (self.lead, code_of_lead, None)):
            for one, where, row in self.behind.by_rule(hits):
                panel = one.view.panel
                if id(panel) not in codes:
                    kinds = [number.setdefault((k.spec, k.unit, k.channel), len(number)) for k in panel.keys]
                    codes[id(panel)] = np.array(kinds, np.int64)
                into[where] = codes[id(panel)][panel.series_at(one.at[row])]
                if values is not None:
                    values[where] = panel.value[one.at[row]]
        member = self.result.member[inside]
        same = code == code_of_lead[member]
        falls = np.array([one.direction is Direction.DOWN for one in self.found], np.bool_)
        falls = falls[self.collected.source[self.lead]]
        peaks = np.where(falls, np.inf, -np.inf)
        down = same & falls[member]
        np.minimum.at(peaks, member[down], value[down])
        up = same & ~falls[member]
        np.maximum.at(peaks, member[up], value[up])
        return peaks

    def flag(self, episode: Episode, lead: Hit, seen: Seen, findings: Sequence[Finding]) -> Flag:
        """One flag; `findings` those of its opening hits, strongest first."""
        one = self.found[lead.source]
        key = one.view.panel.keys[lead.series]
        area = self.city if episode.area == CITY else self.area_names[episode.area]
        plan = self.policy.plan_of(one.view.classified[lead.series].domain)
        ended = episode.end < NEVER
        strongest = self.strongest(lead, episode)
        shown = Shown(key.item, key.spec, key.unit, area, episode.points, strongest, episode.carried)
        return Flag(
            id=flag_id(Kind.MOVE, plan, key.item, area, one.direction, lead.time, ""),
            kind=Kind.MOVE,
            plan=plan.id if plan else "",
            plan_version=plan.version if plan else "",
            rule=one.rule.id,
            rule_version=one.pack.version,
            item=key.item,
            point=episode.points[0] if len(episode.points) == 1 else "",
            area=area,
            direction=one.direction,
            start=utc(lead.start),
            first_flagged=utc(lead.time),
            last_hit=utc(episode.last_hit),
            end=utc(episode.end) if ended else None,
            end_reason=END_WORDS[episode.how] if ended else "",
            peak=episode.peak,
            peak_grade=grade_of(plan, episode.rank),
            value=seen.value,
            expected=seen.expected,
            threshold=seen.limit,
            reason=move_reason(shown, one.direction, seen, self.law(lead.source, episode.why)),
            findings=tuple(findings),
            points=episode.points,
        )

    def strongest(self, lead: Hit, episode: Episode) -> str:
        """Where the value of a flag on several areas was measured: the area, or the point, that leads."""
        panel = self.found[lead.source].view.panel
        area, point = panel.areas[lead.series], panel.keys[lead.series].point
        return f"{area}{point}" if episode.area == CITY and area != self.city else ""

    def law(self, source: int, why: int) -> str:
        """The sentence on the rule behind a flag, made once."""
        if (source, why) not in self.laws:
            one = self.found[source]
            self.laws[source, why] = basis(one.rule, one.pack, remark(why))
        return self.laws[source, why]
