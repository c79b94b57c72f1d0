"""Short ways to make quotes for the reports."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np

from monitor.documents.comparison import Quotes, number_of
from thresholds.model import SeriesKey

LAST = date(2026, 3, 1)


def quotes(*series: tuple[SeriesKey, str, dict[int, float]]) -> Quotes:
    """Series with their group and their values by "days before LAST" (0 is LAST itself)."""
    rows = sorted(
        (n, number_of(LAST - timedelta(days=ago)), value)
        for n, (_, _, values) in enumerate(series)
        for ago, value in values.items()
    )
    return Quotes(
        keys=[key for key, _, _ in series],
        groups=[group for _, group, _ in series],
        series=np.array([n for n, _, _ in rows], np.int64),
        day=np.array([day for _, day, _ in rows], np.int64),
        value=np.array([value for _, _, value in rows], np.float64),
    )


def key(item: str, point: str = "", spec: str = "", unit: str = "元/500克") -> SeriesKey:
    return SeriesKey(item, spec, unit, "零售", point)
