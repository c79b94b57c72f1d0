"""The wired daemon in one process: what it says of itself, reloading, and how it ends."""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from zoneinfo import ZoneInfo

import pytest
import uvicorn
from fastapi import FastAPI

from alerts.channels.base import SendError
from alerts.channels.factory import build_channel
from collectors.base import CollectError, Fetched
from monitor import app as app_module
from monitor import jobs
from monitor.app import App
from monitor.auth import Scope
from monitor.store import batches, observations, sources, tokens
from monitor.store.errors import StoreError
from monitor.store.lock import AlreadyRunning
from monitor.store.sources import read_source
from monitor.web.server import make_server
from tests.acceptance.harness import Clock, installation
from tests.faults.daemon import until
from thresholds.model import Observation, ObservationBatch, Reject, SeriesKey

NOW = datetime(2026, 3, 2, tzinfo=UTC)
CONFIG = """
[database]
url = "sqlite:///monitor.db"
[web]
port = 0
[alerts]
default_targets = [{ channel = "log", address = "duty" }]
[[channel]]
kind = "file"
name = "log"
path = "alerts.jsonl"
[[source]]
kind = "folder"
name = "inbox"
path = "inbox"
every = "1h"
[[source]]
kind = "push"
name = "推送"
"""


@contextmanager
def app_in(folder: Path, config: str = CONFIG) -> Iterator[App]:
    with installation(folder, config, Clock(NOW)) as app:
        until(lambda: not app.scheduler.busy, "the first runs are over")
        yield app


def checks(app: App) -> dict[str, bool]:
    return {check.name: check.ok for check in app.health().checks}


def url(app: App, path: str) -> str:
    return f"http://127.0.0.1:{app.config.web.port}{path}"


def sample(app: App, name: str, **labels: str) -> float:
    return app.metrics.registry.get_sample_value(f"monitor_{name}", labels) or 0.0


# --- its start ---


def test_a_daemon_whose_pages_cannot_be_loaded_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers: list[uvicorn.Server] = []

    def noted(app: FastAPI) -> uvicorn.Server:
        servers.append(make_server(app))
        return servers[0]

    with monkeypatch.context() as patch:
        patch.setattr(app_module, "make_server", noted)
        patch.setitem(sys.modules, "monitor.web.console.pages", None)
        with pytest.raises(ImportError, match=r"monitor\.web\.console\.pages"), app_in(tmp_path):
            pytest.fail("it must not look well")
    assert servers[0].should_exit
    with app_in(tmp_path) as app:
        assert app.health().ready, "what it had taken was given back"


# --- what it says of itself ----------------------------------------------------------------------------------------


def test_a_well_daemon_is_ready_and_shows_every_source_from_the_start(tmp_path: Path) -> None:
    with app_in(tmp_path) as app:
        assert checks(app) == {"database": True, "scheduler": True, "source:inbox": True, "source:推送": True}
        with urllib.request.urlopen(url(app, "/readyz")) as answer:
            assert json.load(answer)["status"] == "ready"
        text = app.metrics.render()[0].decode()
        for name in ("evaluate", "watch", "picture", "tidy", "duties", "collect:inbox", "send:log"):
            assert f'monitor_job_runs_total{{job_name="{name}",outcome="failed"}} 0.0' in text
        for name in ("inbox", "推送"):
            assert f'monitor_observations_total{{outcome="accepted",source="{name}"}} 0.0' in text


def test_a_job_that_the_database_refuses_makes_it_unready_until_that_job_went_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app_in(tmp_path) as app:

        def refuse(*_: object) -> None:
            raise StoreError("full", "The disk of the database is full.")

        with monkeypatch.context() as patch:
            patch.setattr(batches, "forget_answers", refuse)
            app.scheduler.wake("tidy")
            until(lambda: not app.health().ready, "it is not ready")
            assert app.health().checks[0].detail == "The disk of the database is full."
            jobs.picture(app)
            assert not app.health().ready, "that others can read proves nothing"
        app.scheduler.wake("tidy")
        until(lambda: app.health().ready, "it is ready again")


def test_a_request_that_the_database_refuses_makes_it_unready_until_it_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app_in(tmp_path) as app:
        app.request_refused("readonly")
        assert "readonly" in app.health().checks[0].detail
        assert sample(app, "store_errors_total", reason="readonly") == 1

        def refuse(*_: object) -> None:
            raise StoreError("readonly", "It cannot be written.")

        with monkeypatch.context() as patch:
            patch.setattr(sources, "prove_writable", refuse)
            with pytest.raises(StoreError):
                jobs.picture(app)
            assert not app.health().ready
        jobs.picture(app)
        assert app.health().ready


def test_a_push_that_is_stored_makes_it_ready_again(tmp_path: Path) -> None:
    with app_in(tmp_path) as app:
        app.request_refused("locked")
        secret = tokens.create(app.db, "平台", [Scope.OBSERVATIONS_WRITE], NOW).secret
        row = {"date": "2026-03-01", "item": "芹菜", "point": "东市场", "value": 5}
        request = urllib.request.Request(
            url(app, "/api/v1/observations"),
            json.dumps({"observations": [row]}).encode(),
            {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 200
        assert app.health().ready
        until(lambda: app.evaluation.memory.series, "it is evaluated at once")


def test_a_database_that_does_not_answer_for_long_makes_it_unready_without_being_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app_in(tmp_path) as app:
        monkeypatch.setattr(app_module, "LONGEST_LOOK", 0.0)
        assert not app.health().ready
        assert "没有应答" in app.health().checks[0].detail


def test_a_daemon_that_lost_the_database_to_another_one_stops_everything(tmp_path: Path) -> None:
    with app_in(tmp_path) as app:
        told = Event()
        app.on_must_stop = told.set

        def lost() -> None:
            raise AlreadyRunning("A daemon already works on this database.")

        app.keep_lock = lost
        app.scheduler.wake("picture")
        assert told.wait(30)
        assert app.must_stop == "A daemon already works on this database."
        assert not app.health().ready
        before = sample(app, "job_runs_total", job_name="evaluate", outcome="ok")
        app.scheduler.wake("evaluate")
        assert sample(app, "job_runs_total", job_name="evaluate", outcome="ok") == before


# --- collecting ----------------------------------------------------------------------------------------------------


class Source:
    """A source that brings one row and then does what it is told."""

    name = "inbox"

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def fetch(self, cursor: object, now: datetime) -> Iterator[Fetched]:
        one = Observation(SeriesKey("芹菜", point="东市场"), NOW, 5.0)
        yield Fetched("page 1", ObservationBatch.of([one]), cursor={"page": 1})
        if self.error is not None:
            raise self.error


def stored(app: App) -> int:
    with app.db.connect() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM observation").scalar_one())


def test_what_a_source_brought_before_it_failed_is_kept_with_its_place(tmp_path: Path) -> None:
    with app_in(tmp_path) as app:
        jobs.collect(app, Source(CollectError("timeout", "no answer")))
        state = read_source(app.db, "inbox")
        assert stored(app) == 1
        assert (state.cursor, state.last_reason, state.failing_since) == ({"page": 1}, "timeout", NOW)
        assert sample(app, "fetches_total", source="inbox", outcome="timeout") == 1
        jobs.collect(app, Source())
        state = read_source(app.db, "inbox")
        assert (state.failing_since, state.last_success_at, stored(app)) == (None, NOW, 1)


def test_a_piece_of_which_nothing_could_be_used_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A sheet in bad/ is seen by its reason, not only by the number of its rows."""
    with app_in(tmp_path) as app:
        one = Fetched("a.csv", ObservationBatch.of(()), rejects=[Reject(0, "format", "这是网页")])
        jobs.keep(app, "inbox", one)
        said = "source inbox: a.csv: nothing of it could be used, 1 rejected; the first by reason format: 这是网页"
        assert said in caplog.text
        caplog.clear()
        good = ObservationBatch.of([Observation(SeriesKey("芹菜", point="东市场"), NOW, 5.0)])
        for _ in range(2):
            jobs.keep(app, "inbox", Fetched("b.csv", good, rejects=[Reject(3, "date", "2026-01-32")]))
        assert "nothing of it could be used" not in caplog.text, "some of it was stored, or is known"


def test_a_source_with_a_bug_is_seen_to_fail(tmp_path: Path) -> None:
    with app_in(tmp_path) as app:
        with pytest.raises(ZeroDivisionError):
            jobs.collect(app, Source(ZeroDivisionError("a bug")))
        state = read_source(app.db, "inbox")
        assert (state.last_reason, state.last_error) == ("bug", "ZeroDivisionError: a bug")
        assert state.failing_since == NOW
        assert stored(app) == 1


def test_a_source_that_our_stop_interrupts_has_not_failed(tmp_path: Path) -> None:
    with app_in(tmp_path) as app:
        app.scheduler.stopping.set()
        jobs.collect(app, Source(CollectError("stopping", "the daemon is stopping")))
        assert read_source(app.db, "inbox").failing_since is None
        assert sample(app, "fetches_total", source="inbox", outcome="stopping") == 0


# --- reloading -----------------------------------------------------------------------------------------------------


def test_a_reload_brings_jobs_metrics_and_rules_into_line(tmp_path: Path) -> None:
    with app_in(tmp_path) as app:
        version = app.policy.version
        text = CONFIG.replace('name = "inbox"', 'name = "other"').replace('name = "log"\npath', 'name = "file"\npath')
        text = text.replace('channel = "log"', 'channel = "file"') + '[detection]\ndisable = ["stat-robust"]\n'
        text += '[entry]\ndue = "09:00"\n'
        app.config.path.write_text(text, "utf-8")
        app.reload()
        always = {"evaluate", "watch", "picture", "tidy", "duties", "reports"}
        assert app.scheduler.names == always | {"collect:other", "send:file"}
        assert app.entry.options.due == "09:00"
        assert set(app.channels) == {"file"}
        assert app.policy.version != version
        assert "stat-robust" not in {pack.id for pack in app.policy.packs}
        app.evaluation.evaluate(NOW)
        assert app.evaluation.files is app.policy
        assert sample(app, "config_reload_success") == 1
        assert app.config.web.port > 0, "the address in use stays"
        with urllib.request.urlopen(url(app, "/healthz")) as answer:
            assert answer.status == 200


def test_what_is_built_once_stays_after_a_reload_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with app_in(tmp_path) as app:
        later = '[installation]\ncity = "甲市"\n[metrics]\nwatched_limit = 3\n'
        app.config.path.write_text(CONFIG.replace("port = 0", "port = 1") + later, "utf-8")
        app.reload()
        for table in ("installation", "web", "metrics"):
            assert f"[{table}] has changed: that comes into force at the next start" in caplog.text
        assert "[database] has changed" not in caplog.text
        assert (app.config.installation.city, app.config.metrics.watched_limit) == ("全市", 1000)


def test_a_cron_line_is_read_in_the_zone_of_its_source(tmp_path: Path) -> None:
    text = CONFIG.replace('every = "1h"', 'cron = "30 8 * * *"\ntimezone = "Asia/Urumqi"')
    with app_in(tmp_path, text) as app:
        due = app.scheduler.inner.get_job("collect:inbox").next_run_time.astimezone(ZoneInfo("Asia/Urumqi"))
        assert (due.hour, due.minute) == (8, 30)


def test_a_longer_history_is_read_when_it_is_next_needed(tmp_path: Path) -> None:
    text = CONFIG + '[detection]\nhistory = "60d"\n'
    with app_in(tmp_path, text) as app:
        key = SeriesKey("芹菜", point="东市场")
        old = [Observation(key, NOW - timedelta(days=100), 5.0), Observation(key, NOW, 5.0)]
        observations.add(app.db, ObservationBatch.of(old), source="inbox", name="a", now=NOW)
        app.evaluation.evaluate(NOW)
        (held,) = app.evaluation.memory.series.values()
        assert len(held.at) == 1
        app.config.path.write_text(text.replace("60d", "1y"), "utf-8")
        app.reload()
        app.evaluation.watch(NOW)
        (held,) = app.evaluation.memory.series.values()
        assert len(held.at) == 2


def test_a_reload_that_breaks_by_a_bug_leaves_the_old_configuration_at_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with app_in(tmp_path) as app:
        before = app.config
        real = build_channel
        broken = [True]

        def build(*arguments: object) -> object:
            if broken.pop() if broken else False:
                raise SendError("io", "a bug")
            return real(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(app_module, "build_channel", build)
        app.config.path.write_text(CONFIG.replace('every = "1h"', 'every = "2h"'), "utf-8")
        app.reload()
        assert app.config is before
        assert sample(app, "config_reload_success") == 0
        assert "the old one stays" in caplog.text
        assert "collect:inbox" in app.scheduler.names


def test_a_reload_does_not_wait_for_an_evaluation_under_way(tmp_path: Path) -> None:
    """Its database may hang, and the thread that reloads is the one that hears the stop."""
    with app_in(tmp_path) as app, app.evaluation.lock:
        app.reload()
        assert sample(app, "config_reload_success") == 1


# --- clock and end -------------------------------------------------------------------------------------------------


def test_a_jump_of_the_clock_is_measured_once(tmp_path: Path) -> None:
    with app_in(tmp_path) as app:
        app.clock_step()
        app.clock.move(hours=-1)  # type: ignore[attr-defined]  # the test's Clock
        assert app.clock_step() == pytest.approx(-3600, abs=5)
        assert app.clock_step() == pytest.approx(0, abs=5)


def test_an_end_leaves_nothing_running_and_the_database_free(tmp_path: Path) -> None:
    for _ in range(2):
        with app_in(tmp_path) as app:
            address = url(app, "/healthz")
        assert not app.scheduler.running
        with pytest.raises(OSError, match="refused"):
            urllib.request.urlopen(address)
