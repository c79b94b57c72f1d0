"""What the shipped policy finds of faults put into real and simulated panels: a table of docs/detectors.md.

`python -m tests.thresholds.fault_injection` writes it into the page. Each fault is put into many series at seeded
random places, one point of an item at a time unless it is one of all markets; the policy judges the panel with and
without, and only flags that the panel without does not raise are counted. Beside it the rule of one line, "changed by
more than p % since the report before", with the p that makes as many alarms as the policy raises flags of all kinds.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np

from tests.thresholds.faults import FAULTS, Fault, Market, Place, food, injected, judged, places, simulator, steps
from thresholds.detect import CITY
from thresholds.model import Flag, Kind
from thresholds.panel import Panel

PAGE = Path(__file__).parents[2] / "docs" / "detectors.md"
ROUNDS = 6
"""How often a fault that stays is put in, as it is put into each item but once"""
BLOCK = re.compile(r"<!-- injected -->\n(?P<body>.*?)<!-- end -->", re.DOTALL)


@dataclass
class Result:
    """What came of one fault in one market; counts of places, delays in reports (1: the first wrong one)."""

    places: int = 0
    found: int = 0
    delays: list[int] = field(default_factory=list)
    moved: int = 0
    elsewhere: float = 0.0
    percent_found: int = 0
    percent_delays: list[int] = field(default_factory=list)
    percent_elsewhere: float = 0.0

    @property
    def recall(self) -> float:
        return self.found / max(1, self.places)

    @property
    def as_move(self) -> float:
        return self.moved / max(1, self.places)


def told(flag: Flag) -> tuple[object, ...]:
    """What makes a flag the same one in the panel with and without."""
    which = () if flag.kind is Kind.MOVE else flag.points  # points join and leave the same move
    return flag.kind, flag.item, flag.area, flag.direction, flag.first_flagged, which


def about(market: Market, fault: Fault, place: Place, flag: Flag) -> bool:
    """Whether a flag speaks of what was put in at a place."""
    if not place.begin <= flag.first_flagged.timestamp() <= place.until:
        return False
    key, area = market.panel.keys[place.members[0]], market.panel.areas[place.members[0]]
    if fault.everywhere:
        return flag.item == place.item
    return flag.item in ("", place.item) and flag.area in (area, CITY) and flag.point in ("", key.point)


def measure(market: Market, fault: Fault, seed: int = 20_260_101) -> Result:
    """Put a fault in as often as the market has rounds, and add up what comes of it."""
    result = Result()
    turns = ROUNDS if fault.stays else market.rounds
    for turn in range(turns):
        where = places(market, fault, np.random.default_rng([seed, turn]))
        panel = injected(market, fault, where)
        result.places += len(where)
        flags = judged(panel)
        if fault.right:
            policy_found(market, fault, where, flags, result)
            percent_found(market, fault, where, panel, result)
        else:
            policy_quiet(market, fault, where, flags, result)
            percent_quiet(market, where, panel, result)
    result.elsewhere /= turns
    result.percent_elsewhere /= turns
    return result


def policy_found(market: Market, fault: Fault, where: Sequence[Place], flags: Sequence[Flag], result: Result) -> None:
    known = {told(f) for f in market.flags}
    new = defaultdict(list)
    for flag in flags:
        new[flag.item].append((flag, told(flag) in known))
    here: set[str] = set()
    for place in where:
        mine = [f for f, old in (*new[place.item], *new[""]) if not old and about(market, fault, place, f)]
        here |= {f.id for f in mine}
        right = [f for f in mine if f.kind in fault.right and (not fault.up or f.direction == "up")]
        result.moved += any(f.kind is Kind.MOVE for f in mine)
        if right:
            result.found += 1
            first = min(int(f.first_flagged.timestamp()) for f in right)
            result.delays.append(reports(market, place, first))
    rest = sum(f.kind is Kind.MOVE and f.id not in here for f in flags)
    result.elsewhere += 100 * rest / market.series_weeks


def policy_quiet(market: Market, fault: Fault, where: Sequence[Place], flags: Sequence[Flag], result: Result) -> None:
    """Whether no price warning of a rise comes, known from the panel without or not."""
    up = [f for f in flags if f.kind is Kind.MOVE and f.direction == "up" and (f.peak_grade.rank or not fault.graded)]
    for place in where:
        warned = any(about(market, fault, place, f) for f in up)
        result.found += not warned
        result.moved += warned
    rest = [f for f in flags if f.kind is Kind.MOVE and not any(about(market, fault, p, f) for p in where)]
    result.elsewhere += 100 * len(rest) / market.series_weeks


def percent_quiet(market: Market, where: Sequence[Place], panel: Panel, result: Result) -> None:
    new = alarms(market, panel)
    rest = sum(map(len, new.values()))
    for place in where:
        here = [up for s in place.members for at, up in new[s] if place.begin <= at <= place.until]
        rest -= len(here)
        result.percent_found += not any(here)
    result.percent_elsewhere += 100 * rest / market.series_weeks


def percent_found(market: Market, fault: Fault, where: Sequence[Place], panel: Panel, result: Result) -> None:
    """The same of the one-line rule: every report beyond it is an alarm, of whatever kind."""
    known = alarms(market, market.panel)
    new = alarms(market, panel)
    rest = sum(map(len, new.values()))
    for place in where:
        here = [x for s in place.members for x in new[s] - known[s] if place.begin <= x[0] <= place.until]
        rest -= len(here)
        hit = [at for at, up in here if up or not fault.up]
        if hit:
            result.percent_found += 1
            result.percent_delays.append(reports(market, place, min(hit)))
    result.percent_elsewhere += 100 * rest / market.series_weeks


def alarms(market: Market, panel: Panel) -> dict[int, set[tuple[int, bool]]]:
    """Time and whether it is a rise, of each alarm of the one-line rule, by series."""
    change = steps(panel)
    found = defaultdict(set)
    for i in np.flatnonzero(np.abs(change) > market.percent).tolist():
        found[int(panel.series[i])].add((int(panel.time[i]), bool(change[i] > 0)))
    return found


def reports(market: Market, place: Place, at: int) -> int:
    """Reports from the first wrong one to a time, both counted."""
    time = market.times(place.members[0])
    return int(np.searchsorted(time, at, "right") - np.searchsorted(time, place.begin))


# --- the table ---

HEAD = (
    *("put in", "n", "right", "delay", "raised `move`", "`move` elsewhere"),
    *("p %: right", "p %: delay", "p %: alarms elsewhere"),
)


def rows_of(market: Market) -> dict[str, list[str]]:
    """The rows of one market: what was put in -> cells."""
    load = 100 * sum(f.kind is Kind.MOVE for f in market.flags) / market.series_weeks
    every = 100 * len(market.flags) / market.series_weeks
    rows = {named(market, "nothing"): ["0", "", "", "", f"{load:.2f}", "", "", f"{every:.2f}"]}
    for fault in faults_of(market):
        r = measure(market, fault)
        rows[named(market, fault.name)] = [
            str(r.places),
            f"{100 * r.recall:.1f} %",
            late(r.delays),
            f"{100 * r.as_move:.1f} %",
            f"{r.elsewhere:.2f}",
            f"{100 * r.percent_found / max(1, r.places):.1f} %",
            late(r.percent_delays),
            f"{r.percent_elsewhere:.2f}",
        ]
    return rows


def faults_of(market: Market) -> list[Fault]:
    return [f for f in FAULTS if not f.markets or market.name in f.markets]


def named(market: Market, fault: str) -> str:
    return f"{market.name}: {fault}"


def late(delays: Sequence[int]) -> str:
    return f"{median(delays):g}" if delays else ""


def table(rows: dict[str, list[str]]) -> str:
    lines = [f"| {' | '.join(HEAD)} |", "|---" * len(HEAD) + "|"]
    lines += [f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    every: dict[str, list[str]] = {}
    for made in (food(), simulator()):
        every |= rows_of(made)
        print(f"{made.name}: p = {100 * made.percent:.1f} %")
    body = table(every)
    print(body)
    text = PAGE.read_text("utf-8")
    PAGE.write_text(BLOCK.sub(lambda _: f"<!-- injected -->\n{body}<!-- end -->", text), "utf-8")
