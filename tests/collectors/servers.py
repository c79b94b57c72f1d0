"""Real local servers that behave, or misbehave, as a test says. Loopback only, and bounded."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.servers import QuietServer


class Exchange:
    """One request being answered: what was asked, and ways to answer."""

    def __init__(self, handler: BaseHTTPRequestHandler, stop: threading.Event) -> None:
        self.handler, self.stop = handler, stop
        parts = urlsplit(handler.path)
        self.path = parts.path
        self.params = {k: v[-1] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}
        self.headers = {k.lower(): v for k, v in handler.headers.items()}
        self.body = handler.rfile.read(int(self.headers.get("content-length", "0")))

    def send(self, body: bytes | str, status: int = 200, **headers: str) -> None:
        """A whole answer; header names are written with _ for -."""
        data = body.encode() if isinstance(body, str) else body
        self.start(status, content_length=str(len(data)), **headers)
        self.write(data)

    def json(self, value: Any, status: int = 200, **headers: str) -> None:
        self.send(json.dumps(value, ensure_ascii=False), status, content_type="application/json", **headers)

    def start(self, status: int = 200, **headers: str) -> None:
        """Status and headers only; without a length the end of the connection is the end of the body."""
        self.handler.send_response(status)
        self.handler.send_header("Connection", "close")
        for name, value in headers.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.end_headers()

    def write(self, data: bytes) -> None:
        self.handler.wfile.write(data)
        self.handler.wfile.flush()

    def hang(self) -> None:
        """Say nothing more until the test is over."""
        self.stop.wait(60)

    def drip(self, data: bytes, every: float = 0.05) -> None:
        """One byte at a time, for ever."""
        while not self.stop.wait(every):
            for one in data:
                self.write(bytes([one]))
                if self.stop.wait(every):
                    return

    def break_off(self) -> None:
        """Drop the connection."""
        with contextlib.suppress(OSError):
            self.handler.connection.shutdown(socket.SHUT_RDWR)


Answering = Callable[[Exchange], None]


@dataclass
class WebServer:
    """A local HTTP server; `answers` says what happens at a path, `asked` what was asked so far."""

    url: str
    answers: dict[str, Answering] = field(default_factory=dict)
    asked: list[Exchange] = field(default_factory=list)

    def on(self, path: str, answer: Answering) -> str:
        """Answer at `path` with `answer`; gives the whole URL."""
        self.answers[path] = answer
        return self.url + path

    def in_turn(self, path: str, *answers: Answering) -> str:
        """Another answer at each request; the last one stays."""
        left = list(answers)
        return self.on(path, lambda exchange: (left.pop(0) if len(left) > 1 else left[0])(exchange))


@contextlib.contextmanager
def web_server() -> Iterator[WebServer]:
    """A WebServer on a free port of the loopback interface."""
    stop = threading.Event()
    web: WebServer

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            exchange = Exchange(self, stop)
            web.asked.append(exchange)
            self.close_connection = True
            with contextlib.suppress(OSError):
                web.answers.get(exchange.path, no_such_page)(exchange)

        do_GET = answer
        do_POST = answer

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    server = QuietServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    web = WebServer(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield web
    finally:
        stop.set()
        server.shutdown()
        server.server_close()


def no_such_page(exchange: Exchange) -> None:
    exchange.send("no such page", 404)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def silent_server() -> Iterator[int]:
    """A port where connections are taken and nothing is ever said."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield int(listener.getsockname()[1])
