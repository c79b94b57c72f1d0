"""The whole path through the API on SQLite and on PostgreSQL: both must answer alike."""

from __future__ import annotations

import pytest

from tests.alerts.make import GRADE_I, GRADE_III, NOW
from tests.web.conftest import Serve
from tests.web.make import ack_path, flag, store_flags

ROW = {"date": "2026-03-02", "item": "大米", "point": "甲市场", "area": "甲区", "value": 5.6}


def test_pushing_reading_reviewing_and_acknowledging(serve: Serve, db_url: str) -> None:
    running = serve(url=db_url)
    client = running.client(name="甲")
    headers = {"Idempotency-Key": "k"}
    rows = [ROW | {"date": f"2026-02-{day:02d}", "value": day, "note": "备注"} for day in range(1, 29)]
    first = client.post("/api/v1/observations", json=rows, headers=headers)
    again = client.post("/api/v1/observations", json=rows, headers=headers)
    assert (first.status_code, again.json()) == (200, first.json())
    assert again.headers["Idempotency-Replayed"] == "true"
    client.post("/api/v1/observations", json=[rows[0] | {"value": 99}, ROW | {"value": "无"}])

    seen, cursor = list[float](), ""
    while True:
        params = {"limit": "10", "from": "2026-02-01", "to": "2026-02-27"} | ({"cursor": cursor} if cursor else {})
        page = client.get("/api/v1/observations", params=params).json()
        seen += [one["value"] for one in page["observations"]]
        if not (cursor := page["next_cursor"]):
            break
    assert seen == [99.0, *map(float, range(2, 28))]
    every = client.get("/api/v1/observations", params={"revisions": "all", "to": "2026-02-01"}).json()
    assert [(one["value"], one["revision"], one["note"]) for one in every["observations"]] == [
        (1.0, 1, "备注"),
        (99.0, 2, "备注"),
    ]
    assert [one["item"] for one in client.get("/api/v1/series", params={"item": "大米"}).json()["series"]] == ["大米"]

    (message, *_) = store_flags(running.db, flag("a", peak_grade=GRADE_III), flag("b", peak_grade=GRADE_I), tell=True)
    page = client.get("/api/v1/flags", params={"limit": 1}).json()
    assert [one["id"] for one in page["flags"]] == ["b"]
    page = client.get("/api/v1/flags", params={"limit": 1, "cursor": page["next_cursor"]}).json()
    assert [one["id"] for one in page["flags"]] == ["a"]
    assert running.anonymous().post(ack_path(message)).status_code == 200
    judged = client.post("/api/v1/flags/a/review", json={"verdict": "expected", "revision": 1})
    assert (judged.status_code, judged.json()["revision"]) == (200, 2)
    assert client.post("/api/v1/flags/a/review", json={"verdict": "expected", "revision": 1}).status_code == 409
    assert running.anonymous().get("/").status_code == 200


@pytest.mark.parametrize(
    "strange", ["\x00", "a\x00b", "\ud800", "\u202e", "𠮷" * 300, "'; DROP TABLE flag; --", "%", "\\"]
)
def test_strange_texts_never_make_a_database_fail(serve: Serve, db_url: str, strange: str) -> None:
    running = serve(url=db_url)
    client = running.client()
    store_flags(running.db, flag("f1"), now=NOW)
    sent = strange.encode("utf-8", "surrogatepass")
    body = b'[{"date":"2026-03-02","value":1,"point":"p","item":"i' + sent.replace(b"\\", b"\\\\") + b'"}]'
    answers = [client.post("/api/v1/observations", content=body, headers={"Content-Type": "application/json"})]
    answers += [client.get(f"/api/v1/{path}", params={"item": sent}) for path in ("observations", "series", "flags")]
    review = {"verdict": "to_check", "revision": 1, "note": strange.encode("utf-8", "replace").decode()}
    answers.append(client.post("/api/v1/flags/f1/review", json=review))
    answers.append(client.get("/api/v1/flags/" + "".join(f"%{byte:02x}" for byte in sent)))
    answers.append(running.anonymous().get("/flags/" + "".join(f"%{byte:02x}" for byte in sent)))
    answers.append(running.anonymous().get("/a/" + "".join(f"%{byte:02x}" for byte in sent)))
    assert {answer.status_code for answer in answers} <= {200, 400, 404, 422}, [a.text for a in answers]
