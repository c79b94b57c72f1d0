"""Condition on the complaints about an item: what holds of the counts that name it, for the rules on its prices."""

from __future__ import annotations

from typing import Literal, cast

import numpy as np
from pydantic import Field

from thresholds.concerns import concerns
from thresholds.conditions import AnyCondition, Condition, Measured, Truth, condition, texts
from thresholds.model import Direction, IntArray
from thresholds.settings import Duration
from thresholds.view import View

Sources = dict[int, list[int]]


@condition
class Complaints(Condition):
    """`of` holds of the counts of complaints about the item in its area, as they were known by then.

    Use in rules on prices for "complaints about those items rise clearly" (with `surge` or `multiple`) and for their
    falling again (with `receded`). Not for rules on the counts themselves, which need no link, nor for complaints
    that name no item. Which counts: those of the classes `classes` whose spec is the item or one of its classes, or
    whose name holds that of the item (thresholds.concerns); of the same area where there are any, else all. The
    newest count stands, no older than `max_age`; unknown without one. Units: those of `of`. Source: price plan 3.4.2
    and 5.6.
    """

    kind: Literal["complaints"] = "complaints"
    of: AnyCondition
    """what must hold of the counts"""
    classes: tuple[str, ...] = Field(default=("投诉",), min_length=1)
    """classes of the counts"""
    need: Literal["every", "some"] = "every"
    """whether it must hold of every series of counts that concerns the item, or of some"""
    max_age: Duration = Field(default="45d", validate_default=True)
    """oldest age of a count"""

    def children(self) -> tuple[Condition, ...]:
        return (self.of,)

    def needs_about(self) -> frozenset[str]:
        return frozenset(self.classes)

    def can_hold(self, view: View) -> bool:
        return bool(view.of_classes(self.classes).any())

    def compared(self, view: View, at: IntArray) -> None:
        return None  # what is compared is another series

    def sources(self, view: View) -> Sources:
        """By series of another kind: the series of counts that concern it."""
        key = ("complaints about", self.classes)
        if key not in view.cache:
            view.cache[key] = self.linked(view)
        return cast(Sources, view.cache[key])

    def linked(self, view: View) -> Sources:
        panel = view.panel
        counts = np.flatnonzero(view.of_classes(self.classes)).tolist()
        found: Sources = {}
        if not counts:
            return found
        for s in np.flatnonzero(~view.of_classes(self.classes)).tolist():
            chain = view.classified[s].chain
            about = [c for c in counts if concerns(panel.keys[c], panel.keys[s].item, chain)]
            here = [c for c in about if panel.areas[c] == panel.areas[s]]
            if about:
                found[s] = here or about
        return found

    def standing(self, view: View, series: int, times: IntArray) -> IntArray:
        """int64: position of the newest count of `series` at each time, -1 where there is none young enough."""
        panel = view.panel
        a, b = int(panel.start[series]), int(panel.start[series + 1])
        place = np.searchsorted(panel.time[a:b], times, "right") - 1
        age = times - panel.time[a + np.maximum(place, 0)] if b > a else times
        return np.where((place >= 0) & (age <= self.max_age.total_seconds()), a + place, -1)

    def truth(self, view: View, direction: Direction, ease: float = 1.0) -> Truth:
        panel, found = view.panel, np.full(len(view.panel), -1, np.int8)
        sources = self.sources(view)
        if not sources:
            return found
        inner = self.of.truth(view, Direction.UP, ease)
        for s, counts in sources.items():
            here = slice(int(panel.start[s]), int(panel.start[s + 1]))
            at = np.stack([self.standing(view, c, panel.time[here]) for c in counts])
            answers = np.where(at >= 0, inner[at], -1)
            if self.need == "every":
                found[here] = np.where((answers == 0).any(axis=0), 0, answers.min(axis=0))
            else:
                found[here] = np.where((answers == 1).any(axis=0), 1, answers.min(axis=0))
        return found

    def measure(self, view: View, at: IntArray, direction: Direction) -> Measured:
        """What was measured of the counts, said with their name; of several, of the first for which `of` is true."""
        panel, sources = view.panel, self.sources(view)
        inner = self.of.truth(view, Direction.UP) if sources else np.empty(0, np.int8)
        where = np.full(len(at), -1, np.int64)
        for k, (s, time) in enumerate(zip(panel.series[at].tolist(), panel.time[at], strict=True)):
            known = [int(self.standing(view, c, np.array([time]))[0]) for c in sources.get(s, ())]
            where[k] = next((p for p in known if p >= 0 and inner[p] == 1), -1)
        return self.said(view, at, where)

    def said(self, view: View, at: IntArray, where: IntArray) -> Measured:
        nothing = np.full(len(at), np.nan)
        score, threshold, clause = nothing.copy(), nothing.copy(), np.full(len(at), "", np.object_)
        unit = texts("", at)
        known = np.flatnonzero(where >= 0)
        measured = self.of.measure(view, where[known], Direction.UP) if len(known) else None
        if measured is not None:
            score[known], threshold[known], unit[known] = measured.score, measured.threshold, measured.unit
            words = measured.clause if measured.clause is not None else texts("满足监测条件", known)
            for k, p, text in zip(known.tolist(), where[known].tolist(), words, strict=True):
                clause[k] = f"{named(view, p)}{text}"
        return Measured(
            value=view.panel.value[at],
            expected=nothing,
            scale=nothing,
            score=score,
            threshold=threshold,
            limit=nothing,
            unit=unit,
            window=texts("投诉举报", at),
            n_used=np.zeros(len(at), np.int64),
            comparison=texts(">=", at),
            clause=clause,
        )


def named(view: View, position: int) -> str:
    """A series of counts as it is said: 12315投诉举报（大米）."""
    key = view.panel.keys[int(view.panel.series[position])]
    return key.item + (f"（{key.spec}）" if key.spec else "")
