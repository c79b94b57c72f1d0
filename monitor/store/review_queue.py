"""The review queue: which flags wait for people, the highest grade first, then the newest.

Every question is answered for somebody: `within` says which flags there are for that person (monitor/rights.py), and
is part of the query. Nothing here reads observations; the small charts come from tails.py.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, Label, RowMapping, Select, Text, cast, func, select, tuple_, union_all

from monitor.schema import flag
from monitor.schema_review import flag_assignment, flag_note, question
from monitor.store.database import Database, to_json
from monitor.store.flag_rows import FlagRecord, FlagState, to_record
from monitor.store.text import storable

WAITING = (FlagState.OPEN, FlagState.ACKNOWLEDGED)
MOST_COUNTED = 10_000
ONLY = ("contributions", "earlier")
"""parts of a finding that a list does not show"""

Position = tuple[int, int, str]
"""rank of the grade, first flagged (epoch seconds), id: where a page ends"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which flags: all that match every field given; of several values in one field any.

    items     names of the items of a class; None does not ask
    point     the flag is about this point, alone or among others
    since, until   first flagged from then on, before then (epoch seconds)
    assignee  id of an account; 0 for nobody
    """

    states: Collection[str] = WAITING
    kinds: Collection[str] = ()
    areas: Collection[str] = ()
    items: Collection[str] | None = None
    item: str = ""
    direction: str | None = None
    point: str = ""
    ranks: Collection[int] = ()
    since: int | None = None
    until: int | None = None
    assignee: int | None = None


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A flag in the queue. In a list only the first of its findings is here, without what the points did.

    version  of the assignment, 0 where it was never assigned; `notes` and `questions` are how many there are
    """

    record: FlagRecord
    assignee: str
    assignee_id: int | None
    version: int
    notes: int
    questions: int

    @property
    def position(self) -> Position:
        flag = self.record.flag
        return flag.peak_grade.rank, int(flag.first_flagged.timestamp()), flag.id


@dataclass(frozen=True, slots=True)
class Head:
    """What tells a flag's place in the queue, and whether anything about it has changed since it was last shown."""

    id: str
    item: str
    rank: int
    first_flagged: int
    revision: int
    updated_at: int
    version: int
    notes: int
    questions: int

    @property
    def position(self) -> Position:
        return self.rank, self.first_flagged, self.id


def list_heads(
    db: Database,
    wanted: Wanted,
    within: ColumnElement[bool],
    limit: int,
    after: Position | None = None,
    *,
    before: Position | None = None,
) -> list[Head]:
    """A page of the queue, the highest grade first, then the newest; `after` is the position of the row above it, or
    `before` that of the row below it.

    The rows are found by an index on (state, grade, time), each state by itself; their evidence is not read.
    """
    states = sorted(set(wanted.states))
    parts = [select(_page(state, wanted, within, limit, after, before).subquery()) for state in states]
    if not parts:
        return []
    chosen = union_all(*parts).subquery()
    c, f, a = chosen.c, flag.c, flag_assignment.c
    query = (
        select(
            f.id,
            f.item,
            f.grade_rank,
            f.first_flagged_at,
            f.revision,
            f.updated_at,
            func.coalesce(a.version, 0),
            *_counts(),
        )
        .join(chosen, c.id == f.id)
        .join(flag_assignment, a.flag_id == f.id, isouter=True)
        .order_by(*_order(f.grade_rank, f.first_flagged_at, f.id, upwards=before is not None))
        .limit(limit)
    )
    with db.connect() as connection:
        found = [Head(*row) for row in connection.execute(query)]
    return found if before is None else found[::-1]


def _order(*columns: Column[Any], upwards: bool) -> list[ColumnElement[Any]]:
    return [one.asc() if upwards else one.desc() for one in columns]


def list_queue(
    db: Database, wanted: Wanted, within: ColumnElement[bool], limit: int, after: Position | None = None
) -> list[QueueRow]:
    """The same with all that the queue shows of each flag."""
    heads = list_heads(db, wanted, within, limit, after)
    rows = rows_of(db, [head.id for head in heads], within)
    return [rows[head.id] for head in heads if head.id in rows]


@dataclass(frozen=True, slots=True)
class GradeCount:
    """How many flags have a grade; plans may call the same rank differently."""

    rank: int
    label: str
    colour: str
    count: int


def count_queue(db: Database, wanted: Wanted, within: ColumnElement[bool]) -> list[GradeCount]:
    """How many flags there are by grade, the highest first. Of each state MOST_COUNTED are counted at most."""
    c = flag.c
    parts = []
    for state in sorted(set(wanted.states)):
        one = select(c.grade_rank, c.grade, c.grade_colour).where(c.state == state, within, *conditions(wanted))
        parts.append(select(one.limit(MOST_COUNTED).subquery()))
    if not parts:
        return []
    every = union_all(*parts).subquery()
    names = (every.c.grade_rank, every.c.grade, every.c.grade_colour)
    query = select(*names, func.count()).group_by(*names).order_by(every.c.grade_rank.desc(), every.c.grade)
    with db.connect() as connection:
        return [GradeCount(*row) for row in connection.execute(query)]


def count_above(db: Database, wanted: Wanted, within: ColumnElement[bool], position: Position) -> int:
    """How many flags stand above a row of the queue. Of each state MOST_COUNTED are counted at most."""
    c = flag.c
    above = tuple_(c.grade_rank, c.first_flagged_at, c.id) > tuple_(*position)
    parts = [
        select(c.id).where(c.state == state, within, above, *conditions(wanted)).limit(MOST_COUNTED).subquery()
        for state in sorted(set(wanted.states))
    ]
    with db.connect() as connection:
        return sum(connection.execute(select(func.count()).select_from(one)).scalar_one() for one in parts)


def place_of(db: Database, flag_id: str, within: ColumnElement[bool]) -> QueueRow | None:
    """One flag with all its evidence; None where there is none for this person."""
    return rows_of(db, [flag_id], within, whole=True).get(flag_id)


def rows_of(
    db: Database, ids: Collection[str], within: ColumnElement[bool], *, whole: bool = False
) -> dict[str, QueueRow]:
    """Flags by id as the queue shows them; those that do not exist for this person are not among them.

    whole  with all their evidence
    """
    if not ids:
        return {}
    query = _whole([storable(one) for one in ids]).where(within)
    with db.connect() as connection:
        return {row["id"]: _row(row, whole) for row in connection.execute(query).mappings()}


def _page(
    state: str,
    wanted: Wanted,
    within: ColumnElement[bool],
    limit: int,
    after: Position | None,
    before: Position | None,
) -> Select[tuple[str, int, int]]:
    c = flag.c
    order = (c.grade_rank, c.first_flagged_at, c.id)
    query = select(c.id, c.grade_rank, c.first_flagged_at).where(c.state == state, within, *conditions(wanted))
    if after is not None:
        query = query.where(tuple_(*order) < tuple_(*after))
    if before is not None:
        query = query.where(tuple_(*order) > tuple_(*before))
    return query.order_by(*_order(*order, upwards=before is not None)).limit(limit)


def conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    """What a flag must be, besides its state."""
    c = flag.c
    found: list[ColumnElement[bool]] = []
    for column, values in ((c.kind, wanted.kinds), (c.area, wanted.areas), (c.grade_rank, wanted.ranks)):
        if values:
            found.append(column.in_(sorted(values)))
    if wanted.items is not None:
        found.append(c.item.in_(sorted(wanted.items)))
    if wanted.item:
        found.append(c.item.contains(storable(wanted.item), autoescape=True))
    if wanted.direction is not None:
        found.append(c.direction == wanted.direction)
    if wanted.point:
        found.append(about_point(storable(wanted.point)))
    if wanted.since is not None:
        found.append(c.first_flagged_at >= wanted.since)
    if wanted.until is not None:
        found.append(c.first_flagged_at < wanted.until)
    if wanted.assignee is not None:
        a = flag_assignment.c
        given = select(a.flag_id).where(a.account_id.is_not(None) if wanted.assignee == 0 else _mine(wanted.assignee))
        found.append(c.id.not_in(given) if wanted.assignee == 0 else c.id.in_(given))
    return found


def about_point(point: str) -> ColumnElement[bool]:
    """The flag is about this point, alone or among others: a name of the JSON list of points."""
    among = cast(flag.c.points, Text).contains(to_json(point), autoescape=True)
    return (flag.c.point == point) | among


def _mine(account: int) -> ColumnElement[bool]:
    return flag_assignment.c.account_id == account


def _whole(ids: list[str]) -> Select[Any]:
    a = flag_assignment.c
    return (
        select(
            flag,
            a.account_id,
            func.coalesce(a.name, "").label("assignee"),
            func.coalesce(a.version, 0).label("version"),
            *_counts(),
        )
        .join(flag_assignment, a.flag_id == flag.c.id, isouter=True)
        .where(flag.c.id.in_(ids))
    )


def _counts() -> tuple[Label[int], Label[int]]:
    """How many notes and questions a flag has."""
    notes = select(func.count()).where(flag_note.c.flag_id == flag.c.id).correlate(flag).scalar_subquery()
    asked = select(func.count()).where(question.c.flag_id == flag.c.id).correlate(flag).scalar_subquery()
    return notes.label("notes"), asked.label("questions")


def _row(row: RowMapping, whole: bool) -> QueueRow:
    shown = row["findings"] if whole else [{**one, **dict.fromkeys(ONLY, ())} for one in row["findings"][:1]]
    return QueueRow(
        to_record({**row, "findings": shown}),
        row["assignee"],
        row["account_id"],
        row["version"],
        row["notes"],
        row["questions"],
    )
