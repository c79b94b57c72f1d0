"""Condition on duration that is foreseen: a change is likely to last (thresholds.kernels.forecast)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

import numpy as np
from pydantic import Field, model_validator

from thresholds.calendar import WORDS, Lag
from thresholds.conditions import Comparison, Condition, Measured, Truth, compare, condition, sign, whole_days
from thresholds.conditions_forecast import foreseen, scaled
from thresholds.model import Direction, FloatArray, IntArray
from thresholds.settings import Duration
from thresholds.view import View

if TYPE_CHECKING:
    from thresholds.kernels.forecast import Forecasts


@condition
class Staying(Condition):
    """A change against an earlier observation is there, and is likely to last over the next readings.

    Use as the "or is expected to" of rules on duration, in `any` beside `lasting`: the flag need not wait for days to
    pass. Not to foresee a change that is not there yet (that is `forecast`), nor with fewer than a few dozen
    readings. The level asked about is the observation compared with, times 1 + percent; the chance of staying beyond
    it at each of the next `horizon` readings is that no error path of the past leads back across it. Unit: percent.
    Source: this project; Hyndman & Athanasopoulos, 5.10.
    """

    kind: Literal["staying"] = "staying"
    over: Lag
    """what the value is compared with, as in change"""
    op: Comparison = ">"
    """as in change"""
    percent: float = Field(gt=0, le=100_000)
    """the bound of the change, without sign"""
    max_age: Duration | None = None
    """oldest age of the observation compared with, beyond the lag itself"""
    horizon: int = Field(default=5, ge=1, le=60)
    """over so many readings to come"""
    chance: float = Field(default=0.5, gt=0, lt=1)
    """bound of the chance, 0.5 for one in two"""
    window: int = Field(default=250, ge=20, le=2000)
    """past forecasts whose errors are used, at most"""
    least: int = Field(default=40, ge=10, le=2000)
    """fewest of them: with fewer the answer is unknown"""

    @model_validator(mode="after")
    def enough(self) -> Staying:
        if self.least > self.window:
            raise ValueError("`least` is greater than `window`|Lower it: there are never more paths than the window")
        return self

    @property
    def days(self) -> int | None:
        return whole_days(self.max_age)

    def bound(self, view: View, direction: Direction) -> FloatArray:
        """float64[n], in the unit of the series; NaN where there is nothing positive to compare with."""
        base = view.base(self.over, self.days)
        before = np.where(base >= 0, view.panel.value[base], np.nan)
        moved = before * (1 + sign(direction) * self.percent / 100)
        return np.where((before > 0) & (moved > 0), moved, np.nan)

    def forecasts(self, view: View) -> Forecasts:
        shape = (self.horizon, self.window, self.least)
        key = ("staying", *shape, self.over, self.days, self.percent)
        if key not in view.cache:
            from thresholds.kernels.forecast import forecasts  # see thresholds.view: numba is not loaded at start

            view.cache[key] = forecasts(
                view.panel.start,
                scaled(view, view.panel.value),
                view.usable,
                scaled(view, self.bound(view, Direction.DOWN)),  # back up to where a fall began to count
                scaled(view, self.bound(view, Direction.UP)),
                horizon=self.horizon,
                window=self.window,
                least=self.least,
                cover=0.0,
            )
        return cast("Forecasts", view.cache[key])

    def chances(self, view: View, direction: Direction) -> FloatArray:
        """float64[n]: the chance that the change lasts, where it is there."""
        found = self.forecasts(view)
        return 1 - (found.rise if direction is Direction.DOWN else found.fall)

    def truth(self, view: View, direction: Direction, ease: float = 1.0) -> Truth:
        change = compare(sign(direction) * view.change(self.over, self.days), self.op, self.percent / 100 * ease)
        lasts = compare(self.chances(view, direction), ">=", self.chance * ease)
        return np.where((change == 0) | (lasts == 0), 0, np.minimum(change, lasts)).astype(np.int8)

    def measure(self, view: View, at: IntArray, direction: Direction) -> Measured:
        what = f"今后{self.horizon}期保持在{{}}{'以下' if direction is Direction.DOWN else '以上'}"
        found, bound, chance = self.forecasts(view), self.bound(view, direction), self.chances(view, direction)
        window = f"{WORDS[self.over]}，今后{self.horizon}期"
        return foreseen(view, at, found, bound, chance, self.chance, what, window)
