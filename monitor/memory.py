"""All observations in memory, as columns per series: loaded once, then fed by what changed.

The database is the truth; this is a copy that can be thrown away. Reading 4 million rows for every evaluation would
take seconds, so each evaluation reads only the series that are marked, from the first changed time on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from monitor.store.columns import Columns, SeriesColumns, columns_in, series_in
from monitor.store.database import Database
from monitor.store.dirty import Dirty, dirty_in
from monitor.store.stamps import DataRevision, data_revision
from thresholds.model import FloatArray, IntArray, SeriesKey
from thresholds.panel import Panel, civil_days


@dataclass(slots=True)
class Held:
    """One series: its place in the world and its columns, in order of time."""

    id: int
    key: SeriesKey
    area: str
    source: str
    at: IntArray
    value: FloatArray
    mark: NDArray[np.uint8]


class KeysByItem(Mapping[str, Sequence[SeriesKey]]):
    """The keys of all series by item, looked up when they are asked for."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory

    def __getitem__(self, item: str) -> Sequence[SeriesKey]:
        return [self.memory.series[i].key for i in self.memory.by_item[item]]

    def __iter__(self) -> Iterator[str]:
        return iter(self.memory.by_item)

    def __len__(self) -> int:
        return len(self.memory.by_item)


class Memory:
    """Series by id. Used by one thread at a time: the evaluation and the watch run in one executor of one thread."""

    def __init__(self, zone: tzinfo) -> None:
        self.zone = zone
        self.series: dict[int, Held] = {}
        self.by_item: dict[str, list[int]] = {}
        self.since = 0
        """epoch seconds: all observations from here on are held, older ones are not"""
        self.revision = DataRevision(0, 0)
        """what the database held when it was last read; what is held is exactly that"""
        self.changed: set[int] = set()
        """ids of the series that were read anew by the last `refresh`"""
        self.appended: set[int] = set()
        """those of them of which nothing was held from their first news on: all that came is newer"""

    def load(self, db: Database, since: datetime) -> list[Dirty]:
        """Everything from `since` on. Gives what waits for evaluation, as of the same moment. Raises StoreError."""
        begin = int(since.timestamp())
        with db.snapshot() as connection:
            revision, marks = data_revision(connection), dirty_in(connection)
            known, columns = series_in(connection), columns_in(db, connection, None, begin)
        self.series.clear()
        self.by_item.clear()
        self.learn(known)
        self.splice(columns)
        self.since, self.revision = begin, revision
        self.changed, self.appended = {m.series_id for m in marks}, set()
        return marks

    def learn(self, known: SeriesColumns) -> None:
        """Series that are new, and areas and sources that changed."""
        empty = (np.empty(0, np.int64), np.empty(0, np.float64), np.empty(0, np.uint8))
        for series_id, key, area, source in zip(
            known.ids.tolist(), known.keys, known.areas, known.sources, strict=True
        ):
            held = self.series.get(series_id)
            if held is None:
                self.series[series_id] = Held(series_id, key, area, source, *empty)
                self.by_item.setdefault(key.item, []).append(series_id)
            else:
                held.area, held.source = area, source

    def refresh(self, db: Database) -> list[Dirty]:
        """Read what changed in the series that wait for evaluation, and give these.

        Raises StoreError; then what is held stays as it was.
        """
        with db.snapshot() as connection:
            marks = dirty_in(connection)
            if not marks:
                return marks
            revision, known = data_revision(connection), series_in(connection)
            since = max(min(m.since_at for m in marks), self.since)
            columns = columns_in(db, connection, [m.series_id for m in marks], since)
        self.learn(known)
        self.changed, self.appended = {m.series_id for m in marks}, set()
        for one in marks:
            held = self.series[one.series_id]
            if len(held.at) and held.at[-1] < one.since_at:
                self.appended.add(one.series_id)
            self.cut(held, since)
        self.splice(columns)
        self.revision = revision
        return marks

    @staticmethod
    def cut(held: Held, since: int) -> None:
        """Forget what is about `since` or later: it comes anew."""
        keep = int(np.searchsorted(held.at, since))
        held.at, held.value, held.mark = held.at[:keep], held.value[:keep], held.mark[:keep]

    def splice(self, columns: Columns) -> None:
        """Append rows, which are later than what their series hold."""
        if not len(columns):
            return
        cuts = np.flatnonzero(np.diff(columns.series_id)) + 1
        bounds = [0, *cuts.tolist(), len(columns)]
        for a, b in pairwise(bounds):
            held = self.series[int(columns.series_id[a])]
            held.at = np.concatenate([held.at, columns.at[a:b]])
            held.value = np.concatenate([held.value, columns.value[a:b]])
            held.mark = np.concatenate([held.mark, columns.mark[a:b]])

    def items_of(self, ids: Iterable[int]) -> set[str]:
        return {self.series[i].key.item for i in ids}

    def panel(self, items: Collection[str] | None = None) -> tuple[Panel, list[Held]]:
        """The panel of all series of these items (of all items when None), and the series in its order."""
        wanted = sorted(self.by_item) if items is None else sorted(items)
        return panel_of([self.series[i] for item in wanted for i in self.by_item.get(item, ())], self.zone)


def panel_of(series: Iterable[Held], zone: tzinfo) -> tuple[Panel, list[Held]]:
    """The panel of those of the series that have observations, and these in its order."""
    chosen = [h for h in series if len(h.at)]
    start = np.concatenate([[0], np.cumsum([len(h.at) for h in chosen])]).astype(np.int64)
    if not chosen:
        return Panel.build([], [], start[:-1], start[:-1], np.empty(0), zone=zone), []
    time = np.concatenate([h.at for h in chosen])  # in order and without repeats, as they are held
    value, mark = np.concatenate([h.value for h in chosen]), np.concatenate([h.mark for h in chosen])
    keys, areas = [h.key for h in chosen], [h.area for h in chosen]
    return Panel(keys, areas, start, time, civil_days(time, zone), value, mark), chosen
