"""The webhook channel against real servers that answer well, badly, late or not at all."""

from __future__ import annotations

import base64
import hashlib
import hmac
import socket
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from alerts.channels.base import SendError
from alerts.channels.webhook import Webhook, WebhookOptions, retry_after, signature
from tests.alerts.channels.contract import NOW, message
from tests.alerts.channels.far_end import (
    Behaviour,
    FarEnd,
    after_request,
    answering,
    certificate,
    closed_port,
    cut,
    dripping,
    listening,
    server_context,
)
from thresholds.settings import validate

SECRET = "geheim"


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")  # the environment's proxy must not be used


def hook(url: str, base: Path = Path(), **more: Any) -> Webhook:
    tables = {
        "kind": "webhook",
        "name": "hook",
        "url": url,
        "secret": {"env": "HOOK_SECRET"},
        "timeout": "1s",
        **more,
    }
    options, faults = validate(WebhookOptions, tables, "config.toml")
    assert options is not None, faults
    return Webhook(options, base)


def refused(behave: Behaviour, **more: Any) -> tuple[SendError, FarEnd]:
    with listening(behave) as end, pytest.raises(SendError) as caught:
        hook(end.url, **more).send(message(), NOW)
    return caught.value, end


def test_the_message_arrives_whole_with_key_and_signature() -> None:
    with listening(answering("200 OK", b'{"id": "m-7"}')) as end:
        sent = hook(end.url).send(message(attempt=2, repeat=True), NOW)
    (request,) = end.requests
    assert request.line == "POST /hook HTTP/1.1"
    assert request.headers["idempotency-key"] == request.headers["webhook-id"] == "k1"
    assert request.headers["content-type"] == "application/json; charset=utf-8"
    body = request.json
    assert (body["to"], body["attempt"], body["repeat"]) == ("100", 2, True)
    assert body["text"] == message().body
    assert body["data"]["flags"] == [{"item": "大米"}]
    assert body["created_at"] == "2026-03-02T01:30:00+00:00"
    assert sent.provider_id == "m-7"


def test_the_signature_is_over_key_time_and_body() -> None:
    with listening(answering("204 No Content")) as end:
        hook(end.url).send(message(), NOW)
    (request,) = end.requests
    stamp = request.headers["webhook-timestamp"]
    assert stamp == str(int(NOW.timestamp()))
    signed = b"k1." + stamp.encode() + b"." + request.body
    expected = base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
    assert request.headers["webhook-signature"] == f"v1,{expected}"


def test_the_published_test_vector_of_standard_webhooks_is_met() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    made = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("status", "permanent", "reason"),
    [
        ("400 Bad Request", True, "http_status"),
        ("401 Unauthorized", False, "auth"),
        ("403 Forbidden", False, "auth"),
        ("404 Not Found", True, "http_status"),
        ("408 Request Timeout", False, "http_status"),
        ("410 Gone", True, "http_status"),
        ("425 Too Early", False, "http_status"),
        ("429 Too Many Requests", False, "rate_limited"),
        ("500 Internal Server Error", False, "http_status"),
        ("503 Service Unavailable", False, "http_status"),
    ],
)
def test_only_2xx_is_accepted_and_only_what_cannot_mend_is_permanent(
    status: str, permanent: bool, reason: str
) -> None:
    error, _ = refused(answering(status))
    assert (error.permanent, error.reason, error.uncertain) == (permanent, reason, False)
    assert status[:3] in str(error)


def test_a_redirect_is_not_followed() -> None:
    with listening(answering("200 OK")) as other:
        error, _ = refused(answering("307 Temporary Redirect", location=other.url))
    assert other.connections == 0
    assert error.permanent
    assert "correct the URL" in str(error)


def test_retry_after_is_handed_on_in_both_forms() -> None:
    error, _ = refused(answering("429 Too Many Requests", retry_after="120"))
    assert error.retry_after == 120
    error, _ = refused(answering("503 Service Unavailable", retry_after="Mon, 02 Mar 2026 01:31:30 GMT"))
    assert error.retry_after == 90
    assert retry_after("Mon, 02 Mar 2020 01:31:30 GMT", NOW) == 0
    assert retry_after("bald", NOW) is None
    assert retry_after("-5", NOW) is None
    assert retry_after("9" * 400, NOW) == 999_999_999


def test_an_error_in_the_body_of_a_200_is_not_taken_for_success_where_the_rule_says_so() -> None:
    rule = {"field": "errcode", "value": 0}
    error, end = refused(answering("200 OK", b'{"errcode": 310000, "errmsg": "sign not match"}'), success=rule)
    assert (error.reason, error.permanent, error.uncertain) == ("rejected", False, False)
    assert len(end.requests) == 1
    for body in (b"", b"<html>", b'{"errcode": "0"}', b'{"errcode": false}', b"[0]"):
        error, _ = refused(answering("200 OK", body), success=rule)
        assert error.reason == "rejected"
    with listening(answering("200 OK", b'{"errcode": 0}')) as end:
        hook(end.url, success=rule).send(message(), NOW)


def test_slow_beyond_the_time_out_after_accepting_may_have_arrived() -> None:
    error, end = refused(after_request(lambda _: time.sleep(1.5)))
    assert (error.reason, error.uncertain, error.permanent) == ("timeout", True, False)
    assert len(end.requests) == 1


@pytest.mark.parametrize("drip", [b"H", b"HTTP/1.1 200 OK\r\nx: y\r\n", b"\r\n"])
def test_an_answer_that_drips_is_cut_at_the_deadline_of_the_whole(drip: bytes) -> None:
    start = time.monotonic()
    error, _ = refused(after_request(dripping(drip, 0.05)))
    assert time.monotonic() - start < 4
    assert error.uncertain


def test_a_body_that_drips_after_200_is_cut_and_taken() -> None:
    def behave(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        dripping(b"x", 0.05)(connection)

    start = time.monotonic()
    with listening(after_request(behave)) as end:
        hook(end.url).send(message(), NOW)
    assert time.monotonic() - start < 8


def test_an_endless_answer_is_read_only_at_its_beginning() -> None:
    def behave(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    with listening(after_request(behave)) as end:
        hook(end.url).send(message(), NOW)


def test_nobody_listens() -> None:
    with pytest.raises(SendError) as caught:
        hook(f"http://localhost:{closed_port()}/").send(message(), NOW)
    error = caught.value
    assert (error.reason, error.uncertain, error.permanent) == ("refused", False, False)


def test_cut_after_the_whole_request_may_have_arrived() -> None:
    for then in (cut, lambda connection: connection.close()):
        error, end = refused(after_request(then))
        assert (error.uncertain, error.permanent) == (True, False)
        assert len(end.requests) == 1


def test_cut_in_the_middle_of_the_body_has_not_arrived() -> None:
    def behave(connection: socket.socket, end: FarEnd) -> None:
        connection.recv(2_000)
        cut(connection)

    with listening(behave) as end, pytest.raises(SendError) as caught:
        hook(end.url).send(message(body="很长" * 8_000_000), NOW)
    assert not caught.value.uncertain
    assert not end.requests


def test_cut_in_the_middle_of_the_answers_head_may_have_arrived() -> None:
    def behave(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200")
        cut(connection)

    assert refused(after_request(behave))[0].uncertain


def test_what_is_no_http_at_all_may_have_arrived() -> None:
    error, _ = refused(after_request(lambda connection: connection.sendall(b"220 mail ready\r\n")))
    assert (error.reason, error.uncertain) == ("protocol", True)


def test_tls_with_our_own_authority_works_and_without_it_is_refused(tmp_path: Path) -> None:
    made, key = certificate(tmp_path)
    with listening(answering("200 OK"), server_context(made, key)) as end:
        hook(end.url, tmp_path, ca="cert.pem").send(message(), NOW)
        with pytest.raises(SendError) as caught:
            hook(end.url, tmp_path).send(message(), NOW)
        wrong = hook(end.url.replace("localhost", "127.0.0.1"), tmp_path, ca="cert.pem")
        with pytest.raises(SendError) as other:
            wrong.send(message(), NOW)
    assert (caught.value.reason, caught.value.uncertain) == ("tls", False)
    assert other.value.reason == "tls"
    assert len(end.requests) == 1


def test_a_plain_server_behind_https_is_an_error_that_has_not_arrived() -> None:
    with listening(lambda connection, _: connection.sendall(b"hello\r\n")) as end, pytest.raises(SendError) as caught:
        hook(end.url.replace("http:", "https:")).send(message(), NOW)
    assert not caught.value.uncertain


def test_a_missing_secret_or_authority_is_the_channels_fault_and_not_permanent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SendError) as caught:
        hook("https://localhost:1/", tmp_path, ca="none.pem").send(message(), NOW)
    assert (caught.value.reason, caught.value.permanent) == ("tls", False)
    monkeypatch.delenv("HOOK_SECRET")
    with pytest.raises(SendError) as caught:
        hook("http://localhost:1/").send(message(), NOW)
    assert (caught.value.reason, caught.value.permanent) == ("auth", False)
    assert "HOOK_SECRET is not set" in str(caught.value)


def test_a_bearer_token_and_fixed_headers_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_BEARER", "abc")
    with listening(answering("200 OK")) as end:
        hook(end.url, bearer={"env": "HOOK_BEARER"}, headers={"X-City": "daqing"}).send(message(), NOW)
    assert end.requests[0].headers["authorization"] == "Bearer abc"
    assert end.requests[0].headers["x-city"] == "daqing"


def test_an_address_cannot_change_where_it_is_sent_to() -> None:
    with listening(answering("200 OK")) as end:
        hook(end.url).send(message(address="http://169.254.169.254/\r\nX: y"), NOW)
    assert end.requests[0].line == "POST /hook HTTP/1.1"
    assert "x" not in end.requests[0].headers


def test_wrong_options_are_faults_with_a_remedy() -> None:
    tables = {
        "kind": "webhook",
        "name": "Ein Name",
        "url": "ftp://x",
        "secret": "plain",
        "timeout": "5m",
        "headers": {"x": "a\nb"},
    }
    options, faults = validate(WebhookOptions, tables, "config.toml")
    assert options is None
    assert {f.key for f in faults} == {"name", "url", "secret", "timeout", "headers"}
    assert all(f.remedy for f in faults)


def test_the_request_is_sent_as_one_key_however_often_it_is_sent() -> None:
    with listening(answering("200 OK")) as end:
        channel = hook(end.url)
        channel.send(message(), NOW)
        channel.send(message(attempt=2, repeat=True), NOW + timedelta(minutes=1))
    assert {r.headers["idempotency-key"] for r in end.requests} == {"k1"}
    assert [r.json["repeat"] for r in end.requests] == [False, True]
