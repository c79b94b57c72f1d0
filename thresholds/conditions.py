"""Conditions: the leaves and branches of a rule's `when` tree.

A condition answers, per observation and direction, true (1), false (0) or unknown (-1: too little history). Unknown
is never taken for normal: `not` keeps it, `all` is unknown unless something is false, `any` unless something is true.

A new kind of condition is a class decorated with `@condition`; nothing else changes.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar, cast, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from pydantic import Field, PlainValidator, SerializeAsAny, model_validator

from thresholds.calendar import WORDS, Lag
from thresholds.model import BoolArray, Direction, FloatArray, IntArray
from thresholds.settings import Duration, Settings
from thresholds.units import factor
from thresholds.view import RATIOS, View

if TYPE_CHECKING:
    from thresholds.catalogue import Classified
    from thresholds.kernels.robust import RobustScores

Truth = NDArray[np.int8]
Texts = NDArray[np.object_]
SLACK = 1e-9
"""Decimal prices are not exact in binary: 10.50 / 10.00 is a hair above 1.05 and must not count as more than 5 %."""

Comparison = Literal[">", ">="]


class Worded:
    """Texts by row, made where they are looked at: of a hundred hits one becomes a flag.

    `pattern` of `str.format` with the columns as arguments; what is no column is the same in all rows.
    """

    def __init__(self, pattern: str, *columns: ArrayLike) -> None:
        self.pattern, self.columns = pattern, np.broadcast_arrays(*columns)

    def __len__(self) -> int:
        return len(self.columns[0])

    def __getitem__(self, rows: IntArray | int) -> Any:
        """The text of one row, or object[k] of some."""
        some = np.atleast_1d(rows)
        made = [self.pattern.format(*row) for row in zip(*(c[some].tolist() for c in self.columns), strict=True)]
        return np.array(made, np.object_) if np.ndim(rows) else made[0]

    def __iter__(self) -> Iterator[str]:
        return iter(self[np.arange(len(self))])

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Texts:
        return cast(Texts, self[np.arange(len(self))])


@dataclass(frozen=True, slots=True)
class Measured:
    """What a leaf measured at some positions: columns of one length. Units as in thresholds.model.Finding.

    `limit` is the value, in the unit of the series, beyond which the condition is true; `score` and `threshold` are
    in `unit`. A row whose `score` is NaN says nothing: what is true there measures nothing itself.
    """

    value: FloatArray
    expected: FloatArray
    scale: FloatArray
    score: FloatArray
    threshold: FloatArray
    limit: FloatArray
    unit: Texts
    window: Texts
    n_used: IntArray
    comparison: Texts
    clause: Texts | Worded | None = None
    """what was seen, said in Chinese by the condition itself; else it is worded by `unit` (thresholds.wording)"""

    def only(self, keep: BoolArray) -> Measured:
        """The rows where `keep` is true."""
        columns: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{name: column[keep] for name, column in columns.items() if column is not None})

    def where(self, keep: BoolArray) -> Measured:
        """The same, saying nothing where `keep` is false."""
        blank = {
            name: np.where(keep, getattr(self, name), np.nan) for name in ("expected", "scale", "score", "limit")
        }
        return replace(self, **blank)


class Company(Enum):
    """Items that an item is evaluated with, where they are no named class."""

    OWN_CLASS = "own class"
    """those of its own class; an item without a class is by itself"""


class Condition(Settings, ABC):
    """Base of all conditions."""

    kind: str
    by_row: ClassVar[bool] = False
    """whether the answer at a row needs no answers at other rows: then it is given for the rows of the view only"""

    @abstractmethod
    def truth(self, view: View, direction: Direction, ease: float = 1.0) -> Truth:
        """int8[n] of 1, 0, -1, for the rows that the view is asked about. `ease` below 1 lowers the threshold: what
        keeps a flag open (hysteresis)."""

    @property
    def row_by_row(self) -> bool:
        """Whether this can be asked about some rows only. Positions that are handed in are then among these."""
        return self.by_row and all(child.row_by_row for child in self.children())

    def children(self) -> tuple[Condition, ...]:
        return ()

    def meant_for(self, series: Classified) -> bool:
        """Whether it can say anything of a series; where it cannot, a rule that is made of it is not in force."""
        return True

    def can_hold(self, view: View) -> bool:
        """False where it cannot be true anywhere in the view: then it need not be asked."""
        return True

    def needs(self) -> frozenset[str]:
        """Folded names of items that must be evaluated together for this condition; empty for all but ratios."""
        return frozenset()

    def needs_classes(self) -> frozenset[str | Company]:
        """Classes whose items must all be evaluated with an item that is judged by this condition."""
        return frozenset()

    def needs_about(self) -> frozenset[str]:
        """Classes of counts of which those that concern an item by name must be evaluated with it."""
        return frozenset()

    def measure(self, view: View, at: IntArray, direction: Direction) -> Measured | None:
        """The numbers behind the answer at positions `at`; None for a condition that measures nothing itself."""
        return None

    def since(self, view: View, at: IntArray, direction: Direction) -> IntArray:
        """Position of the first observation of what is true at `at`: earlier than `at` where duration is asked."""
        return at

    def compared(self, view: View, at: IntArray) -> IntArray | None:
        """Positions of the observations that those at `at` are compared with, -1 for none; None where it is no
        single observation. Of several parts, the first that compares with one."""
        return next((found for c in self.children() if (found := c.compared(view, at)) is not None), None)


KINDS: dict[str, type[Condition]] = {}
C = TypeVar("C", bound=type[Condition])


def condition(kind: C) -> C:
    """Register a kind of condition under the value of its `kind` field."""
    KINDS[cast("type[Condition]", kind).model_fields["kind"].default] = kind
    return kind


def parse(value: object) -> Condition:
    """A condition from its table. `all`, `any` and `not` may be written without `kind`."""
    if isinstance(value, Condition):
        return value
    if not isinstance(value, Mapping):
        raise ValueError('a condition is a table|Write for example { kind = "change", over = "1w", percent = 30 }')
    table: dict[str, Any] = dict(value)
    name = table.get("kind")
    if name is None and len(table) == 1 and next(iter(table)) in ("all", "any", "not"):
        name = next(iter(table))
    if name is None:
        raise ValueError(f"the key 'kind' is missing|Add it: one of {', '.join(KINDS)}")
    kind = KINDS.get(str(name))
    if kind is None:
        raise ValueError(f"the kind of condition {name!r} is unknown|Use one of {', '.join(KINDS)}")
    return kind.model_validate(table)


AnyCondition = Annotated[SerializeAsAny[Condition], PlainValidator(parse)]


def walk(root: Condition) -> Iterator[Condition]:
    """The condition and everything below it, depth first."""
    yield root
    for child in root.children():
        yield from walk(child)


def compare(x: FloatArray, op: Comparison, threshold: float, side: int = 1) -> Truth:
    """Truth of `side * x op threshold` (side 1 or -1), unknown where x is NaN. Equality is judged within the slack of
    decimals."""
    slack = SLACK * max(1.0, abs(threshold))
    bound = side * (threshold + slack if op == ">" else threshold - slack)
    ways = (np.greater, np.less) if op == ">" else (np.greater_equal, np.less_equal)
    hit: BoolArray = np.asarray(ways[side < 0](x, bound))
    found: Truth = hit.view(np.int8) - np.isnan(x).view(np.int8)
    return found


def log_change(share: float, direction: Direction) -> float:
    """Size of a rise or fall by `share` (0.1 for 10 %) on the logarithmic scale; a fall by all of it has none."""
    if direction is Direction.DOWN:
        return -math.log1p(-share) if share < 1 else math.inf
    return math.log1p(share)


@overload
def whole_days(duration: timedelta) -> int: ...
@overload
def whole_days(duration: None) -> None: ...
def whole_days(duration: timedelta | None) -> int | None:
    """Days, the last one begun counted; None for no limit."""
    return None if duration is None else math.ceil(duration.total_seconds() / 86_400)


def texts(text: str, at: IntArray | BoolArray) -> Texts:
    return np.full(len(at), text, np.object_)


def sign(direction: Direction) -> int:
    return -1 if direction is Direction.DOWN else 1


@condition
class Change(Condition):
    """Relative change against an earlier observation: a step, a calendar lag or a cumulative window."""

    kind: Literal["change"] = "change"
    by_row = True
    over: Lag
    op: Comparison = ">"
    percent: float = Field(gt=0, le=100_000)
    max_age: Duration | None = None
    """oldest age of the observation compared with, beyond the lag itself"""

    def columns(self, view: View) -> FloatArray:
        return view.change(self.over, self.days)

    def compared(self, view: View, at: IntArray) -> IntArray:
        return view.base(self.over, self.days)[view.place(at)]

    @property
    def days(self) -> int | None:
        return whole_days(self.max_age)

    def truth(self, view: View, direction: Direction, ease: float = 1.0) -> Truth:
        return compare(self.columns(view), self.op, self.percent / 100 * ease, sign(direction))

    def measure(self, view: View, at: IntArray, direction: Direction) -> Measured:
        base = view.base(self.over, self.days)[view.place(at)]
        expected = np.where(base >= 0, view.panel.value[base], np.nan)
        change = self.columns(view)[view.place(at)] * 100
        return Measured(
            value=view.panel.value[at],
            expected=expected,
            scale=np.full(len(at), np.nan),
            score=change,
            threshold=np.full(len(at), sign(direction) * self.percent),
            limit=expected * (1 + sign(direction) * self.percent / 100),
            unit=texts("%", at),
            window=texts(WORDS[self.over], at),
            n_used=(base >= 0).astype(np.int64),
            comparison=texts(self.op, at),
        )


@condition
class Score(Condition):
    """Robust score of the newest step against the steps before it (thresholds.kernels.robust)."""

    kind: Literal["score"] = "score"
    by_row = True
    kernel: Literal["robust"] = "robust"
    window: int = Field(default=60, ge=8, le=1000)
    least: int = Field(default=12, ge=5, le=1000)
    over: int = Field(default=1, ge=1, le=400)
    """over how many readings the step goes: 1 for a jump, more for a climb"""
    op: Comparison = ">"
    value: float = Field(gt=0, le=1000)
    percent: float = Field(default=0, ge=0, le=10_000)
    """least size of the step itself, for prices: a tiny move of a very steady price is no news to anybody"""

    @model_validator(mode="after")
    def enough(self) -> Score:
        if self.least > self.window:
            raise ValueError(
                "`least` is greater than `window`|Lower it: the baseline never holds more than the window"
            )
        return self

    def scores(self, view: View, ease: float) -> RobustScores:
        """Exact where they can matter. One scan serves the threshold and its easing down to one half."""
        least = min(ease, 0.5)
        return view.scores(self.window, self.least, self.over, self.value * least, self.percent / 100 * least)

    def truth(self, view: View, direction: Direction, ease: float = 1.0) -> Truth:
        scores = self.scores(view, ease).score
        found = compare(scores, self.op, self.value * ease, sign(direction))
        if self.percent:
            step, _ = view.steps(self.over)
            ratio = view.measure_is(*RATIOS)
            small = ratio & (sign(direction) * step < log_change(self.percent / 100 * ease, direction) - SLACK)
            found[small & (found == 1)] = 0
        return found

    def compared(self, view: View, at: IntArray) -> IntArray:
        return view.back(self.over)[view.place(at)]

    def measure(self, view: View, at: IntArray, direction: Direction) -> Measured:
        scores, place = self.scores(view, 1.0), view.place(at)
        median, scale = scores.median[place], scores.scale[place]
        return Measured(
            value=view.panel.value[at],
            expected=view.stepped(at, median, self.over),
            scale=scale,
            score=scores.score[place],
            threshold=np.full(len(at), sign(direction) * self.value),
            limit=view.stepped(at, median + sign(direction) * self.value * scale, self.over),
            unit=texts("σ", at),
            window=texts(f"前{self.window}期以内的变动" if self.over == 1 else f"此前每{self.over}期的累计变动", at),
            n_used=scores.n_used[place],
            comparison=texts(self.op, at),
        )


@condition
class Level(Condition):
    """The value itself against a fixed level. Each direction has its own level.

    The level is in the unit of the series, or in `unit`: then values in other units are converted (thresholds.units),
    and unknown where that cannot be done.
    """

    kind: Literal["level"] = "level"
    op: Comparison = ">"
    above: float | None = None
    below: float | None = None
    unit: str = ""
    """unit of the bounds, for example 万元: values in 元 or 亿元 are converted, those without a unit are taken to be
    in it, others are unknown. Where it is not given the bounds are in the unit of each series"""

    @model_validator(mode="after")
    def some(self) -> Level:
        if self.above is None and self.below is None:
            raise ValueError("neither `above` nor `below` is given|Give the level, in the unit of the series")
        return self

    def bound(self, direction: Direction) -> float | None:
        return self.below if direction is Direction.DOWN else self.above

    def factors(self, view: View) -> FloatArray:
        """float64[n_series]: what brings the values of a series to the unit of the bounds; NaN for nothing does."""
        if not self.unit:
            return np.ones(view.panel.n_series)
        found = {k.unit: factor(k.unit, self.unit) for k in view.panel.keys}
        return np.array([found[k.unit] for k in view.panel.keys], np.float64)  # None becomes NaN

    def truth(self, view: View, direction: Direction, ease: float = 1.0) -> Truth:
        bound = self.bound(direction)
        if bound is None:
            return np.zeros(len(view.panel), np.int8)
        eased = bound - (1 - ease) * abs(bound) * sign(direction)
        value = view.panel.value if not self.unit else view.panel.value * self.factors(view)[view.panel.series]
        return compare(value, self.op, sign(direction) * eased, sign(direction))

    def measure(self, view: View, at: IntArray, direction: Direction) -> Measured | None:
        bound = self.bound(direction)
        if bound is None:
            return None
        value = view.panel.value[at]
        limit = bound / self.factors(view)[view.panel.series_at(at)]
        return Measured(
            value=value,
            expected=limit,
            scale=np.full(len(at), np.nan),
            score=value - limit,
            threshold=limit,
            limit=limit,
            unit=texts("", at),
            window=texts("当期值", at),
            n_used=np.ones(len(at), np.int64),
            comparison=texts(self.op, at),
        )


@condition
class Points(Condition):
    """At least so many points stand behind the value. True at once for rules on areas with many points."""

    kind: Literal["points"] = "points"
    at_least: int = Field(ge=1)

    def truth(self, view: View, direction: Direction, ease: float = 1.0) -> Truth:
        return (view.n_points >= self.at_least).astype(np.int8)


@condition
class StateSet(Condition):
    """The price is set by government: for excluding such changes (`not`)."""

    kind: Literal["state_set"] = "state_set"
    by_row = True

    def truth(self, view: View, direction: Direction, ease: float = 1.0) -> Truth:
        return view.series_where(lambda c: c.state_set)[view.series()].astype(np.int8)
