"""The Prometheus alert rules: each fires when it must, stays quiet when it must, and asks for metrics that exist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.alert_cases import CASES, Case
from tests.deploy.conftest import DEPLOY, Prometheus, until

RULES = DEPLOY / "prometheus" / "alerts.yml"
DOCS = DEPLOY.parent / "docs" / "metrics.md"
ALERTS = re.findall(r"^ +- alert: (\w+)$", RULES.read_text("utf-8"), re.MULTILINE)
ALWAYS_FIRING = {"MonitorWatchdog"}


def promtool(*arguments: str, folder: Path | None = None) -> None:
    """Run promtool; what it complains of becomes the test's message."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed (Debian: apt-get install prometheus)")
    done = subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def as_promtool(case: Case) -> dict[str, Any]:
    firing = {"labels": "{}", "value": 1}
    return {
        "name": f"{case.alert}: {case.why}",
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
        "promql_expr_test": [
            {
                "expr": f'count(ALERTS{{alertname="{case.alert}", alertstate="firing"}})',
                "eval_time": case.at,
                "exp_samples": [firing] if case.fires else [],
            }
        ],
    }


@pytest.mark.prometheus
def test_each_alert_fires_when_it_must_and_only_then(tmp_path: Path) -> None:
    shutil.copy(RULES, tmp_path)
    plan = {"rule_files": [RULES.name], "evaluation_interval": "1m", "tests": [as_promtool(case) for case in CASES]}
    (tmp_path / "case.yml").write_text(json.dumps(plan), "utf-8")  # JSON is YAML
    promtool("test", "rules", "case.yml", folder=tmp_path)


def test_every_alert_has_a_case_that_fires_and_one_that_does_not() -> None:
    assert ALERTS
    assert {case.alert for case in CASES if case.fires} == set(ALERTS)
    assert {case.alert for case in CASES if not case.fires} == set(ALERTS) - ALWAYS_FIRING


@pytest.mark.prometheus
def test_the_shipped_configuration_is_valid() -> None:
    promtool("check", "config", str(DEPLOY / "prometheus" / "prometheus.yml"))


def test_prometheus_scrapes_the_port_of_the_shipped_configuration() -> None:
    web = tomllib.loads((DEPLOY.parent / "config.toml").read_text("utf-8"))["web"]
    scraped = (DEPLOY / "prometheus" / "prometheus.yml").read_text("utf-8")
    assert f'"{web["host"]}:{web["port"]}"' in scraped


def rules(prometheus: Prometheus) -> list[dict[str, Any]]:
    return [rule for group in prometheus.api("rules")["groups"] for rule in group["rules"]]


def raised(prometheus: Prometheus) -> set[str]:
    """Alerts that are pending or firing."""
    return {rule["name"] for rule in rules(prometheus) if rule["state"] != "inactive"}


@pytest.mark.prometheus
def test_prometheus_evaluates_every_rule_without_an_error(prometheus: Prometheus) -> None:
    until(lambda: all(rule["health"] != "unknown" for rule in rules(prometheus)), "every rule was evaluated", 20)
    assert {rule["name"]: rule["health"] for rule in rules(prometheus)} == dict.fromkeys(ALERTS, "ok")


@pytest.mark.prometheus
def test_a_troubled_daemon_raises_its_alerts_and_no_others(prometheus: Prometheus) -> None:
    expected = {
        "MonitorWatchdog",
        "SourceFailing",
        "SourceSilent",
        "RuleFailing",
        "JobFailing",
        "DutyGap",
        "MetricsBroken",
        "JobNotRunning",
    }

    until(lambda: raised(prometheus) >= expected, "the alerts of a troubled daemon", 20)
    assert raised(prometheus) <= expected | {"SendsFailing"}  # which takes over a minute to be sure


@pytest.mark.prometheus
def test_every_metric_that_a_rule_asks_for_exists(prometheus: Prometheus) -> None:
    for name in sorted(set(re.findall(r"\bmonitor_\w+", RULES.read_text("utf-8")))):
        assert prometheus.query(name), name


def test_every_alert_is_documented_and_no_other() -> None:
    described = re.findall(r"^\| `([A-Z]\w+)` \|", DOCS.read_text("utf-8"), re.MULTILINE)
    assert sorted(described) == sorted(ALERTS)


@pytest.mark.prometheus
def test_every_alert_says_how_severe_it_is_what_happens_and_what_to_do(prometheus: Prometheus) -> None:
    for rule in rules(prometheus):
        assert rule["labels"]["severity"] in {"critical", "warning", "none"}, rule["name"]
        for key in ("summary", "description"):
            assert re.search(r"[\u4e00-\u9fff]", rule["annotations"][key]), rule["name"]
