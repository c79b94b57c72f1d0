"""The daemon, fed piece by piece over HTTP as time passes, flags what replay flags on the whole."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from monitor.cli import build_parser
from monitor.commands.replay import main as replay_command
from monitor.store.flags import FlagFilter, list_flags
from tests.acceptance.harness import DATA, Clock, Phone, collect, installation, until
from tests.servers import QuietServer

CONFIG = """
[database]
url = "sqlite:///monitor.db"
[web]
port = 0
[detection]
history = "40y"
[alerts]
max_age = "36500d"
storm_limit = 100000
expires_after = "36500d"
default_targets = [{{ channel = "phone", address = "duty" }}]
[[channel]]
kind = "webhook"
name = "phone"
url = "{phone}"
secret = {{ env = "DUTY_SECRET" }}
[[source]]
kind = "http"
name = "prices"
url = "{prices}"
format = "csv"
every = "1h"
history = "40y"
"""


class Publisher:
    """Serves the rows of a sheet up to a date that the test moves, as an office publishes them."""

    def __init__(self, rows: list[dict[str, str]]) -> None:
        self.rows = rows
        self.shown = ""
        publisher = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                text = io.StringIO()
                writer = csv.DictWriter(text, list(publisher.rows[0]))
                writer.writeheader()
                writer.writerows(r for r in publisher.rows if r["date"] <= publisher.shown)
                body = text.getvalue().encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/csv; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.server = QuietServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/prices.csv"


def rows_of(name: str, begin: str, end: str) -> list[dict[str, str]]:
    with gzip.open(DATA / name, "rt", encoding="utf-8", newline="") as file:
        rows = [r for r in csv.DictReader(file) if begin <= r["date"] <= end]
    return sorted(rows, key=lambda r: r["date"])


@pytest.fixture
def phone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Phone]:
    monkeypatch.setenv("DUTY_SECRET", "a secret of the test alone")
    phone = Phone()
    yield phone
    phone.close()


FILES = [
    ("energy_daily.csv.gz", "2018-06-01", "2021-06-30", 30),
    ("risk_daily.csv.gz", "2019-06-01", "2020-12-31", 30),
    ("food_monthly.csv.gz", "2019-01-01", "2022-05-31", 150),
    ("complaints_monthly.csv.gz", "2019-01-01", "2024-12-31", 200),
    ("bank_failures_monthly.csv.gz", "2000-10-01", "2012-12-31", 300),
]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("name", "begin", "end", "step"), FILES)
def test_flags_messages_and_metrics_of_the_daemon_are_those_of_replay(
    name: str, begin: str, end: str, step: int, tmp_path: Path, phone: Phone
) -> None:
    if not (DATA / name).exists():
        pytest.skip(
            f"{DATA / name} is not there: the published data lies beside the checkout only where it is developed"
        )
    rows = rows_of(name, begin, end)
    replayed = replay(rows, tmp_path)
    publisher = Publisher(rows)
    clock = Clock(datetime.fromisoformat(begin).replace(tzinfo=UTC))
    text = CONFIG.format(phone=phone.url, prices=publisher.url)
    with installation(tmp_path, text, clock) as app:
        last = datetime.fromisoformat(end).replace(tzinfo=UTC)
        while clock.at < last + timedelta(days=step):
            publisher.shown = clock.at.date().isoformat()
            collect(app, "prices")
            clock.move(days=step)
        stored = list_flags(app.db, FlagFilter(kinds=("move", "data")), limit=100_000)
        live = {record.flag.id: record.flag for record in stored}
        expected = {r["flag"]: r for r in replayed if r["kind"] != "silence"}
        assert expected, "the replay flags something"
        assert set(live) == set(expected)
        for flag_id, row in expected.items():
            assert_same(live[flag_id], row)
        moves = {r["flag"] for r in replayed if r["kind"] == "move"}
        until(lambda: told(phone) >= set(expected), f"{len(expected)} flags were told")
        assert told(phone) & set(expected) == set(expected)
        assert len(phone.keys) == len(set(phone.keys)), "no message came twice"
        metrics = metrics_of(app)
        assert metrics['monitor_observations_total{outcome="accepted",source="prices"}'] > 0
        assert sum(v for k, v in metrics.items() if k.startswith("monitor_flags{") and 'kind="move"' in k) == len(
            moves
        )


def told(phone: Phone) -> set[str]:
    """Flags whose opening was told."""
    flags = [flag for call in list(phone.calls) for flag in call["data"]["flags"]]
    return {flag["flag"] for flag in flags if flag["what"] == "opened"}


def assert_same(flag: Any, row: dict[str, str]) -> None:
    assert (flag.item, flag.point, flag.area, flag.direction) == (
        row["item"],
        row["point"],
        row["area"],
        row["direction"],
    )
    assert flag.reason == row["reason"]
    assert flag.rule == row["rule"]
    assert f"{flag.value:.10g}" == row["value"]
    assert flag.end_reason == "" if row["end"] == "" else flag.end is not None
    assert (flag.exit.reason if flag.exit else "") == row["exit_reason"]


def replay(rows: list[dict[str, str]], folder: Path, *arguments: str) -> list[dict[str, str]]:
    """What `monitor replay` makes of the rows: the lines of its flags.csv."""
    sheet = folder / "sheet.csv"
    with sheet.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    options = build_parser().parse_args(["replay", "--input", str(sheet), "--out", str(folder / "out"), *arguments])
    assert replay_command(options) == 0
    with (folder / "out" / "flags.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def metrics_of(app: Any) -> dict[str, float]:
    from monitor.jobs import picture

    picture(app)
    text = app.metrics.render()[0].decode()
    return {k: float(v) for k, v in (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))}
