"""Rows of one point beside each other: values in each other's place, and a lowest price above the highest one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from thresholds.kernels.jit import compiled
from thresholds.model import BoolArray, FloatArray, IntArray
from thresholds.panel import Panel, codes_of

ALIKE = 0.02
"""Two values within so much of each other (ratio) are the same price."""
LOW, MEAN, HIGH = 0, 1, 2
ROLES = (("最低", LOW), ("最高", HIGH), ("平均", MEAN), ("均价", MEAN))
"""Words in spec or channel that say what a quotation of several stalls is."""
ROUNDING = 1e-3
"""A mean may lie so much outside (ratio): it was rounded."""


def swapped(panel: Panel, at: IntArray) -> tuple[IntArray, IntArray]:
    """Pairs of positions among `at` whose values stand in each other's place: int64[k] twice.

    at  rows whose step from the report before is large (thresholds.kernels.lone.jumps)

    Two series of one point report at one time, each within 2 % of what the other one reported before. The return to
    the right places looks the same and is told from it by the level.
    """
    nothing = np.empty(0, np.int64)
    if len(at) < 2:
        return nothing, nothing
    series, inverse = np.unique(panel.series_at(at), return_inverse=True)
    place = codes_of([(panel.areas[s], panel.keys[s].point) for s in series.tolist()])[inverse]
    order = np.lexsort((panel.series_at(at), panel.time[at], place))
    at = at[order]
    same = (np.diff(place[order]) == 0) & (np.diff(panel.time[at]) == 0)
    one, other = exchanged(panel.value[at], panel.value[at - 1], same)
    return at[one], at[other]


def exchanged(
    value: FloatArray, before: FloatArray, same: BoolArray, alike: float = ALIKE
) -> tuple[IntArray, IntArray]:
    """Pairs of rows of one sheet, of which each has the value that the other one had before.

    same  bool[n - 1], whether a row is of the same point and time as the next
    """
    begins = np.flatnonzero(np.append(True, ~same))
    return scan_pairs(np.append(begins, len(value)).astype(np.int64), value, before, alike)


@compiled
def scan_pairs(start: IntArray, value: FloatArray, before: FloatArray, alike: float) -> tuple[IntArray, IntArray]:
    one, other = np.empty(len(value), np.int64), np.empty(len(value), np.int64)
    n = 0
    for c in range(len(start) - 1):
        for i in range(start[c], start[c + 1]):
            for j in range(i + 1, start[c + 1]):
                there = abs(value[i] / before[j] - 1.0) <= alike
                if there and abs(value[j] / before[i] - 1.0) <= alike:
                    if n == len(one):
                        one, other = np.append(one, one), np.append(other, other)
                    one[n], other[n] = i, j
                    n += 1
    return one[:n].copy(), other[:n].copy()


def role_of(text: str) -> tuple[str, int]:
    """A spec or channel without its word for lowest, highest or mean, and which it is (-1: none)."""
    for word, role in ROLES:
        if word in text:
            return text.replace(word, "").removeprefix("价").removesuffix("价").strip(" （）()-_·"), role
    return text, -1


def contradictions(panel: Panel) -> IntArray:
    """Positions, rising, of prices that cannot be: the lowest above the highest, a mean outside the two.

    Where one of the two that contradict each other moved more than twice as far (log) from its own report before as
    the other one, it is that one, else both.
    """
    roles = {text: role_of(text) for text in {t for key in panel.keys for t in (key.spec, key.channel)}}
    if all(role < 0 for _, role in roles.values()):
        return np.empty(0, np.int64)
    quotes: dict[tuple[str, ...], dict[int, int]] = {}
    for s, key in enumerate(panel.keys):
        spec, role = roles[key.spec]
        channel, by_channel = roles[key.channel]
        if role >= 0 or by_channel >= 0:
            group = (key.item, spec, key.unit, channel, panel.areas[s], key.point)
            quotes.setdefault(group, {})[max(role, by_channel)] = s
    found = [
        wrong(panel, members[low], members[high])
        for members in quotes.values()
        for low, high in ((LOW, HIGH), (LOW, MEAN), (MEAN, HIGH))
        if low in members and high in members
    ]
    return np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)


def wrong(panel: Panel, low: int, high: int) -> IntArray:
    """Positions at fault where series `low` lies above series `high` at the same time."""
    ends = panel.start
    _, a, b = np.intersect1d(
        panel.time[ends[low] : ends[low + 1]],
        panel.time[ends[high] : ends[high + 1]],
        assume_unique=True,
        return_indices=True,
    )
    a, b = a + ends[low], b + ends[high]
    crossed = panel.value[a] > panel.value[b] * (1.0 + ROUNDING)
    a, b = a[crossed], b[crossed]
    step_a, step_b = (moved(panel, rows, first) for rows, first in ((a, ends[low]), (b, ends[high])))
    return np.concatenate([a[~(step_b > 2 * step_a)], b[~(step_a > 2 * step_b)]])


def moved(panel: Panel, rows: IntArray, first: int) -> NDArray[np.float64]:
    """Size of the log step from the report before; 0 where there is none, infinite where a price is not positive."""
    before = np.maximum(rows - 1, first)
    with np.errstate(divide="ignore", invalid="ignore"):
        step = np.abs(np.log(panel.value[rows] / panel.value[before]))
    return np.where(np.isnan(step), np.inf, step)
