"""Fixtures shared by all tests: real databases, each test its own and fresh."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.store.database import Database, open_database
from tests.postgres import Postgres, binaries

BOTH = [pytest.param("sqlite"), pytest.param("postgresql", marks=pytest.mark.postgres)]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server for the whole session."""
    folder = binaries()
    if folder is None:
        pytest.skip(
            "PostgreSQL is not installed (apt-get install postgresql): its half of the contract is not tested"
        )
    server = Postgres(folder)
    yield server
    server.remove()


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Migrated empty databases to copy from, made on first use."""
    return {"folder": tmp_path_factory.mktemp("templates")}


@pytest.fixture(params=BOTH)
def dialect(request: pytest.FixtureRequest) -> str:
    """Every test that uses this, or a fixture built on it, runs on SQLite and on PostgreSQL."""
    name: str = request.param
    return name


@pytest.fixture
def fast_path(tmp_path: Path) -> Iterator[Path]:
    """An empty folder in memory where there is room: the same system calls, without waiting for a disk."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK) or shutil.disk_usage(memory).free < 500_000_000:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.fixture
def db_url(dialect: str, fast_path: Path, request: pytest.FixtureRequest, templates: dict[str, Any]) -> Iterator[str]:
    """The URL of a fresh database with all tables."""
    if dialect == "sqlite":
        yield sqlite_url(fast_path / "monitor.db", templates)
        return
    server: Postgres = request.getfixturevalue("postgres")
    if "postgresql" not in templates:
        templates["postgresql"] = server.create()
        open_database(server.url(templates["postgresql"])).close()
    name = server.create(templates["postgresql"])
    yield server.url(name)
    server.drop(name)


@pytest.fixture
def db(db_url: str) -> Iterator[Database]:
    """A fresh database, on SQLite and on PostgreSQL."""
    database = open_database(db_url)
    yield database
    database.close()


@pytest.fixture
def sqlite_db(fast_path: Path, templates: dict[str, Any]) -> Iterator[Database]:
    """A fresh SQLite database, for tests that do not depend on the kind."""
    database = open_database(sqlite_url(fast_path / "monitor.db", templates))
    yield database
    database.close()


@pytest.fixture
def open_again(db_url: str) -> Iterator[Callable[..., Database]]:
    """Open the database of the test once more, as another process would."""
    opened: list[Database] = []

    def again(**options: Any) -> Database:
        opened.append(open_database(db_url, **options))
        return opened[-1]

    yield again
    for database in opened:
        database.close()


def sqlite_url(path: Path, templates: dict[str, Any]) -> str:
    source = templates["folder"] / "monitor.db"
    if not source.exists():
        open_database(f"sqlite:///{source}").close()
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, path)
    return f"sqlite:///{path}"
