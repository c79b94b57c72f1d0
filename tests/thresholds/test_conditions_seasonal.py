"""Conditions on the season, from observations to flags."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pytest
from pydantic import ValidationError

from tests.thresholds.build import at, condition, moves, panel_of, quotes, rule, view_of
from thresholds.lunar import SPRING_FESTIVAL
from thresholds.model import Direction, Mark, Observation, SeriesKey

UP, DOWN = Direction.UP, Direction.DOWN
SEASONAL = {"kind": "seasonal", "value": 5}


def monthly(
    values: Sequence[float], item: str = "大白菜", unit: str = "元/500克", first: int = 2010
) -> list[Observation]:
    """One observation in the middle of each month."""
    key = SeriesKey(item, "", unit, "零售", "城南市场")
    return [
        Observation(key, at(first=date(first + n // 12, n % 12 + 1, 15)), float(v), area="甲区")
        for n, v in enumerate(values)
    ]


def waved(n: int, period: float, seed: int = 1) -> list[float]:
    """Prices with a season of a fifth, and noise of two percent."""
    rng = np.random.default_rng(seed)
    level = 3 * np.exp(0.2 * np.sin(2 * np.pi * np.arange(n) / period) + rng.normal(0, 0.02, n))
    return [float(x) for x in level]


def test_the_season_itself_is_no_alarm_and_what_breaks_it_is() -> None:
    """A price as high as every summer passes; the same price in winter is flagged, monthly and daily alike."""
    for make, n, period in ((monthly, 96, 12.0), (quotes, 1400, 365.25)):
        values = waved(n, period)
        low = n - 4 if period == 12 else 1365  # the trough of the last season
        assert moves(make(values), rule(SEASONAL)) == []
        values[low] = 3.0
        flags = moves(make(values), rule(SEASONAL))
        assert [(f.direction, f.value) for f in flags] == [(UP, 3.0)]
        assert flags[0].expected == pytest.approx(3 * np.exp(-0.2), rel=0.06)


def test_reasons_name_what_was_compared_with() -> None:
    """The phase of ALPS for monthly series; the number behind the expectation; limits in the unit of the series."""
    values = waved(96, 12)
    values[92] *= 1.5
    reason = moves(monthly(values), rule(SEASONAL))[0].reason
    assert "按往年同月规律（ALPS：危机）（92期）应在" in reason
    view = view_of(monthly(values))
    measured = condition(**SEASONAL).measure(view, np.array([92]), UP)
    assert measured is not None
    assert measured.score[0] > 5
    assert measured.limit[0] == pytest.approx(measured.expected[0] * np.exp(5 * measured.scale[0]))
    assert measured.expected[0] < measured.limit[0] < measured.value[0]


def test_cadence_decides_which_model_applies() -> None:
    """`auto` is alps for monthly and fourier for daily series; the other one is unknown there, never normal."""
    for rows, right, wrong in (
        (monthly(waved(60, 12)), "alps", "fourier"),
        (quotes(waved(900, 365.25)), "fourier", "alps"),
    ):
        view = view_of(rows)
        auto = condition(**SEASONAL).truth(view, UP)
        np.testing.assert_array_equal(auto, condition(**SEASONAL, model=right).truth(view, UP))
        assert (auto >= 0).any()
        assert (condition(**SEASONAL, model=wrong).truth(view, UP) == -1).all()


@pytest.mark.parametrize("table", [{"kind": "seasonal", "value": 2}, {"kind": "ifpa"}])
def test_awkward_inputs_have_defined_answers(table: dict[str, object]) -> None:
    """Two observations, a flat series, zero and negative values, irregular times: unknown or calm, never a fault."""
    one = condition(**table)
    flat = view_of(monthly([3.0] * 80))
    assert set(one.truth(flat, UP)[60:].tolist()) == {0}
    for values in ([3.0, 4.0], [0.0] * 80, [-1.0] * 80):
        assert (one.truth(view_of(monthly(values)), UP) == -1).all()
    key = SeriesKey("大白菜", "", "元/500克", "零售", "甲")
    days = np.cumsum(np.random.default_rng(1).integers(1, 90, 80))
    view = view_of([Observation(key, at(int(d)), 3.0 + d % 5 / 10) for d in days])
    assert one.truth(view, DOWN).shape == (80,)


def test_signed_series_are_judged_by_differences() -> None:
    """An index around zero has a season too: no logarithm is taken."""
    values = [10 * np.sin(2 * np.pi * n / 12) + np.random.default_rng(n).normal() for n in range(90)]
    values[80] += 20
    view = view_of(monthly(values, item="景气指数", unit="点"))
    truth = condition(**SEASONAL).truth(view, UP)
    assert truth[80] == 1
    assert (truth[36:80] == 0).all()
    measured = condition(**SEASONAL).measure(view, np.array([80]), UP)
    assert measured is not None
    assert measured.expected[0] == pytest.approx(10 * np.sin(2 * np.pi * 80 / 12), abs=2)


@pytest.mark.parametrize("mark", [Mark.DATA_ERROR, Mark.EXPECTED])
def test_what_a_reviewer_excludes_leaves_the_baseline(mark: Mark) -> None:
    """The months after a marked value score as if it had never been reported."""
    values = waved(80, 12)
    values[60] *= 1.6
    rows = monthly(values)
    for table in ({"kind": "seasonal", "value": 2}, {"kind": "ifpa"}):
        one = condition(**table)
        marked = one.scores(view_of(panel_of(rows, {60: mark}))).score  # type: ignore[attr-defined]
        without = one.scores(view_of(rows[:60] + rows[61:])).score  # type: ignore[attr-defined]
        np.testing.assert_array_equal(marked[61:], without[60:])
        assert np.isnan(marked[60]) == (mark is Mark.DATA_ERROR)


@pytest.mark.parametrize("table", [{"kind": "seasonal", "value": 1.5}, {"kind": "ifpa", "value": 0.5}])
def test_what_is_known_later_changes_no_answer(table: dict[str, object]) -> None:
    """A monthly and a daily series with doubtful values among them, cut at many times."""
    monthly_values, daily = waved(75, 12), waved(1000, 365.25)
    monthly_values[40] *= 10
    daily[800] *= 10
    panel = panel_of(monthly(monthly_values, first=2022) + quotes(daily, point="乙"))
    one = condition(**table)
    whole = {d: one.truth(view_of(panel), d) for d in (UP, DOWN)}
    assert any((answers == 1).any() for answers in whole.values())
    for cut in np.unique(panel.time)[40::97]:
        known = panel.time <= cut
        for direction, answers in whole.items():
            np.testing.assert_array_equal(one.truth(view_of(panel.only(known)), direction), answers[known])


def test_easing_lowers_the_threshold() -> None:
    """What holds a flag open: at 90 % of the threshold nothing is lost, and more is true at a tenth of it."""
    view = view_of(monthly(waved(80, 12)))
    for table in ({"kind": "seasonal", "value": 2}, {"kind": "ifpa"}):
        one = condition(**table)
        strict, eased = one.truth(view, UP), one.truth(view, UP, 0.1)
        assert (eased[strict == 1] == 1).all()
        assert (eased == 1).sum() > (strict == 1).sum()


def test_ifpa_flags_a_month_that_grew_as_no_such_month_before() -> None:
    """The expected price and the limit are those at which the indicator is 0 and 1."""
    values = waved(90, 12)
    values[80] *= 1.5
    view = view_of(monthly(values))
    one = condition(kind="ifpa")
    assert one.truth(view, UP)[80] == 1
    measured = one.measure(view, np.array([80]), UP)
    assert measured is not None
    values[80] = float(measured.limit[0])
    again = view_of(monthly(values))
    assert one.scores(again).score[80] == pytest.approx(1.0)  # type: ignore[attr-defined]
    assert measured.expected[0] < measured.limit[0] < measured.value[0]


@pytest.mark.parametrize("kind", ["seasonal", "ifpa"])
def test_windows_too_short_for_a_season_are_refused(kind: str) -> None:
    """`years` of one: the message says what to write instead."""
    with pytest.raises(ValidationError, match="Use 0 for"):
        condition(kind=kind, value=3, years=1)


def test_year_on_year_by_the_lunar_calendar_forgives_the_festival() -> None:
    """A price that climbs 60 % before every Spring Festival: a jump by the Gregorian year, none by the lunar."""
    first, values = date(2023, 1, 1), []
    for n in range(1150):
        day = first + timedelta(days=n)
        away = min(abs((day - f).days) for f in SPRING_FESTIVAL.values() if abs((day - f).days) < 200)
        values.append(3.0 * (1 + 0.6 * max(0.0, 1 - away / 25)))
    key = SeriesKey("大白菜", "", "元/500克", "零售", "甲")
    rows = [Observation(key, at(n, first=first), v, area="甲区") for n, v in enumerate(values)]
    by = {over: moves(rows, rule({"kind": "change", "over": over, "percent": 20})) for over in ("1y", "1y-lunar")}
    assert len(by["1y"]) >= 3
    assert by["1y-lunar"] == []
    rows[1141] = Observation(key, rows[1141].at, values[1141] * 1.5, area="甲区")
    assert "较上年农历同日" in moves(rows, rule({"kind": "change", "over": "1y-lunar", "percent": 20}))[0].reason
