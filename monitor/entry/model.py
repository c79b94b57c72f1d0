"""What the store tells data entry of a point: its lines, and what stands beside the rows of a sheet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from thresholds.model import BoolArray, FloatArray, SeriesKey


@dataclass(frozen=True, slots=True)
class Value:
    """A stored value, its newest revision."""

    at: datetime
    value: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A series as a form shows it: the value of the day, and the newest before that day, None where there is none."""

    id: int
    key: SeriesKey
    area: str
    demo: bool
    day: Value | None
    before: Value | None


@dataclass(frozen=True, slots=True)
class Beside:
    """What stands beside each row of a batch: columns with one entry per row.

    before  float64[n]: the value of the report before it, stored or of the batch itself; NaN where there is none
    same    bool[n]: exactly this value is stored for this time already
    known   bool[number of series]: the series is stored already
    """

    before: FloatArray
    same: BoolArray
    known: BoolArray
