"""The Grafana dashboards: as their code makes them, well formed, every expression with data in a real Prometheus."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest

from deploy.grafana.source.__main__ import DASHBOARDS as MADE
from deploy.grafana.source.__main__ import text_of
from tests.deploy.conftest import DEPLOY, Prometheus, until

PATHS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
DASHBOARDS: dict[str, dict[str, Any]] = {path.stem: json.loads(path.read_text("utf-8")) for path in PATHS}
PANELS = [(name, panel) for name, one in DASHBOARDS.items() for panel in one["panels"] if panel["type"] != "row"]
EXPRESSIONS = [
    pytest.param(target["expr"], id=f"{name}-{panel['id']}{target['refId']}")
    for name, panel in PANELS
    for target in panel["targets"]
    if "expr" in target
]
BUILT_IN = {"__rate_interval", "__unixEpochFrom", "__unixEpochTo"}
SOURCES = {"prometheus": "${datasource}", "grafana-postgresql-datasource": "${postgres}"}


def variables(name: str) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in DASHBOARDS[name]["templating"]["list"]}


def filled(expression: str, window: str = "1m") -> str:
    """The expression as Grafana sends it when everything is chosen."""
    return re.sub(r"\$(instance|source|item)\b", ".*", expression.replace("$__rate_interval", window))


def has_data(prometheus: Prometheus, expression: str) -> bool:
    return any(math.isfinite(value) for value in prometheus.query(expression))


def test_there_are_dashboards_with_expressions() -> None:
    assert sorted(DASHBOARDS) == ["delivery", "health", "overview", "prices", "quality"]
    assert len(EXPRESSIONS) > 30


@pytest.mark.parametrize("name", MADE)
def test_the_shipped_file_is_what_the_code_makes(name: str) -> None:
    shipped = (DEPLOY / "grafana" / "dashboards" / f"{name}.json").read_text("utf-8")
    assert shipped == text_of(name), "python -m deploy.grafana.source writes the files anew"


def test_dashboards_have_addresses_of_their_own() -> None:
    assert len({one["uid"] for one in DASHBOARDS.values()}) == len(DASHBOARDS)


@pytest.mark.prometheus
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_expression_of_a_panel_returns_data(prometheus: Prometheus, expression: str) -> None:
    query = filled(expression)
    assert "$" not in query
    until(lambda: has_data(prometheus, query), f"data for {query}", seconds=10)


@pytest.mark.prometheus
@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_variable_offers_values(prometheus: Prometheus, name: str) -> None:
    for variable in variables(name).values():
        if variable["type"] == "query" and variable["datasource"]["type"] == "prometheus":
            found = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"])
            assert found, variable
            metric, label = found.groups()
            assert prometheus.query(f'count by ({label}) ({metric}{{{label}!=""}})'), variable["name"]


@pytest.mark.prometheus
@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_annotation_query_is_valid(prometheus: Prometheus, name: str) -> None:
    for annotation in DASHBOARDS[name]["annotations"]["list"]:
        if "expr" in annotation:
            prometheus.query(filled(annotation["expr"]))


@pytest.mark.parametrize("name", DASHBOARDS)
def test_only_variables_that_exist_are_used(name: str) -> None:
    text = json.dumps(DASHBOARDS[name])
    used = set(re.findall(r"\$\{?(\w+)", text)) - BUILT_IN
    assert used - {"__all"} <= set(variables(name))


@pytest.mark.parametrize("name", DASHBOARDS)
def test_the_data_source_is_chosen_by_the_reader_everywhere(name: str) -> None:
    def sources(value: Any) -> Iterator[Any]:
        if isinstance(value, dict):
            if "datasource" in value:
                yield value["datasource"]
            for inner in value.values():
                yield from sources(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from sources(inner)

    found = [one for one in sources(DASHBOARDS[name]) if one["type"] != "grafana"]
    assert found
    assert all(one["uid"] == SOURCES[one["type"]] for one in found)
    offered = {one["query"] for one in variables(name).values() if one["type"] == "datasource"}
    assert offered == {one["type"] for one in found}


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels_have_their_own_numbers_and_do_not_overlap(name: str) -> None:
    panels = DASHBOARDS[name]["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for one, other in combinations([panel["gridPos"] for panel in panels], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, (one, other)
        assert one["x"] + one["w"] <= 24


def test_every_panel_has_a_title_a_description_and_a_unit() -> None:
    for name, panel in PANELS:
        assert panel["title"], (name, panel["id"])
        assert panel["description"], (name, panel["title"])
        assert panel["fieldConfig"]["defaults"]["unit"], (name, panel["title"])


def test_simulated_data_shows_on_the_overview() -> None:
    titles = [panel["title"] for _, panel in PANELS if "monitor_source_simulated" in json.dumps(panel)]
    assert any("演示数据" in title for title in titles)


def test_the_provisioned_data_source_asks_as_often_as_prometheus_scrapes() -> None:
    provisioned = (DEPLOY / "grafana" / "provisioning" / "datasources" / "prometheus.yml").read_text("utf-8")
    scraping = (DEPLOY / "prometheus" / "prometheus.yml").read_text("utf-8")
    interval = re.search(r"scrape_interval: (\w+)", scraping)
    assert interval
    assert f"timeInterval: {interval[1]}" in provisioned
