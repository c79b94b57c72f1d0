"""What conditions look at: a panel with its gate, its classes, and the kernels already computed on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from thresholds.calendar import Lag
from thresholds.catalogue import Classified, Measure
from thresholds.kept import Kept
from thresholds.model import BoolArray, FloatArray, IntArray
from thresholds.panel import Panel
from thresholds.records import Record

if TYPE_CHECKING:
    from thresholds.kernels.cells import Cells, Codes
    from thresholds.kernels.robust import RobustScores

T = TypeVar("T", bound=np.generic)

# The kernels are imported where they are used: numba behind them costs a third of a second at start, and checking a
# configuration, which reads rules, needs none of it.

LOG_FLOOR = 0.005
"""Least scale of a log step: half a percent (docs/detectors.md, score)."""
COUNT_FLOOR = 1.0
"""Least scale of a step in 2*sqrt(count): the standard deviation of a Poisson count on that scale."""
LEVEL_FLOOR = 0.005
"""Least scale of a step of a signed value, as a share of the level it starts from."""


SCALES: Mapping[Measure, Callable[[FloatArray], FloatArray]] = {
    Measure.PRICE: np.log,
    Measure.FUTURES: lambda x: np.arcsinh(x / 2),
    Measure.COUNT: lambda x: 2 * np.sqrt(x),
}
"""What makes steps comparable: ratios of prices, standard deviations of counts. Signed values stay as they are."""

RATIOS = (Measure.PRICE, Measure.FUTURES)
"""Measures whose steps are logarithms of ratios, so that a least percentage means something."""
SMALL_SLACK = 1e-6
"""A step this much below a least size is still looked at: what is compared exactly is compared by the condition."""


@dataclass
class View:
    """One panel as rules see it.

    classified  per series: class, domain, measure
    tested      bool[n], values that rules are applied to
    usable      bool[n], values that may serve as baseline of what is usual
    real        bool[n], the same with the values that a reviewer expected (a holiday, a price set by policy): they
                say nothing of what is usual, but may be compared with
    n_points    int32[n], how many points stand behind a value
    rebased     bool[n], where a new level begins: nothing from there on is compared with anything before
    abnormal    int64, seconds, for each row that is asked about: the newest observation up to it, of its item and
                area, that some rule found abnormal (far in the past: none); given for rules about the end of flags
                only (thresholds.exits)
    records     what people recorded, decisions and observations
    order       observations by group and day, kept as long as the view
    rows        int64, rising: the positions that are asked about, None for all. Columns that methods of the view and
                conditions give hold these rows only; positions, in and out, are those of the panel all the same
    """

    panel: Panel
    classified: Sequence[Classified]
    tested: BoolArray
    usable: BoolArray
    n_points: NDArray[np.int32]
    rebased: BoolArray
    real: BoolArray
    cache: Kept = field(default_factory=Kept)
    records: Sequence[Record] = ()
    abnormal: IntArray | None = None
    order: dict[str, Cells] = field(default_factory=dict)
    rows: IntArray | None = None

    @property
    def n_asked(self) -> int:
        """How many rows are asked about."""
        return len(self.panel) if self.rows is None else len(self.rows)

    def here(self, column: NDArray[T]) -> NDArray[T]:
        """Of a column of the panel the rows that are asked about."""
        return column if self.rows is None else column[self.rows]

    def series(self) -> NDArray[np.int32]:
        """int32: the series of each row that is asked about."""
        if self.rows is None:
            return self.panel.series
        if "series" not in self.cache:
            self.cache["series"] = self.panel.series_at(self.rows)
        return cast("NDArray[np.int32]", self.cache["series"])

    def place(self, at: IntArray) -> IntArray:
        """Where positions, all of them asked about, stand in the columns that are given."""
        return at if self.rows is None else np.searchsorted(self.rows, at)

    @property
    def whole(self) -> View:
        """The same asked about everywhere: for conditions that look at what others answered before."""
        return (
            self if self.rows is None else self.everywhere
        )  # kept by itself, a view would not go before it is swept

    @cached_property
    def everywhere(self) -> View:
        return replace(self, rows=None, cache=Kept())

    def part(self, series: IntArray) -> View:
        """The view of some series alone, asked about everywhere."""
        start, rows = slices(self.panel.start, series)
        old = self.panel
        keys, areas = [old.keys[s] for s in series.tolist()], [old.areas[s] for s in series.tolist()]
        panel = Panel(keys, areas, start, old.time[rows], old.day[rows], old.value[rows], old.mark[rows])
        tested, usable, rebased, real = (c[rows] for c in (self.tested, self.usable, self.rebased, self.real))
        classified = [self.classified[s] for s in series.tolist()]
        return View(panel, classified, tested, usable, self.n_points[rows], rebased, real, records=self.records)

    @cached_property
    def kinds(self) -> tuple[list[Classified], IntArray]:
        """What series are classified as, each once, and int64[n_series], which of them each series is: a city has
        thousands of series and a few dozen of these."""
        number: dict[Classified, int] = {}
        codes = [number.setdefault(one, len(number)) for one in self.classified]
        return list(number), np.array(codes, np.int64)

    def series_where(self, judge: Callable[[Classified], bool]) -> BoolArray:
        """bool[n_series]: series of whose classification `judge` is true."""
        kinds, codes = self.kinds
        return np.array([judge(one) for one in kinds], np.bool_)[codes]

    def measure_is(self, *measures: Measure) -> BoolArray:
        """bool[n]: observations of series measured in one of these ways."""
        key = ("measure", measures)
        if key not in self.cache:
            self.cache[key] = self.series_where(lambda c: c.measure in measures)[self.series()]
        return cast(BoolArray, self.cache[key])

    def measured_at(self, measure: Measure, at: IntArray) -> BoolArray:
        """bool[k]: which of the positions `at` are of series measured so."""
        return self.series_where(lambda c: c.measure is measure)[self.panel.series_at(at)]

    def of_classes(self, classes: Sequence[str], without: Sequence[str] = ()) -> BoolArray:
        """bool[n_series]: series whose class, or a parent of it, is named (all if none is), and none of `without`."""
        wanted, unwanted = set(classes), set(without)
        return self.series_where(
            lambda c: (not wanted or not wanted.isdisjoint(c.chain)) and unwanted.isdisjoint(c.chain)
        )

    def cells(self, by: str = "group", code: Codes | None = None) -> Cells:
        """The observations by group and day; or by `code`, int32[n_series], which `by` is the name of."""
        if by not in self.order:
            from thresholds.kernels.cells import cells

            self.order[by] = cells(self.panel, code)
        return self.order[by]

    def base(self, lag: Lag, tolerance: int | None) -> IntArray:
        """int64[n]: position of the observation compared with, -1 for none."""
        key = ("base", lag, tolerance)
        if key not in self.cache and self.rows is not None:
            self.cache[key] = self.base_at(lag, tolerance, self.rows)
        if key not in self.cache:
            from thresholds.kernels.lag import cut_off, lag_positions

            found = lag_positions(self.panel, self.usable, lag, tolerance)
            if self.some_expected:
                found = self.nearer(found, lag_positions(self.panel, self.real, lag, tolerance))
            if self.rebased.any():
                cut_off(self.panel.start, self.rebased, found)
            self.cache[key] = found
        return cast(IntArray, self.cache[key])

    def base_at(self, lag: Lag, tolerance: int | None, at: IntArray) -> IntArray:
        """int64[k]: position of the observation that each of the positions `at` is compared with, -1 for none."""
        if self.rows is None:
            return self.base(lag, tolerance)[at]
        from thresholds.kernels.lag import base_at

        found = base_at(self.panel, self.usable, lag, tolerance, at, self.rebased)
        if self.some_expected:
            real = base_at(self.panel, self.real, lag, tolerance, at, self.rebased)
            found = self.nearer(found, real, at)
        return found

    def origin(self) -> IntArray:
        """int64[n]: the first position of the series that an observation may be compared with."""
        if "origin" not in self.cache:
            begin = self.panel.start[self.panel.series]
            self.cache["origin"] = np.maximum.accumulate(np.where(self.rebased, np.arange(len(begin)), begin))
        return cast(IntArray, self.cache["origin"])

    def change(self, lag: Lag, tolerance: int | None) -> FloatArray:
        """float64[n]: relative change, 0.05 for +5 %; NaN where there is nothing positive to compare with."""
        key = ("change", lag, tolerance)
        if key not in self.cache:
            from thresholds.kernels.lag import relative_change

            self.cache[key] = relative_change(self.panel.value, self.base(lag, tolerance), self.rows)
        return cast(FloatArray, self.cache[key])

    @cached_property
    def some_expected(self) -> bool:
        """Whether a reviewer expected any value: the rare case in which there are two levels to compare with."""
        return self.real is not self.usable and bool((self.real != self.usable).any())

    def nearer(self, usual: IntArray, real: IntArray, at: IntArray | None = None) -> IntArray:
        """Of two positions to compare with, per observation (those `at`), the one whose value lies nearer; -1 only
        where both are.

        After an expected move both the level before it and the new one are nothing new: a holiday price goes back, a
        price set by policy stays.
        """
        every = self.panel.value
        value = every if at is None else every[at]
        far = np.abs(value - every[real]) >= np.abs(value - every[usual])
        chosen: IntArray = np.where((real < 0) | ((usual >= 0) & far), usual, real)
        return chosen

    def counted_back(self, allowed: BoolArray, readings: int) -> IntArray:
        """int64[n]: position of the allowed observation so many allowed ones before each, -1 where there is none."""
        from thresholds.kernels.lag import counted_back, counted_back_at

        if self.rows is not None:
            start = self.panel.start[self.series()]
            return counted_back_at(start, allowed, self.rebased, readings, self.rows)
        return counted_back(self.panel.start, allowed, self.rebased, readings)

    def back(self, readings: int) -> IntArray:
        """int64[n]: position of the observation so many readings before each, -1 where there is none."""
        key = ("back", readings)
        if key not in self.cache:
            found = self.counted_back(self.usable, readings)
            if self.some_expected:
                found = self.nearer(found, self.counted_back(self.real, readings), self.rows)
            self.cache[key] = found
        return cast(IntArray, self.cache[key])

    def steps(self, over: int = 1) -> tuple[FloatArray, FloatArray]:
        """float64[n] twice: the step over `over` readings on the scale of the measure, and its least scale."""
        key = ("steps", over)
        if key not in self.cache:
            self.cache[key] = self.make_steps(over)
        return cast("tuple[FloatArray, FloatArray]", self.cache[key])

    def scaled(self) -> FloatArray:
        """float64[n]: values on the scale of their measure, on which steps are differences; NaN where it has none."""
        if "scaled" not in self.cache:
            self.cache["scaled"] = self.on_scale(self.here(self.panel.value))
        return cast(FloatArray, self.cache["scaled"])

    def scaled_at(self, at: IntArray) -> FloatArray:
        """float64[k]: the values at positions `at` on the scale of their measure."""
        if self.rows is None:
            return self.scaled()[at]
        scaled: FloatArray = self.panel.value[at]
        for measure in self.measures - {Measure.SIGNED}:
            here = self.measured_at(measure, at)
            with np.errstate(divide="ignore", invalid="ignore"):
                scaled[here] = SCALES[measure](scaled[here])
        return scaled

    def on_scale(self, value: FloatArray) -> FloatArray:
        """float64[n], other values of the same series on the scale of their measure."""
        scaled = value.copy()
        with np.errstate(divide="ignore", invalid="ignore"):
            for measure in self.measures - {Measure.SIGNED}:
                here = self.measure_is(measure)
                scaled[here] = SCALES[measure](value[here])
        return scaled

    @property
    def measures(self) -> set[Measure]:
        """The ways in which series of this view are measured."""
        return {c.measure for c in self.kinds[0]}

    def make_steps(self, over: int) -> tuple[FloatArray, FloatArray]:
        base = self.back(over)
        scaled = self.scaled()
        floor = np.full(len(scaled), LOG_FLOOR)
        if Measure.COUNT in self.measures:
            floor[self.measure_is(Measure.COUNT)] = COUNT_FLOOR
        if Measure.SIGNED in self.measures:
            here = self.measure_is(Measure.SIGNED)
            floor[here] = LEVEL_FLOOR * np.abs(self.panel.value[base[here]])
        with np.errstate(invalid="ignore"):
            step = scaled - (scaled[base] if self.rows is None else self.scaled_at(base))
        step[(base < 0) | ~np.isfinite(step)] = np.nan
        return step, floor

    def stepped(self, at: IntArray, step: FloatArray, over: int = 1) -> FloatArray:
        """The value that a step of `step`, on the scale of the measure, would have led to at positions `at`."""
        base = self.back(over)[self.place(at)]
        before = np.where(base >= 0, self.panel.value[base], np.nan)
        with np.errstate(over="ignore", invalid="ignore"):
            ways = {
                Measure.PRICE: before * np.exp(step),
                Measure.FUTURES: 2 * np.sinh(np.arcsinh(before / 2) + step),
                Measure.COUNT: (np.sqrt(before) + step / 2) ** 2,
            }
            led = before + step
            for measure, way in ways.items():
                led = np.where(self.measured_at(measure, at), way, led)
        return led

    def scores(
        self, window: int, least: int, over: int = 1, exact_above: float = 0.0, least_change: float = 0.0
    ) -> RobustScores:
        """Robust scores of the steps over `over` readings; those below `exact_above` may be bounds (see there).

        least_change   share (0.05 for 5 %): smaller steps of prices are of no interest and score zero
        """
        key = ("scores", window, least, over, exact_above, least_change)
        if key not in self.cache and self.rows is not None:
            self.cache[key] = self.scores_here(self.rows, window, least, over, exact_above, least_change)
        if key not in self.cache:
            step, floor = self.steps(over)
            tested_step = np.where(self.tested | self.usable, step, np.nan)
            from thresholds.kernels.robust import robust_scores

            self.cache[key] = robust_scores(
                self.panel.start,
                tested_step,
                self.usable,
                floor,
                window,
                least,
                exact_above,
                self.least_steps(least_change),
            )
        return cast("RobustScores", self.cache[key])

    def least_steps(self, least_change: float) -> FloatArray:
        """float64[n_series]: sizes below which steps are of no interest."""
        ratio = self.series_where(lambda c: c.measure in RATIOS)
        return np.where(ratio, np.log1p(least_change) - SMALL_SLACK, 0.0)

    def scores_here(
        self, rows: IntArray, window: int, least: int, over: int, exact_above: float, least_change: float
    ) -> RobustScores:
        """Scores of `rows`. A series in which none of these steps is of interest scores zero there, also where its
        history is too short for a score."""
        from thresholds.kernels.robust import RobustScores

        series = self.panel.series[rows]
        with np.errstate(invalid="ignore"):
            asked = np.abs(self.steps(over)[0]) >= self.least_steps(least_change)[series]
        wanted = np.unique(series[asked]).astype(np.int64)
        n = len(rows)
        found = RobustScores(np.zeros(n), np.full(n, np.nan), np.full(n, np.nan), np.zeros(n, np.int64))
        if len(wanted):
            part = self.part(wanted)
            scores = part.scores(window, least, over, exact_above, least_change)
            mine = np.isin(series, wanted)
            place = np.searchsorted(wanted, series[mine])
            at = rows[mine] - self.panel.start[wanted[place]] + part.panel.start[place]
            for name in ("score", "median", "scale", "n_used"):
                getattr(found, name)[mine] = getattr(scores, name)[at]
        return found


def slices(start: IntArray, series: IntArray) -> tuple[IntArray, IntArray]:
    """The columns of some series, one after the other: where each begins, and the positions that they come from."""
    lengths = start[series + 1] - start[series]
    begins = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return begins, np.arange(begins[-1]) + np.repeat(start[series] - begins[:-1], lengths)
