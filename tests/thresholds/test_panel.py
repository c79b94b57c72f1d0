"""The panel: order, repeats, as-of slicing, civil days."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.thresholds.build import at, panel_of, quotes, seconds
from thresholds.model import SeriesKey
from thresholds.panel import Panel, civil_days


def test_rows_in_any_order_give_the_same_panel() -> None:
    """Order of input does not matter: series after series, each in order of time."""
    rows = quotes([1, 2, 3]) + quotes([4, 5, 6], point="城北市场")
    shuffled = [rows[i] for i in (4, 0, 5, 2, 1, 3)]
    one, other = panel_of(rows), panel_of(shuffled)
    assert sorted(one.keys) == sorted(other.keys)
    by_point = {k.point: other.value[other.start[s] : other.start[s + 1]] for s, k in enumerate(other.keys)}
    assert by_point["城南市场"].tolist() == [1, 2, 3]
    assert by_point["城北市场"].tolist() == [4, 5, 6]
    assert (np.diff(other.time[:3]) > 0).all()


def test_the_later_row_counts_where_a_time_is_there_twice() -> None:
    """Two rows for one series and time leave one observation, the one that came later."""
    panel = panel_of(quotes([1, 2]) + quotes([3], first=1))
    assert panel.value.tolist() == [1, 3]
    assert panel.start.tolist() == [0, 2]


def test_a_value_that_is_not_finite_is_refused() -> None:
    """What cannot be computed with does not get in."""
    key = [SeriesKey("大米")]
    zeros = np.zeros(1, np.int64)
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match="finite"):
            Panel.build(key, [""], zeros, zeros, np.array([bad]))


def test_until_keeps_what_was_known_then_and_empty_series() -> None:
    """As of a day: that day's observations included, later ones not, series that begin later kept empty."""
    panel = panel_of(quotes([1, 2, 3]) + quotes([7], point="新市场", first=2) + quotes([8], point="城北市场"))
    known = panel.until(at(1))
    assert known.value.tolist() == [1, 2, 8]
    assert known.start.tolist() == [0, 2, 2, 3]
    assert known.keys == panel.keys
    assert known.series.tolist() == [0, 0, 2]


def test_an_empty_panel_stays_usable() -> None:
    """No series, or series without observations, are no special case."""
    nothing = np.empty(0, np.int64)
    none = Panel.build([], [], nothing, nothing, np.empty(0))
    assert len(none) == 0
    assert len(none.until(at())) == 0
    empty = panel_of(quotes([1])).until(at(-5))
    assert (len(empty), empty.n_series) == (0, 1)


def test_group_is_what_may_be_averaged() -> None:
    """Points of one item, spec, unit and channel share a group; another spec or unit does not."""
    panel = panel_of(
        quotes([1])
        + quotes([1], point="城北市场")
        + quotes([1], spec="一级")
        + quotes([1], unit="元/公斤")
        + quotes([1], item="面粉")
    )
    assert panel.group.tolist() == [0, 0, 1, 2, 3]


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2026-01-01T15:59:59", "2026-01-01"),
        ("2026-01-01T16:00:00", "2026-01-02"),
        ("1988-07-01T15:00:00", "1988-07-02"),  # China's summer time: an hour earlier than in winter
        ("1988-12-01T15:00:00", "1988-12-01"),
        ("1969-12-31T16:00:00", "1970-01-01"),
    ],
)
def test_civil_day_is_that_of_shanghai(moment: str, day: str) -> None:
    """A day begins at midnight in Shanghai, an hour earlier in the summers of 1986 to 1991."""
    at = np.array([int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp())])
    assert civil_days(at).astype("datetime64[D]")[0] == np.datetime64(day)


@given(st.lists(st.integers(-(2**31), 2**33), min_size=1, max_size=30))
def test_civil_days_agree_with_the_standard_library(times: list[int]) -> None:
    """Column by column the same as one datetime at a time."""
    from zoneinfo import ZoneInfo

    zone = ZoneInfo("Asia/Shanghai")
    expected = [datetime.fromtimestamp(t, UTC).astimezone(zone).date().isoformat() for t in times]
    assert civil_days(np.array(times)).astype("datetime64[D]").astype(str).tolist() == expected


def test_only_drops_the_rest() -> None:
    """`only` keeps the counts of every series right, also of those that lose all."""
    panel = panel_of(quotes([1, 2]) + quotes([3, 4], point="城北市场") + quotes([5], point="新市场"))
    kept = panel.only(np.array([False, True, False, False, True]))
    assert kept.start.tolist() == [0, 1, 1, 2]
    assert kept.value.tolist() == [2, 5]
    assert kept.time.tolist() == [seconds(1), seconds(0)]
