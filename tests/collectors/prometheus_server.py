"""A real Prometheus with a known past, made from text in OpenMetrics form, and scraping a local exporter."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.collectors.servers import free_port

BINARY = shutil.which("prometheus")
TOOL = shutil.which("promtool")


@dataclass(frozen=True)
class RealPrometheus:
    """A running Prometheus server."""

    url: str

    def until(self, query: str, seconds: float = 30) -> None:
        """Wait until an instant query gives something: scraping takes real time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            answer = httpx.get(f"{self.url}/api/v1/query", params={"query": query}, trust_env=False).json()
            if answer.get("data", {}).get("result"):
                return
            time.sleep(0.1)
        raise AssertionError(f"Prometheus gave nothing for {query} in {seconds} s")


@contextlib.contextmanager
def real_prometheus(folder: Path, *, past: str, target: str) -> Iterator[RealPrometheus]:
    """Prometheus with the samples of `past` (OpenMetrics text), scraping `target` (host:port) each second."""
    assert BINARY, "install the Debian package prometheus"
    assert TOOL
    data, port = folder / "data", free_port()
    text = folder / "past.txt"
    text.write_text(past, "utf-8")
    subprocess.run([TOOL, "tsdb", "create-blocks-from", "openmetrics", text, data], check=True, capture_output=True)
    config = folder / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
        f"scrape_configs: [{{job_name: market, static_configs: [{{targets: ['{target}']}}]}}]\n",
        "utf-8",
    )
    log = folder / "prometheus.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                BINARY,
                f"--config.file={config}",
                f"--storage.tsdb.path={data}",
                "--storage.tsdb.retention.time=100y",
                f"--web.listen-address=127.0.0.1:{port}",
                "--query.timeout=10s",
                "--log.level=warn",
            ],
            stdout=output,
            stderr=output,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_ready(url, process, log)
        yield RealPrometheus(url)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def wait_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}/-/ready", trust_env=False).status_code == 200:
                return
        time.sleep(0.1)
    raise AssertionError(f"Prometheus did not start:\n{log.read_text('utf-8', 'replace')[-2000:]}")
