"""Conditions on what is over: no rule finds anything any more, prices keep to their level, complaints receded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

import numpy as np
from pydantic import Field

from thresholds.catalogue import Measure
from thresholds.conditions import SLACK, Condition, Measured, Truth, condition, texts, whole_days
from thresholds.conditions_counts import has_counts, out
from thresholds.conditions_recorded import Recorded
from thresholds.conditions_tree import All, Any_, Not
from thresholds.model import Direction, FloatArray, IntArray
from thresholds.settings import Duration
from thresholds.view import RATIOS, View
from thresholds.wording import number

if TYPE_CHECKING:
    from thresholds.kernels.settled import Receded as Settled


@condition
class Calm(Condition):
    """No rule in force has found anything abnormal of the item in the area for so long, in either direction.

    Use in packs with effect = "exit" for "stable for 15 days"; elsewhere it is refused, since it looks at what all
    other rules found. Not for saying that prices keep to their level: a slow climb that no rule asks about is calm
    (`steady` looks at that). Days are counted from the newest observation that a rule found abnormal, thresholds
    eased as for an open flag. Unknown until the history is as long. Unit: days. Source: 青岛市价格监测条例, art. 25.
    """

    kind: Literal["calm"] = "calm"
    by_row = True
    span: Duration
    """so long"""
    readings: int = Field(default=2, ge=1, le=400)
    """and over so many reports of the series"""

    def truth(self, view: View, direction: Direction, ease: float = 1.0) -> Truth:
        if view.abnormal is None:
            return np.full(view.n_asked, -1, np.int8)
        key = ("calm", self.span, self.readings)
        if key not in view.cache:
            view.cache[key] = self.answer(view)
        return cast(Truth, view.cache[key]).copy()

    def answer(self, view: View) -> Truth:
        from thresholds.kernels.settled import reported  # see thresholds.view: numba is not loaded at start

        panel = view.panel
        start = panel.start[view.series()]
        begin, time, abnormal = panel.time[start], view.here(panel.time), cast(IntArray, view.abnormal)
        at = np.arange(len(panel)) if view.rows is None else view.rows
        calm = time - np.maximum(abnormal, begin) >= self.span.total_seconds()
        calm &= reported(panel, view.tested, at, start, abnormal, self.readings)
        never = abnormal < begin  # nothing abnormal so far: a short history says nothing
        return np.where(calm, 1, np.where(never, -1, 0)).astype(np.int8)

    def measure(self, view: View, at: IntArray, direction: Direction) -> Measured | None:
        if view.abnormal is None:
            return None
        days = (view.panel.time[at] - view.abnormal[view.place(at)]) / 86_400
        return said(
            view,
            at,
            days,
            self.span.total_seconds() / 86_400,
            "天",
            [f"已连续{int(d)}天未再出现异常波动" for d in days],
        )


@condition
class Steady(Condition):
    """The price has kept to its level: over so long, highest and lowest lie no further apart than so many percent.

    Use for "prices are stable" in rules about the end of something, or under `not` for what has not settled. Not for
    values other than prices, nor as the only test: a price that nobody reports is not steady, it is unknown. Formula:
    highest / lowest - 1 over the time `span`, with the price that stood when it began; suspected errors left out.
    Unknown where the history, or the level of the series, begins later. Unit: percent. Source: each rule names its
    own.
    """

    kind: Literal["steady"] = "steady"
    by_row = True
    span: Duration
    """over so long"""
    op: Literal["<", "<="] = "<="
    """`<` excludes the bound, `<=` includes it"""
    percent: float = Field(gt=0, le=10_000)
    """the bound of the distance between highest and lowest, of the lowest"""

    def distance(self, view: View) -> FloatArray:
        """float64[n], as a share; NaN for unknown."""
        seconds = int(self.span.total_seconds())
        key = ("steady", seconds)
        if key not in view.cache:
            from thresholds.kernels.settled import ranges  # see thresholds.view: numba is not loaded at start

            low, high = ranges(view.panel, view.real, view.rebased, seconds, view.rows)
            with np.errstate(divide="ignore", invalid="ignore"):
                view.cache[key] = np.where((low > 0) & view.measure_is(*RATIOS), high / low - 1, np.nan)
        return cast(FloatArray, view.cache[key])

    def truth(self, view: View, direction: Direction, ease: float = 1.0) -> Truth:
        found, bound = self.distance(view), self.percent / 100
        inside = found < bound - SLACK if self.op == "<" else found <= bound + SLACK
        return np.where(np.isnan(found), -1, inside).astype(np.int8)

    def measure(self, view: View, at: IntArray, direction: Direction) -> Measured:
        found = self.distance(view)[view.place(at)] * 100
        days, word = whole_days(self.span), "低于" if self.op == "<" else "不超过"
        clause = [f"{days}天内最高与最低相差{number(f)}%，{word}{number(self.percent)}%" for f in found]
        return said(view, at, found, self.percent, "%", clause)


@condition
class Receded(Condition):
    """Complaints that had risen clearly are back at what was usual before they rose.

    Use for the end of what complaints began ("complaint counts have clearly fallen"). Not for counts that never rose:
    without a surge there is nothing to recede from, and the answer is false. Formula: thresholds.kernels.settled; a
    count of a surge is no part of what is usual afterwards. Unknown with fewer than four comparable counts before,
    and while the publisher of the counts is out: missing complaints are no fewer complaints. Unit: cases. Source:
    price plan 5.6; the numbers are this project's, those of the surge those of `multiple`.
    """

    kind: Literal["receded"] = "receded"
    times: float = Field(default=2.0, gt=1, le=1000)
    """so many times what is usual is a surge"""
    over: Duration = Field(default="7d", validate_default=True)
    """over so long: of small counts a single day is doubled by chance"""
    at_least: float = Field(default=5.0, ge=1)
    """and at least so many cases; fewer than these over the whole `span` are back at the usual, whatever that is"""
    back: float = Field(default=1.2, gt=0, le=10)
    """back are counts that are together no more than so many times what is usual"""
    span: Duration = Field(default="7d", validate_default=True)
    """over so long, up to the newest count"""
    within: Duration = Field(default="90d", validate_default=True)
    """a surge longer ago than this is not what recedes"""
    weeks: int = Field(default=8, ge=3, le=60)
    """counts of the same weekday behind what is usual, at most; four are enough"""

    def found(self, view: View) -> Settled:
        key = ("receded", self.model_dump_json())
        if key not in view.cache:
            from thresholds.kernels.settled import receded

            counts = view.usable & view.measure_is(Measure.COUNT) & (view.panel.value >= 0) & ~out(view)
            view.cache[key] = receded(
                view.panel,
                counts,
                times=self.times,
                least=self.at_least,
                back=self.back,
                over=whole_days(self.over),
                span=whole_days(self.span),
                within=whole_days(self.within),
                weeks=self.weeks,
            )
        return cast("Settled", view.cache[key])

    def can_hold(self, view: View) -> bool:
        return has_counts(view)

    def truth(self, view: View, direction: Direction, ease: float = 1.0) -> Truth:
        if not has_counts(view):
            return np.full(len(view.panel), -1, np.int8)
        return self.found(view).answer.copy()

    def measure(self, view: View, at: IntArray, direction: Direction) -> Measured | None:
        if not has_counts(view):
            return None
        found = self.found(view)
        total, usual = found.total[at], found.usual[at]
        days = whole_days(self.span)
        clause = [
            f"近{days}天共{number(t)}件，同期常量{number(u)}件，已回落到常量的{number(self.back)}倍以内"
            for t, u in zip(total, usual, strict=True)
        ]
        return said(view, at, total, self.back, "件", clause)


def said(view: View, at: IntArray, score: FloatArray, threshold: float, unit: str, clause: list[str]) -> Measured:
    """What is said in words; there is no value beyond which it is abnormal."""
    nothing = np.full(len(at), np.nan)
    return Measured(
        value=view.panel.value[at],
        expected=nothing,
        scale=nothing,
        score=score,
        threshold=np.full(len(at), threshold),
        limit=nothing,
        unit=texts(unit, at),
        window=texts("", at),
        n_used=np.zeros(len(at), np.int64),
        comparison=texts(">=", at),
        clause=np.array(clause, np.object_),
    )


def rests_on_lifting(root: Condition) -> bool:
    """Whether a condition can only be true where no decision is in force, whatever the numbers are: grades that only
    a decision raises end when it is lifted (P13, P24)."""
    if isinstance(root, Not):
        return isinstance(root.of, Recorded) and root.of.record == "decision"
    parts = [rests_on_lifting(child) for child in root.children()]
    if isinstance(root, All):
        return any(parts)
    return isinstance(root, Any_) and bool(parts) and all(parts)
