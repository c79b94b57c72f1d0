"""Conditions on charts along time: ewma, cusum, volatility, extremes (thresholds.kernels.charts)."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
from pydantic import Field, model_validator

from thresholds.conditions import Comparison, Condition, Measured, Truth, Worded, compare, condition, sign, texts
from thresholds.model import BoolArray, Direction, FloatArray, IntArray
from thresholds.view import View

if TYPE_CHECKING:
    from thresholds.kernels.charts import Chart, Extremes, Volatility, Whitened

JUMP = 4.0
"""Scales beyond which a single step counts no further: one jump is the business of `score`, not of a chart."""


class OnScores(Condition):
    """What ewma and cusum share: robust scores of steps, whitened, and a chart on them.

    `window` and `least` are those of the robust scale; a chart needs a steadier one than a single score does.
    """

    window: int = Field(default=250, ge=8, le=1000)
    """steps in the baseline of the scores"""
    least: int = Field(default=60, ge=5, le=1000)
    """fewest steps in that baseline: with fewer the answer is unknown"""
    white: bool = True
    """whether the correlation with the step before is taken out first"""

    @model_validator(mode="after")
    def enough(self) -> OnScores:
        if self.least > self.window:
            raise ValueError(
                "`least` is greater than `window`|Lower it: the baseline never holds more than the window"
            )
        return self

    @property
    @abstractmethod
    def bound(self) -> float:
        """Limit of the chart, in its own unit."""

    @property
    @abstractmethod
    def reach(self) -> float:
        """By how much the statistic grows with one scale of the newest step."""

    @abstractmethod
    def chart(self, view: View) -> Chart:
        """The chart on this view."""

    def scored(self, view: View) -> Whitened:
        """Whitened scores of what may serve as baseline: a move that a reviewer expected is no shift."""
        key = ("white", self.window, self.least, self.white)
        if key not in view.cache:
            from thresholds.kernels.charts import (
                Whitened,
                whiten,
            )  # see thresholds.view: numba is not loaded at start

            known = view.usable & view.tested
            score = np.where(known, view.scores(self.window, self.least).score, np.nan)
            start = view.panel.start
            if self.white:
                view.cache[key] = whiten(start, score, view.rebased, JUMP)
            else:
                view.cache[key] = Whitened(score, np.broadcast_to(1.0, len(score)))
        return cast("Whitened", view.cache[key])

    def input(self, view: View) -> FloatArray:
        """What goes into the chart: whitened scores, each counting for at most one jump."""
        return np.clip(self.scored(view).value, -JUMP, JUMP)

    def side(self, view: View, direction: Direction) -> tuple[FloatArray, IntArray]:
        chart = self.chart(view)
        down = direction is Direction.DOWN
        return (chart.down, chart.down_since) if down else (chart.up, chart.up_since)

    def truth(self, view: View, direction: Direction, ease: float = 1.0) -> Truth:
        return compare(self.side(view, direction)[0], ">", self.bound * ease)

    def measure(self, view: View, at: IntArray, direction: Direction) -> Measured:
        """`expected` is the value from which the shift set out; `limit` would have sufficed for the alarm."""
        from thresholds.wording import number  # it loads the kernels

        statistic, since = self.side(view, direction)
        found, scores, white = statistic[at], view.scores(self.window, self.least), self.scored(view)
        before = view.back(1)[since[at]]
        expected = np.where(before >= 0, view.panel.value[before], np.nan)
        missing = (self.bound - found) / self.reach  # scales of the whitened step; below zero at an alarm
        sufficed = sign(direction) * self.input(view)[at] + missing
        lacking = sign(direction) * sufficed - white.value[at]
        step = scores.median[at] + scores.scale[at] * (scores.score[at] + lacking * white.share[at])
        return Measured(
            value=view.panel.value[at],
            expected=expected,
            scale=scores.scale[at],
            score=sign(direction) * found,
            threshold=np.full(len(at), sign(direction) * self.bound),
            limit=np.where(sufficed <= JUMP, view.stepped(at, step), np.nan),
            unit=texts("σ", at),
            window=texts(f"前{self.window}期以内的变动累积", at),
            n_used=scores.n_used[at],
            comparison=texts(">", at),
            clause=Worded(
                f"变动持续偏向{'下跌' if direction is Direction.DOWN else '上涨'}，"
                "自{}起累积偏离{:.1f}倍常态波幅（依据前{:.0f}期，界限{:g}倍）",
                [number(x) for x in expected.tolist()],
                found,
                scores.n_used[at],
                self.bound,
            ),
        )

    def since(self, view: View, at: IntArray, direction: Direction) -> IntArray:
        return self.side(view, direction)[1][at]


@condition
class Ewma(OnScores):
    """EWMA chart: the exponentially weighted mean of the scores of steps has left its limits.

    Use for slow shifts of half to one and a half scales that no single step shows. Not for single jumps (`score`),
    nor where fewer than `least` steps are known. Formula: s = (1 - weight) s + weight z, alarm when |s| exceeds
    width * sqrt(weight / (2 - weight)); then it begins anew. Unit: standard deviations of s. Roberts 1959; limits of
    Lucas & Saccucci 1990: one false alarm in 500 observations if scores were independent and normal.
    """

    kind: Literal["ewma"] = "ewma"
    weight: float = Field(default=0.2, gt=0, le=1)
    """of the newest score: small for slow shifts, 1 for the single score"""
    width: float = Field(default=2.962, gt=0, le=100)
    """the bound, in standard deviations of the weighted mean"""

    @property
    def bound(self) -> float:
        return self.width

    @property
    def reach(self) -> float:
        return float(np.sqrt(self.weight * (2 - self.weight)))

    def chart(self, view: View) -> Chart:
        key = ("ewma", self.window, self.least, self.white, self.weight, self.width)
        if key not in view.cache:
            from thresholds.kernels.charts import ewma

            view.cache[key] = ewma(view.panel.start, self.input(view), view.rebased, self.weight, self.width)
        return cast("Chart", view.cache[key])


@condition
class Cusum(OnScores):
    """CUSUM: scores of steps beyond `slack`, added up, have passed `limit`.

    Use for creep: a rise of 1 % a week that goes on. It also says since when. Not for single jumps (`score`).
    Formula: c = max(0, c + z - slack), alarm when c exceeds limit; then it begins anew, upwards and downwards each.
    Unit: scales of the step. Page 1954; one false alarm in 465 observations if scores were independent and normal.
    """

    kind: Literal["cusum"] = "cusum"
    slack: float = Field(default=0.5, ge=0, le=10)
    """half the shift to be found fastest"""
    limit: float = Field(default=5.0, gt=0, le=1000)
    """the bound of the sum, in scales of a step"""

    @property
    def bound(self) -> float:
        return self.limit

    @property
    def reach(self) -> float:
        return 1.0

    def chart(self, view: View) -> Chart:
        key = ("cusum", self.window, self.least, self.white, self.slack, self.limit)
        if key not in view.cache:
            from thresholds.kernels.charts import cusum

            view.cache[key] = cusum(view.panel.start, self.input(view), view.rebased, self.slack, self.limit)
        return cast("Chart", view.cache[key])


def growing(known: BoolArray, found: Truth, direction: Direction) -> Truth:
    """Of what grows but points nowhere: true upwards only; downwards it is false where it is known."""
    return found if direction is not Direction.DOWN else np.where(known, 0, -1).astype(np.int8)


@condition
class Wild(Condition):
    """Steps have become wilder: EWMA volatility is `times` the long-run one.

    Use to see unrest before or without a move. Not for a single jump, which counts as four long-run volatilities at
    most, and not below `least` + 33 steps. Formula: v = decay v + (1 - decay) step^2; sqrt(v) over the root mean
    square of the `window` steps before the newest 33, floored at 0.5 %. Unit: times. RiskMetrics 1996. It has no
    direction: it is true upwards only, write direction = "up" in the rule.
    """

    kind: Literal["volatility"] = "volatility"
    op: Comparison = ">"
    """as in change"""
    times: float = Field(default=2.0, gt=1, le=100)
    """the bound: newest over long-run volatility"""
    window: int = Field(default=500, ge=30, le=5000)
    """steps in the long run"""
    least: int = Field(default=60, ge=20, le=5000)
    """fewest steps in the long run: with fewer the answer is unknown"""
    decay: float = Field(default=0.94, gt=0, lt=1)
    """of the weights of the newest volatility: 0.94 halves them every 11 steps"""

    @model_validator(mode="after")
    def enough(self) -> Wild:
        if self.least > self.window:
            raise ValueError(
                "`least` is greater than `window`|Lower it: the long run never holds more than the window"
            )
        return self

    def columns(self, view: View) -> Volatility:
        key = ("volatility", self.window, self.least, self.decay)
        if key not in view.cache:
            from thresholds.kernels.charts import volatility

            step, floor = view.steps()
            known = view.usable & view.tested
            view.cache[key] = volatility(
                view.panel.start, step, known, floor, self.decay, self.window, self.least, cap=JUMP
            )
        return cast("Volatility", view.cache[key])

    def truth(self, view: View, direction: Direction, ease: float = 1.0) -> Truth:
        ratio = self.columns(view).ratio
        return growing(~np.isnan(ratio), compare(ratio, self.op, self.times * ease), direction)

    def measure(self, view: View, at: IntArray, direction: Direction) -> Measured:
        found, before = self.columns(view), view.back(1)[at]
        return Measured(
            value=view.panel.value[at],
            expected=np.where(before >= 0, view.panel.value[before], np.nan),
            scale=found.long_run[at],
            score=found.ratio[at],
            threshold=np.full(len(at), self.times),
            limit=np.full(len(at), np.nan),
            unit=texts("倍", at),
            window=texts(f"近期波动幅度与前{self.window}期以内长期波幅之比", at),
            n_used=found.n_used[at],
            comparison=texts(self.op, at),
            clause=Worded(
                "近期波动幅度为此前{:.0f}期长期波幅的{:.1f}倍（界限{:g}倍）",
                found.n_used[at],
                found.ratio[at],
                self.times,
            ),
        )


@condition
class Extreme(Condition):
    """Extreme steps have come more often than by chance: so many of the newest `readings` lie beyond the quantile.

    Use for daily prices of at least two years (markets, futures): excessive variability as the food-price watch
    NEXQ sees it. Not for monthly or sticky quotes. A step is extreme when it exceeds the conditional 95 % quantile:
    divided by its EWMA volatility, that of at least `least` earlier steps so divided. Alarm at a count whose chance
    is at most `level`: 7 of 60 by the normal approximation, 8 by the exact test. Unit: times (次). Martins-Filho,
    Yao & Torero 2018.
    """

    kind: Literal["extremes"] = "extremes"
    readings: int = Field(default=60, ge=10, le=1000)
    """newest steps among which extremes are counted"""
    quantile: float = Field(default=0.95, ge=0.8, lt=1)
    """beyond which a step is extreme"""
    level: float = Field(default=0.025, gt=0, lt=0.5)
    """greatest chance of the count without any cause"""
    exact: bool = False
    """whether the chance is binomial; else its normal approximation"""
    least: int = Field(default=500, ge=100, le=5000)
    """fewest earlier steps behind the quantile: with fewer the answer is unknown"""

    @property
    def bound(self) -> int:
        from thresholds.kernels.charts import least_extremes

        return least_extremes(self.readings, self.quantile, self.level, self.exact)

    def columns(self, view: View) -> Extremes:
        key = ("extremes", self.readings, self.quantile, self.least)
        if key not in view.cache:
            from thresholds.kernels.charts import extremes

            step, floor = view.steps()
            known = view.usable & view.tested
            history = max(1250, self.least)
            view.cache[key] = extremes(
                view.panel.start, step, known, floor, self.quantile, self.readings, self.least, history
            )
        return cast("Extremes", view.cache[key])

    def counts(self, view: View, direction: Direction) -> FloatArray:
        """float64[n], NaN where there is too little history."""
        found = self.columns(view)
        count = (found.down if direction is Direction.DOWN else found.up).astype(np.float64)
        count[count < 0] = np.nan
        return count

    def truth(self, view: View, direction: Direction, ease: float = 1.0) -> Truth:
        # a count has no nine tenths: 7 * 0.9 = 6.3 keeps nothing open that 7 would not
        return compare(self.counts(view, direction), ">=", self.bound * ease)

    def measure(self, view: View, at: IntArray, direction: Direction) -> Measured:
        before = view.back(1)[at]
        word = "下跌" if direction is Direction.DOWN else "上涨"
        return Measured(
            value=view.panel.value[at],
            expected=np.where(before >= 0, view.panel.value[before], np.nan),
            scale=np.full(len(at), np.nan),
            score=self.counts(view, direction)[at],
            threshold=np.full(len(at), float(self.bound)),
            limit=np.full(len(at), np.nan),
            unit=texts("次", at),
            window=texts(f"近{self.readings}期内的极端{word}", at),
            n_used=self.columns(view).n_used[at],
            comparison=texts(">=", at),
            clause=Worded(
                f"近{self.readings}期内极端{word}{{:.0f}}次，偶然情形下不应达到{{:d}}次",
                self.counts(view, direction)[at],
                self.bound,
            ),
        )
