"""Conditions on counts, ratios, gaps and forecasts: what a rule sees of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.thresholds.build import condition, moves, quotes, rule, view_of
from thresholds.conditions import parse
from thresholds.model import Direction, Observation

UP, DOWN = Direction.UP, Direction.DOWN
USUAL = [12, 9, 14, 11, 10, 13, 12, 8, 11, 12, 10, 13, 11, 12]


def calls(values: list[float], item: str = "12315投诉举报", every: int = 7, point: str = "热线") -> list[Observation]:
    return quotes(values, item=item, unit="件", every=every, point=point)


def truth(table: dict[str, Any], rows: list[Observation], direction: Direction = UP, **how: float) -> list[int]:
    answers: list[int] = parse(table).truth(view_of(rows), direction, **how).tolist()
    return answers


def test_a_surge_is_seen_and_explained() -> None:
    """Thirty where about eleven are usual; the sentence names what was expected and the bound."""
    (flag,) = moves(calls([*USUAL, 30]), rule({"kind": "surge"}))
    assert flag.direction is UP
    assert flag.value == 30
    assert "应在11左右，超过偶然波动上限" in flag.reason
    assert flag.expected < flag.threshold < 30


def test_a_fall_is_seen_the_other_way() -> None:
    """A hundred a week and then forty: a fall, not an outage; twelve and then none is within chance."""
    rows = calls([8.0 * v + k % 3 for k, v in enumerate([12] * 14)] + [40.0])
    assert truth({"kind": "surge"}, rows, DOWN)[-1] == 1
    assert truth({"kind": "surge"}, rows, UP)[-1] == 0
    assert truth({"kind": "surge"}, calls([*USUAL[:-1], 3]), DOWN)[-1] == 0


def test_few_cases_are_silent() -> None:
    """Four in a week after months without any are rare, and no surge; five are."""
    assert truth({"kind": "surge", "alpha": 0.05}, calls([0.0] * 30 + [4]))[-1] == 0
    assert truth({"kind": "surge", "alpha": 0.05}, calls([0.0] * 30 + [5]))[-1] == 1


def test_the_return_after_an_outage_is_no_surge() -> None:
    """Eight weeks of nothing from the whole hotline, then as before: unknown while it is out, no surge, no fall."""
    rows = [o for n in range(4) for o in calls([*USUAL * 2, *[0] * 8, 13], item=f"企业{n}投诉")]
    for kind, direction in (("surge", UP), ("surge", DOWN), ("multiple", UP)):
        answers = np.array(truth({"kind": kind}, rows, direction)).reshape(4, -1)
        assert (answers[:, 28:36] == -1).all()
        assert (answers[:, 36] == 0).all()


def test_only_counts_are_counted() -> None:
    """A price has no surge: unknown, so that `not` does not turn it into an answer."""
    for kind in ("surge", "multiple"):
        assert set(truth({"kind": kind}, quotes([3.0] * 20 + [9.0]))) == {-1}
        assert set(truth({"not": {"kind": kind}}, quotes([3.0] * 20))) == {-1}


@pytest.mark.parametrize("kind", ["surge", "multiple"])
def test_rules_on_counts_cost_nothing_among_prices(kind: str) -> None:
    """Where there are prices only nothing is computed and nothing kept; the answer is unknown, and so are its
    numbers (`any` asks for them).
    """
    view, rule_on_counts = view_of(quotes([3.0] * 30)), parse({"kind": kind})
    before = set(view.cache)
    assert (rule_on_counts.truth(view, UP) == -1).all()
    measured = rule_on_counts.measure(view, np.arange(30), UP)
    assert measured is not None
    assert np.isnan(measured.expected).all()
    assert set(view.cache) == before


def test_counts_beside_prices_are_judged_as_without_them() -> None:
    rows = calls([*USUAL, 30])
    for table in ({"kind": "surge"}, {"kind": "multiple"}):
        beside = truth(table, [*quotes([3.0] * 40), *rows])
        assert beside.count(-1) == 40 + truth(table, rows).count(-1)
        assert [a for a in beside if a >= 0] == [a for a in truth(table, rows) if a >= 0]
        assert 1 in beside


def test_ease_narrows_the_bound() -> None:
    """What keeps a flag open lies between what was expected and the bound."""
    surge = condition(kind="surge")
    measured = surge.measure(view_of(calls([*USUAL, 30])), np.array([14]), UP)
    assert measured is not None
    limit = float(measured.limit[0])
    rows = calls([*USUAL, np.floor(limit)])
    assert truth({"kind": "surge"}, rows)[-1] == 0
    assert truth({"kind": "surge"}, rows, ease=0.9)[-1] == 1


def test_a_multiple_needs_both_times_and_cases() -> None:
    """Twice the median and at least five: 4 of a usual 2 is not, 5 of a usual 2 is, 11 of a usual 6 is not."""
    for usual, count, answer in ((2, 4, 0), (2, 5, 1), (6, 11, 0), (6, 12, 1)):
        assert truth({"kind": "multiple"}, calls([float(usual)] * 10 + [count]))[-1] == answer
    assert truth({"kind": "multiple"}, calls([6.0] * 3 + [60])) == [-1] * 4


@pytest.mark.parametrize("kind", ["hp_gap", "ratio", "forecast"])
def test_a_bound_is_needed(kind: str) -> None:
    """Neither level nor change: refused, with the remedy."""
    table = {"kind": kind, "numerator": ["甲"], "denominator": ["乙"]} if kind == "ratio" else {"kind": kind}
    with pytest.raises(ValueError, match="Give"):
        parse(table)


def test_a_gap_is_measured_from_its_trend() -> None:
    """Credit jumps ten points above a line that rose steadily; what it was expected to be is on the line."""
    values = [100 + 0.5 * q for q in range(60)]
    rows = quotes([*values, 142.0], item="信贷占GDP比率", unit="%", every=91)
    gap = condition(kind="hp_gap", above=8, below=-8)
    assert gap.truth(view_of(rows), UP)[-1] == 1
    assert gap.truth(view_of(rows), DOWN)[-1] == 0
    measured = gap.measure(view_of(rows), np.array([60]), UP)
    assert measured is not None
    assert measured.expected[0] == pytest.approx(130, abs=2.5)
    assert measured.clause is not None
    assert measured.clause[0].endswith("缺口高于8")
    assert set(gap.truth(view_of(rows), UP)[:39]) == {-1}


def test_a_ratio_is_known_at_its_numerator_only() -> None:
    """Cabbage has no pig-grain ratio, nor has maize: unknown, also under `not`."""
    rows = quotes([16.0], item="生猪", unit="元/千克") + quotes([2.0], item="玉米", unit="元/千克")
    rows += quotes([1.0], item="大白菜")
    table = {"kind": "ratio", "numerator": ["生猪"], "denominator": ["玉米"], "above": 7}
    assert truth(table, rows) == [1, -1, -1]
    assert truth({"not": table}, rows) == [0, -1, -1]
    assert truth(table, rows, DOWN) == [0, -1, -1]


def test_channels_choose_the_series() -> None:
    """Retail maize is not what the ratio means: with another channel than the one named there is none."""
    rows = quotes([16.0], item="生猪", unit="元/千克") + quotes([2.0], item="玉米", unit="元/千克")
    table = {"kind": "ratio", "numerator": ["生猪"], "denominator": ["玉米"], "above": 7}
    assert truth({**table, "denominator_channels": ["零售"]}, rows)[0] == 1
    assert truth({**table, "denominator_channels": ["批发"]}, rows)[0] == -1


@pytest.mark.parametrize(
    ("item", "unit", "values"),
    [
        ("大米", "元/500克", [3 + 0.02 * k for k in range(80)]),
        ("利差", "个百分点", [-1 + 0.02 * k for k in range(80)]),
        ("WTI", "USD/bbl", [-10 + 0.5 * k for k in range(80)]),
        ("12315投诉举报", "件", [10.0 + k for k in range(80)]),
    ],
)
def test_a_climb_is_foreseen_on_every_scale(item: str, unit: str, values: list[float]) -> None:
    """Prices, signed values, futures below zero, counts: a level three steps ahead is announced, a far one is not."""
    step = values[-1] - values[-2]
    rows = quotes(values, item=item, unit=unit)
    near = {"kind": "forecast", "above": values[-1] + 2.5 * step, "horizon": 5}
    far = {"kind": "forecast", "above": values[-1] + 40 * step, "horizon": 5}
    assert truth(near, rows)[-1] == 1
    assert truth(far, rows)[-1] == 0
    assert truth(near, rows, DOWN)[-1] == 0
    measured = parse(near).measure(view_of(rows), np.array([79]), UP)
    assert measured is not None
    assert measured.expected[0] == pytest.approx(values[-1] + 5 * step, abs=3 * step)
    assert measured.clause is not None
    assert measured.clause[0].startswith("按近")


def test_a_change_is_foreseen_both_ways() -> None:
    """`percent` asks for a move from now: a steady fall of 2 % a day reaches -5 % within five days."""
    rows = quotes([10 * 0.98**k for k in range(80)])
    table = {"kind": "forecast", "percent": 5, "horizon": 5}
    assert truth(table, rows, DOWN)[-1] == 1
    assert truth(table, rows, UP)[-1] == 0
    assert truth(table, rows[:20], DOWN)[-1] == -1


def test_lasting_may_ask_for_a_time() -> None:
    """Three in a row over two weeks: three daily reports are not enough, three weekly ones are."""
    table = {"kind": "lasting", "readings": 3, "span": "14d", "of": {"kind": "level", "above": 3}}
    assert truth(table, quotes([4.0] * 16)) == [0] * 14 + [1, 1]
    assert truth(table, quotes([4.0] * 4, every=7)) == [0, 0, 1, 1]
