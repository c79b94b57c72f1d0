"""Condition on what is to come: a bound will be crossed soon, with a stated chance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

import numpy as np
from pydantic import Field, model_validator

from thresholds.catalogue import Measure
from thresholds.conditions import Condition, Measured, Truth, compare, condition, sign, texts
from thresholds.model import Direction, FloatArray, IntArray
from thresholds.view import View
from thresholds.wording import number

if TYPE_CHECKING:
    from thresholds.kernels.forecast import Forecasts


def scaled(view: View, value: FloatArray) -> FloatArray:
    """`value` on the scale on which errors of the series are alike at all levels; NaN where there is none."""
    out = view.on_scale(value)
    out[~np.isfinite(out)] = np.nan
    return out


def unscaled(view: View, at: IntArray, scale: FloatArray) -> FloatArray:
    """Back from the scale of the series to values, at positions `at`."""
    out = scale.copy()
    for measure, way in (
        (Measure.PRICE, np.exp),
        (Measure.FUTURES, lambda x: 2 * np.sinh(x)),
        (Measure.COUNT, lambda x: (np.maximum(x, 0) / 2) ** 2),
    ):
        here = view.measure_is(measure)[at]
        out[here] = way(scale[here])
    return out


@condition
class Forecast(Condition):
    """Within the next readings a level, or a change from now, will be reached with at least such a chance.

    Use as the "or is expected to" of rules on duration, and as a warning ahead of a fixed level. Not for series with
    fewer than a few dozen readings, nor to foresee shocks: errors like those of the past are all it knows. Chance:
    share of the forecast's own past errors that would lead across the bound (thresholds.kernels.forecast); `horizon`
    and `season` count readings, `chance` is a share. Source: this project; Hyndman & Athanasopoulos, 5.10.
    """

    kind: Literal["forecast"] = "forecast"
    horizon: int = Field(default=5, ge=1, le=60)
    """within so many readings"""
    above: float | None = None
    """level for the rise, in the unit of the series"""
    below: float | None = None
    """level for the fall"""
    percent: float | None = Field(default=None, gt=0, le=100_000)
    """change from the present value, instead of levels"""
    chance: float = Field(default=0.5, gt=0, lt=1)
    """bound of the chance, 0.5 for one in two"""
    season: int = Field(default=0, ge=0, le=400)
    """readings of one season: 12 for months, 7 for days, 0 for none"""
    window: int = Field(default=250, ge=20, le=2000)
    """past forecasts whose errors are used, at most"""
    least: int = Field(default=40, ge=10, le=2000)
    """fewest of them: with fewer the answer is unknown"""

    @model_validator(mode="after")
    def one_bound(self) -> Forecast:
        levels = self.above is not None or self.below is not None
        if levels == (self.percent is not None):
            raise ValueError("a level or a change is asked for, not both or none|Give `above`, `below` or `percent`")
        if self.least > self.window:
            raise ValueError("`least` is greater than `window`|Lower it: there are never more paths than the window")
        return self

    def bound(self, view: View, direction: Direction) -> FloatArray:
        """float64[n], in the unit of the series; NaN where none is asked for."""
        if self.percent is not None:
            value = view.panel.value
            moved = value * (1 + sign(direction) * self.percent / 100)
            return np.where((value > 0) & (moved > 0), moved, np.nan)
        level = self.below if direction is Direction.DOWN else self.above
        return np.full(len(view.panel), np.nan if level is None else level)

    def forecasts(self, view: View) -> Forecasts:
        shape = (self.horizon, self.season, self.window, self.least)
        key = ("forecasts", *shape, self.above, self.below, self.percent)
        if key not in view.cache:
            from thresholds.kernels.forecast import forecasts  # see thresholds.view: numba is not loaded at start

            view.cache[key] = forecasts(
                view.panel.start,
                scaled(view, view.panel.value),
                view.usable,
                scaled(view, self.bound(view, Direction.UP)),
                scaled(view, self.bound(view, Direction.DOWN)),
                horizon=self.horizon,
                season=self.season,
                window=self.window,
                least=self.least,
                cover=0.0,
            )
        return cast("Forecasts", view.cache[key])

    def asked(self, direction: Direction) -> bool:
        return self.percent is not None or (self.below if direction is Direction.DOWN else self.above) is not None

    def chances(self, view: View, direction: Direction) -> FloatArray:
        found = self.forecasts(view)
        return found.fall if direction is Direction.DOWN else found.rise

    def truth(self, view: View, direction: Direction, ease: float = 1.0) -> Truth:
        if not self.asked(direction):
            return np.zeros(len(view.panel), np.int8)
        return compare(self.chances(view, direction), ">=", self.chance * ease)

    def measure(self, view: View, at: IntArray, direction: Direction) -> Measured | None:
        if not self.asked(direction):
            return None
        what = f"{self.horizon}期内{'降到' if direction is Direction.DOWN else '升到'}{{}}"
        found, bound, chance = self.forecasts(view), self.bound(view, direction), self.chances(view, direction)
        return foreseen(view, at, found, bound, chance, self.chance, what, f"今后{self.horizon}期")


def foreseen(
    view: View,
    at: IntArray,
    found: Forecasts,
    bound: FloatArray,
    chances: FloatArray,
    least: float,
    what: str,
    window: str,
) -> Measured:
    """What is measured of a chance at positions `at`: bound and chance float64[n], `least` the chance asked for,
    `what` it is the chance of, with {} for the bound."""
    bound, chance, used = bound[at], chances[at], found.n_used[at]
    clause = [
        f"按近{n}次预测的误差，{what.format(number(b))}的可能为{c:.0%}，达到或超过{least:.0%}"
        for n, b, c in zip(used.tolist(), bound, chance, strict=True)
    ]
    return Measured(
        value=view.panel.value[at],
        expected=unscaled(view, at, found.expected[at]),
        scale=np.full(len(at), np.nan),
        score=chance * 100,
        threshold=np.full(len(at), least * 100),
        limit=bound,
        unit=texts("%", at),
        window=texts(window, at),
        n_used=used,
        comparison=texts(">=", at),
        clause=np.array(clause, np.object_),
    )
