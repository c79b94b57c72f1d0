"""The contract that every collector keeps, against real local sources and the real store.

A source that fails, hangs, answers with a page for people, 10 GB, the wrong encoding or last month's data never stops
the others, loses nothing, and is visible.
"""

from __future__ import annotations

import base64
import json
import logging
import threading
import time
import tracemalloc
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from collectors.base import CollectError, Collector, Fetched
from monitor.store import observations, sources
from monitor.store.database import Database, open_database
from tests.collectors.contract_sources import KINDS, SECRET, SECRET_NAME, Quote, Source, quotes
from tests.collectors.servers import WebServer
from tests.conftest import sqlite_url

Stored = list[tuple[str, str, datetime, float]]

WEB_FAULTS = ("down", "hangs", "drips", "html", "10 GB", "wrong encoding", "breaks off", "repeats the secret")
FAULTS = {
    "http json": (*WEB_FAULTS, "drips its headers"),
    "http json lines": WEB_FAULTS,
    "http csv": WEB_FAULTS,
    "http pages": WEB_FAULTS,
    "sql sqlite": ("down", "hangs", "10 GB", "wrong encoding", "no such table"),
    "sql postgresql": ("down", "hangs", "html", "10 GB", "no such table"),
    "prometheus": WEB_FAULTS,
    "folder": ("down",),
}
POSTGRES = {"sql postgresql": pytest.mark.postgres}
ALL = [pytest.param(kind, marks=POSTGRES.get(kind, ())) for kind in KINDS]
ASKED = [pytest.param(kind, marks=POSTGRES.get(kind, ())) for kind in KINDS if kind != "folder"]
"""those that are asked again and again for the same; a folder's files are taken away when they are done"""
BROKEN = [pytest.param(k, f, marks=POSTGRES.get(k, ()), id=f"{k}: {f}") for k in KINDS for f in FAULTS[k]]


@pytest.fixture
def source(kind: str, web: WebServer, tmp_path: Path, request: pytest.FixtureRequest) -> Source:
    """A local source of one kind; its credentials, where it has any, are SECRET."""
    request.getfixturevalue("monkeypatch").setenv(SECRET_NAME, SECRET)
    return KINDS[kind](web, tmp_path, request)


def collect(db: Database, collector: Collector, now: datetime, *, crash_after: int | None = None) -> list[Fetched]:
    """What the daemon does with one source; `crash_after` n stored pieces it dies before saying that they are."""
    done: list[Fetched] = []
    for fetched in collector.fetch(sources.read_source(db, collector.name).cursor, now):
        if crash_after == 0:
            return done
        added = observations.add(
            db,
            fetched.batch,
            source=collector.name,
            name=fetched.name,
            now=now,
            rejects=fetched.rejects,
            cursor=fetched.cursor,
        )
        done.append(fetched)
        if crash_after == len(done):
            return done
        fetched.settled(added.counts)
    return done


def stored(db: Database) -> Stored:
    """Every revision of every observation in our database."""
    records = observations.list_observations(db, every_revision=True)
    return sorted((r.series.key.item, r.series.key.point, r.at, r.value) for r in records)


def expected(held: list[Quote]) -> Stored:
    return sorted((q.item, q.point, q.at, q.value) for q in held)


def failure(collector: Collector, now: datetime) -> CollectError:
    """The error that a fetch ends with."""
    with pytest.raises(CollectError) as caught:
        list(collector.fetch({}, now))
    return caught.value


@pytest.mark.parametrize("kind", ALL)
def test_every_quote_arrives_once_with_its_series_time_and_value(
    source: Source, sqlite_db: Database, now: datetime
) -> None:
    held = quotes(now)
    source.holds(held)
    collect(sqlite_db, source.collector(), now)
    assert stored(sqlite_db) == expected(held)


@pytest.mark.parametrize("kind", ALL)
def test_the_same_data_again_stores_nothing_with_or_without_the_cursor(
    source: Source, sqlite_db: Database, now: datetime
) -> None:
    source.holds(quotes(now))
    collect(sqlite_db, source.collector(), now)
    before = stored(sqlite_db)
    collect(sqlite_db, source.collector(), now + timedelta(minutes=5))
    with sqlite_db.begin() as connection:
        sources.advance(connection, "source", {}, None)
    collect(sqlite_db, source.collector(), now + timedelta(minutes=10))
    assert stored(sqlite_db) == before


@pytest.mark.parametrize("kind", ALL)
def test_new_and_corrected_quotes_come_with_the_next_fetch(
    source: Source, sqlite_db: Database, now: datetime
) -> None:
    held = quotes(now)
    source.holds(held)
    collect(sqlite_db, source.collector(), now)
    corrected = replace(held[-4], value=99.5)  # an hour older than the newest
    new = [Quote(now, "鸡蛋", "三号", 10.25), Quote(now, "大米", "一号", 5.75)]
    source.holds([*held[:-4], corrected, *held[-3:], *new])
    collect(sqlite_db, source.collector(), now + timedelta(hours=1))
    assert stored(sqlite_db) == expected([*held, corrected, *new])


@pytest.mark.parametrize("kind", ALL)
def test_a_crash_at_any_point_loses_nothing_and_doubles_nothing(
    source: Source, tmp_path: Path, templates: dict[str, Any], now: datetime
) -> None:
    held = quotes(now)
    source.holds(held)
    pieces = len(list(source.collector().fetch({}, now)))
    for stored_pieces in range(pieces + 1):
        source.holds(held)
        db = open_database(sqlite_url(tmp_path / f"crash{stored_pieces}.db", templates))
        collect(db, source.collector(), now, crash_after=stored_pieces)
        collect(db, source.collector(), now)
        assert stored(db) == expected(held), f"after a crash with {stored_pieces} of {pieces} pieces stored"
        db.close()


@pytest.mark.parametrize(
    "kind", ["http pages", "sql sqlite", pytest.param("sql postgresql", marks=pytest.mark.postgres), "prometheus"]
)
def test_a_large_source_is_stored_in_several_pieces(source: Source, now: datetime) -> None:
    source.holds(quotes(now))
    assert len(list(source.collector().fetch({}, now))) > 1


@pytest.mark.parametrize("kind", ALL)
def test_what_a_collector_keeps_is_a_small_json_object_without_secrets(source: Source, now: datetime) -> None:
    source.holds(quotes(now))
    for fetched in source.collector().fetch({}, now):
        text = json.dumps(fetched.cursor)
        assert json.loads(text) == fetched.cursor
        assert len(text) < 500
        assert SECRET not in text


@pytest.mark.parametrize("kind", ASKED)
def test_last_months_data_again_is_no_error_but_says_since_when(
    source: Source, sqlite_db: Database, now: datetime
) -> None:
    held = quotes(now)
    source.holds(held)
    assert collect(sqlite_db, source.collector(), now)[-1].stale_since is None
    again = collect(sqlite_db, source.collector(), now + timedelta(hours=1))
    assert again[-1].stale_since == held[-1].at


@pytest.mark.parametrize("kind", ALL)
def test_a_quote_dated_in_the_future_does_not_end_the_collection(
    source: Source, sqlite_db: Database, now: datetime
) -> None:
    held = quotes(now)
    typing_error = Quote(now + timedelta(days=365 * 50), "大米", "一号", 5.0)
    source.holds([*held, typing_error])
    collect(sqlite_db, source.collector(), now)
    new = Quote(now, "大米", "一号", 6.5)
    source.holds([*held, typing_error, new])
    collect(sqlite_db, source.collector(), now + timedelta(hours=1))
    assert set(expected([*held, new])) <= set(stored(sqlite_db))


@pytest.mark.parametrize("kind", ALL)
def test_a_clock_set_back_is_no_error_and_loses_nothing(source: Source, sqlite_db: Database, now: datetime) -> None:
    held = quotes(now)
    source.holds(held)
    collect(sqlite_db, source.collector(), now)
    collect(sqlite_db, source.collector(), now - timedelta(days=2))
    new = Quote(now, "大米", "一号", 6.5)
    source.holds([*held, new])
    collect(sqlite_db, source.collector(), now + timedelta(hours=1))
    assert stored(sqlite_db) == expected([*held, new])


@pytest.mark.parametrize(("kind", "fault"), BROKEN)
def test_a_broken_source_gives_a_named_error_in_time_and_memory_without_secrets(
    source: Source, fault: str, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    make, reasons = source.broken()[fault]
    caplog.set_level(logging.DEBUG)
    collector, started = make(), time.monotonic()
    tracemalloc.start()
    try:
        error = failure(collector, now)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert error.reason in reasons
    assert time.monotonic() - started < 15
    assert peak < 40_000_000
    said = f"{error} {error!r} {error.__cause__!r} {caplog.text}"
    for form in (
        SECRET,
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        base64.b64encode(f"reader:{SECRET}".encode()).decode(),
    ):
        assert form not in said
    assert "source" in str(error)  # which one it was


@pytest.mark.parametrize("kind", ALL)
def test_after_a_failure_the_next_fetch_brings_everything(source: Source, sqlite_db: Database, now: datetime) -> None:
    make, _ = source.broken()["down"]
    with pytest.raises(CollectError):
        collect(sqlite_db, make(), now)
    held = quotes(now)
    source.holds(held)
    collect(sqlite_db, source.collector(), now)
    assert stored(sqlite_db) == expected(held)


@pytest.mark.parametrize("kind", ASKED)
def test_a_source_that_hangs_does_not_hold_up_another(
    source: Source, web: WebServer, tmp_path: Path, request: pytest.FixtureRequest, sqlite_db: Database, now: datetime
) -> None:
    hanging = source.broken()["hangs"][0]()
    ended: list[CollectError] = []
    thread = threading.Thread(target=lambda: ended.append(failure(hanging, now)))
    thread.start()
    healthy = KINDS["http json"](web, tmp_path, request)
    held = quotes(now)
    healthy.holds(held)
    collect(sqlite_db, healthy.collector(), now)
    assert stored(sqlite_db) == expected(held)
    assert not ended  # it still hung while the other one was done
    thread.join(15)
    assert [error.reason for error in ended] == ["timeout"]
