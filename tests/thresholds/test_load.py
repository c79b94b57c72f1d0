"""Flags a week and for every hundred series-weeks, by hand."""

from __future__ import annotations

import numpy as np

from tests.thresholds.build import panel_of, quotes
from thresholds.load import watched


def test_each_item_at_each_point_is_watched_from_its_first_report_to_its_last() -> None:
    """Four weeks at one point, two at another; a second spec of the same item at the same point counts once."""
    rows = [
        *quotes([1.0] * 29),
        *quotes([1.0] * 15, point="城北市场", first=7),
        *quotes([1.0] * 15, point="城北市场", first=7, spec="散装"),
    ]
    over = watched(panel_of(rows))
    assert (over.series, over.weeks, over.series_weeks) == (2, 4.0, 6.0)
    assert (over.per_week(2), over.per_100_series_weeks(3)) == (0.5, 50.0)


def test_only_what_counts_is_counted() -> None:
    """Observations outside a rule's dates or classes, and those before the first day asked for."""
    panel = panel_of([*quotes([1.0] * 29), *quotes([1.0] * 29, item="面粉")])
    flour = panel.series == 1
    assert watched(panel, flour).series_weeks == 4.0
    late = watched(panel, flour, first_day=int(panel.day.min()) + 14)
    assert (late.series, late.weeks) == (1, 2.0)


def test_one_day_is_no_history() -> None:
    over = watched(panel_of(quotes([1.0])))
    assert (over.series, over.per_week(1), over.per_100_series_weeks(1)) == (1, None, None)
    nothing = watched(panel_of(quotes([1.0])), np.zeros(1, np.bool_))
    assert (nothing.series, nothing.per_week(0)) == (0, None)
