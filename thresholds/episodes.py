"""From single hits to episodes: one flag per item, direction and area, with hold, refractory and widening.

The machine walks through the hits of one item and direction in order of time. A hit that opens starts an episode in
its area; hits within the hold carry it on; the first time after the hold ends it. When several areas are hit at one
time the episode is the city's: it takes over, and the areas' own episodes are merged into it. After an end, hits no
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
OPEN, CLEARED, MERGED = 0, 1, 2


@dataclass(frozen=True)
class Hits:
    """Columns, one row per hit, sorted by (key, time, area).

    key    int64, what episodes are kept apart by: item and direction
    area   int32, number of the area; `n_areas` how many areas the item is watched in
    time   int64, seconds; `until` the time at which the hold has passed (NEVER: not within the data)
    opens  bool, whether the hit may open an episode (else it only carries one on: hysteresis)
    score  float64, strength, comparable within a key
    """

    key: IntArray
    area: NDArray[np.int32]
    n_areas: NDArray[np.int32]
    time: IntArray
    until: IntArray
    opens: BoolArray
    score: FloatArray

    def __len__(self) -> int:
        return len(self.key)


@dataclass(frozen=True)
class Episodes:
    """Columns, one row per episode; `member` int64[n_hits] gives the episode of each hit, -1 if held back.

    area   CITY for several areas
    first  int64, row of the hit that opened it
    end    int64, time of the end, NEVER while open; `how` OPEN, CLEARED or MERGED
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
        hits.key, hits.area, hits.n_areas, hits.time, hits.until, hits.opens, hits.score, total_areas,
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
    total_areas: int,
    out_area: NDArray[np.int32],
    first: IntArray,
    last: IntArray,
    end: IntArray,
    how: NDArray[np.int8],
    member: IntArray,
) -> int:
    never = np.int64(2**62)
    slots = total_areas + 1  # the last slot is the city's
    city = total_areas
    running = np.full(slots, -1)
    hold = np.zeros(slots, np.int64)
    quiet = np.full(slots, -never)
    peak = np.zeros(slots)
    count = 0
    n = len(key)
    a = 0
    while a < n:
        if a == 0 or key[a] != key[a - 1]:
            for k in range(slots):
                if running[k] >= 0 and hold[k] < never:
                    end[running[k]] = hold[k]
                    how[running[k]] = 1
                running[k] = -1
                quiet[k] = -never
                peak[k] = 0.0
        b = a
        while b < n and key[b] == key[a] and time[b] == time[a]:
            b += 1
        now = time[a]
        for k in range(slots):  # holds that have passed
            if running[k] >= 0 and hold[k] < now:
                end[running[k]] = hold[k]
                how[running[k]] = 1
                quiet[k] = hold[k] + (hold[k] - last[running[k]])
                running[k] = -1
        wide = 0  # areas that open now
        strongest = 0.0
        opener = -1
        for i in range(a, b):
            if opens[i]:
                if i == a or area[i] != area[i - 1] or opener < 0:
                    wide += 1
                if opener < 0 or score[i] > strongest:
                    strongest = score[i]
                    opener = i
        whole = wide >= 2 and (wide >= 3 or 2 * wide >= n_areas[a])
        if running[city] < 0 and whole and (now > quiet[city] or strongest > peak[city]):
            running[city] = count
            out_area[count] = -1
            first[count] = opener
            hold[city] = 0
            peak[city] = 0.0
            count += 1
            for k in range(total_areas):
                if running[k] >= 0:
                    end[running[k]] = now
                    how[running[k]] = 2
                    running[k] = -1
        for i in range(a, b):
            k = city if running[city] >= 0 else area[i]
            if running[k] < 0:
                held_back = now <= quiet[k] and score[i] <= peak[k]
                if k != city:
                    held_back = held_back or (now <= quiet[city] and score[i] <= peak[city])
                if not opens[i] or held_back:
                    continue
                running[k] = count
                out_area[count] = area[i]
                first[count] = i
                hold[k] = 0
                peak[k] = 0.0
                count += 1
            member[i] = running[k]
            last[running[k]] = now
            hold[k] = max(hold[k], until[i])
            if opens[i]:
                peak[k] = max(peak[k], score[i])
        a = b
    for k in range(slots):
        if running[k] >= 0 and hold[k] < never:
            end[running[k]] = hold[k]
            how[running[k]] = 1
    return count
