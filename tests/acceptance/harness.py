"""A whole installation for acceptance tests: configuration, real database, real servers, a clock that is moved."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from monitor.app import App, running
from monitor.check import check
from monitor.store.dirty import waiting
from tests.servers import QuietServer

DATA = Path(__file__).parents[3] / "shared" / "data"
PATIENCE = 60.0
"""seconds of real time that anything may take before the test fails"""


class Clock:
    """The only clock of the installation; tests move it."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def move(self, **by: float) -> None:
        self.at += timedelta(**by)


class Phone:
    """Webhook receiver: what rang, in order. Whatever is not asked for by the end fails the test."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.answer = 204
        self.lock = Lock()
        phone = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with phone.lock:
                    if phone.answer < 300:
                        phone.calls.append(json.loads(body))
                        phone.keys.append(self.headers.get("Idempotency-Key", ""))
                self.send_response(phone.answer)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.server = QuietServer(("127.0.0.1", 0), Handler)
        self.thread = Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/duty"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def until(done: Callable[[], object], what: str) -> None:
    """Wait until `done()` is true: real threads need a moment. Fails after PATIENCE seconds."""
    end = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > end:
            raise AssertionError(f"waited {PATIENCE:.0f} s in vain until {what}")
        time.sleep(0.02)


@contextmanager
def installation(folder: Path, text: str, clock: Clock) -> Iterator[App]:
    """The daemon, wired as in life, with this configuration file."""
    path = folder / "config.toml"
    path.write_text(text, "utf-8")
    report = check(path)
    assert not report.faults
    assert report.config is not None
    assert report.policy is not None
    with running(report.config, report.policy, clock) as app:
        yield app


def settle(app: App) -> None:
    """Wait until everything stored is evaluated and everything due is sent."""
    app.scheduler.wake("evaluate")
    until(lambda: waiting(app.db)[0] == 0 and "evaluate" not in app.scheduler.busy, "all is evaluated")


def collect(app: App, source: str) -> None:
    """Ask one source now, and wait for its answer to be stored and evaluated."""
    from monitor.store.sources import read_source

    before = read_source(app.db, source).last_attempt_at
    app.clock.move(seconds=1)  # type: ignore[attr-defined]  # the test's Clock
    app.scheduler.wake(f"collect:{source}")

    def asked() -> bool:
        state = read_source(app.db, source)
        return state.last_attempt_at != before and f"collect:{source}" not in app.scheduler.busy

    until(asked, f"{source} is asked")
    settle(app)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
