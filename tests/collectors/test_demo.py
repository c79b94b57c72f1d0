"""The demonstration city: the same whenever it is asked, marked as simulated, plausible, with known events in it."""

from __future__ import annotations

import json
import time
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from pydantic import ValidationError

from collectors.base import CollectError, Fetched
from collectors.demo import DemoCollector, DemoOptions
from collectors.demo_city import City, day_range, planted
from collectors.demo_events import CRISES, Planted, Slip, What
from collectors.demo_items import AREAS, CLASSES, ITEMS, MARK, SPRING_FESTIVALS
from thresholds.model import Direction, FloatArray

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)  # 14:00 in the city: all points have reported
TODAY = date(2026, 11, 22)
SEED = 20260101
CITY = City(SEED, TODAY)
FIRST = TODAY - timedelta(days=500)
PINNED = [2.95, 76.0, 8.3, 4.6, 6.3]


def options(**given: object) -> DemoOptions:
    return DemoOptions.model_validate({"name": "演示数据", "kind": "demo", "every": "1m", **given})


def fetch(now: datetime = NOW, cursor: dict[str, object] | None = None, **given: object) -> list[Fetched]:
    return list(DemoCollector(options(**given)).fetch(cursor or {}, now))


def rows(parts: list[Fetched]) -> set[tuple[object, int, float]]:
    """Every observation as (key, time, value)."""
    return {
        (part.batch.keys[series], at, value)
        for part in parts
        for series, at, value in zip(
            part.batch.series.tolist(), part.batch.at.tolist(), part.batch.value.tolist(), strict=True
        )
    }


def of_class(kind: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.array([ITEMS[i].kind == kind for i in CITY.item])


def city_level(values: FloatArray, kind: str) -> FloatArray:
    """Geometric mean over all series of a class, by day."""
    level: FloatArray = np.exp(np.log(values[of_class(kind)]).mean(axis=0))
    return level


# --- the same whenever it is asked ---


def test_a_day_has_the_same_prices_whatever_window_is_asked_and_in_whatever_order() -> None:
    whole = CITY.prices(FIRST, TODAY)
    for begin, length in [(499, 1), (0, 1), (250, 40), (100, 3), (490, 11)]:
        first = FIRST + timedelta(days=begin)
        part = City(SEED, TODAY).prices(first, first + timedelta(days=length - 1))
        np.testing.assert_array_equal(part, whole[:, begin : begin + length])


def test_the_same_seed_is_the_same_city_and_another_seed_another_one() -> None:
    day = TODAY - timedelta(days=30)
    one, again, other = (City(seed, TODAY).prices(day, day) for seed in (SEED, SEED, SEED + 1))
    np.testing.assert_array_equal(one, again)
    assert np.mean(one == other) < 0.4


def test_the_city_stays_as_it_is_from_version_to_version() -> None:
    """Values pinned: changing them would turn every installed demonstration's history into corrections."""
    values = CITY.prices(TODAY, TODAY)[:, 0]
    egg = next(i for i, key in enumerate(CITY.keys) if key.item == "鸡蛋")
    assert values[[0, 100, egg, 400, 719]].tolist() == PINNED


def test_fewer_points_and_items_are_a_part_of_the_same_city() -> None:
    small = City(SEED, TODAY, points=5, items=20)
    day = date(2026, 3, 15)
    whole = dict(zip(CITY.keys, CITY.prices(day, day)[:, 0], strict=False))
    for key, value in zip(small.keys, small.prices(day, day)[:, 0], strict=False):
        np.testing.assert_equal(value, whole[key])


def test_asking_often_brings_the_same_rows_as_asking_once() -> None:
    start = NOW.replace(hour=0) - timedelta(days=1)
    often, cursor = fetch(start, days=3), {}
    cursor = dict(often[-1].cursor)
    for minutes in range(10, 3 * 24 * 60, 10):
        brought = fetch(start + timedelta(minutes=minutes), cursor, days=3)
        often += brought
        cursor = dict(brought[-1].cursor) if brought else cursor
    end = start + timedelta(minutes=minutes)
    once = fetch(end, days=4, start=date(2026, 11, 21))
    assert rows(often) == {row for row in rows(once) if row[1] >= CITY.midnight(date(2026, 11, 18).toordinal())}
    assert sum(len(part.batch) for part in often) == len(rows(often)), "a row was brought twice"
    assert len(often) > 15, "points should report one after another during the morning"


def test_a_crash_between_parts_goes_on_in_the_same_world() -> None:
    parts = fetch()
    stored = parts[:4]
    cursor = json.loads(json.dumps(dict(stored[-1].cursor)))  # as the store keeps it
    later = fetch(NOW, cursor)
    assert rows(stored) | rows(later) == rows(parts)
    assert later[-1].cursor["start"] == "2026-11-22"


def test_later_fetches_keep_the_crises_where_the_first_fetch_put_them() -> None:
    parts = fetch(NOW, days=30)
    later = fetch(NOW + timedelta(days=40), dict(parts[-1].cursor), days=30)
    anchored = City(SEED, TODAY).prices(TODAY, TODAY + timedelta(days=40))
    value = {(key, at): value for key, at, value in rows(later)}
    for day in (1, 20, 40):
        at = CITY.midnight(TODAY.toordinal() + day)
        expected = {(k, at): v for k, v in zip(CITY.keys, anchored[:, day], strict=False) if not np.isnan(v)}
        assert expected.items() <= value.items()


def test_nothing_new_and_a_clock_set_back_bring_nothing() -> None:
    cursor = dict(fetch(days=5)[-1].cursor)
    assert fetch(NOW, cursor, days=5) == []
    assert fetch(NOW - timedelta(days=2), cursor, days=5) == []
    assert fetch(NOW + timedelta(hours=5), cursor, days=5) == [], "nobody reports in the evening"


@pytest.mark.parametrize("change", [{"seed": 5}, {"start": date(2026, 1, 1)}])
def test_another_city_in_the_same_database_is_refused_with_the_remedy(change: dict[str, object]) -> None:
    cursor = dict(fetch(days=5)[-1].cursor)
    with pytest.raises(CollectError, match="use a new database") as caught:
        fetch(NOW + timedelta(days=1), cursor, days=5, **change)
    assert caught.value.permanent
    assert caught.value.reason == "changed"


# --- marked ---


def test_every_series_says_that_it_is_simulated() -> None:
    parts = fetch()
    assert all(part.name.startswith("演示数据") for part in parts)
    assert {source for part in parts for source in part.batch.sources} == {MARK} == {"演示数据"}
    named = fetch(days=1, name="演示数据(二)")
    assert {source for part in named for source in part.batch.sources} == {"演示数据(二)"}, "as the source is called"
    assert all(key.point.startswith("演示") for part in parts for key in part.batch.keys)
    assert all(area.startswith("演示") for part in parts for area in part.batch.areas)


# --- size and speed ---


def test_twelve_points_and_sixty_items_with_real_units_and_four_indicators() -> None:
    assert len(CITY.keys) == len(CITY.areas) == 12 * 60 + 4
    assert len(set(CITY.keys)) == len(CITY.keys)
    assert len({(one.name, one.spec) for one in ITEMS}) == 60
    assert {one.unit for one in ITEMS} >= {"元/500克", "元/5升", "元/盒", "元/千克", "元/50千克"}
    assert {one.kind for one in ITEMS} == set(CLASSES)
    monthly = [key for key, *_ in rows(fetch(days=100)) if key.item == "不良贷款率"]  # type: ignore[attr-defined]
    assert 3 <= len(monthly) <= 4


def test_five_hundred_days_take_less_than_a_second_and_a_half() -> None:
    begin = time.perf_counter()
    parts = fetch()
    taken = time.perf_counter() - begin
    assert sum(len(part.batch) for part in parts) > 350_000
    assert max(len(part.batch) for part in parts) < 50_000, "one transaction should stay small"
    assert taken < 1.5


# --- plausible ---


def test_values_are_positive_and_rounded_as_on_price_tags() -> None:
    quotes = CITY.quotes(day_range(FIRST, TODAY))
    assert quotes.min() > 0
    np.testing.assert_allclose(np.round(quotes / 0.05), quotes / 0.05, atol=1e-6)


def test_most_quotes_are_those_of_the_day_before_and_least_so_for_vegetables() -> None:
    quotes = CITY.quotes(day_range(FIRST, TODAY))
    same = quotes[:, 1:] == quotes[:, :-1]
    share = {kind: float(same[of_class(kind)].mean()) for kind in CLASSES}
    assert 0.65 < same.mean() < 0.9
    assert min(share, key=lambda kind: share[kind]) == "菜"
    assert share["粮"] > 0.9
    assert 0.4 < share["菜"] < 0.75


@pytest.mark.parametrize("year", [2025, 2026, 2027])
def test_vegetables_and_fish_rise_before_spring_festival_and_fall_below_after_it(year: int) -> None:
    day = next(d for d in SPRING_FESTIVALS if d.year == year)
    first = day - timedelta(days=25)
    quotes = City(SEED, date(2030, 1, 1)).quotes(day_range(first, day + timedelta(days=30)))
    for kind, least in [("菜", 0.15), ("水产", 0.08), ("果", 0.05)]:
        level = city_level(quotes, kind)
        before, at, after = level[:5].mean(), level[24:29].mean(), level[49:54].mean()
        assert at / before - 1 > least, kind
        assert after / at - 1 < -0.04, kind
        assert kind != "菜" or after < before
    grain = city_level(quotes, "粮")
    assert abs(grain / grain[0] - 1).max() < 0.02


def test_vegetables_are_dearer_in_winter_than_in_summer() -> None:
    quotes = City(SEED, date(2030, 1, 1)).quotes(day_range(date(2025, 1, 1), date(2025, 12, 31)))
    level = city_level(quotes, "菜")
    assert level[340:].mean() > 1.15 * level[170:230].mean()


def test_vegetables_cost_a_little_more_at_weekends() -> None:
    days = day_range(date(2022, 6, 1), date(2025, 6, 1))
    level = np.log(city_level(CITY.quotes(days), "菜"))
    weekday = (days - 1) % 7
    assert 0.003 < level[weekday == 6].mean() - level[weekday == 4].mean() < 0.03


def test_staples_hardly_ever_step_five_per_cent_without_a_crisis() -> None:
    calm = City(SEED, date(2040, 1, 1)).quotes(day_range(FIRST, TODAY))
    steps = abs(calm[:, 1:] / calm[:, :-1] - 1)
    staple = np.isin([ITEMS[i].kind for i in CITY.item], ["粮", "油", "肉", "蛋"])
    assert 0 < (steps[staple] > 0.05).sum() < 0.0006 * steps[staple].size


def test_spring_festivals_are_new_moons_between_21_january_and_20_february() -> None:
    lunation = 29.530588
    known = date(2020, 1, 25).toordinal()
    assert [day.year for day in SPRING_FESTIVALS] == list(range(2015, 2036))
    for day in SPRING_FESTIVALS:
        assert date(day.year, 1, 21) <= day <= date(day.year, 2, 20)
        months = (day.toordinal() - known) / lunation
        assert abs(months - round(months)) * lunation < 1.1, f"{day} is no new moon"


# --- planted ---


def events(what: What) -> list[Planted]:
    return [one for one in planted(NOW, SEED) if one.what is what]


def test_three_crises_are_planted_a_year_back_past_and_under_way() -> None:
    found = events(What.CRISIS)
    assert [one.name for one in found] == [crisis.name for crisis in CRISES]
    assert [one.first for one in found] == [date(2025, 11, 22), date(2026, 7, 25), date(2026, 11, 17)]
    assert [one.first <= TODAY <= one.last for one in found] == [False, False, True]
    assert all(one.direction is Direction.UP for one in found)
    assert [one.areas for one in found] == [AREAS, AREAS[:2], AREAS]


@pytest.mark.parametrize("number", range(3))
def test_a_planted_crisis_shows_in_the_prices_of_its_series_and_of_no_other(number: int) -> None:
    crisis = events(What.CRISIS)[number]
    days = day_range(crisis.first - timedelta(days=3), crisis.last + timedelta(days=40))
    ratio = CITY.quotes(days) / City(SEED, date(2040, 1, 1)).quotes(days)
    concerned = np.array([key in crisis.series for key in CITY.keys[: len(CITY.item)]])
    peak = ratio.max(axis=1)
    assert peak[concerned].min() > 1 + 0.7 * (crisis.factor - 1)
    assert peak[concerned].max() < 1 + 1.5 * (crisis.factor - 1)
    np.testing.assert_array_equal(ratio[~concerned], 1)
    np.testing.assert_array_equal(ratio[:, :3], 1)
    np.testing.assert_allclose(ratio[:, -1], 1)


def test_the_crisis_under_way_steps_more_than_five_per_cent_at_every_point_within_the_last_week() -> None:
    quotes = CITY.quotes(day_range(TODAY - timedelta(days=7), TODAY))
    eggs = np.array([ITEMS[i].name == "鸡蛋" for i in CITY.item])
    steps = quotes[eggs, 1:] / quotes[eggs, :-1] - 1
    assert ((steps > 0.05).sum(axis=1) >= 1).all()
    assert (quotes[eggs, -1] / quotes[eggs, 0]).mean() > 1.25


def test_planted_errors_are_in_the_reported_values_and_nowhere_else() -> None:
    first, last = FIRST, TODAY + timedelta(days=10)
    reported, right = CITY.prices(first, last), CITY.quotes(day_range(first, last))
    wrong = {(CITY.keys[r], first + timedelta(days=c)): (reported[r, c], right[r, c])
             for r, c in np.argwhere(~np.isnan(reported) & (reported != right)).tolist()}  # fmt: skip
    found = events(What.ERROR)
    assert {(one.series[0], one.first) for one in found} == wrong.keys()
    assert {one.name for one in found} == {slip.name for slip in Slip if slip}
    for one in found:
        value, truth = wrong[one.series[0], one.first]
        if one.name == Slip.SWAPPED.name:
            assert value > 1.5 * truth or value < truth / 1.5
        else:
            assert value == pytest.approx(one.factor * truth, abs=0.006)
    assert 40 < len(found) < 120


def test_each_sort_of_error_is_among_the_newest_days() -> None:
    newest = {one.name for one in events(What.ERROR) if TODAY - timedelta(days=5) <= one.first <= TODAY}
    assert newest == {"DIGIT", "UNIT", "ZERO", "SWAPPED"}
    assert any(one.first == TODAY for one in events(What.ERROR)), "a newcomer should find one that is still open"


def test_silent_points_report_nothing_and_one_is_silent_now() -> None:
    found = events(What.SILENCE)
    assert len(found) > 5
    assert any(one.first <= TODAY - timedelta(days=2) and one.last >= TODAY for one in found)
    prices = CITY.prices(FIRST, TODAY + timedelta(days=10))
    for one in found:
        quiet = np.array([key in one.series for key in CITY.keys[: len(CITY.item)]])
        days = slice((one.first - FIRST).days, (one.last - FIRST).days + 1)
        assert np.isnan(prices[quiet, days]).all()
        assert 2 <= (one.last - one.first).days + 1 <= 5
    gaps = np.isnan(prices).mean()
    assert 0.005 < gaps < 0.03


# --- options ---


def test_faulty_options_are_refused() -> None:
    for given in (
        {"name": "城市"},
        {"points": 0},
        {"items": 61},
        {"days": -1},
        {"seed": -1},
        {"columns": {"item": "x"}},
    ):
        with pytest.raises(ValidationError):
            options(**given)
