"""Observations: adding them, and listing what is stored.

Nothing here is ever updated or deleted: a correction is the next revision of its series and time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import Connection, RowMapping, Select, bindparam, func, insert, select, tuple_, update

from collectors.base import StoredCounts
from monitor.rights import ALL, Reach
from monitor.schema import batch as batch_table
from monitor.schema import observation, observation_mark, observation_note, series, series_past
from monitor.store import sources
from monitor.store.batches import (
    Added,
    AlreadyAnswered,
    Idempotency,
    close_batch,
    keep_answer,
    new_batch,
    stored_answer,
)
from monitor.store.bulk import NO_ROWS, Rows, joined
from monitor.store.database import Database, insert_into
from monitor.store.revisions import Decision, Outcome, Outcomes, Sorted, decide, sort_batch
from monitor.store.text import is_storable, moment, seconds, storable
from thresholds.model import IntArray, Mark, ObservationBatch, Reject, SeriesKey

__all__ = ["Added", "Outcome", "add", "list_observations", "list_series", "revisions"]


def add(
    db: Database,
    batch: ObservationBatch,
    *,
    source: str,
    name: str,
    now: datetime,
    rejects: Sequence[Reject] = (),
    cursor: Mapping[str, Any] | None = None,
    idempotency: Idempotency | None = None,
    unlisted: int = 0,
) -> Added:
    """Store a batch with everything that belongs to it in one transaction: all of it is durable, or nothing.

    Written together: series not seen before, new revisions, notes, contradictions (Mark.CONFLICT), the series that
    are to be evaluated, the batch with its rejects, the cursor of `source` where one is given, and the answer to
    the request where `idempotency` is given. `name` says what it was (file, URL, request) in reports,
    `unlisted` how many rows were rejected that are not in `rejects`.

    Raises StoreError; AlreadyAnswered where a request with this key was stored before; ValueError where the batch
    holds a value that is not finite or a key that is not text.
    """
    check(batch)
    with db.begin() as connection:
        db.bulk.lock_observations(connection)
        return add_in(db, connection, batch, source, name, now, rejects, cursor, idempotency, unlisted)


def add_in(
    db: Database,
    connection: Connection,
    batch: ObservationBatch,
    source: str,
    name: str,
    now: datetime,
    rejects: Sequence[Reject] = (),
    cursor: Mapping[str, Any] | None = None,
    idempotency: Idempotency | None = None,
    unlisted: int = 0,
) -> Added:
    """`add` within a transaction that holds the lock on observations; the batch was checked."""
    at = seconds(now)
    if idempotency is not None:
        answered = stored_answer(connection, idempotency.token_id, idempotency.key)
        if answered is not None:
            raise AlreadyAnswered(answered)
    batch_id = new_batch(connection, source, name, at)
    ids, is_new = _series_ids(db, connection, batch, source, batch_id, at)
    ordered = sort_batch(ids[batch.series], batch.at, batch.value)
    decision = decide(ordered, _stored(db, connection, ordered, ids[is_new]))
    _store(db, connection, batch, decision, batch_id, at)
    counts = _counts(decision.outcome, len(rejects) + unlisted)
    close_batch(connection, batch_id, counts, rejects)
    newest = int(batch.at.max()) if len(batch) else None
    sources.advance(connection, source, cursor, newest)
    added = Added(batch_id, decision.outcome, counts)
    if idempotency is not None:
        keep_answer(connection, idempotency, added, at)
    return added


def check(batch: ObservationBatch) -> None:
    """Refuse what must not come this far; the sheet reader and the API reject such rows with their reason."""
    if not np.isfinite(batch.value).all():
        place = int(np.flatnonzero(~np.isfinite(batch.value))[0])
        raise ValueError(f"row {int(batch.row[place])}: the value {batch.value[place]} is not a finite number")
    for key in batch.keys:
        if not is_storable(f"{key.item}\x1f{key.spec}\x1f{key.unit}\x1f{key.channel}\x1f{key.point}"):
            raise ValueError(f"the series {key!r} has a NUL or half a character in its name")


def _series_ids(
    db: Database, connection: Connection, batch: ObservationBatch, source: str, batch_id: int, now: int
) -> tuple[IntArray, Any]:
    """The id of each series of the batch, and which are new. Areas and sources that changed are written, and what
    they were before is kept."""
    areas = [storable(area) for area in batch.areas]
    names = [storable(own or source) for own in batch.sources]
    known = db.bulk.find_series(connection, batch.keys)
    missing = [i for i, one in enumerate(known) if one is None]
    if missing:
        keys = [batch.keys[i] for i in missing]
        db.bulk.insert_series(connection, keys, [areas[i] for i in missing], [names[i] for i in missing], now)
        for i, one in zip(missing, db.bulk.find_series(connection, keys), strict=True):
            known[i] = one
    stored = [one for one in known if one is not None]
    changed = [
        (one, {"series_id": one.id, "new_area": area or one.area, "new_source": name or one.source})
        for one, area, name in zip(stored, areas, names, strict=True)
        if (area and area != one.area) or (name and name != one.source)
    ]
    if changed:
        past = [
            {"series_id": one.id, "batch_id": batch_id, "area": one.area, "source": one.source} for one, _ in changed
        ]
        connection.execute(insert_into(connection, series_past).on_conflict_do_nothing(), past)
        connection.execute(
            update(series)
            .where(series.c.id == bindparam("series_id"))
            .values(area=bindparam("new_area"), source=bindparam("new_source")),
            [new for _, new in changed],
        )
    is_new = np.zeros(len(stored), np.bool_)
    is_new[missing] = True
    return np.fromiter((one.id for one in stored), np.int64, len(stored)), is_new


def _stored(db: Database, connection: Connection, batch: Sorted, new_series: IntArray) -> Rows:
    """The stored revisions of the keys of a sorted batch. New series cost nothing.

    Per series one window from its first to its last time is read. Where a window holds much more than the batch
    asks for (a few corrections far apart in a long history), reading stops and the remaining keys are asked singly.
    """
    sid, at = batch.series_id[batch.first], batch.at[batch.first]
    if len(new_series):
        old = ~np.isin(sid, new_series)
        sid, at = sid[old], at[old]
    if not len(sid):
        return NO_ROWS
    start = np.flatnonzero(np.append(True, sid[1:] != sid[:-1]))
    size = np.diff(np.append(start, len(sid)))
    limit = 4 * size + 64
    rows = db.bulk.read_windows(connection, sid[start], at[start], at[start + size - 1], limit)
    left = np.searchsorted(rows.series_id, sid[start])
    got = np.searchsorted(rows.series_id, sid[start], side="right") - left
    cut = got >= limit
    if not cut.any():
        return rows
    # The last time read of a cut window may have further revisions: ask again from there on.
    reached = np.full(len(start), np.iinfo(np.int64).max)
    reached[cut] = rows.at[(left + got - 1)[cut]]
    keep = rows.at < reached[np.searchsorted(sid[start], rows.series_id)]
    rest = at >= np.repeat(reached, size)
    single = db.bulk.read_points(connection, sid[rest], at[rest])
    kept = Rows(rows.series_id[keep], rows.at[keep], rows.revision[keep], rows.value[keep])
    both = joined([kept, single])
    order = np.lexsort((both.revision, both.at, both.series_id))
    return Rows(both.series_id[order], both.at[order], both.revision[order], both.value[order])


def _store(
    db: Database, connection: Connection, batch: ObservationBatch, decision: Decision, batch_id: int, now: int
) -> None:
    """Write the new revisions, their notes and contradictions, and mark their series for evaluation."""
    new = decision.new
    if not len(new):
        return
    db.bulk.insert_observations(connection, new, batch_id)
    if batch.notes:
        place = decision.place.tolist()
        noted = [
            {"series_id": s, "at": a, "revision": r, "note": storable(batch.notes[p])}
            for s, a, r, p in zip(new.series_id.tolist(), new.at.tolist(), new.revision.tolist(), place, strict=True)
            if p in batch.notes
        ]
        if noted:
            connection.execute(insert(observation_note), noted)
    clash = decision.conflicts
    if len(clash):
        connection.execute(
            insert(observation_mark),
            [
                {"series_id": s, "at": a, "revision": r, "mark": int(Mark.CONFLICT)}
                | {"flag_id": "", "actor": "monitor", "marked_at": now}
                for s, a, r in zip(clash.series_id.tolist(), clash.at.tolist(), clash.revision.tolist(), strict=True)
            ],
        )
    first = np.flatnonzero(np.append(True, new.series_id[1:] != new.series_id[:-1]))
    db.bulk.mark_dirty(connection, new.series_id[first], new.at[first], now)


def _counts(outcome: Outcomes, rejected: int) -> StoredCounts:
    accepted, duplicate, revised = np.bincount(outcome, minlength=3).tolist()
    return StoredCounts(accepted=accepted, duplicate=duplicate, revised=revised, rejected=rejected)


@dataclass(frozen=True, slots=True)
class SeriesRecord:
    """One series. `area` and `source` are those last given for it."""

    id: int
    key: SeriesKey
    area: str
    source: str
    first_seen_at: datetime


@dataclass(frozen=True, slots=True)
class ObservationRecord:
    """One stored revision. `received_at`, `source` and `name` are those of the batch that brought it."""

    series: SeriesRecord
    at: datetime
    revision: int
    value: float
    mark: Mark
    note: str
    batch_id: int
    received_at: datetime
    source: str
    name: str


def list_series(
    db: Database,
    *,
    item: str | None = None,
    unit: str | None = None,
    point: str | None = None,
    area: str | None = None,
    source: str | None = None,
    limit: int = 100,
    after: int | None = None,
    reach: Reach = ALL,
) -> list[SeriesRecord]:
    """Series by id, filtered by what is given, of those that the reader may see. `after` is the id of the last one
    of the page before."""
    query = (
        _filtered(select(series), item=item, unit=unit, point=point, area=area, source=source)
        .where(reach.where(series.c.area, series.c.point))
        .order_by(series.c.id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(series.c.id > after)
    with db.connect() as connection:
        return [_series_record(row) for row in connection.execute(query).mappings()]


def list_observations(
    db: Database,
    *,
    series_id: int | None = None,
    item: str | None = None,
    unit: str | None = None,
    point: str | None = None,
    area: str | None = None,
    source: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    every_revision: bool = False,
    limit: int = 1_000,
    after: tuple[int, int, int] | None = None,
    reach: Reach = ALL,
) -> list[ObservationRecord]:
    """Observations by (series, time, revision), the newest revision of each unless `every_revision`; of those series
    that the reader may see.

    `since` is inclusive, `until` exclusive. `after` is (series id, epoch seconds, revision) of the last one of the
    page before.
    """
    o = observation.c
    query = _filtered(_joined_observations(), item=item, unit=unit, point=point, area=area, source=source)
    query = query.where(reach.where(series.c.area, series.c.point))
    query = query.order_by(o.series_id, o.at, o.revision).limit(limit)
    if series_id is not None:
        query = query.where(o.series_id == series_id)
    if since is not None:
        query = query.where(o.at >= seconds(since))
    if until is not None:
        query = query.where(o.at < seconds(until))
    if after is not None:
        query = query.where(tuple_(o.series_id, o.at, o.revision) > tuple_(*after))
    if not every_revision:
        newer = observation.alias("newer")
        query = query.where(
            ~select(newer.c.at)
            .where(newer.c.series_id == o.series_id, newer.c.at == o.at, newer.c.revision > o.revision)
            .exists()
        )
    with db.connect() as connection:
        return [_observation_record(row) for row in connection.execute(query).mappings()]


def revisions(db: Database, series_id: int, at: datetime) -> list[ObservationRecord]:
    """Every value stored for one series and time, oldest first: what was known when, and from whom."""
    o = observation.c
    query = _joined_observations().where(o.series_id == series_id, o.at == seconds(at)).order_by(o.revision)
    with db.connect() as connection:
        return [_observation_record(row) for row in connection.execute(query).mappings()]


def _filtered(query: Select[Any], **wanted: str | None) -> Select[Any]:
    for column, value in wanted.items():
        if value is not None:
            query = query.where(series.c[column] == storable(value))
    return query


def _joined_observations() -> Select[Any]:
    """Observations with their series, batch, mark and note."""
    o = observation.c
    tables = observation.join(series, series.c.id == o.series_id).join(batch_table, batch_table.c.id == o.batch_id)
    for extra in (observation_mark, observation_note):
        same = (extra.c.series_id == o.series_id) & (extra.c.at == o.at) & (extra.c.revision == o.revision)
        tables = tables.join(extra, same, isouter=True)
    return select(
        series,
        o.at,
        o.revision,
        o.value,
        o.batch_id,
        func.coalesce(observation_mark.c.mark, 0).label("mark"),
        func.coalesce(observation_note.c.note, "").label("note"),
        batch_table.c.received_at,
        batch_table.c.source.label("batch_source"),
        batch_table.c.name,
    ).select_from(tables)


def _series_record(row: RowMapping) -> SeriesRecord:
    return SeriesRecord(
        id=row["id"],
        key=SeriesKey(row["item"], row["spec"], row["unit"], row["channel"], row["point"]),
        area=row["area"],
        source=row["source"],
        first_seen_at=moment(row["first_seen_at"]),
    )


def _observation_record(row: RowMapping) -> ObservationRecord:
    return ObservationRecord(
        series=_series_record(row),
        at=moment(row["at"]),
        revision=row["revision"],
        value=row["value"],
        mark=Mark(row["mark"]),
        note=row["note"],
        batch_id=row["batch_id"],
        received_at=moment(row["received_at"]),
        source=row["batch_source"],
        name=row["name"],
    )
