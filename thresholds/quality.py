"""The data gate: is a value a reporting error before it is a move?

Judged in order of time, each value against those accepted before it and against the other points of the same item:

nonpositive  zero or negative where the measure makes it impossible
factor       a multiple of 10 off the level before (digit slip, missing decimal point, wrong unit of weight)
jin          twice or half the level where the unit is one of weight in 500 g or kg
conflict     the same sheet holds two values for the same series and time

A suspected error is kept out of baselines and raises a `data` flag, never a `move` flag. It is taken as real when two
other points of the item moved the same way and about as far that day, and, for `jin`, when the next report stays
there. A source in which a quarter of the newest twenty values are "impossible" or contradict each other does so by
habit: that is no error of one value any more, and is not flagged again and again. Clauses: P4, P15, G4. Method:
THRESHOLDS.md 3.5, cross-section decision rule of the price-index literature (CPI Manual 2020, 5.113-5.135).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from thresholds.catalogue import Measure
from thresholds.kernels.jit import compiled, over_series
from thresholds.kernels.scan import so_far
from thresholds.model import BoolArray, FloatArray, IntArray, Mark
from thresholds.panel import Panel

JIN_UNITS = ("500克", "500g", "公斤", "千克", "kg", "斤")
BIG_MOVES = (0.35, 1.0)
"""Log changes about half as far as a doubtful factor of 2 and of 10: who moved at least so far is company for it. A
general rise by a fifth does not make a slipped digit real."""


class Status(IntEnum):
    """What the gate decided on a value."""

    ACCEPTED = 0
    SUSPECT = 1
    REBASED = 2
    """a new level after five like reports: the unit was changed; serves as baseline, its own step says nothing"""
    EXCLUDED = 3
    """a reviewer judged it a data error"""


@dataclass(frozen=True)
class Gate:
    """Per observation: status and doubt (uint8); for doubtful ones the level before, median of five (else NaN)."""

    status: NDArray[np.uint8]
    doubt: NDArray[np.uint8]
    level: FloatArray

    @property
    def accepted(self) -> BoolArray:
        """What later values may be compared with."""
        return self.is_(Status.ACCEPTED) | self.is_(Status.REBASED)

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


def gate(panel: Panel, measures: list[Measure]) -> Gate:
    """Judge every value of `panel`; `measures` holds one per series."""
    n = len(panel)
    result = Gate(np.zeros(n, np.uint8), np.zeros(n, np.uint8), np.full(n, np.nan))
    positive = np.array([m is Measure.PRICE for m in measures], np.bool_)
    floor_zero = np.array([m is Measure.COUNT for m in measures], np.bool_)
    jin = np.array([any(u in k.unit.lower() for u in JIN_UNITS) for k in panel.keys], np.bool_)
    company = support(panel, positive)
    marks = panel.mark
    over_series(
        panel.start,
        lambda a, b: scan_gate(
            panel.start, panel.value, marks, positive, floor_zero, jin, company, result.status, result.doubt,
            result.level, a, b,
        ),
    )  # fmt: skip
    return result


def support(panel: Panel, positive: BoolArray) -> NDArray[np.int16]:
    """int16[n]: how many other points of the group moved that day, until then, the same way and about as far."""
    n = len(panel)
    company = np.zeros(n, np.int16)
    group = panel.group
    shared = np.bincount(group)[group] > 1 if len(group) else np.empty(0, np.bool_)
    if n < 2 or not (shared & positive).any():
        return company
    with np.errstate(divide="ignore", invalid="ignore"):
        step = np.diff(np.log(panel.value))
    first = np.zeros(n, np.bool_)
    first[panel.start[:-1][panel.start[:-1] < n]] = True
    for least in BIG_MOVES:
        moved = np.flatnonzero((np.abs(step) > least) & ~first[1:] & np.isfinite(step)) + 1
        moved = moved[(shared & positive)[panel.series[moved]]]
        if len(moved):
            company[moved] = others(panel, moved, step[moved - 1] > 0)
    return company


def others(panel: Panel, moved: IntArray, up: BoolArray) -> IntArray:
    """For each of the positions `moved`: how many other points of its group are among them, that day until then."""
    cell = panel.group[panel.series[moved]].astype(np.int64) << 33
    cell += (panel.day[moved].astype(np.int64) + 2**30) << 1
    cell += up
    _, code = np.unique(cell, return_inverse=True)
    once = np.zeros(len(moved), np.int64)  # a point counts once a day
    once[np.unique(code * panel.n_series + panel.series[moved], return_index=True)[1]] = 1
    return np.minimum(so_far(code, panel.time[moved], once)[0] - 1, 32_000)


CONFLICT_BIT = int(Mark.CONFLICT)
ERROR_BIT = int(Mark.DATA_ERROR)


@compiled
def scan_gate(
    start: IntArray,
    value: FloatArray,
    mark: NDArray[np.uint8],
    positive: BoolArray,
    floor_zero: BoolArray,
    jin: BoolArray,
    company: NDArray[np.int16],
    status: NDArray[np.uint8],
    doubt: NDArray[np.uint8],
    level: FloatArray,
    first: int,
    last: int,
) -> None:
    recent = np.empty(5)
    for s in range(first, last):
        known = 0  # accepted values so far
        streak = 0  # like suspects in a row
        streak_value = 0.0
        odd_signs = np.int64(0)  # the newest twenty values, one bit each
        odd_twice = np.int64(0)
        for i in range(start[s], start[s + 1]):
            v = value[i]
            impossible = (positive[s] and v <= 0) or (floor_zero[s] and v < 0)
            conflict = (mark[i] & CONFLICT_BIT) != 0
            habit_sign = ones(odd_signs) >= 5
            habit_twice = ones(odd_twice) >= 5
            odd_signs = ((odd_signs << 1) | (1 if impossible else 0)) & 0xFFFFF
            odd_twice = ((odd_twice << 1) | (1 if conflict else 0)) & 0xFFFFF
            if mark[i] & ERROR_BIT:
                status[i] = 3
                continue
            why = 0
            newest = recent[(known - 1) % 5]
            usual = known > 0 and v > 0.55 * newest and v < 1.8 * newest  # the common case: nothing to ask
            if known > 0 and (impossible or conflict or not usual):
                level[i] = middle_of(recent, min(known, 5))
            if impossible and not habit_sign:
                why = 1
            elif conflict and not habit_twice:
                why = 4
            elif positive[s] and known >= 3 and v > 0 and not usual:
                why = slip(v, newest, level[i], jin[s])
                if why != 0 and company[i] >= 2:
                    why = 0
            if why == 2 or why == 3:
                like = streak > 0 and abs(v / streak_value - 1.0) < 0.1
                streak = streak + 1 if like else 1
                streak_value = v
                if why == 3 and streak >= 2:
                    why = 0
                elif streak >= 5:
                    status[i] = 2
                    known = 0
                    why = 0
            else:
                streak = 0
            if why != 0:
                status[i] = 1
                doubt[i] = why
                continue
            recent[known % 5] = v
            known += 1


@compiled
def ones(bits: np.int64) -> int:
    count = 0
    while bits:
        bits &= bits - 1
        count += 1
    return count


@compiled
def middle_of(recent: FloatArray, count: int) -> float:
    return float(np.median(recent[:count]))


@compiled
def slip(v: float, newest: float, level: float, jin: bool) -> int:
    """Doubt.FACTOR or Doubt.JIN where the value looks like another one wrongly written, else 0.

    A factor of 10 is recognised within 25 %: a real price does not make such a step between two reports, and the
    price itself goes on moving meanwhile. A factor of 2 does happen, so it must fit within 4 %.
    """
    for base in (newest, level):
        if base <= 0:
            continue
        ratio = v / base
        if ratio < 1.0:
            ratio = 1.0 / ratio
        if ratio > 7.5:
            tens = np.log10(ratio)
            if abs(tens - np.round(tens)) < 0.097:
                return 2
        if jin and 1.92 < ratio < 2.08:
            return 3
    return 0
