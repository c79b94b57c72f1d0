"""Moves that only take back one just before them, against the definition in plain Python."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thresholds.catalogue import Measure
from thresholds.kernels.rebound import AREA, OVERSHOOT, RATIO, ROOT, SIGNED, on_scale, rebounds, singles
from thresholds.model import BoolArray, FloatArray, IntArray
from thresholds.view import SCALES


def plain(value: FloatArray, usable: BoolArray, origin: IntArray, day: IntArray, i: int, b: int, days: int) -> bool:
    """The definition on logarithms: readings before `i`, and as many before `b`, in pairs."""
    back = [j for j in range(i - 1, -1, -1) if usable[j]]
    span = sum(usable[b:i])
    for m, j in enumerate(back):
        if m + span >= len(back) or back[m + span] < origin[i] or (m >= span and day[i] - day[j] > days):
            return False
        begin, move = value[back[m + span]], np.log(value[i] / value[b])
        other, on = np.log(value[j] / begin), np.sign(move) * np.log(value[i] / begin)
        if other * move < 0 and abs(move) <= OVERSHOOT * abs(other) and on <= (OVERSHOOT - 1) * abs(other):
            return True
    return False


@settings(max_examples=200)
@given(
    st.lists(st.sampled_from([2.0, 3.0, 4.0, 5.0, 7.0]), min_size=3, max_size=40),
    st.data(),
    st.integers(1, 5),
    st.sampled_from([0, 3, 10]),
)
def test_a_rebound_is_what_the_definition_says(
    values: list[float], data: st.DataObject, over: int, days: int
) -> None:
    """Gaps in time, readings that may not be compared with, levels that begin anew."""
    n = len(values)
    value = np.array(values)
    usable = np.array(data.draw(st.lists(st.sampled_from([True, True, False]), min_size=n, max_size=n)))
    rebased = np.array(data.draw(st.lists(st.sampled_from([False] * 9 + [True]), min_size=n, max_size=n)))
    day = np.cumsum(data.draw(st.lists(st.integers(1, 4), min_size=n, max_size=n)))
    origin = np.maximum.accumulate(np.where(rebased, np.arange(n), 0))
    base = np.full(n, -1)
    for i in range(n):
        back = [j for j in range(i - 1, -1, -1) if usable[j]]
        if len(back) >= over and back[over - 1] >= origin[i]:
            base[i] = back[over - 1]
    at = np.flatnonzero(base >= 0)
    first, scale = np.zeros(len(at), np.int64), np.full(len(at), RATIO, np.int8)
    found = rebounds(value, usable, rebased, day.astype(np.int32), at, base[at], first, scale, days)
    assert found.tolist() == [plain(value, usable, origin, day, i, int(base[i]), days) for i in at.tolist()]


def back(values: list[float], *, days: int = 31, every: int = 1, code: int = RATIO, over: int = 1) -> bool:
    """Whether the last of these readings only takes back."""
    n = len(values)
    every_one, none = np.ones(n, np.bool_), np.zeros(n, np.bool_)
    day = np.arange(n, dtype=np.int32) * every
    at, base = np.array([n - 1]), np.array([n - 1 - over])
    found = rebounds(
        np.array(values), every_one, none, day, at, base, np.zeros(1, np.int64), np.array([code], np.int8), days
    )
    return bool(found[0])


def test_the_way_back_from_a_leap_is_a_rebound_and_a_longer_one_is_none() -> None:
    """10 to 14 and back to 10, or to 9.5, or to 11; but not on to 9, nor a second rise."""
    assert back([10, 10, 14, 10])
    assert back([10, 10, 14, 11])
    assert back([10, 10, 14, 9.5])
    assert not back([10, 10, 14, 9])
    assert not back([10, 10, 14, 19])


def test_a_move_beyond_all_that_was_is_no_rebound_however_large_a_fall_was_before() -> None:
    """13 to 10, up to 14.5, and on to 18: not as large as the fall, but it takes nothing back."""
    assert not back([13, 10, 14.5, 18])
    assert back([13, 10, 10.5, 13])


def test_what_was_long_ago_is_not_taken_back() -> None:
    """A month: the report of the month before is looked at, that of two months before is not."""
    assert back([10, 14, *[14] * 30, 10])
    assert not back([10, 14, *[14] * 31, 10])
    assert back([10, 14, 10], every=31)
    assert not back([10, 14, 14, 10], every=31)


def test_the_step_down_from_a_spike_five_readings_ago_is_a_rebound_at_any_cadence() -> None:
    """The change over five readings from the spike on: the change over five that led to it is looked at."""
    assert back([10, 10, 10, 10, 10, 10, 14, 10, 10, 10, 10, 10], over=5, every=31)


def test_values_below_zero_are_taken_back_too() -> None:
    """Differences, and arcsinh for futures: WTI at -36.98 and up again."""
    assert back([18.31, 18.31, -36.98, 8.91], code=AREA)
    assert not back([18.31, 18.31, -36.98, 100.0], code=AREA)
    assert back([-1.0, -1.0, 1.0, -1.0], code=SIGNED)


@pytest.mark.parametrize(
    ("code", "measure"), [(RATIO, Measure.PRICE), (ROOT, Measure.COUNT), (AREA, Measure.FUTURES)]
)
def test_the_scales_are_those_of_the_view(code: int, measure: Measure) -> None:
    """One definition of what makes steps comparable, in numpy and compiled."""
    values = np.array([0.5, 1.0, 3.7, 250.0])
    assert [on_scale(x, code) for x in values.tolist()] == pytest.approx(SCALES[measure](values).tolist())
    assert on_scale(-2.5, SIGNED) == -2.5
    assert np.isnan([on_scale(0.0, RATIO), on_scale(-1.0, RATIO), on_scale(-1.0, ROOT)]).all()


def test_a_single_step_has_no_usable_reading_between() -> None:
    """A suspected error between does not make two steps of one."""
    usable = np.array([True, True, False, True])
    at, base = np.array([1, 3, 3, 3, 2]), np.array([0, 1, 0, -1, 1])
    assert singles(usable, at, base).tolist() == [True, True, False, False, True]
