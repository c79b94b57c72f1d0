"""A real `monitor run` in a process of its own, and what can be asked of it from outside."""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

CONSOLE_SCRIPT = Path(sys.executable).parent / "monitor"
PATIENCE = 90.0
"""seconds of real time that anything may take before the test fails: the machine may be busy"""


def until(done: Callable[[], Any], what: str, patience: float = PATIENCE, every: float = 0.02) -> Any:
    """Wait until `done()` is true, and give what it gave. Fails after `patience` seconds."""
    end = time.monotonic() + patience
    while not (answer := done()):
        if time.monotonic() > end:
            raise AssertionError(f"waited {patience:.0f} s in vain until {what}")
        time.sleep(every)
    return answer


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def monitor(*arguments: object, cwd: Path | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the console script to its end."""
    command = [str(CONSOLE_SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=PATIENCE, **options)


class Daemon:
    """One installation in `folder`. `config` is the text of its file; the address is put behind it.

    `log` is where its output goes, by default in the folder; `before` is put before its command.
    """

    def __init__(
        self,
        folder: Path,
        config: str,
        *,
        env: dict[str, str] | None = None,
        log: Path | None = None,
        before: Sequence[str] = (),
    ) -> None:
        self.before = before
        self.folder = folder
        self.port = free_port()
        self.path = folder / "config.toml"
        self.log = log or folder / "daemon.log"
        self.database = folder / "monitor.db"
        self.env = {**os.environ, **(env or {})}
        self.process: subprocess.Popen[bytes] | None = None
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=10, trust_env=False)
        self.write(config)

    def write(self, config: str) -> None:
        self.path.write_text(config + f'\n[web]\nhost = "127.0.0.1"\nport = {self.port}\n', "utf-8")

    def start(self) -> None:
        """Start it; does not wait until it is ready."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.before, str(CONSOLE_SCRIPT), "run", "--config", str(self.path)],
                cwd=self.folder,
                env=self.env,
                stdout=log,
                stderr=log,
            )

    @property
    def running(self) -> subprocess.Popen[bytes]:
        assert self.process is not None
        return self.process

    def started(self) -> None:
        """Start it and wait until it says that it is ready."""
        self.start()
        until(lambda: self.status() == 200 or self.running.poll() is not None, "the daemon is ready")
        assert self.running.poll() is None, self.tail()

    def status(self) -> int:
        """HTTP status of /readyz; 0 while nobody answers."""
        return self.get("/readyz")[0]

    def get(self, path: str) -> tuple[int, str]:
        try:
            answer = self.client.get(path)
        except httpx.TransportError:
            return 0, ""
        return answer.status_code, answer.text

    def metrics(self) -> dict[str, float]:
        """{name{labels}: value}"""
        lines = [line for line in self.get("/metrics")[1].splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric over all its series with these labels."""
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        return sum(
            value
            for series, value in self.metrics().items()
            if re.split(r"[{]", series)[0] == name and all(part in series for part in wanted)
        )

    def tail(self) -> str:
        return self.log.read_text("utf-8", "replace")[-3000:] if self.log.exists() else ""

    def said(self, text: str) -> bool:
        return self.log.exists() and text in self.log.read_text("utf-8", "replace")

    def kill(self) -> None:
        """As a power cut would, for the process."""
        self.running.kill()
        self.running.wait(30)

    def signal(self, number: signal.Signals) -> None:
        self.running.send_signal(number)

    def stop(self, seconds: float = 10.0) -> tuple[int, float]:
        """SIGTERM; gives exit code and seconds. Fails where it takes longer than `seconds`."""
        begin = time.monotonic()
        self.running.send_signal(signal.SIGTERM)
        code = self.running.wait(seconds)
        return code, time.monotonic() - begin

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()
        self.client.close()

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of its SQLite database, read from outside; none before there is a table."""
        return sqlite_rows(self.database, query, *values)

    def one(self, query: str, *values: object) -> Any:
        """The first value of the first row, 0 where there is none."""
        rows = self.rows(query, *values)
        return rows[0][0] if rows else 0


def sqlite_rows(path: Path, query: str, *values: object) -> list[tuple[Any, ...]]:
    if not path.exists():
        return []
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as connection:
        try:
            return connection.execute(query, values).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error) or "unable to open" in str(error) or "readonly" in str(error):
                return []
            raise


@contextmanager
def daemon(folder: Path, config: str, **options: Any) -> Iterator[Daemon]:
    """A running, ready daemon, killed at the end where it still runs."""
    one = Daemon(folder, config, **options)
    try:
        one.started()
        yield one
    finally:
        one.close()


def drop(folder: Path, name: str, text: str) -> None:
    """Put a sheet into an inbox, whole at once."""
    folder.mkdir(parents=True, exist_ok=True)
    hidden = folder / f".{name}"
    hidden.write_text(text, "utf-8")
    hidden.rename(folder / name)


def names(folder: Path) -> Sequence[str]:
    """Files in a folder, without folders and hidden ones."""
    with suppress(FileNotFoundError):
        return sorted(p.name for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    return []
