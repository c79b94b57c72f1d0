"""Which items have nothing new to say: no rule can be true, and the gate has no doubt, at their newest readings.

Evaluating an item reads its whole history. Most readings of most days change nothing: too small a move for any rule
in force. This looks at the newest readings and a few weeks before them only, and names the items of which that is
certain; all others are evaluated whole. It never decides that something is abnormal, so it cannot raise a flag, and
what it passes over has exactly the flags that it had before (tests/thresholds/test_newest.py compares).

Certain means: every rule of the item's class asks for a change of some least size over some time (`asks`), and no
reading within that time lies that far from the newest one, is marked, zero, stuck or stands after a gap. The mean of
an area moves no more than its points do while the same points stand behind it, so what holds for all points holds
for their means.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from thresholds.aggregate import LEAST_CARRY, stands
from thresholds.calendar import TOLERANCE, Day, Lag
from thresholds.catalogue import Classified, Measure
from thresholds.conditions import Change, Condition, Score
from thresholds.conditions_recorded import Recorded
from thresholds.conditions_tree import All, Any_, Breadth, Lasting
from thresholds.kernels.beside import role_of
from thresholds.kernels.calm import fetch, scan_cells
from thresholds.kernels.jit import compiled, over_series
from thresholds.model import BoolArray, FloatArray, IntArray, SeriesKey
from thresholds.panel import DAY, Panel
from thresholds.plan import Policy, Rule
from thresholds.quality import STUCK_DAYS_FRESH

DOUBTS = ((0, 1, 0.04), (0, 6, 0.12))
"""Days, readings and log change within which the gate has nothing to ask of a price: its smallest step of interest is
14 % (thresholds.kernels.lone), and it looks back at most five readings."""
SPANS = {
    Lag.PREVIOUS: 0,
    Lag.DAY: 1,
    Lag.WEEK: 7,
    Lag.XUN: 12,
    Lag.TEN_DAYS: 10,
    Lag.THIRTY_DAYS: 30,
    Lag.MONTH: 31,
}
"""Greatest length in days of the lags that are looked at here; a rule over a longer one is always evaluated."""
SLACK = 1e-6
AT_ONCE = 64
"""Series whose newest weeks are fetched together."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A rule can be true only where a reading lies `least` (log change) from one at most `days` days or `readings`
    readings before it."""

    days: int
    readings: int
    least: float


def asks(condition: Condition, ease: float) -> list[Ask] | None:
    """Of these at least one holds wherever `condition` is true, for a price; None where no such thing can be said.

    What people recorded is taken to be nothing: where there are records, every item is evaluated.
    """
    match condition:
        case Change():
            if condition.over not in SPANS:
                return None
            slack = TOLERANCE.get(condition.over, 0) if condition.days is None else condition.days
            days = 0 if condition.over is Lag.PREVIOUS else SPANS[condition.over] + slack
            return [Ask(days, 1, least(condition.percent, ease))]
        case Recorded():
            return []
        case Score():
            return [Ask(0, condition.over, least(condition.percent, ease))] if condition.percent else None
        case Breadth() | Lasting():
            return asks(condition.of, ease)
        case All():
            known = [found for part in condition.of if (found := asks(part, ease)) is not None]
            return max(known, key=lambda found: min((one.least for one in found), default=math.inf), default=None)
        case Any_():
            parts = [asks(part, ease) for part in condition.of]
            return None if any(p is None for p in parts) else [one for p in parts if p for one in p]
        case _:
            return None


def least(percent: float, ease: float) -> float:
    """Least log change, up or down, of a change by `percent` % whose threshold is eased."""
    return math.log1p(percent / 100 * ease) - SLACK


@dataclass
class Watch:
    """What the rules of a policy ask of each series.

    table   one column per (days, readings) that some rule asks about; of a class one row with the least log change
    near    of these what is asked of the quotes of a point; `wide` of their mean over an area
    """

    policy: Policy
    spans: list[tuple[int, int]] = field(init=False)
    known: dict[tuple[str, ...], int] = field(init=False, default_factory=dict)
    table: list[list[float]] = field(init=False, default_factory=list)
    near: list[list[float]] = field(init=False, default_factory=list)
    wide: list[list[float]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.rules: list[tuple[Rule, str, list[Ask] | None]] = [
            (rule, pack.domain, asks(rule.when, rule.ease)) for pack in self.policy.packs for rule in pack.rules
        ]
        asked = {(one.days, one.readings) for _, _, found in self.rules for one in found or ()}
        self.spans = sorted(asked | {(days, readings) for days, readings, _ in DOUBTS})

    def row_of(self, one: Classified) -> int:
        """The row of `table` for a series; -1 for one that is always evaluated."""
        key = (one.domain, one.measure.value, *one.chain)
        if key not in self.known:
            self.known[key] = self.add_row(one)
        return self.known[key]

    def add_row(self, one: Classified) -> int:
        if one.measure is not Measure.PRICE:
            return -1
        doubts = {(days, readings): change for days, readings, change in DOUBTS}
        near = [doubts.get(span, math.inf) for span in self.spans]
        wide, every = [math.inf] * len(self.spans), list(near)
        for rule, domain, found in self.rules:
            wanted, unwanted = set(rule.classes), set(rule.without_classes)
            chain = set(one.chain)
            if domain not in ("any", one.domain) or (wanted and not wanted & chain) or unwanted & chain:
                continue
            if not rule.when.meant_for(one):
                continue
            if found is None:
                return -1
            bar = wide if rule.scope == "area" else near
            for ask in found:
                place = self.spans.index((ask.days, ask.readings))
                bar[place] = min(bar[place], ask.least)
                every[place] = min(every[place], ask.least)
                if rule.scope not in ("area", "point"):
                    near[place] = -math.inf  # of means over several items a closer look says nothing
        self.table.append(every)
        self.near.append(near)
        self.wide.append(wide)
        return len(self.table) - 1

    def rows(self, keys: Sequence[SeriesKey], classified: Sequence[Classified]) -> IntArray:
        """int64[n_series]: what is asked of each series, for `quiet`. The same as long as the policy is."""
        texts = {text for key in keys for text in (key.spec, key.channel)}
        several = {text for text in texts if role_of(text)[1] >= 0}
        pairs = zip(keys, classified, strict=True)
        # a lowest and a highest price may contradict each other after the smallest move: -1
        found = [-1 if k.spec in several or k.channel in several else self.row_of(one) for k, one in pairs]
        return np.array(found, np.int64)

    def quiet(self, panel: Panel, rows: IntArray, since: IntArray) -> BoolArray:
        """bool[n_series]: series of which nothing from `since` (int64[n_series], seconds) on can mean anything.

        `panel` may be cut off in the past, but must reach back at least `reach` days before `since`, and one reading
        more. `rows` as `rows` gave them.
        """
        result = np.zeros(panel.n_series, np.bool_)
        bars = np.exp(np.array(self.table or [[0.0] * len(self.spans)]))  # as ratios
        days = np.array([d for d, _ in self.spans], np.int64)
        readings = np.array([r for _, r in self.spans], np.int64)
        least = self.least_bars(bars, days, readings)
        over_series(
            panel.start,
            lambda a, b: scan_quiet(
                panel.start, panel.time, panel.day, panel.value, panel.mark, since, rows, bars, least, days, readings,
                self.reach, result, a, b,
            ),
        )  # fmt: skip
        return result

    @staticmethod
    def least_bars(bars: FloatArray, days: IntArray, readings: IntArray) -> FloatArray:
        """float64[n_rows, k]: what is nearer than this to a reading so many readings later is within all bars that
        count there; those that count by days are taken to count everywhere."""
        back = np.arange(int(readings.max()) + 3)
        counts = (back[:, None] <= readings + 1) | (days > 0)
        found: FloatArray = np.where(counts, bars[:, None, :], np.inf).min(axis=2) * (1 - SLACK)
        return found

    def calm(
        self, panel: Panel, rows: IntArray, since: IntArray, status: NDArray[np.uint8], cells: Cells
    ) -> BoolArray:
        """bool[n_cells]: areas in which nothing from `since` on can mean anything, where a closer look shows it.

        Unlike `quiet` this follows the means of areas: not every move of a point moves them, and points may fall out
        and come back. `panel` holds whole series, `since` is the same for all series of an item.

        status  uint8[n], what the gate said of the readings before `since` (thresholds.quality.Status)
        """
        lead = rows[cells.members[cells.bounds[:-1]]]
        near, wide = (np.exp(np.array(table or [[0.0] * len(self.spans)]))[lead] for table in (self.near, self.wide))
        days, readings = (np.array(column, np.int64) for column in zip(*self.spans, strict=True))
        result = np.zeros(len(lead), np.bool_)
        over_series(
            cells.bounds,
            lambda a, b: scan_cells(
                panel.start, panel.time, panel.day, panel.value, panel.mark, status, since, cells.bounds,
                cells.members, near, wide, days, readings, STUCK_DAYS_FRESH, result, a, b,
            ),
        )  # fmt: skip
        result[lead < 0] = False
        return result

    @property
    def reach(self) -> int:
        """Days before a reading that are looked at."""
        return max(STUCK_DAYS_FRESH, *(d for d, _ in self.spans)) + 2


@dataclass(frozen=True)
class Cells:
    """Series by (item, spec, unit, channel, area): `members` int64, those of cell c at bounds[c]:bounds[c + 1]."""

    bounds: IntArray
    members: IntArray

    @classmethod
    def of(cls, cell: IntArray) -> Cells:
        """From the number of the cell of each series."""
        order = np.argsort(cell, kind="stable")
        begins = np.flatnonzero(np.append(True, np.diff(cell[order]) != 0)) if len(cell) else np.empty(0, np.int64)
        return cls(np.append(begins, len(cell)).astype(np.int64), order.astype(np.int64))


def quiet_items(keys: Sequence[SeriesKey], series_quiet: BoolArray) -> dict[str, bool]:
    """Of each item whether all its series are quiet."""
    found = {key.item: True for key in keys}
    for s in np.flatnonzero(~series_quiet).tolist():
        found[keys[s].item] = False
    return found


@compiled
def scan_quiet(
    start: IntArray,
    time: IntArray,
    day: Day,
    value: FloatArray,
    mark: NDArray[np.uint8],
    since: IntArray,
    rows: IntArray,
    bars: FloatArray,
    least: FloatArray,
    days: IntArray,
    readings: IntArray,
    reach: int,
    result: BoolArray,
    first: int,
    last: int,
) -> None:
    fetched, seen = first, 0.0
    for s in range(first, last):
        if s == fetched:
            fetched = min(s + AT_ONCE, last)
            seen += fetch(start, time, day, value, mark, np.arange(s, fetched))
        row = rows[s]
        if row < 0:
            continue
        calm = seen == seen  # always: values are finite
        i = start[s + 1] - 1
        if i > start[s] and time[i] < since[s]:  # nothing new: but its quote may stand behind a mean that is new
            until = time[i] + stands(time[i] - time[i - 1])
            if until < since[s]:
                result[s] = until < since[s] - reach * DAY  # it dropped out just now
                continue
            calm = calm_at(start[s], i, time, day, value, mark, bars[row], least[row], days, readings, reach)
        while calm and i >= start[s] and time[i] >= since[s]:
            calm = calm_at(start[s], i, time, day, value, mark, bars[row], least[row], days, readings, reach)
            i -= 1
        result[s] = calm


@compiled
def calm_at(
    begin: int,
    i: int,
    time: IntArray,
    day: Day,
    value: FloatArray,
    mark: NDArray[np.uint8],
    bar: FloatArray,
    near: FloatArray,
    days: IntArray,
    readings: IntArray,
    reach: int,
) -> bool:
    """Whether the reading at position `i` of a series that begins at `begin` is certain to mean nothing."""
    most = len(near) - 2  # readings back, and one more, of what asks by readings
    v = value[i]
    if v <= 0 or mark[i] != 0:
        return False
    same = True  # all readings so far are equal to this one
    later = np.int64(0)  # seconds between the two readings looked at before
    j = i - 1
    while True:
        if j < begin or value[j] <= 0 or mark[j] != 0:
            return False  # too young, or something is known of it
        interval = time[j + 1] - time[j]
        if later > LEAST_CARRY and later > stands(interval):
            return False  # its quote had lapsed meanwhile: the points behind a mean were others
        later = interval
        back = i - j
        inside = back <= most or day[i] - day[j + 1] <= reach
        closest = near[min(back, most + 1)]
        if value[j] * closest <= v or v * closest <= value[j]:
            far = max(v / value[j], value[j] / v)
            for k in range(len(bar)):
                # one reading more than the span: the quote that stood when the span began
                if far >= bar[k] and (back <= readings[k] + 1 or day[i] - day[j + 1] <= days[k]):
                    return False
        same = same and value[j] == v
        if same and day[i] - day[j] >= STUCK_DAYS_FRESH:
            return False
        if not inside:
            return True
        j -= 1
