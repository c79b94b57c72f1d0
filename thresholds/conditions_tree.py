"""Conditions made of conditions: all, any, not, breadth and duration. The trees that rules are."""

from __future__ import annotations

from dataclasses import fields
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AliasChoices, Field

from thresholds.conditions import AnyCondition, Condition, Measured, Score, Truth, condition, texts, walk
from thresholds.model import BoolArray, Direction, IntArray
from thresholds.settings import Duration
from thresholds.view import View


@condition
class Breadth(Condition):
    """Of the series of the same item, spec, unit and channel, so many (or such a share) satisfy `of` that day.

    `unusual` is there because points of one town move together: what is broad elsewhere may be every other Monday.
    """

    kind: Literal["breadth"] = "breadth"
    of: AnyCondition
    at_least: int = Field(default=2, ge=1)
    share: float = Field(default=0.0, ge=0.0, le=1.0)
    unusual: float | None = Field(default=None, ge=0.5, le=1)
    """and a greater share than this quantile of the group's own earlier days, 0.99 for one day in a hundred"""
    window: int = Field(default=250, ge=20, le=2000)
    """of `unusual`: days of history"""
    least: int = Field(default=60, ge=10, le=2000)
    """of `unusual`: fewest days; with fewer it is unknown"""

    def children(self) -> tuple[Condition, ...]:
        return (self.of,)

    def truth(self, view: View, direction: Direction, ease: float = 1.0) -> Truth:
        from thresholds.kernels.breadth import broad  # see thresholds.view: numba is not loaded at start

        inner = self.of.truth(view, direction, ease)
        unusual = (self.unusual, self.window, self.least)
        return broad(view.cells(), inner, view.tested, self.at_least, self.share, *unusual)

    def measure(self, view: View, at: IntArray, direction: Direction) -> Measured | None:
        return self.of.measure(view, at, direction)

    def since(self, view: View, at: IntArray, direction: Direction) -> IntArray:
        return self.of.since(view, at, direction)


@condition
class Lasting(Condition):
    """`of` has been true at so many observations in a row, this one included, and over at least the time `span`."""

    kind: Literal["lasting"] = "lasting"
    of: AnyCondition
    readings: int = Field(ge=2)
    span: Duration | None = None
    """from the first of them to this one: three weeks are not three daily reports"""

    def children(self) -> tuple[Condition, ...]:
        return (self.of,)

    @staticmethod
    def run_length(view: View, hit: BoolArray) -> NDArray[np.int32]:
        from thresholds.kernels.scan import run_length  # see thresholds.view: numba is not loaded at start

        return run_length(view.panel.start, hit, view.tested)

    def runs(self, view: View, direction: Direction, ease: float) -> tuple[NDArray[np.int32], Truth]:
        inner = self.of.truth(view, direction, ease)
        return self.run_length(view, inner == 1), inner

    def truth(self, view: View, direction: Direction, ease: float = 1.0) -> Truth:
        runs, inner = self.runs(view, direction, ease)
        perhaps = self.run_length(view, inner != 0)  # had the unknown ones been true
        return np.where(self.enough(view, runs), 1, np.where(self.enough(view, perhaps), -1, 0)).astype(np.int8)

    def enough(self, view: View, runs: NDArray[np.int32]) -> BoolArray:
        enough: BoolArray = runs >= self.readings
        if self.span is not None:
            at = np.flatnonzero(enough).astype(np.int64)
            first = first_of_run(view, at, runs[at])
            enough[at] = view.panel.time[at] - view.panel.time[first] >= self.span.total_seconds()
        return enough

    def measure(self, view: View, at: IntArray, direction: Direction) -> Measured | None:
        return self.of.measure(view, at, direction)

    def since(self, view: View, at: IntArray, direction: Direction) -> IntArray:
        runs, _ = self.runs(view, direction, 1.0)
        return first_of_run(view, at, runs[at])


def first_of_run(view: View, at: IntArray, length: NDArray[np.int32]) -> IntArray:
    """Positions `length - 1` tested observations before `at`, within the series."""
    order = np.cumsum(view.tested)
    wanted = order[at] - (length - 1)
    found: IntArray = np.searchsorted(order, wanted).astype(np.int64)
    return found


@condition
class All(Condition):
    """True where everything in `of` is."""

    kind: Literal["all"] = "all"
    by_row = True
    of: tuple[AnyCondition, ...] = Field(min_length=1, validation_alias=AliasChoices("of", "all"))

    def children(self) -> tuple[Condition, ...]:
        return self.of

    def truth(self, view: View, direction: Direction, ease: float = 1.0) -> Truth:
        parts = np.stack([c.truth(view, direction, ease) for c in self.of])
        return np.where((parts == 0).any(axis=0), 0, parts.min(axis=0)).astype(np.int8)

    def can_hold(self, view: View) -> bool:
        return all(c.can_hold(view) for c in self.of)

    def measure(self, view: View, at: IntArray, direction: Direction) -> Measured | None:
        """The numbers of the first part that measures something: where all are true, each is a reason."""
        return next((m for c in self.of if (m := c.measure(view, at, direction)) is not None), None)

    def since(self, view: View, at: IntArray, direction: Direction) -> IntArray:
        earliest: IntArray = np.min([c.since(view, at, direction) for c in self.of], axis=0)
        return earliest


@condition
class Any_(Condition):
    """True where something in `of` is."""

    kind: Literal["any"] = "any"
    of: tuple[AnyCondition, ...] = Field(min_length=1, validation_alias=AliasChoices("of", "any"))

    def children(self) -> tuple[Condition, ...]:
        return self.of

    def truth(self, view: View, direction: Direction, ease: float = 1.0) -> Truth:
        parts = np.stack([c.truth(view, direction, ease) for c in self.of])
        return np.where((parts == 1).any(axis=0), 1, parts.min(axis=0)).astype(np.int8)

    def can_hold(self, view: View) -> bool:
        return any(c.can_hold(view) for c in self.of)

    def measure(self, view: View, at: IntArray, direction: Direction) -> Measured | None:
        """At each position the numbers of the first part that is true there; they say nothing where none measures."""
        first = self.first_true(view, at, direction)
        parts = [c.measure(view, at, direction) for c in self.of]
        known = [(number, part) for number, part in enumerate(parts) if part is not None]
        if not known:
            return None
        mixed = known[0][1]
        for number, part in known[1:]:
            mixed = either(first == number, part, mixed)
        silent = np.isin(first, [number for number, part in enumerate(parts) if part is None])
        return mixed.where(~silent)

    def first_true(self, view: View, at: IntArray, direction: Direction) -> IntArray:
        """Number of the first part that is true at each position, -1 for none."""
        parts = np.stack([c.truth(view, direction)[at] == 1 for c in self.of])
        first: IntArray = np.where(parts.any(axis=0), parts.argmax(axis=0), -1)
        return first

    def since(self, view: View, at: IntArray, direction: Direction) -> IntArray:
        first = self.first_true(view, at, direction)
        earliest = at
        for number, part in enumerate(self.of):
            earliest = np.where(first == number, part.since(view, at, direction), earliest)
        return earliest


@condition
class Not(Condition):
    """The contrary of `of`; unknown stays unknown."""

    kind: Literal["not"] = "not"
    by_row = True
    of: AnyCondition = Field(validation_alias=AliasChoices("of", "not"))

    @property
    def row_by_row(self) -> bool:
        """Not of scores: where only some rows are asked about, these say zero for unknown."""
        return super().row_by_row and not any(isinstance(one, Score) for one in walk(self.of))

    def children(self) -> tuple[Condition, ...]:
        return (self.of,)

    def compared(self, view: View, at: IntArray) -> None:
        return None  # what is excluded is not what was seen

    def truth(self, view: View, direction: Direction, ease: float = 1.0) -> Truth:
        # easing what is excluded would tighten the rule: the exclusion is always judged as written
        inner = self.of.truth(view, direction)
        return np.where(inner < 0, -1, 1 - inner).astype(np.int8)


def either(here: BoolArray, one: Measured, other: Measured) -> Measured:
    """Rows of `one` where `here`, else of `other`."""
    if here.all():
        return one
    names = [f.name for f in fields(Measured) if f.name != "clause"]
    columns = {name: np.where(here, getattr(one, name), getattr(other, name)) for name in names}
    first, second = (texts("", here) if m.clause is None else m.clause for m in (one, other))
    return Measured(**columns, clause=np.where(here, first, second))
