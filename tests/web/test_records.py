"""/records over HTTP: entering, lifting, reading, and who may do it."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.auth import Scope
from tests.web.conftest import Running, Serve

DECISION = {
    "kind": "decision",
    "measure": "干预",
    "issuer": "省政府",
    "document": "黑政发〔2026〕1号",
    "start": "2026-03-01",
    "classes": ["粮"],
    "note": "文件已收",
}


def test_a_decision_is_entered_read_and_lifted(running: Running) -> None:
    """What was stored, local times; lifting gives revision 2, both are kept; the evaluation is woken."""
    client = running.client()
    made = client.post("/api/v1/records", json=DECISION)
    assert made.status_code == 200
    first = made.json()
    assert (first["revision"], first["start"], first["end"]) == (1, "2026-03-01T00:00:00+08:00", None)
    assert running.woken == [1]
    lifted = client.post(f"/api/v1/records/{first['id']}/lift", json={"end": "2026-03-02"})
    assert (lifted.status_code, lifted.json()["end"]) == (200, "2026-03-02T00:00:00+08:00")
    every = client.get(f"/api/v1/records/{first['id']}").json()["records"]
    assert [one["revision"] for one in every] == [1, 2]
    assert every[0] == first
    assert client.get("/api/v1/records").json()["records"] == [lifted.json()]
    assert client.get("/api/v1/records", params={"in_force": True}).json()["records"] == []


def test_writing_needs_its_own_scope_and_reading_that_of_flags(running: Running) -> None:
    """403 names the scope that is missing."""
    reader, writer = running.client(Scope.FLAGS_READ), running.client(Scope.RECORDS_WRITE)
    refused = reader.post("/api/v1/records", json=DECISION)
    assert (refused.status_code, refused.json()["missing_scope"]) == (403, "records:write")
    assert writer.get("/api/v1/records").status_code == 403
    made = writer.post("/api/v1/records", json=DECISION).json()
    assert made["actor"].startswith("token:")
    assert reader.get("/api/v1/records").status_code == 200


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"issuer": "市政府"}, "body.issuer"),
        ({"measure": "紧急"}, "body.issuer"),
        ({"document": ""}, "body.document"),
        ({"classes": []}, "body.items"),
        ({"end": "2026-02-01"}, "body.end"),
        ({"start": "2026-13-01"}, "body.start"),
        ({"start": "昨天"}, "body.start"),
        ({"grade": "II"}, "body.grade"),
    ],
)
def test_what_the_law_does_not_know_is_refused_by_field(
    running: Running, changes: dict[str, Any], where: str
) -> None:
    """422 with the field and how to mend it; nothing is stored."""
    client = running.client()
    answer = client.post("/api/v1/records", json={**DECISION, **changes})
    assert answer.status_code == 422
    assert [e["in"] for e in answer.json()["errors"]] == [where]
    assert client.get("/api/v1/records").json()["records"] == []


def test_a_class_that_the_catalogue_does_not_have_is_refused(serve: Serve) -> None:
    """It would cover nothing, and nobody would notice."""
    running = serve(changes={"classes": lambda: {"粮", "肉"}})
    client = running.client()
    answer = client.post("/api/v1/records", json={**DECISION, "classes": ["粮", "粮食"]})
    assert answer.status_code == 422
    assert "粮食" in answer.json()["errors"][0]["detail"]


def test_what_does_not_exist_is_not_found(running: Running) -> None:
    client = running.client()
    assert client.get("/api/v1/records/nothing").status_code == 404
    assert client.post("/api/v1/records/nothing/lift", json={"end": "2026-03-02"}).status_code == 404
