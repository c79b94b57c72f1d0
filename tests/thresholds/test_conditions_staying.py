"""Condition on foreseen duration: whether a change is likely to last."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.thresholds.build import condition, moves, quotes, rule, view_of
from thresholds.model import Direction

UP, DOWN = Direction.UP, Direction.DOWN
STAYS: dict[str, Any] = {"kind": "staying", "over": "1w", "percent": 30, "least": 20}
MAGNITUDE = {"kind": "change", "over": "1w", "percent": 30}
DURATION = {"any": [{"kind": "lasting", "readings": 2, "span": "4d", "of": MAGNITUDE}, STAYS]}


def calm(days: int = 80, seed: int = 3, spread: float = 0.01) -> list[float]:
    rng = np.random.default_rng(seed)
    return [float(v) for v in 3 * np.exp(np.cumsum(rng.normal(0, spread, days)))]


def newest(table: dict[str, Any], values: list[float], direction: Direction = UP) -> int:
    return int(condition(**table).truth(view_of(quotes(values)), direction)[-1])


@pytest.mark.parametrize("direction", [UP, DOWN])
def test_a_large_step_of_a_steady_price_is_likely_to_last(direction: Direction) -> None:
    """Nearly half more (or less) after calm months: true in its direction only; just beyond the bound it is not."""
    values = calm()
    side = 1 if direction is UP else -1
    before = values[-7]
    far, near = before * (1 + side * 0.45), before * (1 + side * 0.301)
    assert newest(STAYS, [*values, far], direction) == 1
    assert newest(STAYS, [*values, far], DOWN if direction is UP else UP) == 0
    assert newest({**STAYS, "chance": 0.9}, [*values, near], direction) == 0
    assert newest(STAYS, [*values, before * (1 + side * 0.25)], direction) == 0


def test_a_price_that_always_falls_back_is_not_expected_to_stay() -> None:
    """Jumps by half that were gone the next day, twelve times before: this one is not expected to stay."""
    values = calm(100)
    for day in range(12, 96, 7):
        values[day] *= 1.5
    assert newest(STAYS, [*values, values[-7] * 1.5]) == 0


def test_too_little_history_is_unknown_where_there_is_a_change() -> None:
    """Fifteen readings: unknown for the jump, false for a calm day."""
    values = calm(15)
    assert newest(STAYS, [*values, values[-7] * 1.6]) == -1
    assert newest(STAYS, [*values, values[-1]]) == 0


def test_lasting_or_likely_to_last_need_not_wait() -> None:
    """Five days, or expected to: flagged on the first day, where `lasting` alone waits for the fifth."""
    values = calm()
    rows = quotes(values + [values[-1] * 1.6] * 6)
    observed, foreseen = (
        moves(rows, rule({"all": [MAGNITUDE, part]}, direction="up")) for part in (DURATION["any"][0], DURATION)
    )
    assert [(f.first_flagged - foreseen[0].first_flagged).days for f in observed] == [4]
    assert "保持在" in moves(rows, rule(STAYS, direction="up"))[0].reason


def test_later_data_changes_no_answer() -> None:
    """Cut at any day: answers and evidence are the same."""
    values = calm(120, spread=0.12, seed=9)
    one, whole = condition(**{**STAYS, "percent": 10}), view_of(quotes(values))
    truth = one.truth(whole, UP)
    assert {0, 1} <= set(truth.tolist())
    for cut in range(60, 120, 7):
        part = view_of(quotes(values[:cut]))
        np.testing.assert_array_equal(one.truth(part, UP), truth[:cut])
        at = np.flatnonzero(truth[:cut] == 1)
        some, same = one.measure(part, at, UP), one.measure(whole, at, UP)
        assert some is not None
        assert same is not None
        np.testing.assert_array_equal(some.score, same.score)


def test_awkward_values_have_answers() -> None:
    """Flat, zero and negative values, two observations: no alarm, no error."""
    assert 1 not in condition(**STAYS).truth(view_of(quotes([5.0] * 60)), UP)
    signed = view_of(quotes([0.0, -1.0, 2.0] * 30, item="利差", unit="%"))
    assert len(condition(**STAYS).truth(signed, UP)) == 90
    assert newest(STAYS, [5.0, 9.0]) in (-1, 0)
    with pytest.raises(ValueError, match="least"):
        condition(**{**STAYS, "least": 100, "window": 50})
