"""/reports over HTTP: made once, read, and only by those who may."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from monitor.auth import Scope
from monitor.documents.options import ReportOptions
from monitor.reporting import Maker
from monitor.store import observations
from tests.console.people import visitor
from tests.store.build import CABBAGE, day
from tests.web.conftest import NOW, Running, Serve
from thresholds.catalogue import load_catalogue
from thresholds.model import Observation, ObservationBatch

LAST = day(59).astimezone(ZoneInfo("Asia/Shanghai")).date().isoformat()


@pytest.fixture
def office(serve: Serve) -> Running:
    catalogue, _ = load_catalogue()
    assert catalogue is not None
    made: list[Maker] = []
    running = serve(changes={"report_maker": lambda: made[0]})
    made.append(Maker(running.db, catalogue, ReportOptions(), ZoneInfo("Asia/Shanghai")))
    rows = [Observation(CABBAGE, day(n), 2.2 if n == 59 else 2.0) for n in range(60)]
    observations.add(running.db, ObservationBatch.of(rows), source="日报", name="a.csv", now=NOW)
    return running


def test_a_report_is_made_once_and_read(office: Running) -> None:
    client = office.client()
    first = client.post("/api/v1/reports", json={"kind": "daily", "last": LAST})
    assert first.status_code == 200
    rows = [row for section in first.json()["sections"] for row in section["rows"]]
    assert [(row["item"], row["change"]) for row in rows] == [("大白菜", pytest.approx(0.1))]
    assert client.post("/api/v1/reports", json={"kind": "daily", "last": LAST}).json()["id"] == first.json()["id"]
    assert client.get(f"/api/v1/reports/{first.json()['id']}").json() == first.json()
    listed = client.get("/api/v1/reports", params={"kind": "daily"}).json()
    assert [one["id"] for one in listed["reports"]] == [first.json()["id"]]
    assert client.get("/api/v1/reports", params={"kind": "weekly"}).json()["reports"] == []


def test_the_pages_of_the_list_follow_one_another(office: Running) -> None:
    client = office.client()
    for date in ("2026-02-25", "2026-02-26", "2026-02-27"):
        client.post("/api/v1/reports", json={"kind": "daily", "last": date})
    first = client.get("/api/v1/reports", params={"limit": 2}).json()
    second = client.get("/api/v1/reports", params={"limit": 2, "before": first["next_before"]}).json()
    days = [one["last"] for one in first["reports"] + second["reports"]]
    assert days == ["2026-02-27", "2026-02-26", "2026-02-25"]
    assert second["next_before"] is None


def test_a_day_to_come_is_refused_with_the_days_that_can_be(office: Running) -> None:
    answer = office.client().post("/api/v1/reports", json={"kind": "daily", "last": "2026-03-03"})
    assert answer.status_code == 422
    assert "2026-03-02" in answer.json()["detail"]


def test_making_needs_its_own_scope(office: Running) -> None:
    reader = office.client(Scope.REPORTS_READ)
    assert reader.get("/api/v1/reports").status_code == 200
    assert reader.post("/api/v1/reports", json={"kind": "daily", "last": LAST}).status_code == 403


def test_who_has_one_district_sees_and_makes_nothing_of_the_city(office: Running) -> None:
    office.client().post("/api/v1/reports", json={"kind": "daily", "last": LAST})
    south = visitor(office, "monitor", areas=["南区"])
    assert south.get("/api/v1/reports").json()["reports"] == []
    assert south.get("/api/v1/reports/1").status_code == 404
    headers = {"X-CSRF-Token": south.csrf}
    answer = south.post("/api/v1/reports", json={"kind": "daily", "last": LAST}, headers=headers)
    assert answer.status_code == 403
