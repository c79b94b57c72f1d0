"""The shared words: what a series, an observation, a finding, a flag and a grade are.

Times in these types are aware UTC datetimes, or, in columns, int64 seconds since the Unix epoch (UTC).
They are shown in the zone of the installation (Asia/Shanghai by default).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, IntFlag, StrEnum

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


class Kind(StrEnum):
    """What a flag is about."""

    MOVE = "move"
    """a real abnormal move"""
    DATA = "data"
    """a suspected reporting error: kept out of baselines, raises no price warning"""
    SILENCE = "silence"
    """expected data did not come"""


class Direction(StrEnum):
    """Which way a value moved; `NONE` where the flag has no direction (silence)."""

    UP = "up"
    DOWN = "down"
    NONE = ""


@dataclass(frozen=True, slots=True, order=True)
class SeriesKey:
    """What identifies a series: values are never compared across any of these five.

    Empty strings stand for "not given". `unit` is the unit as reported (元/500克 and 元/公斤 are two series).
    """

    item: str
    spec: str = ""
    unit: str = ""
    channel: str = ""
    point: str = ""


@dataclass(frozen=True, slots=True)
class Observation:
    """One value as received; `at` is what the value is about, not when it came. Aware UTC."""

    key: SeriesKey
    at: datetime
    value: float
    area: str = ""
    source: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class ObservationBatch:
    """Many observations as columns, in the order received.

    keys    the distinct series of the batch, with `areas` and `sources` beside them (same length)
    series  int64[n], index into `keys`
    at      int64[n], seconds since the epoch, UTC
    value   float64[n], finite
    row     int64[n], 1-based row number in the sheet or position in the request, for reports
    notes   {position 0..n-1: text}, only where a note was given
    """

    keys: Sequence[SeriesKey]
    areas: Sequence[str]
    sources: Sequence[str]
    series: IntArray
    at: IntArray
    value: FloatArray
    row: IntArray
    notes: Mapping[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.value)

    @classmethod
    def of(cls, observations: Sequence[Observation]) -> ObservationBatch:
        """Columns from single observations, rows numbered from 1."""
        index: dict[SeriesKey, int] = {}
        areas: list[str] = []
        sources: list[str] = []
        codes = np.empty(len(observations), np.int64)
        for i, one in enumerate(observations):
            code = index.setdefault(one.key, len(index))
            if code == len(areas):
                areas.append(one.area)
                sources.append(one.source)
            codes[i] = code
        return cls(
            keys=list(index),
            areas=areas,
            sources=sources,
            series=codes,
            at=np.array([int(o.at.timestamp()) for o in observations], np.int64),
            value=np.array([o.value for o in observations], np.float64),
            row=np.arange(1, len(observations) + 1, dtype=np.int64),
            notes={i: o.note for i, o in enumerate(observations) if o.note},
        )


@dataclass(frozen=True, slots=True)
class Reject:
    """One row that could not be taken in: `row` 1-based, `reason` a stable code, `detail` what and how to mend."""

    row: int
    reason: str
    detail: str
    content: str = ""


@dataclass(frozen=True, slots=True)
class Grade:
    """A warning grade of a plan. `rank` counts from 1 (lowest); 0 means "no grade"."""

    rank: int
    label: str
    colour: str = ""


NO_GRADE = Grade(0, "")


class Mark(IntFlag):
    """What is known about one stored observation, one bit each (uint8 in columns)."""

    NONE = 0
    CONFLICT = 1
    """the same batch held another value for the same series and time"""
    DATA_ERROR = 2
    """a reviewer judged it a data error: out of baselines, never tested"""
    EXPECTED = 4
    """a reviewer judged the move expected (holiday, policy): out of baselines"""


class Doubt(IntEnum):
    """Why a value is suspected."""

    NONE = 0
    NONPOSITIVE = 1
    FACTOR = 2
    JIN = 3
    CONFLICT = 4
    DAN = 5
    ALONE = 6
    PLACEHOLDER = 7
    SWAPPED = 8
    RANGE = 9
    OUTAGE = 10
    STUCK = 11
    REVERTED = 12


@dataclass(frozen=True, slots=True)
class Contribution:
    """One point's part in a finding: `change` is a ratio (0.1 = +10 %), NaN where it has none. `carried`: the point
    gave no usable price on that day, its last one stands in the mean (thresholds.aggregate)."""

    point: str
    area: str
    value: float
    expected: float
    change: float
    carried: bool = False


@dataclass(frozen=True, slots=True)
class Earlier:
    """The value on the same date `years` before by `calendar` (gregorian or lunar), observed at `at`.

    change   from then to now as a ratio (0.1 = +10 %), NaN where it has none
    """

    years: int
    calendar: str
    at: datetime
    value: float
    change: float


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule measured at one time: the evidence kept with a flag.

    value, expected, scale and threshold are in the unit of the series, or in the unit named by `unit`
    ("%", "σ", "点", …); `n_used` counts the observations behind `expected`.
    """

    rule: str
    rule_version: str
    at: datetime
    direction: Direction
    value: float
    expected: float
    scale: float
    score: float
    threshold: float
    unit: str
    window: str
    n_used: int
    reason: str
    contributions: tuple[Contribution, ...] = ()
    earlier: tuple[Earlier, ...] = ()
    """the same date in the years before; with the first finding of a flag only"""


@dataclass(frozen=True, slots=True)
class Exit:
    """The proposal to end what a flag began: by which rule, at which reading, and why. A person decides (P24)."""

    rule: str
    rule_version: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Flag:
    """The machine's opinion on one item, direction and area, from `start` until it is over.

    id             stable: derived from kind, plan, item, area, direction and start, so that replaying gives the same
    point          the point concerned when first flagged; empty where several points were
    start          time of the first abnormal observation
    first_flagged  time of the observation (or of the clock, for silence) at which it was known
    last_hit       time of the newest abnormal observation
    end            when it was over; None while it is open
    end_reason     cleared, merged (into the city's), exceeded (a further move has its own flag), corrected, resumed,
                   stayed (of a doubt: the next report stays there, it was real); empty while it is open
    peak           the most extreme value while open
    value, expected, threshold, reason, findings: as first flagged
    exit           the proposal to end what it began, as it stands now; a further abnormal observation takes it back
    """

    id: str
    kind: Kind
    plan: str
    plan_version: str
    rule: str
    rule_version: str
    item: str
    point: str
    area: str
    direction: Direction
    start: datetime
    first_flagged: datetime
    last_hit: datetime
    end: datetime | None
    end_reason: str
    peak: float
    peak_grade: Grade
    value: float
    expected: float
    threshold: float
    reason: str
    findings: tuple[Finding, ...]
    points: tuple[str, ...] = ()
    exit: Exit | None = None
