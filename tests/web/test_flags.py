"""/api/v1/flags and /api/v1/alerts over a real server and database."""

from __future__ import annotations

import math
import threading
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from monitor.auth import Scope
from monitor.store import flags, outbox
from monitor.store.dirty import dirty_series
from tests.alerts.make import FINDING, GRADE_I, GRADE_III, NOW
from tests.web.conftest import Running
from tests.web.make import flag, store_flags
from thresholds.model import Contribution, Direction, Kind

FLAGS = "/api/v1/flags"


def ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["flags"]]


@pytest.fixture
def reader(running: Running) -> httpx.Client:
    return running.client(Scope.FLAGS_READ)


def test_the_newest_come_first_and_at_the_same_time_the_highest_grade(running: Running, reader: httpx.Client) -> None:
    older = NOW - timedelta(days=1)
    store_flags(
        running.db,
        flag("a", first_flagged=older, peak_grade=GRADE_I),
        flag("b", peak_grade=GRADE_III),
        flag("c", peak_grade=GRADE_I),
    )
    assert ids(reader.get(FLAGS)) == ["c", "b", "a"]


def test_pages_give_every_flag_once_in_order(running: Running, reader: httpx.Client) -> None:
    many = [
        flag(f"f{i:02d}", first_flagged=NOW - timedelta(hours=i // 4), peak_grade=(GRADE_I, GRADE_III)[i % 2])
        for i in range(23)
    ]
    store_flags(running.db, *many)
    whole = ids(reader.get(FLAGS, params={"limit": 1000}))
    got: list[str] = []
    params: dict[str, str] = {"limit": "5"}
    for _ in range(5):
        answer = reader.get(FLAGS, params=params)
        got += ids(answer)
        if (cursor := answer.json()["next_cursor"]) is None:
            break
        params["cursor"] = cursor
    assert got == whole
    assert len(set(got)) == 23
    assert cursor is None


def test_filters_are_all_applied(running: Running, reader: httpx.Client) -> None:
    store_flags(
        running.db,
        flag("up"),
        flag("down", direction=Direction.DOWN, area="乙区"),
        flag("data", kind=Kind.DATA, peak_grade=replace(GRADE_III, rank=0, label="")),
        flag("red", peak_grade=GRADE_I, item="猪肉"),
        flag("old", first_flagged=NOW - timedelta(days=30)),
        flag("over", end=NOW, end_reason="cleared"),
    )

    def found(**params: object) -> set[str]:
        return set(ids(reader.get(FLAGS, params={k.rstrip("_"): v for k, v in params.items()})))  # type: ignore[misc]

    assert found(direction="down") == {"down"}
    assert found(area="乙区") == {"down"}
    assert found(kind=["data", "silence"]) == {"data"}
    assert found(item="猪肉") == {"red"}
    assert found(grade="一级") == {"red"}
    assert found(min_rank=3) == {"red"}
    assert found(state=["over"]) == {"over"}
    assert found(to="2026-02-28") == {"old"}
    assert found(from_="2026-03-02", to="2026-03-02") == {"up", "down", "data", "red", "over"}
    assert found(from_="2026-03-02", state="open", item="大米", direction="up", kind="move") == {"up"}
    assert found(from_="2026-03-02T08:30:00", to="2026-03-02T08:30:00+08:00") >= {"up", "red"}
    assert found(from_="2026-03-03") == set()


def test_one_flag_shows_all_its_evidence_and_how_it_came_about(running: Running, reader: httpx.Client) -> None:
    finding = replace(
        FINDING,
        score=math.inf,
        contributions=(Contribution("甲市场", "甲区", 5.6, 5.0, 0.12), Contribution("乙市场", "甲区", 5.0, 5.0, 0.0)),
    )
    store_flags(running.db, flag("f1", findings=(finding,), threshold=math.nan))
    answer = reader.get(f"{FLAGS}/f1")
    body = answer.json()
    assert answer.headers["ETag"] == '"1"'
    assert body["revision"] == 1
    assert (body["plan"], body["plan_version"], body["rule"], body["rule_version"]) == ("price", "1", "rise", "1")
    assert body["threshold"] is None
    (shown,) = body["findings"]
    assert (shown["expected"], shown["scale"], shown["score"], shown["n_used"]) == (5.0, None, "inf", 7)
    assert shown["at"] == "2026-03-02T09:30:00+08:00"
    assert [one["point"] for one in shown["contributions"]] == ["甲市场", "乙市场"]
    assert [(entry["actor"], entry["action"]) for entry in body["log"]] == [("monitor", "opened")]
    text = "".join(body["reasoning"])
    for part in ("大米", "甲市场", "5.6", "上涨", "rise", "price", "三级", "一周上涨 12.0%，超过 10%", "（+12%）"):
        assert part in text or part.replace("12%", "12.0%") in text, part
    assert "nan" not in text.lower()


def test_an_unknown_flag_is_404(running: Running) -> None:
    client = running.client()
    review = {"verdict": "real_move", "revision": 1}
    assert client.get(f"{FLAGS}/none").status_code == 404
    assert client.post(f"{FLAGS}/none/ack").status_code == 404
    assert client.post(f"{FLAGS}/none/review", json=review).status_code == 404


# --- review ---------------------------------------------------------------------------------------------------------


def test_a_review_is_kept_with_its_reviewer_and_a_new_revision(running: Running) -> None:
    store_flags(running.db, flag("f1"))
    client = running.client(name="价格科")
    body = {"verdict": "real_move", "note": "产地降雪"}
    answer = client.post(f"{FLAGS}/f1/review", json=body, headers={"If-Match": '"1"'})
    assert answer.status_code == 200, answer.text
    assert answer.headers["ETag"] == '"2"'
    shown = client.get(f"{FLAGS}/f1").json()
    assert (shown["state"], shown["verdict"], shown["note"]) == ("reviewed", "real_move", "产地降雪")
    assert (shown["reviewer"], shown["revision"]) == ("token:价格科", 2)
    assert shown["log"][-1]["detail"] == {"verdict": "real_move", "note": "产地降雪"}


def test_a_data_error_wakes_the_evaluation_of_what_followed_from_it(running: Running) -> None:
    client = running.client()
    row = {"date": "2026-03-02", "item": "大米", "point": "甲市场", "area": "甲区", "value": 5.6}
    client.post("/api/v1/observations", json=[row])
    store_flags(running.db, flag("f1"))
    assert dirty_series(running.db) == []
    running.woken.clear()
    client.post(f"{FLAGS}/f1/review", json={"verdict": "data_error", "revision": 1})
    assert running.woken == [1]
    assert len(dirty_series(running.db)) == 1
    (seen,) = client.get("/api/v1/observations").json()["observations"]
    assert seen["marks"] == ["data_error"]


def test_who_comes_second_is_told_and_changes_nothing(running: Running) -> None:
    store_flags(running.db, flag("f1"))
    first, second = running.client(name="甲"), running.client(name="乙")
    assert first.post(f"{FLAGS}/f1/review", json={"verdict": "expected", "revision": 1}).status_code == 200
    late = second.post(f"{FLAGS}/f1/review", json={"verdict": "data_error"}, headers={"If-Match": '"1"'})
    assert late.status_code == 412
    assert (late.json()["revision"], late.json()["reviewer"]) == (2, "token:甲")
    late = second.post(f"{FLAGS}/f1/review", json={"verdict": "data_error", "revision": 1})
    assert late.status_code == 409
    record = flags.get_flag(running.db, "f1")
    assert record is not None
    assert (record.verdict, record.revision) == ("expected", 2)


def test_of_reviews_at_the_same_time_exactly_one_counts(running: Running) -> None:
    store_flags(running.db, flag("f1"))
    token, start, seen = running.token(), threading.Barrier(8), list[int]()

    def judge(verdict: str) -> None:
        with httpx.Client(base_url=running.url, headers={"Authorization": f"Bearer {token}"}, timeout=30) as client:
            start.wait(10)
            body = {"verdict": verdict, "revision": 1}
            seen.append(client.post(f"{FLAGS}/f1/review", json=body).status_code)

    threads = [threading.Thread(target=judge, args=(v,)) for v in ("real_move", "expected") * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(seen) == [200] + [409] * 7


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ({"verdict": "real_move"}, {}, 428),
        ({"verdict": "real_move"}, {"If-Match": "*"}, 412),
        ({"verdict": "real_move"}, {"If-Match": 'W/"1"'}, 412),
        ({"verdict": "real_move", "revision": 2}, {"If-Match": '"1"'}, 422),
        ({"verdict": "maybe", "revision": 1}, {}, 422),
        ({"revision": 1}, {}, 422),
        ({"verdict": "real_move", "revision": 1, "reviewer": "别人"}, {}, 422),
        ({"verdict": "real_move", "revision": 1, "note": "\x00"}, {}, 422),
        ({"verdict": "real_move", "revision": 1, "note": "长" * 2001}, {}, 422),
    ],
)
def test_a_review_that_is_not_complete_and_clear_is_refused(
    running: Running, body: dict[str, object], headers: dict[str, str], status: int
) -> None:
    store_flags(running.db, flag("f1"))
    answer = running.client().post(f"{FLAGS}/f1/review", json=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    record = flags.get_flag(running.db, "f1")
    assert record is not None
    assert record.verdict == ""


# --- acknowledge ----------------------------------------------------------------------------------------------------


def test_the_first_acknowledgement_of_a_flag_counts(running: Running) -> None:
    store_flags(running.db, flag("f1"))
    assert running.client(name="甲").post(f"{FLAGS}/f1/ack").json()["acknowledged_by"] == "token:甲"
    again = running.client(name="乙").post(f"{FLAGS}/f1/ack")
    assert again.status_code == 200
    assert (again.json()["state"], again.json()["acknowledged_by"]) == ("acknowledged", "token:甲")
    assert [entry["actor"] for entry in again.json()["log"]] == ["monitor", "token:甲", "token:乙"]


def test_acknowledging_a_notification_acknowledges_its_flags(running: Running) -> None:
    store_flags(running.db, flag("f1"), tell=True)
    with running.db.connect() as connection:
        (message,) = outbox.for_flag(connection, "f1")
    client = running.client(Scope.ALERTS_ACK, name="值班台")
    answer = client.post(f"/api/v1/alerts/{message.id}/ack")
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "id": message.id,
        "flags": ["f1"],
        "superseded": [],
        "acknowledged_at": "2026-03-02T09:30:00+08:00",
        "acknowledged_by": "token:值班台",
        "first": True,
    }
    record = flags.get_flag(running.db, "f1")
    assert record is not None
    assert (record.state, record.acknowledged_by) == (flags.FlagState.ACKNOWLEDGED, "token:值班台")
    assert client.post(f"/api/v1/alerts/{message.id}/ack").json()["first"] is False


def test_an_unknown_notification_is_404(running: Running) -> None:
    client = running.client()
    assert client.post("/api/v1/alerts/1/ack").status_code == 404
    for wrong in ("0", "x", str(2**63)):
        assert client.post(f"/api/v1/alerts/{wrong}/ack").status_code == 422, wrong
