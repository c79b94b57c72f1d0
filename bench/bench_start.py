"""Seconds from the start of the process to /readyz answering 200, and the memory of the idle daemon, beside a peer in
the same run: a bare FastAPI and SQLAlchemy server that answers one path.

Run: .venv/bin/python bench/bench_start.py [runs]. Warm file cache: the first start of each is not counted.
"""

from __future__ import annotations

import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

CONFIG = """
[web]
port = {port}
[[channel]]
kind = "file"
name = "log"
path = "alerts.jsonl"
[alerts]
default_targets = [{{ channel = "log", address = "duty" }}]
"""
PEER = """
import sqlite3, sys
import uvicorn
from fastapi import FastAPI
from sqlalchemy import create_engine, text
app, engine = FastAPI(), create_engine("sqlite:///peer.db")
@app.get("/readyz")
def ready():
    with engine.connect() as connection:
        return connection.execute(text("select 1")).scalar()
uvicorn.run(app, port=int(sys.argv[1]), log_level="error")
"""
IDLE = 10.0


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def one_start(command: list[str], folder: Path, port: int, idle: float) -> tuple[float, int]:
    """Seconds to the first 200 from /readyz, and resident memory in MiB after `idle` more seconds."""
    begin = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            while time.perf_counter() < begin + 60:
                try:
                    if client.get("/readyz").status_code == 200:
                        break
                except httpx.HTTPError:
                    pass
                time.sleep(0.005)
        seconds = time.perf_counter() - begin
        time.sleep(idle)
        status = Path(f"/proc/{process.pid}/status").read_text("utf-8")
        resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        return seconds, resident // 1024
    finally:
        os.kill(process.pid, signal.SIGTERM)
        process.wait(15)


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        (folder / "config.toml").write_text(CONFIG.format(port=port), "utf-8")
        (folder / "peer.py").write_text(PEER, "utf-8")
        daemon = [sys.executable, "-m", "monitor", "run"]
        bare = [sys.executable, "peer.py", str(port)]
        for command in (daemon, bare):
            one_start(command, folder, port, 0)
        ours, peers = [], []
        for turn in range(runs):
            ours.append(one_start(daemon, folder, port, IDLE if turn == runs - 1 else 0))
            peers.append(one_start(bare, folder, port, 0))
        mine, other = statistics.median(s for s, _ in ours), statistics.median(s for s, _ in peers)
        print(f"start to ready: {mine:.2f} s (median of {runs}), bare server {other:.2f} s; ratio {mine / other:.2f}")
        print(f"idle memory {ours[-1][1]} MiB, bare server {peers[-1][1]} MiB")


if __name__ == "__main__":
    main()
