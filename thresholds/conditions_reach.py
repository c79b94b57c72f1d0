"""Condition on how far something reaches: over areas, over items of a class (thresholds.kernels.reach)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from thresholds.conditions import AnyCondition, Company, Condition, Measured, Truth, condition
from thresholds.conditions_crosssection import classes
from thresholds.model import Direction, IntArray
from thresholds.panel import codes_of
from thresholds.view import View

if TYPE_CHECKING:
    from thresholds.kernels.cells import Codes

OUTSIDE = -1


@condition
class Reach(Condition):
    """`of` holds in so many areas of the item, or for so many items of a class, within some days; here and now too.

    Use for "in two districts or more" and "for two kinds of goods or more" of graded plans. Not for single points of
    an item (that is `breadth`). It counts civil days, as far as was known by the time of the observation, so the flag
    is raised where the number is reached; a day before stands with what was known at its end. Where areas or items
    report on different days, `days` is their interval. An area counts once, however many of its series satisfy `of`;
    an item likewise. Units: those of `of`. Source: the Qingdao plan of 2014, which names no time: one day by default.
    """

    kind: Literal["reach"] = "reach"
    of: AnyCondition
    count: Literal["areas", "items"] = "areas"
    """what is counted"""
    classes: tuple[str, ...] = ()
    """among items of these classes, with their subclasses; none: areas of the same item, items of its own class"""
    at_least: int = Field(default=2, ge=1, le=10_000)
    """so many"""
    days: int = Field(default=1, ge=1, le=400)
    """within so many civil days, that of the observation included: 7 where each reports on its day of the week"""

    def children(self) -> tuple[Condition, ...]:
        return (self.of,)

    def needs_classes(self) -> frozenset[str | Company]:
        if self.classes:
            return frozenset(self.classes)
        return frozenset((Company.OWN_CLASS,)) if self.count == "items" else frozenset()

    def pool(self, view: View) -> Codes:
        """int32[n_series]: what is counted together."""
        if self.classes:
            return np.where(view.of_classes(self.classes), 0, OUTSIDE).astype(np.int32)
        if self.count == "items":
            return classes(view)
        return codes_of([k.item for k in view.panel.keys])

    def truth(self, view: View, direction: Direction, ease: float = 1.0) -> Truth:
        from thresholds.kernels.reach import reach  # see thresholds.view: numba is not loaded at start

        inner = np.where(view.tested, self.of.truth(view, direction, ease), -1).astype(np.int8)
        label = codes_of(view.panel.areas if self.count == "areas" else [k.item for k in view.panel.keys])
        hits = reach(view.panel, inner, self.pool(view), label, self.days)
        return np.where(inner < 0, -1, (hits >= self.at_least) & (inner == 1)).astype(np.int8)

    def measure(self, view: View, at: IntArray, direction: Direction) -> Measured | None:
        return self.of.measure(view, at, direction)

    def since(self, view: View, at: IntArray, direction: Direction) -> IntArray:
        return self.of.since(view, at, direction)
