"""Reading for the panel: newest revisions as columns."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.store import bulk_postgres, bulk_sqlite
from monitor.store.columns import dirty_series, read_columns, read_latest, read_series
from monitor.store.database import Database
from monitor.store.observations import add
from tests.store.build import CABBAGE, NOW, PORK, batch, day, epoch, mixed
from thresholds.model import ObservationBatch, SeriesKey


def put(db: Database, data: ObservationBatch) -> None:
    add(db, data, source="sheet", name="a.csv", now=NOW)


def test_columns_hold_the_newest_revision_sorted_by_series_and_time(db: Database) -> None:
    put(db, mixed((PORK, 3, 15.0), (CABBAGE, 2, 2.0), (PORK, 1, 14.0)))
    put(db, mixed((PORK, 1, 13.5), (CABBAGE, 1, 1.9)))
    columns = read_columns(db)
    assert columns.series_id.tolist() == [1, 1, 2, 2]
    assert columns.at.tolist() == [epoch(1), epoch(3), epoch(1), epoch(2)]
    assert columns.value.tolist() == [13.5, 15.0, 1.9, 2.0]
    assert (columns.series_id.dtype, columns.at.dtype, columns.value.dtype, columns.mark.dtype) == (
        np.dtype(np.int64),
        np.dtype(np.int64),
        np.dtype(np.float64),
        np.dtype(np.uint8),
    )


def test_columns_can_be_asked_for_some_series_from_a_time_on(db: Database) -> None:
    put(db, mixed(*((key, n, float(n)) for key in (CABBAGE, PORK, SeriesKey("鸡蛋")) for n in range(5))))
    assert set(read_columns(db, series_ids=[3, 1]).series_id.tolist()) == {1, 3}
    assert read_columns(db, series_ids=[2], since=epoch(3)).value.tolist() == [3.0, 4.0]
    assert read_columns(db, since=epoch(4)).series_id.tolist() == [1, 2, 3]
    assert len(read_columns(db, series_ids=[])) == 0
    assert len(read_columns(db, series_ids=[99])) == 0


def test_an_empty_database_gives_empty_columns(db: Database) -> None:
    assert len(read_columns(db)) == 0
    assert len(read_latest(db)) == 0
    assert len(read_series(db).ids) == 0
    assert dirty_series(db) == []


def test_the_latest_observation_of_each_series_is_its_newest_time_and_revision(db: Database) -> None:
    put(db, mixed((CABBAGE, 1, 1.0), (CABBAGE, 5, 5.0), (PORK, 3, 15.0)))
    put(db, batch((5, 5.5)))
    latest = read_latest(db)
    assert (latest.series_id.tolist(), latest.at.tolist(), latest.value.tolist()) == (
        [1, 2],
        [epoch(5), epoch(3)],
        [5.5, 15.0],
    )


def test_values_and_times_come_back_bit_for_bit(db: Database) -> None:
    values = [0.1 + 0.2, 1e-300, -37.63, 1.7976931348623157e308, 12345678.901234567]
    put(db, batch(*enumerate(values)))
    assert read_columns(db).value.tolist() == values
    far = np.array([-(10**10), 253_402_300_799])
    put(db, ObservationBatch([CABBAGE], [""], [""], np.zeros(2, np.int64), far, np.ones(2), np.arange(2)))
    assert read_columns(db).at[[0, -1]].tolist() == [-(10**10), 253_402_300_799]


def test_more_rows_than_one_chunk_come_back_whole(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_sqlite, "CHUNK", 7)
    monkeypatch.setattr(bulk_postgres, "CHUNK", 7)
    rows = [(SeriesKey(f"品种{s}"), n, float(100 * s + n)) for s in range(6) for n in range(9)]
    put(db, mixed(*rows))
    assert read_columns(db).value.tolist() == [value for _, _, value in rows]
    put(db, mixed(*((key, n, value + 0.5) for key, n, value in rows)))
    assert read_columns(db, since=int(day(0).timestamp())).value.tolist() == [value + 0.5 for _, _, value in rows]
