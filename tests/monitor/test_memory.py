"""What is held in memory is what the database holds, whatever came in which order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from monitor.memory import Memory
from monitor.schema import metadata
from monitor.store import observations
from monitor.store.database import Database
from monitor.store.dirty import clear
from thresholds.model import Mark, Observation, ObservationBatch, SeriesKey

NOW = datetime(2026, 3, 2, tzinfo=UTC)
EVERYTHING = NOW - timedelta(days=4000)
SHANGHAI = ZoneInfo("Asia/Shanghai")
KEYS = [SeriesKey(item, unit="元", point=point) for item in ("芹菜", "鸡蛋") for point in ("东市场", "西市场")]


def add(db: Database, rows: list[tuple[int, int, float]], area: str = "城东") -> None:
    """Store rows (series, day, value) as one batch."""
    made = [Observation(KEYS[s], NOW + timedelta(days=d), v, area=area) for s, d, v in rows]
    observations.add(db, ObservationBatch.of(made), source="test", name="rows", now=NOW)


def loaded(db: Database, since: datetime = EVERYTHING) -> Memory:
    memory = Memory(SHANGHAI)
    memory.load(db, since)
    return memory


def catch_up(memory: Memory, db: Database) -> None:
    """What an evaluation does: read what is marked, then take the marks away."""
    marks = memory.refresh(db)
    with db.begin() as connection:
        clear(connection, marks)


def content(memory: Memory) -> dict[SeriesKey, tuple[str, list[tuple[int, float, int]]]]:
    return {
        held.key: (held.area, list(zip(held.at.tolist(), held.value.tolist(), held.mark.tolist(), strict=True)))
        for held in memory.series.values()
    }


def test_what_arrives_is_appended_and_a_correction_takes_the_place_of_the_value(sqlite_db: Database) -> None:
    add(sqlite_db, [(0, 0, 5.0), (0, 1, 5.1), (1, 0, 6.0)])
    memory = loaded(sqlite_db)
    catch_up(memory, sqlite_db)
    add(sqlite_db, [(0, 2, 5.2)])
    add(sqlite_db, [(0, 1, 5.9)])
    catch_up(memory, sqlite_db)
    assert memory.series[1].value.tolist() == [5.0, 5.9, 5.2]
    assert memory.series[2].value.tolist() == [6.0]
    assert content(memory) == content(loaded(sqlite_db))


def test_an_older_observation_finds_its_place(sqlite_db: Database) -> None:
    add(sqlite_db, [(0, 5, 5.0)])
    memory = loaded(sqlite_db)
    catch_up(memory, sqlite_db)
    add(sqlite_db, [(0, 1, 4.0), (0, 9, 6.0)])
    catch_up(memory, sqlite_db)
    assert memory.series[1].value.tolist() == [4.0, 5.0, 6.0]


def test_a_series_that_is_new_and_an_area_that_changed_are_learnt(sqlite_db: Database) -> None:
    add(sqlite_db, [(0, 0, 5.0)])
    memory = loaded(sqlite_db)
    catch_up(memory, sqlite_db)
    add(sqlite_db, [(0, 1, 5.0), (3, 1, 7.0)], area="城西")
    catch_up(memory, sqlite_db)
    assert {held.area for held in memory.series.values()} == {"城西"}
    assert memory.by_item == {"芹菜": [1], "鸡蛋": [2]}
    assert memory.items_of([1, 2]) == {"芹菜", "鸡蛋"}


def test_a_sheet_that_contradicts_itself_is_marked(sqlite_db: Database) -> None:
    memory = loaded(sqlite_db)
    add(sqlite_db, [(0, 0, 5.0), (0, 0, 6.0), (0, 1, 5.0)])
    catch_up(memory, sqlite_db)
    assert memory.series[1].mark.tolist() == [Mark.CONFLICT, Mark.NONE]


def test_what_is_older_than_the_history_is_not_held(sqlite_db: Database) -> None:
    add(sqlite_db, [(0, n, 5.0) for n in range(10)])
    memory = loaded(sqlite_db, NOW + timedelta(days=4))
    assert len(memory.series[1].at) == 6
    catch_up(memory, sqlite_db)
    assert len(memory.series[1].at) == 6
    add(sqlite_db, [(0, 1, 9.0)])
    catch_up(memory, sqlite_db)
    assert len(memory.series[1].at) == 6, "a correction of what is too old to be held"


def test_the_panel_holds_the_series_of_the_items_asked_for_in_their_order(sqlite_db: Database) -> None:
    add(sqlite_db, [(0, 0, 5.0), (0, 1, 5.5), (1, 1, 6.0), (2, 0, 7.0)])
    memory = loaded(sqlite_db)
    panel, held = memory.panel(["芹菜"])
    assert [h.key for h in held] == list(panel.keys) == [KEYS[0], KEYS[1]]
    assert panel.value.tolist() == [5.0, 5.5, 6.0]
    whole, _ = memory.panel()
    assert whole.n_series == 3
    nothing, none = memory.panel(["牛肉"])
    assert (len(nothing), none) == (0, [])


def test_an_empty_database_is_an_empty_memory(sqlite_db: Database) -> None:
    memory = loaded(sqlite_db)
    assert memory.refresh(sqlite_db) == []
    panel, held = memory.panel()
    assert (len(panel), panel.n_series, held) == (0, 0, [])


ROWS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 6), st.sampled_from([4.0, 5.0, 6.0])), min_size=1, max_size=8
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.tuples(ROWS, st.booleans()), min_size=1, max_size=6))
def test_fed_piece_by_piece_it_holds_what_a_fresh_one_reads(
    sqlite_db: Database, batches: list[tuple[list[tuple[int, int, float]], bool]]
) -> None:
    """Whatever is added, corrected or contradicted, with an evaluation after some of it."""
    empty(sqlite_db)
    memory = loaded(sqlite_db)
    for rows, look in batches:
        add(sqlite_db, rows)
        if look:
            catch_up(memory, sqlite_db)
    catch_up(memory, sqlite_db)
    assert content(memory) == content(loaded(sqlite_db))
    for held in memory.series.values():
        assert (np.diff(held.at) > 0).all()


def empty(db: Database) -> None:
    with db.begin() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(delete(table))


def test_a_refresh_that_fails_leaves_what_was_held(sqlite_db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    add(sqlite_db, [(0, 0, 5.0), (0, 1, 6.0)])
    memory = loaded(sqlite_db)
    before = content(memory)
    add(sqlite_db, [(0, 0, 5.5)])
    with sqlite_db.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE observation RENAME TO observation_away")
    with pytest.raises(Exception, match="no such table"):
        memory.refresh(sqlite_db)
    assert content(memory) == before
    with sqlite_db.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE observation_away RENAME TO observation")
    catch_up(memory, sqlite_db)
    assert content(memory) == content(loaded(sqlite_db))
