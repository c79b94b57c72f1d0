"""The OpenAPI document: complete, and true of every operation (schemathesis asks them all)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from monitor.documents.model import ReportKind
from monitor.documents.options import ReportOptions
from monitor.reporting import Maker
from monitor.web.context import WebSettings
from tests.web.conftest import NOW, Running, serving
from tests.web.make import flag, store_flags
from thresholds.catalogue import load_catalogue

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
    ignored_auth,
]
ROW = {"date": "2026-03-02", "item": "大米", "point": "甲市场", "area": "甲区", "value": 5.6}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with something of everything in its database."""
    url = f"sqlite:///{tmp_path_factory.mktemp('openapi') / 'monitor.db'}"
    made: list[Maker] = []
    with serving(url, WebSettings(open_metrics="off"), report_maker=lambda: made[0]) as running:
        catalogue, _ = load_catalogue()
        assert catalogue is not None
        made.append(Maker(running.db, catalogue, ReportOptions(), ZoneInfo("Asia/Shanghai")))
        with running.client(name="seed") as client:
            client.post("/api/v1/observations", json=[ROW])
        made[0].make(ReportKind.DAILY, date(2026, 3, 2), "monitor", NOW)
        store_flags(running.db, *(flag(f"f{i}") for i in range(5)), tell=True)
        yield running


@pytest.fixture(scope="module")
def token(api: Running) -> str:
    return api.token(name="schemathesis")


OPERATIONS = [
    ("GET", "/api/v1/observations"),
    ("POST", "/api/v1/observations"),
    ("GET", "/api/v1/series"),
    ("GET", "/api/v1/flags"),
    ("GET", "/api/v1/flags/{id}"),
    ("POST", "/api/v1/flags/{id}/review"),
    ("POST", "/api/v1/flags/{id}/ack"),
    ("POST", "/api/v1/alerts/{id}/ack"),
    ("GET", "/api/v1/records"),
    ("POST", "/api/v1/records"),
    ("GET", "/api/v1/records/{id}"),
    ("POST", "/api/v1/records/{id}/lift"),
    ("GET", "/api/v1/duties"),
    ("GET", "/api/v1/duties/{id}"),
    ("GET", "/api/v1/reports"),
    ("POST", "/api/v1/reports"),
    ("GET", "/api/v1/reports/{id}"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
]


MODES = [
    (method, path, mode)
    for method, path in OPERATIONS
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    if mode == GenerationMode.POSITIVE or path not in ("/healthz", "/readyz", "/metrics")  # nothing to get wrong
]
KNOWN = {"/api/v1/flags/{id}": "f0", "/api/v1/alerts/{id}": 1, "/api/v1/reports/{id}": 1}


@pytest.mark.parametrize(("method", "path", "mode"), MODES)
def test_every_operation_answers_as_described_whatever_is_asked(
    api: Running, token: str, method: str, path: str, mode: GenerationMode
) -> None:
    operation = schemathesis.openapi.from_url(f"{api.url}/openapi.json")[path][method]
    known = next((id for prefix, id in KNOWN.items() if path.startswith(prefix)), None)

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        case.call_and_validate(checks=CHECKS, headers=headers, timeout=30)
        if known is not None:  # the same of something that is there
            case.path_parameters = {"id": known}
            case.call_and_validate(checks=CHECKS, headers=headers, timeout=30)

    ask()


def test_the_operations_asked_are_all_that_there_are(api: Running) -> None:
    paths = api.anonymous().get("/openapi.json").json()["paths"]
    assert {(method.upper(), path) for path, methods in paths.items() for method in methods} == set(OPERATIONS)


def test_every_operation_documents_its_errors_and_its_security(api: Running) -> None:
    document = api.anonymous().get("/openapi.json").json()
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            name = f"{method} {path}"
            assert operation["summary"], name
            assert operation["tags"], name
            answers = operation["responses"]
            assert {"200", "500", "503", "507"} <= set(answers), name
            if path.startswith("/api/"):
                assert operation["security"] == [{"bearer": []}], name
                assert {"401", "403", "413"} <= set(answers), name
            for status, answer in answers.items():
                assert answer["description"], (name, status)
                if int(status) >= 400 and path != "/readyz":
                    assert "application/problem+json" in answer["content"], (name, status)


def test_the_document_has_examples_and_no_dangling_reference(api: Running) -> None:
    text = api.anonymous().get("/openapi.json").text
    document = api.anonymous().get("/openapi.json").json()

    named = set(re.findall(r'"#/components/schemas/([A-Za-z]+)"', text))
    assert named <= set(document["components"]["schemas"])
    assert set(document["components"]["schemas"]) <= named | {"HTTPValidationError", "ValidationError"}
    body = document["paths"]["/api/v1/observations"]["post"]["requestBody"]["content"]
    assert all("example" in body[kind] for kind in ("application/json", "application/x-ndjson", "text/csv"))
    for one in ("PushAnswer", "Problem", "ReviewIn"):
        assert "example" in document["components"]["schemas"][one], one
    assert "HTTPValidationError" not in named


def test_examples_of_the_document_work(api: Running) -> None:
    body = api.anonymous().get("/openapi.json").json()["paths"]["/api/v1/observations"]["post"]["requestBody"]
    client = api.client(name="examples")
    for kind, described in body["content"].items():
        if "example" not in described:
            continue
        example = described["example"]
        if kind == "application/json":
            answer = client.post("/api/v1/observations", json=example)
        else:
            answer = client.post("/api/v1/observations", content=example, headers={"Content-Type": kind})
        assert answer.status_code == 200, (kind, answer.text)
