"""From single hits to episodes: one flag per item, direction and area, with hold, refractory and widening.

The machine walks through the hits of one item and direction in order of time. A hit that opens starts an episode in
its area; hits within the hold carry it on; the first time after the hold ends it. When several areas are hit at one
time the episode is the city's: it takes over, and the areas' own episodes are merged into it. A further move, much
stronger than all before it, ends the episode and begins a new one: people are told again. After an end, hits no
stronger than the episode was are held back for as long as its hold was (refractory). Everything that is decided at a
time uses hits up to that time only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thresholds.kernels.jit import compiled
from thresholds.model import BoolArray, FloatArray, IntArray

NEVER = 2**62
CITY = -1
OPEN, CLEARED, MERGED, EXCEEDED = 0, 1, 2, 3
GRADE = 1e6
"""What a rank adds to the strength of a hit, so that a higher grade is stronger than any move within a lower one."""
LEVEL = 1e5
"""What a level of the source's own scheme adds: above any strength, and ten of them are below a grade."""
FURTHER = 1.3
"""A move so many times as strong as all before it in an open episode is news: it gets an episode of its own. So does
a leap that leads its series further than where it was told about."""
NO_TIME = np.int64(NEVER)


@dataclass(frozen=True)
class Hits:
    """Columns, one row per hit, sorted by (key, time, area).

    key    int64, what episodes are kept apart by: item and direction
    area   int32, number of the area; `n_areas` how many areas the item is watched in
    time   int64, seconds; `until` the time at which the hold has passed (NEVER: not within the data)
    opens  bool, whether the hit may open an episode (else it only carries one on: hysteresis)
    score  float64, strength, comparable within a key
    series int64, number of the series, in an order that does not depend on the panel's
    level  float64, the value, its sign turned for falls: the greater, the further
    leap   bool, whether it came there at one step that is far from usual
    """

    key: IntArray
    area: NDArray[np.int32]
    n_areas: NDArray[np.int32]
    time: IntArray
    until: IntArray
    opens: BoolArray
    score: FloatArray
    series: IntArray
    level: FloatArray
    leap: BoolArray

    def __len__(self) -> int:
        return len(self.key)


@dataclass(frozen=True)
class Episodes:
    """Columns, one row per episode; `member` int64[n_hits] gives the episode of each hit, -1 if held back.

    area   CITY for several areas
    first  int64, row of the hit that opened it
    end    int64, time of the end, NEVER while open; `how` OPEN, CLEARED, MERGED or EXCEEDED
    """

    area: NDArray[np.int32]
    first: IntArray
    last_hit: IntArray
    end: IntArray
    how: NDArray[np.int8]
    member: IntArray


def episodes(hits: Hits, total_areas: int) -> Episodes:
    """Run the machine over all hits. `total_areas` is one more than the greatest number of an area."""
    n = len(hits)
    area, first, last = np.zeros(n, np.int32), np.zeros(n, np.int64), np.zeros(n, np.int64)
    end, how, member = np.full(n, NEVER, np.int64), np.zeros(n, np.int8), np.full(n, -1, np.int64)
    count = scan_episodes(
        hits.key, hits.area, hits.n_areas, hits.time, hits.until, hits.opens, hits.score,
        hits.series, hits.level, hits.leap, total_areas,
        area, first, last, end, how, member,
    )  # fmt: skip
    return Episodes(area[:count], first[:count], last[:count], end[:count], how[:count], member)


@compiled
def scan_episodes(
    key: IntArray,
    area: NDArray[np.int32],
    n_areas: NDArray[np.int32],
    time: IntArray,
    until: IntArray,
    opens: BoolArray,
    score: FloatArray,
    series: IntArray,
    level: FloatArray,
    leap: BoolArray,
    total_areas: int,
    out_area: NDArray[np.int32],
    first: IntArray,
    last: IntArray,
    end: IntArray,
    how: NDArray[np.int8],
    member: IntArray,
) -> int:
    slots = total_areas + 1  # the last slot is the city's
    city = total_areas
    running = np.full(slots, -1)  # episode per area
    hold = np.zeros(slots, np.int64)  # when it will have passed
    quiet = np.full(slots, -NO_TIME)  # until when the area is held back after an end
    peak = np.zeros(slots)  # strongest opening hit of the running or the last episode
    leader = np.zeros(slots, np.int64)  # series of the strongest hit at the time when the episode began
    told = np.zeros(slots)  # its level then
    count = 0
    n = len(key)
    a = 0
    while a < n:
        if a == 0 or key[a] != key[a - 1]:
            close(NO_TIME, running, hold, quiet, last, end, how)
            running[:] = -1
            quiet[:] = -NO_TIME
            peak[:] = 0.0
        b = a
        while b < n and key[b] == key[a] and time[b] == time[a]:
            b += 1
        now = time[a]
        close(now, running, hold, quiet, last, end, how)
        opener, wide = widest(area, opens, score, a, b)
        whole = wide >= 2 and (wide >= 3 or 2 * wide >= n_areas[a])
        if whole and running[city] < 0 and (now > quiet[city] or score[opener] > peak[city]):
            merge(now, running, end, how, city)
            running[city], hold[city], peak[city] = count, 0, 0.0
            out_area[count], first[count] = -1, opener
            count += 1
        for i in range(a, b):  # before any hit of this time is taken: their order does not matter
            k = city if running[city] >= 0 else area[i]
            if running[k] < 0 or not opens[i]:
                continue
            beyond = leap[i] and series[i] == leader[k] and level[i] > told[k] and time[first[running[k]]] < now
            if further(score[i], peak[k]) or (beyond and score[i] // LEVEL == peak[k] // LEVEL):
                end[running[k]], how[running[k]] = now, 3
                running[k], hold[k], peak[k] = count, 0, 0.0
                out_area[count], first[count] = -1 if k == city else area[i], i
                count += 1
        for i in range(a, b):
            k = city if running[city] >= 0 else area[i]
            if running[k] < 0:
                back = (now <= quiet[k] and score[i] <= peak[k]) or (now <= quiet[city] and score[i] <= peak[city])
                if back or not opens[i]:
                    continue
                running[k], hold[k], peak[k] = count, 0, 0.0
                out_area[count], first[count] = area[i], i
                count += 1
            member[i] = running[k]
            last[running[k]] = now
            hold[k] = max(hold[k], until[i])
            if opens[i]:
                begins = time[first[running[k]]] == now
                if begins and (score[i] > peak[k] or (score[i] == peak[k] and series[i] < leader[k])):
                    leader[k], told[k] = series[i], level[i]
                peak[k] = max(peak[k], score[i])
        a = b
    close(NO_TIME, running, hold, quiet, last, end, how)
    return count


@compiled
def close(
    now: np.int64,
    running: IntArray,
    hold: IntArray,
    quiet: IntArray,
    last: IntArray,
    end: IntArray,
    how: NDArray[np.int8],
) -> None:
    """End the episodes whose hold has passed before `now`; one whose hold lies beyond the data stays open."""
    for k in range(len(running)):
        if running[k] >= 0 and hold[k] < now:
            end[running[k]] = hold[k]
            how[running[k]] = 1
            quiet[k] = hold[k] + (hold[k] - last[running[k]])
            running[k] = -1


@compiled
def further(score: float, peak: float) -> bool:
    """Whether a hit within an open episode is news: of a higher level of its source, or stronger by FURTHER than all
    before at that level; at one grade."""
    if peak <= 0 or score // GRADE != peak // GRADE:
        return False
    level, before = score % GRADE // LEVEL, peak % GRADE // LEVEL
    return level > before or (level == before and score % LEVEL > FURTHER * (peak % LEVEL))


@compiled
def widest(area: NDArray[np.int32], opens: BoolArray, score: FloatArray, a: int, b: int) -> tuple[int, int]:
    """Of the hits a..b of one time: the strongest that opens (-1: none), and in how many areas some open."""
    opener = -1
    wide = 0
    newest = -1
    for i in range(a, b):
        if opens[i]:
            if area[i] != newest:
                wide += 1
                newest = area[i]
            if opener < 0 or score[i] > score[opener]:
                opener = i
    return opener, wide


@compiled
def merge(now: np.int64, running: IntArray, end: IntArray, how: NDArray[np.int8], city: int) -> None:
    """The areas' own episodes end now, merged into the city's."""
    for k in range(city):
        if running[k] >= 0:
            end[running[k]] = now
            how[running[k]] = 2
            running[k] = -1
