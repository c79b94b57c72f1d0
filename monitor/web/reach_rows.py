"""Rows that a caller may not report: another area's, or another point's. Each is rejected with its reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from sqlalchemy import select

from collectors.rows import Rows
from monitor.rights import Reach
from monitor.schema import series
from monitor.store.database import Database
from monitor.store.text import storable
from thresholds.model import BoolArray, ObservationBatch, Reject, SeriesKey

REASON = "not_allowed"
AT_ONCE = 500


def within(db: Database, reach: Reach, rows: Rows) -> Rows:
    """The rows that may be reported; the others are rejects. What a row says of its area is not believed where the
    point, or the item of a row without a point, is known from another area: a series must not change hands so."""
    if reach.areas.everywhere or not len(rows.batch):
        return rows
    batch = rows.batch
    points = known_areas(db, {key.point for key in batch.keys if key.point})
    items = known_areas(db, {key.item for key in batch.keys if not key.point}, items=True)
    fine = np.array([
        allowed(reach, key, area, points.get(key.point, set()) if key.point else items.get(key.item, set()))
        for key, area in zip(batch.keys, batch.areas, strict=True)
    ], bool)  # fmt: skip
    kept = fine[batch.series]
    refused = [
        Reject(int(row), REASON, f"监测点“{key.point}”或区域“{area}”不在权限范围内", "")
        for row, key, area in (
            (batch.row[i], batch.keys[batch.series[i]], batch.areas[batch.series[i]]) for i in np.flatnonzero(~kept)
        )
    ]
    rejects = sorted([*rows.rejects, *refused], key=lambda reject: reject.row)
    return replace(rows, batch=part_of(batch, kept), rejects=rejects)


def allowed(reach: Reach, key: SeriesKey, area: str, known: Iterable[str]) -> bool:
    """Whether a row of this series, said to be of `area`, may be reported; `known` are the areas it has been of."""
    before = set(known)
    if key.point and key.point in reach.points:
        return not area or not before or area in before
    stated = {area} if area or not before else set()
    return all(one in reach.areas for one in before | stated)


def known_areas(db: Database, names: set[str], *, items: bool = False) -> dict[str, set[str]]:
    """Point -> the areas of its series; with `items`, item -> those of its series without a point."""
    column = series.c.item if items else series.c.point
    found: dict[str, set[str]] = {}
    ordered = sorted(storable(name) for name in names)
    with db.connect() as connection:
        for start in range(0, len(ordered), AT_ONCE):
            query = select(column, series.c.area).distinct().where(column.in_(ordered[start : start + AT_ONCE]))
            if items:
                query = query.where(series.c.point == "")
            for name, area in connection.execute(query):
                found.setdefault(name, set()).add(area)
    return found


def part_of(batch: ObservationBatch, kept: BoolArray) -> ObservationBatch:
    """The rows of a batch that are kept, with their series only."""
    used, codes = np.unique(batch.series[kept], return_inverse=True)
    place = np.cumsum(kept) - 1
    return ObservationBatch(
        keys=[batch.keys[i] for i in used],
        areas=[batch.areas[i] for i in used],
        sources=[batch.sources[i] for i in used],
        series=codes.astype(np.int64),
        at=batch.at[kept],
        value=batch.value[kept],
        row=batch.row[kept],
        notes={int(place[i]): note for i, note in batch.notes.items() if kept[i]},
    )
