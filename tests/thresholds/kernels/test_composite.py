"""Composite indicators, against statsmodels, scipy and pandas."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from scipy.stats import percentileofscore
from statsmodels.tsa.filters.hp_filter import hpfilter

from thresholds.kernels.composite import (
    LAMBDA,
    ciss,
    conversion,
    ecdf_ranks,
    hp_gap,
    hp_weights,
    per_kilogram,
    ratios,
)
from thresholds.model import BoolArray, FloatArray, SeriesKey
from thresholds.panel import DAY, Panel


def panel_of(rows: list[tuple[str, str, str, list[tuple[int, float]]]]) -> Panel:
    """(item, unit, area, [(day, value), …]) per series."""
    keys = [SeriesKey(item, unit=unit, point=str(n)) for n, (item, unit, _, _) in enumerate(rows)]
    series = np.repeat(np.arange(len(rows)), [len(r[3]) for r in rows])
    at = np.array([d * DAY for r in rows for d, _ in r[3]], np.int64)
    return Panel.build(keys, [r[2] for r in rows], series, at, np.array([v for r in rows for _, v in r[3]]))


def everything(panel: Panel) -> BoolArray:
    return np.ones(len(panel), np.bool_)


def quarters(values: Sequence[float] | FloatArray) -> Panel:
    return panel_of([("信贷", "%", "甲", [(91 * k, float(v)) for k, v in enumerate(values)])])


WALK = np.cumsum(np.random.default_rng(0).normal(0.3, 2, 130)) + 100


# one-sided HP gap


@pytest.mark.parametrize("n", [3, 4, 8, 20, 60, 120])
def test_weights_give_the_last_value_of_the_two_sided_filter(n: int) -> None:
    """statsmodels' filter on the data cut there, to 1e-8; the weights sum to one."""
    trend = np.asarray(hpfilter(WALK[:n], lamb=LAMBDA)[1])
    assert hp_weights(n) @ WALK[:n] == pytest.approx(trend[-1], abs=1e-8)
    assert hp_weights(n).sum() == pytest.approx(1, abs=1e-12)


def test_the_gap_of_every_quarter_is_one_sided() -> None:
    """At each quarter value minus the last trend on data until then; before `least` readings unknown."""
    panel = quarters(WALK)
    gap = hp_gap(panel, everything(panel), least=20)
    assert np.isnan(gap.gap[:19]).all()
    for k in range(19, 130, 11):
        assert gap.gap[k] == pytest.approx(
            WALK[k] - np.asarray(hpfilter(WALK[: k + 1], lamb=LAMBDA)[1])[-1], abs=1e-8
        )
        assert gap.n_used[k] == k + 1


def test_a_straight_line_has_no_gap() -> None:
    """A steady trend is its own trend; a flat series as well."""
    for values in ([100 + 0.5 * k for k in range(60)], [3.0] * 60):
        panel = quarters(values)
        assert np.nanmax(np.abs(hp_gap(panel, everything(panel)).gap)) < 1e-8


def test_a_hole_begins_the_series_anew() -> None:
    """Two years without data: no trend is drawn across them."""
    rows = [(91 * k + (730 if k >= 40 else 0), float(WALK[k])) for k in range(80)]
    panel = panel_of([("信贷", "%", "甲", rows)])
    used = hp_gap(panel, everything(panel), least=20).n_used
    assert used[39] == 40
    assert (used[40:59] == 0).all()
    assert used[59] == 20


def test_what_is_not_usable_has_no_gap_and_no_weight() -> None:
    """A suspected error in between is left out of the trend of what follows."""
    wrong = WALK.copy()
    wrong[100] = 1e6
    panel = quarters(wrong)
    usable = everything(panel)
    usable[100] = False
    gap = hp_gap(panel, usable).gap
    assert np.isnan(gap[100])
    assert abs(gap[101]) < 50


# ratio


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        ("元/50千克", 0.02),
        ("元/50公斤", 0.02),
        ("元/500克", 2.0),
        ("元/500g", 2.0),
        ("元/斤", 2.0),
        ("元／公斤", 1.0),
        ("元/KG", 1.0),
        ("元/吨", 0.001),
        ("元/担", 0.02),
    ],
)
def test_units_of_weight_are_brought_together(unit: str, factor: float) -> None:
    """As price offices write them, half and full width."""
    known = per_kilogram(unit)
    assert known is not None
    assert known[0] == "元"
    assert known[1] == pytest.approx(factor)


@pytest.mark.parametrize("unit", ["元/5升", "元", "头", "%", "元/", "/千克件", "元/0千克", "元/1.2.3千克"])
def test_what_is_no_price_by_weight_is_not_converted(unit: str) -> None:
    """No guess: such a series takes no part in a ratio with another unit."""
    assert per_kilogram(unit) is None
    assert conversion(unit, "元/千克") is None
    assert conversion(unit, unit) == 1


def test_currencies_are_not_mixed() -> None:
    """Dollars by kilogram and yuan by kilogram have no ratio."""
    assert conversion("USD/kg", "元/kg") is None


def test_the_published_example_of_dazhou() -> None:
    """708.67 元/50 千克 and 3.07 元/千克: 4.62 to 1."""
    panel = panel_of([("生猪", "元/50千克", "甲", [(0, 708.67)]), ("玉米", "元/千克", "甲", [(0, 3.07)])])
    assert ratios(panel, everything(panel), [0], [1], 10).ratio[0] == pytest.approx(4.62, abs=0.005)


def test_the_denominator_is_what_stood_at_that_time() -> None:
    """The newest one up to the day, not older than allowed, and none from the future; pandas agrees."""
    hog = [(d, 15.0 + d) for d in (1, 5, 9, 20, 33)]
    corn = [(d, 2.0 + d / 10) for d in (2, 5, 8, 21)]
    panel = panel_of([("生猪", "元/千克", "甲", hog), ("玉米", "元/千克", "甲", corn)])
    got = ratios(panel, everything(panel), [0], [1], 10).ratio[:5]
    left = pd.DataFrame(hog, columns=["day", "hog"])
    joined = pd.merge_asof(left, pd.DataFrame(corn, columns=["day", "corn"]), on="day", tolerance=10)
    np.testing.assert_allclose(got, (joined.hog / joined.corn).to_numpy())
    assert np.isnan(got).tolist() == [True, False, False, True, True]


def test_the_own_area_comes_first() -> None:
    """Maize of the same area if there is any that stands, else the mean of all."""
    rows = [
        ("生猪", "元/千克", "甲", [(0, 12.0), (30, 12.0)]),
        ("玉米", "元/千克", "甲", [(0, 2.0)]),
        ("玉米", "元/千克", "乙", [(0, 3.0), (30, 3.0)]),
        ("玉米", "元/千克", "丙", [(30, 5.0)]),
    ]
    panel = panel_of(rows)
    found = ratios(panel, everything(panel), [0], [1, 2, 3], 10)
    assert found.ratio[:2].tolist() == [6.0, 3.0]
    assert found.n_used[:2].tolist() == [1, 2]


def test_nothing_is_divided_by_zero() -> None:
    """A denominator of zero has no ratio."""
    panel = panel_of([("甲", "元", "甲", [(0, 12.0)]), ("乙", "元", "甲", [(0, 0.0)])])
    assert np.isnan(ratios(panel, everything(panel), [0], [1], 10).ratio[0])


# systemic stress


def test_ranks_are_those_among_all_values_so_far() -> None:
    """scipy's percentile of each value among those until then; missing values have none."""
    rng = np.random.default_rng(1)
    values = np.round(rng.normal(0, 1, (80, 2)), 1)
    values[10, 0] = np.nan
    ranks = ecdf_ranks(values, 20)
    for i in range(80):
        for j in range(2):
            known = values[: i + 1, j][~np.isnan(values[: i + 1, j])]
            if len(known) < 20 or np.isnan(values[i, j]):
                assert np.isnan(ranks[i, j])
            else:
                assert ranks[i, j] == pytest.approx(percentileofscore(known, values[i, j], kind="weak") / 100)


def test_the_index_is_that_of_its_formula() -> None:
    """Group means of ranks, covariances about one half by pandas' exponential weights, weighted quadratic form."""
    rng = np.random.default_rng(2)
    values = np.cumsum(rng.normal(0, 1, (150, 5)), axis=0)
    groups, weights = [0, 0, 1, 1, 2], [0.5, 0.3, 0.2]
    got = ciss(values, groups, weights)
    ranks = ecdf_ranks(values, 20)
    means = np.stack([ranks[:, :2].mean(1), ranks[:, 2:4].mean(1), ranks[:, 4]], axis=1)
    apart = pd.DataFrame(means - 0.5).dropna()
    product = {(a, b): (apart[a] * apart[b]).ewm(alpha=0.07, adjust=False).mean() for a in range(3) for b in range(3)}
    for t in (60, 100, 149):
        c = np.array([[product[a, b][t] for b in range(3)] for a in range(3)])
        c = c / np.sqrt(np.outer(np.diag(c), np.diag(c)))
        w = np.array(weights) * means[t]
        assert got[t] == pytest.approx(w @ c @ w)


def test_stress_together_is_more_than_stress_apart() -> None:
    """Three groups that rise at once: near one; only one of them: less."""
    rng = np.random.default_rng(3)
    calm = rng.normal(0, 1, (120, 3))
    together, apart = calm.copy(), calm.copy()
    together[100:] += np.arange(1, 21)[:, None]
    apart[100:, 0] += np.arange(1, 21)
    assert ciss(together, [0, 1, 2])[-1] > 0.9
    assert ciss(apart, [0, 1, 2])[-1] < 0.6
    assert np.nanmax(ciss(calm, [0, 1, 2])) <= 1


def test_composites_are_causal_bit_for_bit() -> None:
    """What comes later changes no gap, ratio, rank or index."""
    rng = np.random.default_rng(4)
    values = rng.normal(0, 1, (90, 4))
    np.testing.assert_array_equal(ciss(values[:60], [0, 0, 1, 1]), ciss(values, [0, 0, 1, 1])[:60])
    whole, part = quarters(WALK), quarters(WALK[:70])
    np.testing.assert_array_equal(hp_gap(part, everything(part)).gap, hp_gap(whole, everything(whole)).gap[:70])
