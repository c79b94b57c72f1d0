"""The contract of the review queue: order, filters, pages, and that nobody sees another area's flags."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import false, true

from monitor.rights import Areas
from monitor.schema import flag as flag_table
from monitor.store.acts import Seen, assign_many
from monitor.store.database import Database
from monitor.store.flag_notes import add_note, notes_of
from monitor.store.flags import FlagNotFound, acknowledge, review
from monitor.store.review_queue import Wanted, count_above, count_queue, list_heads, list_queue, place_of
from monitor.store.saved_views import ViewError, keep_view, remove_view, set_default, views_of
from tests.store.build import NOW, day, epoch, flag
from tests.store.test_acts import ANNA, save
from thresholds.model import Direction, Grade, Kind

ALL = true()
RED, BLUE = Grade(4, "Ⅰ级", "red"), Grade(1, "Ⅳ级", "blue")


def names(db: Database, within: Any = ALL, **wanted: Any) -> list[str]:
    return [row.record.flag.id for row in list_queue(db, Wanted(**wanted), within, 100)]


def counted(db: Database, within: Any = ALL) -> dict[int, int]:
    return {one.rank: one.count for one in count_queue(db, Wanted(), within)}


@pytest.fixture
def several(db: Database) -> Database:
    save(
        db,
        flag("blue-old", 10, peak_grade=BLUE, area="东区"),
        flag("blue-new", 12, peak_grade=BLUE, area="西区", direction=Direction.DOWN),
        flag("red-old", 9, peak_grade=RED, area="东区", item="猪肉", point="", points=("城北市场", "城南市场")),
        flag("none", 13, peak_grade=Grade(0, ""), kind=Kind.DATA, area="", item="100%纯牛奶"),
        flag("over", 11, end=day(20), end_reason="cleared"),
    )
    return db


def test_the_highest_grade_comes_first_and_within_a_grade_the_newest(several: Database) -> None:
    assert names(several) == ["red-old", "blue-new", "blue-old", "none"]


def test_flags_that_somebody_knows_of_stay_and_judged_ones_leave(several: Database) -> None:
    acknowledge(several, "red-old", "user:yi", NOW)
    review(several, "blue-new", "real_move", "", "user:yi", NOW, 1)
    assert names(several) == ["red-old", "blue-old", "none"]
    assert names(several, states=["reviewed"]) == ["blue-new"]
    assert names(several, states=["over"]) == ["over"]
    assert names(several, states=["open", "over", "reviewed"]) == ["blue-new", "over", "blue-old", "none"]


def test_every_filter_lets_through_what_it_names(several: Database) -> None:
    assert names(several, areas=["东区"]) == ["red-old", "blue-old"]
    assert names(several, items={"猪肉"}) == ["red-old"]
    assert names(several, items=set()) == [], "a class without items has no flags"
    assert names(several, item="100%") == ["none"], "a percent sign is a percent sign"
    assert names(several, kinds=["data"]) == ["none"]
    assert names(several, direction="down") == ["blue-new"]
    assert names(several, point="城北市场") == ["red-old"]
    assert names(several, point="城南市场") == ["red-old", "blue-new", "blue-old", "none"]
    assert names(several, point="城%市场") == []
    assert names(several, ranks=[4]) == ["red-old"]
    assert names(several, since=epoch(12)) == ["blue-new", "none"]
    assert names(several, until=epoch(10)) == ["red-old"]
    assert names(several, areas=["东区"], direction="up", ranks=[1]) == ["blue-old"]


def test_flags_are_found_by_whom_they_are_assigned_to(several: Database) -> None:
    assign_many(several, [Seen("blue-old", 1)], (7, "监测员庚"), ANNA, NOW, ALL)
    assign_many(several, [Seen("blue-new", 1)], (7, "监测员庚"), ANNA, NOW, ALL)
    assign_many(several, [Seen("blue-new", 1, 1)], None, ANNA, NOW, ALL)
    assert names(several, assignee=7) == ["blue-old"]
    assert names(several, assignee=0) == ["red-old", "blue-new", "none"]


def test_pages_follow_each_other_without_gap_or_repetition(db: Database) -> None:
    save(db, *(flag(f"f{n:03}", 10 + n % 3, item=f"品种{n}", peak_grade=Grade(n % 2, "x")) for n in range(57)))
    for one in range(0, 57, 5):
        acknowledge(db, f"f{one:03}", "user:yi", NOW)
    every, after = [], None
    while page := list_queue(db, Wanted(), ALL, 10, after):
        every += page
        after = page[-1].position
    assert len({row.record.flag.id for row in every}) == len(every) == 57
    assert [row.position for row in every] == sorted((row.position for row in every), reverse=True)
    ids = [row.record.flag.id for row in every]
    for at in (57, 30, 10, 4, 0):
        below = every[at].position if at < 57 else (0, 0, "")
        found = list_heads(db, Wanted(), ALL, 10, before=below)
        assert [head.id for head in found] == ids[max(0, at - 10) : at], "the same pages backwards"
        assert count_above(db, Wanted(), ALL, below) == at


def test_a_person_sees_the_flags_of_his_areas_and_the_citys_only_with_the_city(several: Database) -> None:
    area = flag_table.c.area
    assert names(several, Areas.of(["东区"], "全市").where(area)) == ["red-old", "blue-old"]
    assert names(several, Areas.of(["全市"], "全市").where(area)) == ["none"]
    assert names(several, false()) == []
    assert place_of(several, "blue-new", Areas.of(["东区"], "全市").where(area)) is None
    assert counted(several, Areas.of(["东区"], "全市").where(area)) == {4: 1, 1: 1}


def test_flags_are_counted_by_grade(several: Database) -> None:
    assert counted(several) == {4: 1, 1: 2, 0: 1}
    assert [(c.label, c.colour, c.count) for c in count_queue(several, Wanted(states=["over"]), ALL)] == [
        ("Ⅲ级", "yellow", 1)
    ]
    assert count_queue(several, Wanted(states=[]), ALL) == []


def test_notes_are_added_and_never_replaced_and_counted_in_the_queue(several: Database) -> None:
    add_note(several, "none", "已电话询问", ANNA, NOW, ALL)
    add_note(several, "none", " 第二条 ", ANNA, NOW + timedelta(minutes=1), ALL)
    assert [(n.name, n.text) for n in notes_of(several, "none", ALL)] == [
        ("监测员甲", "已电话询问"),
        ("监测员甲", "第二条"),
    ]
    row = place_of(several, "none", ALL)
    assert row is not None
    assert row.notes == 2
    for text in ("", "   ", "长" * 2001):
        with pytest.raises(ValueError, match="note"):
            add_note(several, "none", text, ANNA, NOW, ALL)
    with pytest.raises(FlagNotFound):
        add_note(several, "none", "x", ANNA, NOW, false())
    assert notes_of(several, "none", false()) == []


def test_views_are_kept_for_each_account_and_one_of_them_is_the_default(db: Database) -> None:
    first = keep_view(db, 1, "东区蔬菜", "area=东区", True, NOW)
    second = keep_view(db, 1, "未分派", "assignee=none", True, NOW)
    keep_view(db, 2, "东区蔬菜", "", False, NOW)
    assert [(v.name, v.default) for v in views_of(db, 1)] == [("东区蔬菜", False), ("未分派", True)]
    set_default(db, 1, first.id)
    assert [v.default for v in views_of(db, 1)] == [True, False]
    set_default(db, 1, None)
    assert [v.default for v in views_of(db, 1)] == [False, False]
    assert not remove_view(db, 2, second.id), "of another account"
    assert remove_view(db, 1, second.id)
    assert [v.name for v in views_of(db, 1)] == ["东区蔬菜"]


def test_a_view_needs_a_name_of_its_own(db: Database) -> None:
    keep_view(db, 1, "甲", "", False, NOW)
    for name, reason in (("甲", "taken"), (" ", "name"), ("长" * 41, "name"), ("a\nb", "name")):
        with pytest.raises(ViewError) as error:
            keep_view(db, 1, name, "", False, NOW)
        assert error.value.reason == reason
    assert len(views_of(db, 1)) == 1
