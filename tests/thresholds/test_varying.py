"""Which keys of a rule can be varied, and the rule with another value."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from thresholds.plan import Pack
from thresholds.plan_files import SHIPPED
from thresholds.varying import Draft, Place, called, drafted, grid, parsed, places, threshold

HEAD = """
kind = "rules"
id = "t"
title = "t"
version = "1"
enabled = true
effect = "watch"
source = { title = "t", place = "t", year = "2026", mark = "P" }
[[rules]]
id = "t/one"
title = "t"
when = """


def draft(when: str) -> Draft:
    tables = tomllib.loads(HEAD + when)
    return drafted(Pack.model_validate(tables), tables, "t.toml", None)


def names(found: list[Place]) -> list[str]:
    return [p.name for p in found]


TREE = """{ all = [
    { any = [{ kind = "change", over = "1d", percent = 30 }, { kind = "change", over = "1w", percent = 40 }] },
    { not = { kind = "score", value = 6.5 } },
    { kind = "lasting", readings = 2, of = { kind = "change", over = "1w", percent = 40 } },
] }"""


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("when.all[1].any[1].percent", ["when.all[1].any[1].percent"]),
        ("any[1].percent", ["when.all[1].any[1].percent"]),
        ("readings", ["when.all[3].readings"]),
        ("lasting.readings", ["when.all[3].readings"]),
        ("value", ["when.all[2].not.value"]),
        ("score.percent", ["when.all[2].not.percent"]),
        ("hold_days", ["hold_days"]),
        ("window", ["when.all[2].not.window"]),
    ],
)
def test_a_key_is_named_by_itself_by_its_kind_or_by_its_place(wanted: str, expected: list[str]) -> None:
    assert names(called(places(draft(TREE).rule), wanted)) == expected


def test_equal_conditions_are_one_threshold_and_others_must_be_named() -> None:
    twice = (
        '{ any = [{ kind = "change", over = "1w", percent = 40 }, { kind = "change", over = "1w", percent = 40 }] }'
    )
    assert names(called(places(draft(twice).rule), "percent")) == ["when.any[1].percent", "when.any[2].percent"]
    assert len(threshold(places(draft(twice).rule))) == 2
    with pytest.raises(ValueError, match=r"when\.all\[1\]\.any\[1\]\.percent \(own value 30\), when"):
        called(places(draft(TREE).rule), "percent")
    with pytest.raises(ValueError, match=r"it has when\.over, when\.op, when\.percent"):
        called(places(draft('{ kind = "change", over = "1w", percent = 40 }').rule), "share")


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ('{ kind = "change", over = "1w", percent = 40 }', "when.percent"),
        ('{ kind = "score", value = 6.5, percent = 5 }', "when.value"),
        ('{ kind = "level", below = 2.5 }', "when.below"),
        ('{ kind = "ewma" }', "when.width"),
        ('{ kind = "diffusion", share = 0.5 }', "when.share"),
        ('{ all = [{ kind = "surge" }, { kind = "points", at_least = 2 }] }', "when.all[1].alpha"),
    ],
)
def test_the_threshold_of_a_rule_is_known_without_being_named(when: str, expected: str) -> None:
    assert names(threshold(places(draft(when).rule))) == [expected]


def test_a_rule_without_a_number_has_no_threshold() -> None:
    with pytest.raises(ValueError, match="no threshold that is a number"):
        threshold(places(draft('{ kind = "state_set" }').rule))


def test_the_rule_with_another_value_is_checked_like_one_from_a_file() -> None:
    one = draft(TREE)
    where = called(places(one.rule), "any[2].percent")
    pack, faults = one.with_value(where, 55)
    assert faults == []
    assert pack is not None
    when: Any = pack.rules[0].when
    assert [c.percent for c in when.of[0].of] == [30, 55]
    assert one.rule["when"]["all"][0]["any"][1]["percent"] == 40, "the draft itself stays"
    nothing, faults = one.with_value(where, -1)
    assert nothing is None
    assert str(faults[0]).startswith("t.toml: rules[1].when")


def test_grids_hold_the_own_value_and_whole_numbers_where_these_are_meant() -> None:
    one = places(draft(TREE).rule)
    assert grid(called(one, "any[1].percent")[0])[:7] == [12, 15, 18, 21, 24, 27, 30]
    assert grid(called(one, "readings")[0]) == [1, 2, 3, 4, 5, 6]
    assert 6.5 in grid(called(one, "value")[0])
    assert grid(called(one, "hold_days")[0]) == [3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 18, 21]
    with pytest.raises(ValueError, match=r"any\[1\]\.over \(own value 1d\) is no number to vary"):
        grid(called(one, "any[1].over")[0])


def test_values_are_read_as_they_would_be_written() -> None:
    assert [parsed(text) for text in ("5", "5.5", "true", "1w", ">=")] == [5, 5.5, True, "1w", ">="]


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.toml")), ids=lambda p: p.stem)
def test_every_key_of_every_shipped_rule_is_found(path: Path) -> None:
    """With its own value a rule is the rule that it was."""
    tables = tomllib.loads(path.read_text("utf-8"))
    if tables["kind"] != "rules":
        return
    pack = Pack.model_validate(tables)
    for n, one in enumerate(pack.rules):
        draft = drafted(pack, tables, path.name, one.id)
        written = [p for p in places(draft.rule) if p.written]
        assert written or not tables["rules"][n]["when"]
        for place in written:
            again, faults = draft.with_value([place], place.own)  # type: ignore[arg-type]  # also times and lists
            assert faults == []
            assert again is not None
            assert again.rules == (one,)
