"""Run lengths: the published table from the Markov chain to its digits, and from the charts themselves within 5 %."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from thresholds.kernels.charts import Chart, cusum, ewma
from thresholds.kernels.runlength import cusum_chain, cusum_run_length, ewma_chain, ewma_run_length
from thresholds.model import FloatArray

SHIFTS = (0.0, 0.5, 1.0, 2.0, 3.0)
EWMA = {
    (0.05, 2.615): (499.8, 28.8, 11.4, 5.2, 3.5),
    (0.10, 2.814): (499.5, 31.3, 10.3, 4.4, 2.9),
    (0.20, 2.962): (499.7, 41.8, 10.5, 3.7, 2.4),
    (0.40, 3.054): (499.9, 71.2, 14.3, 3.5, 2.0),
}
CUSUM = {
    (0.5, 4.0): (167.7, 26.6, 8.4, 3.3, 2.2),
    (0.5, 4.77): (368.6, 35.2, 9.9, 3.9, 2.5),
    (0.5, 5.0): (465.4, 38.0, 10.4, 4.0, 2.6),
    (0.25, 8.01): (370.3, 28.8, 11.4, 5.2, 3.5),
}
"""Mean run lengths by shift, in standard deviations (METHODS 1.8)."""


@pytest.mark.parametrize("setting", EWMA)
def test_the_chain_of_ewma_gives_the_table(setting: tuple[float, float]) -> None:
    """Every digit of it."""
    assert [round(ewma_run_length(*setting, shift), 1) for shift in SHIFTS] == list(EWMA[setting])


@pytest.mark.parametrize("setting", CUSUM)
def test_the_chain_of_cusum_gives_the_table(setting: tuple[float, float]) -> None:
    """Every digit of it."""
    assert [round(cusum_run_length(*setting, shift), 1) for shift in SHIFTS] == list(CUSUM[setting])


def simulated(chart: str, setting: tuple[float, float], shift: float, expected: float, seed: int) -> float:
    """Mean run length of the chart itself on random numbers: observations by alarm, since it restarts after each."""
    n = int(min(max(4000 * expected, 40_000), 1_500_000))
    x = np.random.default_rng(seed).standard_normal(n) + shift
    start, fresh = np.array([0, n]), np.zeros(n, np.bool_)
    run = ewma if chart == "ewma" else cusum
    found: Chart = run(start, x, fresh, *setting)
    alarms = np.flatnonzero(np.maximum(found.up, found.down) > setting[1])
    return float(alarms[-1] + 1) / len(alarms)


@pytest.mark.parametrize(
    ("chart", "setting", "expected"),
    [*(("ewma", s, EWMA[s]) for s in EWMA), *(("cusum", s, CUSUM[s]) for s in CUSUM)],
)
def test_the_charts_run_as_long_as_the_table_says(
    chart: str, setting: tuple[float, float], expected: tuple[float, ...]
) -> None:
    """Restarted after each alarm, on random numbers: within 5 %, with and without a shift."""
    for number, (shift, length) in enumerate(zip(SHIFTS, expected, strict=True)):
        exact = (ewma_run_length if chart == "ewma" else cusum_run_length)(*setting, shift)
        found = simulated(chart, setting, shift, length, seed=20 + number)
        assert found == pytest.approx(exact, rel=0.05), shift


def test_an_ewma_of_weight_one_is_shewharts_chart() -> None:
    """370.4 observations at three sigma, 43.9 at a shift of one."""
    assert ewma_run_length(1.0, 3.0) == pytest.approx(1 / (2 * norm.sf(3)), rel=1e-9)
    assert round(ewma_run_length(1.0, 3.0, 1.0), 1) == 43.9


def test_the_chance_of_an_alarm_adds_up_to_the_mean() -> None:
    """The mean run length is the sum of the chances that there was none yet."""
    for chain in (ewma_chain(0.2, 1.5, states=101), cusum_chain(0.5, 1.5, states=101)):
        none: FloatArray = np.array([1 - chain.within(n) for n in range(400)])
        assert none[0] == 1
        assert (np.diff(none) < 0).all()
        assert none.sum() == pytest.approx(chain.mean(), rel=1e-6)


def test_a_chain_needs_a_middle_state() -> None:
    """An even number of states would start beside zero."""
    with pytest.raises(ValueError, match="odd"):
        ewma_chain(0.2, 3, states=100)
