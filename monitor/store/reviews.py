"""What people do with a flag: acknowledge it, judge it. The machine never writes these fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Label,
    RowMapping,
    Select,
    Text,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)

from monitor.schema import flag as flag_table
from monitor.schema import flag_log as log_table
from monitor.schema import mark_log, observation, observation_mark, series
from monitor.store.database import Database, insert_into
from monitor.store.flag_rows import FlagRecord, Verdict, state_of, to_record
from monitor.store.text import seconds, storable
from thresholds.model import Kind, Mark

MARKS = {Verdict.DATA_ERROR: Mark.DATA_ERROR, Verdict.EXPECTED: Mark.EXPECTED}


class FlagNotFound(Exception):
    """There is no flag with this id."""

    def __init__(self, flag_id: str) -> None:
        super().__init__(f"there is no flag {flag_id!r}")
        self.flag_id = flag_id


class RevisionChanged(Exception):
    """Somebody else has reviewed the flag meanwhile; `current` is how it stands now. Nothing was stored."""

    def __init__(self, current: FlagRecord) -> None:
        super().__init__(
            f"flag {current.flag.id} was reviewed meanwhile by {current.reviewer} (now revision {current.revision})"
        )
        self.current = current


def acknowledge(db: Database, flag_id: str, by: str, now: datetime) -> FlagRecord:
    """Somebody knows of the flag. The first one counts; the others stand in the log. Raises FlagNotFound."""
    at, actor = seconds(now), storable(by)
    with db.begin() as connection:
        row = locked(connection, flag_id)
        if row["acknowledged_at"] is None:
            state = state_of(verdict=row["verdict"], end_at=row["end_at"], acknowledged_at=at)
            _write(connection, flag_id, acknowledged_at=at, acknowledged_by=actor, state=str(state), updated_at=at)
        write_log(connection, [(flag_id, "acknowledged", {})], actor, at)
        return to_record(locked(connection, flag_id))


def review(
    db: Database,
    flag_id: str,
    verdict: str,
    note: str,
    reviewer: str,
    now: datetime,
    expected_revision: int | None,
) -> FlagRecord:
    """Judge a flag, also one that is over or was judged before (the newest judgement counts; the log keeps all).

    `data_error` and `expected` put a mark on the flag's observations (those of its item, area and points from the
    first abnormal one to the newest), which keeps them out of baselines, and have their series evaluated again. A
    later judgement takes the marks of the earlier one back. `expected_revision` is the revision that the reviewer
    saw; None does not ask. Raises FlagNotFound, RevisionChanged, ValueError for an unknown verdict.
    """
    judged = Verdict(verdict)
    with db.begin() as connection:
        db.bulk.lock_marks(connection)
        row = locked(connection, flag_id)
        if expected_revision is not None and row["revision"] != expected_revision:
            raise RevisionChanged(to_record(row))
        judge(db, connection, row, Judgement(str(judged), note, reviewer, seconds(now)), seconds(now))
        return to_record(locked(connection, flag_id))


@dataclass(frozen=True, slots=True)
class Judgement:
    """What somebody said of a flag and when; an empty verdict is none."""

    verdict: str = ""
    note: str = ""
    reviewer: str = ""
    at: int | None = None


def judge(
    db: Database,
    connection: Connection,
    row: RowMapping,
    said: Judgement,
    now: int,
    *,
    action: str = "reviewed",
    actor: str = "",
    more: Mapping[str, Any] | None = None,
) -> None:
    """Write a judgement over that of `row` (from `locked`, after `lock_marks`), with its marks and its log entry.

    actor  who does this, where it is not the reviewer; `more` goes into the entry of the log
    """
    by, note = storable(actor or said.reviewer), storable(said.note)
    flag_id = row["id"]
    _write(
        connection,
        flag_id,
        verdict=said.verdict,
        note=note,
        reviewer=storable(said.reviewer),
        reviewed_at=said.at,
        state=str(state_of(verdict=said.verdict, end_at=row["end_at"], acknowledged_at=row["acknowledged_at"])),
        revision=row["revision"] + 1,
        updated_at=now,
    )
    write_log(connection, [(flag_id, action, {"verdict": said.verdict, "note": note, **(more or {})})], by, now)
    touched = _unmark(connection, flag_id, by, now)
    mark = MARKS.get(Verdict(said.verdict)) if said.verdict else None
    if mark is not None and row["kind"] != Kind.SILENCE:
        touched += _mark(connection, row, mark, by, now)
    _evaluate_again(db, connection, touched, now)


def locked(connection: Connection, flag_id: str, within: ColumnElement[bool] | None = None) -> RowMapping:
    """The flag's row, held until the transaction ends; `within`: which flags there are for who asks.

    Raises FlagNotFound.
    """
    query = select(flag_table).where(flag_table.c.id == storable(flag_id)).with_for_update()
    if within is not None:
        query = query.where(within)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise FlagNotFound(flag_id)
    return row


def write_log(
    connection: Connection,
    entries: Sequence[tuple[str, str, Mapping[str, Any]]],
    actor: str,
    at: int,
    evaluation: int | None = None,
) -> None:
    """Add (flag id, action, detail) to the log of flags; `evaluation` is the id of the one that did it."""
    if entries:
        connection.execute(
            insert(log_table),
            [
                {"flag_id": flag_id, "at": at, "actor": actor, "action": action, "detail": dict(detail)}
                | {"evaluation_id": evaluation}
                for flag_id, action, detail in entries
            ],
        )


def _write(connection: Connection, flag_id: str, **values: Any) -> None:
    connection.execute(update(flag_table).where(flag_table.c.id == flag_id).values(**values))


def _mark(connection: Connection, row: RowMapping, mark: Mark, actor: str, now: int) -> list[tuple[int, int]]:
    """Mark the newest revisions of the flag's observations; gives (series, time) of each."""
    found = connection.execute(_observations_of(row)).all()
    if not found:
        return []
    m = observation_mark.c
    o = _observations_of(row).subquery()
    same = (m.series_id == o.c.series_id) & (m.at == o.c.at) & (m.revision == o.c.revision)
    before = func.coalesce(m.mark, 0)
    after = before.op("&")(int(Mark.CONFLICT)).op("|")(int(mark))
    judged = select(o.c.series_id, o.c.at, o.c.revision, before, after, *_by(row["id"], actor, now))
    _log_marks(connection, judged.select_from(o.outerjoin(observation_mark, same)))
    new = insert_into(connection, observation_mark)
    connection.execute(
        new.on_conflict_do_update(
            index_elements=["series_id", "at", "revision"],
            set_={
                "mark": m.mark.op("&")(int(Mark.CONFLICT)).op("|")(new.excluded.mark),
                "flag_id": new.excluded.flag_id,
                "actor": new.excluded.actor,
                "marked_at": new.excluded.marked_at,
            },
        ),
        [
            {"series_id": s, "at": at, "revision": revision, "mark": int(mark)}
            | {"flag_id": row["id"], "actor": actor, "marked_at": now}
            for s, at, revision in found
        ],
    )
    return [(s, at) for s, at, _ in found]


def _observations_of(row: RowMapping) -> Select[Any]:
    o, newer = observation.c, observation.alias("newer")
    query = (
        select(o.series_id, o.at, o.revision)
        .join(series, series.c.id == o.series_id)
        .where(series.c.item == row["item"], o.at.between(row["start_at"], row["last_hit_at"]))
        .where(
            ~select(newer.c.at)
            .where(newer.c.series_id == o.series_id, newer.c.at == o.at, newer.c.revision > o.revision)
            .exists()
        )
    )
    if row["area"]:
        query = query.where(series.c.area == row["area"])
    if points := row["points"] or [p for p in (row["point"],) if p]:
        query = query.where(series.c.point.in_(points))
    return query


def _log_marks(connection: Connection, changes: Select[Any]) -> None:
    """Write down what a review changes in marks; the newest id of this log is half of a data revision."""
    names = ["series_id", "at", "revision", "before", "after", "flag_id", "actor", "marked_at"]
    connection.execute(insert(mark_log).from_select(names, changes))


def _by(flag_id: str, actor: str, now: int) -> tuple[Label[Any], ...]:
    """Columns that say by whom a mark was changed."""
    return (
        literal(flag_id, Text).label("flag_id"),
        literal(actor, Text).label("actor"),
        literal(now, BigInteger).label("marked_at"),
    )


def _unmark(connection: Connection, flag_id: str, actor: str, now: int) -> list[tuple[int, int]]:
    """Take back the marks of an earlier judgement of this flag; what was found at storing stays."""
    m = observation_mark.c
    mine = m.flag_id == flag_id
    found = [(s, at) for s, at in connection.execute(select(m.series_id, m.at).where(mine))]
    if found:
        left = m.mark.op("&")(int(Mark.CONFLICT))
        taken = select(m.series_id, m.at, m.revision, m.mark, left.label("after"), *_by(flag_id, actor, now))
        _log_marks(connection, taken.where(mine))
        both = left != 0
        connection.execute(
            update(observation_mark).where(mine, both).values(mark=int(Mark.CONFLICT), flag_id="", actor="monitor")
        )
        connection.execute(delete(observation_mark).where(mine))
    return found


def _evaluate_again(db: Database, connection: Connection, touched: Sequence[tuple[int, int]], now: int) -> None:
    """Mark the series of these observations dirty from the earliest one on."""
    earliest: dict[int, int] = {}
    for series_id, at in touched:
        earliest[series_id] = min(at, earliest.get(series_id, at))
    ids = np.fromiter(earliest.keys(), np.int64, len(earliest))
    db.bulk.mark_dirty(connection, ids, np.fromiter(earliest.values(), np.int64, len(earliest)), now)
