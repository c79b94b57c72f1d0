"""Conditions on one series: m of n, which series it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests.thresholds.build import condition, moves, panel_of, quotes, rule, seconds, view_of
from thresholds.model import Direction, Mark, Observation, SeriesKey

UP, DOWN = Direction.UP, Direction.DOWN
HIGH = {"kind": "level", "above": 6}
THREE_OF_FIVE = {"kind": "m_of_n", "m": 3, "n": 5, "of": HIGH}


def answers(table: dict[str, Any], values: Sequence[float | None], direction: Direction = UP) -> list[int]:
    return [int(t) for t in condition(**table).truth(view_of(quotes(values)), direction)]


def by_hand(values: list[float], m: int, n: int) -> list[int]:
    return [int(sum(v > 6 for v in values[max(0, k - n + 1) : k + 1]) >= m) for k in range(len(values))]


def test_three_of_five_as_counted_by_hand() -> None:
    """High on the days that are 7: the answer is the count over the newest five, calm days between included."""
    values = [5.0, 7, 5, 7, 7, 5, 5, 5, 7, 7, 7, 5, 5, 5, 5]
    assert answers(THREE_OF_FIVE, values) == by_hand(values, 3, 5)
    assert by_hand(values, 3, 5) == [0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 1, 0, 0]
    assert answers(THREE_OF_FIVE, values, DOWN) == [0] * len(values)


def test_counts_do_not_run_from_one_series_into_the_next() -> None:
    """Two highs at the end of one series and one at the start of the next are not three."""
    rows = quotes([5, 5, 5, 7, 7]) + quotes([7, 5, 5, 5, 5], point="城北市场")
    assert 1 not in condition(**THREE_OF_FIVE).truth(view_of(rows), UP)


def test_unknown_counts_where_it_could_make_the_difference() -> None:
    """The first change is unknown: with two more it might be three of three; with one more it cannot."""
    table = {"kind": "m_of_n", "m": 3, "n": 3, "of": {"kind": "change", "over": "previous", "percent": 5}}
    assert answers(table, [5, 6, 7.2, 9]) == [0, 0, -1, 1]
    assert answers(table, [5, 5, 6, 7.2, 9]) == [0, 0, 0, 0, 1]


def test_suspected_errors_neither_count_nor_fill_the_window() -> None:
    """A slipped digit among the five is passed over: the five newest good ones count."""
    values = [5.9] * 20 + [6.1, 5.9, 61.0, 6.1, 5.9, 6.1]
    assert answers(THREE_OF_FIVE, values)[-4:] == [0, 0, 0, 1]
    marked = panel_of(quotes([7, 5, 7, 5, 7]), {2: Mark.DATA_ERROR})
    assert condition(**THREE_OF_FIVE).truth(view_of(marked), UP).tolist()[-1] == 0


def test_the_flag_begins_at_the_first_of_the_m_and_shows_the_numbers_of_the_day() -> None:
    """Known on the fifth day, begun on the first high one; no numbers of a calm day are shown."""
    one = condition(**THREE_OF_FIVE)
    (flag,) = moves(quotes([5, 7, 5, 7, 7, 5]), rule(THREE_OF_FIVE, direction="up"))
    assert int(flag.start.timestamp()) == seconds(1)
    assert int(flag.first_flagged.timestamp()) == seconds(4)
    assert flag.value == 7
    measured = one.measure(view_of(quotes([5, 7, 5, 7, 7, 5])), np.array([4, 5]), UP)
    assert measured is not None
    assert np.isnan(measured.score).tolist() == [False, True]


def test_later_data_changes_no_answer() -> None:
    """Cut anywhere, answers and starts up to there are the same."""
    rng = np.random.default_rng(4)
    values = rng.choice([5.0, 7.0], 60).tolist()
    one, whole = condition(**THREE_OF_FIVE), view_of(quotes(values))
    truth = one.truth(whole, UP)
    at = np.flatnonzero(truth == 1)
    since = one.since(whole, at, UP)
    for cut in range(1, 60):
        part = view_of(quotes(values[:cut]))
        np.testing.assert_array_equal(one.truth(part, UP), truth[:cut])
        np.testing.assert_array_equal(one.since(part, at[at < cut], UP), since[at < cut])


def key(**parts: str) -> Observation:
    names = {"item": "动力煤", "spec": "5500大卡", "unit": "元/吨", "channel": "中长期", "point": "秦皇岛港"}
    return Observation(SeriesKey(**{**names, **parts}), quotes([1.0])[0].at, 700.0, area="河北")


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"mentions": ["秦皇岛"]}, [1, 0, 1]),
        ({"mentions": ["山西", "河北"]}, [1, 1, 1]),
        ({"mentions": ["5500"], "channels": ["中长期"]}, [1, 1, 0]),
        ({"channels": ["现货", ""]}, [0, 0, 1]),
        ({"mentions": ["ＱＩＮ"]}, [0, 0, 0]),
        ({"mentions": ["长期"]}, [1, 1, 0]),
    ],
)
def test_series_are_told_by_their_names(table: dict[str, Any], expected: list[int]) -> None:
    """Words in item, spec, channel, point or area; whole channels; both together."""
    view = view_of([key(), key(point="某电厂"), key(channel="")])
    assert condition(kind="series", **table).truth(view, UP).tolist() == expected


WRONG = (
    ({**THREE_OF_FIVE, "m": 6}, "`m` is greater than `n`"),
    ({"kind": "series"}, "Say which series"),
)


@pytest.mark.parametrize(("table", "said"), WRONG)
def test_what_can_never_be_is_a_fault(table: dict[str, Any], said: str) -> None:
    """Six of five, or no series at all."""
    with pytest.raises(ValueError, match=said):
        condition(**table)
