"""Stuck prices: rare by their own habit, and out of step with the others."""

from __future__ import annotations

import numpy as np
import pytest

from tests.thresholds.build import panel_of, quotes, shipped_catalogue
from thresholds.kernels.stuck import how_rare
from thresholds.model import FloatArray, Mark, Observation
from thresholds.panel import Panel
from thresholds.quality import gate


def stuck_days(rows: list[Observation] | Panel) -> list[int]:
    """Days, counted from the first, on which a price of the first series is first known to be stuck."""
    panel = rows if isinstance(rows, Panel) else panel_of(rows)
    found = gate(panel, [shipped_catalogue().classify(k) for k in panel.keys]).stuck
    return [int(panel.day[i] - panel.day[0]) for i in found[panel.series[found] == 0]]


def test_how_rare_a_run_is() -> None:
    """Half of the reports change: 17 equal ones are 1 in 131,072, 24 are 1 in 16 million; and the longest run."""
    assert [how_rare(run, 3, 0.5) for run in (16, 17, 23, 24)] == [0, 1, 1, 2]
    assert [how_rare(30, longest, 0.5) for longest in (15, 16, 20, 21)] == [2, 1, 1, 0]
    assert how_rare(3, 0, 1.0) == 1
    assert how_rare(1000, 1, 0.0) == 0


def walk(n: int, seed: int, often: float = 0.7) -> FloatArray:
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, 0.02, n) * (rng.random(n) < often)
    return np.round(50 * np.exp(np.cumsum(steps)), 1)


def town(length: int, others: int, item: str = "大米", first: int = 100, every: int = 1) -> list[Observation]:
    """A point that stops moving after `first` reports, and others that go on."""
    own = walk(first, 0)
    rows = quotes([*own.tolist(), *[float(own[-1])] * length], item=item, every=every)
    for n in range(others):
        rows += quotes(walk(first + length, n + 1).tolist(), item=item, point=f"点{n}", every=every)
    return rows


def test_days_by_class_and_reports_by_cadence() -> None:
    """Rice after thirty days, cabbage after fifteen; a weekly one by its own habit, after ten or more weeks."""
    assert stuck_days(town(60, 3)) == [129]
    assert stuck_days(town(60, 3, item="大白菜")) == [114]
    (weekly,) = stuck_days(town(30, 3, every=7))
    assert 9 <= weekly // 7 - 99 <= 14


def test_on_its_own_it_takes_a_rarer_run() -> None:
    """Without two others that report, one in ten million: here, later than thirty days only for a stickier price."""
    sticky = walk(300, 5, often=0.3)
    rows = quotes([*sticky.tolist(), *[float(sticky[-1])] * 90])
    (alone,) = stuck_days(rows)
    (among,) = stuck_days(rows + [o for n in range(3) for o in quotes(walk(390, n + 6).tolist(), point=f"点{n}")])
    assert among < alone


def test_a_run_is_told_once_and_the_next_again() -> None:
    """Two runs, with movement between them, are two."""
    own = walk(300, 0).tolist()
    values = [*own[:100], *[own[99]] * 60, *own[100:200], *[own[199]] * 120]
    rows = quotes(values) + [o for n in range(3) for o in quotes(walk(380, n + 1).tolist(), point=f"点{n}")]
    found = stuck_days(rows)
    assert len(found) == 2
    assert found[0] < 160 <= 260 <= found[1]


def test_an_error_neither_breaks_nor_lengthens_a_run() -> None:
    """A digit slip in the middle, and a value that a reviewer struck out."""
    rows = town(60, 3)
    at = next(n for n, o in enumerate(rows) if n == 110)
    slip = [*rows[:at], Observation(rows[at].key, rows[at].at, rows[at].value * 10, area="甲区"), *rows[at + 1 :]]
    assert stuck_days(slip) == [129]
    assert stuck_days(panel_of(rows, mark={at: Mark.DATA_ERROR})) == [129]


@pytest.mark.parametrize("cut", [105, 128, 129, 140, 159])
def test_what_comes_later_changes_nothing(cut: int) -> None:
    """Cut anywhere, what was known is known."""
    rows = town(60, 3)
    limit = sorted({o.at for o in rows})[cut]
    whole = [d for d in stuck_days(rows) if d <= cut]
    assert stuck_days([o for o in rows if o.at <= limit]) == whole
