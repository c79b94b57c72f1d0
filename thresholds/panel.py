"""The panel: many series, each with its own times, packed into flat columns.

Prices come daily, weekly, by 旬 and monthly, with gaps and at odd hours. A time x series matrix would either hold
mostly holes or force one cadence on all; so the panel is ragged: the observations of series `i` are the slice
`start[i]:start[i + 1]` of the columns, in order of time. Kernels take positions into these columns and look only to
the left of them, which makes them causal by construction: evaluating one day or ten years gives the same numbers.
See docs/adr/003-ragged-panel.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import cached_property, lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from thresholds.model import BoolArray, FloatArray, IntArray, SeriesKey

SHANGHAI = ZoneInfo("Asia/Shanghai")
DAY = 86_400
Day = NDArray[np.int32]
LOOKED_UP = 32
"""Positions are looked up one by one where they are fewer than one in so many."""
MOST_QUARTERS = 4_000_000
"""Quarters of an hour, a century of them, up to which times are counted and not sorted."""


@dataclass(frozen=True)
class Panel:
    """Observations of many series; newest revision of each.

    keys, areas  the series, n_series of them, with the area each belongs to
    start        int64[n_series + 1], where each series begins in the columns
    time         int64[n], seconds since the epoch, UTC; rising within a series, without repeats
    day          int32[n], civil day in the zone of the installation, days since 1970-01-01
    value        float64[n], finite, in the unit of the series
    mark         uint8[n], bits of thresholds.model.Mark
    """

    keys: Sequence[SeriesKey]
    areas: Sequence[str]
    start: IntArray
    time: IntArray
    day: Day
    value: FloatArray
    mark: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.value)

    @property
    def n_series(self) -> int:
        return len(self.keys)

    @cached_property
    def series(self) -> NDArray[np.int32]:
        """int32[n], the series that each observation belongs to."""
        return np.repeat(np.arange(self.n_series, dtype=np.int32), np.diff(self.start))

    def series_at(self, at: IntArray) -> NDArray[np.int32]:
        """int32[k], the series of the observations at positions `at`: looked up where the whole column was not asked
        for, which takes longer to make than a few positions to find."""
        if "series" in self.__dict__ or LOOKED_UP * len(at) > len(self):
            return self.series[at]
        return (np.searchsorted(self.start, at, "right") - 1).astype(np.int32)

    def series_of(self, at: int) -> int:
        """The series of the observation at a position."""
        return int(np.searchsorted(self.start, at, "right")) - 1

    def first_at(self, since: IntArray) -> IntArray:
        """int64[n_series]: position of the first observation of each series at `since` (int64[n_series], seconds) or
        later; where the next series begins for none."""
        low, high = self.start[:-1].copy(), self.start[1:].copy()
        while (left := low < high).any():  # all series halve their interval at once
            middle = (low + high) // 2
            before = left & (self.time[np.minimum(middle, len(self) - 1)] < since)
            low = np.where(before, middle + 1, low)
            high = np.where(left & ~before, middle, high)
        return low

    @cached_property
    def group(self) -> NDArray[np.int32]:
        """int32[n_series], same number where item, spec, unit and channel are the same: what may be averaged."""
        return codes_of([(k.item, k.spec, k.unit, k.channel) for k in self.keys])

    def until(self, asof: datetime) -> Panel:
        """What was known at `asof`: observations up to and including it. Series without any are kept, empty."""
        keep = self.time <= int(asof.timestamp())
        return self.only(keep)

    def only(self, keep: BoolArray) -> Panel:
        """The panel without the observations where `keep` is false."""
        counts = np.add.reduceat(np.append(keep, False), self.start[:-1]) if self.n_series else np.empty(0, np.int64)
        counts = np.where(np.diff(self.start) > 0, counts, 0)
        start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return Panel(self.keys, self.areas, start, self.time[keep], self.day[keep], self.value[keep], self.mark[keep])

    @classmethod
    def build(
        cls,
        keys: Sequence[SeriesKey],
        areas: Sequence[str],
        series: IntArray,
        at: IntArray,
        value: FloatArray,
        mark: NDArray[np.uint8] | None = None,
        zone: tzinfo = SHANGHAI,
    ) -> Panel:
        """From unordered columns. Where a series has the same time twice, the later row in the input counts.

        Raises ValueError for a value that is not finite: what cannot be computed with is rejected on the way in.
        """
        if not np.isfinite(value).all():
            raise ValueError("a panel holds finite values only")
        marks = np.zeros(len(value), np.uint8) if mark is None else mark
        if not is_sorted(series, at):
            order = np.lexsort((at, series))  # stable: the later of two rows for the same time stays the later
            series, at, value, marks = series[order], at[order], value[order], marks[order]
        if len(at) > 1:
            last = np.append((series[1:] != series[:-1]) | (at[1:] != at[:-1]), True)
            if not last.all():
                series, at, value, marks = series[last], at[last], value[last], marks[last]
        start = np.searchsorted(series, np.arange(len(keys) + 1)).astype(np.int64)
        return cls(keys, areas, start, at, civil_days(at, zone), value, marks)


def ranges_of(first: IntArray, end: IntArray) -> IntArray:
    """int64: the positions first[k]..end[k] - 1 of all k, one range after the other."""
    lengths = end - first
    begins = np.cumsum(lengths) - lengths
    found: IntArray = np.arange(lengths.sum()) + np.repeat(first - begins, lengths)
    return found


def is_sorted(series: IntArray, at: IntArray) -> bool:
    """Whether rows are in order of series, then time (repeats allowed)."""
    if len(at) < 2:
        return True
    step = np.diff(series)
    return bool(((step > 0) | ((step == 0) & (np.diff(at) >= 0))).all())


def codes_of(values: Sequence[object]) -> NDArray[np.int32]:
    """Small numbers for values, in order of first appearance."""
    index: dict[object, int] = {}
    return np.array([index.setdefault(v, len(index)) for v in values], np.int32)


def civil_days(at: IntArray, zone: tzinfo = SHANGHAI) -> Day:
    """Civil day of each time in `zone`, days since 1970-01-01.

    Distinct times are few beside observations, so each is converted once (zoneinfo knows China's summer time of
    1986 to 1991, a fixed offset would not).
    """
    if not len(at):
        return np.empty(0, np.int32)
    quarters = at // 900  # all offsets are multiples of a quarter of an hour
    quarters -= (first := int(quarters.min()))
    if (most := int(quarters.max()) + 1) > MOST_QUARTERS:
        known, quarters = np.unique(quarters, return_inverse=True)
        offsets = np.array([offset_seconds((first + int(q)) * 900, zone) for q in known], np.int64)
    else:
        offsets = np.zeros(most, np.int64)
        for q in np.flatnonzero(np.bincount(quarters)).tolist():
            offsets[q] = offset_seconds((first + q) * 900, zone)
    return ((at + offsets[quarters]) // DAY).astype(np.int32)


@lru_cache(maxsize=20_000)
def offset_seconds(at: int, zone: tzinfo) -> int:
    offset = datetime.fromtimestamp(at, UTC).astimezone(zone).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0
