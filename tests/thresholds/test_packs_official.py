"""Official rules replayed to the days that were published; the packs as shipped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from tests.thresholds.build import found, shipped
from thresholds.model import Flag, Kind, Observation, SeriesKey
from thresholds.panel import SHANGHAI
from thresholds.plan import Policy


def only(pack: str) -> Policy:
    """The shipped policy with this pack alone."""
    policy = shipped()
    return replace(policy, packs=tuple(p for p in policy.packs if p.id == pack))


def series(item: str, unit: str, rows: Sequence[tuple[str, float]], channel: str = "") -> list[Observation]:
    key = SeriesKey(item, "", unit, channel, "全国")
    return [
        Observation(key, datetime.fromisoformat(d).replace(tzinfo=SHANGHAI).astimezone(UTC), v, area="全国")
        for d, v in rows
    ]


def flagged(observations: list[Observation], pack: str) -> list[Flag]:
    return [f for f in found(observations, only(pack)).flags if f.kind is Kind.MOVE]


def days(flags: Sequence[Flag]) -> list[tuple[str, str]]:
    return [(f.rule.partition("/")[2], f.first_flagged.astimezone(SHANGHAI).date().isoformat()) for f in flags]


def weeks(last: str, ratios: Sequence[float]) -> list[tuple[str, float]]:
    """Fridays, the last one at `last`."""
    end = date.fromisoformat(last)
    return [((end - timedelta(weeks=len(ratios) - 1 - k)).isoformat(), r) for k, r in enumerate(ratios)]


MAIZE = 2.8
FALL_2022 = weeks("2022-01-28", [7.2, 6.9, 6.4, 6.1, 5.9, 5.7, 5.57])
"""Published: 5.57:1 in the week of 24 to 28 January 2022, the third week running between 5:1 and 6:1."""
FALL_2023 = weeks("2023-02-03", [7.1, 6.5, 6.2, 5.8, 5.3, 4.96])
"""Published: 4.96:1 in the week of 30 January to 3 February 2023. The weeks before are made up in both."""


def hog_and_maize(ratios: Sequence[tuple[str, float]]) -> list[Observation]:
    """元/50千克 for the hog, 元/千克 for the maize, as in price offices' forms."""
    hog = series("生猪", "元/50千克", [(d, round(r * MAIZE * 50, 2)) for d, r in ratios], "出场")
    return hog + series("玉米", "元/千克", [(d, MAIZE) for d, _ in ratios], "批发")


@pytest.mark.parametrize("published", [False, True])
def test_pig_grain_ratio_of_january_2022(published: bool) -> None:
    """Below 6:1 is level three at once, the third week in 5 to 6 is level two, on 2022-01-28 and not before."""
    rows = series("猪粮比价", ":1", FALL_2022) if published else hog_and_maize(FALL_2022)
    flags = flagged(rows, "pork2021")
    assert days(flags) == [("fall-3", "2022-01-14"), ("fall-2", "2022-01-28")]
    assert flags[1].start.astimezone(SHANGHAI).date() == date(2022, 1, 14)


def test_pig_grain_ratio_of_february_2023() -> None:
    """4.96:1 is level one on the week it was published for."""
    flags = flagged(hog_and_maize(FALL_2023), "pork2021")
    assert days(flags) == [("fall-3", "2023-01-20"), ("fall-1", "2023-02-03")]
    assert "生猪在全国全国为694.4元/50千克，与玉米之比为4.96:1，低于5:1。" in flags[1].reason
    assert flags[1].threshold == pytest.approx(5 * MAIZE * 50)


def test_three_days_in_the_band_are_not_three_weeks() -> None:
    """Daily prices: level two comes after twelve days in the band, not on the third."""
    ratios = [(f"2022-03-{d:02}", 5.5 if d > 5 else 6.5) for d in range(1, 25)]
    assert days(flagged(hog_and_maize(ratios), "pork2021")) == [("fall-3", "2022-03-06"), ("fall-2", "2022-03-18")]


def test_stale_maize_makes_no_ratio() -> None:
    """A maize price eleven days old says nothing of the ratio: no flag, rather than a wrong one."""
    rows = [o for o in hog_and_maize(FALL_2022) if o.key.item == "生猪" or o.at < datetime(2022, 1, 3, tzinfo=UTC)]
    assert not flagged(rows, "pork2021")


def lean(rises: Sequence[tuple[str, float]]) -> list[Observation]:
    """Weekly means whose rise over the same week of the year before is given, from the week before the first on."""
    monday = date.fromisoformat(rises[0][0])
    before = [((monday + timedelta(weeks=k - 54)).isoformat(), 15.0 + 0.1 * (k % 3)) for k in range(54)]
    past = dict(before)
    rows = list(before)
    for day, rise in rises:
        earlier = (date.fromisoformat(day) - timedelta(weeks=52)).isoformat()
        rows.append((day, past[earlier] * (1 + rise / 100)))
        past[day] = rows[-1][1]
    return series("精瘦肉", "元/500克", rows, "零售")


def test_lean_pork_year_on_year_of_2022() -> None:
    """30 % or more on 2022-09-19: level two; more than 40 % on 2022-10-10: level one. Other weeks are made up."""
    rises = [("2022-09-05", 26.0), ("2022-09-12", 29.0), ("2022-09-19", 30.6), ("2022-09-26", 36.0)]
    rises += [("2022-10-03", 39.9), ("2022-10-10", 41.0), ("2022-10-17", 43.0)]
    assert days(flagged(lean(rises), "pork2021")) == [("lean-2", "2022-09-19"), ("lean-1", "2022-10-10")]


def test_sows_are_compared_with_the_year_before() -> None:
    """A stock 5.2 % below that of the same month last year is level two."""
    months = [f"{y}-{m:02}-01" for y in (2023, 2024) for m in range(1, 13)]
    rows = [(m, 4300.0 if m < "2024" else 4300 * (0.97 if m < "2024-03" else 0.948)) for m in months]
    assert days(flagged(series("能繁母猪存栏", "万头", rows), "pork2021"))[0] == ("sow-2", "2024-03-01")


@pytest.mark.parametrize(
    ("fall", "expected"), [(4.99, None), (5, "sow-3m-2"), (10, "sow-3m-2"), (10.01, "sow-3m-1"), (20, "sow-3m-1")]
)
def test_sows_are_compared_with_three_months_before(fall: float, expected: str | None) -> None:
    """5 % and 10 % over three months are level two, more than 10 % is level one, whatever the year before was."""
    months = ["2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01"]
    stock = [4000.0, 4000 * (1 - fall / 300), 4000 * (1 - fall / 150), 4000 * (1 - fall / 100)]
    flags = flagged(series("能繁母猪存栏", "万头", list(zip(months, stock, strict=True))), "pork2021")
    assert days(flags) == ([(expected, "2024-04-01")] if expected else [])


CPI = {"2022-05": 3.1, "2022-07": 3.4, "2022-08": 2.5, "2022-09": 3.0, "2023-02": 3.2, "2023-03": 3.3, "2024-01": 3.5}


@pytest.mark.parametrize(("unit", "base"), [("%", 0.0), ("上年同月=100", 100.0)])
def test_the_temporary_three_percent_holds_for_its_months_only(unit: str, base: float) -> None:
    """3.0 and 3.2 count for the indices of 2022-08 to 2023-02; 3.1 before and 3.3 after do not; 3.5 always does."""
    for month, rise in CPI.items():
        rows = series("居民消费价格同比", unit, [(f"{month}-01", round(base + rise, 1))])
        due = rise >= 3.5 or (rise >= 3.0 and "2022-08" <= month <= "2023-02")
        assert bool(flagged(rows, "subsidy-cpi")) == due, month


def test_food_prices_have_their_own_bound() -> None:
    """6 % of food, whatever the whole; 5.9 % is not enough."""
    assert days(flagged(series("食品价格同比", "%", [("2023-05-01", 6.0)]), "subsidy-cpi")) == [
        ("food", "2023-05-01")
    ]
    assert not flagged(series("食品价格同比", "%", [("2023-05-01", 5.9)]), "subsidy-cpi")


def complaints(counts: Sequence[int]) -> list[Observation]:
    rows = [((date(2026, 1, 5) + timedelta(days=k)).isoformat(), float(c)) for k, c in enumerate(counts)]
    return series("12315投诉举报", "件", rows)


def test_complaints_are_compared_with_their_weekday() -> None:
    """Sundays have 3, weekdays 12: 24 on a Monday is twice as many and flagged, 7 on a Sunday as well; 12 is not."""
    usual = [3 if k % 7 == 6 else 12 for k in range(70)]
    assert not flagged(complaints(usual), "complaints-12315")
    monday, sunday = [*usual[:63], 24], [*usual[:62], 7]
    for counts in (monday, sunday):
        flags = flagged(complaints(counts), "complaints-12315")
        assert [f.rule.partition("/")[0] for f in flags] == ["complaints-12315"]
    assert not flagged(complaints([*usual[:62], 4]), "complaints-12315")


def test_chance_alone_seldom_makes_a_surge() -> None:
    """A year of Poisson days about 12: no flag of the surge rule."""
    rng = np.random.default_rng(21)
    flags = flagged(complaints(rng.poisson(12, 365).tolist()), "complaints-12315")
    assert not [f for f in flags if f.rule.endswith("surge")]
