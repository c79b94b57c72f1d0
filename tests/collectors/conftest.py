"""Local servers for the collectors, and what every test of them needs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.collectors.asking import Asking
from tests.collectors.servers import WebServer, web_server
from tests.postgres import Postgres

NOW = datetime(2026, 3, 10, 2, 0, tzinfo=UTC)  # 10:00 in Shanghai


@pytest.fixture
def web() -> Iterator[WebServer]:
    """A local HTTP server whose answers the test sets."""
    with web_server() as server:
        yield server


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """The URL of a fresh, empty PostgreSQL database: somebody else's, to read from."""
    name = postgres.create()
    yield postgres.url(name)
    postgres.drop(name)


@pytest.fixture
def ask(now: datetime, tmp_path: Path) -> Asking:
    """Fetches over HTTP with given options."""
    return Asking(now, tmp_path)
