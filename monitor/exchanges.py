"""Items of which a point once reported one in the row of the other: they are judged together.

Whether rows stand in each other's place (thresholds.kernels.beside) is seen only by who has both. So the memory is
looked through once, and then what changed. A pair that a correction has since put right stays: judging two items
together that have nothing to do with each other costs a little time and changes nothing. Points are told apart by
name alone here, so that one that is given another area misses none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from monitor.memory import Held, Memory
from thresholds.catalogue import Catalogue, Measure
from thresholds.model import BoolArray, FloatArray, IntArray

WIDER = 1.01
"""Bounds are a little wider here, so that no rounding hides a pair that the gate would see."""
EVER = -(2**62)


class Exchanges:
    """`items`: {item: items of which rows stood in the place of its rows}, both ways."""

    def __init__(self) -> None:
        self.items: dict[str, set[str]] = {}
        self.complete = False

    def learn(self, memory: Memory, catalogue: Catalogue, changed: Mapping[int, int]) -> None:
        """Look at the series that changed, by id, from the given second on; at everything the first time."""
        prices = [h for h in memory.series.values() if catalogue.classify(h.key).measure is Measure.PRICE]
        asked = changed if self.complete else {h.id: EVER for h in prices}
        for one, other in exchanged_items(prices, asked):
            self.items.setdefault(one, set()).add(other)
            self.items.setdefault(other, set()).add(one)
        self.complete = True


def exchanged_items(prices: Iterable[Held], asked: Mapping[int, int]) -> Iterator[tuple[str, str]]:
    """Pairs of items with rows in each other's place, where one of the two rows is of a series that is asked about.

    asked  {id of a series: second from which on its rows are looked at}
    """
    from thresholds.kernels.beside import ALIKE, exchanged  # numba: loaded when first needed, not at start

    prices = list(prices)
    times: dict[str, set[int]] = {}
    known: dict[int, IntArray] = {}
    for held in prices:
        if held.id not in asked:
            continue
        rows = jumps(held, asked[held.id])
        if asked[held.id] == EVER:
            known[held.id] = rows
        if len(rows):
            times.setdefault(held.key.point, set()).update(held.at[rows].tolist())
    sheets: dict[str, list[tuple[Held, IntArray]]] = {}
    for held in prices:
        wanted = times.get(held.key.point)
        if wanted and len(rows := known[held.id] if held.id in known else rows_at(held, wanted)):
            sheets.setdefault(held.key.point, []).append((held, rows))
    for some in sheets.values():
        which = np.repeat(np.arange(len(some)), [len(rows) for _, rows in some])
        time = np.concatenate([h.at[rows] for h, rows in some])
        value = np.concatenate([h.value[rows] for h, rows in some])
        before = np.concatenate([h.value[rows - 1] for h, rows in some])
        order = np.argsort(time, kind="stable")
        pairs = exchanged(value[order], before[order], np.diff(time[order]) == 0, ALIKE * WIDER)
        for a, b in zip(*(which[order[side]].tolist() for side in pairs), strict=True):
            one, other = some[a][0].key.item, some[b][0].key.item
            if one != other:
                yield one, other


def rows_at(held: Held, times: set[int]) -> IntArray:
    """Positions of large steps at one of these times."""
    if len(times) > len(held.at):
        rows = jumps(held, EVER)
        return keep(rows, np.array([t in times for t in held.at[rows].tolist()], np.bool_))
    wanted = np.array(sorted(times), np.int64)
    found = np.searchsorted(held.at, wanted)
    found = found[(found < len(held.at)) & (found > 0)]
    found = keep(found, np.isin(held.at[found], wanted))
    return keep(found, large(held.value[found], held.value[found - 1]))


def jumps(held: Held, since: int) -> IntArray:
    """Positions of large steps from the report before, from a second on."""
    first = max(int(np.searchsorted(held.at, since)), 1)
    found: IntArray = np.flatnonzero(large(held.value[first:], held.value[first - 1 : -1])) + first
    return found


def keep(rows: IntArray, where: BoolArray) -> IntArray:
    chosen: IntArray = rows[where]
    return chosen


def large(value: FloatArray, before: FloatArray) -> BoolArray:
    """Whether each step is a large one (thresholds.kernels.lone)."""
    from thresholds.kernels.lone import LEAST

    least = np.exp(LEAST / WIDER)
    far: BoolArray = ((value >= before * least) | (value * least <= before)) & (value > 0) & (before > 0)
    return far
