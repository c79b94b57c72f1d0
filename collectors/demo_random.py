"""Counter-based random numbers: a number is a hash of the seed and of what it is for, so it does not depend on
which other numbers were asked before. Good enough for a simulation, not for secrets.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from thresholds.model import FloatArray, IntArray

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
LOW = np.uint64(0xFFFFFFFF)


def mixed(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finishing step of SplitMix64: every bit of the input changes about half of the output bits."""
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def bits(seed: int, stream: int, *counters: IntArray) -> NDArray[np.uint64]:
    """64 random bits for each combination of the counters (integers, broadcast against each other)."""
    with np.errstate(over="ignore"):
        state = mixed(np.asarray([seed, stream], np.int64).astype(np.uint64) * GOLDEN + GOLDEN)
        result = np.asarray(mixed(state[:1] ^ (state[1:] << np.uint64(1))))
        for counter in counters:
            result = mixed((result ^ np.asarray(counter, np.int64).astype(np.uint64)) * GOLDEN + GOLDEN)
    return result


def uniform(seed: int, stream: int, *counters: IntArray) -> FloatArray:
    """Even numbers in [0, 1)."""
    return (bits(seed, stream, *counters) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normal(seed: int, stream: int, *counters: IntArray) -> FloatArray:
    """Standard normal numbers (Box and Muller, from the two halves of one hash)."""
    drawn = bits(seed, stream, *counters)
    radius = np.sqrt(-2.0 * np.log(((drawn >> np.uint64(32)).astype(np.float64) + 1.0) * 2.0**-32))
    angle = (drawn & LOW).astype(np.float64) * (2.0**-32 * 2.0 * np.pi)
    result: FloatArray = radius * np.cos(angle)
    return result


def smooth(seed: int, stream: int, ids: IntArray, days: IntArray, every: int) -> FloatArray:
    """Slow noise [ids, days]: a normal number each `every` days, straight lines between. Spread at most 1."""
    knot, within = np.divmod(days, every)
    first = int(knot[0])
    knots = np.arange(first, int(knot[-1]) + 2, dtype=np.int64)
    drawn = normal(seed, stream, ids[:, None], knots[None, :])
    left, right = drawn[:, knot - first], drawn[:, knot - first + 1]
    return left + (right - left) * (within / every)
