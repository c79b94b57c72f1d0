"""Groups of items that need no evaluation: what came for them was appended, and can mean nothing.

A daily sheet of thousands of prices changes the flags of a few. An item may be passed over where it was evaluated
before under the same rules, has no open flag (which may end, or go on), and its new readings stand behind all others
and can make no rule true (thresholds.newest). Its flags are then those that are stored.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from monitor.memory import Held, Memory, panel_of
from thresholds.exit_rules import awaits_exit
from thresholds.model import Flag
from thresholds.panel import DAY
from thresholds.plan import Policy

if TYPE_CHECKING:  # numba behind it is loaded when something is first evaluated, not at start
    from thresholds.newest import Watch

SPARE = 15
"""days read more than are looked at, so that the readings before the first day are there too"""


class Passing:
    """Which items are calm: evaluated under `policy`, none of their flags open. One thread at a time."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.calm: set[str] = set()
        self.rows: dict[int, int] = {}
        """by series id: what the rules ask of it"""
        self.watch: Watch | None = None

    def evaluated(self, items: Collection[str], flags: Iterable[Flag]) -> None:
        """The items were evaluated whole and have these flags."""
        self.calm.update(items)
        self.calm.difference_update(f.item for f in flags if f.end is None or awaits_exit(f, self.policy))

    def split(
        self, groups: Sequence[frozenset[str]], memory: Memory, since: Mapping[str, int]
    ) -> tuple[list[frozenset[str]], list[frozenset[str]]]:
        """The groups to evaluate, and those to pass over. `since`: by item, the first second that has news."""
        asked = [g for g in groups if g <= self.calm and all(i in memory.appended for i in self.ids(g, memory))]
        if not asked:
            return list(groups), []
        news = {item: min(since[i] for i in g if i in since) for g in asked for item in g}
        calm = self.quiet(news, memory)
        passed = {g for g in asked if g <= calm}
        return [g for g in groups if g not in passed], [g for g in groups if g in passed]

    @staticmethod
    def ids(group: frozenset[str], memory: Memory) -> Iterable[int]:
        """Series of the group that were read anew."""
        return (i for item in group for i in memory.by_item.get(item, ()) if i in memory.changed)

    def quiet(self, news: Mapping[str, int], memory: Memory) -> set[str]:
        """Of the items of `news` (with the first second that is new) those that are certain to mean nothing."""
        from thresholds.newest import Watch, quiet_items

        watch = self.watch = self.watch or Watch(self.policy)
        held = [memory.series[i] for item in sorted(news) for i in memory.by_item.get(item, ())]
        first = min(news.values()) - (watch.reach + SPARE) * DAY
        panel, held = panel_of((tail(one, first) for one in held), memory.zone)
        unknown = [h for h in held if h.id not in self.rows]
        classified = [self.policy.catalogue.classify(h.key) for h in unknown]
        found = watch.rows([h.key for h in unknown], classified).tolist()
        self.rows.update(zip((h.id for h in unknown), found, strict=True))
        rows = np.array([self.rows[h.id] for h in held], np.int64)
        since = np.array([news[h.key.item] for h in held], np.int64)
        by_item = quiet_items([h.key for h in held], watch.quiet(panel, rows, since))
        return {item for item, quiet in by_item.items() if quiet}


def tail(one: Held, first: int) -> Held:
    """A series from the second `first` on."""
    cut = int(np.searchsorted(one.at, first))
    return replace(one, at=one.at[cut:], value=one.value[cut:], mark=one.mark[cut:])
