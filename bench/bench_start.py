"""From the start of the process to /readyz 200, and memory when idle, beside a bare FastAPI and SQLAlchemy server.

The daemon has an inbox, a file channel and an empty, migrated SQLite database; no demonstration source. The peer is
one FastAPI route that asks SQLAlchemy for `SELECT 1`. Both in turn, each in a process of its own, with files and byte
code warm in the cache. Targets on a quiet machine: under 2 s, and under 250 MiB after 10 s.

    python bench/bench_start.py [rounds]
"""

from __future__ import annotations

import http.client
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROUNDS = 5
IDLE_SECONDS = 10.0
TARGET_SECONDS, TARGET_MIB = 2.0, 250

CONFIG = """
[database]
url = "sqlite:///monitor.db"
[web]
port = {port}
[alerts]
default_targets = [{{ channel = "log", address = "duty" }}]
[[channel]]
kind = "file"
name = "log"
path = "alerts.jsonl"
[[source]]
kind = "folder"
name = "inbox"
path = "inbox"
every = "10s"
"""

PEER = """
import sys
import uvicorn
from fastapi import FastAPI
from sqlalchemy import create_engine, text

engine = create_engine("sqlite:///peer.db")
app = FastAPI()

@app.get("/readyz")
def ready() -> dict[str, int]:
    with engine.connect() as connection:
        return {"ready": connection.execute(text("SELECT 1")).scalar_one()}

uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def memory(pid: int) -> float:
    """Resident MiB."""
    line = next(s for s in Path(f"/proc/{pid}/status").read_text("ascii").splitlines() if s.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def processor_seconds(pid: int) -> float:
    """What it has used of the processor so far: does not depend on what else runs."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def started(command: Sequence[str], folder: Path, port: int, idle: float = 0.0) -> tuple[float, float, float]:
    """Seconds until it is ready, seconds of the processor by then, MiB after `idle` more seconds."""
    with (folder / "output.log").open("ab") as log:
        begin = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        while not is_ready(port):
            if process.poll() is not None or time.perf_counter() - begin > 60:
                sys.exit(f"not ready: {(folder / 'output.log').read_text('utf-8')[-2000:]}")
            time.sleep(0.005)
        seconds, used = time.perf_counter() - begin, processor_seconds(process.pid)
        time.sleep(idle)
        return seconds, used, memory(process.pid)
    finally:
        process.terminate()
        process.wait(20)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with tempfile.TemporaryDirectory(prefix="bench-start-") as name:
        folder, port = Path(name), free_port()
        (folder / "config.toml").write_text(CONFIG.format(port=port), "utf-8")
        (folder / "peer.py").write_text(PEER, "utf-8")
        ours = [str(Path(sys.executable).parent / "monitor"), "run"]
        peer = [sys.executable, "peer.py", str(port)]
        started(ours, folder, port)  # makes database and byte code, and warms the cache
        started(peer, folder, port)
        results = [(started(ours, folder, port), started(peer, folder, port)) for _ in range(rounds)]
        idle = started(ours, folder, port, IDLE_SECONDS)[2], started(peer, folder, port, IDLE_SECONDS)[2]
    for place, who in enumerate(("daemon", "peer")):
        seconds = statistics.median(r[place][0] for r in results)
        used = statistics.median(r[place][1] for r in results)
        print(f"{who:7} ready after {seconds:.2f} s (processor {used:.2f} s), idle {idle[place]:.0f} MiB")
    ratio = statistics.median(mine[0] / theirs[0] for mine, theirs in results)
    ready = statistics.median(mine[0] for mine, _ in results)
    print(f"ratio {ratio:.2f}; medians of {rounds} rounds; other work on this machine: load {os.getloadavg()[0]:.1f}")
    met = ready < TARGET_SECONDS and idle[0] < TARGET_MIB
    print(f"target {'met' if met else 'missed'}: under {TARGET_SECONDS:g} s and {TARGET_MIB} MiB")


if __name__ == "__main__":
    main()
