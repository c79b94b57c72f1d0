"""Questions to monitoring points about a flag: "please check", and what the point answers.

A question is open until the point answers it; after `due_at` it is overdue, and can still be answered. Who asks has a
right in the flag's area; who answers is a reporter of the point.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, insert, select, update

from alerts.notify import NewNotification
from monitor.schema import flag
from monitor.schema_review import question as table
from monitor.store.acts import Who, Witness, unseen
from monitor.store.database import Database
from monitor.store.outbox_queue import enqueue
from monitor.store.reviews import locked, write_log
from monitor.store.text import moment, moment_or_none, seconds, storable

LENGTH = 1000
MOST = 200


class QuestionState(StrEnum):
    """What became of a question."""

    OPEN = "open"
    """the point has not answered yet"""
    OVERDUE = "overdue"
    """it has not answered in time; it still can"""
    ANSWERED = "answered"


class QuestionNotFound(Exception):
    """There is no such question for this person."""


class AlreadyAnswered(Exception):
    """Somebody of the point has answered; `question` is how it stands. Nothing was stored."""

    def __init__(self, question: Question) -> None:
        super().__init__(f"question {question.id} was answered by {question.answered_by}")
        self.question = question


@dataclass(frozen=True, slots=True)
class Question:
    """A question and its answer. `asked_by` and `answered_by` are as in logs, the names as pages call people."""

    id: int
    flag: str
    item: str
    area: str
    point: str
    text: str
    asked_by: str
    asked_name: str
    asked_at: datetime
    due_at: datetime
    answer: str
    answered_by: str
    answered_name: str
    answered_at: datetime | None

    def state(self, now: datetime) -> QuestionState:
        if self.answered_at is not None:
            return QuestionState.ANSWERED
        return QuestionState.OVERDUE if now > self.due_at else QuestionState.OPEN


Tell = Callable[[Connection, Question], Sequence[NewNotification]]
"""the messages that tell a point's people of a new question; queued in the transaction that stores it"""


def nobody(_connection: Connection, _question: Question) -> Sequence[NewNotification]:
    """No message goes out: the point sees the question in its console."""
    return ()


def ask(
    db: Database,
    flag_id: str,
    point: str,
    text: str,
    due: datetime,
    who: Who,
    now: datetime,
    within: ColumnElement[bool],
    tell: Tell = nobody,
    witness: Witness = unseen,
) -> Question:
    """Ask a point about a flag. Raises FlagNotFound; ValueError for no point, no text or too much of it."""
    text, point = storable(text.strip()), storable(point)
    if not point or not 0 < len(text) <= LENGTH:
        raise ValueError(f"a question names a point and has 1 to {LENGTH} characters")
    with db.begin() as connection:
        row = locked(connection, flag_id, within)
        values = {
            "flag_id": row["id"],
            "item": row["item"],
            "area": row["area"],
            "point": point,
            "text": text,
            "asked_by": storable(who.actor),
            "asked_name": storable(who.name),
            "asked_at": seconds(now),
            "due_at": seconds(due),
        }
        made = connection.execute(insert(table).values(values).returning(table)).mappings().one()
        one = _question(made)
        write_log(connection, [(flag_id, "asked", {"point": point, "note": text})], one.asked_by, seconds(now))
        enqueue(connection, tell(connection, one))
        witness(connection, flag_id)
    return one


def answer(db: Database, question_id: int, points: Collection[str], text: str, who: Who, now: datetime) -> Question:
    """A reporter of one of `points` answers. Raises QuestionNotFound, AlreadyAnswered, ValueError for the text."""
    text = storable(text.strip())
    if not 0 < len(text) <= LENGTH:
        raise ValueError(f"an answer has 1 to {LENGTH} characters")
    mine = (table.c.id == question_id) & table.c.point.in_(sorted(points))
    with db.begin() as connection:
        row = connection.execute(select(table).where(mine).with_for_update()).mappings().one_or_none()
        if row is None:
            raise QuestionNotFound
        if row["answered_at"] is not None:
            raise AlreadyAnswered(_question(row))
        values = {"answer": text, "answered_by": storable(who.actor), "answered_name": storable(who.name)}
        new = update(table).where(table.c.id == question_id).values(**values, answered_at=seconds(now))
        done = _question(connection.execute(new.returning(table)).mappings().one())
        detail = {"point": done.point, "note": text}
        write_log(connection, [(done.flag, "answered", detail)], done.answered_by, seconds(now))
    return done


def questions_about(db: Database, flag_id: str, within: ColumnElement[bool]) -> list[Question]:
    """The questions about a flag, oldest first; none where there is no such flag for this person."""
    query = select(table).join(flag, flag.c.id == table.c.flag_id).where(table.c.flag_id == storable(flag_id), within)
    return _read(db, query.order_by(table.c.id))


def questions_to(db: Database, points: Collection[str], *, unanswered: bool = False) -> list[Question]:
    """The questions to these points: those without an answer in front, then the newest; MOST at most."""
    if not points:
        return []
    query = select(table).where(table.c.point.in_(sorted(points)))
    if unanswered:
        query = query.where(table.c.answered_at.is_(None))
    return _read(db, query.order_by(table.c.answered_at.is_not(None), table.c.id.desc()).limit(MOST))


def unanswered_in(db: Database, within: ColumnElement[bool]) -> list[Question]:
    """The questions that wait for an answer about flags within, the longest due in front; MOST at most."""
    query = select(table).join(flag, flag.c.id == table.c.flag_id).where(table.c.answered_at.is_(None), within)
    return _read(db, query.order_by(table.c.due_at, table.c.id).limit(MOST))


def _read(db: Database, query: Select[Any]) -> list[Question]:
    with db.connect() as connection:
        return [_question(row) for row in connection.execute(query).mappings()]


def _question(row: RowMapping) -> Question:
    return Question(
        id=row["id"],
        flag=row["flag_id"],
        item=row["item"],
        area=row["area"],
        point=row["point"],
        text=row["text"],
        asked_by=row["asked_by"],
        asked_name=row["asked_name"],
        asked_at=moment(row["asked_at"]),
        due_at=moment(row["due_at"]),
        answer=row["answer"],
        answered_by=row["answered_by"],
        answered_name=row["answered_name"],
        answered_at=moment_or_none(row["answered_at"]),
    )
