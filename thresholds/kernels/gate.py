"""The scan of the data gate: each value of a series against those accepted before it, in order of time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from thresholds.kernels.jit import compiled
from thresholds.kernels.stuck import LEAST_CHANGES, LEAST_REPORTS, how_rare
from thresholds.model import BoolArray, Doubt, FloatArray, IntArray, Mark
from thresholds.panel import Day

NONPOSITIVE, FACTOR, JIN, CONFLICT = map(int, (Doubt.NONPOSITIVE, Doubt.FACTOR, Doubt.JIN, Doubt.CONFLICT))
DAN, ALONE, PLACEHOLDER = map(int, (Doubt.DAN, Doubt.ALONE, Doubt.PLACEHOLDER))
SWAPPED, RANGE = int(Doubt.SWAPPED), int(Doubt.RANGE)
CONFLICT_BIT, ERROR_BIT = int(Mark.CONFLICT), int(Mark.DATA_ERROR)
JUDGED_BITS = CONFLICT_BIT | ERROR_BIT
ALONE_BIT, SWAPPED_BIT, RANGE_BIT = 1, 2, 4
"""What a value is beside other series (thresholds.quality.oddities)."""
REVERTED = 4
"""Event: the step of the report before was taken back. 1 and 2: the price may be stuck (thresholds.kernels.stuck)."""
ACCEPTED, SUSPECT, REBASED, EXCLUDED = 0, 1, 2, 3
"""Status in thresholds.quality."""
PLACEHOLDERS = (999.0, 9999.0, 99999.0, 999999.0)
FAR = np.exp(0.14)
"""What is nearer to the level than this is no outlier, however large the step to it was (thresholds.kernels.lone)."""
CALM = 2.0
"""Rows in each other's place are off by more than this many times the range (log) of the five newest values: where
prices jump about, two of them land in each other's place by chance.
"""
SAME, LARGE = 1.02, np.exp(0.35)
"""A step at least this large that is taken back to within this is one that reverted."""
SIGNS, TWICE, LONE, STREAK = 0, 1, 2, 3
"""State of a series: which of the newest twenty values were impossible, contradicted, alone (one bit each); like
suspects in a row."""
LIKE, SIDE = 0, 1
"""And: the newest suspect's value; where the report before stood alone, on which side of the level, else 0."""


@compiled
def scan_gate(
    start: IntArray,
    day: Day,
    value: FloatArray,
    mark: NDArray[np.uint8],
    positive: BoolArray,
    counts: BoolArray,
    quoted: BoolArray,
    weight: NDArray[np.uint8],
    stick: NDArray[np.int32],
    company: NDArray[np.int16],
    odd: NDArray[np.uint8],
    status: NDArray[np.uint8],
    doubt: NDArray[np.uint8],
    level: FloatArray,
    event: NDArray[np.uint8],
    first: int,
    last: int,
) -> None:
    """Fill status, doubt, level and `event` (see above).

    positive, counts  bool[n_series]: what cannot be zero or negative, what cannot be negative
    quoted            bool[n_series]: what is a price in some unit: a wrong one shows as a factor
    weight, stick     of units (slip); days that a price must stand before it can be stuck, 0: not judged
    company, odd      per observation, beside other series
    """
    recent = np.empty(5)
    bits = np.zeros(4, np.int64)
    floats = np.zeros(2)
    for s in range(first, last):
        known = 0  # accepted values so far
        bits[:] = 0
        floats[:] = 0.0
        slot, newest = 0, 0.0  # where the next accepted value goes, and the newest one
        # how long the value has been the same, the longest such run before, changes, reports before it, its first row
        run, longest, changes, reports, began, look = 0, 0, 0, 0, 0, 0
        begin, end = start[s], start[s + 1]
        of, marked, oddly = value[begin:end], mark[begin:end], odd[begin:end]
        clean = True  # nothing is held against the newest values
        for k in range(len(of)):
            v = of[k]
            i = begin + k
            usual = v < LARGE * newest and v * LARGE > newest and known > 0
            if not (usual and clean and (oddly[k] | (marked[k] & JUDGED_BITS)) == 0):  # else there is nothing to ask
                impossible = (positive[s] and v <= 0) or (counts[s] and v < 0)
                verdict = judged(
                    v, mark[i], impossible, recent, known, quoted[s], weight[s], company[i], odd[i], bits, floats
                )
                clean = bits[0] + bits[1] + bits[2] + bits[3] == 0
                if verdict[1] > 0.0 or verdict[1] <= 0.0:
                    level[i] = verdict[1]
                if verdict[0] == EXCLUDED << 8:
                    status[i] = EXCLUDED
                    continue
                if verdict[0] == REBASED << 8:
                    status[i] = REBASED
                    known, slot = 0, 0
                elif verdict[0] != 0:
                    status[i] = SUSPECT
                    doubt[i] = verdict[0]
                    continue
                elif positive[s] and known >= 4 and company[i] + company[i - 1] + status[i - 1] + status[i - 2] == 0:
                    # four values are known, so the two reports before are of this series
                    event[i] = REVERTED if reverts(v, newest, recent[(known - 2) % 5]) else 0
            # whether a price moves is anybody's guess, and a processor's guess costs more than these sums
            some = int(known > 0)
            same = int(v == newest) * some
            ended = run if same == 0 else 0
            longest = max(longest, ended)
            reports += ended * some
            changes += some - same
            began = i if same == 0 else began
            look = look * same
            run = run * same + 1
            if run >= LEAST_REPORTS and run >= look and changes >= LEAST_CHANGES and stick[s] > 0:
                rare = how_rare(run, longest, changes / reports) if day[i] - day[began] >= stick[s] else 0
                if rare > 0:
                    event[i] = rare
                    look = run + run // 4 + 1
            recent[slot] = v
            known += 1
            slot = slot + 1 if slot < 4 else 0
            newest = v


@compiled
def judged(
    v: float,
    mark: int,
    impossible: bool,
    recent: FloatArray,
    known: int,
    quoted: bool,
    weight: int,
    company: int,
    odd: int,
    bits: IntArray,
    floats: FloatArray,
) -> tuple[int, float]:
    """The doubt on a value, 0 for none, or a status << 8; and the level before, where it was asked for (else NaN)."""
    newest = recent[(known - 1) % 5]
    usual = known > 0 and v > 0.55 * newest and v < 1.8 * newest
    conflict = (mark & CONFLICT_BIT) != 0 or (odd & RANGE_BIT) != 0
    habit_sign, habit_twice = ones(bits[SIGNS]) >= 5, ones(bits[TWICE]) >= 5
    push(bits, SIGNS, impossible)
    push(bits, TWICE, conflict)
    if mark & ERROR_BIT:
        return EXCLUDED << 8, np.nan
    level = np.nan
    if known > 0 and (impossible or conflict or not usual or odd != 0):
        level = float(np.median(recent[: min(known, 5)]))
    why = 0
    if impossible and not habit_sign:
        why = NONPOSITIVE
    elif conflict and not habit_twice:
        why = CONFLICT if mark & CONFLICT_BIT else RANGE
    elif known >= 3 and not (usual and odd == 0):
        why = misplaced(v, recent, known, level, usual, quoted, weight, company, odd)
    side = 1.0 if v > level else -1.0
    stays, habit_alone = side == floats[SIDE], ones(bits[LONE]) >= 5
    push(bits, LONE, why == ALONE and not stays)
    if why == ALONE and (stays or habit_alone):
        why = 0
    floats[SIDE] = side if why == ALONE else 0.0
    bits[STREAK] = lengthened(bits[STREAK], why, v, floats[LIKE])
    floats[LIKE] = v
    if why == JIN and bits[STREAK] >= 2:
        return 0, level
    if bits[STREAK] >= 5:
        return REBASED << 8, level
    return why, level


@compiled
def push(bits: IntArray, which: int, hit: bool) -> None:
    bits[which] = ((bits[which] << 1) | (1 if hit else 0)) & 0xFFFFF


@compiled
def ones(bits: int) -> int:
    count = 0
    while bits:
        bits &= bits - 1
        count += 1
    return count


@compiled
def reverts(v: float, newest: float, before: float) -> bool:
    """Whether a large step from `before` to `newest` is taken back by `v`."""
    return not near(v, newest, LARGE) and near(v, before, SAME)


@compiled
def misplaced(
    v: float,
    recent: FloatArray,
    known: int,
    level: float,
    usual: bool,
    quoted: bool,
    weight: int,
    company: int,
    odd: int,
) -> int:
    """The doubt on a value after a large step, else 0: no value at all, a wrong unit, another row's, no company."""
    low, high, least, most = extent(recent, min(known, 5))
    if not usual and placeholder(v, least, most, quoted):
        return PLACEHOLDER
    if not quoted or v <= 0:
        return 0
    newest = recent[(known - 1) % 5]
    why = 0 if usual else slip(v, newest, level, weight)
    if why != 0:
        return why if company < 2 else 0
    if (odd & (SWAPPED_BIT | ALONE_BIT)) == 0 or near(v, newest, FAR) or near(v, level, FAR):
        return 0
    if odd & SWAPPED_BIT and not near(v, level, (high / low) ** CALM):
        return SWAPPED
    # where it was within five reports it may well be again: an offer of every weekend is none to ask about
    return ALONE if odd & ALONE_BIT and not low <= v <= high else 0


@compiled
def lengthened(streak: int, why: int, v: float, before: float) -> int:
    """How many like values in a row have now been doubted for their unit."""
    if why in (FACTOR, JIN, DAN) or (why == PLACEHOLDER and v == 1.0):
        return streak + 1 if streak > 0 and abs(v / before - 1.0) < 0.1 else 1
    return 0


@compiled
def near(v: float, base: float, times: float) -> bool:
    return v <= base * times and v * times >= base


@compiled
def extent(recent: FloatArray, count: int) -> tuple[float, float, float, float]:
    """Lowest and highest of the newest values, and of their sizes."""
    low, high, least, most = recent[0], recent[0], abs(recent[0]), abs(recent[0])
    for k in range(1, count):
        low, high = min(low, recent[k]), max(high, recent[k])
        least, most = min(least, abs(recent[k])), max(most, abs(recent[k]))
    return low, high, least, most


@compiled
def placeholder(v: float, least: float, most: float, quoted: bool) -> bool:
    """Whether a value that stands for none is far from all of the newest ones."""
    for one in PLACEHOLDERS:
        if abs(v) == one:
            return one > 3.0 * most if quoted else one > 20.0 * most
    return quoted and ((v == 0.01 and least > 0.03) or (v == 1.0 and least > 5.0))


@compiled
def slip(v: float, newest: float, level: float, weight: int) -> int:
    """Doubt.FACTOR, JIN or DAN where the value looks like another one wrongly written, else 0.

    A factor of 10 is recognised within 25 %: a real price does not make such a step between two reports, and the
    price itself goes on moving meanwhile. A factor of 2 does happen, so it must fit within 4 %.
    """
    for base in (newest, level):
        if base <= 0:
            continue
        ratio = v / base
        if ratio < 1.0:
            ratio = 1.0 / ratio
        if ratio > 7.5:
            tens = np.log10(ratio)
            if abs(tens - np.round(tens)) < 0.097:
                return FACTOR
            if weight & 1 and 40.0 < ratio < 62.5:
                return DAN
            if weight & 2 and (16.0 < ratio < 25.0 or 1600.0 < ratio < 2500.0):
                return DAN
        if weight & 1 and 1.92 < ratio < 2.08:
            return JIN
    return 0
