"""POST /observations, durable before the answer, beside an endpoint of the same server that only parses the body.

The server runs in a process of its own on loopback, with SQLite in a temporary folder. Every request brings 1,000 new
points (60 items x 12 points and more, one day each), so each is stored. Prints points per second and latencies of
both, and their ratio; `--clients` sends from several connections at once.

    python bench/bench_api.py [--requests 300] [--points 1000] [--clients 1]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing as mp
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

import httpx
from fastapi import Request

PARSE = "/parse-only"
PUSH = "/api/v1/observations"


def bodies(requests: int, points: int) -> Iterator[bytes]:
    """Requests of new points: the same series every time, the next day."""
    for number in range(requests):
        day = (date(2000, 1, 1) + timedelta(days=number)).isoformat()
        rows = [
            {
                "date": day,
                "item": f"品种{i % 60}",
                "unit": "元/500克",
                "point": f"监测点{i // 60}",
                "area": f"区{i // 60 % 4}",
                "value": round(1 + i / 7 + number / 100, 2),
            }
            for i in range(points)
        ]
        yield json.dumps({"observations": rows}, ensure_ascii=False).encode()


def serve(folder: Path, pipe: Connection) -> None:
    """The server process: the daemon's own application with one more route."""
    from monitor.auth import Scope
    from monitor.store import tokens
    from monitor.store.database import open_database
    from monitor.web.app import create_web
    from monitor.web.context import HealthReport, WebContext, WebSettings
    from monitor.web.push_body import STRICT
    from monitor.web.server import bind, make_server

    db = open_database(f"sqlite:///{folder / 'monitor.db'}")
    context = WebContext(
        db=db,
        settings=WebSettings(),
        clock=lambda: datetime.now(UTC),
        render_metrics=lambda: (b"", "text/plain"),
        health=lambda: HealthReport([]),
        on_observations=lambda: None,
    )
    app = create_web(context)

    @app.post(PARSE)
    async def parse(request: Request) -> dict[str, int]:
        decoded = STRICT.decode(await request.body())
        return {"rows": len(decoded if isinstance(decoded, list) else decoded.observations)}

    token = tokens.create(db, "bench", [Scope.OBSERVATIONS_WRITE], datetime.now(UTC)).secret
    listener = bind("127.0.0.1", 0)
    server = make_server(app)
    pipe.send((listener.getsockname()[1], token))

    def stop() -> None:
        pipe.recv()
        server.should_exit = True

    threading.Thread(target=stop, daemon=True).start()
    server.run(sockets=[listener])
    db.close()


def measure(url: str, token: str, sent: Sequence[bytes], clients: int) -> tuple[float, list[float]]:
    """Seconds in all, and of each request."""
    todo, lock, times = iter(sent), threading.Lock(), list[float]()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def work() -> None:
        with httpx.Client(headers=headers, timeout=60) as client:
            while True:
                with lock:
                    body = next(todo, None)
                if body is None:
                    return
                began = time.perf_counter()
                answer = client.post(url, content=body)
                took = time.perf_counter() - began
                assert answer.status_code == 200, answer.text
                with lock:
                    times.append(took)

    began = time.perf_counter()
    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began, times


def report(name: str, points: int, seconds: float, times: list[float]) -> float:
    cuts = statistics.quantiles(times, n=100)
    rate = points * len(times) / seconds
    print(f"{name:12} {rate:12,.0f} points/s   p50 {cuts[49] * 1e3:7.2f} ms   p99 {cuts[98] * 1e3:7.2f} ms")
    return rate


def fsync_seconds(folder: Path, say: Callable[[list[float]], float] = statistics.median) -> float:
    """What the disk takes for one durable write of a page: the floor under every answer."""
    import os

    times = []
    with (folder / "probe").open("wb", buffering=0) as probe:
        for _ in range(50):
            began = time.perf_counter()
            probe.write(b"x" * 4096)
            os.fdatasync(probe.fileno())
            times.append(time.perf_counter() - began)
    return say(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        here, there = mp.get_context("spawn").Pipe()
        process = mp.get_context("spawn").Process(target=serve, args=(folder, there))
        process.start()
        try:
            port, token = here.recv()
            base = f"http://127.0.0.1:{port}"
            sent = list(bodies(options.requests + 20, options.points))
            for path in (PARSE, PUSH):
                measure(base + path, token, sent[:20], 1)  # warm
            print(f"one durable write of 4 KiB on this disk: {fsync_seconds(folder) * 1e3:.2f} ms")
            parsed = report("parse only", options.points, *measure(base + PARSE, token, sent[20:], options.clients))
            stored = report("stored", options.points, *measure(base + PUSH, token, sent[20:], options.clients))
            print(f"ratio: storing takes {parsed / stored:.1f} times as long as parsing only")
        finally:
            here.send("stop")
            process.join(30)


if __name__ == "__main__":
    main()
