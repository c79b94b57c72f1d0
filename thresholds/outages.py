"""Outages of publishers as they are told: one flag for all counts that are missing together (P4, P15)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thresholds.kernels.outage import NOTHING, TOGETHER_SERIES, TOGETHER_SHARE, WINDOW
from thresholds.model import Direction, Doubt, SeriesKey
from thresholds.panel import Panel
from thresholds.quality import Gate, Status
from thresholds.told import Told, shown_of
from thresholds.wording import outage_reason

Publisher = tuple[str, str]
NEVER = 2**62


def publisher_of(key: SeriesKey) -> Publisher:
    """Whose counts are judged together: point and channel."""
    return key.point, key.channel


@dataclass
class Episode:
    """An outage: the rows that began it, when it was over, whether several series are out and counts near nothing."""

    rows: list[int]
    lead: int
    end: int
    wide: bool
    complete: bool
    last: int

    def lead_of(self, panel: Panel, rows: Sequence[int]) -> bool:
        """Whether the series that the flag stands with is among those of `rows`."""
        return int(panel.series[self.lead]) in {int(panel.series[i]) for i in rows}


def outages_told(panel: Panel, gate: Gate) -> list[Told]:
    """One flag per outage of a publisher; another one where counts that were incomplete stop altogether."""
    by_publisher: dict[Publisher, dict[int, list[int]]] = {}
    missing = np.flatnonzero(gate.is_(Status.MISSING)).tolist()
    for time, key, i in sorted((int(panel.time[i]), panel.keys[int(panel.series[i])], i) for i in missing):
        by_publisher.setdefault(publisher_of(key), {}).setdefault(time, []).append(i)
    return [told(panel, gate, one) for times in by_publisher.values() for one in episodes(panel, gate, times)]


def episodes(panel: Panel, gate: Gate, times: dict[int, list[int]]) -> list[Episode]:
    """Outages of one publisher from its missing rows by time, in order."""
    found: list[Episode] = []
    for time, rows in times.items():
        running = [e for e in found if time < e.end]
        for one in running:
            one.last = time
        wide = [e for e in running if e.wide]
        if any(e.complete for e in wide):
            continue
        near = [i for i in rows if panel.value[i] <= NOTHING * level_before(panel, gate, i)]
        complete = len(near) >= TOGETHER_SHARE * len(rows)
        if wide and not (complete and wide[0].lead_of(panel, near)):
            continue
        fresh = [i for i in rows if i == panel.start[panel.series[i]] or gate.status[i - 1] != Status.MISSING]
        if wide or (fresh and len(rows) >= TOGETHER_SERIES):
            found.append(begun(panel, gate, rows, time, wide=True, complete=complete))
        else:
            found += [begun(panel, gate, [i], time, wide=False, complete=True) for i in fresh]
    return found


def heard_again(panel: Panel, gate: Gate, rows: list[int]) -> int:
    """When half of the series at `rows` had reported again, NEVER where they have not."""
    back = []
    for i in rows:
        end = int(panel.start[panel.series[i] + 1])
        later = np.flatnonzero(gate.status[i:end] != Status.MISSING)
        back.append(int(panel.time[i + later[0]]) if len(later) else NEVER)
    return sorted(back)[(len(back) - 1) // 2]


def level_before(panel: Panel, gate: Gate, at: int) -> float:
    """Median of the newest twelve accepted counts before a row, NaN of none."""
    begin = int(panel.start[panel.series[at]])
    known = panel.value[begin:at][gate.accepted[begin:at]][-WINDOW:]
    return float(np.median(known)) if len(known) else float("nan")


def begun(panel: Panel, gate: Gate, rows: list[int], time: int, *, wide: bool, complete: bool) -> Episode:
    """The outage that begins with these rows; it stands with the series of the largest counts."""
    lead = max(
        rows, key=lambda i: (np.nan_to_num(level_before(panel, gate, i), nan=-1.0), panel.keys[int(panel.series[i])])
    )
    return Episode(rows, lead, heard_again(panel, gate, rows), wide, complete, time)


def told(panel: Panel, gate: Gate, one: Episode) -> Told:
    """What the flag of an outage says."""
    s, time = int(panel.series[one.lead]), int(panel.time[one.lead])
    value, level = float(panel.value[one.lead]), level_before(panel, gate, one.lead)
    ended = one.end < NEVER
    return Told(
        Doubt.OUTAGE,
        s,
        start=time,
        flagged=time,
        last=one.last,
        end=one.end if ended else None,
        end_reason="resumed" if ended else "",
        direction=Direction.DOWN,
        value=value,
        level=level,
        peak=value,
        window=f"此前最近至多{WINDOW}个有效值的中位数",
        known=len(one.rows),
        reason=outage_reason(shown_of(panel, s), value, level, len(one.rows), one.complete),
    )
