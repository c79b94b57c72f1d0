"""What makes a move news to a statistical rule: no rebound, and within an open flag a further leap."""

from __future__ import annotations

from typing import Any

from tests.thresholds.build import moves, quotes, rule
from thresholds.model import Flag

STEP = {"kind": "score", "over": 1, "window": 60, "least": 12, "value": 5}
STATISTICAL = rule(STEP, rank_from_score=[50])
RISE = rule({"kind": "change", "over": "previous", "percent": 20})


def calm(n: int = 40) -> list[float]:
    """Quotes that move by half a percent, up and down."""
    return [10 + 0.05 * (k % 2) for k in range(n)]


def told(values: list[float], by: dict[str, Any] = STATISTICAL, **where: Any) -> list[str]:
    """`direction day` of each flag, days counted from the first reading after the calm ones."""
    rows = quotes([*calm(), *values], **where)
    return [describe(flag, rows[0].at.timestamp()) for flag in moves(rows, by)]


def describe(flag: Flag, begin: float) -> str:
    return f"{flag.direction.value} {round((flag.first_flagged.timestamp() - begin) / 86_400) - 40}"


def test_the_way_back_after_a_leap_opens_no_flag_of_a_statistical_rule() -> None:
    """Up by 30 % and back within the month: one flag; a fall below where it came from is a second one."""
    assert told([13.0, 13.0, 10.0, 10.0]) == ["up 0"]
    assert told([13.0, 13.0, 8.0, 8.0]) == ["up 0", "down 2"]


def test_the_way_back_after_a_month_is_told() -> None:
    """Nobody thinks of a leap of two months ago."""
    assert told([13.0, *[13.0, 13.05] * 30, 10.0, 10.0]) == ["up 0", "down 61"]


def test_a_published_rule_says_what_it_says() -> None:
    """A decree that names a percentage makes no difference between a fall and a way back."""
    assert told([13.0, 13.0, 10.0, 10.0], RISE) == ["up 0", "down 2"]


def test_a_further_leap_within_an_open_flag_is_told_again() -> None:
    """Though it is no stronger than the first: up by 30 % and the day after by 30 % again; not a way up again."""
    assert told([13.0, 16.9, 16.9]) == ["up 0", "up 1"]
    assert told([13.0, 10.0, 12.9]) == ["up 0"]


def test_a_climb_within_an_open_flag_is_not_told_again() -> None:
    """Each step too small for the rule: the flag goes on."""
    assert told([13.0, 13.2, 13.4, 13.6]) == ["up 0"]


def test_what_comes_later_changes_nothing_of_what_was_told() -> None:
    """Day by day the flags are those of the whole history, up to the day."""
    values = [13.0, 10.0, 14.5, 19.0, 14.0, 9.0, 9.0, 12.0]
    whole = told(values)
    for day in range(1, len(values)):
        assert told(values[:day]) == [one for one in whole if int(one.split()[1]) < day]
    assert len(whole) > 3
