"""A real Prometheus with the shipped configuration, scraping a real endpoint on loopback."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from monitor.metrics import Metrics
from tests.deploy.content import busy, go_on
from tests.servers import QuietServer

DEPLOY = Path(__file__).parents[2] / "deploy"
DEADLINE = 45.0
Answer = TypeVar("Answer")


def until(ask: Callable[[], Answer], what: str, seconds: float = DEADLINE) -> Answer:
    """The first true answer; fails with `what` when none comes in time. Connections may fail meanwhile."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(httpx.TransportError):
            if answer := ask():
                return answer
        time.sleep(0.05)
    pytest.fail(f"not within {seconds:g} s: {what}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def replaced(text: str, **changes: str) -> str:
    """`text` with whole `key: value` entries changed; each key must be there."""
    lines = text.splitlines()
    for key, value in changes.items():
        at = [n for n, line in enumerate(lines) if line.strip().lstrip("- ").startswith(f"{key}:")]
        assert at, f"{key} is no longer in prometheus.yml"
        for n in at:
            lines[n] = f"{lines[n].partition(f'{key}:')[0]}{key}: {value}"
    return "\n".join(lines) + "\n"


class Prometheus:
    """A running server; `query` gives the values of an instant query, `api` any answer's data."""

    def __init__(self, port: int) -> None:
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10, trust_env=False)

    def ready(self) -> bool:
        return self.client.get("/-/ready").status_code == 200

    def api(self, path: str, **parameters: str) -> Any:
        answer = self.client.get(f"/api/v1/{path}", params=parameters).json()
        assert answer["status"] == "success", f"{parameters}: {answer.get('error')}"
        assert not answer.get("warnings"), f"{parameters}: {answer['warnings']}"
        return answer["data"]

    def query(self, expression: str) -> list[float]:
        return [float(one["value"][1]) for one in self.api("query", query=expression)["result"]]


@contextlib.contextmanager
def serve(metrics: Metrics) -> Iterator[int]:
    """The metrics at /metrics of a free port; a little more happens at every scrape."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            go_on(metrics)
            body, content_type = metrics.render()
            self.send_response(200 if self.path == "/metrics" else 404)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = QuietServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@contextlib.contextmanager
def running(folder: Path, target: int) -> Iterator[Prometheus]:
    """Prometheus with the shipped rules and scrape configuration, pointed at `target`, scraping often."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("Prometheus is not installed (Debian: apt-get install prometheus)")
    shipped = (DEPLOY / "prometheus" / "prometheus.yml").read_text("utf-8")
    config = replaced(
        shipped, scrape_interval="200ms", scrape_timeout="200ms", evaluation_interval="500ms", targets="[]"
    )
    config = config.replace("targets: []", f'targets: ["127.0.0.1:{target}"]', 1)
    (folder / "prometheus.yml").write_text(config, "utf-8")
    shutil.copy(DEPLOY / "prometheus" / "alerts.yml", folder)
    port = free_port()
    log = folder / "prometheus.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        server = Prometheus(port)
        until(lambda: process.poll() is not None or server.ready(), "Prometheus is ready")
        assert process.poll() is None, log.read_text("utf-8")[-2000:]
        yield server
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="session")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that has scraped a busy daemon's metrics several times."""
    with serve(busy()) as target, running(tmp_path_factory.mktemp("prometheus"), target) as server:
        until(lambda: server.query("count_over_time(monitor_time_seconds[5m]) > 3"), "four scrapes")
        yield server
