"""The contract of acts on several flags: each flag has its own lock, and a judgement can be taken back."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import true

from monitor.schema import flag as flag_table
from monitor.store.acts import Done, Seen, Who, assign_many, last_act, review_many, undo
from monitor.store.columns import dirty_series, read_columns
from monitor.store.database import Database
from monitor.store.flags import FlagChange, acknowledge, flag_log, get_flag, review, save_evaluation
from monitor.store.observations import add
from monitor.store.review_queue import place_of
from tests.store.build import NOW, batch, day, flag
from thresholds.model import Flag, Mark

ANNA, BERT = Who(1, "user:jia", "监测员甲"), Who(2, "user:yi", "监测员乙")
ALL = true()


def save(db: Database, *computed: Flag) -> None:
    def nobody(_connection: object, _changes: Sequence[FlagChange]) -> None: ...

    items = {one.item for one in computed}
    since = dict.fromkeys(items, 0)
    save_evaluation(db, computed, items=items, since=since, dirty=dirty_series(db), now=NOW, notify=nobody)


def verdict(db: Database, flag_id: str) -> tuple[str, str, str]:
    record = get_flag(db, flag_id)
    assert record is not None
    return record.verdict, record.reviewer, str(record.state)


def ids(done: Done) -> list[str]:
    return [one.flag for one in done.done]


def test_several_flags_are_judged_at_once_and_the_one_changed_meanwhile_is_left_and_named(db: Database) -> None:
    save(db, flag("a"), flag("b"), flag("c"))
    review(db, "b", "expected", "节前", "user:yi", NOW, 1)
    done = review_many(
        db, [Seen("a", 1), Seen("b", 1), Seen("c", 1), Seen("没有", 1)], "real_move", "", ANNA, NOW, ALL
    )
    assert ids(done) == ["a", "c"]
    assert [(o.record.flag.id, o.record.verdict, o.record.reviewer) for o in done.overtaken] == [
        ("b", "expected", "user:yi")
    ]
    assert done.unknown == ["没有"]
    assert verdict(db, "b") == ("expected", "user:yi", "reviewed")
    assert verdict(db, "c") == ("real_move", "user:jia", "reviewed")


def test_the_same_form_sent_twice_is_no_conflict_and_is_logged_once(db: Database) -> None:
    save(db, flag("a"))
    first = review_many(db, [Seen("a", 1)], "real_move", "x", ANNA, NOW, ALL)
    again = review_many(db, [Seen("a", 1)], "real_move", "x", ANNA, NOW, ALL)
    assert (ids(again), again.overtaken, again.act) == (["a"], [], None)
    assert again.done == first.done
    assert [e.action for e in flag_log(db, "a")] == ["opened", "reviewed"]


def test_a_flag_outside_of_the_areas_of_the_person_does_not_exist(db: Database) -> None:
    save(db, flag("a", area="东区"), flag("b", area="西区"))
    east = flag_table.c.area.in_(["东区"])
    done = review_many(db, [Seen("a", 1), Seen("b", 1)], "real_move", "", ANNA, NOW, east)
    assert (ids(done), done.unknown) == (["a"], ["b"])
    assert assign_many(db, [Seen("b", 1)], (1, "甲"), ANNA, NOW, east).unknown == ["b"]
    assert verdict(db, "b") == ("", "", "open")


def test_undoing_gives_every_flag_the_judgement_that_it_had_before(db: Database) -> None:
    save(db, flag("a"), flag("b"))
    acknowledge(db, "b", "user:yi", NOW)
    review(db, "a", "expected", "节前备货", "user:yi", NOW, 1)
    done = review_many(db, [Seen("a", 2), Seen("b", 1)], "data_error", "", ANNA, NOW + timedelta(minutes=1), ALL)
    assert ids(done) == ["a", "b"]
    back = undo(db, ANNA, NOW + timedelta(minutes=2), ALL)
    assert back is not None
    assert (back.verdict, ids(back)) == ("data_error", ["a", "b"])
    record = get_flag(db, "a")
    assert record is not None
    assert (record.verdict, record.note, record.reviewer, record.reviewed_at) == (
        "expected",
        "节前备货",
        "user:yi",
        NOW,
    )
    assert record.revision == 4, "taking back is a change that others must see"
    assert verdict(db, "b") == ("", "", "acknowledged")
    assert [e.action for e in flag_log(db, "b")] == ["opened", "acknowledged", "reviewed", "undone"]
    assert [e.actor for e in flag_log(db, "b")][-1] == "user:jia"


def test_undoing_takes_the_marks_back_and_puts_the_earlier_ones_there(db: Database) -> None:
    add(db, batch((9, 2.0), (10, 4.0), (11, 4.2)), source="s", name="a", now=NOW)
    save(db, flag("a", area="", last_hit=day(11)))
    review(db, "a", "expected", "", "user:yi", NOW, 1)
    review_many(db, [Seen("a", 2)], "data_error", "", ANNA, NOW, ALL)
    assert read_columns(db).mark.tolist() == [0, Mark.DATA_ERROR, Mark.DATA_ERROR]
    save(db, flag("a", area="", last_hit=day(11)))
    undo(db, ANNA, NOW, ALL)
    assert read_columns(db).mark.tolist() == [0, Mark.EXPECTED, Mark.EXPECTED]
    assert [d.since_at for d in dirty_series(db)] == [int(day(10).timestamp())], "what counts has changed"


def test_undoing_twice_goes_back_two_steps_and_then_there_is_nothing(db: Database) -> None:
    save(db, flag("a"), flag("b"))
    review_many(db, [Seen("a", 1)], "real_move", "", ANNA, NOW, ALL)
    review_many(db, [Seen("b", 1)], "to_check", "", ANNA, NOW, ALL)
    review_many(db, [Seen("b", 2)], "expected", "", ANNA, NOW, ALL)
    standing = last_act(db, ANNA.account)
    assert standing is not None
    assert (standing.verdict, ids(standing)) == ("expected", ["b"])
    undo(db, ANNA, NOW, ALL)
    assert verdict(db, "b")[0] == "to_check"


def test_a_judgement_under_another_undo_is_reached_after_it(db: Database) -> None:
    save(db, flag("a"), flag("b"))
    review_many(db, [Seen("a", 1)], "real_move", "", ANNA, NOW, ALL)
    review_many(db, [Seen("b", 1)], "to_check", "", ANNA, NOW, ALL)
    assert [ids(d) for d in (undo(db, ANNA, NOW, ALL), undo(db, ANNA, NOW, ALL)) if d] == [["b"], ["a"]]
    assert (verdict(db, "a")[0], verdict(db, "b")[0]) == ("", "")
    assert undo(db, ANNA, NOW, ALL) is None
    assert last_act(db, ANNA.account) is None


def test_only_ones_own_judgement_can_be_taken_back_and_not_over_a_later_one(db: Database) -> None:
    save(db, flag("a"))
    done = review_many(db, [Seen("a", 1)], "real_move", "", ANNA, NOW, ALL)
    assert undo(db, BERT, NOW, ALL) is None
    assert undo(db, BERT, NOW, ALL, done.act) is None
    review(db, "a", "expected", "", "user:yi", NOW, 2)
    back = undo(db, ANNA, NOW, ALL)
    assert back is not None
    assert (ids(back), [o.record.reviewer for o in back.overtaken]) == ([], ["user:yi"])
    assert verdict(db, "a")[0] == "expected"


def test_a_flag_is_given_to_a_colleague_and_whoever_saw_it_free_does_not_take_it_away(db: Database) -> None:
    save(db, flag("a"), flag("b"))
    assert ids(assign_many(db, [Seen("a", 1)], (1, "监测员甲"), ANNA, NOW, ALL)) == ["a"]
    done = assign_many(db, [Seen("a", 1, 0), Seen("b", 1, 0)], (2, "监测员乙"), BERT, NOW, ALL)
    assert (ids(done), [o.assignee for o in done.overtaken]) == (["b"], ["监测员甲"])
    assert ids(assign_many(db, [Seen("a", 1, 1)], None, BERT, NOW, ALL)) == ["a"]
    row = place_of(db, "a", ALL)
    assert row is not None
    assert (row.assignee, row.assignee_id, row.version) == ("", None, 2)
    assert [e.detail for e in flag_log(db, "a") if e.action == "assigned"] == [{"to": "监测员甲"}, {"to": ""}]


def test_a_flag_that_was_judged_meanwhile_is_not_given_away(db: Database) -> None:
    save(db, flag("a"))
    review(db, "a", "expected", "", "user:yi", NOW, 1)
    assert assign_many(db, [Seen("a", 1)], (1, "甲"), ANNA, NOW, ALL).overtaken[0].record.reviewer == "user:yi"


def test_of_two_people_who_judge_the_same_flags_at_once_each_flag_has_one_winner(db: Database) -> None:
    names = [f"f{n:02}" for n in range(20)]
    save(db, *(flag(name, item=f"品种{n}") for n, name in enumerate(names)))
    seen = [Seen(name, 1) for name in names]

    def judge(who: Who) -> Done:
        return review_many(db, seen, "real_move", who.name, who, NOW, ALL)

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(judge, [ANNA, BERT])
    assert sorted(ids(one) + ids(other)) == names
    for done, who in ((one, ANNA), (other, BERT)):
        assert {verdict(db, name)[1] for name in ids(done)} <= {who.actor}


def test_an_unknown_verdict_is_refused_before_anything_is_written(db: Database) -> None:
    save(db, flag("a"))
    with pytest.raises(ValueError, match="nonsense"):
        review_many(db, [Seen("a", 1)], "nonsense", "", ANNA, NOW, ALL)
    assert verdict(db, "a")[0] == ""
