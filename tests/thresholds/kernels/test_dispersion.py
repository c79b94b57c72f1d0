"""Dispersion: scipy's median distance, the history of whole days, prices set alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.stats import median_abs_deviation

from tests.thresholds.build import table
from thresholds.kernels.cells import cells
from thresholds.kernels.dispersion import dispersion
from thresholds.model import FloatArray
from thresholds.panel import DAY, Panel


@dataclass(frozen=True)
class Found:
    """Columns of the dispersion, a row for each observation."""

    value: FloatArray
    times: FloatArray
    scale: FloatArray
    points: FloatArray
    n_used: FloatArray


def found_in(panel: Panel, points: int = 5, window: int = 60, least: int = 20) -> Found:
    where = cells(panel)
    found = dispersion(where, panel.value, np.ones(len(panel), np.bool_), points, window, least)
    rows = np.arange(len(panel))
    columns = (found.value, found.times, found.scale, found.points, found.n_used)
    return Found(*(found.at(where, column, rows) for column in columns))


def test_dispersion_is_scipys_mad_and_its_history_is_that_of_earlier_days() -> None:
    """1.4826 MAD of log prices per day; times is over the median of the days before, today's never among them."""
    rng = np.random.default_rng(3)
    values = 5 * np.exp(rng.normal(0, 0.05, (60, 8)))
    values[50] = 5 * np.exp(rng.normal(0, 0.5, 8))
    panel = table(values)
    found = found_in(panel, 5, 30, 10)
    daily = median_abs_deviation(np.log(values), axis=1, scale="normal")
    day = panel.day - panel.day.min()
    np.testing.assert_allclose(found.value, daily[day], rtol=2e-5)
    assert np.isnan(found.times[day < 10]).all()
    for d in (10, 35, 50, 51):
        usual = np.exp(np.median(np.log(daily[max(0, d - 30) : d])))
        np.testing.assert_allclose(found.times[day == d], daily[d] / usual, rtol=2e-5)
        assert (found.n_used[day == d] == min(d, 30)).all()
    assert (found.times[day == 50] > 5).all()
    assert (found.points == 8).all()


def test_the_history_of_dispersion_is_that_of_whole_days() -> None:
    """Five points report at eight, three far dearer ones at noon: history is what each day ended with."""
    rng = np.random.default_rng(9)
    values = np.array([5.0] * 4 + [5.5] + [9.0] * 3) * np.exp(rng.normal(0, 0.02, (40, 8)))
    hours = np.where(np.arange(8) < 5, 8, 12)
    panel = table(values, time=(np.arange(40)[:, None] * DAY + hours * 3600).astype(float))
    found = found_in(panel, 5, 30, 10)
    morning = median_abs_deviation(np.log(values[:, :5]), axis=1, scale="normal")
    evening = median_abs_deviation(np.log(values), axis=1, scale="normal")
    for d in (12, 39):
        usual = np.exp(np.median(np.log(evening[max(0, d - 30) : d])))
        at = panel.day - panel.day.min() == d
        early = panel.time % DAY == 8 * 3600
        np.testing.assert_allclose(found.times[at & early], max(morning[d], 0.005) / usual, rtol=2e-5)
        np.testing.assert_allclose(found.times[at & ~early], evening[d] / usual, rtol=2e-5)
        assert (found.n_used[at] == min(d, 30)).all()


def test_prices_set_alike_are_half_a_percent_apart() -> None:
    """Identical prices for weeks, then one cent between two of them: not infinitely more than nothing."""
    values = np.full((40, 6), 5.0)
    values[39, :3] = 5.01
    panel = table(values)
    found = found_in(panel)
    assert (found.times[panel.day - panel.day.min() >= 20] == 1).all()
    assert (found.scale[panel.day - panel.day.min() >= 20] == 0.1).all()


def test_dispersion_needs_points_and_positive_prices() -> None:
    """Four points are too few, and zero or negative values are no prices."""
    values = np.full((3, 6), 5.0)
    values[1, :2] = [0.0, -1.0]
    values[2, 0] = np.nan
    panel = table(values)
    found = found_in(panel, 5, 30, 10)
    day = panel.day - panel.day.min()
    assert (found.value[day == 0] == 0).all()
    assert np.isnan(found.value[day == 1]).all()
    assert (found.value[day == 2] == 0).all()


@pytest.mark.parametrize("together", [1, 7, 40])
def test_a_moment_has_what_came_until_then(together: int) -> None:
    """Fifty points, so many at a time, some twice a day: each value is scipy's of the newest prices so far."""
    rng = np.random.default_rng(together)
    points = 50
    hours = np.arange(points) // together
    time = np.array([hours, hours + 60]) * 500.0
    values = np.round(5 * np.exp(rng.normal(0, 0.1, (2, points))), 1)
    values[1, rng.random(points) < 0.7] = np.nan
    panel = table(values, time=time)
    found = found_in(panel)
    assert len(np.unique(panel.day)) == 1
    for i in range(len(panel)):
        seen = panel.time <= panel.time[i]
        newest = [np.flatnonzero(seen & (panel.series == s))[-1:] for s in range(points)]
        price = np.log(panel.value[np.concatenate(newest)])
        assert found.points[i] == len(price)
        if len(price) < 5:
            assert np.isnan(found.value[i])
        else:
            assert found.value[i] == pytest.approx(1.4826 * median_abs_deviation(price), rel=1e-12)
