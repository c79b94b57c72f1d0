"""The contract of questions to monitoring points: asked, told, answered once, overdue; and flags like a flag."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, false, select, true

from alerts.notify import NewNotification
from monitor.schema import flag as flag_table
from monitor.schema import notification
from monitor.store.acts import Who
from monitor.store.database import Database
from monitor.store.flags import FlagNotFound, flag_log, review
from monitor.store.questions import (
    AlreadyAnswered,
    Question,
    QuestionNotFound,
    QuestionState,
    answer,
    ask,
    questions_about,
    questions_to,
    unanswered_in,
)
from monitor.store.similar import similar_flags
from tests.store.build import NOW, day, flag
from tests.store.test_acts import ANNA, save
from thresholds.model import Direction

ALL = true()
DUE = NOW + timedelta(hours=4)
REPORTER = Who(9, "user:nan", "城南市场采价员")


def put(db: Database, flag_id: str = "f1", point: str = "城南市场", text: str = "请核实", **more: Any) -> Question:
    return ask(db, flag_id, point, text, DUE, ANNA, NOW, **{"within": ALL} | more)


def test_a_question_is_open_then_overdue_and_answered_for_good(db: Database) -> None:
    save(db, flag("f1", area="东区"))
    one = put(db)
    assert (one.item, one.area, one.point, one.asked_name) == ("大白菜", "东区", "城南市场", "监测员甲")
    assert one.state(NOW) is QuestionState.OPEN
    assert one.state(DUE + timedelta(seconds=1)) is QuestionState.OVERDUE
    done = answer(db, one.id, {"城南市场"}, " 确为今日进价 ", REPORTER, DUE + timedelta(hours=1))
    assert (done.answer, done.answered_name) == ("确为今日进价", "城南市场采价员")
    assert done.state(DUE + timedelta(days=9)) is QuestionState.ANSWERED
    with pytest.raises(AlreadyAnswered):
        answer(db, one.id, {"城南市场"}, "又", REPORTER, DUE)
    assert questions_about(db, "f1", ALL) == [done]
    assert [e.action for e in flag_log(db, "f1")] == ["opened", "asked", "answered"]


def test_only_the_point_that_was_asked_sees_and_answers_a_question(db: Database) -> None:
    save(db, flag("f1"))
    one = put(db)
    assert questions_to(db, {"城南市场", "别处"}) == [one]
    assert questions_to(db, {"城北市场"}) == []
    assert questions_to(db, ()) == []
    with pytest.raises(QuestionNotFound):
        answer(db, one.id, {"城北市场"}, "x", REPORTER, NOW)
    answer(db, one.id, {"城南市场"}, "x", REPORTER, NOW)
    assert questions_to(db, {"城南市场"}, unanswered=True) == []
    assert len(questions_to(db, {"城南市场"})) == 1


def test_nobody_asks_about_or_sees_questions_on_a_flag_that_does_not_exist_for_him(db: Database) -> None:
    save(db, flag("f1", area="东区"))
    put(db)
    west = flag_table.c.area.in_(["西区"])
    with pytest.raises(FlagNotFound):
        put(db, within=west)
    assert questions_about(db, "f1", west) == []
    assert unanswered_in(db, false()) == []
    assert len(unanswered_in(db, ALL)) == 1


def test_the_messages_of_a_question_are_queued_with_it_or_not_at_all(db: Database) -> None:
    save(db, flag("f1"))

    def tell(_connection: Connection, one: Question) -> Sequence[NewNotification]:
        return [
            NewNotification(
                key=f"question-{one.id}",
                flag_id=None,
                change="question",
                changes=(),
                rank=0,
                person="城南市场采价员",
                channel="log",
                address="a",
                subject="请核实",
                body=one.text,
                payload={},
                created_at=NOW,
                not_before=NOW,
                expires_at=DUE,
            )
        ]

    def broken(_connection: Connection, _one: Question) -> Sequence[NewNotification]:
        raise RuntimeError("no message")

    put(db, tell=tell)
    with pytest.raises(RuntimeError):
        put(db, tell=broken)
    with db.connect() as connection:
        assert connection.execute(select(notification.c.body)).scalars().all() == ["请核实"]
    assert len(questions_about(db, "f1", ALL)) == 1


@pytest.mark.parametrize(("point", "text"), [("", "x"), ("城南市场", " "), ("城南市场", "长" * 1001)])
def test_a_question_names_a_point_and_asks_something(db: Database, point: str, text: str) -> None:
    save(db, flag("f1"))
    with pytest.raises(ValueError, match="question"):
        put(db, point=point, text=text)
    assert questions_about(db, "f1", ALL) == []


def test_similar_flags_are_the_earlier_ones_of_item_and_rule_with_what_became_of_them(db: Database) -> None:
    this = flag("this", 40, area="东区")
    save(
        db,
        this,
        flag("here", 20, area="东区"),
        flag("here-older", 10, area="东区", end=day(12), end_reason="cleared"),
        flag("elsewhere", 30, area="西区"),
        flag("rule", 30, area="东区", item="猪肉"),
        flag("later", 50, area="东区"),
        flag("down", 20, area="东区", direction=Direction.DOWN),
        flag("other-rule", 20, area="东区", item="猪肉", rule="egg-week"),
    )
    review(db, "here", "data_error", "", "user:yi", NOW, 1)
    past = similar_flags(db, this, ALL)
    assert [(one.record.flag.id, str(one.likeness)) for one in past.flags] == [
        ("here", "here"),
        ("here-older", "here"),
        ("elsewhere", "elsewhere"),
        ("rule", "rule"),
    ]
    assert past.outcomes == {"data_error": 1, "": 1}
    east = similar_flags(db, this, flag_table.c.area.in_(["东区"]))
    assert [one.record.flag.id for one in east.flags] == ["here", "here-older", "rule"]
