"""Flags of kind `silence`: expected data that did not come (P4, P15, G4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo

import numpy as np
from numpy.typing import NDArray

from thresholds.catalogue import Classified
from thresholds.grading import flag_id, utc
from thresholds.kernels.jit import compiled, over_series
from thresholds.model import NO_GRADE, Direction, Finding, Flag, IntArray, Kind
from thresholds.panel import DAY, Panel
from thresholds.plan import Policy
from thresholds.wording import Shown, number, silence_reason

WHOLE_POINT = 3
"""Items of a point that fall silent together from which it is the point that is silent."""
SILENCE_VERSION = "1"
"""Raised when what counts as silence changes."""


@dataclass(frozen=True)
class Cadence:
    """Expected interval and grace of a series in seconds, as configured; 0: take it from the series itself."""

    every: int = 0
    grace: int = 0


@dataclass(frozen=True)
class Silences:
    """Columns, one row per silence: series, expected and overdue time, resumption (or NEVER), usual interval."""

    series: IntArray
    last: IntArray
    expected: IntArray
    overdue: IntArray
    resumed: IntArray
    every: IntArray


NEVER = 2**62


def silences(panel: Panel, now: int, cadences: Mapping[int, Cadence]) -> Silences:
    """All silences up to `now` (seconds). `cadences` gives what is configured, by series number.

    Without configuration the usual interval is the median of the last nine (at least three are needed), and data is
    overdue after three of them, but not before the longest interval of those nine plus a half: a trading calendar
    with its holidays is no silence.
    """
    every = np.zeros(panel.n_series, np.int64)
    grace = np.zeros(panel.n_series, np.int64)
    for s, cadence in cadences.items():
        every[s], grace[s] = cadence.every, cadence.grace
    found: list[tuple[IntArray, IntArray, IntArray]] = []
    over_series(panel.start, lambda a, b: found.append(scan_usual(panel.start, panel.time, every, grace, now, a, b)))
    if not found:
        return Silences(*(np.empty(0, np.int64) for _ in range(6)))
    at, usual, limit = (np.concatenate(column) for column in zip(*sorted(found, key=first_of), strict=True))
    following = np.full(len(at), NEVER, np.int64)
    inside = at + 1 < panel.start[panel.series[at] + 1]
    following[inside] = panel.time[at[inside] + 1]
    last = panel.time[at]
    return Silences(panel.series[at].astype(np.int64), last, last + usual, last + limit, following, usual)


def first_of(found: tuple[IntArray, IntArray, IntArray]) -> int:
    return int(found[0][0]) if len(found[0]) else -1


@compiled
def scan_usual(
    start: IntArray,
    time: IntArray,
    every: IntArray,
    grace: IntArray,
    now: int,
    first: int,
    last: int,
) -> tuple[IntArray, IntArray, IntArray]:
    """Positions, rising, after which a series was silent, its usual interval and the longest that is not silence."""
    found = np.empty((3, 64), np.int64)
    n = 0
    gaps = np.empty(9, np.int64)  # in order of time, round and round
    ordered = np.empty(9, np.int64)
    for s in range(first, last):
        count = 0
        for i in range(start[s], start[s + 1]):
            if i > start[s]:
                gap = time[i] - time[i - 1]
                if count < 9 or gaps[count % 9] != gap:  # else what goes is what comes, the common case
                    known = min(count, 9)
                    if known == 9:
                        drop(ordered, gaps[count % 9])
                        known = 8
                    k = known
                    while k > 0 and ordered[k - 1] > gap:
                        ordered[k] = ordered[k - 1]
                        k -= 1
                    ordered[k] = gap
                    gaps[count % 9] = gap
                count += 1
            often = every[s]
            longest = often + (grace[s] if grace[s] > 0 else often)
            if often == 0:
                if count < 3:
                    continue
                known = min(count, 9)
                often = (ordered[(known - 1) // 2] + ordered[known // 2]) // 2
                longest = max(3 * often, ordered[known - 1] * 3 // 2)
            ahead = time[i + 1] if i + 1 < start[s + 1] else now
            if min(ahead, now) > time[i] + longest:
                if n == found.shape[1]:
                    found = np.concatenate((found, np.empty_like(found)), axis=1)
                found[0, n], found[1, n], found[2, n] = i, often, longest
                n += 1
    return found[0, :n], found[1, :n], found[2, :n]


@compiled
def drop(ordered: IntArray, gap: np.int64) -> None:
    """Take one of nine ordered values out; the eight others stay in order at the front."""
    k = 0
    while ordered[k] != gap:
        k += 1
    while k < 8:
        ordered[k] = ordered[k + 1]
        k += 1


def silence_flags(
    panel: Panel,
    classified: Sequence[Classified],
    policy: Policy,
    now: int,
    *,
    cadences: Mapping[int, Cadence],
    axis: IntArray | None,
    zone: tzinfo,
    resumed_since: int = 0,
) -> list[Flag]:
    """One flag per silent point, or per item and area where a point goes on with other items.

    A point of which three items or more fall silent together is one flag, about no single item: the telephone call
    that it asks for is one. The other silences are one flag per item and area, for all points of one expected time.
    So `panel` must hold all series that are watched, not those of some items only.

    `axis` holds the times at which somebody looked (replay: the times of the input); a silence is first flagged at
    the first of them after it was overdue, and is not known where there is none. Without `axis` that is the overdue
    time. Silences of which all points resumed before `resumed_since` (seconds) are left out.
    """
    found = silences(panel, now, cadences)
    known = found.overdue if axis is None else next_time(axis, found.overdue)
    rows = np.flatnonzero((known <= now) & (known < found.resumed)).tolist()
    return [
        silence_flag(panel, classified, policy, now, found, known, group, zone)
        for group in together(panel, found, known, rows)
        if max(int(found.resumed[k]) for k in group) >= resumed_since
    ]


def together(panel: Panel, found: Silences, known: IntArray, rows: Sequence[int]) -> list[list[int]]:
    """Rows of `found` that are one flag: first whole points, then points of one item."""
    points: dict[tuple[str, str, int, int], list[int]] = {}
    items: dict[tuple[str, str, int, int], list[int]] = {}
    for k in rows:
        s = int(found.series[k])
        day = int(found.expected[k]) // DAY
        points.setdefault((panel.areas[s], panel.keys[s].point, day, int(known[k])), []).append(k)
    groups: list[list[int]] = []
    for (area, _, day, at), group in points.items():
        if len({panel.keys[int(found.series[k])].item for k in group}) >= WHOLE_POINT:
            groups.append(group)
            continue
        for k in group:
            items.setdefault((panel.keys[int(found.series[k])].item, area, day, at), []).append(k)
    return groups + list(items.values())


def next_time(axis: IntArray, after: IntArray) -> IntArray:
    """The first time of `axis` later than each of `after`, NEVER where there is none."""
    found: IntArray = np.append(axis, NEVER)[np.searchsorted(axis, after, "right")]
    return found


def silence_flag(
    panel: Panel,
    classified: Sequence[Classified],
    policy: Policy,
    now: int,
    found: Silences,
    known: NDArray[np.int64],
    rows: list[int],
    zone: tzinfo,
) -> Flag:
    rows = sorted(rows, key=lambda k: panel.keys[int(found.series[k])])  # whatever the order of series in the panel
    numbers = [int(found.series[k]) for k in rows]
    key, area, plan = panel.keys[numbers[0]], panel.areas[numbers[0]], policy.plan_of(classified[numbers[0]].domain)
    points = tuple(sorted({panel.keys[s].point for s in numbers}))
    start = min(int(found.expected[k]) for k in rows)
    flagged = min(int(known[k]) for k in rows)
    resumed = max(int(found.resumed[k]) for k in rows)
    last = min(int(found.last[k]) for k in rows)
    items = sorted({panel.keys[s].item for s in numbers})
    item = items[0] if len(items) < WHOLE_POINT else ""
    shown = Shown(item or f"{len(items)}个品种", "", key.unit, area, points)
    day = utc(last).astimezone(zone).date().isoformat()
    every = int(found.every[rows[0]]) / DAY
    reason = silence_reason(shown, day, every)
    count = float(len(rows))
    finding = Finding(
        "silence/cadence", SILENCE_VERSION, utc(flagged), Direction.NONE, count, 0.0, float("nan"), float("nan"),
        every, "天", f"通常每{number(every)}天一报", len(rows), reason,
    )  # fmt: skip
    over = resumed <= now
    nothing = float("nan")
    return Flag(
        id=flag_id(
            Kind.SILENCE,
            plan,
            item,
            area,
            Direction.NONE,
            start,
            ",".join(sorted(repr(panel.keys[s]) for s in numbers)),
        ),
        kind=Kind.SILENCE,
        plan=plan.id if plan else "",
        plan_version=plan.version if plan else "",
        rule="silence/cadence",
        rule_version=SILENCE_VERSION,
        item=item,
        point=points[0] if len(points) == 1 else "",
        area=area,
        direction=Direction.NONE,
        start=utc(start),
        first_flagged=utc(flagged),
        last_hit=utc(resumed if over else now),
        end=utc(resumed) if over else None,
        end_reason="resumed" if over else "",
        peak=nothing,
        peak_grade=NO_GRADE,
        value=nothing,
        expected=nothing,
        threshold=nothing,
        reason=reason,
        findings=(finding,),
        points=points,
    )
