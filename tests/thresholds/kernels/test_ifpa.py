"""IFPA against a sheet worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from thresholds.kernels.ifpa import IfpaScores, ifpa_scores
from thresholds.model import BoolArray, FloatArray

FIRST = 486  # July 2010
QUARTER = (0.01, 0.02, 0.03, 0.04, 0.05)
YEAR = (0.004, 0.002, 0.006, 0.004, 0.0056)
"""Monthly growth over three and over twelve months up to July of 2011 to 2015; the last year is tested.

By hand, weights 1 to 4: means 3.0 % and 0.42 %, deviations sqrt(4/3) % and sqrt(0.0196 * 4/3) %; so the parts are
2 / 1.1547 = 1.73205 and 0.14 / 0.161658 = 0.866025, and IFPA = 0.4 * 1.73205 + 0.6 * 0.866025 = 1.212436. With equal
weights: means 2.5 % and 0.4 %, deviations 1.290994 % and 0.163299 %, parts 1.936492 and 0.979796, IFPA 1.362474.
"""


def sheet() -> FloatArray:
    """Monthly prices from July 2010 to July 2015 with just these growths; other months lie between."""
    months = {0: 100.0}
    for k, (quarter, year) in enumerate(zip(QUARTER, YEAR, strict=True), 1):
        months[12 * k] = months[12 * k - 12] * (1 + year) ** 12
        months[12 * k - 3] = months[12 * k] / (1 + quarter) ** 3
    known = sorted(months)
    return np.interp(np.arange(61), known, [months[k] for k in known])


def days(n: int, first: int = FIRST) -> NDArray[np.int32]:
    return np.arange(first, first + n).astype("datetime64[M]").astype("datetime64[D]").astype(np.int32)


def score(price: FloatArray, usable: BoolArray | None = None, **options: float) -> IfpaScores:
    n = len(price)
    good = np.ones(n, np.bool_) if usable is None else usable
    return ifpa_scores(np.array([0, n]), days(n), price, good, np.zeros(n, np.bool_), **options)  # type: ignore[arg-type]


def test_the_sheet_worked_by_hand() -> None:
    """July 2015, weights rising with the years."""
    found = score(sheet())
    assert found.mean[60] == pytest.approx([0.03, 0.0042])
    assert found.scale[60] == pytest.approx([np.sqrt(4 / 3) / 100, np.sqrt(0.0196 * 4 / 3) / 100])
    assert found.score[60] == pytest.approx(0.4 * np.sqrt(3) + 0.6 * np.sqrt(3) / 2, rel=1e-9)
    assert found.score[60] == pytest.approx(1.212436, abs=1e-6)
    assert found.n_used[60] == 4


def test_the_sheet_with_equal_weights_and_another_share() -> None:
    """1.936492 and 0.979796 by hand, mixed 0.4 to 0.6 and half and half."""
    assert score(sheet(), linear=False).score[60] == pytest.approx(1.362474, abs=1e-6)
    assert score(sheet(), linear=False, g=0.5).score[60] == pytest.approx((1.936492 + 0.979796) / 2, abs=1e-6)


def test_before_five_years_there_is_too_little_history() -> None:
    """Four earlier years of growth over a year take sixty months: the 61st month is the first that may be judged."""
    rng = np.random.default_rng(1)
    found = score(np.exp(rng.normal(0, 0.1, 80)))
    assert np.flatnonzero(~np.isnan(found.score))[0] == 60
    assert found.n_used[59] == 3


def test_years_limits_the_baseline_to_the_newest() -> None:
    """With `years` = 4 what was six years ago says nothing."""
    rng = np.random.default_rng(1)
    one = np.exp(rng.normal(0, 0.1, 100))
    other = one.copy()
    other[:20] *= 3
    assert score(one, years=4).score[99] == score(other, years=4).score[99]
    assert score(one).score[99] != score(other).score[99]


def test_four_missing_months_begin_the_history_anew() -> None:
    """Three missing are borne, where the months compared with are there; a fourth drops all before."""
    rng = np.random.default_rng(3)
    price = np.exp(rng.normal(0, 0.1, 90))
    for missing, known in ((3, True), (4, False)):
        keep = np.ones(90, np.bool_)
        keep[72 : 72 + missing] = False
        n = int(keep.sum())
        found = ifpa_scores(
            np.array([0, n]), days(90)[keep], price[keep], np.ones(n, np.bool_), np.zeros(n, np.bool_)
        )
        assert np.isnan(found.score[-1]) != known


def test_suspects_stay_out_and_the_tested_year_is_not_its_own_baseline() -> None:
    """A wild value that is not usable leaves the years after it as they were; one usable does not."""
    price = np.exp(np.random.default_rng(5).normal(0, 0.1, 90))
    wild, good = price.copy(), np.ones(90, np.bool_)
    wild[70] *= 50
    good[70] = False
    found = score(wild, good)
    assert found.score[70] > 10
    without = score(np.where(good, price, np.nan), good)
    np.testing.assert_array_equal(found.score[71:], without.score[71:])


def test_flat_negative_and_daily_series() -> None:
    """Flat: nothing to say without a floor, zero with one. Not positive: not judged. Daily: not judged."""
    assert np.isnan(score(np.full(80, 3.0)).score).all()
    assert score(np.full(80, 3.0), floor=0.001).score[70:].tolist() == [0.0] * 10
    assert np.isnan(score(np.full(80, -3.0)).score).all()
    n, day = 3000, np.arange(12_000, 15_000, dtype=np.int32)
    price = np.exp(np.random.default_rng(5).normal(0, 0.1, n))
    found = ifpa_scores(np.array([0, n]), day, price, np.ones(n, np.bool_), np.zeros(n, np.bool_))
    assert np.isnan(found.score).all()


def test_nothing_that_comes_later_changes_a_score() -> None:
    """Cut at every month: the same bit for bit."""
    price = np.exp(np.random.default_rng(6).normal(0, 0.1, 90))
    whole = score(price)
    for k in range(1, 91, 4):
        np.testing.assert_array_equal(score(price[:k]).score, whole.score[:k])


def test_the_price_at_which_it_would_be_so_high() -> None:
    """Putting that price in the place of the tested one gives just that indicator."""
    price = sheet()
    at = np.array([60])
    for target in (-1.0, 0.0, 0.5, 1.0, 3.0):
        put = price.copy()
        put[60] = score(price).price_at(at, np.array([target]))[0]
        assert score(put).score[60] == pytest.approx(target, abs=1e-9)
