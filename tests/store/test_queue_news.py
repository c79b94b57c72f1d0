"""The contract of what an open page of the review queue is told: new flags of its filter, and changed ones."""

from __future__ import annotations

from typing import Any

from sqlalchemy import true

from monitor.rights import Areas
from monitor.schema import flag as flag_table
from monitor.store.acts import Seen, assign_many, review_many, undo
from monitor.store.database import Database
from monitor.store.flag_rows import FlagState
from monitor.store.queue_news import Mark, News, mark_of, news_since
from monitor.store.review_queue import Wanted
from monitor.store.reviews import write_log
from tests.store.build import NOW, day, flag
from tests.store.test_acts import ANNA, BERT, save
from thresholds.model import Grade

ALL = true()


def told(
    db: Database, page: Mark, asked: Mark | None = None, within: Any = ALL, actor: str = ANNA.actor, **wanted: Any
) -> News | None:
    return news_since(db, Wanted(**wanted), within, page, asked or page, actor)


def appeared(db: Database, page: Mark, **options: Any) -> list[str]:
    found = told(db, page, **options)
    return sorted(found.appeared) if found else []


def test_nothing_is_told_where_nothing_happened(db: Database) -> None:
    assert told(db, mark_of(db)) is None
    save(db, flag("a"))
    assert told(db, mark_of(db)) is None
    assert told(db, Mark(), Mark(mark_of(db).newest)) is None, "it was told already"


def test_flags_that_came_into_the_filter_are_told_until_they_leave_it(db: Database) -> None:
    save(db, flag("a", area="东区"))
    page = mark_of(db)
    save(db, flag("a", area="东区"), flag("b", area="东区"), flag("c", area="西区"))
    assert appeared(db, page) == ["b", "c"]
    assert appeared(db, page, areas=["西区"]) == ["c"]
    assert appeared(db, page, within=Areas.of(["东区"], "全市").where(flag_table.c.area)) == ["b"]
    between = mark_of(db)
    review_many(db, [Seen("b", 1)], "expected", "", BERT, NOW, ALL)
    assert appeared(db, page) == ["c"], "a colleague has judged the other"
    assert appeared(db, page, asked=between) == ["c"], "what is new counts from the page on"
    undo(db, BERT, NOW, ALL)
    assert appeared(db, page) == ["b", "c"]
    assert appeared(db, page, actor=BERT.actor) == ["b", "c"]


def test_ones_own_acts_bring_nothing_new(db: Database) -> None:
    save(db, flag("a"))
    page = mark_of(db)
    review_many(db, [Seen("a", 1)], "expected", "", ANNA, NOW, ALL)
    undo(db, ANNA, NOW, ALL)
    assert appeared(db, page) == []
    assert appeared(db, page, actor=BERT.actor) == ["a"]


def test_what_is_given_to_somebody_is_new_where_the_filter_asks_for_it(db: Database) -> None:
    save(db, flag("a"))
    page = mark_of(db)
    assign_many(db, [Seen("a", 1)], (ANNA.account, ANNA.name), BERT, NOW, ALL)
    assert appeared(db, page) == []
    assert appeared(db, page, assignee=ANNA.account) == ["a"]


def test_changed_flags_say_how_they_stand(db: Database) -> None:
    area = flag_table.c.area
    save(db, flag("a", area="东区"), flag("b", area="东区"), flag("c", area="西区"), flag("d", area="东区"))
    page = mark_of(db)
    review_many(db, [Seen("a", 1), Seen("c", 1)], "expected", "节前", BERT, NOW, ALL)
    assign_many(db, [Seen("b", 1)], (BERT.account, BERT.name), BERT, NOW, ALL)
    save(
        db,
        flag("a", area="东区"),
        flag("b", area="东区", peak_grade=Grade(4, "Ⅰ级", "red")),
        flag("c", area="西区"),
        flag("d", area="东区", end=day(20), end_reason="cleared"),
    )
    found = told(db, page, within=Areas.of(["东区"], "全市").where(area))
    assert found is not None
    by_id = {one.id: one for one in found.changed}
    assert sorted(by_id) == ["a", "b", "d"], "what lies elsewhere is not told"
    assert (by_id["a"].verdict, by_id["a"].reviewer, by_id["a"].note) == ("expected", BERT.actor, "节前")
    assert (by_id["a"].revision, by_id["a"].state, by_id["a"].raised) == (2, FlagState.REVIEWED, False)
    assert (by_id["b"].assignee, by_id["b"].version, by_id["b"].raised) == (BERT.name, 1, True)
    assert (by_id["d"].state, by_id["d"].end_reason) == (FlagState.OVER, "cleared")
    again = told(db, page, found.mark)
    assert again is None, "each change is told once"


def test_a_mark_is_written_and_read_and_anything_else_is_none() -> None:
    for mark in (Mark(), Mark(17), Mark(120, ((100, 118), (7, 7)))):
        assert Mark.read(str(mark)) == mark
    for text in ("", "x", "-1", "1_", "1_2", "1_2-x", "9" * 19, "1" + "_1-2" * 200, "１"):
        assert Mark.read(text) is None, text


def test_flags_of_a_transaction_that_ended_late_are_told_as_well(db: Database) -> None:
    """Numbers of the log are given out before they can be seen; on SQLite there is only one writer at a time."""
    save(db, flag("a"), flag("b"))
    if db.dialect == "sqlite":
        return
    with db.engine.begin() as slow:
        write_log(slow, [("a", "reopened", {})], "monitor", 1)
        assign_many(db, [Seen("b", 1)], (1, "x"), BERT, NOW, ALL)
        page = mark_of(db)
        assert page.missing
        assert told(db, page) is None
    found = told(db, page)
    assert found is not None
    assert (found.appeared, [one.id for one in found.changed]) == (["a"], ["a"])
    assert told(db, page, found.mark) is None
