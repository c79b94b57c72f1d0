"""From points to areas: the matched-sample mean of an item over the points of an area.

Per group (item, spec, unit, channel) and area one series, without a point, whose change from one time to the next is
the change of those points that had a quote before and have one now: a point that joins or drops out moves nothing,
nor does one whose quotes begin anew on another level (thresholds.quality.Status.REBASED). Prices change by the ratio
of their sums, other measures by the mean of their differences. While the same points stand from the beginning on,
that is their plain mean, and it is computed so. A quote stands until the next one of its point, at most three of its
own intervals (3 to 62 days): points do not all report at the same hour. An area with one point keeps that point's
series as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from thresholds.kernels.jit import compiled, over_series
from thresholds.model import BoolArray, FloatArray, IntArray, SeriesKey
from thresholds.panel import DAY, Day, Panel, codes_of

LEAST_CARRY = 3 * DAY
MOST_CARRY = 62 * DAY
NO_QUOTE = np.int64(2**62)
"""After all times."""
NOT_HEARD = -NO_QUOTE // 2
"""Before all times, so far that no quote stands until any of them."""
SPARE = 64
"""Values more than are expected that there is room for."""


@dataclass(frozen=True)
class Areas:
    """The panel of areas and how it hangs together with the panel of points.

    panel    series per (group, area); `point` of the key is empty where several points were averaged
    members  per series of `panel`, the series of the point panel behind it
    cell     int32[n_series of points], the series of `panel` that each point's series belongs to
    n_points int32[n], with how many points' quotes the value was made
    usable   bool[n of points], the quotes that went into means
    """

    panel: Panel
    members: list[NDArray[np.int64]]
    cell: NDArray[np.int32]
    n_points: NDArray[np.int32]
    usable: BoolArray


def by_area(points: Panel, usable: BoolArray, rebased: BoolArray, ratio: BoolArray) -> Areas:
    """Average `points` by group and area. Observations that are not usable (suspected errors) are left out.

    rebased  bool[n], where the quotes of a point begin anew on another level
    ratio    bool[n_series], whether changes are ratios (prices), else they are differences

    Single-point areas keep all their observations, with their marks; gating has already judged them.
    """
    cell = codes_of(list(zip(points.group.tolist(), points.areas, strict=True)))
    n_cells = int(cell.max()) + 1 if len(cell) else 0
    place = {name: number for number, name in enumerate(sorted({k.point for k in points.keys}))}
    names = np.array([place[k.point] for k in points.keys], np.int64)
    order = np.lexsort((names, cell))  # by name: sums do not depend on the order in which points first reported
    bounds = np.searchsorted(cell[order], np.arange(n_cells + 1))
    members = [order[bounds[c] : bounds[c + 1]].astype(np.int64) for c in range(n_cells)]
    if all(len(m) == 1 for m in members):
        return Areas(points, members, cell, np.ones(len(points), np.int32), usable)
    panel, counts = means(points, usable, rebased, ratio, order.astype(np.int64), bounds.astype(np.int64))
    return Areas(panel, members, cell, counts, usable)


def means(
    points: Panel, usable: BoolArray, rebased: BoolArray, ratio: BoolArray, members: IntArray, bounds: IntArray
) -> tuple[Panel, NDArray[np.int32]]:
    """The panel of areas, means where several points are, plain copies for the others; and int32, with how many
    quotes each value was made.

    members, bounds  int64, the series of each area, those of area c at bounds[c]:bounds[c + 1]
    """
    n = np.zeros(len(bounds) - 1, np.int64)
    quotes = (points.start, points.time, points.day, points.value, points.mark, usable, rebased, ratio)
    for room in rooms(np.diff(points.start)[members], bounds):
        most = int(room[-1])
        time, day, value = np.empty(most, np.int64), np.empty(most, np.int32), np.empty(most)
        mark, count = np.empty(most, np.uint8), np.empty(most, np.int32)
        work = (*quotes, members, bounds, room, time, day, value, mark, count, n)
        over_series(room, partial(scan_areas, *work))
        if (n >= 0).all():
            break
    close_up(room, n, time, day, value, mark, count)
    end = int(n.sum())
    lead, alone = members[bounds[:-1]].tolist(), (np.diff(bounds) == 1).tolist()
    keys = [points.keys[s] for s in lead]
    named = [
        k if one else SeriesKey(k.item, k.spec, k.unit, k.channel, "") for k, one in zip(keys, alone, strict=True)
    ]
    start = np.append(0, np.cumsum(n)).astype(np.int64)
    areas = [points.areas[s] for s in lead]
    return Panel(named, areas, start, time[:end], day[:end], value[:end], mark[:end]), count[:end]


def rooms(lengths: IntArray, bounds: IntArray) -> Iterator[IntArray]:
    """Where the values of each area go, int64[n_areas + 1]: first with room for little more than the longest of its
    points has, which is enough where they report together; then for as many as all of them have."""
    longest = np.maximum.reduceat(lengths, bounds[:-1])
    every = np.add.reduceat(lengths, bounds[:-1])
    for most in (np.minimum(longest + longest // 8 + SPARE, every), every):
        yield np.append(0, np.cumsum(most)).astype(np.int64)


@compiled
def stands(interval: int) -> int:
    """Seconds for which a quote stands that came so long after the one before it."""
    return min(max(3 * interval, LEAST_CARRY), MOST_CARRY)


@compiled
def stands_at(time: IntArray, usable: BoolArray, now: int) -> bool:
    """Whether a point with quotes at `time` had one that stood at `now`."""
    i = np.searchsorted(time, now, "right") - 1
    while i >= 0 and not usable[i]:
        i -= 1
    if i < 0:
        return False
    k = i - 1
    while k >= 0 and not usable[k]:
        k -= 1
    gap = time[i] - time[k] if k >= 0 else LEAST_CARRY
    return bool(now <= time[i] + stands(gap))


@compiled
def close_up(
    room: IntArray,
    n: IntArray,
    time: IntArray,
    day: Day,
    value: FloatArray,
    mark: NDArray[np.uint8],
    count: NDArray[np.int32],
) -> None:
    """Move the values of all areas, `n` each from its `room` on, to the front of the columns."""
    to = 0
    for c in range(len(n)):
        for i in range(room[c], room[c] + n[c] if room[c] > to else 0):
            k = to + i - room[c]
            time[k], day[k], value[k], mark[k], count[k] = time[i], day[i], value[i], mark[i], count[i]
        to += n[c]


@compiled
def scan_areas(
    start: IntArray,
    time: IntArray,
    day: Day,
    value: FloatArray,
    mark: NDArray[np.uint8],
    usable: BoolArray,
    rebased: BoolArray,
    ratio: BoolArray,
    members: IntArray,
    bounds: IntArray,
    room: IntArray,
    out_time: IntArray,
    out_day: Day,
    out_value: FloatArray,
    out_mark: NDArray[np.uint8],
    out_count: NDArray[np.int32],
    n: IntArray,
    first: int,
    last: int,
) -> None:
    """Fill the values of the areas first..last, each from its `room` on, and `n`, how many they are; -1 for one whose
    values find no room, and stop there."""
    for c in range(first, last):
        some, to, end = members[bounds[c] : bounds[c + 1]], room[c], room[c + 1]
        if len(some) > 1:
            n[c] = scan_matched(
                start, time, day, value, usable, rebased, ratio[some[0]], some,
                out_time[to:end], out_day[to:end], out_value[to:end], out_count[to:end],
            )  # fmt: skip
            if n[c] < 0:
                break
            out_mark[to : to + n[c]] = 0
            continue
        a, b = start[some[0]], start[some[0] + 1]
        n[c] = b - a
        out_time[to:end] = time[a:b]
        out_day[to:end] = day[a:b]
        out_value[to:end] = value[a:b]
        out_mark[to:end] = mark[a:b]
        out_count[to:end] = 1


@compiled
def scan_matched(
    start: IntArray,
    time: IntArray,
    day: Day,
    value: FloatArray,
    usable: BoolArray,
    rebased: BoolArray,
    ratio: bool,
    series: IntArray,
    out_time: IntArray,
    out_day: Day,
    out_value: FloatArray,
    out_count: NDArray[np.int32],
) -> int:
    """Fill the times, days, chained means and numbers of points of one group of series; how many they are, -1 where
    they find no room."""
    k = len(series)
    at, end = np.empty(k, np.int64), np.empty(k, np.int64)  # next quote of each point, and the end of its series
    due = np.empty(k, np.int64)  # when that one comes
    quote = np.zeros(k)  # the newest quote
    heard = np.full(k, NOT_HEARD)  # when it came
    carry = np.zeros(k, np.int64)  # how long it stands, LEAST_CARRY at least
    upcoming = NO_QUOTE
    for j in range(k):
        end[j] = start[series[j] + 1]
        at[j] = usable_from(start[series[j]], end[j], usable)
        due[j] = time[at[j]] if at[j] < end[j] else NO_QUOTE
        upcoming = min(upcoming, due[j])
    n = 0
    level = np.nan
    plainly = True  # the level is the plain mean of the quotes that stand
    stood_before = 0
    while upcoming != NO_QUOTE:
        if n == len(out_time):
            return -1
        now, upcoming, newest = upcoming, NO_QUOTE, np.int64(0)
        before = 0.0
        after = 0.0
        matched = 0
        plain = 0.0
        standing = 0
        for j in range(k):
            old = quote[j]
            away = now - heard[j]
            stood = away <= LEAST_CARRY or away <= carry[j]
            if due[j] == now:
                newest = at[j]
                new = value[newest]
                carry[j] = stands(away if heard[j] != NOT_HEARD else LEAST_CARRY)
                heard[j], quote[j] = now, new
                at[j] = usable_from(newest + 1, end[j], usable)
                due[j] = time[at[j]] if at[j] < end[j] else NO_QUOTE
                plain += new
                standing += 1
                if stood and not rebased[newest]:
                    before += old
                    after += new
                    matched += 1
            elif stood:
                before += old
                after += old
                matched += 1
                plain += old
                standing += 1
            upcoming = min(upcoming, due[j])
        same = matched == standing and matched == stood_before
        if matched == 0 or (same and plainly):
            level = plain / standing
            plainly = True
        elif not ratio:
            level = level + (after - before) / matched
            plainly = False
        elif before > 0 and after > 0 and level > 0:
            level = level * (after / before)
            plainly = False
        else:
            level = plain / standing
            plainly = True
        stood_before = standing
        out_time[n] = now
        out_day[n] = day[newest]
        out_value[n] = level
        out_count[n] = standing
        n += 1
    return n


@compiled
def usable_from(i: int, end: int, usable: BoolArray) -> int:
    """The first usable position from `i` on, `end` for none before it."""
    while i < end and not usable[i]:
        i += 1
    return i
