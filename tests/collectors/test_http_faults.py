"""The HTTP collector and servers that fail, hang, send too much, or would get our credentials."""

from __future__ import annotations

import json
import logging
import ssl
import subprocess
import threading
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from collectors.base import CollectError
from tests.collectors.asking import GOOD, ROWS, Asking, values
from tests.collectors.servers import Exchange, WebServer
from tests.servers import QuietServer


def test_a_server_that_is_busy_is_asked_again_when_it_says(web: WebServer, ask: Asking) -> None:
    url = web.in_turn(
        "/p",
        lambda e: e.send("", 503, retry_after="7"),
        lambda e: e.send("", 429, retry_after="Tue, 10 Mar 2026 02:00:20 GMT"),
        lambda e: e.send("", 502),
        lambda e: e.json(ROWS),
    )
    assert values(ask(url)) == GOOD
    assert ask.waits == [7, 20, 2]


def test_a_connection_that_breaks_is_tried_again(web: WebServer, ask: Asking) -> None:
    assert values(ask(web.in_turn("/p", Exchange.break_off, lambda e: e.json(ROWS)))) == GOOD
    assert ask.waits == [0.5]


@pytest.mark.parametrize(
    ("status", "reason", "permanent", "requests"),
    [
        (400, "http_status", True, 1),
        (401, "auth", True, 1),
        (403, "auth", True, 1),
        (404, "http_status", True, 1),
        (410, "http_status", True, 1),
        (408, "http_status", False, 1),
        (500, "http_status", False, 1),
        (429, "rate_limited", False, 4),
        (503, "http_status", False, 4),
    ],
)
def test_every_status_has_its_reason_and_says_whether_trying_again_helps(
    web: WebServer, ask: Asking, status: int, reason: str, permanent: bool, requests: int
) -> None:
    error = ask.fails(web.on("/p", lambda e: e.send("请联系管理员", status)))
    assert (error.reason, error.permanent, len(web.asked)) == (reason, permanent, requests)
    assert f"status {status}" in str(error)
    assert "请联系管理员" in str(error)


def test_a_wait_longer_than_our_patience_is_handed_on(web: WebServer, ask: Asking) -> None:
    error = ask.fails(web.on("/p", lambda e: e.send("", 429, retry_after="3600")))
    assert (error.retry_after, ask.waits, len(web.asked)) == (3600, [], 1)


def test_a_gzip_bomb_is_cut_off_at_the_limit(web: WebServer, ask: Asking) -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(b" " * 2**20) for _ in range(256)) + packer.flush()  # 256 MiB in 0.25 MB
    url = web.on("/p", lambda e: e.send(bomb, content_encoding="gzip", content_type="application/json"))
    url2 = web.on("/p.csv.gz", lambda e: e.send(bomb, content_type="application/gzip"))
    tracemalloc.start()
    reasons = [ask.fails(u, max_bytes=4_000_000).reason for u in (url, url2)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reasons == ["too_large", "too_large"]
    assert peak < 30_000_000


def test_an_answer_that_says_that_it_is_too_large_is_not_read(web: WebServer, ask: Asking) -> None:
    def answer(e: Exchange) -> None:
        e.start(200, content_type="application/json", content_length=str(10**10))
        e.hang()

    assert ask.fails(web.on("/p", answer), deadline="10s").reason == "too_large"


def test_an_answer_cut_short_by_our_own_deadline_is_not_taken_for_whole(web: WebServer, ask: Asking) -> None:
    def answer(e: Exchange) -> None:
        e.start(200, content_type="application/x-ndjson")  # ends with the connection
        e.write(json.dumps(ROWS[0]).encode() + b"\n")
        e.drip(b" ")

    assert ask.fails(web.on("/p", answer), deadline="500ms").reason == "timeout"


def test_credentials_are_sent_and_come_from_files_or_the_environment(
    web: WebServer, ask: Asking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRICE_KEY", "k&y 1")
    (tmp_path / "token").write_text("t0ken\n", "utf-8")
    key = {"env": "PRICE_KEY"}
    url = web.on("/p", lambda e: e.json(ROWS))
    ask(url, bearer={"file": "token"}, secret_params={"key": key}, secret_headers={"X-Key": key})
    ask(url, basic={"user": "reader", "password": {"file": "token"}}, headers={"X-Plain": "a"})
    first, second = web.asked
    assert first.headers["authorization"] == "Bearer t0ken"
    assert (first.headers["x-key"], first.params["key"]) == ("k&y 1", "k&y 1")
    assert (second.headers["authorization"], second.headers["x-plain"]) == ("Basic cmVhZGVyOnQwa2Vu", "a")


def test_a_secret_that_is_not_there_is_named_and_nothing_is_asked(web: WebServer, ask: Asking) -> None:
    error = ask.fails(web.on("/p", lambda e: e.json(ROWS)), bearer={"env": "NO_SUCH_SECRET"})
    assert (error.reason, error.permanent, web.asked) == ("secret", True, [])
    assert "NO_SUCH_SECRET" in str(error)


@pytest.mark.parametrize("way", ["redirect", "next", "link"])
def test_credentials_never_go_to_another_host(web: WebServer, ask: Asking, tmp_path: Path, way: str) -> None:
    (tmp_path / "token").write_text("t0ken", "utf-8")
    elsewhere = web.on("/elsewhere", lambda e: e.json(ROWS)).replace("127.0.0.1", "localhost")
    answers: dict[str, Callable[[Exchange], None]] = {
        "redirect": lambda e: e.send("", 302, location=elsewhere),
        "next": lambda e: e.json({"rows": ROWS, "next": elsewhere}),
        "link": lambda e: e.json({"rows": ROWS}, link=f'<{elsewhere}>; rel="next"'),
    }
    paging = {"next": {"kind": "next", "path": "next"}, "link": {"kind": "link"}}.get(way)
    options: dict[str, Any] = {"rows": "rows" if paging else "", "paging": paging}
    url = web.on("/p", answers[way])
    with pytest.raises(CollectError) as caught:
        ask.all(url, bearer={"file": "token"}, **options)
    assert (caught.value.reason, caught.value.permanent) == ("redirect", True)
    assert [e.path for e in web.asked] == ["/p"]


def test_without_credentials_a_redirect_is_followed(web: WebServer, ask: Asking) -> None:
    elsewhere = web.on("/new", lambda e: e.json(ROWS)).replace("127.0.0.1", "localhost")
    assert values(ask(web.on("/p", lambda e: e.send("", 301, location=elsewhere)))) == GOOD


def test_on_the_same_host_a_redirect_is_followed_with_credentials(
    web: WebServer, ask: Asking, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("t0ken", "utf-8")
    web.on("/new", lambda e: e.json(ROWS))
    ask(web.on("/p", lambda e: e.send("", 307, location="/new?a=1")), secret_params={"key": {"file": "token"}})
    assert web.asked[-1].params == {"a": "1", "key": "t0ken"}


def test_redirects_in_a_circle_end(web: WebServer, ask: Asking) -> None:
    error = ask.fails(web.on("/p", lambda e: e.send("", 302, location="/p")))
    assert (error.reason, len(web.asked)) == ("redirect", 6)


def test_a_next_link_with_the_key_in_it_is_kept_without_the_key(
    web: WebServer, ask: Asking, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    (tmp_path / "token").write_text("s3cr3t", "utf-8")

    def answer(e: Exchange) -> None:
        n = int(e.params.get("n", "0"))
        e.json({"rows": ROWS[n : n + 1], "next": f"/p?n={n + 1}&key={e.params['key']}" if n < 2 else None})

    options: dict[str, Any] = {
        "rows": "rows",
        "paging": {"kind": "next", "path": "next"},
        "secret_params": {"key": {"file": "token"}},
    }
    url = web.on("/p", answer)
    first = ask(url, max_pages=1, **options)
    assert "s3cr3t" not in json.dumps(first.cursor)
    assert values(ask(url, first.cursor, **options)) == [("猪肉", 20.5)]
    assert {e.params["key"] for e in web.asked} == {"s3cr3t"}
    assert "s3cr3t" not in caplog.text


# --- TLS -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[str]:
    """The URL of a TLS server with a certificate of its own, which is in ca.pem."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "ca.pem"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            Exchange(self, threading.Event()).json(ROWS)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    server = QuietServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "ca.pem", tmp_path / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"https://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_a_certificate_is_trusted_only_through_the_ca_file(tls: str, ask: Asking) -> None:
    error = ask.fails(tls)
    assert (error.reason, error.permanent) == ("tls", True)
    assert values(ask(tls, ca_file="ca.pem")) == GOOD
    assert ask.fails(tls, ca_file="none.pem").reason == "tls"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("[" + "{}," * 1_000_000 + "{}]", "application/json"),
        ("[" + "[]," * 1_000_000 + "[]]", "application/json"),
        (json.dumps([{"item": "x"}] * 6000), "application/json"),
        ("{}\n" * 6000, "application/x-ndjson"),
        ("x\n" * 6000, "text/csv"),
    ],
)
def test_few_bytes_that_would_become_many_objects_are_refused(
    web: WebServer, ask: Asking, body: str, kind: str
) -> None:
    url = web.on("/p", lambda e: e.send(body, content_type=kind))
    tracemalloc.start()
    error = ask.fails(url, max_rows=5000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert error.reason == "too_large"
    assert peak < 30_000_000
