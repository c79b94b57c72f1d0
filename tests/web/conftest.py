"""A real server on loopback with a real database; every test module may make its own with `serve`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from monitor.auth import Scope
from monitor.store import tokens
from monitor.store.database import Database, open_database
from monitor.web.app import create_web
from monitor.web.context import Check, HealthReport, WebContext, WebSettings
from monitor.web.server import bind, make_server
from tests.conftest import sqlite_url

NOW = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)


@dataclass
class Running:
    """A running server, and what its callbacks were told."""

    url: str
    db: Database
    context: WebContext
    woken: list[int] = field(default_factory=list)
    stored: list[tuple[Any, ...]] = field(default_factory=list)
    app: FastAPI = field(kw_only=True)

    def token(self, *scopes: Scope, name: str = "") -> str:
        """A new token with these scopes, all of them when none is named."""
        chosen = scopes or tuple(Scope)
        name = name or f"令牌{len(tokens.list_tokens(self.db)) + 1}"
        return tokens.create(self.db, name, [str(s) for s in chosen], NOW).secret

    def client(self, *scopes: Scope, name: str = "") -> httpx.Client:
        """A client with a new token."""
        headers = {"Authorization": f"Bearer {self.token(*scopes, name=name)}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30)

    def anonymous(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=30)


Serve = Callable[..., Running]


@contextmanager
def serving(
    url: str, settings: WebSettings, *, build: Callable[[WebContext], FastAPI] = create_web, **changes: Any
) -> Iterator[Running]:
    """A server on a free port of loopback, on the database at `url`."""
    db = open_database(url)
    woken: list[int] = []
    stored: list[tuple[Any, ...]] = []
    context = WebContext(
        db=db,
        settings=settings,
        clock=lambda: NOW,
        render_metrics=lambda: (b"monitor_up 1\n", "text/plain; version=0.0.4; charset=utf-8"),
        health=lambda: HealthReport([Check("database", True)]),
        on_observations=lambda: woken.append(1),
        on_stored=lambda *told: stored.append(told),
    )
    context = replace(context, **changes)
    listener = bind("127.0.0.1", 0)
    app = build(context)
    server = make_server(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + 10
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            assert time.monotonic() < deadline, "the server did not start in time"
            time.sleep(0.005)
        port = listener.getsockname()[1]
        yield Running(f"http://127.0.0.1:{port}", db, context, woken, stored, app=app)
    finally:
        server.should_exit = True
        thread.join(15)
        listener.close()
        db.close()
        assert not thread.is_alive(), "the server did not stop"


@pytest.fixture
def serve(tmp_path: Path, templates: dict[str, Any]) -> Iterator[Serve]:
    """Starts servers with other settings than the usual ones: serve(max_rows=10, health=...)."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def start(*, url: str = "", changes: dict[str, Any] | None = None, **settings: Any) -> Running:
            file = tmp_path / "monitor.db"
            if not url:
                url = f"sqlite:///{file}" if file.exists() else sqlite_url(file, templates)
            return stack.enter_context(serving(url, WebSettings(**settings), **(changes or {})))

        yield start


@pytest.fixture
def running(serve: Serve) -> Running:
    return serve()
