"""POST /api/v1/observations over a real server and database."""

from __future__ import annotations

import gzip
import json
import threading
from datetime import timedelta
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from monitor.auth import Scope
from monitor.store import batches, observations, sources
from monitor.store.dirty import dirty_series
from monitor.web.push import forget_old_answers
from tests.web.conftest import NOW, Running, Serve

PUSH = "/api/v1/observations"
ROW = {
    "date": "2026-03-02",
    "item": "大白菜",
    "point": "城东市场",
    "value": 1.25,
    "unit": "元/500克",
    "area": "城东区",
}


def rows(count: int, **changes: Any) -> list[dict[str, Any]]:
    return [ROW | {"point": f"市场{i}", "value": 1 + i / 100} | changes for i in range(count)]


def post(client: httpx.Client, content: bytes | str, media_type: str, **headers: str) -> httpx.Response:
    return client.post(PUSH, content=content, headers={"Content-Type": media_type} | headers)


def outcomes(answer: httpx.Response) -> list[str]:
    return [row["outcome"] for row in answer.json()["rows"]]


def stored(running: Running) -> list[tuple[str, float]]:
    return [(o.series.key.point, o.value) for o in observations.list_observations(running.db, limit=100_000)]


def test_rows_are_stored_before_the_answer_with_the_token_as_their_source(running: Running) -> None:
    answer = running.client(Scope.OBSERVATIONS_WRITE, name="城东").post(PUSH, json={"observations": rows(3)})
    assert answer.status_code == 200
    assert outcomes(answer) == ["accepted"] * 3
    assert answer.json()["accepted"] == 3
    assert stored(running) == [("市场0", 1.0), ("市场1", 1.01), ("市场2", 1.02)]
    (batch,) = batches.list_batches(running.db)
    assert batch.source == "push:城东"
    assert batch.id == answer.json()["batch"]
    assert len(dirty_series(running.db)) == 3


def test_evaluation_and_metrics_are_told_after_the_rows_are_stored(serve: Serve) -> None:
    told: list[tuple[Any, ...]] = []
    running: Running = serve(changes={"on_stored": lambda *one: told.append((*one, len(stored(running))))})
    running.client(name="甲").post(PUSH, json=[*rows(2), ROW | {"value": "无"}])
    assert running.woken == [1]
    ((source, counts, reasons, visible),) = told
    assert (source, counts.accepted, counts.rejected, dict(reasons)) == ("push:甲", 2, 1, {"no_value": 1})
    assert visible == 2


def test_a_push_without_anything_new_does_not_wake_the_evaluation(running: Running) -> None:
    client = running.client()
    client.post(PUSH, json=[ROW])
    client.post(PUSH, json=[ROW])
    assert running.woken == [1]


def test_the_source_of_a_push_is_shown_as_working(running: Running) -> None:
    running.client(name="城东").post(PUSH, json=[ROW])
    state = sources.read_source(running.db, "push:城东")
    assert state.last_success_at == NOW
    assert state.failing_since is None
    assert state.last_observation_at is not None


def test_a_bare_list_and_an_envelope_mean_the_same(running: Running) -> None:
    client = running.client()
    assert outcomes(client.post(PUSH, json=[ROW])) == ["accepted"]
    assert outcomes(client.post(PUSH, json={"observations": [ROW]})) == ["duplicate"]


def test_json_lines_and_csv_are_taken_in_and_name_the_line(running: Running) -> None:
    client = running.client()
    lines = json.dumps(ROW) + "\n\n" + '{"date":' + "\n" + json.dumps(ROW | {"value": 2})
    answer = post(client, lines, "application/x-ndjson")
    assert answer.status_code == 207
    assert [(r["index"], r["line"], r["outcome"]) for r in answer.json()["rows"]] == [
        (0, 1, "accepted"),
        (1, 3, "rejected"),
        (2, 4, "revised"),
    ]
    sheet = (
        "date,item,point,value,unit\n2026-03-03,白菜,东,1.5,元\n2026-03-03,白菜,西,无,元\n2026-03-03,白菜,南,2,元\n"
    )
    answer = post(client, sheet.encode("gb18030"), "text/csv")
    assert answer.status_code == 207
    assert [(r["index"], r["line"], r["outcome"]) for r in answer.json()["rows"]] == [
        (0, 2, "accepted"),
        (1, 3, "rejected"),
        (2, 4, "accepted"),
    ]
    assert answer.json()["rows"][1]["reason"] == "no_value"


def test_the_same_value_in_json_and_in_csv_is_one_series(running: Running) -> None:
    client = running.client()
    client.post(PUSH, json=[ROW])
    sheet = "日期,品种,监测点,价格,单位,区县\n2026/3/2,大白菜,城东市场,１.25,元/500克,城东区\n"
    answer = post(client, sheet, "text/csv; charset=utf-8")
    assert outcomes(answer) == ["duplicate"], answer.text


def test_a_packed_body_is_unpacked_within_the_limit(serve: Serve) -> None:
    client = serve(max_body_bytes=100_000).client()
    packed = gzip.compress(json.dumps(rows(200)).encode())
    answer = post(client, packed, "application/json", **{"Content-Encoding": "gzip"})
    assert answer.status_code == 200
    assert answer.json()["accepted"] == 200
    bomb = gzip.compress(b"[" + b" " * 50_000_000 + b"]")
    assert len(bomb) < 100_000
    assert post(client, bomb, "application/json", **{"Content-Encoding": "gzip"}).status_code == 413
    assert post(client, b"no gzip", "application/json", **{"Content-Encoding": "gzip"}).status_code == 400
    assert post(client, packed, "application/json", **{"Content-Encoding": "br"}).status_code == 415


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"value": "无"}, "no_value"),
        ({"value": None}, "no_value"),
        ({"value": "75-80"}, "range"),
        ({"value": "便宜"}, "not_a_number"),
        ({"value": True}, "shape"),
        ({"value": "inf"}, "not_finite"),
        ({"date": "2026-02-30"}, "date"),
        ({"date": ""}, "no_date"),
        ({"date": "0001-01-01"}, "date_range"),
        ({"item": ""}, "no_item"),
        ({"item": None}, "no_item"),
        ({"point": None}, "no_point"),
        ({"item": {"name": "x"}}, "shape"),
        ({"item": "长" * 3000}, "too_long"),
        ({"unti": "元"}, "unknown_field"),
    ],
)
def test_a_row_that_cannot_be_read_is_rejected_alone_with_its_reason(
    running: Running, change: dict[str, Any], reason: str
) -> None:
    answer = running.client().post(PUSH, json=[ROW, ROW | change, ROW | {"point": "城西市场"}])
    assert answer.status_code == 207, answer.text
    assert outcomes(answer) == ["accepted", "rejected", "accepted"]
    rejected = answer.json()["rows"][1]
    assert rejected["reason"] == reason
    assert rejected["detail"]
    assert len(stored(running)) == 2


def test_values_written_as_in_sheets_are_read_as_in_sheets(running: Running) -> None:
    written = ["1,234.5", "７５", "1.25元", " 3 ", 4]
    answer = running.client().post(
        PUSH, json=[r | {"value": v} for r, v in zip(rows(5, unit="元"), written, strict=True)]
    )
    assert answer.status_code == 200, answer.text
    assert [value for _, value in stored(running)] == [1234.5, 75, 1.25, 3, 4]


def test_all_rows_rejected_is_422_and_says_each_reason(running: Running) -> None:
    answer = running.client().post(PUSH, json=[ROW | {"value": "无"}, ROW | {"date": "?"}])
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["type"].endswith(":rows-rejected")
    assert [row["reason"] for row in body["rows"]] == ["no_value", "date"]
    assert stored(running) == []
    assert [one.reason for one in batches.rejects_of(running.db, body["batch"])] == ["no_value", "date"]


@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b'{"rows": []}', "application/json", 400),
        (b'"text"', "application/json", 400),
        (b'[{"value": NaN}]', "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"[]", "application/json", 422),
        (b"\n\n", "application/x-ndjson", 422),
        (b"", "text/csv", 422),
        (b"no,such,header\n1,2,3\n", "text/csv", 400),
        (b"x", "text/plain", 415),
        (b"x", "", 415),
    ],
)
def test_a_body_that_cannot_be_read_as_a_whole_is_a_problem_and_stores_nothing(
    running: Running, content: bytes, media_type: str, status: int
) -> None:
    answer = post(running.client(), content, media_type)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert batches.list_batches(running.db) == []


def test_more_rows_than_allowed_are_refused_as_a_whole(serve: Serve) -> None:
    running = serve(max_rows=10)
    client = running.client()
    assert client.post(PUSH, json=rows(10)).status_code == 200
    answer = client.post(PUSH, json=rows(11, date="2026-03-03"))
    assert answer.status_code == 413
    assert answer.json()["limit"] == 10
    lines = "\n".join(json.dumps(row) for row in rows(11))
    assert post(client, lines, "application/x-ndjson").status_code == 413
    sheet = "date,item,point,value\n" + "2026-03-03,a,b,1\n" * 11
    assert post(client, sheet, "text/csv").status_code == 413
    assert len(stored(running)) == 10


# --- idempotency ----------------------------------------------------------------------------------------------------


def test_the_same_key_with_the_same_body_gives_the_stored_answer(running: Running) -> None:
    client = running.client()
    body = [*rows(3), ROW | {"value": "无"}]
    first = client.post(PUSH, json=body, headers={"Idempotency-Key": "早市-1".encode().hex()})
    again = client.post(PUSH, json=body, headers={"Idempotency-Key": "早市-1".encode().hex()})
    assert first.status_code == again.status_code == 207
    assert again.json() == first.json()
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(batches.list_batches(running.db)) == 1


def test_an_answer_that_all_was_rejected_is_also_given_again(running: Running) -> None:
    client = running.client()
    headers = {"Idempotency-Key": "k"}
    first, again = (client.post(PUSH, json=[ROW | {"value": "无"}], headers=headers) for _ in range(2))
    assert first.status_code == again.status_code == 422
    assert first.json()["rows"] == again.json()["rows"]
    assert again.headers["Idempotency-Replayed"] == "true"


def test_the_same_key_with_another_body_is_refused(running: Running) -> None:
    client = running.client()
    headers = {"Idempotency-Key": "k"}
    client.post(PUSH, json=[ROW], headers=headers)
    other = client.post(PUSH, json=[ROW | {"value": 2}], headers=headers)
    assert other.status_code == 422
    assert other.json()["type"].endswith(":idempotency-mismatch")
    assert stored(running) == [("城东市场", 1.25)]


def test_keys_of_two_tokens_do_not_meet(running: Running) -> None:
    headers = {"Idempotency-Key": "k"}
    assert outcomes(running.client().post(PUSH, json=[ROW], headers=headers)) == ["accepted"]
    answer = running.client().post(PUSH, json=[ROW | {"value": 2}], headers=headers)
    assert outcomes(answer) == ["revised"]


def test_a_key_must_be_printable_and_of_bounded_length(running: Running) -> None:
    client = running.client()
    for key in ("x" * 256, "a b", ""):
        answer = client.post(PUSH, json=[ROW], headers={"Idempotency-Key": key})
        assert answer.status_code == 422, key
        assert answer.json()["type"].endswith(":invalid")
    assert stored(running) == []


def test_a_body_that_could_not_be_read_leaves_the_key_free(running: Running) -> None:
    client = running.client()
    headers = {"Idempotency-Key": "k", "Content-Type": "application/json"}
    assert client.post(PUSH, content=b"{", headers=headers).status_code == 400
    assert client.post(PUSH, json=[ROW], headers=headers).status_code == 200


def test_of_many_requests_at_once_under_one_key_the_rows_are_stored_once(running: Running) -> None:
    token = running.token()
    answers: list[httpx.Response] = []
    start = threading.Barrier(12)

    def push() -> None:
        with httpx.Client(base_url=running.url, headers={"Authorization": f"Bearer {token}"}, timeout=30) as client:
            start.wait(10)
            answers.append(client.post(PUSH, json=rows(500), headers={"Idempotency-Key": "k"}))

    threads = [threading.Thread(target=push) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(answers) == 12
    assert {answer.status_code for answer in answers} <= {200, 409}
    good = [answer for answer in answers if answer.status_code == 200]
    assert len({answer.text for answer in good}) == 1
    assert sum("Idempotency-Replayed" not in answer.headers for answer in good) == 1
    assert len(batches.list_batches(running.db)) == 1
    assert len(stored(running)) == 500


def test_the_key_is_held_while_its_first_request_is_worked_on(serve: Serve) -> None:
    working, go_on = threading.Event(), threading.Event()

    def hold(*_: object) -> None:
        working.set()
        assert go_on.wait(20)

    running = serve(changes={"on_stored": hold})
    client, other = running.client(name="甲"), httpx.Client(base_url=running.url, timeout=30)
    other.headers = client.headers
    headers = {"Idempotency-Key": "k"}
    first: list[httpx.Response] = []
    thread = threading.Thread(target=lambda: first.append(client.post(PUSH, json=[ROW], headers=headers)))
    thread.start()
    try:
        assert working.wait(20)
        answer = other.post(PUSH, json=[ROW], headers=headers)
        assert answer.status_code == 409
        assert answer.headers["Retry-After"]
    finally:
        go_on.set()
        thread.join(20)
    assert first[0].status_code == 200
    assert other.post(PUSH, json=[ROW], headers=headers).headers["Idempotency-Replayed"] == "true"


def test_a_restart_keeps_the_answers(serve: Serve) -> None:
    before = serve()
    token = before.token()
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "k"}
    first = before.anonymous().post(PUSH, json=rows(5), headers=headers)
    after = serve()
    again = after.anonymous().post(PUSH, json=rows(5), headers=headers)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json() == first.json()


def test_answers_are_forgotten_after_two_days_and_not_before(running: Running) -> None:
    client = running.client()
    headers = {"Idempotency-Key": "k"}
    client.post(PUSH, json=[ROW], headers=headers)
    assert forget_old_answers(running.db, NOW + timedelta(hours=48)) == 0
    assert "Idempotency-Replayed" in client.post(PUSH, json=[ROW], headers=headers).headers
    assert forget_old_answers(running.db, NOW + timedelta(hours=48, seconds=1)) == 1
    assert outcomes(client.post(PUSH, json=[ROW], headers=headers)) == ["duplicate"]


# --- fuzz -----------------------------------------------------------------------------------------------------------

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
CELLS = st.one_of(
    st.sampled_from(["2026-03-02", "无", "75-80", "1,234.5", "元/500克", "1e400", "-1", "\x00", "\u202e", "=1+1"]),
    JSON_VALUES,
)
ROWS = st.dictionaries(st.sampled_from([*ROW, "spec", "channel", "source", "note", "unknown"]), CELLS, max_size=10)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from monitor.web.context import WebSettings
    from tests.web.conftest import serving

    url = f"sqlite:///{tmp_path_factory.mktemp('fuzz') / 'monitor.db'}"
    with serving(url, WebSettings()) as running, running.client(name="fuzz") as client:
        yield client


def check_answer(answer: httpx.Response, count: int | None) -> None:
    assert answer.status_code in (200, 207, 400, 413, 422), answer.text
    body = answer.json()
    if "rows" in body and count is not None:
        assert [row["index"] for row in body["rows"]] == list(range(count))
        assert body["accepted"] + body["duplicate"] + body["revised"] + body["rejected"] == count
        assert all(row["reason"] and row["detail"] for row in body["rows"] if row["outcome"] == "rejected")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=st.lists(ROWS | JSON_VALUES, max_size=5))
@example(sent=[ROW | {"note": "\x00"}, ROW | {"item": "a\ud800"}])
@example(sent=[ROW | {"value": 10**400}])
def test_no_json_makes_the_server_fail(fuzzed: httpx.Client, sent: list[Any]) -> None:
    check_answer(post(fuzzed, json.dumps(sent), "application/json"), len(sent))
    lines = "\n".join(json.dumps(one) for one in sent)
    check_answer(post(fuzzed, lines, "application/x-ndjson"), len(sent))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=300)
    | st.text(alphabet='date,itempointvalue\n\r\t"无1-./', max_size=200).map(str.encode),
    media_type=st.sampled_from(["application/json", "application/x-ndjson", "text/csv"]),
    header=st.booleans(),
)
def test_no_bytes_make_the_server_fail(fuzzed: httpx.Client, content: bytes, media_type: str, header: bool) -> None:
    body = b"date,item,point,value\n" + content if header else content
    check_answer(post(fuzzed, body, media_type), None)
