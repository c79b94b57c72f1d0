"""Conditions on the cross-section of a day: outlier, dispersion, diffusion (see thresholds.kernels.cells)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from thresholds.calendar import WORDS, Lag
from thresholds.catalogue import UNCLASSED, Measure
from thresholds.conditions import (
    SLACK,
    Company,
    Comparison,
    Condition,
    Measured,
    Truth,
    Worded,
    compare,
    condition,
    sign,
    texts,
    whole_days,
)
from thresholds.conditions_charts import growing
from thresholds.model import BoolArray, Direction, FloatArray, IntArray
from thresholds.panel import codes_of
from thresholds.settings import Duration
from thresholds.view import View

if TYPE_CHECKING:
    from thresholds.kernels.cells import Cells, Codes
    from thresholds.kernels.crosssection import Fences, Outliers
    from thresholds.kernels.dispersion import Dispersion

UNKNOWN = -128


def classes(view: View) -> Codes:
    """int32[n_series]: number of the class of each series, of its item where it has no class."""
    key = "class codes"
    if key not in view.cache:
        named = zip(view.classified, view.panel.keys, strict=True)
        view.cache[key] = codes_of([(c.name, k.item if c.name == UNCLASSED else "") for c, k in named])
    return cast("Codes", view.cache[key])


@condition
class Outlier(Condition):
    """One point's price moved otherwise than those of the other points that day (Hidiroglou-Berthelot).

    Use on points (scope = "point") to tell a quote to ask about from a move of the market: unlike `change` it is
    silent when all move together. Not for less than ten points, nor for values other than prices. Formula: effects
    E = s * size^u of the ratios to the day's median ratio; score = (E - median) / d, d the distance of P10 or P90
    from the median, at least a * |median| and at least what `floor_percent` makes; true beyond `c`. Unit: d. A group
    with fewer than `points` points is judged with all points of its class. Hidiroglou & Berthelot 1986, P10/P90 by
    Hidiroglou & Emond 2018; the absolute floor, and leaving the tested point out of its own fence, are ours.
    """

    kind: Literal["outlier"] = "outlier"
    over: Lag = Lag.PREVIOUS
    """what the value is compared with, as in change"""
    max_age: Duration | None = None
    """oldest age of the observation compared with, beyond the lag itself"""
    c: float = Field(default=7.0, gt=0, le=100)
    """the bound, in distances of the quantiles from the median"""
    low: float = Field(default=0.1, gt=0, lt=0.5)
    """lower quantile; quartiles flag a third of good quotes where half of them do not change"""
    high: float = Field(default=0.9, gt=0.5, lt=1)
    """upper quantile"""
    u: float = Field(default=0.4, ge=0, le=1)
    """how much the size of the price counts: 0 not at all"""
    a: float = Field(default=0.05, ge=0, le=1)
    """least distance, as a share of the median effect"""
    floor_percent: float = Field(default=2.0, gt=0, le=100)
    """least d as a change in percent (exactly: in log): 2 with c = 7 lets every change up to 14 % pass"""
    points: int = Field(default=10, ge=4, le=10_000)
    """fewest points that day: with fewer those of the class are taken together, else the answer is unknown"""

    def needs_classes(self) -> frozenset[str | Company]:
        return frozenset((Company.OWN_CLASS,))

    @property
    def fences(self) -> Fences:
        from thresholds.kernels.crosssection import Fences

        return Fences(self.low, self.high, self.u, self.a, self.floor_percent / 100)

    def columns(self, view: View, ease: float = 1.0) -> tuple[BoolArray, Outliers]:
        """Which observations could be judged, and what was found where the score may matter. One scan serves the
        threshold and its easing down to one half."""
        days, exact = whole_days(self.max_age), self.c * min(ease, 0.5)
        key = (
            *("outlier", self.over, days, self.low, self.high, self.u, self.a, self.floor_percent, self.points),
            exact,
        )
        if key not in view.cache:
            from thresholds.kernels.crosssection import hidiroglou_berthelot, ratios

            known = view.tested & view.measure_is(Measure.PRICE)
            moves = ratios(view.panel.value, view.base(self.over, days), known)
            view.cache[key] = hidiroglou_berthelot(
                view.panel,
                view.cells(),
                *moves,
                self.fences,
                self.points,
                lambda: view.cells("class", classes(view)),
                exact,
            )
        return cast("tuple[BoolArray, Outliers]", view.cache[key])

    def before(self, view: View, at: IntArray) -> FloatArray:
        base = view.base(self.over, whole_days(self.max_age))[at]
        return np.where(base >= 0, view.panel.value[base], np.nan)

    def truth(self, view: View, direction: Direction, ease: float = 1.0) -> Truth:
        judged, found = self.columns(view, ease)
        truth: Truth = judged.astype(np.int8) - np.int8(1)
        truth[found.row] = compare(found.score, ">", self.c * ease, sign(direction))
        return truth

    def measure(self, view: View, at: IntArray, direction: Direction) -> Measured:
        found, before = self.columns(view)[1].at(at), self.before(view, at)
        return Measured(
            value=view.panel.value[at],
            expected=before * found.ratio,
            scale=found.spread,
            score=found.score,
            threshold=np.full(len(at), sign(direction) * self.c),
            limit=self.fence(found, view.panel.value[at], before, sign(direction)),
            unit=texts("σ", at),
            window=texts(f"同日各监测点{WORDS[self.over]}的变动", at),
            n_used=found.n_used,
            comparison=texts(">", at),
            clause=Worded(
                "{}与同日{:.0f}个监测点的变动（中位{:+.1f}%）不一致，本点{:+.1f}%，偏离{:.1f}倍点间波幅（界限{:g}倍）",
                WORDS[self.over],
                found.n_used,
                100 * (found.ratio - 1),
                100 * (view.panel.value[at] / before - 1),
                np.abs(found.score),
                self.c,
            ),
        )

    def fence(self, found: Outliers, value: FloatArray, before: FloatArray, side: int) -> FloatArray:
        """The value at which the quote would begin to be an outlier: by halving, since its size counts as well."""
        spread = found.lower if side < 0 else found.upper
        floor = math.expm1(self.floor_percent / 100)
        unit = found.size / np.maximum(value, before)  # of sizes: 1, or what a pooled group's median makes it
        near, far = np.zeros(len(value)), np.full(len(value), 20.0)  # log distance from the expected value
        for _ in range(60):
            log = (near + far) / 2
            tried = before * found.ratio * np.exp(side * log)
            weight = (unit * np.maximum(tried, before)) ** self.u
            effect = side * np.expm1(log) * weight
            out = side * (effect - found.middle) > self.c * np.maximum(spread, floor * weight)
            near, far = np.where(out, near, log), np.where(out, log, far)
        edge: FloatArray = before * found.ratio * np.exp(side * far)
        return edge


@condition
class Apart(Condition):
    """The prices of an item lie further apart between points than they used to.

    Use on points (scope = "point") to see a market fall apart (blockade, hoarding, one district short) before its
    mean moves. Not where other points report each day: then their lasting differences come and go with them.
    Formula: v = 1.4826 * MAD of log prices of the group's points that day so far; times = v over the median of its
    last `window` days; true beyond both `times` and exp(value * robust scale of log v). Unit: times. It has no
    direction: it is true upwards only, write direction = "up" in the rule. Method: this project's.
    """

    kind: Literal["dispersion"] = "dispersion"
    value: float = Field(default=4.0, gt=0, le=100)
    """bound of its logarithm, in robust scales of its own history"""
    times: float = Field(default=1.5, ge=1, le=100)
    """bound of the dispersion, as a multiple of the median of its own history"""
    points: int = Field(default=5, ge=3, le=10_000)
    """fewest points that day"""
    window: int = Field(default=60, ge=8, le=1000)
    """days of history"""
    least: int = Field(default=20, ge=5, le=1000)
    """fewest days of history: with fewer the answer is unknown"""

    @model_validator(mode="after")
    def enough(self) -> Apart:
        if self.least > self.window:
            raise ValueError(
                "`least` is greater than `window`|Lower it: the history never holds more than the window"
            )
        return self

    def columns(self, view: View) -> Dispersion:
        key = ("dispersion", self.points, self.window, self.least)
        if key not in view.cache:
            from thresholds.kernels.dispersion import dispersion

            priced = view.tested & view.measure_is(Measure.PRICE)
            view.cache[key] = dispersion(view.cells(), view.panel.value, priced, self.points, self.window, self.least)
        return cast("Dispersion", view.cache[key])

    def bound(self, view: View) -> FloatArray:
        """float64[moments]"""
        return np.maximum(self.times, np.exp(self.value * self.columns(view).scale))

    def truth(self, view: View, direction: Direction, ease: float = 1.0) -> Truth:
        from thresholds.kernels.cells import spread

        found = self.columns(view)
        with np.errstate(divide="ignore"):
            beyond = np.log(found.times) / np.log(np.maximum(self.bound(view), 1 + SLACK))
        answer = growing(~np.isnan(found.times), compare(beyond, ">", ease), direction)
        return spread(view.cells(), answer, found.keep, -1)

    def measure(self, view: View, at: IntArray, direction: Direction) -> Measured:
        found, before = self.columns(view), view.back(1)[at]
        where = view.cells()
        bound = found.at(where, self.bound(view), at)
        times, points, n_used = (found.at(where, x, at) for x in (found.times, found.points, found.n_used))
        return Measured(
            value=view.panel.value[at],
            expected=np.where(before >= 0, view.panel.value[before], np.nan),
            scale=found.at(where, found.scale, at),
            score=times,
            threshold=bound,
            limit=np.full(len(at), np.nan),
            unit=texts("倍", at),
            window=texts(f"监测点之间的价差与前{self.window}日以内的中位数之比", at),
            n_used=np.nan_to_num(n_used).astype(np.int64),
            comparison=texts(">", at),
            clause=Worded(
                "当日{:.0f}个监测点之间的价差幅度{:.1f}%，为前{:.0f}日中位数的{:.1f}倍（界限{:.1f}倍）",
                points,
                100 * np.expm1(found.at(where, found.value, at)),
                n_used,
                times,
                bound,
            ),
        )


@condition
class Diffusion(Condition):
    """Diffusion index: the share of points (or of a class's series) that rose less the share that fell.

    Use for a broad drift of small changes, none of which is remarkable by itself. Not with few points: `points`
    must be known that day. Formula: (up - down) / known, changes of at most `percent` being neither; true beyond
    `share`, for what moved that way itself. Unit: percentage points. Business surveys; METHODS 5.2.
    """

    kind: Literal["diffusion"] = "diffusion"
    over: Lag = Lag.PREVIOUS
    """what the value is compared with, as in change"""
    max_age: Duration | None = None
    """oldest age of the observation compared with, beyond the lag itself"""
    percent: float = Field(default=0.0, ge=0, le=1000)
    """a change of at most this much is neither up nor down"""
    op: Comparison = ">="
    """as in change"""
    share: float = Field(gt=0, le=1)
    """the bound of the index, 0.5 for 50 percentage points"""
    points: int = Field(default=5, ge=2, le=100_000)
    """fewest series known that day: with fewer the answer is unknown"""
    among: Literal["item", "class"] = "item"
    """whether the points of the same item, spec, unit and channel are counted, or all series of its class"""

    def needs_classes(self) -> frozenset[str | Company]:
        return frozenset((Company.OWN_CLASS,)) if self.among == "class" else frozenset()

    def moved(self, view: View) -> NDArray[np.int8]:
        """int8[n]: 1 rose, -1 fell, 0 neither; UNKNOWN where that is not known."""
        key = ("moved", self.over, whole_days(self.max_age), self.percent)
        if key not in view.cache:
            change = view.change(self.over, whole_days(self.max_age))
            up = compare(change, ">", self.percent / 100)
            moved = up - compare(change, ">", self.percent / 100, -1)
            np.copyto(moved, UNKNOWN, where=~view.tested | (up < 0))
            view.cache[key] = moved
        return cast("NDArray[np.int8]", view.cache[key])

    def cells(self, view: View) -> Cells:
        return view.cells("class", classes(view)) if self.among == "class" else view.cells()

    def columns(self, view: View) -> tuple[FloatArray, IntArray]:
        """float64 and int64 per moment: the index (NaN: too few points), and the points behind it that day so far."""
        key = ("diffusion", self.over, whole_days(self.max_age), self.percent, self.points, self.among)
        if key not in view.cache:
            from thresholds.kernels.breadth import diffusion

            view.cache[key] = diffusion(self.cells(view), self.moved(view), self.points)
        return cast("tuple[FloatArray, IntArray]", view.cache[key])

    def truth(self, view: View, direction: Direction, ease: float = 1.0) -> Truth:
        from thresholds.kernels.cells import spread

        moved = self.moved(view)
        answer = compare(self.columns(view)[0], self.op, self.share * ease, sign(direction))
        found = spread(self.cells(view), answer, moved == sign(direction), 0)
        np.copyto(found, -1, where=moved == UNKNOWN)
        return found

    def measure(self, view: View, at: IntArray, direction: Direction) -> Measured:
        moment = self.cells(view).of_row[at]
        index, known = self.columns(view)
        index, known = index[moment], known[moment]
        base = view.base(self.over, whole_days(self.max_age))[at]
        expected = np.where(base >= 0, view.panel.value[base], np.nan)
        more, less = ("下跌", "上涨") if direction is Direction.DOWN else ("上涨", "下跌")
        return Measured(
            value=view.panel.value[at],
            expected=expected,
            scale=np.full(len(at), np.nan),
            score=100 * index,
            threshold=np.full(len(at), 100 * sign(direction) * self.share),
            limit=expected * (1 + sign(direction) * self.percent / 100),
            unit=texts("个百分点", at),
            window=texts(f"{WORDS[self.over]}{more}与{less}面之差", at),
            n_used=known,
            comparison=texts(self.op, at),
            clause=Worded(
                f"{WORDS[self.over]}{more}面比{less}面高{{:.0f}}个百分点（共{{:.0f}}个报价，界限{{:g}}个百分点）",
                np.abs(100 * index),
                known,
                100 * self.share,
            ),
        )
