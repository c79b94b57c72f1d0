"""What happened to flags since a page of the review queue was made: for pages that stay open while people work.

A page keeps a mark: how far the log of flags went when it was made. PostgreSQL gives numbers of the log out before
the transaction that uses them is over, so there a mark also names the numbers that were missing then.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Self

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from monitor.schema import flag, flag_log
from monitor.schema_review import flag_assignment
from monitor.store.database import Database
from monitor.store.flag_rows import FlagState
from monitor.store.review_queue import Wanted, conditions

APPEARED = ("opened", "reopened", "raised", "undone")
"""what brings a flag into a queue, or further up in it"""
CAME_IN = ("opened",)
"""of these no page that was made before has a row"""
MOST = 200
MOST_ENTRIES = 5_000
"""of a log that went on for days beside an open page the newest ones count"""
LOOKED_BACK = 1_000
"""numbers of the log among which one may be missing on PostgreSQL"""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far the log went: its newest number, and the ranges (first, last) below it that nobody could see yet."""

    newest: int = 0
    missing: tuple[tuple[int, int], ...] = ()

    def __str__(self) -> str:
        return "_".join([str(self.newest), *(f"{first}-{last}" for first, last in self.missing)])

    @classmethod
    def read(cls, text: str) -> Self | None:
        """As `str` wrote it; None for anything else."""
        if len(text) > 500 or not re.fullmatch(r"\d{1,18}(_\d{1,18}-\d{1,18})*", text, re.ASCII):
            return None
        newest, *ranges = text.split("_")
        pairs = (one.split("-") for one in ranges)
        return cls(int(newest), tuple((int(first), int(last)) for first, last in pairs))

    def after(self) -> ColumnElement[bool]:
        """The entries of the log that were not there yet."""
        number = flag_log.c.id
        return or_(number > self.newest, *(number.between(first, last) for first, last in self.missing))


class Standing(NamedTuple):
    """How people see a flag now, as far as a row of the queue changes with it. `raised`: its grade has."""

    id: str
    revision: int
    version: int
    state: FlagState
    end_reason: str
    verdict: str
    reviewer: str
    note: str
    assignee: str
    raised: bool


@dataclass(frozen=True, slots=True)
class News:
    """What happened since a page was made, and since it last asked.

    mark       how far the log goes now
    appeared   ids of flags that came into the filter or rose in it since the page was made, MOST of them at most
    changed    flags that anything happened to since it last asked, MOST of them, the last changed first
    """

    mark: Mark
    appeared: list[str]
    changed: list[Standing]


def mark_of(db: Database) -> Mark:
    """How far the log of flags goes now."""
    with db.connect() as connection:
        return _mark(connection)


def news_since(
    db: Database, wanted: Wanted, within: ColumnElement[bool], page: Mark, asked: Mark, actor: str
) -> News | None:
    """What happened since the page with the mark `page` was made; None where nothing did since the mark `asked`.

    wanted  the filter of the page; within: which flags there are for who asks, whose own acts (actor) are no news
    """
    with db.connect() as connection:
        mark = _mark(connection)
        if mark == asked:
            return None
        return News(mark, _appeared(connection, wanted, within, page, actor), _changed(connection, within, asked))


def _mark(connection: Connection) -> Mark:
    number = flag_log.c.id
    if connection.dialect.name == "sqlite":  # one writes at a time
        return Mark(connection.execute(select(func.max(number))).scalar() or 0)
    seen = connection.execute(select(number).order_by(number.desc()).limit(LOOKED_BACK)).scalars().all()
    return Mark(seen[0], tuple(_gaps(seen))[:20]) if seen else Mark()


def _gaps(falling: Collection[int]) -> Iterator[tuple[int, int]]:
    """The ranges that are missing in falling numbers, the newest first."""
    above: int | None = None
    for one in falling:
        if above is not None and above - one > 1:
            yield one + 1, above - 1
        above = one


def _appeared(
    connection: Connection, wanted: Wanted, within: ColumnElement[bool], page: Mark, actor: str
) -> list[str]:
    actions = (*APPEARED, "assigned") if wanted.assignee is not None else APPEARED
    entries = (
        select(flag_log.c.flag_id)
        .where(page.after(), flag_log.c.action.in_(actions), flag_log.c.actor != actor)
        .order_by(flag_log.c.id.desc())
        .limit(MOST_ENTRIES)
    )
    state = flag.c.state.in_(sorted(wanted.states))
    query = select(flag.c.id).where(flag.c.id.in_(entries), state, within, *conditions(wanted))
    return list(connection.execute(query.limit(MOST)).scalars())


def _changed(connection: Connection, within: ColumnElement[bool], asked: Mark) -> list[Standing]:
    """Every act counts, the reader's own in another window too; a flag that has only come in is on no page."""
    raised = func.max(and_(flag_log.c.action.in_(("raised", "reopened")))).label("raised")
    if connection.dialect.name != "sqlite":
        raised = func.bool_or(flag_log.c.action.in_(("raised", "reopened"))).label("raised")
    touched = (
        select(flag_log.c.flag_id, func.max(flag_log.c.id).label("newest"), raised)
        .where(asked.after(), flag_log.c.action.not_in(CAME_IN))
        .group_by(flag_log.c.flag_id)
        .order_by(func.max(flag_log.c.id).desc())
        .limit(MOST)
        .subquery()
    )
    f, a = flag.c, flag_assignment.c
    query = (
        select(
            f.id, f.revision, func.coalesce(a.version, 0), f.state, f.end_reason, f.verdict, f.reviewer, f.note,
            func.coalesce(a.name, ""), touched.c.raised,
        )
        .join(touched, touched.c.flag_id == f.id)
        .join(flag_assignment, a.flag_id == f.id, isouter=True)
        .where(within)
        .order_by(touched.c.newest.desc())
    )  # fmt: skip
    rows = connection.execute(query).all()
    return [Standing(*row[:3], FlagState(row[3]), *row[4:9], raised=bool(row[9])) for row in rows]
