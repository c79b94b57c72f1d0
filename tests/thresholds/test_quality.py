"""The data gate: what is taken for a reporting error, and what is not (P4, P15, G4)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.thresholds.build import found, panel_of, policy_of, quotes, rule, shipped, shipped_catalogue
from thresholds.model import Doubt, Kind, Mark, Observation
from thresholds.panel import Panel
from thresholds.quality import Gate, Status, gate

STEADY = [3.2, 3.3, 3.2, 3.25, 3.3, 3.2]


def gated(observations: Sequence[Observation] | Panel) -> Gate:
    panel = observations if isinstance(observations, Panel) else panel_of(observations)
    return gate(panel, [shipped_catalogue().classify(k) for k in panel.keys])


def doubts(values: Sequence[float | None], **where: str) -> list[str]:
    """The doubt on each value of one series, by name; "" where there is none."""
    rows = quotes(values, **where)  # type: ignore[arg-type]  # texts only
    return [Doubt(d).name if d else "" for d in gated(rows).doubt]


@pytest.mark.parametrize("value", [0.0, -3.2])
def test_a_price_of_zero_or_below_is_an_error_even_as_the_first_value(value: float) -> None:
    """No history is needed to know that a price cannot be zero or negative."""
    assert doubts([value]) == ["NONPOSITIVE"]
    assert doubts([*STEADY, value, 3.2]) == [""] * 6 + ["NONPOSITIVE", ""]


@pytest.mark.parametrize("factor", [10, 0.1, 100, 0.01, 1000])
def test_a_slipped_digit_is_an_error(factor: float) -> None:
    """Ten times, a tenth, a hundred times: a misplaced decimal point, also while the price itself moves by 10 %."""
    for drift in (1.0, 1.1, 0.9):
        assert doubts([*STEADY, 3.2 * factor * drift, 3.2]) == [""] * 6 + ["FACTOR", ""]


@pytest.mark.parametrize("ratio", [2.0, 0.5, 1.95, 1 / 2.05])
def test_500_grams_and_a_kilogram_mixed_up_is_an_error_where_the_unit_is_one_of_weight(ratio: float) -> None:
    """Twice or half the level is suspect for 元/500克 and 元/公斤, and only there: oil by the bottle may double."""
    assert doubts([*STEADY, 3.2 * ratio, 3.2]) == [""] * 6 + ["JIN", ""]
    assert doubts([*STEADY, 3.2 * ratio, 3.2], unit="元/公斤") == [""] * 6 + ["JIN", ""]
    assert doubts([*STEADY, 3.2 * ratio, 3.2], unit="元/5升") == [""] * 8


def test_a_doubling_that_stays_is_a_move() -> None:
    """The second like report says that the first was right; the first one stays marked, the rest is accepted."""
    assert doubts([*STEADY, 6.4, 6.5, 6.4, 6.5, 6.4]) == [""] * 6 + ["JIN"] + [""] * 4


@pytest.mark.parametrize("ratio", [1.3, 1.7, 3.0, 5.0, 0.3])
def test_a_large_move_is_no_error(ratio: float) -> None:
    """What is neither a power of ten nor the unit of weight is a move, however large: rules judge it."""
    assert doubts([*STEADY, 3.2 * ratio]) == [""] * 7


def test_a_price_that_climbs_tenfold_step_by_step_is_no_error() -> None:
    """Each value is near the one before it: that the median of five is far behind is no reason for doubt."""
    assert doubts([3 * 1.6**n for n in range(12)]) == [""] * 12


def test_too_little_history_doubts_no_factor() -> None:
    """With fewer than three accepted values nobody knows which of them slipped."""
    assert doubts([3.2, 32.0, 3.2]) == [""] * 3
    assert doubts([3.2, 3.2, 3.2, 32.0]) == [""] * 3 + ["FACTOR"]


def test_five_like_reports_are_a_new_level() -> None:
    """A unit changed for good: four suspects, then the new level is taken, and what follows is compared with it."""
    rows = quotes([*STEADY, *[32.0, 32.5, 32.2, 32.1, 32.4, 32.6, 33.0]])
    status = gated(rows).status.tolist()
    assert status == [Status.ACCEPTED] * 6 + [Status.SUSPECT] * 4 + [Status.REBASED] + [Status.ACCEPTED] * 2


def test_a_new_level_is_compared_with_nothing_before_it() -> None:
    """After a change of unit neither the step nor a lag of 10 days over it is a move of +900 %."""
    rows = quotes([3.2 + 0.01 * (n % 3) for n in range(30)] + [32.0 + 0.1 * (n % 3) for n in range(30)])
    any_lag = [rule({"kind": "change", "over": over, "percent": 20}) for over in ("previous", "10d", "1m", "1w")]
    score = rule({"kind": "score", "value": 7})
    flags = found(rows, policy_of(*any_lag, score)).flags
    assert [f.kind for f in flags] == [Kind.DATA]
    assert flags[0].rule == "gate/factor"


def test_a_new_level_of_one_point_does_not_move_the_mean_of_its_area() -> None:
    """One of three points changes its unit tenfold for good: the mean of the area does not jump when it is taken."""
    steady = [3.2 + 0.01 * (n % 3) for n in range(40)]
    changed = [v * (10 if n >= 20 else 1) for n, v in enumerate(steady)]
    for gap in ([None], [None, None, None]):  # a long gap before lets the old quote stand for long
        shifted = [*changed[:19], *gap, *changed[20:]]
        rows = quotes(steady) + quotes(steady, point="城北市场") + quotes(shifted, point="城东市场")
        flags = found(rows, policy_of(rule({"kind": "change", "over": "previous", "percent": 5}))).flags
        assert [f.kind for f in flags] == [Kind.DATA]


def test_two_values_for_one_time_are_a_conflict() -> None:
    """A value that its own sheet contradicts is kept out, whichever of the two came last."""
    panel = panel_of(quotes(STEADY), mark={4: Mark.CONFLICT})
    assert gated(panel).doubt.tolist() == [0, 0, 0, 0, Doubt.CONFLICT, 0]


def test_what_reads_back_the_next_day_returns_to_the_level_before() -> None:
    """A suspect is no baseline: the level that the next value is compared with is the one before the error."""
    judged = gated(quotes([*STEADY, 32.0, 31.0]))
    assert judged.level[6] == judged.level[7] == pytest.approx(np.median(STEADY[1:]))


def neighbours(last: Sequence[float], hours: Sequence[int] = (0, 0, 0, 0)) -> list[Observation]:
    """Points of one item that were steady for six days and on the seventh report `last`, each at its hour."""
    return [
        o
        for n, value in enumerate(last)
        for o in quotes(STEADY, point=f"点{n}") + quotes([value], point=f"点{n}", first=6, hour=hours[n])
    ]


def doubted(observations: list[Observation]) -> list[bool]:
    """Of each point, whether its newest value is suspected."""
    panel = panel_of(observations)
    status = gated(panel).status
    return [bool(status[end - 1] == Status.SUSPECT) for end in panel.start[1:]]


def test_several_points_moving_together_are_real() -> None:
    """Two others with the same jump on the same day make it real; one other does not; another direction does not."""
    assert doubted(neighbours([32, 31, 33])) == [False, False, False]
    assert doubted(neighbours([32, 31, 3.2])) == [True, True, False]
    assert doubted(neighbours([32, 31, 0.32])) == [True, True, True]


def test_a_general_rise_does_not_make_a_slipped_digit_real() -> None:
    """The others rose by a fifth, this one tenfold: they are no company for that."""
    assert doubted(neighbours([32, 3.9, 3.9, 4.0])) == [True, False, False, False]


def test_company_on_the_same_day_counts_only_once_it_has_come() -> None:
    """Who reports first knows nothing of the others yet: the third to report is the first who has company."""
    assert doubted(neighbours([32, 31, 33], hours=[8, 9, 10])) == [True, True, False]
    assert doubted(neighbours([32, 31, 33], hours=[10, 9, 8])) == [False, True, True]


def test_one_point_that_reports_twice_is_no_company() -> None:
    """Three reports of two points are two points: each has one other, which does not make it real."""
    rows = neighbours([32, 31], hours=[9, 11]) + quotes([3.2], point="点1", first=6, hour=9)
    rows += quotes([3.2], point="点1", first=6, hour=8) + quotes([30], point="点1", first=6, hour=7)
    assert doubted(rows)[0] is True


def test_a_habit_is_not_flagged_again_and_again() -> None:
    """A quarter of the newest twenty values impossible is how a source reports: no more flags, until that stops."""
    values = [3.2, 0.0] * 12
    judged = doubts(values)
    assert judged[1:10:2] == ["NONPOSITIVE"] * 5
    assert judged[11::2] == [""] * 7
    later = doubts([*values, *[3.2] * 20, 0.0])
    assert later[-1] == "NONPOSITIVE"


def test_a_habit_of_contradicting_itself_is_not_flagged_either() -> None:
    """The same for sheets that hold two values for every day."""
    panel = panel_of(quotes([3.2] * 12), mark=dict.fromkeys(range(12), Mark.CONFLICT))
    assert (gated(panel).doubt == Doubt.CONFLICT).sum() == 5


def test_wti_at_minus_37_is_a_move_and_no_error() -> None:
    """Futures may settle below zero (2020-04-20): no data flag, a fall, and a rise when they come back."""
    values = [20 + 0.3 * (n % 4) for n in range(40)] + [-36.98, 10.01, 13.78]
    rows = quotes(values, item="WTI", unit="USD/bbl", point="EIA", area="")
    flags = [f for f in found(rows, shipped()).flags if f.first_flagged == rows[40].at]
    assert {(f.kind, f.direction.value) for f in flags} == {(Kind.MOVE, "down")}
    assert all(f.value == -36.98 for f in flags)


def test_counts_may_be_zero_but_not_negative() -> None:
    """No complaints this month is news, not an error."""
    rows = quotes([3, 0, 0, 5, -1], item="12315投诉", unit="件")
    assert gated(rows).doubt.tolist() == [0, 0, 0, 0, Doubt.NONPOSITIVE]


def test_signed_values_are_never_doubted() -> None:
    """An index passes through zero; a factor of ten near zero means nothing."""
    assert doubts([0.1, -0.1, 0.01, 1.0, -10.0], item="压力指数", unit="标准差") == [""] * 5


def test_a_reviewers_data_error_is_excluded_without_a_flag() -> None:
    """What a person judged an error is neither tested nor flagged again, and no baseline."""
    panel = panel_of(quotes([*STEADY, 4.5, 3.2]), mark={6: Mark.DATA_ERROR})
    judged = gated(panel)
    assert judged.status[6] == Status.EXCLUDED
    assert not judged.accepted[6]
    assert not judged.tested[6]
    flags = found(panel, policy_of(rule({"kind": "change", "over": "previous", "percent": 5}))).flags
    assert flags == []


@settings(max_examples=60)
@given(
    st.lists(
        st.lists(
            st.sampled_from([3.2, 3.2, 3.3, 6.4, 32.0, 0.33, 0.0, 4.5, 160.0, 999.0, 0.01]), min_size=1, max_size=40
        ),
        min_size=1,
        max_size=7,
    ),
    st.integers(1, 39),
    st.sampled_from([0, 6]),
)
def test_what_comes_later_changes_no_judgement(many: list[list[float]], cut: int, apart: int) -> None:
    """The gate is causal: cut at any time, what was judged before is judged the same."""
    rows = [o for n, values in enumerate(many) for o in quotes(values, point=f"点{n}", hour=min(apart * n, 23))]
    panel = panel_of(rows)
    whole = gated(panel)
    known = panel.time <= panel.time[min(cut, len(panel) - 1)]
    part = gated(panel.only(known))
    np.testing.assert_array_equal(part.status, whole.status[known])
    np.testing.assert_array_equal(part.doubt, whole.doubt[known])
    np.testing.assert_array_equal(part.level, whole.level[known])
    place = np.cumsum(known) - 1
    for some, every in ((part.stuck, whole.stuck), (part.reverted, whole.reverted)):
        np.testing.assert_array_equal(some, place[every[known[every]]])
