"""Errors are asked about and raise no price warning; real moves of the same shape do (P4, P15, G4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.thresholds.build import at, found, panel_of, policy_of, quotes, rule, shipped_catalogue
from thresholds.doubts import longest_run
from thresholds.model import Flag, Kind, Mark, Observation
from thresholds.quality import Gate, Status, gate

STEADY = [3.2, 3.3, 3.2, 3.25, 3.3, 3.2]
STEP = rule({"kind": "change", "over": "previous", "percent": 12}, scope="point")
OTHERS = ("甲市场", "乙市场", "丙市场", "丁市场", "戊市场")


def flags(rows: Sequence[Observation]) -> list[tuple[str, str, int]]:
    """Rule, direction and day of the flags of kind move and data."""
    told = [f for f in found(rows, policy_of(STEP)).flags if f.kind is not Kind.SILENCE]
    return [("move" if f.kind is Kind.MOVE else f.rule, f.direction.value, day_of(f)) for f in told]


def day_of(flag: Flag) -> int:
    return (flag.first_flagged - at(0)).days


def among(
    values: Sequence[float | None], *, others: Sequence[float] = (), points: int = 5, **where: str
) -> list[Observation]:
    """One point that reports `values` after six steady days; the others go on as before, or as `others` say."""
    rows = quotes([*STEADY, *values], **where)  # type: ignore[arg-type]  # texts only
    for point in OTHERS[: points - 1]:
        rows += quotes([*STEADY, *(others or [3.2] * len(values))], point=point, **where)  # type: ignore[arg-type]
    return rows


def judged(rows: Sequence[Observation]) -> Gate:
    panel = panel_of(rows)
    return gate(panel, [shipped_catalogue().classify(k) for k in panel.keys])


# alone


@pytest.mark.parametrize("value", [4.2, 2.4, 8.0])
def test_who_moves_alone_and_goes_back_was_an_error(value: float) -> None:
    """One of five points is far off for one report: asked about, and neither the step nor the return is a move."""
    direction = "up" if value > 3.2 else "down"
    assert flags(among([value, 3.2, 3.25])) == [("gate/alone", direction, 6)]


def test_who_moves_alone_and_stays_has_moved() -> None:
    """The second report says that the first was right: the move is flagged then, against the level from before."""
    rows = among([4.2, 4.25, 4.2])
    assert flags(rows) == [("gate/alone", "up", 6), ("move", "up", 7)]
    told = {f.kind: f for f in found(rows, policy_of(STEP)).flags}
    assert (told[Kind.DATA].end, told[Kind.DATA].end_reason) == (at(7), "stayed")
    assert told[Kind.MOVE].expected == 3.2
    (error,) = found(among([4.2, 3.2]), policy_of(STEP)).flags
    assert (error.end, error.end_reason) == (at(7), "cleared")


def test_a_move_in_company_is_real_at_once() -> None:
    """All of them, or one other of five points, at least half as far: real, and nobody is asked."""
    assert flags(among([4.2], others=[4.1])) == [("move", "up", 6)]
    rows = among([4.2], points=4) + quotes([*STEADY, 3.7], point="戊市场")
    assert flags(rows) == [("move", "up", 6)]


def test_the_other_way_or_a_little_is_no_company() -> None:
    """One that falls while this one rises, and a general rise by 2 %, leave it alone."""
    rows = among([4.2], others=[3.26], points=4) + quotes([*STEADY, 3.1], point="戊市场")
    assert flags(rows) == [("gate/alone", "up", 6)]


def test_nobody_is_alone_among_four() -> None:
    """With fewer than five points that reported, or where the others have not come yet, it is a move."""
    assert flags(among([4.2], points=4)) == [("move", "up", 6)]
    early = among([]) + quotes([4.2], first=6, hour=7)
    early += [o for p in OTHERS[:4] for o in quotes([3.2], first=6, point=p, hour=9)]
    assert flags(early) == [("move", "up", 6)]


def test_among_many_points_the_spread_decides() -> None:
    """Twelve points that move by several percent every day: 20 % is nothing, 60 % of one of them is asked about."""
    rng = np.random.default_rng(5)
    rows = []
    for n in range(12):
        steps = np.exp(np.cumsum(rng.normal(0, 0.04, 10)))
        rows += quotes(np.round(3.2 * steps, 2).tolist(), point=f"点{n}")
    assert not (judged(rows).status == Status.SUSPECT).any()
    last = [o for o in rows if o.key.point == "点3"][-1].value
    assert flags([*rows, *quotes([round(1.6 * last, 2)], point="点3", first=10)])[-1:] == [("move", "up", 10)]
    quiet = [o for n in range(12) for o in quotes([3.2] * 9 + [4.0 if n == 3 else 3.2], point=f"点{n}")]
    assert flags(quiet) == [("gate/alone", "up", 9)]


def test_a_month_is_too_long_to_wait() -> None:
    """Monthly points: a rise of 30 % of one of them is a move at once, a doubling within 2 % is asked about."""
    monthly = [o for p in OTHERS[:4] for o in quotes([3.2] * 7, point=p, every=30, unit="元/5升")]
    assert flags(monthly + quotes([3.2] * 6 + [4.2], every=30, unit="元/5升")) == [("move", "up", 180)]
    assert flags(monthly + quotes([3.2] * 6 + [6.4], every=30, unit="元/5升")) == [("gate/alone", "up", 180)]


def test_where_a_price_was_a_few_days_ago_it_may_be_again() -> None:
    """A special offer for two days, and again three days later: the second one is a move and nothing to ask about."""
    asked = [day for rule, _, day in flags(among([2.4, 2.4, 3.2, 3.2, 2.4])) if rule == "gate/alone"]
    assert asked == [6]


def test_who_is_alone_by_habit_is_not_asked_again_and_again() -> None:
    """A point with special offers every other day: five questions in twenty reports, then it is how it sells."""
    values = [4.2 if n % 2 else 3.2 for n in range(30)]
    rows = among(values, others=[3.2] * 30)
    assert [rule for rule, _, _ in flags(rows)].count("gate/alone") == 5


# units


@pytest.mark.parametrize(("unit", "ratio"), [("元/公斤", 50), ("元/500克", 50), ("元/50千克", 0.05), ("元/吨", 20)])
def test_50_kg_mixed_up_with_a_kilogram_or_a_tonne(unit: str, ratio: float) -> None:
    """Fifty times, or a twentieth where the unit is 50 kg: asked about, whatever the price itself did meanwhile."""
    for drift in (1.0, 1.1, 0.9):
        rows = quotes([*STEADY, 3.2 * ratio * drift, 3.2], unit=unit)
        assert flags(rows) == [("gate/dan", "up" if ratio > 1 else "down", 6)]


def test_fifty_times_of_what_is_not_weighed_is_no_unit() -> None:
    """Oil by the bottle at fifty times its price, and tea by 500 g at twenty times, are not put down to a unit."""
    assert flags(quotes([*STEADY, 160.0], unit="元/5升")) == [("move", "up", 6)]
    assert flags(quotes([*STEADY, 64.0])) == [("move", "up", 6)]


def test_fifty_times_at_several_points_is_real() -> None:
    """Three points at once: nobody mixes up the same unit on the same day."""
    rows = [o for p in OTHERS[:3] for o in quotes([*STEADY, 160.0], point=p)]
    assert {f[0] for f in flags(rows)} == {"move"}


def test_a_slipped_digit_of_a_futures_price_is_an_error_and_a_price_below_zero_is_none() -> None:
    """Oil at 640 dollars for a day, and at 999: asked about; from 18 to -37 and back to 10: moves."""

    def oil(*values: float) -> list[Observation]:
        return quotes(values, item="WTI", unit="USD/bbl")

    steady = [64.0, 63.0, 65.0, 64.0, 63.5, 64.2]
    assert flags(oil(*steady, 640.0, 64.0)) == [("gate/factor", "up", 6)]
    assert flags(oil(*steady, 999.0, 64.0)) == [("gate/placeholder", "up", 6)]
    assert {f[0] for f in flags(oil(18.0, 19.0, 18.5, 18.0, 18.2, -36.98, 10.01, 13.8))} <= {"move"}


# placeholders


@pytest.mark.parametrize("value", [999.0, 9999.0, 99999.0, 0.01])
def test_a_placeholder_is_no_price(value: float) -> None:
    """999 for "not there" on several days, at several points too: asked about once, and the price that comes back is
    no fall."""
    rows = [o for p in OTHERS[:3] for o in quotes([*STEADY, value, value, 3.2], point=p)]
    assert {f[0] for f in flags(rows)} == {"gate/placeholder"}
    assert len(flags(rows)) == 3


def test_one_yuan_is_a_placeholder_far_from_the_level_only() -> None:
    """At eight yuan, 1 stands for nothing; at three it may be a price; in a series near 999, 999 is one."""
    assert flags(quotes([8.0] * 6 + [1.0, 8.0])) == [("gate/placeholder", "down", 6)]
    assert flags(quotes([3.2] * 6 + [1.0]))[0][0] == "move"
    assert flags(quotes([950.0] * 6 + [999.0])) == []


def test_a_price_of_one_that_stays_is_one() -> None:
    """Five reports of 1.00: the fifth begins a new level."""
    assert judged(quotes([8.0] * 6 + [1.0] * 6)).status.tolist() == [0] * 6 + [1] * 4 + [2, 0]


def test_counts_and_indices_have_placeholders_too() -> None:
    """9999 complaints and an index of -999 are asked about; an index that goes to 12 is not."""
    assert flags(quotes([40.0] * 8 + [9999.0, 41.0], item="12315投诉", unit="件")) == [("gate/placeholder", "up", 8)]
    index = quotes([0.3, -0.2, 0.5, 0.1, -999.0, 0.2], item="压力指数", unit="标准差")
    assert judged(index).status.tolist() == [0, 0, 0, 0, 1, 0]
    assert not judged(quotes([0.3, -0.2, 0.5, 0.1, 12.0], item="压力指数", unit="标准差")).doubt.any()


# rows in each other's place


def pair(first: Sequence[float], second: Sequence[float], **where: str) -> list[Observation]:
    """Two items of one point."""
    rows = quotes([5.0] * 6 + list(first), item="柴油", unit="元/升", **where)  # type: ignore[arg-type]
    return rows + quotes([7.0] * 6 + list(second), item="汽油", unit="元/升", **where)  # type: ignore[arg-type]


def test_rows_in_each_others_place_are_both_asked_about() -> None:
    """Diesel in the row of petrol and petrol in that of diesel for one day: two questions, no move there or back."""
    assert flags(pair([7.02, 5.0], [4.98, 7.0])) == [("gate/swapped", "up", 6), ("gate/swapped", "down", 6)]


def test_two_specs_of_one_item_as_well() -> None:
    """Lean pork and ribs."""
    rows = quotes([12.0] * 6 + [18.0], item="猪肉", spec="精瘦肉") + quotes(
        [18.0] * 6 + [12.1], item="猪肉", spec="肋排"
    )
    assert {f[0] for f in flags(rows)} == {"gate/swapped"}
    lean = next(f for f in found(rows, policy_of(STEP)).flags if f.direction.value == "up")
    assert lean.reason == (
        "猪肉（精瘦肉）在甲区城南市场报送18元/500克，此前水平约12元/500克：与同一监测点猪肉（肋排）的数值恰好互换，疑为填报串行。"
        "该值暂不计入基线，也不作价格预警，请监测点核实。"
    )


def test_places_that_stay_exchanged_are_moves() -> None:
    """One report later both have moved."""
    assert flags(pair([7.0, 7.0], [5.0, 5.0]))[2:] == [("move", "up", 7), ("move", "down", 7)]


def test_prices_that_jump_about_are_exchanged_by_chance() -> None:
    """Where both moved by a third within five reports, one in the place of the other is no sign of anything."""
    first, second = [5.0, 6.0, 4.6, 5.6, 5.0, 5.0, 7.0], [7.0, 6.1, 8.0, 6.6, 7.0, 7.0, 5.0]
    assert "gate/swapped" not in {f[0] for f in flags(quotes(first, item="柴油") + quotes(second, item="汽油"))}
    calm = quotes([5.0, 5.1, 4.9, 5.0, 5.0, 5.0, 7.0], item="柴油") + quotes(second, item="汽油")
    assert flags(calm)[-2:] == [("gate/swapped", "up", 6), ("move", "down", 6)]


def test_only_rows_of_one_point_are_exchanged() -> None:
    """The same values at two points, or only one of the two at the other's level, are moves."""
    apart = quotes([5.0] * 6 + [7.0], item="柴油", unit="元/升") + quotes(
        [7.0] * 6 + [5.0], item="汽油", unit="元/升", point="城北市场"
    )
    assert {f[0] for f in flags(apart)} == {"move"}
    assert {f[0] for f in flags(pair([7.0], [6.0]))} == {"move"}


# lowest, mean, highest


def stalls(low: float, mean: float, high: float) -> list[Observation]:
    """Six days in order, and a seventh."""
    rows = quotes([3.0] * 6 + [low], spec="一级 最低价") + quotes([3.2] * 6 + [mean], spec="一级 均价")
    return rows + quotes([3.5] * 6 + [high], spec="一级 最高价")


def test_the_lowest_price_is_not_above_the_highest() -> None:
    """The one that left its level is asked about, both where both did."""
    assert flags(stalls(3.6, 3.2, 3.5)) == [("gate/range", "up", 6)]
    assert len(flags(stalls(3.6, 3.5, 3.3))) == 3


def test_a_mean_lies_between_them() -> None:
    """Outside by more than rounding: asked about; at the edge, or all three higher, it is as it should be."""
    assert flags(stalls(3.0, 3.9, 3.5)) == [("gate/range", "up", 6)]
    assert flags(stalls(3.2, 3.202, 3.2)) == []
    assert {f[0] for f in flags(stalls(4.0, 4.2, 4.5))} == {"move"}


def test_ranges_are_those_of_one_point_and_spec() -> None:
    """The lowest price of the better grade may lie above the highest of the other."""
    rows = quotes([9.0] * 7, spec="特级最低价") + quotes([3.5] * 7, spec="一级最高价")
    assert flags(rows) == []


# stuck

WALK = np.round(5 * np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.02, 200))), 2).tolist()


def standing(length: int, *, others: bool = True, move: bool = True) -> list[Observation]:
    """A point whose price moves daily for a hundred days and then stands; the others go on, or stand as well."""
    rows = quotes(WALK[:100] + [WALK[99]] * length, item="大白菜")
    if others:
        for n, point in enumerate(OTHERS[:3]):
            values = [round(v + 0.1 * n, 2) for v in WALK]
            rows += quotes(
                values[:100] + (values[100 : 100 + length] if move else [values[99]] * length),
                item="大白菜",
                point=point,
            )
    return rows


def test_a_price_that_stands_while_the_others_move_is_asked_about() -> None:
    """After fifteen days for vegetables, once; its values are used all the same; over when it moves again."""
    rows = [*standing(40), *quotes([6.0], item="大白菜", first=140)]
    told = [f for f in found(rows, policy_of(STEP)).flags if f.rule == "gate/stuck"]
    assert [(f.start, f.first_flagged, f.last_hit, f.end) for f in told] == [(at(99), at(114), at(139), at(140))]
    assert told[0].reason == (
        f"大白菜在甲区城南市场已连续16期报送{told[0].value:g}元/500克，此前最长连续2期不变，同期3个其他监测点中有3个多次变动，"
        "疑为照抄上期。该值仍正常使用，请监测点核实是否实地采价。"
    )
    assert judged(rows).accepted.all()


def test_a_price_that_stands_with_the_others_is_calm() -> None:
    """Nobody moves: nothing to ask. On its own, it takes longer: one in ten million."""
    assert not len(judged(standing(60, move=False)).stuck)
    assert len(judged(standing(60, others=False)).stuck) == 1


def test_a_sticky_price_may_stand_as_long_as_it_is_used_to() -> None:
    """One that changes every twenty days is not stuck after thirty, though the others move."""
    sticky = [3.0 + 0.1 * (n // 20) for n in range(400)]
    rows = quotes([*sticky, *[sticky[-1]] * 12], item="大白菜")
    for n, point in enumerate(OTHERS[:3]):
        rows += quotes([3.0 + n + 0.1 * (k % 7) for k in range(412)], item="大白菜", point=point)
    assert not len(judged(rows).stuck)


def test_counts_are_never_stuck() -> None:
    """Months without a complaint are no copying."""
    rows = quotes([float(n % 5) for n in range(60)] + [0.0] * 60, item="12315投诉", unit="件")
    assert not len(judged(rows).stuck)


def test_the_longest_run_is_counted() -> None:
    """Equal values in a row."""
    assert [longest_run(np.array(v)) for v in ([], [1.0], [1.0, 1.0, 2.0], [1.0, 2.0, 2.0, 2.0, 1.0])] == [0, 1, 2, 3]


# taken back


def test_a_step_that_is_taken_back_is_asked_about_when_it_is() -> None:
    """A single point: the rise is a move when it comes; that it was taken back exactly is said a report later."""
    told = flags(quotes([*STEADY, 4.8, 3.2]))
    assert told == [("move", "up", 6), ("gate/reverted", "up", 7), ("move", "down", 7)]


def test_a_step_taken_back_by_several_or_halfway_is_none() -> None:
    """Two points do not err alike; and half of the way back is a price."""
    rows = quotes([*STEADY, 4.8, 3.2]) + quotes([*STEADY, 4.9, 3.2], point="乙市场")
    assert {f[0] for f in flags(rows)} == {"move"}
    assert {f[0] for f in flags(quotes([*STEADY, 4.8, 3.8]))} == {"move"}


def test_a_review_as_data_error_takes_the_step_out_of_baselines() -> None:
    """What the question asks for: after it, neither the step nor the return is a move."""
    panel = panel_of(quotes([*STEADY, 4.8, 3.2]), mark={6: Mark.DATA_ERROR})
    assert found(panel, policy_of(STEP)).flags == []


# all of them

VALUES = st.sampled_from([3.2, 3.2, 3.3, 4.4, 6.4, 2.1, 32.0, 160.0, 999.0, 0.0])


@settings(max_examples=40)
@given(st.lists(st.lists(VALUES, min_size=4, max_size=16), min_size=1, max_size=12), st.randoms())
def test_the_order_of_series_changes_no_flag(many: list[list[float]], random: Any) -> None:
    """Whatever the order in which rows came, the same questions with the same words."""
    rows = [
        o
        for n, values in enumerate(many)
        for o in quotes(values, point=f"点{n // 2}", item="大米" if n % 2 else "面粉")
    ]
    shuffled = list(rows)
    random.shuffle(shuffled)
    one, other = (
        [(f.id, f.reason, f.end, f.end_reason) for f in found(r, policy_of(STEP)).flags if f.kind is Kind.DATA]
        for r in (rows, shuffled)
    )
    assert one == other
