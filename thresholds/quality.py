"""The data gate: is a value a reporting error before it is a move?

Judged in order of time, each value against those accepted before it, against the other points of the same item, and
against the other rows of its point:

nonpositive  zero or negative where the measure makes it impossible
conflict     the same sheet holds two values for the same series and time
range        a lowest price above the highest, a mean outside the two
placeholder  0.01, 1, 999, 9999, … in a series at quite another level
factor       a multiple of 10 off the level before (digit slip, missing decimal point, wrong unit of weight)
jin          twice or half the level where the unit is one of weight in 500 g or kg
dan          50 times or a fiftieth of it there (kg and 50 kg); 20 or 2000 times where the unit is 50 kg or a tonne
swapped      two rows of one point stand in each other's place
alone        an outlier among the points of its item that day, of which no other moved so
outage       a count of a publisher whose counts all fall to near nothing
stuck        the same figure for longer than is usual, while the other points move: shown, and used all the same
reverted     a large step of one point that the next report took back exactly: known one report later, when rules
             have judged the step already

A suspected error is kept out of baselines and raises a `data` flag, never a `move` flag. It is taken as real when two
other points of the item moved the same way and about as far that day, and, for `jin`, `swapped` and `alone`, when the
next report stays there: the step is then judged at that report, against the level from before. A source in which a
quarter of the newest twenty values are "impossible", contradict each other or stand alone does so by habit: that is
no error of one value any more, and is not flagged again and again. Clauses: P4, P15, G4. Method: the
cross-section decision rule of the price-index literature (CPI Manual 2020, 5.113-5.135).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from thresholds.catalogue import Classified, Measure
from thresholds.kernels.beside import contradictions, swapped
from thresholds.kernels.gate import ALONE_BIT, RANGE_BIT, REVERTED, SWAPPED_BIT, scan_gate
from thresholds.kernels.jit import over_series
from thresholds.kernels.lone import company, jumps, lone
from thresholds.kernels.outage import Outage, outages
from thresholds.kernels.stuck import stuck
from thresholds.model import BoolArray, Doubt, FloatArray, IntArray
from thresholds.panel import Panel

JIN_UNITS = ("500克", "500g", "公斤", "千克", "kg", "斤")
HEAVY_UNITS = ("50千克", "50公斤", "50kg", "吨", "担")
FRESH = frozenset(("肉", "蛋", "菜", "水产", "水果"))
STUCK_DAYS, STUCK_DAYS_FRESH = 30, 15
"""Days that a price must have stood before it can be stuck; fewer for fresh food."""


class Status(IntEnum):
    """What the gate decided on a value."""

    ACCEPTED = 0
    SUSPECT = 1
    REBASED = 2
    """a new level after five like reports: the unit was changed; serves as baseline, its own step says nothing"""
    EXCLUDED = 3
    """a reviewer judged it a data error"""
    MISSING = 4
    """a count of a publisher that is out: no count at all"""


@dataclass(frozen=True)
class Gate:
    """Per observation: status and doubt (uint8); for doubtful ones the level before, median of five (else NaN).

    stuck     positions, rising, at which a price that does not move was first known to be stuck; it stays accepted
    reverted  positions, rising, of reports that took a large step of the report before back; accepted too
    """

    status: NDArray[np.uint8]
    doubt: NDArray[np.uint8]
    level: FloatArray
    stuck: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    reverted: IntArray = field(default_factory=lambda: np.empty(0, np.int64))

    @cached_property
    def accepted(self) -> BoolArray:
        """What later values may be compared with."""
        return baseline(self.status)

    @property
    def rebased(self) -> BoolArray:
        """Where a new level begins: nothing from here on may be compared with anything before."""
        return self.is_(Status.REBASED)

    @property
    def tested(self) -> BoolArray:
        """What rules are applied to."""
        return self.is_(Status.ACCEPTED)

    def is_(self, status: Status) -> BoolArray:
        here: BoolArray = self.status == np.uint8(status)
        return here


def baseline(status: NDArray[np.uint8]) -> BoolArray:
    """Where the status is accepted or rebased: all bits but that of rebased are zero."""
    here: BoolArray = (status & ~np.uint8(Status.REBASED)) == Status.ACCEPTED
    return here


def gate(panel: Panel, classified: Sequence[Classified]) -> Gate:
    """Judge every value of `panel`; `classified` holds one per series."""
    n = len(panel)
    status, doubt, level = np.zeros(n, np.uint8), np.zeros(n, np.uint8), np.full(n, np.nan)
    event = np.zeros(n, np.uint8)
    positive = np.array([c.measure is Measure.PRICE for c in classified], np.bool_)
    counts = np.array([c.measure is Measure.COUNT for c in classified], np.bool_)
    quoted = positive | np.array([c.measure is Measure.FUTURES for c in classified], np.bool_)
    weight = np.array([weight_of(k.unit) for k in panel.keys], np.uint8)
    stick = np.array([days_to_stick(c) for c in classified], np.int32)
    jumped = jumps(panel, positive)
    near, odd = company(panel, jumped), oddities(panel, jumped)
    over_series(
        panel.start,
        lambda a, b: scan_gate(
            panel.start, panel.day, panel.value, panel.mark, positive, counts, quoted, weight, stick, near, odd,
            status, doubt, level, event, a, b,
        ),
    )  # fmt: skip
    if counts.any():
        out = (outages(panel, counts, baseline(status)) == Outage.OUT) & baseline(status)
        status[out], doubt[out] = Status.MISSING, Doubt.OUTAGE
    at = np.flatnonzero(event != 0)
    back, still = at[event[at] == REVERTED], at[event[at] != REVERTED]
    return Gate(status, doubt, level, stuck(panel, lambda: baseline(status), still, event[still]), back)


@cache
def weight_of(unit: str) -> int:
    """Bits: 1 a unit of weight in which 500 g and 1 kg are mixed up, 2 one of 50 kg or a tonne."""
    text = unit.lower()
    return any(u in text for u in JIN_UNITS) + 2 * any(u in text for u in HEAVY_UNITS)


@cache
def days_to_stick(one: Classified) -> int:
    """Days that a price must have stood before it can be stuck; 0: never, a count may well be the same."""
    if one.measure is Measure.COUNT:
        return 0
    return STUCK_DAYS_FRESH if FRESH & set(one.chain) else STUCK_DAYS


def oddities(panel: Panel, jumped: IntArray) -> NDArray[np.uint8]:
    """uint8[n]: what a value is beside other series, as far as they had reported by then; one bit each."""
    odd = np.zeros(len(panel), np.uint8)
    odd[lone(panel, jumped)] |= ALONE_BIT
    for rows in swapped(panel, jumped):
        odd[rows] |= SWAPPED_BIT
    odd[contradictions(panel)] |= RANGE_BIT
    return odd
