"""Tokens, problems, limits, health and metrics over a real server."""

from __future__ import annotations

import asyncio
import logging
import socket
import sqlite3
import threading
import time
from datetime import timedelta

import httpx
import pytest
from starlette.types import Message, Send

from monitor.auth import SCOPES, Scope, bearer_of
from monitor.store import tokens
from monitor.store.database import open_database
from monitor.store.errors import StoreError
from monitor.web.context import Check, HealthReport
from monitor.web.guard import Guard
from monitor.web.server import bind
from tests.web.conftest import NOW, Running, Serve
from tests.web.make import ack_path, flag, store_flags

ROW = {"date": "2026-03-02", "item": "大白菜", "point": "城东市场", "value": 1.25}
ROUTES = [
    ("GET", "/api/v1/observations", Scope.OBSERVATIONS_READ),
    ("POST", "/api/v1/observations", Scope.OBSERVATIONS_WRITE),
    ("GET", "/api/v1/series", Scope.OBSERVATIONS_READ),
    ("GET", "/api/v1/flags", Scope.FLAGS_READ),
    ("GET", "/api/v1/flags/x", Scope.FLAGS_READ),
    ("POST", "/api/v1/flags/x/review", Scope.FLAGS_REVIEW),
    ("POST", "/api/v1/flags/x/ack", Scope.FLAGS_REVIEW),
    ("POST", "/api/v1/alerts/1/ack", Scope.ALERTS_ACK),
    ("GET", "/api/v1/records", Scope.FLAGS_READ),
    ("GET", "/api/v1/records/x", Scope.FLAGS_READ),
    ("POST", "/api/v1/records", Scope.RECORDS_WRITE),
    ("POST", "/api/v1/records/x/lift", Scope.RECORDS_WRITE),
    ("GET", "/api/v1/duties", Scope.OBSERVATIONS_READ),
    ("GET", "/api/v1/duties/x", Scope.OBSERVATIONS_READ),
    ("GET", "/api/v1/reports", Scope.REPORTS_READ),
    ("GET", "/api/v1/reports/1", Scope.REPORTS_READ),
    ("POST", "/api/v1/reports", Scope.REPORTS_WRITE),
]


def problem(answer: httpx.Response, status: int, kind: str) -> dict[str, object]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, object] = answer.json()
    assert body["type"] == f"urn:price-risk-monitor:problem:{kind}"
    assert body["status"] == status
    assert body["title"]
    assert body["request_id"] == answer.headers["x-request-id"]
    return body


def send(client: httpx.Client, method: str, path: str) -> httpx.Response:
    body = {"verdict": "real_move", "revision": 1} if path.endswith("review") else [ROW]
    return client.request(method, path, json=body if method == "POST" else None)


# --- tokens ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
def test_each_route_needs_a_token_with_exactly_its_scope(
    running: Running, method: str, path: str, scope: Scope
) -> None:
    answer = send(running.anonymous(), method, path)
    problem(answer, 401, "unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    others = [one for one in Scope if one != scope]
    answer = send(running.client(*others), method, path)
    assert problem(answer, 403, "forbidden")["missing_scope"] == scope
    assert f'scope="{scope}"' in answer.headers["WWW-Authenticate"]
    assert send(running.client(scope), method, path).status_code not in (401, 403)


def test_no_other_api_route_exists_without_being_listed_above(running: Running) -> None:
    document = running.anonymous().get("/openapi.json").json()
    listed = {(method, path.replace("/x", "/{id}").replace("/1", "/{id}")) for method, path, _ in ROUTES}
    found = {
        (method.upper(), path)
        for path, methods in document["paths"].items()
        for method in methods
        if path.startswith("/api/")
    }
    assert found == listed


def test_unknown_expired_and_revoked_tokens_open_nothing(running: Running) -> None:
    scopes = [str(scope) for scope in Scope]
    expired = tokens.create(running.db, "expired", scopes, NOW - timedelta(days=2), NOW).secret
    revoked = tokens.create(running.db, "revoked", scopes, NOW).secret
    tokens.revoke(running.db, "revoked", NOW)
    good = running.token()
    wrong = ["prm_unknown", expired, revoked, good + "x", good[:-1], "x" * 600]
    for header in [
        *(f"Bearer {one}" for one in wrong),
        good,
        f"Basic {good}",
        "Bearer",
        f"Bearer {good} x",
        "Bearer é",
    ]:
        answer = running.anonymous().get("/api/v1/flags", headers={b"Authorization": header.encode()})
        problem(answer, 401, "unauthorized")
    for header in (f"Bearer {good}", f"bearer  {good}"):
        assert running.anonymous().get("/api/v1/flags", headers={"Authorization": header}).status_code == 200


def test_every_scope_is_explained() -> None:
    assert set(SCOPES) == set(Scope)
    assert bearer_of(None) is None
    assert bearer_of("Bearer abc") == "abc"


def test_a_caller_without_a_token_is_refused_before_the_body_is_looked_at(running: Running) -> None:
    huge = b"[" * 3_000_000
    headers = {"Content-Type": "application/json"}
    problem(running.anonymous().post("/api/v1/observations", content=huge, headers=headers), 401, "unauthorized")


# --- limits ---------------------------------------------------------------------------------------------------------


def test_a_body_over_the_limit_is_refused_whether_its_length_is_told_or_not(serve: Serve) -> None:
    client = serve(max_body_bytes=10_000).client()
    headers = {"Content-Type": "application/json"}
    answer = client.post("/api/v1/observations", content=b" " * 10_001, headers=headers)
    assert problem(answer, 413, "too-large")["limit"] == 10_000

    def chunks() -> object:
        for _ in range(30):
            yield b" " * 1000

    answer = client.post("/api/v1/observations", content=chunks(), headers=headers)  # type: ignore[arg-type]
    problem(answer, 413, "too-large")
    review = client.post("/api/v1/flags/x/review", content=b" " * 10_001, headers=headers)
    problem(review, 413, "too-large")


def test_an_endless_body_is_not_read_to_its_end(serve: Serve) -> None:
    running = serve(max_body_bytes=10_000)
    host, port = running.url.removeprefix("http://").split(":")
    request = (
        f"POST /api/v1/observations HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {running.token()}\r\n"
        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    sent = 0
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(request.encode())
        try:
            while sent < 200_000_000:
                connection.sendall(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
                sent += 0x10000
        except OSError:
            pass
    assert sent < 50_000_000


def test_a_body_that_does_not_come_is_given_up(serve: Serve) -> None:
    running = serve(body_timeout="200ms")
    host, port = running.url.removeprefix("http://").split(":")
    request = (
        f"POST /api/v1/observations HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {running.token()}\r\n"
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n["
    )
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(request.encode())
        began = time.monotonic()
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - began < 10


def test_the_server_stays_up_through_a_caller_that_hangs_up(running: Running) -> None:
    host, port = running.url.removeprefix("http://").split(":")
    for cut in (b"POST /api/v1/obs", b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf", b"\x00\xff\r\n\r\n"):
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            connection.sendall(cut)
    assert running.anonymous().get("/healthz").status_code == 200


# --- problems -------------------------------------------------------------------------------------------------------


def test_errors_of_the_framework_are_problem_details_too(running: Running) -> None:
    client = running.client()
    problem(client.get("/nowhere"), 404, "not-found")
    problem(client.get("/api/v1/nowhere"), 404, "not-found")
    answer = client.delete("/api/v1/flags")
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["Allow"]
    answer = client.post("/api/v1/observations", content=b"x", headers={"Content-Type": "image/png"})
    problem(answer, 415, "unsupported-media-type")
    answer = client.post("/api/v1/flags/x/review", content=b"{", headers={"Content-Type": "application/json"})
    problem(answer, 422, "invalid")


def test_every_wrong_parameter_is_named(running: Running) -> None:
    answer = running.client().get(
        "/api/v1/flags", params={"limit": 0, "state": "lost", "from": "gestern", "cursor": "?"}
    )
    faults = problem(answer, 422, "invalid")["errors"]
    assert isinstance(faults, list)
    assert {fault["in"] for fault in faults} == {"query.limit", "query.state.0", "query.from", "query.cursor"}
    assert all(fault["detail"] for fault in faults)


@pytest.mark.parametrize(
    "params",
    [
        {"from": "2026-02-30"},
        {"to": "9999-12-31"},
        {"from": "0001-01-01T00:00:00+14:00"},
        {"cursor": "AAAA"},
        {"cursor": "WzEsMl0"},
        {"item": "\x00"},
        {"limit": "1001"},
        {"limit": "9" * 5000},
        {"series": str(2**63)},
    ],
)
def test_parameters_that_no_database_could_take_are_422(running: Running, params: dict[str, str]) -> None:
    problem(running.client().get("/api/v1/observations", params=params), 422, "invalid")


def test_a_bug_shows_a_request_id_and_no_stack_trace(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> tuple[bytes, str]:
        raise RuntimeError("secret detail")

    running = serve(changes={"render_metrics": broken})
    with caplog.at_level(logging.ERROR, "monitor.web"):
        answer = running.anonymous().get("/metrics")
    body = problem(answer, 500, "internal")
    assert "secret detail" not in answer.text
    assert "Traceback" not in answer.text
    assert str(body["request_id"]) in caplog.text
    assert "secret detail" in caplog.text
    assert answer.headers["content-security-policy"]
    assert running.anonymous().get("/healthz").status_code == 200


@pytest.mark.parametrize(
    ("reason", "status", "kind"),
    [("locked", 503, "unavailable"), ("unreachable", 503, "unavailable"), ("full", 507, "storage-full")]
    + [(reason, 503, "unavailable") for reason in ("readonly", "io", "corrupt", "newer_schema")],
)
def test_a_database_that_fails_is_told_in_words_that_help_and_no_others(
    serve: Serve, reason: str, status: int, kind: str
) -> None:
    counted: list[str] = []

    def fail() -> tuple[bytes, str]:
        raise StoreError(reason, "/var/lib/secret/monitor.db is broken")

    running = serve(changes={"render_metrics": fail, "on_store_error": counted.append})
    answer = running.anonymous().get("/metrics")
    body = problem(answer, status, kind)
    assert body["reason"] == reason
    assert "secret" not in answer.text
    assert counted == [reason]
    assert ("Retry-After" in answer.headers) == (reason in ("locked", "unreachable", "full", "readonly", "io"))


def test_a_database_locked_by_another_program_is_503_and_then_works_again(serve: Serve) -> None:
    running = serve()
    quick = open_database(f"sqlite:///{running.db.path}", busy_timeout=0.1)
    client_of = serve(changes={"db": quick})
    client = running.client()
    other = httpx.Client(base_url=client_of.url, headers=client.headers, timeout=30)
    holder = sqlite3.connect(str(running.db.path), isolation_level=None)
    try:
        holder.execute("BEGIN IMMEDIATE")
        answer = other.post("/api/v1/observations", json=[ROW])
        assert problem(answer, 503, "unavailable")["reason"] == "locked"
        assert answer.headers["Retry-After"]
        holder.execute("ROLLBACK")
        assert other.post("/api/v1/observations", json=[ROW]).json()["accepted"] == 1
    finally:
        holder.close()
        quick.close()


def test_reading_and_health_go_on_while_many_pushes_wait_for_the_database(serve: Serve) -> None:
    running = serve()
    client = running.client()
    holder = sqlite3.connect(str(running.db.path), isolation_level=None)
    answers: list[int] = []

    def push(number: int) -> None:
        row = ROW | {"point": f"市场{number}"}
        answers.append(
            httpx.post(f"{running.url}/api/v1/observations", json=[row], headers=auth, timeout=60).status_code
        )

    auth = {"Authorization": client.headers["Authorization"]}
    threads = [threading.Thread(target=push, args=(number,)) for number in range(60)]
    holder.execute("BEGIN IMMEDIATE")
    try:
        for thread in threads:
            thread.start()
        for path in ("/healthz", "/api/v1/flags", "/readyz", "/", "/metrics"):
            assert client.get(path, timeout=10).status_code == 200, path
        assert answers == []
    finally:
        holder.execute("ROLLBACK")
        for thread in threads:
            thread.join(60)
        holder.close()
    assert answers == [200] * 60


def test_more_requests_at_once_than_can_be_worked_on_are_told_to_come_again() -> None:
    asyncio.run(too_many_at_once())


async def too_many_at_once() -> None:
    release = asyncio.Event()

    async def slow(_scope: object, _receive: object, send: Send) -> None:
        await release.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    guard = Guard(slow, max_body_bytes=1000, body_timeout=1, max_requests=2)

    async def ask(path: str) -> int:
        answer: list[Message] = []

        async def send(message: Message) -> None:
            answer.append(message)

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        await guard({"type": "http", "method": "GET", "path": path, "headers": []}, receive, send)
        return int(answer[0]["status"])

    first = [asyncio.create_task(ask("/x")) for _ in range(2)]
    await asyncio.sleep(0)
    assert await ask("/x") == 503
    healthz = asyncio.create_task(ask("/healthz"))
    release.set()
    assert [await task for task in (*first, healthz)] == [204, 204, 204]
    assert await ask("/x") == 204


def test_the_secret_of_an_acknowledge_link_is_in_no_log(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    (message,) = store_flags(running.db, flag("f1"), tell=True)
    with caplog.at_level(logging.DEBUG):
        running.anonymous().get(ack_path(message))
        running.anonymous().post(ack_path(message))
        running.anonymous().get("/healthz")
    ours = [record.getMessage() for record in caplog.records if record.name.startswith(("monitor", "uvicorn"))]
    assert any("/a/…" in line for line in ours)
    assert not any(ack_path(message).removeprefix("/a/") in line for line in ours)


# --- health and metrics ---------------------------------------------------------------------------------------------

NOT_READY = HealthReport(
    [Check("database", True), Check("scheduler", False, "stopped at 09:00"), Check("source:x", False, "http://inner")]
)


def test_healthz_says_that_the_process_is_alive(running: Running) -> None:
    answer = running.anonymous().get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})


def test_readyz_is_503_with_reasons_while_something_needed_is_wrong(serve: Serve) -> None:
    running = serve(changes={"health": lambda: NOT_READY})
    answer = running.anonymous().get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["status"] == "not ready"
    wrong = {check["name"]: check["detail"] for check in answer.json()["checks"] if not check["ok"]}
    assert wrong == {"scheduler": "stopped at 09:00", "source:x": "http://inner"}


def test_a_failing_source_alone_does_not_make_the_daemon_unready(serve: Serve) -> None:
    report = HealthReport([Check("database", True), Check("source:x", False, "timeout", needed=False)])
    answer = serve(changes={"health": lambda: report}).anonymous().get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ready")


def test_details_of_readiness_are_not_for_strangers(serve: Serve) -> None:
    running = serve(changes={"health": lambda: NOT_READY})
    stranger = {"Host": "monitor.example"}
    assert "inner" not in running.anonymous().get("/readyz", headers=stranger).text
    assert "inner" not in running.client(Scope.FLAGS_READ).get("/readyz", headers=stranger).text
    assert "inner" in running.client(Scope.METRICS_READ).get("/readyz", headers=stranger).text


def test_metrics_are_open_here_and_need_a_token_from_elsewhere(serve: Serve) -> None:
    running = serve()
    answer = running.anonymous().get("/metrics")
    assert (answer.status_code, answer.text) == (200, "monitor_up 1\n")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    stranger = {"Host": "monitor.example"}
    problem(running.anonymous().get("/metrics", headers=stranger), 401, "unauthorized")
    problem(running.client(Scope.FLAGS_READ).get("/metrics", headers=stranger), 403, "forbidden")
    assert running.client(Scope.METRICS_READ).get("/metrics", headers=stranger).status_code == 200
    assert serve(open_metrics="all").anonymous().get("/metrics", headers=stranger).status_code == 200
    closed = serve(open_metrics="off")
    problem(closed.anonymous().get("/metrics"), 401, "unauthorized")
    assert closed.client(Scope.METRICS_READ).get("/metrics").status_code == 200


def test_answers_are_not_held_back_by_the_network_stack() -> None:
    """asyncio switches Nagle's algorithm off only for sockets that name their protocol."""
    with bind("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_a_port_that_is_taken_is_a_clear_error() -> None:
    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}"):
            bind("127.0.0.1", port)
