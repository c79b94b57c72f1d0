"""How little must be evaluated: groups of items that can be passed over, and from when on the others are evaluated.

A daily sheet of thousands of prices changes the flags of a few. An item that was evaluated before under the same
rules, and of which what came is newer than all before, has the flags that it had, except those that may still change
and those that begin now. So

passed over  where no flag may change and what came can make no rule true (thresholds.newest)
from its restart on  everything else: flags from before then are kept (thresholds.restart)
whole        what was not evaluated before, was corrected, came late or all at once for more than three days
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from monitor.memory import Held, Memory, panel_of
from thresholds.model import Flag, IntArray
from thresholds.panel import DAY, Panel, codes_of
from thresholds.plan import Policy
from thresholds.records import Record
from thresholds.restart import AT_ONCE, BEGINNING, WHOLE, Restart, Restarts, one_mean, settled_from

if TYPE_CHECKING:  # numba behind it is loaded when something is first evaluated, not at start
    from thresholds.newest import Watch

SPARE = 15
"""days read more than are looked at, so that the readings before the first day are there too"""


@dataclass
class Known:
    """What is known of an item as it was last evaluated.

    flags    all of them, without what they say
    settled  the first second from which on nothing new can change one of them
    """

    flags: list[Flag]
    settled: int


@dataclass
class Plan:
    """What is to be done with the groups; `begins`: from when on items are evaluated, the others whole."""

    evaluated: list[frozenset[str]] = field(default_factory=list)
    passed: list[frozenset[str]] = field(default_factory=list)
    begins: dict[str, Restart] = field(default_factory=dict)


class Passing:
    """What was found under `policy` so far. One thread at a time."""

    def __init__(self, policy: Policy, city: str) -> None:
        self.policy, self.city = policy, city
        self.known: dict[str, Known] = {}
        self.doubts: dict[int, tuple[IntArray, NDArray[np.uint8]]] = {}
        """by series id: times of the readings that the gate did not accept, and what it said of them"""
        self.rows: dict[int, int] = {}
        """by series id: what the rules ask of it"""
        self.watch: Watch | None = None

    def evaluated(self, items: Collection[str], begins: Mapping[str, Restart], flags: Iterable[Flag]) -> None:
        """The items were evaluated, from `begins` on where it names them, and these flags found."""
        found: dict[str, list[Flag]] = {item: [] for item in items}
        for flag in flags:
            found[flag.item].append(replace(flag, reason="", findings=(), points=()))
        for item, own in found.items():
            begin = begins.get(item, WHOLE).since
            before = self.known[item].flags if begin > BEGINNING else []
            ids = {f.id for f in own}
            own += [f for f in before if f.id not in ids and int(f.first_flagged.timestamp()) < begin]
            self.known[item] = Known(own, max((settled_from(f, self.policy) for f in own), default=BEGINNING))

    def judged(self, panel: Panel, held: Sequence[Held], status: NDArray[np.uint8]) -> None:
        """What the gate said of each reading of these series."""
        for one in held:
            self.doubts.pop(one.id, None)
        at = np.flatnonzero(status)
        for own in np.split(at, np.flatnonzero(np.diff(panel.series[at])) + 1) if len(at) else ():
            self.doubts[held[int(panel.series[own[0]])].id] = panel.time[own], status[own]

    def plan(
        self,
        groups: Sequence[frozenset[str]],
        memory: Memory,
        since: Mapping[str, int],
        records: Collection[Record] = (),
    ) -> Plan:
        """What to do with the groups. `since`: by item, the first second that has news."""
        found = Plan()
        news: dict[str, int] = {}
        for group in groups:
            first = min(since[i] for i in group if i in since)
            if self.goes_on(group, memory, first):
                news |= dict.fromkeys(group, first)
        calm = {i for i, first in news.items() if first >= self.known[i].settled}
        calm -= self.recorded(calm, news, memory, records)
        unreported = {i for i in calm if not memory.by_item.get(i)}  # the mean of a class: as calm as its items
        calm = unreported | self.calm({i: news[i] for i in calm - unreported}, memory)
        restarts = Restarts(self.policy, self.city)
        for group in groups:
            (found.passed if group <= calm else found.evaluated).append(group)
            if group <= news.keys() and not group <= calm:
                for i in group:
                    alone = one_mean(memory.series[s].key for s in memory.by_item.get(i, ()))
                    found.begins[i] = restarts.of(self.known[i].flags, news[i], alone=alone)
        return found

    def goes_on(self, group: frozenset[str], memory: Memory, first: int) -> bool:
        """Whether the group was evaluated before, and what came since then is newer, and not too much."""
        if not group <= self.known.keys():
            return False
        changed = [i for item in group for i in memory.by_item.get(item, ()) if i in memory.changed]
        newest = max((int(memory.series[i].at[-1]) for i in changed if len(memory.series[i].at)), default=first)
        return all(i in memory.appended for i in changed) and newest - first <= AT_ONCE

    def recorded(
        self, items: Collection[str], news: Mapping[str, int], memory: Memory, records: Collection[Record]
    ) -> set[str]:
        """Those of the items for which something is recorded that holds: it counts whatever prices do."""
        first = min((news[item] for item in items), default=0)
        holding = [r for r in records if r.end is None or r.end > first]
        if not holding:
            return set()
        series = [memory.series[i] for item in items for i in memory.by_item.get(item, ())]
        classify = self.policy.catalogue.classify
        return {h.key.item for h in series if any(r.covers(h.key, h.area, classify(h.key)) for r in holding)}

    def calm(self, news: Mapping[str, int], memory: Memory) -> set[str]:
        """Of the items of `news` (with the first second that is new) those that are certain to mean nothing."""
        if not news:
            return set()
        from thresholds.newest import Cells, Watch, quiet_items

        watch = self.watch = self.watch or Watch(self.policy)
        first = min(news.values()) - (watch.reach + SPARE) * DAY
        series = [memory.series[i] for item in sorted(news) for i in memory.by_item.get(item, ())]
        panel, held = panel_of((tail(one, first) for one in series), memory.zone)
        rows, since = self.asked(held), since_of(held, news)
        by_item = quiet_items([h.key for h in held], watch.quiet(panel, rows, since))
        found = {item for item, quiet in by_item.items() if quiet}
        left = [one for one in series if one.key.item not in found]
        if not left:
            return found
        # a closer look at those that moved, with all their history
        panel, held = panel_of(left, memory.zone)
        rows, since = self.asked(held), since_of(held, news)
        cells = Cells.of(codes_of(list(zip(panel.group.tolist(), panel.areas, strict=True))).astype(np.int64))
        calm = watch.calm(panel, rows, since, self.status(panel, held), cells)
        moved = {held[int(s)].key.item for s in cells.members[cells.bounds[:-1]][~calm]}
        return found | ({h.key.item for h in held} - moved)

    def asked(self, held: Sequence[Held]) -> IntArray:
        """int64[n_series]: what the rules ask of each series (thresholds.newest.Watch.rows)."""
        assert self.watch is not None
        unknown = [h for h in held if h.id not in self.rows]
        classified = [self.policy.catalogue.classify(h.key) for h in unknown]
        found = self.watch.rows([h.key for h in unknown], classified).tolist()
        self.rows.update(zip((h.id for h in unknown), found, strict=True))
        return np.array([self.rows[h.id] for h in held], np.int64)

    def status(self, panel: Panel, held: Sequence[Held]) -> NDArray[np.uint8]:
        """uint8[n]: what the gate said of each reading when it was last evaluated; 0 of what came since then."""
        found = np.zeros(len(panel), np.uint8)
        for s, one in enumerate(held):
            if one.id in self.doubts:
                times, status = self.doubts[one.id]
                begin, end = int(panel.start[s]), int(panel.start[s + 1])
                found[begin + np.searchsorted(panel.time[begin:end], times)] = status
        return found


def since_of(held: Sequence[Held], news: Mapping[str, int]) -> IntArray:
    return np.array([news[h.key.item] for h in held], np.int64)


def tail(one: Held, first: int) -> Held:
    """A series from the second `first` on."""
    cut = int(np.searchsorted(one.at, first))
    return replace(one, at=one.at[cut:], value=one.value[cut:], mark=one.mark[cut:])
