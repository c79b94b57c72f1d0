"""Silence and the flags of suspected errors."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.thresholds.build import at, found, panel_of, policy_of, quotes, rule, seconds, shipped, shipped_catalogue
from thresholds.model import Direction, Flag, Kind, Observation
from thresholds.panel import DAY, SHANGHAI, Panel
from thresholds.silence import Cadence, silence_flags, silences

QUIET = policy_of(rule({"kind": "change", "over": "previous", "percent": 1000}))


def silent(
    observations: Sequence[Observation], now: datetime, cadence: Cadence | None = None, *, looked: Sequence[int] = ()
) -> list[Flag]:
    """Flags of silence at `now`; `looked` gives the days at which somebody looked, else it is watched always."""
    panel = panel_of(observations)
    cadences = dict.fromkeys(range(panel.n_series), cadence) if cadence else {}
    axis = np.array([seconds(n) for n in looked]) if looked else None
    flags = found(panel, QUIET, now=now, cadences=cadences, axis=axis).flags
    return [f for f in flags if f.kind is Kind.SILENCE]


def days(*which: int, point: str = "城南市场", area: str = "甲区", item: str = "大米") -> list[Observation]:
    return [o for n in which for o in quotes([3.0], first=n, point=point, area=area, item=item)]


def test_a_daily_point_is_overdue_after_three_days() -> None:
    """Three of its usual intervals: on the third day it is only due, a second later it is overdue."""
    rows = days(*range(10))
    assert silent(rows, at(12)) == []
    (flag,) = silent(rows, at(12) + timedelta(seconds=1))
    assert (flag.first_flagged, flag.start, flag.end) == (at(12), at(10), None)
    assert flag.direction is Direction.NONE
    assert (flag.item, flag.point, flag.area, flag.rule) == ("大米", "城南市场", "甲区", "silence/cadence")


def test_weekends_and_a_long_holiday_are_no_silence() -> None:
    """Trading days with weekends; after a holiday of nine days the next one of that length is none either."""
    weeks = [n for n in range(60) if n % 7 < 5]
    assert silent(days(*weeks), at(weeks[-1] + 3)) == []
    holiday = [n for n in weeks if not 24 < n < 34]
    assert len(silent(days(*holiday), at(60))) == 1
    twice = [n for n in weeks if not 24 < n < 34 and not 37 < n < 47]
    assert len(silent(days(*twice), at(60))) == 1


def test_irregular_reports_are_judged_by_their_own_longest_gap() -> None:
    """Gaps of 1 to 10 days: overdue only after one and a half of the longest, not after three medians."""
    rows = days(0, 1, 3, 4, 14, 15, 17, 18, 20)
    assert [f.end for f in silent(rows, at(35))] == [at(14)]  # the first gap of ten days was one, as nobody knew then
    assert [f.end for f in silent(rows, at(36))] == [at(14), None]


def test_too_little_history_says_nothing_of_silence() -> None:
    """Three intervals must be known; a point with three reports is not missed."""
    assert silent(days(0, 1, 2), at(300)) == []
    assert len(silent(days(0, 1, 2, 3), at(300))) == 1


def test_monthly_data_is_monthly() -> None:
    """Two months without news are none yet, more than three are."""
    months = days(0, 31, 59, 90, 120)
    assert silent(months, at(120 + 91)) == []
    (flag,) = silent(months, at(120 + 92))
    assert "约每30天" in flag.reason


def test_configured_cadence_counts_from_the_first_report() -> None:
    """What the installation says of a source needs no history: daily with two hours of grace."""
    hourly = Cadence(every=DAY, grace=7200)
    assert silent(days(0), at(1, hour=2), hourly) == []
    (flag,) = silent(days(0), at(1, hour=3), hourly)
    assert (flag.start, flag.first_flagged) == (at(1), at(1, hour=2))
    assert len(silent(days(0), at(2, hour=1), Cadence(every=DAY))) == 1  # grace not given: as long as the interval
    assert silent(days(0), at(2), Cadence(every=DAY)) == []


def test_it_ends_when_data_comes_again() -> None:
    """Over at the next report, which is told as resumed."""
    (flag,) = silent(days(*range(10), 20, 21), at(21))
    assert (flag.first_flagged, flag.end, flag.end_reason) == (at(12), at(20), "resumed")


def test_points_that_fall_silent_together_are_one_flag() -> None:
    """Three points of an area in one flag; another area, another item and another day have their own."""
    together = [o for n in range(3) for o in days(*range(10), point=f"点{n}")]
    rows = (
        together
        + days(*range(10), point="远", area="乙区")
        + days(*range(10), item="面粉")
        + days(*range(12), point="后")
    )
    flags = silent(rows, at(30))
    assert sorted((f.item, f.area, f.points, f.point) for f in flags) == [
        ("大米", "乙区", ("远",), "远"),
        ("大米", "甲区", ("后",), "后"),
        ("大米", "甲区", ("点0", "点1", "点2"), ""),
        ("面粉", "甲区", ("城南市场",), "城南市场"),
    ]


def test_a_point_that_falls_silent_as_a_whole_is_one_flag() -> None:
    """Three items or more of one point: one telephone call, about no single item; two items are two flags."""
    items = ["大米", "面粉", "鸡蛋", "压力指数"]
    rows = [o for item in items for o in days(*range(10), item=item)]
    (flag,) = silent(rows, at(30))
    assert (flag.item, flag.point, flag.points) == ("", "城南市场", ("城南市场",))
    assert flag.reason.startswith("4个品种在甲区城南市场最近一次报送为2026-01-10")
    assert flag.id == silent(rows[::-1], at(30))[0].id
    assert [f.item for f in silent(rows[:20], at(30))] == ["大米", "面粉"]


def test_a_point_of_which_one_item_goes_on_is_not_silent_in_it() -> None:
    """Three of four items stop: the flag counts three."""
    rows = [o for item in ("大米", "面粉", "鸡蛋") for o in days(*range(10), item=item)]
    (flag,) = silent(rows + days(*range(31), item="豆油"), at(30))
    assert flag.reason.startswith("3个品种在")


def test_in_replay_it_is_known_when_somebody_looks() -> None:
    """Overdue on day 12, the file's next time is day 15: that is when it was known; never, if data came before."""
    rows = days(*range(10), 16)
    (flag,) = silent(rows, at(20), looked=[0, 5, 15, 16, 20])
    assert flag.first_flagged == at(15)
    assert silent(rows, at(20), looked=[0, 5, 16, 20]) == []


def test_a_flag_does_not_change_its_points_while_they_come_back() -> None:
    """Two points fell silent together, one came back long ago: still one flag with both while it is looked at."""
    rows = days(*range(10), *range(20, 60), point="早") + days(*range(10), 59, point="晚")
    panel = panel_of(rows)
    classified = [shipped_catalogue().classify(k) for k in panel.keys]
    flags = [
        silence_flags(
            panel, classified, QUIET, seconds(59), cadences={}, axis=None, zone=SHANGHAI, resumed_since=since
        )
        for since in (0, seconds(30), seconds(59) + 1)
    ]
    assert [f.id for f in flags[0]] == [f.id for f in flags[1]]
    assert flags[0][0].points == ("早", "晚")
    assert flags[2] == []


@settings(max_examples=100)
@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=25), st.integers(1, 60), st.integers(0, 3), st.integers(0, 3)
)
def test_silences_are_those_of_a_plain_computation(gaps: list[int], more: int, every: int, grace: int) -> None:
    """Median and longest of the nine newest gaps, observation by observation."""
    times = np.cumsum([0, *gaps])
    panel = panel_of([o for t in times for o in days(int(t))])
    now = seconds(int(times[-1]) + more)
    got = silences(panel, now, {0: Cadence(every * DAY, grace * DAY)} if every else {})
    expected = []
    for i, t in enumerate(times):
        known = gaps[:i][-9:]
        if every:
            usual, limit = every * DAY, (every + (grace or every)) * DAY
        elif len(known) >= 3:
            usual = int(np.median(np.array(known) * DAY))
            limit = max(3 * usual, max(known) * DAY * 3 // 2)
        else:
            continue
        following = seconds(int(times[i + 1])) if i + 1 < len(times) else 2**62
        if min(following, now) > seconds(int(t)) + limit:
            expected.append((seconds(int(t)), seconds(int(t)) + usual, seconds(int(t)) + limit, following))
    assert list(zip(got.last, got.expected, got.overdue, got.resumed, strict=True)) == expected


# suspected errors


def errors(observations: Sequence[Observation] | Panel) -> list[Flag]:
    return [f for f in found(observations, shipped()).flags if f.kind is Kind.DATA]


STEADY = [3.2, 3.3, 3.2, 3.25, 3.3, 3.2]


def test_a_suspect_is_a_data_flag_of_its_point_with_what_it_was_compared_with() -> None:
    """Point, value, level, direction, and the end at the next good value."""
    (flag,) = errors(quotes([*STEADY, 32.0, 3.3]))
    assert (flag.point, flag.value, flag.direction, flag.rule) == ("城南市场", 32.0, Direction.UP, "gate/factor")
    assert flag.expected == pytest.approx(3.25)
    assert (flag.start, flag.first_flagged, flag.end) == (at(6), at(6), at(7))
    assert flag.peak_grade.rank == 0
    assert (flag.findings[0].n_used, flag.findings[0].expected) == (5, flag.expected)
    (early,) = errors(quotes([*STEADY[:3], 32.0]))
    assert (early.findings[0].n_used, early.end) == (3, None)


def test_suspects_in_a_row_are_one_flag() -> None:
    """Three like slips are one question to the point, with the most extreme value as peak."""
    (flag,) = errors(quotes([*STEADY, 32.0, 34.0, 33.0, 3.3]))
    assert (flag.last_hit, flag.peak, flag.end) == (at(8), 34.0, at(9))
    assert len(errors(quotes([*STEADY, 32.0, 3.2, 33.0, 3.3]))) == 2


def test_an_error_raises_no_move_of_its_point_nor_of_its_area() -> None:
    """A slip of one of three points, and the step back, are no move of the item."""
    rows = (
        quotes([*STEADY, 32.0, 3.2])
        + quotes([*STEADY, 3.2, 3.2], point="点2")
        + quotes([*STEADY, 3.2, 3.2], point="点3")
    )
    flags = found(rows, shipped()).flags
    assert [(f.kind, f.point) for f in flags] == [(Kind.DATA, "城南市场")]


def test_the_first_value_ever_may_be_an_error_without_direction() -> None:
    """A price of zero as the first report: there is no level, hence neither expectation nor direction."""
    (flag,) = errors(quotes([0.0, 3.2]))
    assert (flag.direction, flag.findings[0].n_used) == (Direction.NONE, 0)
    assert np.isnan(flag.expected)
