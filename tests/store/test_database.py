"""Opening a database: its tables, its settings, and what it refuses."""

from __future__ import annotations

import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text
from sqlalchemy.exc import IntegrityError

from monitor.schema import metadata
from monitor.store import migrate
from monitor.store.database import Database, StoreError, open_database
from monitor.store.flag_states import flag_states
from monitor.store.flags import flag_log, list_flags, review, save_evaluation
from monitor.store.observations import add, list_series
from monitor.store.stamps import data_revision
from tests.postgres import Postgres
from tests.store.build import CABBAGE, NOW, batch


@pytest.fixture
def empty_url(dialect: str, tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    """A database without any table."""
    if dialect == "sqlite":
        yield f"sqlite:///{tmp_path}/empty.db"
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = server.create()
    yield server.url(name)
    server.drop(name)


def test_the_migrations_make_exactly_the_tables_of_the_schema(db: Database) -> None:
    with db.connect() as connection:
        # SQLite gives defaults back in another spelling.
        options = {"compare_type": True, "compare_server_default": db.dialect == "postgresql"}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []
        if db.dialect == "sqlite":
            made = connection.execute(text("SELECT sql FROM sqlite_master WHERE name = 'observation'")).scalar()
            assert str(made).rstrip().endswith("WITHOUT ROWID")


def test_the_newest_revision_is_written_down_right(db: Database) -> None:
    with db.connect() as connection:
        assert migrate.stored_revision(connection) == migrate.HEAD
    assert migrate.HEAD in migrate.known_revisions()


def test_the_migrations_can_be_taken_back(db: Database) -> None:
    with db.begin() as connection:
        settings = migrate.configuration()
        settings.attributes["connection"] = connection
        command.downgrade(settings, "base")
    with db.connect() as connection:
        assert inspect(connection).get_table_names() == ["alembic_version"]


def test_opening_again_changes_nothing(db: Database, open_again: Callable[..., Database]) -> None:
    add(db, batch((1, 2.0)), source="s", name="a", now=NOW)
    assert len(list_series(open_again())) == 1


def test_processes_that_open_an_empty_database_at_once_all_succeed(empty_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        opened = list(pool.map(lambda _: open_database(empty_url), range(4)))
    for number, db in enumerate(opened):
        add(db, batch((number, 2.0)), source="s", name="a", now=NOW)
    assert len(list_series(opened[0])) == 1
    for db in opened:
        db.close()


def test_a_database_of_a_newer_program_is_refused_and_left_alone(
    db: Database, open_again: Callable[..., Database]
) -> None:
    with db.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for wanted in (True, False):
        with pytest.raises(StoreError, match=r"newer version of this program \(schema 9999") as refused:
            open_again(migrate=wanted)
        assert refused.value.reason == "newer_schema"
    with db.connect() as connection:
        assert migrate.stored_revision(connection) == "9999"


def test_a_database_without_tables_is_not_touched_when_migrating_is_not_wanted(empty_url: str) -> None:
    with pytest.raises(StoreError, match="Run any command that writes") as refused:
        open_database(empty_url, migrate=False)
    assert refused.value.reason == "old_schema"


def test_tables_of_another_program_are_not_mixed_with_ours(empty_url: str) -> None:
    db = open_database(empty_url)
    with db.begin() as connection:
        connection.execute(text("DROP TABLE alembic_version"))
    db.close()
    with pytest.raises(StoreError, match="tables that this program did not make") as refused:
        open_database(empty_url)
    assert refused.value.reason == "foreign_tables"


def test_foreign_keys_are_enforced(db: Database) -> None:
    with pytest.raises(IntegrityError), db.begin() as connection:
        connection.execute(
            text("INSERT INTO reject (batch_id, row, reason, detail, content) VALUES (9, 1, '', '', '')")
        )


def test_a_failed_transaction_leaves_nothing(db: Database) -> None:
    def fail() -> None:
        with db.begin() as connection:
            connection.execute(text("INSERT INTO person (name, created_at) VALUES ('值班员甲', 0)"))
            raise RuntimeError("as if the program had a bug here")

    with pytest.raises(RuntimeError):
        fail()
    with db.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM person")).scalar() == 0


def test_reads_within_one_connection_see_one_state(sqlite_db: Database) -> None:
    count = text("SELECT count(*) FROM series")
    with sqlite_db.connect() as connection:
        assert connection.execute(count).scalar() == 0
        add(sqlite_db, batch((1, 2.0)), source="s", name="a", now=NOW)
        assert connection.execute(count).scalar() == 0
    with sqlite_db.connect() as connection:
        assert connection.execute(count).scalar() == 1


def test_every_sqlite_connection_writes_durably(sqlite_db: Database) -> None:
    with sqlite_db.begin() as one, sqlite_db.connect() as two:
        for connection in (one, two):
            assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
            assert connection.execute(text("PRAGMA synchronous")).scalar() == 2, "FULL"
            assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
            assert connection.execute(text("PRAGMA busy_timeout")).scalar() == 30_000


@pytest.mark.postgres
def test_a_postgresql_server_that_does_not_wait_for_the_disk_is_told_to(postgres: Postgres) -> None:
    name = postgres.create()
    url = postgres.url(name)
    db = open_database(url)
    with db.begin() as connection:
        connection.execute(text(f"ALTER DATABASE {name} SET synchronous_commit = off"))
    db.close()
    with db.connect() as connection:
        assert connection.execute(text("SHOW synchronous_commit")).scalar() == "on"
    db.close()
    postgres.drop(name)


def test_a_relative_path_is_relative_to_the_configuration_and_its_folder_is_made(tmp_path: Path) -> None:
    db = open_database("sqlite:///data/monitor.db", base=tmp_path)
    db.close()
    assert db.path == tmp_path / "data" / "monitor.db"
    assert db.path.exists()


def test_the_file_is_not_for_everybody_to_read(tmp_path: Path) -> None:
    db = open_database(f"sqlite:///{tmp_path}/monitor.db")
    add(db, batch((1, 2.0)), source="s", name="a", now=NOW)
    for file in tmp_path.glob("monitor.db*"):
        assert stat.S_IMODE(file.stat().st_mode) & 0o007 == 0, file
    db.close()


@pytest.mark.parametrize(
    "url",
    ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true", "mysql://x/y", "monitor.db", ""],
)
def test_a_url_that_cannot_hold_our_data_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(StoreError, match=r"Write sqlite:///monitor\.db or postgresql") as refused:
        open_database(url)
    assert refused.value.reason == "unsupported"


@pytest.mark.postgres
def test_a_postgresql_url_without_a_driver_is_understood(postgres: Postgres) -> None:
    name = postgres.create()
    db = open_database(postgres.url(name).replace("+psycopg", ""))
    assert db.dialect == "postgresql"
    db.close()
    postgres.drop(name)


def test_a_database_of_the_first_version_is_brought_up_to_date_with_all_that_it_holds(empty_url: str) -> None:
    """Its flags, log, observations and marks stay as they are; what its flags were raised on is not made up."""
    db = open_database(empty_url)
    with db.begin() as connection:
        settings = migrate.configuration()
        settings.attributes["connection"] = connection
        command.downgrade(settings, "0001")
        columns = {c["name"] for c in inspect(connection).get_columns("flag")}
        assert "evaluation_id" not in columns
        connection.execute(text(FLAG_OF_0001), {"name": CABBAGE.item, "point": CABBAGE.point})
        connection.execute(
            text(
                "INSERT INTO flag_log (flag_id, at, actor, action, detail)"
                " VALUES ('f1', 5, 'monitor', 'opened', '{}')"
            )
        )
        connection.execute(
            text(
                "INSERT INTO batch (source, name, received_at, accepted, duplicate, revised, rejected)"
                " VALUES ('s', 'old', 5, 1, 0, 0, 0)"
            )
        )
    db.close()
    db = open_database(empty_url)
    with db.connect() as connection:
        assert migrate.stored_revision(connection) == migrate.HEAD
        assert data_revision(connection) == (1, 0)
    (record,) = list_flags(db)
    assert (record.flag.id, record.flag.value, record.evaluation) == ("f1", 4.2, None)
    assert [(e.action, e.evaluation) for e in flag_log(db, "f1")] == [("opened", None)]
    add(db, batch((10, 4.2), area="南区"), source="s", name="new", now=NOW)
    review(db, "f1", "data_error", "", "值班员甲", NOW, 1)
    save_evaluation(db, [], items={CABBAGE.item}, since={CABBAGE.item: 0}, dirty=(), now=NOW, notify=lambda *_: None)
    assert [(s.flag.end_reason, s.evaluation) for s in flag_states(db, "f1")] == [("", None), ("corrected", None)]
    with db.connect() as connection:
        assert data_revision(connection) == (2, 1)
    db.close()


FLAG_OF_0001 = """
INSERT INTO flag (id, kind, plan, plan_version, rule, rule_version, item, point, area, direction, start_at,
    first_flagged_at, last_hit_at, grade_rank, grade, value, reason, points, findings, state, raised_at, updated_at)
VALUES ('f1', 'move', 'price', '2022', 'r', '1', :name, :point, '', 'up', 1768000000, 1768000000, 1770000000, 1,
    'III', 4.2, '一周上涨', '[]', '[]', 'open', 1768000000, 1768000000)
"""
