"""Conditions on the season: is a value unusual for this time of the year, Spring Festival considered?

The kernels are imported inside methods: numba behind them costs a third of a second that reading rules does not need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

import numpy as np
from pydantic import Field, model_validator

from thresholds.catalogue import Measure
from thresholds.conditions import Comparison, Condition, Measured, Texts, Truth, compare, condition, sign, texts
from thresholds.model import BoolArray, Direction, FloatArray, IntArray
from thresholds.view import View

if TYPE_CHECKING:
    from thresholds.kernels.ifpa import IfpaScores
    from thresholds.kernels.seasonal import SeasonalScores

GROWTH_FLOOR = 0.001
"""Least deviation of a monthly growth: a tenth of a percent a month. Controlled prices stand still for years."""


def on_scale(view: View) -> FloatArray:
    """float64[n]: values on the scale of their measure, on which changes add; NaN where nothing is tested.

    Prices as logarithms, futures as asinh(x / 2), counts as 2 sqrt(x), signed values as they are.
    """
    scaled = view.scaled()
    return np.where((view.tested | view.usable) & np.isfinite(scaled), scaled, np.nan)


def off_scale(view: View, at: IntArray, y: FloatArray) -> FloatArray:
    """Values in the unit of the series from values on the scale of the measure, at positions `at`."""
    with np.errstate(over="ignore", invalid="ignore"):
        found = y.copy()
        ways = {
            Measure.PRICE: np.exp(y),
            Measure.FUTURES: 2 * np.sinh(y),
            Measure.COUNT: (np.maximum(y, 0.0) / 2) ** 2,
        }
        for measure, value in ways.items():
            found = np.where(view.measure_is(measure)[at], value, found)
    return found


@condition
class Seasonal(Condition):
    """Deviation of a value from its own season: externally studentised residual of trend, season, Spring Festival.

    Use for goods with a season and at least three years of history: vegetables, fruit, pork, coal. Not for prices
    without one, nor as the only alarm: it is a state, which lasts while a price stays high, and a series whose trend
    bends is off it for months. Unit: residual standard deviations, with the uncertainty of the fit.
    Formula and source: thresholds.kernels.seasonal (monthly), thresholds.kernels.fourier (daily, weekly, 旬).
    """

    kind: Literal["seasonal"] = "seasonal"
    model: Literal["auto", "alps", "fourier"] = "auto"
    """alps: monthly series, trend and months; fourier: daily to ten-day series, trend and waves; auto: by cadence"""
    op: Comparison = ">"
    """as in change"""
    value: float = Field(gt=0, le=1000)
    """the bound, in standard deviations of a new value round its season"""
    years: int = Field(default=0, ge=0, le=30)
    """how far the baseline reaches back; 0: the whole history (alps), three years (fourier)"""
    pairs: int = Field(default=3, ge=2, le=4)
    """waves a year (fourier)"""
    festival: bool = True
    """whether the days around Spring Festival have a level of their own"""

    @model_validator(mode="after")
    def long_enough(self) -> Seasonal:
        if 0 < self.years < 3:
            raise ValueError("`years` is less than 3|Use 0 for the default, or at least 3: a season needs that long")
        return self

    def columns(self, view: View) -> tuple[SeasonalScores, BoolArray]:
        """Scores, and which of them are of alps: for `auto` each of the model that the cadence allows, never of both.

        Computed once per view. Baselines hold usable values only.
        """
        key = ("seasonal", self.model, self.years, 0 if self.model == "alps" else self.pairs, self.festival)
        if key not in view.cache:
            from thresholds.kernels.fourier import fourier_scores
            from thresholds.kernels.seasonal import SeasonalScores, alps_scores

            panel, floor = view.panel, view.steps()[1]
            common = panel.start, panel.day, on_scale(view), view.usable, view.rebased, floor
            if self.model == "fourier":
                scores = SeasonalScores.blank(len(panel))
            else:
                scores = alps_scores(*common, years=self.years, festival=self.festival)
            by_month = ~np.isnan(scores.score)
            if self.model != "alps":
                years = self.years or 3
                fourier_scores(*common, pairs=self.pairs, years=years, festival=self.festival, into=scores)
            view.cache[key] = (scores, by_month)
        return cast("tuple[SeasonalScores, BoolArray]", view.cache[key])

    def scores(self, view: View) -> SeasonalScores:
        return self.columns(view)[0]

    def truth(self, view: View, direction: Direction, ease: float = 1.0) -> Truth:
        return compare(sign(direction) * self.scores(view).score, self.op, self.value * ease)

    def measure(self, view: View, at: IntArray, direction: Direction) -> Measured:
        scores = self.scores(view)
        expected, scale, score = scores.expected[at], scores.scale[at], scores.score[at]
        return Measured(
            value=view.panel.value[at],
            expected=off_scale(view, at, expected),
            scale=scale,
            score=score,
            threshold=np.full(len(at), sign(direction) * self.value),
            limit=off_scale(view, at, expected + sign(direction) * self.value * scale),
            unit=texts("σ", at),
            window=self.windows(view, at),
            n_used=scores.n_used[at],
            comparison=texts(self.op, at),
        )

    def windows(self, view: View, at: IntArray) -> Texts:
        """What was compared with; for monthly series with the phase of ALPS, a state and no warning grade."""
        from thresholds.kernels.seasonal import PHASES, phases

        scores, by_month = self.columns(view)
        phase = np.where(by_month[at], phases(scores.score[at]), -1)
        names = np.array([f"往年同月规律（ALPS：{name}）" for name in PHASES], np.object_)
        return np.where(phase >= 0, names[np.maximum(phase, 0)], texts("往年同期规律", at))


@condition
class Ifpa(Condition):
    """FAO's indicator of food price anomalies: is growth over three and twelve months unusual for this month?

    Use as a second opinion on monthly prices with at least five years of history; 0.5 moderately, 1 abnormally high.
    Not alone: with up to nine years behind it, 18 % of ordinary months lie above 1. Unit: weighted deviations.
    Formula and source: thresholds.kernels.ifpa.
    """

    kind: Literal["ifpa"] = "ifpa"
    op: Comparison = ">="
    """as in change"""
    value: float = Field(default=1.0, gt=0, le=1000)
    """the bound: 1 is abnormally high, 0.5 moderately high"""
    quarter_share: float = Field(default=0.4, ge=0, le=1)
    """share of the three-month part; the rest is the twelve-month part"""
    weights: Literal["linear", "equal"] = "linear"
    """of the earlier years: the newest heaviest, or all the same"""
    years: int = Field(default=0, ge=0, le=60)
    """how many earlier years count; 0: all"""

    @model_validator(mode="after")
    def long_enough(self) -> Ifpa:
        if 0 < self.years < 4:
            raise ValueError("`years` is less than 4|Use 0 for all, or at least 4: fewer give no deviation")
        return self

    def scores(self, view: View) -> IfpaScores:
        key = ("ifpa", self.quarter_share, self.weights, self.years)
        if key not in view.cache:
            from thresholds.kernels.ifpa import ifpa_scores

            panel = view.panel
            price = np.where((view.tested | view.usable) & (panel.value > 0), panel.value, np.nan)
            linear = self.weights == "linear"
            view.cache[key] = ifpa_scores(
                panel.start, panel.day, price, view.usable, view.rebased,
                self.quarter_share, linear, self.years, GROWTH_FLOOR,
            )  # fmt: skip
        return cast("IfpaScores", view.cache[key])

    def truth(self, view: View, direction: Direction, ease: float = 1.0) -> Truth:
        return compare(sign(direction) * self.scores(view).score, self.op, self.value * ease)

    def measure(self, view: View, at: IntArray, direction: Direction) -> Measured:
        scores, g = self.scores(view), self.quarter_share
        expected = scores.price_at(at, np.zeros(len(at)), g)
        limit = scores.price_at(at, np.full(len(at), sign(direction) * self.value), g)
        return Measured(
            value=view.panel.value[at],
            expected=expected,
            scale=np.abs(limit - expected) / self.value,
            score=scores.score[at],
            threshold=np.full(len(at), sign(direction) * self.value),
            limit=limit,
            unit=texts("σ", at),
            window=texts("往年同月涨幅（IFPA）", at),
            n_used=scores.n_used[at],
            comparison=texts(self.op, at),
        )
