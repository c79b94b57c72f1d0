"""The load that flags put on people: flags a week, in all and for every hundred series watched."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thresholds.model import BoolArray
from thresholds.panel import Panel, codes_of


@dataclass(frozen=True, slots=True)
class Watched:
    """How much was watched, and for how long.

    series        pairs of item and point; several specs, units or channels of one item at one point count once
    weeks         from the first observation of all to the last
    series_weeks  the same for each pair, added up
    """

    series: int
    weeks: float
    series_weeks: float

    def per_week(self, flags: int) -> float | None:
        """Flags a week, None where everything is of one day."""
        return flags / self.weeks if self.weeks else None

    def per_100_series_weeks(self, flags: int) -> float | None:
        """Flags a week for every hundred series, None where no series has two days."""
        return 100 * flags / self.series_weeks if self.series_weeks else None


def watched(panel: Panel, valid: BoolArray | None = None, first_day: int | None = None) -> Watched:
    """What the observations of `panel` come to.

    valid      bool[n]: observations that count (None: all)
    first_day  days since 1970-01-01: earlier observations do not count
    """
    keep = np.ones(len(panel), np.bool_) if valid is None else valid
    if first_day is not None:
        keep = keep & (panel.day >= first_day)
    day = panel.day[keep].astype(np.int64)
    if not len(day):
        return Watched(0, 0.0, 0.0)
    pair = codes_of([(k.item, k.point) for k in panel.keys])[panel.series[keep]]
    first = np.full(int(pair.max()) + 1, np.iinfo(np.int64).max)
    last = np.full(len(first), np.iinfo(np.int64).min)
    np.minimum.at(first, pair, day)
    np.maximum.at(last, pair, day)
    seen = first <= last
    days = int((last[seen] - first[seen]).sum())
    return Watched(int(seen.sum()), int(day.max() - day.min()) / 7, days / 7)
