"""What is known of each source."""

from __future__ import annotations

from datetime import timedelta

from monitor.store import sources
from monitor.store.columns import dirty_series
from monitor.store.database import Database
from monitor.store.dirty import waiting
from monitor.store.observations import add
from tests.store.build import NOW, batch, day

LATER = NOW + timedelta(minutes=15)


def test_an_unknown_source_has_an_empty_state(db: Database) -> None:
    assert sources.read_source(db, "统计局") == sources.SourceState("统计局", {})
    assert sources.read_sources(db) == {}


def test_failing_since_is_the_first_failure_of_the_row_and_success_ends_it(db: Database) -> None:
    sources.failed(db, "统计局", NOW, "timeout", "no answer within 30 s")
    sources.failed(db, "统计局", LATER, "not_json", "answered HTML")
    state = sources.read_source(db, "统计局")
    assert (state.failing_since, state.last_attempt_at, state.last_reason, state.last_error) == (
        NOW,
        LATER,
        "not_json",
        "answered HTML",
    )
    sources.succeeded(db, "统计局", LATER)
    state = sources.read_source(db, "统计局")
    assert (state.failing_since, state.last_success_at, state.last_reason) == (None, LATER, "not_json")


def test_an_attempt_changes_nothing_else(db: Database) -> None:
    add(db, batch((1, 2.0)), source="统计局", name="a", now=NOW, cursor={"page": 2})
    before = sources.read_source(db, "统计局")
    sources.attempted(db, "统计局", LATER)
    after = sources.read_source(db, "统计局")
    assert after.last_attempt_at == LATER
    assert (after.cursor, after.last_observation_at) == (before.cursor, before.last_observation_at)


def test_all_sources_are_read_by_name(db: Database) -> None:
    sources.attempted(db, "b", NOW)
    sources.succeeded(db, "a", NOW)
    assert list(sources.read_sources(db)) == ["a", "b"]


def test_the_age_of_the_evaluation_queue_is_that_of_its_oldest_mark(db: Database) -> None:
    assert waiting(db) == (0, None)
    add(db, batch((1, 2.0)), source="s", name="a", now=NOW)
    add(db, batch((2, 2.0)), source="s", name="b", now=day(90))
    assert waiting(db) == (1, NOW)
    assert len(dirty_series(db)) == 1
