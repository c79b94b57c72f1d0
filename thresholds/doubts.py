"""Flags of kind `data`: what the data gate doubts, and what the monitoring point is asked to check (P4, P15, G4)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from thresholds.catalogue import Classified
from thresholds.kernels.beside import swapped
from thresholds.kernels.lone import newest
from thresholds.kernels.stuck import MOVED
from thresholds.model import BoolArray, Direction, Doubt, Flag, IntArray
from thresholds.outages import outages_told
from thresholds.panel import Panel
from thresholds.plan import Policy
from thresholds.quality import Gate, Status
from thresholds.told import NOTHING, Told, flag_of, shown_of, side
from thresholds.wording import data_reason, reverted_reason, stuck_reason

SWAPPED, REBASED = Doubt.SWAPPED, int(Status.REBASED)
ASKED_AGAIN = (Doubt.JIN, Doubt.ALONE, Doubt.SWAPPED)
"""Doubts that the next report settles."""


def data_flags(
    panel: Panel, gate: Gate, classified: Sequence[Classified], policy: Policy, since: IntArray | None = None
) -> list[Flag]:
    """One flag per run of suspects of a series, per stuck price, per step taken back, and per outage.

    since  int64[n_series], seconds: only those first flagged then or later
    """

    def asked(at: IntArray) -> BoolArray:
        if since is None:
            return np.ones(len(at), np.bool_)
        here: BoolArray = panel.time[at] >= since[panel.series_at(at)]
        return here

    first, last = runs(panel, gate)
    here = asked(first)
    told = [suspects_told(panel, gate, a, b) for a, b in zip(first[here].tolist(), last[here].tolist(), strict=True)]
    told += [stuck_told(panel, gate, i) for i in gate.stuck[asked(gate.stuck)].tolist()]
    told += [reverted_told(panel, gate, i) for i in gate.reverted[asked(gate.reverted)].tolist()]
    told += [one for one in outages_told(panel, gate) if since is None or one.flagged >= since[one.series]]
    return [flag_of(panel, classified, policy, one) for one in told]


def runs(panel: Panel, gate: Gate) -> tuple[IntArray, IntArray]:
    """First and last position of each run of suspects of one series."""
    suspect = np.flatnonzero(gate.is_(Status.SUSPECT))
    if not len(suspect):
        return suspect, suspect
    begins = np.append(True, (np.diff(suspect) > 1) | (np.diff(panel.series_at(suspect)) != 0))
    ends = np.append(begins[1:], True)
    return suspect[begins], suspect[ends]


def suspects_told(panel: Panel, gate: Gate, first: int, last: int) -> Told:
    """The suspects at positions first..last of one series."""
    s = panel.series_of(first)
    value, level = float(panel.value[first]), float(gate.level[first])
    doubt = Doubt(int(gate.doubt[first]))
    direction = side(value, level)
    run = panel.value[first : last + 1]
    ended = last + 1 < panel.start[s + 1]
    return Told(
        doubt,
        s,
        start=int(panel.time[first]),
        flagged=int(panel.time[first]),
        last=int(panel.time[last]),
        end=int(panel.time[last + 1]) if ended else None,
        end_reason=how_settled(panel, gate, last, doubt) if ended else "",
        direction=direction,
        value=value,
        level=level,
        peak=float(run.min() if direction is Direction.DOWN else run.max()),
        window="此前最近至多5个有效值的中位数",
        known=0 if np.isnan(level) else since_new_level(gate, int(panel.start[s]), first),
        reason=data_reason(shown_of(panel, s), doubt, value, level, beside(panel, first) if doubt is SWAPPED else ""),
    )


def beside(panel: Panel, at: int) -> str:
    """The row of the same point and time that holds what the one at `at` was before, and the other way round."""
    s, time = panel.series_of(at), panel.time[at]
    found = []
    for other, (key, area) in enumerate(zip(panel.keys, panel.areas, strict=True)):
        if other == s or key.point != panel.keys[s].point or area != panel.areas[s]:
            continue
        row = newest(panel.start, panel.time, other, time)
        if row > panel.start[other] and panel.time[row] == time and len(swapped(panel, np.array([at, row]))[0]):
            found.append(key)
    first = min(found)  # the gate has seen one; whatever the order of series in the panel
    return f"{first.item}（{first.spec}）" if first.spec else first.item


def how_settled(panel: Panel, gate: Gate, last: int, doubt: Doubt) -> str:
    """Why a doubt is over at the next report: `stayed` where that one lies nearer to the doubted value than to the
    level before, so that it was real; else `cleared`."""
    value, level, after = (float(x) for x in (panel.value[last], gate.level[last], panel.value[last + 1]))
    stays = doubt in ASKED_AGAIN and gate.accepted[last + 1] and abs(after - value) < abs(after - level)
    return "stayed" if stays else "cleared"


def since_new_level(gate: Gate, begin: int, at: int) -> int:
    """How many accepted values, five at most, the level at `at` was taken from."""
    count = 0
    accepted, status = gate.accepted, gate.status
    for i in range(at - 1, begin - 1, -1):
        count += bool(accepted[i])
        if count == 5 or status[i] == REBASED:
            break
    return count


def stuck_told(panel: Panel, gate: Gate, at: int) -> Told:
    """The price known to be stuck at position `at`."""
    s = panel.series_of(at)
    begin, end = int(panel.start[s]), int(panel.start[s + 1])
    rows = np.arange(begin, end)[gate.accepted[begin:end]]
    value = float(panel.value[at])
    same = panel.value[rows] == value
    place = int(np.searchsorted(rows, at))
    first = place - int(np.argmin(np.append(same[: place + 1][::-1], False))) + 1
    stay = int(np.argmin(np.append(same[place:], False)))
    last = place + stay - 1
    over = place + stay < len(rows)
    return Told(
        Doubt.STUCK,
        s,
        start=int(panel.time[rows[first]]),
        flagged=int(panel.time[at]),
        last=int(panel.time[rows[last]]),
        end=int(panel.time[rows[last + 1]]) if over else None,
        end_reason="cleared" if over else "",
        direction=Direction.NONE,
        value=value,
        level=value,
        peak=NOTHING,
        window="该监测点此前的历史",
        known=first,
        reason=stuck_reason(
            shown_of(panel, s),
            value,
            place - first + 1,
            longest_run(panel.value[rows[:first]]),
            others_moved(panel, gate, s, int(panel.time[rows[first]]), int(panel.time[at])),
        ),
    )


def longest_run(values: np.ndarray) -> int:
    """Most equal values in a row; 0 of none."""
    turns = np.flatnonzero(np.append(True, np.diff(values) != 0)) if len(values) else np.empty(0, np.int64)
    return int(np.diff(np.append(turns, len(values))).max(initial=0))


def others_moved(panel: Panel, gate: Gate, s: int, since: int, until: int) -> str:
    """Half a sentence on the other points of the group meanwhile; empty where too few reported."""
    heard = moved = 0
    for other in np.flatnonzero(panel.group == panel.group[s]).tolist():
        then, now = (newest(panel.start, panel.time, other, t) for t in (since, until))
        if other == s or then < 0 or now == then:
            continue
        rows = np.arange(panel.start[other], now + 1)
        rows = rows[gate.accepted[rows]]
        heard += 1
        moved += int((np.diff(panel.value[rows]) != 0)[np.searchsorted(rows, then, "right") - 1 :].sum()) >= MOVED
    return f"，同期{heard}个其他监测点中有{moved}个多次变动" if heard >= 2 else ""


def reverted_told(panel: Panel, gate: Gate, at: int) -> Told:
    """The report at `at` took back the step of the one before."""
    s = panel.series_of(at)
    before, value, after = (float(x) for x in panel.value[at - 2 : at + 1])
    ended = at + 1 < panel.start[s + 1]
    return Told(
        Doubt.REVERTED,
        s,
        start=int(panel.time[at - 1]),
        flagged=int(panel.time[at]),
        last=int(panel.time[at]),
        end=int(panel.time[at + 1]) if ended else None,
        end_reason="cleared" if ended else "",
        direction=side(value, before),
        value=value,
        level=before,
        peak=value,
        window="再上期",
        known=1,
        reason=reverted_reason(shown_of(panel, s), value, before, after),
    )
