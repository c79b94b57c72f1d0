"""What the shipped policy finds of faults that are put in: floors on a small panel, and the table of the page."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from tests.thresholds import fault_injection as injection
from tests.thresholds import faults
from tests.thresholds.fault_injection import Result
from tests.thresholds.faults import FAULTS, Market
from thresholds.model import Kind

SEED = 11


@cache
def small() -> Market:
    """A year of 60 items at 6 points of another city than that of the page."""
    return faults.simulator(seed=SEED, points=6, days=400)


@cache
def result_of(name: str) -> Result:
    fault = next(f for f in FAULTS if f.name == name)
    result = injection.measure(small(), fault, SEED)
    assert result.places >= 50, f"{name}: too few places to say anything"
    return result


@pytest.mark.parametrize("name", ["digit slip x10", "unit x2 (goods by weight)"])
def test_a_reporting_error_is_asked_about_and_warns_nobody(name: str) -> None:
    """Ten times or twice the price at one point is a `data` flag at once, and no `move`."""
    result = result_of(name)
    assert result.recall >= 0.98
    assert max(result.delays) == 1
    assert result.as_move <= 0.01


def test_a_rise_in_all_markets_is_no_error() -> None:
    """15 % more at all points is a `move`, most often at the first report."""
    result = result_of("all markets +15 %")
    assert result.recall >= 0.95
    assert float(np.median(result.delays)) == 1


def test_a_small_step_of_all_points_is_seen() -> None:
    """8 % more at all points is a `move` in most places."""
    assert result_of("shift +8 %, all points").recall >= 0.75


def test_a_spike_of_one_point_is_asked_about() -> None:
    """A rise by three tenths at one point that the next report takes back is seen, and seldom warned of."""
    result = result_of("spike x1.3, one report")
    assert result.recall >= 0.95
    assert result.as_move <= 0.1


def test_missing_reports_are_told() -> None:
    """Ten days without reports are a `silence` by the fourth."""
    result = result_of("missing")
    assert result.recall >= 0.98
    assert float(np.median(result.delays)) == 4


@pytest.mark.parametrize("name", [f.name for f in FAULTS if f.right and "creep" not in f.name and not f.everywhere])
def test_a_fault_in_one_place_warns_of_nothing_elsewhere(name: str) -> None:
    """The rest of the panel raises the price warnings that it raises without."""
    market = small()
    usual = 100 * sum(f.kind is Kind.MOVE for f in market.flags) / market.series_weeks
    assert result_of(name).elsewhere <= usual * 1.1


def test_nothing_put_in_is_nothing_found() -> None:
    """A fault without effect is found nowhere: what is counted is what was put in."""
    idle = faults.Fault("none", (Kind.MOVE, Kind.DATA, Kind.SILENCE), faults.times(1.0))
    result = injection.measure(small(), idle, SEED)
    assert result.places >= 50
    assert (result.found, result.moved, result.percent_found) == (0, 0, 0)


def test_the_rule_of_one_line_makes_as_many_alarms() -> None:
    """Its threshold is the one at which it alarms as often as the policy flags."""
    market = small()
    alarms = sum(map(len, injection.alarms(market, market.panel).values()))
    assert alarms <= len(market.flags) <= alarms + 5  # equal changes are alarms together or not at all


def test_the_page_has_every_fault_in_every_market() -> None:
    """The table of the page is that of the module, row by row."""
    block = injection.BLOCK.search(injection.PAGE.read_text("utf-8"))
    assert block is not None
    lines = [line.strip("| ").split(" | ") for line in block["body"].splitlines()]
    assert tuple(lines[0]) == injection.HEAD
    expected = [
        f"{market}: {name}"
        for market in ("food", "simulator")
        for name in ("nothing", *(f.name for f in FAULTS if not f.markets or market in f.markets))
    ]
    assert [line[0] for line in lines[2:]] == expected, "run python -m tests.thresholds.fault_injection"


@pytest.mark.skipif(not faults.FOOD.exists(), reason="the food prices are not beside the project")
def test_errors_in_real_prices_are_mostly_asked_about() -> None:
    """Ten times the price in monthly food prices of two countries: asked about, hardly ever warned of."""
    market = faults.food()
    fault = next(f for f in FAULTS if f.name == "digit slip x10")
    result = injection.measure(market, fault, SEED)
    assert result.places >= 300
    assert result.recall >= 0.94
    assert result.as_move <= 0.08
