"""Conditions on the season: is a value unusual for this time of the year, Spring Festival considered?

The kernels are imported inside methods: numba behind them costs a third of a second that reading rules does not need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

import numpy as np
from pydantic import Field, model_validator

from thresholds.catalogue import Measure
from thresholds.conditions import Comparison, Condition, Measured, Texts, Truth, compare, condition, sign, texts
from thresholds.model import Direction, FloatArray, IntArray
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
    key = ("on_scale",)
    if key not in view.cache:
        value = view.panel.value
        y = value.astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            price, futures, count = (view.measure_is(m) for m in (Measure.PRICE, Measure.FUTURES, Measure.COUNT))
            y[price] = np.log(value[price])
            y[futures] = np.arcsinh(value[futures] / 2)
            y[count] = 2 * np.sqrt(value[count])
        y[~(view.tested | view.usable) | ~np.isfinite(y)] = np.nan
        view.cache[key] = y
    return cast(FloatArray, view.cache[key])


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

    def columns(self, view: View, model: str) -> SeasonalScores:
        """Scores of one model, computed once per view. Baselines hold usable values only."""
        alps = model == "alps"
        key = ("seasonal", model, self.years, 0 if alps else self.pairs, self.festival)
        if key not in view.cache:
            panel, y, floor = view.panel, on_scale(view), view.steps()[1]
            common = panel.start, panel.day, y, view.usable, view.rebased, floor
            if alps:
                from thresholds.kernels.seasonal import alps_scores

                view.cache[key] = alps_scores(*common, years=self.years, festival=self.festival)
            else:
                from thresholds.kernels.fourier import fourier_scores

                view.cache[key] = fourier_scores(
                    *common, pairs=self.pairs, years=self.years or 3, festival=self.festival
                )
        return cast("SeasonalScores", view.cache[key])

    def scores(self, view: View) -> SeasonalScores:
        """Of the chosen model; for `auto` of the one that the cadence allows at each observation: never both."""
        if self.model != "auto":
            return self.columns(view, self.model)
        key = ("seasonal", "auto", self.years, self.pairs, self.festival)
        if key not in view.cache:
            from thresholds.kernels.seasonal import SeasonalScores

            one, other = self.columns(view, "alps"), self.columns(view, "fourier")
            known = ~np.isnan(one.score)
            view.cache[key] = SeasonalScores(
                np.where(known, one.score, other.score),
                np.where(known, one.expected, other.expected),
                np.where(known, one.scale, other.scale),
                np.where(known, one.n_used, other.n_used),
            )
        return cast("SeasonalScores", view.cache[key])

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
        found = texts("往年同期规律", at)
        if self.model == "fourier":
            return found
        from thresholds.kernels.seasonal import PHASES, phases

        phase = phases(self.columns(view, "alps").score[at])
        names = np.array([f"往年同月规律（ALPS：{name}）" for name in PHASES], np.object_)
        return np.where(phase >= 0, names[np.maximum(phase, 0)], found)


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
