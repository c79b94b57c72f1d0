"""Flags: what the machine computed, reconciled with what is stored; and reading them.

The machine's fields follow the computation; what people did (acknowledged, verdict, reviewer, note) is theirs alone
and is written by reviews.py.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

from sqlalchemy import Connection, RowMapping, Select, func, insert, select, tuple_, update

from monitor.rights import ALL, Reach
from monitor.schema import flag as flag_table
from monitor.schema import flag_log as log_table
from monitor.schema import flag_past
from monitor.store import dirty as dirty_rows
from monitor.store.database import Database
from monitor.store.dirty import Dirty
from monitor.store.flag_rows import (
    FlagRecord,
    FlagState,
    Verdict,
    machine_fields,
    state_of,
    to_flag,
    to_record,
    value_to_json,
)
from monitor.store.reviews import FlagNotFound, RevisionChanged, acknowledge, review, write_log
from monitor.store.stamps import Stamp, keep_evaluation
from monitor.store.text import moment, seconds, storable
from thresholds.model import Flag, Kind

__all__ = [
    "FlagChange",
    "FlagFilter",
    "FlagNotFound",
    "FlagRecord",
    "FlagState",
    "LogEntry",
    "RevisionChanged",
    "Verdict",
    "acknowledge",
    "count_flags",
    "flag_log",
    "get_flag",
    "list_flags",
    "review",
    "save_evaluation",
]

CHUNK = 500
MACHINE = "monitor"
Change = Literal["opened", "raised", "ended", "withdrawn", "exit"]


@dataclass(frozen=True, slots=True)
class FlagChange:
    """What an evaluation changed.

    opened     new, or open again after it was over (a flag that is already over when it is first known is opened too:
               its `end` says so)
    raised     its highest grade is higher than before
    ended      it is over: the values are back within the thresholds, or the silent source speaks again
    withdrawn  it is over because a correction removed its ground (end_reason "corrected")
    exit       the end of what it began is to be proposed; where it is over with that, `ended` says both
    """

    what: Change
    flag: Flag


Notify = Callable[[Connection, Sequence[FlagChange]], None]


def save_evaluation(
    db: Database,
    computed: Sequence[Flag],
    *,
    items: Collection[str],
    since: Mapping[str, int],
    dirty: Sequence[Dirty],
    now: datetime,
    notify: Notify,
    kinds: Collection[Kind] = tuple(Kind),
    stamp: Stamp | None = None,
) -> list[FlagChange]:
    """Make the stored flags of `items` agree with the computed ones, in one transaction with all that follows.

    computed  every flag of `items` that the history now gives, also the old ones
    since     per item, epoch seconds: flags first flagged before it are not inserted or withdrawn any more, except
              where the item has no stored flag at all (then its history is taken in)
    dirty     the marks that this evaluation answers; removed unless they were renewed meanwhile
    notify    queues the notifications for the changes, with the connection of this transaction: both or neither
    kinds     only flags of these kinds are looked at: those that this evaluation computes
    stamp     what the evaluation was made on; kept where it changed anything, with what it changed

    Raises StoreError; then nothing was stored, and the marks remain. ValueError for a flag that is not of `items`.
    """
    by_id = {flag.id: flag for flag in computed}
    if len(by_id) != len(computed) or any(f.item not in items or f.kind not in kinds for f in computed):
        raise ValueError("computed flags must have distinct ids and belong to the items and kinds evaluated")
    with db.begin() as connection:
        by = _Evaluation(connection, stamp, seconds(now))
        changes = _reconcile(by, by_id, items, since, {str(kind) for kind in kinds})
        dirty_rows.clear(connection, dirty)
        if changes:
            notify(connection, changes)
    return changes


class _Evaluation:
    """The transaction of one evaluation. Its stamp is stored when something is first changed."""

    def __init__(self, connection: Connection, stamp: Stamp | None, now: int) -> None:
        self.connection, self.stamp, self.now = connection, stamp, now

    @cached_property
    def id(self) -> int | None:
        return None if self.stamp is None else keep_evaluation(self.connection, self.stamp, self.now)

    def log(self, entries: Sequence[tuple[str, str, Mapping[str, Any]]]) -> None:
        if entries:
            write_log(self.connection, entries, MACHINE, self.now, self.id)


def _reconcile(
    by: _Evaluation,
    computed: Mapping[str, Flag],
    items: Collection[str],
    since: Mapping[str, int],
    kinds: Collection[str],
) -> list[FlagChange]:
    connection = by.connection
    stored = {row["id"]: row for row in _rows(connection, flag_table.c.id, computed)}
    known_items = {row["item"] for row in _distinct_items(connection, items)}
    changes: list[FlagChange] = []
    new = [
        one
        for one in computed.values()
        if one.id not in stored and (one.item not in known_items or seconds(one.first_flagged) >= since[one.item])
    ]
    _insert(by, new)
    changes += [FlagChange("opened", one) for one in new]
    for flag_id, row in stored.items():
        changes += _update(by, row, computed[flag_id])
    for row in _rows(connection, flag_table.c.item, items, flag_table.c.end_at.is_(None)):
        if row["id"] in computed or row["kind"] not in kinds or row["first_flagged_at"] < since[row["item"]]:
            continue
        changes.append(FlagChange("withdrawn", _withdraw(by, row)))
    return changes


def _insert(by: _Evaluation, new: Sequence[Flag]) -> None:
    if not new:
        return
    rows = []
    for one in new:
        fields = machine_fields(one)
        state = state_of(verdict="", end_at=fields["end_at"], acknowledged_at=None)
        kept = {"state": str(state), "raised_at": by.now, "updated_at": by.now, "evaluation_id": by.id}
        rows.append({"id": one.id, **fields, **kept})
    by.connection.execute(insert(flag_table), rows)
    by.log([(one.id, "opened", grade_detail(one)) for one in new])


def _update(by: _Evaluation, row: RowMapping, flag: Flag) -> list[FlagChange]:
    """Write what the machine sees differently now; gives what changed for people."""
    fields = machine_fields(flag)
    changed = {name: value for name, value in fields.items() if row[name] != value}
    if not changed:
        return []
    changes: list[FlagChange] = []
    log: list[tuple[str, str, dict[str, Any]]] = []
    if row["end_at"] is not None and flag.end is None:
        changes.append(FlagChange("opened", flag))
        log.append((flag.id, "reopened", {"end_reason": row["end_reason"]}))
    if flag.peak_grade.rank > row["grade_rank"]:
        changes.append(FlagChange("raised", flag))
        log.append((flag.id, "raised", {"from": row["grade"], **grade_detail(flag)}))
    if row["end_at"] is None and flag.end is not None:
        changes.append(FlagChange("ended", flag))
        log.append((flag.id, "ended", {"end_reason": flag.end_reason}))
    if (row["exit"] is None) != (flag.exit is None):
        what = "exit_proposed" if flag.exit is not None else "exit_taken_back"
        log.append((flag.id, what, fields["exit"] or row["exit"]))
        if flag.exit is not None and not any(change.what == "ended" for change in changes):
            changes.append(FlagChange("exit", flag))
    _write(by, row, changed)
    by.log(log)
    return changes


def _withdraw(by: _Evaluation, row: RowMapping) -> Flag:
    """End a flag that the corrected history no longer gives. Its evidence stays as it was."""
    changed = {"end_at": by.now, "end_reason": "corrected"}
    _write(by, row, changed)
    by.log([(row["id"], "withdrawn", {})])
    return replace(to_flag(row), end=moment(by.now), end_reason="corrected")


def _write(by: _Evaluation, row: RowMapping, changed: Mapping[str, Any]) -> None:
    """Write what changed, and keep what was there before with the evaluation that had given it."""
    stamped: dict[str, Any] = {}
    if not follows_the_clock(row, changed):
        past = {
            "flag_id": row["id"],
            "evaluation_id": row["evaluation_id"],
            "replaced_at": by.now,
            "fields": {name: value_to_json(row[name]) for name in changed},
        }
        by.connection.execute(insert(flag_past).values(past))
        stamped = {"evaluation_id": by.id}
    state = state_of(
        verdict=row["verdict"], end_at=changed.get("end_at", row["end_at"]), acknowledged_at=row["acknowledged_at"]
    )
    values = {**changed, **stamped, "state": str(state), "updated_at": by.now}
    by.connection.execute(update(flag_table).where(flag_table.c.id == row["id"]).values(values))


def follows_the_clock(row: Mapping[str, Any] | RowMapping, changed: Collection[str]) -> bool:
    """Whether all that changed is how long a silence has lasted: every look at the clock gives that anew."""
    return row["kind"] == Kind.SILENCE and set(changed) == {"last_hit_at"}


def grade_detail(flag: Flag) -> dict[str, Any]:
    return {"grade": flag.peak_grade.label, "rank": flag.peak_grade.rank}


def _rows(connection: Connection, column: Any, values: Iterable[str], *conditions: Any) -> Iterator[RowMapping]:
    for part in chunks(values):
        yield from connection.execute(select(flag_table).where(column.in_(part), *conditions)).mappings().all()


def _distinct_items(connection: Connection, items: Iterable[str]) -> Iterator[RowMapping]:
    for part in chunks(items):
        yield from (
            connection.execute(select(flag_table.c.item).where(flag_table.c.item.in_(part)).distinct())
            .mappings()
            .all()
        )


def chunks(values: Iterable[str]) -> Iterator[list[str]]:
    """Lists short enough for an IN."""
    every = list(values)
    for start in range(0, len(every), CHUNK):
        yield every[start : start + CHUNK]


@dataclass(frozen=True, slots=True)
class FlagFilter:
    """Which flags are wanted: all that match every field given. Several values in one field: any of them."""

    states: Collection[str] = ()
    kinds: Collection[str] = ()
    item: str | None = None
    area: str | None = None
    direction: str | None = None
    grade: str | None = None
    min_rank: int | None = None
    rule: str | None = None
    since: datetime | None = None  # first flagged then or later
    until: datetime | None = None  # first flagged before
    reach: Reach = ALL  # what the reader may see


def get_flag(db: Database, flag_id: str) -> FlagRecord | None:
    """One flag, or None."""
    with db.connect() as connection:
        query = select(flag_table).where(flag_table.c.id == storable(flag_id))
        row = connection.execute(query).mappings().one_or_none()
    return to_record(row) if row else None


def list_flags(
    db: Database, filters: FlagFilter | None = None, limit: int = 100, after: tuple[int, int, str] | None = None
) -> list[FlagRecord]:
    """Flags, the newest first, of those flagged at the same time the highest grade first.

    `after` is (first_flagged in epoch seconds, rank of the grade, id) of the last one of the page before.
    """
    c = flag_table.c
    order = (c.first_flagged_at, c.grade_rank, c.id)
    query = _wanted(select(flag_table), filters or FlagFilter()).order_by(*(one.desc() for one in order)).limit(limit)
    if after is not None:
        query = query.where(tuple_(*order) < tuple_(*after))
    with db.connect() as connection:
        return [to_record(row) for row in connection.execute(query).mappings()]


def _wanted(query: Select[Any], wanted: FlagFilter) -> Select[Any]:
    c = flag_table.c
    if wanted.states:
        query = query.where(c.state.in_([str(state) for state in wanted.states]))
    if wanted.kinds:
        query = query.where(c.kind.in_([str(kind) for kind in wanted.kinds]))
    for column in ("item", "area", "direction", "grade", "rule"):
        value = getattr(wanted, column)
        if value is not None:
            query = query.where(c[column] == storable(str(value)))
    query = query.where(wanted.reach.where(c.area, c.point))
    if wanted.min_rank is not None:
        query = query.where(c.grade_rank >= wanted.min_rank)
    if wanted.since is not None:
        query = query.where(c.first_flagged_at >= seconds(wanted.since))
    if wanted.until is not None:
        query = query.where(c.first_flagged_at < seconds(wanted.until))
    return query


@dataclass(frozen=True, slots=True)
class FlagCount:
    """How many flags there are of one sort."""

    state: str
    kind: str
    rule: str
    grade: str
    rank: int
    count: int


def count_flags(db: Database) -> list[FlagCount]:
    """Flags by state, kind, rule and grade."""
    c = flag_table.c
    groups = (c.state, c.kind, c.rule, c.grade, c.grade_rank)
    with db.connect() as connection:
        return [FlagCount(*row) for row in connection.execute(select(*groups, func.count()).group_by(*groups))]


@dataclass(frozen=True, slots=True)
class LogEntry:
    """Something that happened to a flag; `actor` is "monitor" for the machine."""

    at: datetime
    actor: str
    action: str
    detail: Mapping[str, Any]
    evaluation: int | None = None  # of what the machine did: the evaluation that did it


def flag_log(db: Database, flag_id: str) -> list[LogEntry]:
    """What happened to a flag, oldest first."""
    c = log_table.c
    query = (
        select(c.at, c.actor, c.action, c.detail, c.evaluation_id)
        .where(c.flag_id == storable(flag_id))
        .order_by(c.id)
    )
    with db.connect() as connection:
        return [LogEntry(moment(row[0]), *row[1:]) for row in connection.execute(query)]
