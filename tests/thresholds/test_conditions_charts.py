"""Conditions on charts: who is flagged and since when, what is unknown, what the evidence says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests.thresholds.build import condition, moves, panel_of, quotes, rule, view_of
from thresholds.conditions_charts import Cusum
from thresholds.model import Direction, FloatArray, Mark, Observation
from thresholds.view import View

UP, DOWN = Direction.UP, Direction.DOWN
CHARTS = ({"kind": "ewma"}, {"kind": "cusum"})
KINDS: tuple[dict[str, Any], ...] = (*CHARTS, {"kind": "volatility"}, {"kind": "extremes"})


def prices(n: int, *, seed: int = 1, spread: float = 0.01, drift: float = 0.0, since: int = 0) -> FloatArray:
    """Daily prices with random steps; `drift` is added to each from `since` on."""
    steps = np.random.default_rng(seed).normal(0, spread, n)
    steps[since:] += drift
    return 5 * np.exp(np.cumsum(steps))


def hits(table: dict[str, Any], view: View, direction: Direction = UP, ease: float = 1.0) -> list[int]:
    found: list[int] = np.flatnonzero(condition(**table).truth(view, direction, ease) == 1).tolist()
    return found


@pytest.mark.parametrize("table", CHARTS)
def test_a_creep_that_no_single_day_shows_is_found(table: dict[str, Any]) -> None:
    """1 % a day from day 200 on among steps of 1 %: found upwards within two weeks; the robust score is silent."""
    view = view_of(quotes(prices(240, drift=0.01, since=200).tolist()))
    assert 200 <= hits(table, view)[0] <= 214
    assert hits(table, view, DOWN) == []
    assert hits({"kind": "score", "value": 6.5, "window": 250}, view) == []


@pytest.mark.parametrize("table", CHARTS)
def test_a_fall_is_found_downwards(table: dict[str, Any]) -> None:
    """The same creep the other way."""
    view = view_of(quotes(prices(240, drift=-0.01, since=200).tolist()))
    found = hits(table, view, DOWN)
    assert any(200 <= place <= 214 for place in found)
    assert not any(place >= 200 for place in hits(table, view))


@pytest.mark.parametrize("table", CHARTS)
def test_one_jump_is_left_to_the_score(table: dict[str, Any]) -> None:
    """A level up by a fifth overnight, and no more than that: no chart alarms."""
    values = prices(300, seed=2)
    values[250:] *= 1.2
    view = view_of(quotes(values.tolist()))
    assert 250 not in hits(table, view)
    assert 250 in hits({"kind": "score", "value": 6.5}, view)


def test_the_flag_begins_where_the_creep_began() -> None:
    """`since` of CUSUM lies within a week of the first step of the creep, before the alarm; evidence names the price
    from which it set out."""
    values = prices(240, drift=0.01, since=200)
    view = view_of(quotes(values.tolist()))
    at = np.array(hits({"kind": "cusum"}, view)[:1])
    one = condition(kind="cusum")
    begin = int(one.since(view, at, UP)[0])
    assert 196 <= begin < at[0]
    measured = one.measure(view, at, UP)
    assert measured is not None
    assert measured.expected[0] == values[begin - 1]
    assert (measured.unit[0], measured.threshold[0]) == ("σ", 5.0)
    assert measured.score[0] > 5
    assert measured.clause is not None
    assert measured.clause[0].startswith("变动持续偏向上涨，自")


@pytest.mark.parametrize("direction", [UP, DOWN])
@pytest.mark.parametrize("table", [*CHARTS, {"kind": "ewma", "white": False}])
def test_the_limit_is_the_value_that_would_just_have_sufficed(table: dict[str, Any], direction: Direction) -> None:
    """A cent of a cent beyond it there is an alarm, a cent of a cent short of it there is none."""
    side = 1 if direction is UP else -1
    values = prices(240, drift=0.01 * side, since=200, seed=5)
    view = view_of(quotes(values.tolist()))
    at = next(place for place in hits(table, view, direction) if place >= 200)
    measured = condition(**table).measure(view, np.array([at]), direction)
    assert measured is not None
    limit = float(measured.limit[0])
    assert side * limit < side * values[at]
    for factor, expected in ((1 + 1e-6 * side, True), (1 - 1e-6 * side, False)):
        tried = [*values[:at].tolist(), limit * factor]
        assert (at in hits(table, view_of(quotes(tried)), direction)) is expected


@pytest.mark.parametrize("table", CHARTS)
def test_what_was_expected_is_no_shift(table: dict[str, Any]) -> None:
    """A climb that a reviewer called expected stays out of the charts."""
    rows = quotes(prices(240, drift=0.01, since=200).tolist())
    marked = panel_of(rows, dict.fromkeys(range(200, 240), Mark.EXPECTED))
    assert [place for place in hits(table, view_of(rows)) if place >= 200]
    assert not [place for place in hits(table, view_of(marked)) if place >= 200]


@pytest.mark.parametrize("table", CHARTS)
def test_a_lower_threshold_keeps_what_a_higher_one_opens(table: dict[str, Any]) -> None:
    """Eased, everything stays true that was, and more becomes so; the restarts are those of the full limit."""
    view = view_of(quotes(prices(1500, seed=8).tolist()))
    full, eased = set(hits(table, view)), set(hits(table, view, ease=0.6))
    assert full < eased


def test_volatility_is_found_without_a_move() -> None:
    """Steps of 4 % instead of 1 % from day 300 on, up and down: found within a month, upwards only."""
    rng = np.random.default_rng(3)
    steps = rng.normal(0, 0.01, 360)
    steps[300:] = 0.04 * np.where(np.arange(60) % 2, 1, -1)
    view = view_of(quotes((5 * np.exp(np.cumsum(steps))).tolist()))
    found = hits({"kind": "volatility"}, view)
    assert 300 <= found[0] < 330
    one = condition(kind="volatility")
    assert set(one.truth(view, DOWN).tolist()) == {-1, 0}
    np.testing.assert_array_equal(one.truth(view, DOWN) < 0, one.truth(view, UP) < 0)
    measured = one.measure(view, np.array(found[:1]), UP)
    assert measured is not None
    assert measured.score[0] > 2
    assert (measured.unit[0], measured.threshold[0]) == ("倍", 2.0)


def test_a_crowd_of_extremes_is_found_in_its_direction() -> None:
    """Three years calm, then every fourth day a rise beyond all others: seven of sixty after a month, up only."""
    rng = np.random.default_rng(4)
    steps = rng.normal(0, 0.01, 900)
    steps[800::4] = 0.06
    view = view_of(quotes((5 * np.exp(np.cumsum(steps))).tolist()))
    up = [place for place in hits({"kind": "extremes"}, view) if place >= 800]
    exact = [place for place in hits({"kind": "extremes", "exact": True}, view) if place >= 800]
    assert 810 < up[0] < 840
    assert up[0] < exact[0]
    assert not [place for place in hits({"kind": "extremes"}, view, DOWN) if place >= 800]


@pytest.mark.parametrize("table", KINDS)
def test_too_little_history_is_unknown(table: dict[str, Any]) -> None:
    """Two observations, or two months of them: no answer in either direction, never "normal"."""
    for n in (1, 2, 50):
        view = view_of(quotes(prices(n).tolist()))
        for direction in (UP, DOWN):
            assert set(condition(**table).truth(view, direction).tolist()) == {-1}


def awkward() -> dict[str, list[Observation]]:
    """Series on which nothing is to be said."""
    rng = np.random.default_rng(7)
    sticky = np.where(rng.random(1000) < 0.2, rng.normal(0, 0.02, 1000), 0.0)
    gaps: Sequence[float | None] = [None if n % 7 > 3 else v for n, v in enumerate(prices(1500, seed=9).tolist())]
    return {
        "flat": quotes([5.0] * 900),
        "sticky": quotes(np.round(5 * np.exp(np.cumsum(sticky)), 2).tolist()),
        "gaps": quotes(gaps),
        "mixed cadence": quotes(prices(400).tolist()) + quotes(prices(400, seed=2).tolist(), first=400, every=7),
        "zero and negative": quotes((rng.normal(0, 1, 900)).round(2).tolist(), item="利差", unit="%"),
    }


@pytest.mark.parametrize("name", sorted(awkward()))
@pytest.mark.parametrize("table", KINDS)
def test_awkward_series_have_answers_and_few_alarms(table: dict[str, Any], name: str) -> None:
    """Flat, sticky, with gaps, of mixed cadence, around zero: answers once there is history, alarms at most 3 %."""
    view = view_of(awkward()[name])
    for direction in (UP, DOWN):
        truth = condition(**table).truth(view, direction)
        assert (truth[-50:] >= 0).all()
        assert (truth == 1).mean() < 0.03
        if name == "flat":
            assert set(truth.tolist()) == {-1, 0}


def test_a_new_level_begins_a_new_chart() -> None:
    """Another unit in the middle of a climb: what had been added up before is not carried over."""
    values = prices(300, drift=0.006, since=270, seed=3)
    values[280:] *= 10
    view = view_of(quotes(values.tolist()))
    new = int(np.flatnonzero(view.rebased)[0])
    assert 280 < new < 286
    chart = Cusum(limit=100, white=False).chart(view)  # no alarm, no restart
    assert chart.up[279] > 3
    assert chart.up_since[279] < 275
    assert (chart.up_since[new:] >= new).all()


def test_the_reason_says_what_the_chart_saw() -> None:
    """The flag's sentence is the condition's own; its threshold is a price."""
    rows = quotes(prices(240, drift=0.01, since=200).tolist())
    flags = moves(rows, rule({"kind": "cusum"}, direction="up"))
    assert flags
    assert "变动持续偏向上涨，自" in flags[-1].reason
    assert flags[-1].expected < flags[-1].threshold <= flags[-1].value
    assert flags[-1].start < flags[-1].first_flagged


@pytest.mark.parametrize(
    "table",
    [{"kind": k, "window": 20, "least": 30} for k in ("ewma", "cusum")]
    + [{"kind": "volatility", "window": 30, "least": 40}],
)
def test_a_baseline_that_can_never_be_full_is_a_fault(table: dict[str, Any]) -> None:
    """`least` above `window` would be unknown for ever."""
    with pytest.raises(ValueError, match="least"):
        condition(**table)
