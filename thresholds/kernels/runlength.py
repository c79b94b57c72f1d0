"""Run lengths of control charts by Markov chain: how long until an alarm, without and with a shift.

Use to choose limits and to state false-alarm rates; not on the hot path. Numbers hold for independent, normal,
exactly standardised input: residuals of prices are none of the three, so their real run length is shorter
(docs/detectors.md says what was measured). Method: Brook & Evans 1972 (CUSUM), Lucas & Saccucci 1990 (EWMA).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

from thresholds.model import FloatArray


@dataclass(frozen=True)
class Chain:
    """States of a chart between two alarms. `moves` float64[m, m], chances of going from state to state without
    an alarm; a row's lack to 1 is the chance of an alarm. `first` is the state that the chart starts from.
    """

    moves: FloatArray
    first: int

    def mean(self) -> float:
        """Mean number of observations until the alarm, that of the alarm included."""
        n = len(self.moves)
        return float(np.linalg.solve(np.eye(n) - self.moves, np.ones(n))[self.first])

    def within(self, observations: int) -> float:
        """Chance of an alarm within so many observations."""
        state = np.zeros(len(self.moves))
        state[self.first] = 1.0
        for _ in range(observations):
            state = state @ self.moves
        return float(1.0 - state.sum())


def ewma_chain(weight: float, width: float, shift: float = 0.0, states: int = 501) -> Chain:
    """Two-sided EWMA chart with steady-state limits.

    weight  of the newest observation, 0 to 1
    width   of the limits, in standard deviations of the chart's own statistic
    shift   of the mean, in standard deviations of the observations
    states  odd: the middle one is where the chart starts
    """
    from scipy.special import ndtr  # a tenth of a second: not at start

    if states % 2 == 0 or states < 3:
        raise ValueError(f"{states} states have no middle one: give an odd number of at least 3")
    limit = width * sqrt(weight / (2 - weight))
    edges = np.linspace(-limit, limit, states + 1)
    middle = (edges[1:] + edges[:-1]) / 2
    reach = (edges[None, :] - (1 - weight) * middle[:, None]) / weight - shift
    return Chain(np.diff(ndtr(reach), axis=1), states // 2)


def cusum_chain(slack: float, limit: float, shift: float = 0.0, states: int = 501) -> Chain:
    """One side of a CUSUM chart that starts at zero: max(0, c + x - slack), alarm above `limit` (Brook & Evans)."""
    from scipy.special import ndtr

    width = 2 * limit / (2 * states - 1)  # state 0 is half a step wide: its middle is zero itself
    middle = np.arange(states) * width
    reach = middle[None, :] + width / 2 - middle[:, None] + slack - shift
    below = ndtr(reach)
    moves = np.diff(below, axis=1, prepend=0.0)
    return Chain(moves, 0)


def ewma_run_length(weight: float = 0.2, width: float = 2.962, shift: float = 0.0) -> float:
    """Mean run length of the two-sided EWMA chart, in observations."""
    return ewma_chain(weight, width, shift).mean()


def cusum_run_length(slack: float = 0.5, limit: float = 5.0, shift: float = 0.0) -> float:
    """Mean run length of the two-sided CUSUM chart, in observations: rates of its two sides add (Kemp 1961)."""
    up, down = cusum_chain(slack, limit, shift).mean(), cusum_chain(slack, limit, -shift).mean()
    return 1.0 / (1.0 / up + 1.0 / down)
