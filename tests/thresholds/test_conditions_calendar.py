"""Conditions on the date: seasons, public holidays."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from tests.thresholds.build import FIRST, condition, moves, quotes, rule, view_of
from thresholds import holidays
from thresholds.model import Direction

ON_2008_TO_2026 = {
    "清明": "2008-04-04 2009-04-04 2013-04-04 2014-04-05 2019-04-05 2020-04-04 2023-04-05 2024-04-04 2026-04-05",
    "端午": "2008-06-08 2009-05-28 2012-06-23 2015-06-20 2020-06-25 2023-06-22 2024-06-10 2025-05-31 2026-06-19",
    "中秋": "2008-09-14 2009-10-03 2012-09-30 2017-10-04 2020-10-01 2023-09-29 2024-09-17 2025-10-06 2026-09-25",
}
"""As announced by the notices of those years."""


def answers(table: dict[str, Any], first: date, days: int) -> dict[date, int]:
    """What a condition says of each day of a daily series."""
    begin = (first - FIRST).days
    view = view_of(quotes([5.0] * days, first=begin))
    truth = condition(**table).truth(view, Direction.UP)
    return {first + timedelta(days=n): int(t) for n, t in enumerate(truth)}


def true_days(table: dict[str, Any], first: date, days: int) -> list[str]:
    return [d.isoformat() for d, t in answers(table, first, days).items() if t == 1]


def test_months_and_thirds_of_the_month() -> None:
    """The first third of February and of December: days 1 to 10 of these months and no other day."""
    found = true_days({"kind": "season", "months": [2, 12], "xun": ["上"]}, date(2025, 1, 1), 365)
    assert found == [f"2025-{m}-{d:02}" for m in ("02", "12") for d in range(1, 11)]
    assert true_days({"kind": "season", "xun": ["下"]}, date(2024, 2, 1), 31)[:9] == [
        f"2024-02-{d}" for d in range(21, 30)
    ]


def test_a_part_of_the_year_may_go_over_new_year() -> None:
    """From 15 November to 15 March, both included; the end of February is 02-29 in every year."""
    winter = {"kind": "season", "begin": "11-15", "end": "03-15"}
    found = answers(winter, date(2025, 3, 1), 400)
    assert [found[date.fromisoformat(d)] for d in ("2025-03-15", "2025-03-16", "2025-11-14", "2025-11-15")] == [
        1,
        0,
        0,
        1,
    ]
    assert found[date(2026, 1, 1)] == 1
    assert true_days({"kind": "season", "begin": "02-27", "end": "02-29"}, date(2025, 2, 1), 60) == [
        "2025-02-27",
        "2025-02-28",
    ]


def test_days_around_spring_festival_move_with_it() -> None:
    """Spring Festival was on 2025-01-29 and on 2026-02-17; the named periods are those of the lunar table."""
    eve = {"kind": "season", "festival": [-2, 0]}
    assert true_days(eve, date(2025, 1, 1), 90) == ["2025-01-27", "2025-01-28", "2025-01-29"]
    assert true_days(eve, date(2026, 1, 1), 90) == ["2026-02-15", "2026-02-16", "2026-02-17"]
    for period, first, last in (
        ("春节前", "01-28", "02-16"),
        ("春节", "02-17", "02-23"),
        ("春节后", "02-24", "03-15"),
    ):
        found = true_days({"kind": "season", "period": period}, date(2026, 1, 1), 120)
        assert (found[0], found[-1]) == (f"2026-{first}", f"2026-{last}")


def test_beyond_the_tables_it_is_unknown_unless_the_rest_says_no() -> None:
    """In 2102 nobody knows the festival here; a month that does not fit is false all the same."""
    far = date(2102, 1, 1)
    assert set(answers({"kind": "season", "festival": [-20, 20]}, far, 60).values()) == {-1}
    mixed = answers({"kind": "season", "festival": [-20, 20], "months": [1]}, far, 60)
    assert mixed[far] == -1
    assert mixed[date(2102, 2, 1)] == 0
    assert set(answers({"kind": "holiday"}, far, 60).values()) == {-1}


@pytest.mark.parametrize("name", ON_2008_TO_2026)
def test_moving_holidays_are_those_of_the_notices(name: str) -> None:
    """Announced dates of 清明, 端午, 中秋 are on the days of the table, and the table has one day per year."""
    firsts = {date(1970, 1, 1) + timedelta(days=int(n)) for n in holidays.first_days(name)}
    assert {date.fromisoformat(text) for text in ON_2008_TO_2026[name].split()} <= firsts
    assert sorted(d.year for d in firsts) == list(range(2008, 2100))


def test_from_dragon_boat_to_mid_autumn_are_whole_lunar_months() -> None:
    """From 端午 to 中秋 are three lunar months and ten days, or four where a month is doubled."""
    dragon, autumn = (holidays.first_days(name).astype(float) for name in ("端午", "中秋"))
    months = (autumn - dragon - 10) / 29.530589
    assert np.abs(months - np.round(months)).max() < 0.06
    assert set(np.round(months)) == {3.0, 4.0}


def test_holidays_have_their_length_and_their_neighbours() -> None:
    """国庆 is seven days; two before and one after make ten; 清明 was none before 2008."""
    assert true_days({"kind": "holiday", "names": ["国庆"]}, date(2026, 9, 1), 60) == [
        f"2026-10-{d:02}" for d in range(1, 8)
    ]
    wide = true_days({"kind": "holiday", "names": ["国庆"], "before": 2, "after": 1}, date(2026, 9, 1), 60)
    assert (wide[0], wide[-1], len(wide)) == ("2026-09-29", "2026-10-08", 10)
    assert true_days({"kind": "holiday", "names": ["清明"]}, date(2007, 4, 1), 20) == []
    assert true_days({"kind": "holiday"}, date(2025, 12, 20), 31) == ["2026-01-01"]
    assert true_days({"kind": "holiday", "names": ["春节"], "before": 1}, date(2026, 2, 1), 40)[0] == "2026-02-16"


def test_a_rise_before_the_holiday_is_left_out_and_the_same_rise_in_june_is_not() -> None:
    """Under `not`: the rule keeps silent from twenty days before the festival to six after it."""
    table = {
        "all": [
            {"kind": "change", "over": "previous", "percent": 10},
            {"not": {"kind": "season", "festival": [-20, 6]}},
        ]
    }
    for jump, flags in ((date(2026, 2, 5), 0), (date(2026, 6, 5), 1)):
        rise = (jump - FIRST).days
        assert len(moves(quotes([5.0] * rise + [6.0] * 3), rule(table, direction="up"))) == flags


WRONG = (
    ({"kind": "season"}, "no season is given"),
    ({"kind": "season", "months": [13]}, "not a month"),
    ({"kind": "season", "begin": "11-31", "end": "12-01"}, "not a day of the year"),
    ({"kind": "season", "begin": "11-01"}, "only one of"),
    ({"kind": "season", "festival": [5, -5]}, "do not rise"),
    ({"kind": "holiday", "before": 400}, "60"),
    ({"kind": "holiday", "names": ["儿童节"]}, "names"),
)


@pytest.mark.parametrize(("table", "said"), WRONG)
def test_what_is_no_date_is_a_fault(table: dict[str, Any], said: str) -> None:
    """Said with what is wrong, not taken for something else."""
    with pytest.raises(ValueError, match=said):
        condition(**table)


def test_an_empty_panel_has_no_answer() -> None:
    """No observation, no day."""
    view = view_of(view_of(quotes([5.0])).panel.only(np.array([False])))
    for table in ({"kind": "season", "months": [1]}, {"kind": "holiday"}):
        assert len(condition(**table).truth(view, Direction.UP)) == 0
