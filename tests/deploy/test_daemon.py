"""The daemon itself with the shipped configuration, the demonstration city and a real Prometheus that scrapes it."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.conftest import DEPLOY, Prometheus, free_port, running, until
from tests.deploy.test_alerts import ALERTS, raised, rules
from tests.deploy.test_dashboard import EXPRESSIONS, filled, has_data

ROOT = DEPLOY.parent
pytestmark = [pytest.mark.prometheus, pytest.mark.slow]


@contextlib.contextmanager
def daemon(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """`monitor run` with the shipped config.toml in `folder`, on another port."""
    text, found = re.subn(r"(?m)^port = \d+", f"port = {port}", (ROOT / "config.toml").read_text("utf-8"))
    assert found == 1
    config = folder / "config.toml"
    config.write_text(text, "utf-8")
    command = [sys.executable, "-m", "monitor", "run", "--config", str(config)]
    with (folder / "daemon.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Prometheus first, so that it sees the daemon's first counts as a rise; then the daemon, until it has sent."""
    if shutil.which("prometheus") is None:
        pytest.skip("Prometheus is not installed (Debian: apt-get install prometheus)")
    port = free_port()
    with (
        running(tmp_path_factory.mktemp("prometheus"), port) as prometheus,
        daemon(tmp_path_factory.mktemp("daemon"), port),
    ):
        until(lambda: any(prometheus.query('monitor_sends_total{result="sent"} > 0')), "a message was sent", 100)
        yield prometheus


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_panel_shows_data_of_the_daemon(scraped: Prometheus, expression: str) -> None:
    query = filled(expression, window="5m")
    until(lambda: has_data(scraped, query), f"data for {query}", seconds=30)


def test_every_rule_runs_and_a_healthy_daemon_raises_only_what_is_true(scraped: Prometheus) -> None:
    """Nobody is on duty in the shipped configuration; the other alert is the one that always fires."""
    until(lambda: "DutyGap" in raised(scraped), "the gap in the roster was seen", 30)
    assert {rule["name"]: rule["health"] for rule in rules(scraped)} == dict.fromkeys(ALERTS, "ok")
    # while the first history comes in, part by part, its newest value is old: no matter with the rule's five minutes
    until(lambda: raised(scraped) == {"DutyGap", "MonitorWatchdog"}, "only what is true stays raised", 60)


def test_every_metric_that_a_rule_asks_for_is_shown_by_the_daemon(scraped: Prometheus) -> None:
    text = (DEPLOY / "prometheus" / "alerts.yml").read_text("utf-8")
    for name in sorted(set(re.findall(r"\bmonitor_\w+", text)) - {"monitor_metrics_errors_total"}):
        assert scraped.query(name), name


def test_simulated_data_is_marked(scraped: Prometheus) -> None:
    assert scraped.query("sum(monitor_source_simulated)") == [1.0]
    assert scraped.query('count(monitor_latest_value{source!~"演示.*"}) or vector(0)') == [0.0]
