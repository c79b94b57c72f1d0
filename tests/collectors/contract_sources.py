"""One real local source of each kind, for the contract that all collectors keep.

A source holds quotes that the test sets, makes collectors that read them, and can be broken in the ways that its kind
allows: each way gives a collector and the reasons that its CollectError may have.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import sqlalchemy

from collectors import http_json
from collectors.base import Collector
from collectors.folder import FolderCollector, FolderOptions
from collectors.http_json import HttpCollector, HttpOptions
from collectors.prometheus import PrometheusCollector, PrometheusOptions
from collectors.sql import SqlCollector, SqlOptions
from tests.collectors.servers import Exchange, WebServer, free_port

SECRET = "correct-horse/battery+staple"
SECRET_NAME = "CONTRACT_TEST_SECRET"
SHORT = {"deadline": "1500ms"}
HTML = "<!DOCTYPE html><html><title>登录</title><p>请先登录</p></html>"


@dataclass(frozen=True)
class Quote:
    """One price at a whole hour."""

    at: datetime
    item: str
    point: str
    value: float

    def row(self) -> dict[str, Any]:
        """As most sources write it."""
        return {"date": self.at.isoformat(), "item": self.item, "point": self.point, "value": self.value}


Broken = dict[str, tuple[Callable[[], Collector], set[str]]]


class Source:
    """Base of the local sources; `secret` says whether its collectors use SECRET."""

    secret = False

    def __init__(self, web: WebServer, folder: Path, request: pytest.FixtureRequest) -> None:
        self.web, self.folder = web, folder
        self.prepare(request)

    def prepare(self, request: pytest.FixtureRequest) -> None:
        """Start what the source needs."""

    def holds(self, quotes: Sequence[Quote]) -> None:
        """From now on the source has exactly these."""
        raise NotImplementedError

    def collector(self) -> Collector:
        """A new collector of what the source holds, with no memory of the others."""
        raise NotImplementedError

    def broken(self) -> Broken:
        """Fault -> how to make a collector that meets it, and what its error may be called."""
        raise NotImplementedError


class Http(Source):
    """JSON in one answer."""

    secret = True
    options: Mapping[str, Any] = MappingProxyType({"format": "json", "rows": "data.items"})

    def holds(self, quotes: Sequence[Quote]) -> None:
        self.web.on("/prices", lambda e: self.answer(e, quotes))

    def answer(self, exchange: Exchange, quotes: Sequence[Quote]) -> None:
        exchange.json({"data": {"items": [q.row() for q in quotes]}})

    def collector(self) -> Collector:
        return self.make()

    def make(self, path: str = "/prices", **more: Any) -> Collector:
        url = more.pop("url", self.web.url + path)
        credentials = {"bearer": {"env": SECRET_NAME}, "secret_params": {"key": {"env": SECRET_NAME}}}
        options = HttpOptions.model_validate(
            {"name": "source", "kind": "http", "url": url, **credentials, **self.options, **more}
        )
        return HttpCollector(options, sleep=lambda _: None)

    def broken(self) -> Broken:
        web, wrong = self.web, {"not_json", "not_csv"}
        web.on("/html", lambda e: e.send(HTML, content_type="text/html"))
        web.on("/latin", lambda e: e.send(b'[{"item":"\xff\xfe\xff\xff caf\xe9"}]', content_type="application/json"))
        web.on("/echo", lambda e: e.send(f"no: {e.headers['authorization']} {e.handler.path}", 500))
        return {
            "down": (lambda: self.make(url=f"http://127.0.0.1:{free_port()}/prices"), {"refused"}),
            "hangs": (lambda: self.make(web.on("/hang", Exchange.hang)[len(web.url) :], **SHORT), {"timeout"}),
            "drips": (lambda: self.make(web.on("/drip", drip)[len(web.url) :], **SHORT), {"timeout"}),
            "drips its headers": (
                lambda: self.make(web.on("/head", drip_headers)[len(web.url) :], **SHORT),
                {"timeout"},
            ),
            "html": (lambda: self.make("/html"), wrong),
            "10 GB": (
                lambda: self.make(web.on("/huge", huge)[len(web.url) :], max_bytes=2_000_000, deadline="30s"),
                {"too_large"},
            ),
            "wrong encoding": (lambda: self.make("/latin"), {"encoding"}),
            "breaks off": (lambda: self.make(web.on("/cut", cut)[len(web.url) :]), {"broken"}),
            "repeats the secret": (lambda: self.make("/echo"), {"http_status"}),
        }


def drip(exchange: Exchange) -> None:
    exchange.start(200, content_type="application/json")
    exchange.drip(b" ")


def drip_headers(exchange: Exchange) -> None:
    exchange.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    exchange.drip(b"a")


def huge(exchange: Exchange) -> None:
    exchange.start(200, content_type="application/json")
    for _ in range(10 * 1024):
        exchange.write(b" " * 1024 * 1024)


def cut(exchange: Exchange) -> None:
    exchange.start(200, content_type="application/json", content_length="1000")
    exchange.write(b'[{"date":')
    exchange.break_off()


class HttpLines(Http):
    options = MappingProxyType({"format": "jsonl"})

    def answer(self, exchange: Exchange, quotes: Sequence[Quote]) -> None:
        exchange.send("\n".join(json.dumps(q.row()) for q in quotes), content_type="application/x-ndjson")


class HttpCsv(Http):
    options = MappingProxyType({"format": "csv"})

    def answer(self, exchange: Exchange, quotes: Sequence[Quote]) -> None:
        lines = [",".join(map(str, q.row().values())) for q in quotes]
        exchange.send("\n".join(["date,item,point,value", *lines]), content_type="text/csv")


class HttpPaged(Http):
    """What is new since a time, one quote to a page, newest first, and each page stored by itself."""

    options = MappingProxyType(
        {
            "format": "json",
            "rows": "rows",
            "paging": {"kind": "page", "param": "page"},
            "params": {"since": "{since:epoch}"},
            "overlap": "3h",
        }
    )

    def prepare(self, request: pytest.FixtureRequest) -> None:
        request.getfixturevalue("monkeypatch").setattr(http_json, "FLUSH_ROWS", 1)

    def answer(self, exchange: Exchange, quotes: Sequence[Quote]) -> None:
        number = int(exchange.params["page"])
        asked = [q for q in quotes if q.at.timestamp() >= int(exchange.params["since"])]
        newest_first = sorted(asked, key=lambda q: q.at, reverse=True)
        exchange.json({"rows": [q.row() for q in newest_first[number - 1 : number]]})


QUERY = "SELECT at AS date, item, point, value FROM quote WHERE at >= :since ORDER BY at"


class Sqlite(Source):
    """A query on a SQLite file, in chunks."""

    url = "sqlite:///source.db"

    def holds(self, quotes: Sequence[Quote]) -> None:
        with sqlite3.connect(self.folder / "source.db") as db:
            db.execute("DROP TABLE IF EXISTS quote")
            db.execute("CREATE TABLE quote (at INTEGER, item TEXT, point TEXT, value REAL)")
            rows = [(int(q.at.timestamp()), q.item, q.point, q.value) for q in quotes]
            db.executemany("INSERT INTO quote VALUES (?, ?, ?, ?)", rows)
        db.close()

    def collector(self) -> Collector:
        return self.make(query=QUERY)

    def make(self, **more: Any) -> Collector:
        chunks = {"ordered": True, "chunk_rows": 2, "time_as": "epoch"}
        options = SqlOptions.model_validate({"name": "source", "kind": "sql", "url": self.url, **chunks, **more})
        return SqlCollector(options, base=self.folder)

    def broken(self) -> Broken:
        self.holds([])
        endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT "
        row = "'2026-03-09' AS date, 'rice' AS item, i AS value FROM n"
        bytes_ = "SELECT CAST(x'b4f3c3d7' AS TEXT) AS item, '2026-03-09' AS date, 1 AS value"
        return {
            "down": (lambda: self.make(url="sqlite:///nothing.db", query=QUERY), {"unreachable"}),
            "hangs": (lambda: self.make(query=f"{endless} max(i) FROM n", timeout="1s"), {"timeout"}),
            "10 GB": (lambda: self.make(query=endless + row, row_limit=5_000, chunk_rows=1000), {"too_large"}),
            "wrong encoding": (lambda: self.make(query=bytes_), {"encoding"}),
            "no such table": (lambda: self.make(query="SELECT * FROM nothing"), {"query"}),
        }


class Postgres(Source):
    """A query on PostgreSQL through a server-side cursor."""

    def prepare(self, request: pytest.FixtureRequest) -> None:
        self.url = sqlalchemy.make_url(request.getfixturevalue("postgres_url"))
        self.engine = sqlalchemy.create_engine(self.url)
        request.addfinalizer(self.engine.dispose)

    def holds(self, quotes: Sequence[Quote]) -> None:
        with self.engine.begin() as db:
            db.exec_driver_sql("DROP TABLE IF EXISTS quote")
            db.exec_driver_sql("CREATE TABLE quote (at timestamptz, item text, point text, value numeric)")
            if quotes:
                insert = sqlalchemy.text("INSERT INTO quote VALUES (:date, :item, :point, :value)")
                db.execute(insert, [q.row() for q in quotes])

    def collector(self) -> Collector:
        return self.make(query=QUERY)

    def make(self, **more: Any) -> Collector:
        url = self.url.set(password=None).render_as_string(hide_password=False)
        (self.folder / "password").write_text(self.url.password or "unused", "utf-8")
        values = {"name": "source", "kind": "sql", "url": url, "password": {"file": "password"}, "ordered": True}
        return SqlCollector(SqlOptions.model_validate({**values, "chunk_rows": 2, **more}), base=self.folder)

    def broken(self) -> Broken:
        self.holds([])
        elsewhere = "postgresql+psycopg://reader@127.0.0.1:{}/prices"
        secret = {"password": {"env": SECRET_NAME}, "query": QUERY}
        endless = "SELECT date '2026-03-09' AS date, 'rice' AS item, generate_series(1, 10000000000) AS value"
        web_port = int(self.web.url.rpartition(":")[2])
        return {
            "down": (lambda: self.make(url=elsewhere.format(free_port()), **secret), {"unreachable"}),
            "hangs": (lambda: self.make(query="SELECT pg_sleep(60)", timeout="1s"), {"timeout"}),
            "html": (
                lambda: self.make(url=elsewhere.format(web_port), **secret, **SHORT),
                {"unreachable", "timeout"},
            ),
            "10 GB": (lambda: self.make(query=endless, row_limit=5_000, chunk_rows=1000), {"too_large"}),
            "no such table": (lambda: self.make(query="SELECT * FROM nothing"), {"query"}),
        }


class Prometheus(Source):
    """The HTTP API of Prometheus, answering from the quotes; a real server is in test_prometheus.py."""

    secret = True

    def holds(self, quotes: Sequence[Quote]) -> None:
        self.web.on("/api/v1/query_range", lambda e: self.answer(e, quotes))

    def answer(self, exchange: Exchange, quotes: Sequence[Quote]) -> None:
        start, end = int(exchange.params["start"]), int(exchange.params["end"])
        series: dict[tuple[str, str], list[list[Any]]] = {}
        for q in sorted(quotes, key=lambda q: q.at):
            if start <= (at := int(q.at.timestamp())) <= end:
                series.setdefault((q.item, q.point), []).append([at, str(q.value)])
        result = [{"metric": {"item": i, "point": p}, "values": v} for (i, p), v in series.items()]
        exchange.json({"status": "success", "data": {"resultType": "matrix", "result": result}})

    def collector(self) -> Collector:
        return self.make()

    def make(self, url: str = "", **more: Any) -> Collector:
        values = {"name": "source", "kind": "prometheus", "url": url or self.web.url, "query": "price", "step": "1h"}
        times = {"delay": "0s", "history": "1d", "overlap": "3h", "max_points": 3}
        credentials = {"basic": {"user": "reader", "password": {"env": SECRET_NAME}}}
        options = PrometheusOptions.model_validate({**values, **times, **credentials, **more})
        return PrometheusCollector(options, sleep=lambda _: None)

    def broken(self) -> Broken:
        def at(path: str, answer: Callable[[Exchange], None]) -> str:
            self.web.on(f"{path}/api/v1/query_range", answer)
            return self.web.url + path

        html = at("/html", lambda e: e.send(HTML, content_type="text/html"))
        latin = at("/latin", lambda e: e.send(b'{"status":"success","data":"\xff\xe9"}'))
        echo = at("/echo", lambda e: e.send(f"no: {e.headers['authorization']}", 500))
        return {
            "down": (lambda: self.make(f"http://127.0.0.1:{free_port()}"), {"refused"}),
            "hangs": (lambda: self.make(at("/hang", Exchange.hang), **SHORT), {"timeout"}),
            "drips": (lambda: self.make(at("/drip", drip), **SHORT), {"timeout"}),
            "html": (lambda: self.make(html), {"not_json"}),
            "10 GB": (lambda: self.make(at("/huge", huge), max_bytes=2_000_000), {"too_large"}),
            "wrong encoding": (lambda: self.make(latin), {"not_json", "encoding"}),
            "breaks off": (lambda: self.make(at("/cut", cut)), {"broken"}),
            "repeats the secret": (lambda: self.make(echo), {"http_status"}),
        }


class Folder(Source):
    """An inbox into which each new sheet is put; there is nothing that could hang or answer."""

    def prepare(self, request: pytest.FixtureRequest) -> None:
        self.inbox, self.sheets = self.folder / "inbox of source", 0
        self.inbox.mkdir()

    def holds(self, quotes: Sequence[Quote]) -> None:
        for old in self.inbox.glob("*.csv"):
            old.unlink()
        self.sheets += 1
        sheet = self.inbox / f"{self.sheets}.csv"
        lines = [",".join(map(str, q.row().values())) for q in quotes]
        sheet.write_text("\n".join(["date,item,point,value", *lines]), "utf-8")
        written = min((q.at for q in quotes), default=datetime(2026, 3, 1, tzinfo=UTC)).timestamp()
        os.utime(sheet, (written, written))

    def collector(self) -> Collector:
        return self.make(self.inbox)

    def make(self, inbox: Path) -> Collector:
        return FolderCollector(
            FolderOptions.model_validate({"name": "source", "kind": "folder", "path": str(inbox)}), self.folder
        )

    def broken(self) -> Broken:
        blocked = self.folder / "source"
        blocked.write_text("a file where the folder should be", "utf-8")
        return {"down": (lambda: self.make(blocked), {"io"})}


KINDS: dict[str, type[Source]] = {
    "http json": Http,
    "http json lines": HttpLines,
    "http csv": HttpCsv,
    "http pages": HttpPaged,
    "sql sqlite": Sqlite,
    "sql postgresql": Postgres,
    "prometheus": Prometheus,
    "folder": Folder,
}


def quotes(now: datetime) -> list[Quote]:
    """Six hours of two items at two points, the newest an hour ago."""
    hours = [
        now.astimezone(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=h) for h in range(6, 0, -1)
    ]
    series = [("大米", "一号"), ("大米", "二号"), ("猪肉", "一号")]
    return [
        Quote(at, item, point, 5 + n + k / 8) for k, at in enumerate(hours) for n, (item, point) in enumerate(series)
    ]
