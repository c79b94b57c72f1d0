"""The SQL collector against real SQLite files and a real PostgreSQL."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from pydantic import ValidationError

from collectors.base import CollectError, Fetched
from collectors.sql import SqlCollector, SqlOptions
from tests.collectors.servers import silent_server

QUERY = "SELECT day AS date, item, value FROM price WHERE day >= :since ORDER BY day"


class Asking:
    """Fetches from the SQLite file source.db, or from `url`."""

    def __init__(self, folder: Path, now: datetime) -> None:
        self.folder, self.now = folder, now
        self.connection = sqlite3.connect(folder / "source.db", isolation_level=None)
        self.connection.execute("CREATE TABLE price (day, item, value)")

    def put(self, *rows: tuple[Any, ...]) -> None:
        self.connection.executemany("INSERT INTO price VALUES (?, ?, ?)", rows)

    def all(self, query: str = QUERY, cursor: Mapping[str, Any] | None = None, **options: Any) -> list[Fetched]:
        given = {"name": "库", "kind": "sql", "url": "sqlite:///source.db", "query": query, **options}
        return list(SqlCollector(SqlOptions.model_validate(given), base=self.folder).fetch(cursor or {}, self.now))

    def fails(self, query: str = QUERY, **options: Any) -> CollectError:
        with pytest.raises(CollectError) as caught:
            self.all(query, **options)
        return caught.value


@pytest.fixture
def ask(tmp_path: Path, now: datetime) -> Asking:
    return Asking(tmp_path, now)


def values(fetched: list[Fetched]) -> list[float]:
    return [float(value) for one in fetched for value in one.batch.value]


def day(n: int) -> str:
    return f"2026-03-0{n}"


def test_columns_are_mapped_and_dirty_values_are_read_as_in_a_sheet(ask: Asking) -> None:
    ask.put((day(1), "大米", "５．２０"), (day(2), "大米", "无"), (day(3), "猪肉", "20-22"), (day(4), "猪肉", 20))
    query = "SELECT day AS d, item AS 品名, value AS 价格 FROM price"
    columns = {"date": "d", "item": "品名", "value": "价格"}
    (fetched,) = ask.all(query, columns=columns, defaults={"unit": "元/公斤", "point": "一号"})
    assert values([fetched]) == [5.2, 20.0]
    assert fetched.batch.keys[0].unit == "元/公斤"
    assert [(reject.row, reject.reason) for reject in fetched.rejects] == [(2, "no_value"), (3, "range")]


@pytest.mark.parametrize(
    ("time_as", "since", "until"),
    [
        ("datetime", "2026-03-08 10:00:00", "2026-03-10 10:00:00"),
        ("date", "2026-03-08", "2026-03-10"),
        ("utc", "2026-03-08 02:00:00+00:00", "2026-03-10 02:00:00+00:00"),
        ("epoch", 1772935200, 1773108000),
        ("epoch_ms", 1772935200000, 1773108000000),
        ("%Y%m%d", "20260308", "20260310"),
    ],
)
def test_the_times_of_the_question_have_the_form_that_the_database_uses(
    ask: Asking, time_as: str, since: Any, until: Any
) -> None:
    query = "SELECT '2026-03-09' AS date, :since AS item, 1 AS value UNION ALL SELECT '2026-03-09', :now, 1"
    (fetched,) = ask.all(query, time_as=time_as, history="2d")
    assert [key.item for key in fetched.batch.keys] == [str(since), str(until)]


def test_the_next_question_begins_an_overlap_before_the_newest_row(ask: Asking) -> None:
    ask.put(*((day(n), "大米", n) for n in range(1, 8)))
    first = ask.all(overlap="2d")
    ask.now += timedelta(days=1)
    ask.put((day(8), "大米", 8))
    second = ask.all(cursor=first[-1].cursor, overlap="2d", time_as="date")
    assert values(first) == [1, 2, 3, 4, 5, 6, 7]
    assert values(second) == [1, 2, 3, 4, 5, 6, 7, 8]  # other options: read anew
    third = ask.all(cursor=second[-1].cursor, overlap="2d", time_as="date")
    assert values(third) == [6, 7, 8]


def test_an_ordered_result_is_cut_between_two_times_and_goes_on_after_an_interruption(ask: Asking) -> None:
    ask.put(*((day(1 + n // 3), f"第{n % 3}种", n) for n in range(9)))
    pieces = ask.all(ordered=True, chunk_rows=2)
    assert values(pieces) == list(range(9))
    assert len(pieces) > 1
    for piece in pieces:
        times = {int(at) for at in piece.batch.at}
        others = {int(at) for other in pieces if other is not piece for at in other.batch.at}
        assert not times & others
    resumed = ask.all(cursor=pieces[0].cursor, ordered=True, chunk_rows=100, overlap="0s", time_as="date")
    assert values(resumed)[-1] == 8


def test_too_many_ordered_rows_are_taken_in_several_turns(ask: Asking) -> None:
    ask.put(*((day(1 + n // 2), f"第{n % 2}种", n) for n in range(16)))
    options: dict[str, Any] = {"ordered": True, "row_limit": 6, "chunk_rows": 3, "overlap": "0s", "time_as": "date"}
    seen, cursor = set[float](), dict[str, Any]()
    for _ in range(8):
        fetched = ask.all(cursor=cursor, **options)
        seen |= set(values(fetched))
        cursor = dict(fetched[-1].cursor)
    assert seen == set(range(16))


def test_too_many_rows_in_no_order_are_refused_whole(ask: Asking) -> None:
    ask.put(*((day(1), f"第{n}种", n) for n in range(20)))
    error = ask.fails(row_limit=10, chunk_rows=3)
    assert (error.reason, error.permanent) == ("too_large", True)
    assert "row_limit = 10" in str(error)


def test_a_limit_smaller_than_the_overlap_is_named_and_not_an_endless_repetition(ask: Asking) -> None:
    ask.put(*((day(7), f"第{n}种", n) for n in range(20)))
    error = ask.fails(ordered=True, row_limit=10, chunk_rows=5)
    assert (error.reason, "make overlap shorter" in str(error)) == ("too_large", True)


def test_rows_that_are_not_in_the_promised_order_are_named(ask: Asking) -> None:
    ask.put((day(2), "大米", 1), (day(1), "大米", 2))
    error = ask.fails(QUERY + " DESC", ordered=True)
    assert (error.reason, error.permanent) == ("order", True)
    assert ask.fails(QUERY + " DESC", ordered=True, chunk_rows=1).reason == "order"


@pytest.mark.parametrize(
    "query",
    [
        "WITH x AS (SELECT 1) INSERT INTO price VALUES ('a', 'b', 3)",
        "WITH x AS (SELECT 1) DELETE FROM price",
    ],
)
def test_nothing_is_ever_written_to_the_source(ask: Asking, query: str) -> None:
    ask.put((day(1), "大米", 1))
    assert ask.fails(query).reason == "query"
    assert ask.connection.execute("SELECT count(*) FROM price").fetchall() == [(1,)]


def test_a_missing_file_is_not_created(ask: Asking) -> None:
    assert ask.fails(url="sqlite:///other.db").reason == "unreachable"
    assert not (ask.folder / "other.db").exists()


def test_a_locked_database_is_named_and_tried_again_at_the_next_turn(ask: Asking) -> None:
    ask.connection.execute("BEGIN EXCLUSIVE")
    error = ask.fails(connect_timeout="200ms")
    ask.connection.execute("ROLLBACK")
    assert (error.reason, error.permanent) == ("locked", False)


def test_a_driver_that_is_not_installed_is_named(ask: Asking) -> None:
    error = ask.fails(url="mysql+nosuchdriver://reader@127.0.0.1/x")
    assert (error.reason, error.permanent) == ("driver", True)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"url": "nothing"}, "not a database URL"),
        ({"url": "postgresql://u:pw@host/db"}, "password in plain text"),
        ({"url": "postgresql://u@host/db?password=pw"}, "password in plain text"),
        ({"query": "DELETE FROM price"}, "no SELECT"),
        ({"query": "-- SELECT\nDROP TABLE price"}, "no SELECT"),
        ({"query": "SELECT :yesterday"}, ":yesterday is unknown"),
        ({"time_as": "noon"}, "no form of time"),
        ({"columns": {"price": "x"}}, "unknown column"),
        ({"password": "pw"}, "plain text"),
    ],
)
def test_a_faulty_option_is_refused_with_its_problem(options: dict[str, Any], problem: str) -> None:
    given = {"name": "s", "kind": "sql", "url": "sqlite:///x.db", "query": "SELECT 1", **options}
    with pytest.raises(ValidationError, match=problem):
        SqlOptions.model_validate(given)


@pytest.mark.parametrize("query", ["select 1", "\n -- all\n /* x */ (WITH a AS (SELECT 1) SELECT 2)", "VALUES (1)"])
def test_every_way_to_begin_a_reading_query_is_allowed(query: str) -> None:
    SqlOptions.model_validate({"name": "s", "kind": "sql", "url": "sqlite:///x.db", "query": query})


# --- PostgreSQL ----------------------------------------------------------------------------------------------------


@pytest.fixture
def table(postgres_url: str) -> str:
    """The URL of a PostgreSQL database with a price table of every type that matters."""
    engine = sqlalchemy.create_engine(postgres_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE SEQUENCE counter")
        connection.exec_driver_sql(
            "CREATE TABLE price (d date, ts timestamp, tz timestamptz, ms bigint, t text, item text, value numeric)"
        )
        connection.exec_driver_sql(
            "INSERT INTO price SELECT n::date, n, n AT TIME ZONE 'Asia/Shanghai',"
            " extract(epoch FROM n AT TIME ZONE 'Asia/Shanghai') * 1000, to_char(n, 'YYYYMMDD'), '大米',"
            " extract(day FROM n) FROM generate_series(timestamp '2026-03-01', '2026-03-09', '1 day') n"
        )
    engine.dispose()
    return postgres_url


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("column", "time_as"),
    [("d", "date"), ("ts", "datetime"), ("tz", "datetime"), ("tz", "utc"), ("ms", "epoch_ms"), ("t", "%Y%m%d")],
)
def test_every_type_of_time_column_gives_the_same_times_and_the_same_limits(
    ask: Asking, table: str, column: str, time_as: str
) -> None:
    query = f"SELECT {column} AS date, item, value FROM price WHERE {column} >= :since ORDER BY {column}"
    ask.now = datetime.fromisoformat("2026-03-10T00:00:00+08:00")
    (fetched,) = ask.all(query, url=table, time_as=time_as, history="4d")
    assert values([fetched]) == [6, 7, 8, 9]
    assert fetched.batch.at[0] == datetime.fromisoformat("2026-03-06T00:00:00+08:00").timestamp()


@pytest.mark.postgres
def test_a_postgresql_source_is_read_only_and_its_statements_end_in_time(ask: Asking, table: str) -> None:
    assert "read-only transaction" in str(ask.fails("SELECT nextval('counter')", url=table))
    error = ask.fails("SELECT pg_sleep(30)", url=table, timeout="300ms")
    assert (error.reason, error.permanent) == ("timeout", False)


@pytest.mark.postgres
def test_a_statement_time_out_that_the_server_does_not_keep_is_kept_by_us(ask: Asking, table: str) -> None:
    endless = "SELECT set_config('statement_timeout', '0', true), pg_sleep(1) FROM generate_series(1, 100)"
    started = time.monotonic()
    assert ask.fails(endless, url=table, deadline="1500ms").reason == "timeout"
    assert time.monotonic() - started < 10


def test_a_server_that_takes_the_connection_and_says_nothing_is_left_in_time(ask: Asking) -> None:
    with silent_server() as port:
        error = ask.fails(url=f"postgresql+psycopg://reader@127.0.0.1:{port}/x", deadline="1s")
    assert error.reason == "timeout"


@pytest.mark.postgres
def test_a_whole_url_may_be_a_secret_and_is_never_shown(
    ask: Asking, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = sqlalchemy.make_url(table).set(password="s3cr3t").render_as_string(hide_password=False)
    monkeypatch.setenv("SOURCE_URL", url)
    (fetched,) = ask.all("SELECT d AS date, item, value FROM price", url={"env": "SOURCE_URL"})
    assert len(fetched.batch) == 9
    monkeypatch.setenv("SOURCE_URL", "postgresql+psycopg://reader:s3cr3t@127.0.0.1:1/x?application_name=s3cr3t")
    error = ask.fails(url={"env": "SOURCE_URL"})
    assert error.reason == "unreachable"
    assert "s3cr3t" not in str(error)
