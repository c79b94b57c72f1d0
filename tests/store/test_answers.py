"""The contract of kept answers: asked once while the data are the same, anew as soon as anything was stored."""

from __future__ import annotations

from monitor.store.answers import Answers
from monitor.store.database import Database
from monitor.store.observations import add
from tests.store.build import NOW, batch


def test_an_answer_is_asked_for_once_until_something_is_stored(db: Database) -> None:
    kept, asked = Answers(), iter(range(10))
    assert [kept.get(db, "一", lambda: next(asked)) for _ in range(3)] == [0, 0, 0]
    assert kept.get(db, ("一", "别人的"), lambda: next(asked)) == 1
    add(db, batch((1, 2.0)), source="s", name="a", now=NOW)
    assert [kept.get(db, "一", lambda: next(asked)) for _ in range(2)] == [2, 2]


def test_what_came_while_the_answer_was_looked_for_is_asked_for_again(db: Database) -> None:
    kept = Answers()

    def meanwhile() -> str:
        add(db, batch((1, 2.0)), source="s", name="a", now=NOW)
        return "旧"

    assert kept.get(db, "一", meanwhile) == "旧"
    assert kept.get(db, "一", lambda: "新") == "新"


def test_the_answers_asked_for_longest_ago_make_room(db: Database) -> None:
    kept = Answers(most=2)
    for question in "一二三":
        kept.get(db, question, lambda: "先")
    assert kept.get(db, "三", lambda: "忘了") == "先"
    assert kept.get(db, "一", lambda: "忘了") == "忘了"
