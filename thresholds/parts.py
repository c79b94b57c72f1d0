"""A large panel in parts: groups of items that no rule looks beyond, so that what a part gives does not depend on how
many there are. Parts bound the memory that kernels take, stay nearer to the processor, and two of them at a time keep
two cores busy also where the work is numpy's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from thresholds.kernels.jit import WORKERS, one_thread
from thresholds.model import IntArray, SeriesKey
from thresholds.panel import Panel
from thresholds.plan import Policy
from thresholds.together import Together
from thresholds.view import View

T = TypeVar("T", bound=np.generic)
R = TypeVar("R")

ROWS = 500_000
"""Observations that a part has at least, unless nothing is left."""
LARGE = 1 / 8
"""A part of more than this share of the observations is evaluated by itself: two would take too much memory."""


@dataclass(frozen=True)
class Part:
    """Some series of a panel, in its order: int64, rising."""

    whole: Panel
    series: IntArray

    def __len__(self) -> int:
        return sum(b - a for a, b in self.slices)

    def panel(self) -> Panel:
        """The panel of these series alone: made anew each time, a part is looked at once."""
        old, numbers = self.whole, self.series.tolist()
        start = np.concatenate([[0], np.cumsum(np.diff(old.start)[self.series])]).astype(np.int64)
        keys, areas = [old.keys[s] for s in numbers], [old.areas[s] for s in numbers]
        return Panel(
            keys, areas, start, self.rows(old.time), self.rows(old.day), self.rows(old.value), self.rows(old.mark)
        )

    def rows(self, column: NDArray[T]) -> NDArray[T]:
        """Of a column of the whole panel what belongs to these series; a view of it where they stand side by side."""
        pieces = [column[a:b] for a, b in self.slices]
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    @cached_property
    def slices(self) -> list[tuple[int, int]]:
        """Where the series stand in the columns, neighbours as one."""
        begins = np.flatnonzero(np.append(True, np.diff(self.series) != 1))
        ends = np.append(begins[1:], len(self.series)) - 1
        start = self.whole.start
        return list(zip(start[self.series[begins]].tolist(), start[self.series[ends] + 1].tolist(), strict=True))

    def view(self, whole: View) -> View:
        """The view of these series alone."""
        if len(self.series) == self.whole.n_series:
            return whole
        rows = self.rows
        return View(
            self.panel(),
            [whole.classified[s] for s in self.series.tolist()],
            rows(whole.tested),
            rows(whole.usable),
            rows(whole.n_points),
            rows(whole.rebased),
            rows(whole.real),
            records=whole.records,
        )


def parts(panel: Panel, policy: Policy) -> list[Part]:
    """The parts of a panel, all series together once; one where it is small."""
    if len(panel) < 2 * ROWS:
        return [whole(panel)]
    return [Part(panel, np.array(sorted(series), np.int64)) for series in gathered(panel, policy)]


def whole(panel: Panel) -> Part:
    """All of a panel as one part."""
    return Part(panel, np.arange(panel.n_series))


def gathered(panel: Panel, policy: Policy) -> Iterator[list[int]]:
    """The series of each part."""
    of_item: dict[str, list[int]] = {}
    for s, key in enumerate(panel.keys):
        of_item.setdefault(key.item, []).append(s)
    known: dict[str, list[SeriesKey]] = {item: [panel.keys[s] for s in of_item[item]] for item in of_item}
    lengths = np.diff(panel.start).tolist()
    series: list[int] = []
    for group in Together(policy, known).groups(of_item):
        series += [s for item in group for s in of_item.get(item, ())]  # it may hold names that are no item
        if sum(lengths[s] for s in series) >= ROWS:
            yield series
            series = []
    if series:
        yield series


def over_parts(some: list[Part], work: Callable[[Part], R]) -> list[R]:
    """`work` on each part: first the large ones one by one, then the others two at a time, with a thread each."""
    every = sum(len(part) for part in some)
    large = [part for part in some if len(part) > LARGE * every]
    small = [part for part in some if len(part) <= LARGE * every]

    def alone(part: Part) -> R:
        with one_thread():
            return work(part)

    with ThreadPoolExecutor(WORKERS) as pool:
        return [*map(work, large), *pool.map(alone, small)]
