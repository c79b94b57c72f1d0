"""Condition on what people recorded: decisions and observations (thresholds.records)."""

from __future__ import annotations

from typing import Literal

import numpy as np

from thresholds.conditions import Condition, Measured, Truth, condition, texts
from thresholds.conditions_tree import All, Any_, Not
from thresholds.model import BoolArray, Direction, IntArray
from thresholds.records import Record
from thresholds.view import View


@condition
class Recorded(Condition):
    """A record that covers the series is in force at the time of the observation.

    Use for what no number says: a price intervention or emergency measures in force (`decision`), and 抢购, 流言,
    乱收费 or a risk of spreading that somebody saw (`observed`). Not for thresholds: a rule whose grade only a
    decision can raise is refused unless it needs a decision to be true. Known at every observation; true from the
    beginning of the record until before its end. Without observations of its items nothing is flagged. No unit.
    Source: price plan 3.4.2; Price Law, arts. 30 to 32; the national reporting trigger.
    """

    kind: Literal["recorded"] = "recorded"
    by_row = True
    record: Literal["decision", "observed"] = "decision"
    """an official decision, or what was seen"""
    measures: tuple[str, ...] = ()
    """which: 干预, 紧急, or words such as 抢购; none: any"""
    issuers: tuple[str, ...] = ()
    """by whom, for example 国务院; none: anybody"""

    def wanted(self, view: View) -> list[Record]:
        """Records of this kind in order of their beginning."""
        found = [
            r
            for r in view.records
            if r.kind == self.record
            and (not self.measures or r.measure in self.measures)
            and (not self.issuers or r.issuer in self.issuers)
        ]
        return sorted(found, key=lambda r: (r.start, r.id))

    def where(self, view: View, record: Record) -> BoolArray:
        """bool[n]: observations that a record holds for."""
        panel = view.panel
        named = zip(panel.keys, panel.areas, view.classified, strict=True)
        covered = np.array([record.covers(key, area, c) for key, area, c in named], np.bool_)
        found: BoolArray = covered[view.series()] & record.holds(view.here(panel.time))
        return found

    def truth(self, view: View, direction: Direction, ease: float = 1.0) -> Truth:
        found = np.zeros(len(view.here(view.panel.value)), np.bool_)
        for record in self.wanted(view):
            found |= self.where(view, record)
        return found.astype(np.int8)

    def measure(self, view: View, at: IntArray, direction: Direction) -> Measured:
        """Nothing is measured; said are all records that hold."""
        said = [""] * len(at)
        for record in self.wanted(view):
            for k in np.flatnonzero(self.where(view, record)[view.place(at)]).tolist():
                said[k] += ("，" if said[k] else "") + record.words
        nothing = np.full(len(at), np.nan)
        return Measured(
            value=view.panel.value[at],
            expected=nothing,
            scale=nothing,
            score=np.where(np.array(said, np.object_) != "", 1.0, np.nan),
            threshold=np.ones(len(at)),
            limit=nothing,
            unit=texts("项", at),
            window=texts("记录", at),
            n_used=np.zeros(len(at), np.int64),
            comparison=texts(">=", at),
            clause=np.array(said, np.object_),
        )


def rests_on_decision(root: Condition) -> bool:
    """Whether a condition can only be true where a decision is recorded, whatever the numbers are (P13)."""
    if isinstance(root, Recorded):
        return root.record == "decision"
    parts = [rests_on_decision(child) for child in root.children()]
    if isinstance(root, Not) or not parts:
        return False
    if isinstance(root, All):
        return any(parts)
    if isinstance(root, Any_):
        return all(parts)
    return all(parts)  # lasting, breadth, reach, m_of_n: true where their `of` is or was
