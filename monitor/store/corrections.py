"""Correcting a stored value by hand: a further revision of the observation, why it was made, and what it changed."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, insert, select

from monitor.schema import dirty, evaluation, flag, flag_log, flag_past, observation, series
from monitor.schema_review import correction as table
from monitor.store import observations
from monitor.store.acts import Who, Witness, unseen
from monitor.store.database import Database
from monitor.store.text import moment, seconds, storable
from thresholds.model import Observation, ObservationBatch, SeriesKey

REASON_LENGTH = 500
BY_HAND = "人工更正"
MOST = 200


class SeriesNotFound(Exception):
    """There is no such series, or no such observation, for this person."""


class ValueChanged(Exception):
    """The value was changed meanwhile: it has a newer revision than the one that was seen. Nothing was stored."""

    def __init__(self, value: float, revision: int) -> None:
        super().__init__(f"the value is {value} by now (revision {revision})")
        self.value, self.revision = value, revision


class CorrectionError(Exception):
    """A correction that cannot be made. `reason`: value (no finite number), same (nothing changes), why (no reason
    given, or too long)."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Effect:
    """What a correction did to a flag: an action of its log (withdrawn, ended, opened, reopened, raised), or
    'changed' where only its numbers did."""

    flag: str
    item: str
    area: str
    action: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Correction:
    """A correction of one observation. `revision` is the one that it made.

    evaluated  what the evaluation made of it is known; until then `effects` is empty for that reason
    """

    id: int
    series: int
    key: SeriesKey
    area: str
    at: datetime
    revision: int
    before: float
    value: float
    reason: str
    actor: str
    name: str
    corrected_at: datetime
    flag: str | None
    evaluated: bool = False
    effects: tuple[Effect, ...] = ()


@dataclass(frozen=True, slots=True)
class SeriesPlace:
    """A series as far as a correction needs it."""

    id: int
    key: SeriesKey
    area: str


def find_series(db: Database, series_id: int, within: ColumnElement[bool]) -> SeriesPlace | None:
    """A series, None where there is none for this person."""
    s = series.c
    query = select(s.item, s.spec, s.unit, s.channel, s.point, s.area).where(s.id == series_id, within)
    with db.connect() as connection:
        row = connection.execute(query).one_or_none()
    return None if row is None else SeriesPlace(series_id, SeriesKey(*row[:5]), row.area)


def correct(
    db: Database,
    series_id: int,
    at: datetime,
    seen: int,
    value: float,
    reason: str,
    who: Who,
    now: datetime,
    within: ColumnElement[bool],
    flag_id: str | None = None,
    witness: Witness = unseen,
) -> int:
    """Store `value` as the next revision of an observation; gives the number of that revision.

    seen     the revision that the person saw: a newer one means that somebody was quicker
    within   which series there are for this person, as a condition on the table `series`
    flag_id  on whose page it was done

    Nothing is overwritten; in the same transaction the series is marked for evaluation. Raises SeriesNotFound,
    ValueChanged, CorrectionError, StoreError.
    """
    reason = storable(reason.strip())
    if not math.isfinite(value):
        raise CorrectionError("value")
    if not 0 < len(reason) <= REASON_LENGTH:
        raise CorrectionError("why")
    with db.begin() as connection:
        db.bulk.lock_observations(connection)
        one = connection.execute(select(series).where(series.c.id == series_id, within)).mappings().one_or_none()
        before = None if one is None else newest(connection, series_id, seconds(at))
        if one is None or before is None:
            raise SeriesNotFound
        if before.revision != seen:
            raise ValueChanged(before.value, before.revision)
        if before.value == value:
            raise CorrectionError("same")
        key = SeriesKey(one["item"], one["spec"], one["unit"], one["channel"], one["point"])
        note = f"{BY_HAND}：{reason}"
        batch = ObservationBatch.of([Observation(key, at, value, one["area"], one["source"], note)])
        name = f"{BY_HAND} {storable(who.actor)}"
        added = observations.add_in(db, connection, batch, one["source"] or BY_HAND, name, now)
        values: dict[str, Any] = {
            "series_id": series_id,
            "at": seconds(at),
            "revision": before.revision + 1,
            "batch_id": added.batch_id,
            "value_before": before.value,
            "value": value,
            "reason": reason,
            "actor": storable(who.actor),
            "name": storable(who.name),
            "corrected_at": seconds(now),
            "flag_id": flag_id,
        }
        connection.execute(insert(table).values(values))
        witness(connection, flag_id or "")
    return int(before.revision) + 1


def newest(connection: Connection, series_id: int, at: int) -> Any:
    """(revision, value) of the newest revision of an observation, None where there is none."""
    o = observation.c
    query = select(o.revision, o.value).where(o.series_id == series_id, o.at == at).order_by(o.revision.desc())
    return connection.execute(query.limit(1)).one_or_none()


def corrections_of(
    db: Database,
    items: Collection[str],
    within: ColumnElement[bool],
    see: ColumnElement[bool],
    since: datetime | None = None,
) -> list[Correction]:
    """What was corrected by hand in the series of these items, newest first, with what each of them changed.

    within   which series there are for this person; `see`: which flags
    since    observations from then on only
    """
    t, s = table.c, series.c
    query = (
        select(table, s.item, s.spec, s.unit, s.channel, s.point, s.area)
        .join(series, s.id == t.series_id)
        .where(s.item.in_(sorted(items)), within)
        .order_by(t.id.desc())
        .limit(MOST)
    )
    if since is not None:
        query = query.where(t.at >= seconds(since))
    with db.connect() as connection:
        found = connection.execute(query).mappings().all()
        waiting = set(connection.execute(select(dirty.c.series_id)).scalars()) if found else set()
        return [
            Correction(
                id=row["id"],
                series=row["series_id"],
                key=SeriesKey(row["item"], row["spec"], row["unit"], row["channel"], row["point"]),
                area=row["area"],
                at=moment(row["at"]),
                revision=row["revision"],
                before=row["value_before"],
                value=row["value"],
                reason=row["reason"],
                actor=row["actor"],
                name=row["name"],
                corrected_at=moment(row["corrected_at"]),
                flag=row["flag_id"],
                evaluated=row["series_id"] not in waiting,
                effects=effects(connection, row["batch_id"], row["item"], see),
            )
            for row in found
        ]


def effects(connection: Connection, batch: int, item: str, see: ColumnElement[bool]) -> tuple[Effect, ...]:
    """What the first evaluation that saw a batch did to the flags of an item.

    Nothing where a later batch brought values of the item before that evaluation changed anything: then it is not
    known which of them did it.
    """
    e = evaluation.c
    first = first_change(connection, batch, item)
    if first is None or others_between(connection, batch, first, item):
        return ()
    at = connection.execute(select(e.at).where(e.id == first)).scalar_one()
    logged = (
        select(flag.c.id, flag.c.area, flag_log.c.action)
        .join(flag, flag.c.id == flag_log.c.flag_id)
        .where(flag_log.c.evaluation_id == first, flag.c.item == item, see)
        .order_by(flag_log.c.id)
    )
    known = [Effect(row.id, item, row.area, row.action, moment(at)) for row in connection.execute(logged)]
    now = select(flag.c.id).where(flag.c.item == item, flag.c.evaluation_id == first)
    past = select(flag.c.id).join(flag_past, flag_past.c.flag_id == flag.c.id)
    past = past.where(flag.c.item == item, flag_past.c.evaluation_id == first)
    written = select(flag.c.id, flag.c.area).where(flag.c.id.in_(now.union(past)), see).order_by(flag.c.id)
    named = {one.flag for one in known}
    rest = [row for row in connection.execute(written) if row.id not in named]
    return (*known, *(Effect(row.id, item, row.area, "changed", moment(at)) for row in rest))


def first_change(connection: Connection, batch: int, item: str) -> int | None:
    """The first evaluation that had seen `batch` and changed a flag of the item."""
    e, found = evaluation.c, []
    for by in (flag.c.evaluation_id, flag_log.c.evaluation_id, flag_past.c.evaluation_id):
        query = select(func.min(by)).select_from(flag)
        if by.table is not flag:
            query = query.join(by.table, by.table.c.flag_id == flag.c.id)
        query = query.join(evaluation, e.id == by).where(flag.c.item == item, e.batch_id >= batch)
        found.append(connection.execute(query).scalar())
    return min((one for one in found if one is not None), default=None)


def others_between(connection: Connection, batch: int, evaluated: int, item: str) -> bool:
    """Whether other batches up to the newest one that the evaluation saw brought values of the item."""
    o, e = observation.c, evaluation.c
    last = select(e.batch_id).where(e.id == evaluated).scalar_subquery()
    mine = select(series.c.id).where(series.c.item == item)
    later = select(o.at).where(o.series_id.in_(mine), o.batch_id > batch, o.batch_id <= last).limit(1)
    return connection.execute(later).first() is not None
