"""Before a reported value is stored: is its reporter asked for a reason, or whether it is meant?

The forms of price offices ask for a reason (备注) where a price moved by more than a limit since the report before;
the limits are data (thresholds/explain.toml), by class, each with its source. What looks like a slip (the wrong unit
of weight, a decimal point in the wrong place) is asked back at once, while the person still has the price label
before them: the same ratios that the data gate knows (thresholds.kernels.gate), against one report instead of five.
Clauses: P4, P15 (no wrong report), G4.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import Field

from thresholds.catalogue import Classified, Measure
from thresholds.model import SeriesKey
from thresholds.plan import Source
from thresholds.settings import Fault, FaultsError, Settings, load

SHIPPED = Path(__file__).parent / "explain.toml"
JIN_UNITS, KILO_UNITS = ("500克", "500g", "斤"), ("公斤", "千克", "kg")
HEAVY_UNITS = ("50千克", "50公斤", "50kg", "担")
FAR = 3.0
"""Times the report before from which a price is asked back whatever its class."""


class Ask(StrEnum):
    """What a person is asked about one value."""

    REASON = "reason"
    """it moved by more than the limit of its class: why?"""
    ZERO = "zero"
    """a price cannot be zero or negative"""
    KILO = "kilo"
    """about twice: was it asked per kilogram?"""
    JIN = "jin"
    """about half: was it asked per 500 g?"""
    HEAVY = "heavy"
    """about fifty times or a fiftieth: 50 kg and 1 kg?"""
    POINT = "point"
    """a power of ten: the decimal point?"""
    PLACEHOLDER = "placeholder"
    """999 and the like stand for no value in other programs"""
    FAR = "far"
    """so far from the report before that it is asked back"""
    COUNT = "count"
    """a count is a whole number from zero"""


IMPOSSIBLE = frozenset({Ask.ZERO, Ask.COUNT})
"""What no reason makes right: such a value is not stored."""
CONFIRMED = frozenset({Ask.KILO, Ask.JIN, Ask.HEAVY, Ask.POINT, Ask.PLACEHOLDER, Ask.FAR})
"""What must be said to be meant, besides its reason."""


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask about one value: `change` from the report before as a ratio (0.1 = +10 %), `limit` in the same."""

    ask: Ask
    before: float
    change: float
    limit: float

    @property
    def possible(self) -> bool:
        """Whether an answer can make it right."""
        return self.ask not in IMPOSSIBLE

    @property
    def to_confirm(self) -> bool:
        """Whether the value must be confirmed besides giving a reason."""
        return self.ask in CONFIRMED


class Limit(Settings):
    """From which change on a class is explained."""

    item_class: str
    percent: float = Field(gt=0, le=1000)
    source: Source


class Other(Settings):
    """The limit of all classes that are not listed."""

    percent: float = Field(gt=0, le=1000)
    source: Source


class ExplainFile(Settings):
    """The shipped limits."""

    page = "docs/console.md"
    kind: Literal["explain"]
    version: str
    limits: tuple[Limit, ...]
    other: Other


@dataclass(frozen=True)
class Limits:
    """The limits in force as ratios, by class; `other` for classes that have none."""

    by_class: Mapping[str, float]
    other: float

    def of(self, classified: Classified) -> float:
        """The limit of an item, infinite where its changes are no ratios of prices."""
        if classified.measure is not Measure.PRICE or classified.domain != "price":
            return math.inf
        return next((self.by_class[c] for c in classified.chain if c in self.by_class), self.other)


def shipped() -> ExplainFile:
    """The limits of thresholds/explain.toml. Raises FaultsError where the file was damaged."""
    file, faults = load(ExplainFile, SHIPPED, SHIPPED.name)
    if file is None:
        raise FaultsError(faults or [Fault(SHIPPED.name, "", "cannot be read", "Install the program again")])
    return file


def limits(changed: Mapping[str, float] | None = None) -> Limits:
    """The shipped limits with what an installation changed (class, or `other`, to percent)."""
    file = shipped()
    percents = {one.item_class: one.percent for one in file.limits} | dict(changed or {})
    other = percents.pop("other", file.other.percent)
    return Limits({name: percent / 100 for name, percent in percents.items()}, other / 100)


def question(
    value: float, before: float | None, key: SeriesKey, classified: Classified, known: Limits
) -> Question | None:
    """What to ask about `value` when the report before was `before` (None: there is none); None: nothing."""
    nothing = math.nan
    if classified.measure is Measure.COUNT:
        whole = value >= 0 and float(value).is_integer()
        return None if whole else Question(Ask.COUNT, nothing, nothing, nothing)
    if classified.measure is not Measure.PRICE:
        return None
    if value <= 0:
        return Question(Ask.ZERO, nothing if before is None else before, nothing, nothing)
    if before is None or before <= 0:
        return Question(Ask.PLACEHOLDER, nothing, nothing, nothing) if is_placeholder(value, None) else None
    change, limit = value / before - 1, known.of(classified)
    slip = slipped(value, before, key.unit)
    if slip is not None:
        return Question(slip, before, change, limit)
    return Question(Ask.REASON, before, change, limit) if exceeds(value, before, limit) else None


def exceeds(value: float, before: float, limit: float) -> bool:
    """Whether the change is more than the limit; a change of exactly the limit is not, whatever floats make of it."""
    return abs(value - before) > limit * before * (1 + 1e-9)


def is_placeholder(value: float, before: float | None) -> bool:
    nines = value in (999.0, 9999.0, 99999.0, 999999.0)
    return nines and (before is None or value > 3 * before)


def slipped(value: float, before: float, unit: str) -> Ask | None:
    """Which slip the step looks like; the bounds are those of the data gate."""
    if is_placeholder(value, before):
        return Ask.PLACEHOLDER
    ratio = value / before
    times = max(ratio, 1 / ratio)
    text = unit.lower()
    jin, kilo = any(u in text for u in JIN_UNITS), any(u in text for u in KILO_UNITS)
    if times > 7.5:
        tens = math.log10(times)
        if abs(tens - round(tens)) < 0.097:
            return Ask.POINT
        if (jin or kilo) and (40 < times < 62.5 or (any(u in text for u in HEAVY_UNITS) and 16 < times < 25)):
            return Ask.HEAVY
    if (jin or kilo) and 1.92 < times < 2.08:
        return Ask.KILO if ratio > 1 else Ask.JIN
    return Ask.FAR if times >= FAR else None
