"""Conditions made of several values: gap to a one-sided trend, ratio of two series."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

import numpy as np
from pydantic import Field, model_validator

from thresholds.catalogue import folded
from thresholds.conditions import (
    Comparison,
    Condition,
    Measured,
    Texts,
    Truth,
    compare,
    condition,
    sign,
    texts,
    whole_days,
)
from thresholds.model import Direction, FloatArray, IntArray
from thresholds.settings import Duration
from thresholds.view import View
from thresholds.wording import number

if TYPE_CHECKING:
    from thresholds.kernels.composite import Gap, Ratio


def two_sided(x: FloatArray, op: Comparison, bound: float | None, direction: Direction, ease: float) -> Truth:
    """Truth of `x` beyond `bound` in `direction`; without a bound never. Eased by a share of the bound."""
    if bound is None:
        return np.zeros(len(x), np.int8)
    eased = bound - (1 - ease) * abs(bound) * sign(direction)
    return compare(sign(direction) * x, op, sign(direction) * eased)


def beyond(direction: Direction, op: Comparison) -> str:
    """How it is said that a bound is passed."""
    words = {(False, ">"): "高于", (False, ">="): "不低于", (True, ">"): "低于", (True, ">="): "不高于"}
    return words[direction is Direction.DOWN, op]


@condition
class HpGap(Condition):
    """The value lies so far above (or below) its one-sided Hodrick-Prescott trend, in the unit of the series.

    Use for slow ratios with a cycle of decades: credit to GDP by quarter, house prices to income. Not for prices, nor
    for series by day or month with the default `smoothing`, nor with less than ten years: the gap then measures where
    the series began. gap = value - trend, the trend by the data until then only. Percentage points for a ratio in %;
    BCBS 2010 reads 2 as the lower and 10 as the upper threshold. Source: BIS, BCBS guidance of December 2010.
    """

    kind: Literal["hp_gap"] = "hp_gap"
    op: Comparison = ">"
    """as in change"""
    above: float | None = None
    """bound of the gap upwards, in the unit of the series"""
    below: float | None = None
    """bound of the gap downwards, usually negative"""
    smoothing: float = Field(default=400_000.0, gt=0, le=1e12)
    """lambda of the filter; 400,000 for quarters"""
    least: int = Field(default=40, ge=8, le=400)
    """readings before there is a trend: ten years by quarter"""

    @model_validator(mode="after")
    def some(self) -> HpGap:
        if self.above is None and self.below is None:
            raise ValueError("neither `above` nor `below` is given|Give the gap, in the unit of the series")
        return self

    def gap(self, view: View) -> Gap:
        key = ("hp_gap", self.smoothing, self.least)
        if key not in view.cache:
            from thresholds.kernels.composite import hp_gap  # see thresholds.view: numba is not loaded at start

            view.cache[key] = hp_gap(view.panel, view.usable, self.smoothing, self.least)
        return cast("Gap", view.cache[key])

    def bound(self, direction: Direction) -> float | None:
        return self.below if direction is Direction.DOWN else self.above

    def truth(self, view: View, direction: Direction, ease: float = 1.0) -> Truth:
        return two_sided(self.gap(view).gap, self.op, self.bound(direction), direction, ease)

    def measure(self, view: View, at: IntArray, direction: Direction) -> Measured | None:
        bound = self.bound(direction)
        if bound is None:
            return None
        gap = self.gap(view)
        trend, score = gap.trend[at], gap.gap[at]
        word = beyond(direction, self.op)
        clause = [
            f"比单边HP趋势{number(t)}{'低' if g < 0 else '高'}{number(abs(g))}，缺口{word}{number(bound)}"
            for t, g in zip(trend, score, strict=True)
        ]
        return Measured(
            value=view.panel.value[at],
            expected=trend,
            scale=np.full(len(at), np.nan),
            score=score - bound,
            threshold=np.full(len(at), bound),
            limit=trend + bound,
            unit=texts("", at),
            window=texts("单边HP趋势", at),
            n_used=gap.n_used[at],
            comparison=texts(self.op, at),
            clause=np.array(clause, np.object_),
        )


@condition
class RatioOf(Condition):
    """The price of one item divided by that of another, as it stood then, lies above (or below) a level.

    Use for published ratios (猪粮比价: hog at the farm gate to maize wholesale). Not for items quoted at different
    stages than the rule means: name the channels then. True and known only at observations of `numerator`; for
    consecutive weeks put it into `lasting`. ratio = numerator / mean of the denominators standing then, units of
    weight brought together (元/50千克 and 元/千克); of the same area where there are any. The ratio has no unit.
    """

    kind: Literal["ratio"] = "ratio"
    numerator: tuple[str, ...] = Field(min_length=1)
    """whole names of items"""
    published: tuple[str, ...] = ()
    """items that are this ratio already, as published: their values are taken as they are"""
    denominator: tuple[str, ...] = Field(min_length=1)
    """whole names of items by which is divided"""
    numerator_channels: tuple[str, ...] = ()
    """if given, series of these channels only"""
    denominator_channels: tuple[str, ...] = ()
    """if given, series of these channels only"""
    op: Comparison = ">"
    """as in change"""
    above: float | None = None
    """bound for the rise, 9 for 9:1"""
    below: float | None = None
    """bound for the fall"""
    max_age: Duration = Field(default="10d", validate_default=True)
    """oldest age of the denominator"""

    @model_validator(mode="after")
    def some(self) -> RatioOf:
        if self.above is None and self.below is None:
            raise ValueError("neither `above` nor `below` is given|Give the ratio as a number, 6 for 6:1")
        return self

    def needs(self) -> frozenset[str]:
        return frozenset(folded(name) for name in (*self.numerator, *self.denominator))

    @staticmethod
    def series_of(view: View, names: tuple[str, ...], channels: tuple[str, ...]) -> list[int]:
        wanted = {folded(n) for n in names}
        return [
            s
            for s, k in enumerate(view.panel.keys)
            if folded(k.item) in wanted and (not channels or k.channel in channels)
        ]

    def ratio(self, view: View) -> Ratio:
        days = whole_days(self.max_age)
        channels = (self.numerator_channels, self.denominator_channels)
        key = ("ratio", self.numerator, self.denominator, self.published, *channels, days)
        if key not in view.cache:
            from thresholds.kernels.composite import ratios

            over = self.series_of(view, self.numerator, self.numerator_channels)
            under = self.series_of(view, self.denominator, self.denominator_channels)
            found = ratios(view.panel, view.real, over, under, days)
            for s in self.series_of(view, self.published, ()):
                here = slice(int(view.panel.start[s]), int(view.panel.start[s + 1]))
                found.ratio[here], found.divisor[here], found.n_used[here] = view.panel.value[here], 1.0, 1
            view.cache[key] = found
        return cast("Ratio", view.cache[key])

    def bound(self, direction: Direction) -> float | None:
        return self.below if direction is Direction.DOWN else self.above

    def truth(self, view: View, direction: Direction, ease: float = 1.0) -> Truth:
        ratio = self.ratio(view).ratio
        truth = two_sided(ratio, self.op, self.bound(direction), direction, ease)
        truth[np.isnan(ratio)] = -1
        return truth

    def measure(self, view: View, at: IntArray, direction: Direction) -> Measured | None:
        bound = self.bound(direction)
        if bound is None:
            return None
        found = self.ratio(view)
        ratio, divisor = found.ratio[at], found.divisor[at]
        return Measured(
            value=view.panel.value[at],
            expected=divisor * bound,
            scale=np.full(len(at), np.nan),
            score=ratio - bound,
            threshold=np.full(len(at), bound),
            limit=divisor * bound,
            unit=texts("", at),
            window=texts(f"与{self.denominator[0]}之比", at),
            n_used=found.n_used[at],
            comparison=texts(self.op, at),
            clause=self.clauses(ratio, bound, direction),
        )

    def clauses(self, ratio: FloatArray, bound: float, direction: Direction) -> Texts:
        word = beyond(direction, self.op)
        said = [f"与{self.denominator[0]}之比为{number(r)}:1，{word}{number(bound)}:1" for r in ratio]
        return np.array(said, np.object_)
