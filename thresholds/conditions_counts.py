"""Conditions on counts of complaints and cases: surge, multiple of the usual."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

import numpy as np
from pydantic import Field

from thresholds.catalogue import Classified, Measure
from thresholds.conditions import Comparison, Condition, Measured, Truth, compare, condition, sign, texts
from thresholds.model import BoolArray, Direction, FloatArray, IntArray
from thresholds.view import View

if TYPE_CHECKING:
    from thresholds.kernels.counts import CountBounds


def has_counts(view: View) -> bool:
    """Whether there are any: rules on counts cost nothing where there are only prices."""
    return Measure.COUNT in view.measures


def out(view: View) -> BoolArray:
    """bool[n], counts that are missing data (thresholds.kernels.outage)."""
    if "outages" not in view.cache:
        from thresholds.kernels.outage import Outage, outages  # see thresholds.view: numba is not loaded at start

        counts = view.series_where(lambda c: c.measure is Measure.COUNT)
        view.cache["outages"] = outages(view.panel, counts, view.usable) == Outage.OUT
    return cast(BoolArray, view.cache["outages"])


@condition
class Surge(Condition):
    """More complaints or cases (or fewer) than chance allows, by their own history.

    Use for counts of independent happenings by day, week or month. Not for prices, sums of money or balances, nor for
    counts that one cause drives in bulk (a filing deadline): those are "surges" every time. Formula, with the counts
    of the same date in earlier years and of the newest periods: thresholds.kernels.counts. `alpha` is the false-alarm
    rate per side and report; fewer than 5 cases in 4 periods are no surge; nor is the return after an outage.
    Source: Farrington 1996, Noufaily 2013 (R surveillance), EARS-C2.
    """

    kind: Literal["surge"] = "surge"
    alpha: float = Field(default=0.001, gt=0, le=0.05)
    """chance of a false alarm per report and direction"""
    years: int = Field(default=5, ge=3, le=10)
    """earlier years looked at, at most; with fewer than 3 only the newest periods are"""
    neighbours: int = Field(default=3, ge=1, le=6)
    """periods to each side of the date in earlier years"""
    baseline: int = Field(default=12, ge=7, le=60)
    """newest periods looked at, at most, leaving out the last two"""

    def meant_for(self, series: Classified) -> bool:
        return series.measure is Measure.COUNT

    def bounds(self, view: View) -> CountBounds:
        key = ("count_bounds", self.alpha, self.years, self.neighbours, self.baseline)
        if key not in view.cache:
            from thresholds.kernels.counts import CountBounds, count_bounds

            if not has_counts(view):
                return CountBounds.blank(len(view.panel))
            counts = view.measure_is(Measure.COUNT) & (view.panel.value >= 0)
            view.cache[key] = count_bounds(
                view.panel,
                view.usable & counts & ~out(view),
                self.alpha,
                years=self.years,
                neighbours=self.neighbours,
                baseline=self.baseline,
            )
        return cast("CountBounds", view.cache[key])

    def bound(self, view: View, direction: Direction) -> FloatArray:
        bounds = self.bounds(view)
        return bounds.lower if direction is Direction.DOWN else bounds.upper

    def truth(self, view: View, direction: Direction, ease: float = 1.0) -> Truth:
        if not has_counts(view):
            return np.full(len(view.panel), -1, np.int8)
        from thresholds.kernels.counts import SILENT_CASES, SILENT_PERIODS

        bounds, bound, value = self.bounds(view), self.bound(view, direction), view.panel.value
        eased = bounds.expected + (bound - bounds.expected) * ease
        truth = compare(sign(direction) * (value - eased), ">", 0.0)
        if direction is Direction.DOWN:  # a fall from next to nothing
            few = bounds.expected * SILENT_PERIODS < SILENT_CASES
        else:
            few = bounds.recent_cases < SILENT_CASES
        truth[(truth == 1) & few] = 0
        truth[out(view) | (value < 0) | ~view.measure_is(Measure.COUNT)] = -1
        return truth

    def measure(self, view: View, at: IntArray, direction: Direction) -> Measured:
        bounds, bound = self.bounds(view), self.bound(view, direction)[at]
        expected, value = bounds.expected[at], view.panel.value[at]
        margin = bound - expected
        with np.errstate(divide="ignore", invalid="ignore"):
            score = np.where(margin != 0, (value - expected) / margin, np.nan)
        window = np.where(bounds.years[at], "往年同期", "近期各期").astype(np.object_)
        word, compared = ("低于", "下限") if direction is Direction.DOWN else ("超过", "上限")
        clause = [
            f"按{w}（{n}期）应在{e:.0f}左右，{word}偶然波动{compared}{b:.0f}"
            for w, n, e, b in zip(window, bounds.n_used[at].tolist(), expected, bound, strict=True)
        ]
        return Measured(
            value=value,
            expected=expected,
            scale=np.abs(margin),
            score=sign(direction) * score,
            threshold=np.full(len(at), float(sign(direction))),
            limit=bound,
            unit=texts("倍", at),
            window=window,
            n_used=bounds.n_used[at],
            comparison=texts(">", at),
            clause=np.array(clause, np.object_),
        )


@condition
class Multiple(Condition):
    """A count that is a multiple of what is usual on that weekday, and at least so many.

    Use where there is too little history for a surge, or where a plain rule is wanted that everybody can check. Not
    for small counts alone: at a usual 2 a day, twice as many come by chance every seventh day; `at_least` is for
    that. usual = median of the newest `weeks` counts of the same weekday; series by week or month: of the newest
    counts. Rises only. Source: proposal of this project (THRESHOLDS 8, 13: no plan gives a number).
    """

    kind: Literal["multiple"] = "multiple"
    times: float = Field(default=2.0, gt=1, le=1000)
    """so many times what is usual"""
    at_least: float = Field(default=5.0, ge=0)
    """and at least so many cases"""
    weeks: int = Field(default=8, ge=3, le=60)
    """counts of the same weekday behind what is usual, at most; four are enough"""
    op: Comparison = ">="
    """as in change"""

    def usual(self, view: View) -> tuple[FloatArray, IntArray]:
        key = ("weekday_medians", self.weeks)
        if key not in view.cache:
            from thresholds.kernels.counts import weekday_medians

            if not has_counts(view):
                n = len(view.panel)
                return np.broadcast_to(np.nan, n), np.broadcast_to(np.int64(0), n)
            usable = view.usable & view.measure_is(Measure.COUNT) & (view.panel.value >= 0) & ~out(view)
            view.cache[key] = weekday_medians(view.panel, usable, self.weeks, min(self.weeks, 4))
        return cast("tuple[FloatArray, IntArray]", view.cache[key])

    def truth(self, view: View, direction: Direction, ease: float = 1.0) -> Truth:
        if direction is Direction.DOWN:
            return np.zeros(len(view.panel), np.int8)
        if not has_counts(view):
            return np.full(len(view.panel), -1, np.int8)
        usual, _ = self.usual(view)
        value = view.panel.value
        truth = compare(value - self.times * ease * usual, self.op, 0.0)
        truth[(truth == 1) & (value < self.at_least)] = 0
        truth[out(view) | (value < 0) | ~view.measure_is(Measure.COUNT)] = -1
        return truth

    def measure(self, view: View, at: IntArray, direction: Direction) -> Measured | None:
        if direction is Direction.DOWN:
            return None
        usual, used = self.usual(view)
        value, expected = view.panel.value[at], usual[at]
        limit = np.maximum(expected * self.times, self.at_least)
        with np.errstate(divide="ignore", invalid="ignore"):
            score = value / limit * self.times
        word = "超过" if self.op == ">" else "达到或超过"
        clause = [
            f"近{n}个可比日（期）中位数为{e:g}，{word}其{self.times:g}倍且不少于{self.at_least:g}"
            for n, e in zip(used[at].tolist(), expected, strict=True)
        ]
        return Measured(
            value=value,
            expected=expected,
            scale=np.full(len(at), np.nan),
            score=score,
            threshold=np.full(len(at), self.times),
            limit=limit,
            unit=texts("倍", at),
            window=texts(f"近{self.weeks}个同一星期日数", at),
            n_used=used[at],
            comparison=texts(self.op, at),
            clause=np.array(clause, np.object_),
        )
