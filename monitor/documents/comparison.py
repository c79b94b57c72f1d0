"""Means of two periods, compared point by point, and indices of classes: the figures of the reports.

A point that reports in one period only would move a mean without any price having moved (matched sample,
METHODS 1.1): only points with values in both periods are compared. The index of a class chains the geometric mean
of its matched day-to-day ratios (Jevons).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from monitor.documents.model import Chart, Row
from thresholds.model import FloatArray, IntArray, SeriesKey

FLAT = 0.0005
"""changes smaller than this count as unchanged: they round to 0.0 %"""


@dataclass(frozen=True)
class Quotes:
    """Usable quotes, sorted by (series, day); `series` indexes `keys` and `groups`.

    keys    of each series
    groups  of each series the heading it belongs under
    day     days since 1970-01-01 in the installation's zone (int64[n])
    """

    keys: Sequence[SeriesKey]
    groups: Sequence[str]
    series: IntArray
    day: IntArray
    value: FloatArray


def number_of(day: date) -> int:
    return (day - date(1970, 1, 1)).days


def means(quotes: Quotes, first: date, last: date) -> FloatArray:
    """float64[n_series]: mean of each series from `first` to `last`, both included; NaN where it has no quote."""
    inside = (quotes.day >= number_of(first)) & (quotes.day <= number_of(last))
    n = len(quotes.keys)
    total = np.bincount(quotes.series[inside], quotes.value[inside], minlength=n)
    count = np.bincount(quotes.series[inside], minlength=n)
    with np.errstate(invalid="ignore"):
        found: FloatArray = total / count
    return found


def newest(quotes: Quotes, until: date, days: int) -> FloatArray:
    """float64[n_series]: last quote of each series in the `days` days up to `until`; NaN where there is none."""
    inside = (quotes.day > number_of(until) - days) & (quotes.day <= number_of(until))
    found: FloatArray = np.full(len(quotes.keys), np.nan)
    found[quotes.series[inside]] = quotes.value[inside]  # sorted by day: the last one stays
    return found


def mean(values: FloatArray) -> float:
    """Rounded so far that the order of adding up does not show: 2.265 and 2.265 are written alike."""
    return round(float(np.mean(values)), 9)


def compared(quotes: Quotes, current: FloatArray, previous: FloatArray) -> dict[str, list[Row]]:
    """Rows by group, each over the points of one item, spec, unit and channel; in the order of first appearance."""
    goods: dict[tuple[str, str, str, str, str], list[int]] = {}
    for s, (key, group) in enumerate(zip(quotes.keys, quotes.groups, strict=True)):
        if np.isfinite(current[s]):
            goods.setdefault((group, key.item, key.spec, key.unit, key.channel), []).append(s)
    rows: dict[str, list[Row]] = {}
    for (group, item, spec, unit, channel), members in goods.items():
        both = [s for s in members if np.isfinite(previous[s])]
        used = both or members
        rows.setdefault(group, []).append(
            Row(
                item=item,
                spec=spec,
                unit=unit,
                channel=channel,
                current=mean(current[used]),
                previous=mean(previous[both]) if both else None,
                points=len(used),
            )
        )
    return rows


@dataclass(frozen=True)
class Counted:
    """How many rows rose, fell and stayed."""

    up: int
    down: int
    flat: int

    @property
    def total(self) -> int:
        return self.up + self.down + self.flat


def counted(rows: Sequence[Row]) -> Counted:
    """Rows that have nothing to compare with are not counted."""
    changes = [row.change for row in rows if row.change is not None]
    up = sum(change >= FLAT for change in changes)
    down = sum(change <= -FLAT for change in changes)
    return Counted(up, down, len(changes) - up - down)


def index_chart(
    quotes: Quotes, groups: Sequence[str], last: date, days: int, title: str, wanted: Callable[[int], bool]
) -> Chart:
    """Chained index of each group over the `days` days up to `last`; first day with a quote = 100.

    `wanted` says of a series whether it counts. A series carries its last quote forward within the window, so that
    ratios are day to day even where points report every other day.
    """
    end = number_of(last)
    n = len(quotes.keys)
    matrix = np.full((n, days), np.nan)
    inside = (quotes.day > end - days) & (quotes.day <= end) & (quotes.value > 0)
    matrix[quotes.series[inside], quotes.day[inside] - (end - days + 1)] = quotes.value[inside]
    for d in range(1, days):
        missing = np.isnan(matrix[:, d])
        matrix[missing, d] = matrix[missing, d - 1]
    lines = []
    for group in groups:
        members = [s for s in range(n) if quotes.groups[s] == group and wanted(s)]
        line = chained(np.log(matrix[members])) if members else np.full(days, np.nan)
        if np.isfinite(line).sum() > 1:
            lines.append((group, tuple(round(float(v), 2) if np.isfinite(v) else None for v in line)))
    shown = tuple(last - timedelta(days=days - 1 - d) for d in range(days))
    return Chart(title, shown, tuple(lines))


def chained(logs: FloatArray) -> FloatArray:
    """float64[days]: index of the rows of `logs` (float64[n, days], NaN for none), 100 on the first day known."""
    ratios = logs[:, 1:] - logs[:, :-1]
    known = np.isfinite(ratios)
    count = known.sum(axis=0)
    mean = np.where(count > 0, np.where(known, ratios, 0).sum(axis=0) / np.maximum(count, 1), 0.0)
    index: FloatArray = 100 * np.exp(np.concatenate([[0.0], np.cumsum(mean)]))
    index[~np.isfinite(logs).any(axis=0)] = np.nan
    return index
