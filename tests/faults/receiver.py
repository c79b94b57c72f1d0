"""The far end of a webhook channel: remembers what arrived, and can be made to do something before it answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from threading import Event, Lock, Thread

from tests.servers import QuietServer


@dataclass(frozen=True)
class Call:
    """One message as it arrived: its key, whether it says that it is a repeat, and (flag, what happened) of each."""

    key: str
    repeat: bool
    text: str
    flags: tuple[tuple[str, str], ...]


class Receiver:
    """Answers with the HTTP status `answer`; while `hanging` is set nothing is answered.

    asked, answered   how many requests have come in whole, and how many were answered
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.answer = 204
        self.hanging = Event()
        self.closed = Event()
        self.asked = self.answered = 0
        self.lock = Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with receiver.lock:
                    receiver.asked += 1
                    if receiver.answer < 300:
                        receiver.calls.append(call_of(body))
                while receiver.hanging.is_set() and not receiver.closed.wait(0.05):
                    pass
                with suppress(OSError):
                    self.send_response(receiver.answer)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    self.wfile.flush()
                    receiver.answered += 1

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.server = QuietServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/duty"

    def told(self, what: str = "opened") -> set[str]:
        """Flags of which this was told."""
        return {flag for call in list(self.calls) for flag, change in call.flags if change == what}

    def close(self) -> None:
        self.closed.set()
        self.server.shutdown()
        self.server.server_close()


def call_of(body: bytes | str) -> Call:
    """What a message says: the JSON of a webhook, and the line of a file channel alike."""
    message = json.loads(body)
    flags = tuple((flag["flag"], flag["what"]) for flag in message["data"]["flags"])
    return Call(message["key"], message["repeat"], message["text"], flags)


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    try:
        yield receiver
    finally:
        receiver.close()
