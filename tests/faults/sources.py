"""A price source over HTTP that is well, hangs, or answers garbage, as the test says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from threading import Event, Thread
from typing import Literal
from zoneinfo import ZoneInfo

from tests.faults.sheets import calm
from tests.servers import QuietServer

Mood = Literal["well", "hangs", "drips", "html", "garbage", "closes", "error"]


class Source:
    """Answers `text` while it is well. `asked` counts requests."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.mood: Mood = "well"
        self.asked = 0
        self.closed = Event()
        source = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                source.asked += 1
                with suppress(OSError):
                    self.answer(source.mood)

            def answer(self, mood: Mood) -> None:
                if mood == "hangs":
                    while source.mood == "hangs" and not source.closed.wait(0.05):
                        pass
                    self.close_connection = True
                elif mood == "drips":
                    self.whole(200, "text/csv", b"", length=1_000_000)
                    while source.mood == "drips" and not source.closed.wait(0.05):
                        self.wfile.write(b"x")
                elif mood == "closes":
                    self.close_connection = True
                elif mood == "error":
                    self.whole(500, "text/plain", b"out of order")
                elif mood == "html":
                    self.whole(200, "text/html", b"<html><body>Please log in</body></html>")
                elif mood == "garbage":
                    self.whole(200, "text/csv", bytes(range(256)) * 40)
                else:
                    self.whole(200, "text/csv; charset=utf-8", source.text.encode())

            def whole(self, status: int, kind: str, body: bytes, length: int | None = None) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body) if length is None else length))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.server = QuietServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/prices.csv"

    def close(self) -> None:
        self.closed.set()
        self.server.shutdown()
        self.server.server_close()


@contextmanager
def source(items: Sequence[str], last: date, days: int = 30) -> Iterator[Source]:
    """A source of calm prices of these items."""
    rows = [f"{d},{i},{p},元/500克,全市,{v:g}" for d, i, p, v in calm(items, last, days)]
    one = Source("\n".join(["date,item,point,unit,area,value", *rows, ""]))
    try:
        yield one
    finally:
        one.close()


def yesterday() -> date:
    return datetime.now(ZoneInfo("Asia/Shanghai")).date() - timedelta(days=1)
