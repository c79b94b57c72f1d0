"""Every SQL query of the Grafana dashboards finds data in a real PostgreSQL, as the role that Grafana is given."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, update

from alerts.notify import NewNotification
from monitor.schema import flag as flag_table
from monitor.schema import notification
from monitor.store import observations, outbox_queue
from monitor.store.database import Database, open_database
from monitor.store.flags import FlagChange, save_evaluation
from tests.deploy.conftest import DEPLOY
from tests.postgres import Postgres
from tests.store.build import CABBAGE, NOW, PORK, day, flag
from thresholds.model import Kind, Observation, ObservationBatch, Reject, SeriesKey

FOLDER = DEPLOY / "grafana"
DASHBOARDS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text("utf-8")) for path in sorted((FOLDER / "dashboards").glob("*.json"))
}
QUERIES = [
    pytest.param(name, target["rawSql"], target["format"], id=f"{name}-{panel['title']}")
    for name, one in DASHBOARDS.items()
    for panel in one["panels"]
    for target in panel.get("targets", ())
    if "rawSql" in target
]
FROM, TO = int(day(0).timestamp()), int(NOW.timestamp())
EAST = SeriesKey(CABBAGE.item, CABBAGE.spec, CABBAGE.unit, CABBAGE.channel, "城东市场")
pytestmark = pytest.mark.postgres


def nobody(_connection: Connection, _changes: Sequence[FlagChange]) -> None:
    """Flags are stored; nobody is told."""


def fill(db: Database) -> None:
    """Two months of two items at three points, a correction, rejects, flags of each kind, messages in each state."""
    rows = [
        Observation(key, day(n), 2.0 + i + n % 7 / 10, area="南区")
        for i, key in enumerate((CABBAGE, EAST, PORK))
        for n in range(60)
    ]
    rejects = [Reject(row=3, reason="not_a_number", detail="价格不是数字", content="大白菜,--")]
    observations.add(db, ObservationBatch.of(rows), source="日报", name="a.csv", now=NOW, rejects=rejects)
    mended = ObservationBatch.of([Observation(CABBAGE, day(59), 2.55, area="南区")])
    observations.add(db, mended, source="更正", name="b.csv", now=NOW)
    found = [flag("f1", 50), flag("f2", 51, kind=Kind.DATA), flag("f3", 52, kind=Kind.SILENCE)]
    save_evaluation(db, found, items={CABBAGE.item}, since={}, dirty=[], now=NOW, notify=nobody)
    at = int(NOW.timestamp())
    with db.begin() as connection:
        connection.execute(update(flag_table).where(flag_table.c.id == "f1").values(area="南区"))
        outbox_queue.enqueue(connection, [message(n) for n in range(3)])
        sent = update(notification).values(state="sent", sent_at=at + 5)
        connection.execute(sent.where(notification.c.key == "k1"))
        connection.execute(sent.where(notification.c.key == "k2").values(acked_at=at + 65))


def message(n: int) -> NewNotification:
    return NewNotification(
        key=f"k{n}", flag_id="f1", change="opened", changes=(("f1", "opened"),), rank=1, person="值班员甲",
        channel="hook", address="x", subject="大白菜上涨", body="…", payload={}, created_at=NOW, not_before=NOW,
        expires_at=NOW + timedelta(hours=4), ack_hash=f"hash{n}",
    )  # fmt: skip


@pytest.fixture(scope="module")
def database(postgres: Postgres) -> Iterator[str]:
    """A filled database with the reader's role; gives its name."""
    name = postgres.create()
    db = open_database(postgres.url(name))
    fill(db)
    db.close()
    program = shutil.which("psql") or str(postgres.bin / "psql")
    script = str(Path(FOLDER / "reader.sql"))
    options = ["-v", "ON_ERROR_STOP=1", "-v", "password='geheim-0'", "-q"]
    with open(script, "rb") as text:
        done = subprocess.run(
            [program, *options, postgres.dsn(name)], check=False, capture_output=True, stdin=text, timeout=30
        )
    assert done.returncode == 0, done.stderr.decode()
    yield name
    postgres.drop(name)


@pytest.fixture
def reader(postgres: Postgres, database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(f"host={postgres.home} user=grafana_reader dbname={database}") as connection:
        yield connection


def values_of(reader: psycopg.Connection[Any], name: str) -> dict[str, list[str]]:
    """What each variable of a dashboard offers, as Grafana asks for it."""
    asked = {
        one["name"]: one["query"]
        for one in DASHBOARDS[name]["templating"]["list"]
        if one["type"] == "query" and one["datasource"]["type"] == "grafana-postgresql-datasource"
    }
    return {key: [row[0] for row in reader.execute(query)] for key, query in asked.items()}


def filled(reader: psycopg.Connection[Any], name: str, query: str) -> str:
    """The query as Grafana sends it when everything is chosen, for the time from FROM to TO."""
    for key, offered in values_of(reader, name).items():
        quoted = ",".join("'" + one.replace("'", "''") + "'" for one in offered)
        query = query.replace("${" + key + ":sqlstring}", quoted)
    query = query.replace("$__unixEpochFrom()", str(FROM)).replace("$__unixEpochTo()", str(TO))
    assert "$" not in query, query
    return query


def test_there_are_queries() -> None:
    assert len(QUERIES) > 10


@pytest.mark.parametrize(("name", "query", "shape"), QUERIES)
def test_every_query_of_a_panel_finds_data(
    reader: psycopg.Connection[Any], name: str, query: str, shape: str
) -> None:
    cursor = reader.execute(filled(reader, name, query).encode())
    rows = cursor.fetchall()
    assert rows
    columns = [column.name for column in cursor.description or ()]
    if shape == "time_series":
        assert columns == ["time", "metric", "value"]
        assert all(row[0].tzinfo and row[1] and row[2] is not None for row in rows)
    else:
        assert len(set(columns)) == len(columns)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_variable_of_the_database_offers_values(reader: psycopg.Connection[Any], name: str) -> None:
    assert all(values_of(reader, name).values())


def test_a_correction_counts_once_with_its_newest_value(reader: psycopg.Connection[Any]) -> None:
    query = next(q.values[1] for q in QUERIES if q.id == "prices-各监测点")
    rows = reader.execute(filled(reader, "prices", str(query)).encode()).fetchall()
    last = [row[2] for row in rows if row[0].timestamp() == day(59).timestamp() and CABBAGE.point in row[1]]
    assert last == [2.55]


@pytest.mark.parametrize("hidden", ["token", "person", "contact", "content", "flag_log"])
def test_the_reader_sees_no_other_table(reader: psycopg.Connection[Any], hidden: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        reader.execute(f"SELECT * FROM {hidden}".encode())


@pytest.mark.parametrize("column", ["body", "address", "payload"])
def test_the_reader_sees_no_text_or_address_of_a_message(reader: psycopg.Connection[Any], column: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        reader.execute(f"SELECT {column} FROM notification".encode())


def test_the_reader_cannot_write(reader: psycopg.Connection[Any]) -> None:
    with pytest.raises((psycopg.errors.ReadOnlySqlTransaction, psycopg.errors.InsufficientPrivilege)):
        reader.execute(b"DELETE FROM flag")


def test_the_provisioned_source_is_of_the_kind_that_the_dashboards_ask_for() -> None:
    provisioned = (FOLDER / "provisioning/datasources/postgres.yml").read_text("utf-8")
    found = re.search(r"type: (\S+)", provisioned)
    assert found
    asked = {
        one["query"] for b in DASHBOARDS.values() for one in b["templating"]["list"] if one["type"] == "datasource"
    }
    assert found[1] in asked
