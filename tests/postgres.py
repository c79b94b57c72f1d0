"""A real PostgreSQL for the tests: started by them in a temporary folder, on a unix socket, gone afterwards."""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from itertools import count
from pathlib import Path

import psycopg
from psycopg import sql

PR_SET_PDEATHSIG = 1


def binaries() -> Path | None:
    """The folder of initdb and postgres: on the PATH, or where Debian puts it. None where it is not installed."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name.split(".")[0]))
    return next((folder for folder in reversed(folders) if (folder / "initdb").exists()), None)


def die_with_parent() -> None:
    """Let the kernel stop the server when the tests are killed (Linux; elsewhere it stays)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)


class Postgres:
    """One server. PostgreSQL refuses to run as root, so as root it runs as the user `postgres`."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder
        self.user = "postgres" if os.geteuid() == 0 else None
        self.home = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        self.process: subprocess.Popen[bytes] | None = None
        self._names = count(1)
        if self.user:
            account = pwd.getpwnam(self.user)
            os.chown(self.home, account.pw_uid, account.pw_gid)
        self.run("initdb", "-D", str(self.home / "data"), "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-locale")
        self.start()

    def run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self.bin / program, *arguments],
            user=self.user,
            cwd=self.home,
            check=True,
            capture_output=True,
            timeout=60,
        )

    def start(self) -> None:
        """Start the server and wait until it answers."""
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.home),
            "fsync": "off",  # the tests kill programs, not the power
            "max_connections": "50",
            "shared_buffers": "64MB",
        }
        log = (self.home / "server.log").open("ab")
        self.process = subprocess.Popen(
            [self.bin / "postgres", "-D", self.home / "data", *(f"--{k}={v}" for k, v in settings.items())],
            user=self.user,
            cwd=self.home,
            stdout=log,
            stderr=log,
            preexec_fn=die_with_parent,
        )
        log.close()
        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.dsn("postgres")).close()
            except psycopg.OperationalError:
                assert self.process.poll() is None, (self.home / "server.log").read_text()
                assert time.monotonic() < deadline, "PostgreSQL does not answer"
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """Stop it as a power cut would, without any goodbye to its clients."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(30)
            self.process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.home)

    def dsn(self, name: str) -> str:
        return f"host={self.home} user=tester dbname={name}"

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://tester@/{name}?host={self.home}"

    def create(self, template: str = "template1") -> str:
        """A new database; gives its name."""
        name = f"t{next(self._names)}"
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            connection.execute(statement)
        return name

    def drop(self, name: str) -> None:
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            connection.execute(statement)
