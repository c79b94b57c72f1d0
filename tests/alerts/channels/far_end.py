"""Real servers on loopback that behave well or badly in a chosen way, and remember what reached them."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest


@dataclass
class Request:
    """One complete request as it arrived."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class FarEnd:
    """A listening server. `requests` holds the complete ones, `connections` counts all."""

    port: int
    scheme: str = "http"
    requests: list[Request] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"{self.scheme}://localhost:{self.port}/hook"


Behaviour = Callable[[socket.socket, FarEnd], None]


@contextmanager
def listening(behave: Behaviour, context: ssl.SSLContext | None = None) -> Iterator[FarEnd]:
    """A server whose every connection is handled by `behave` in its own thread."""
    listener = socket.create_server(("127.0.0.1", 0))
    end = FarEnd(listener.getsockname()[1], "https" if context else "http")
    threads: list[threading.Thread] = []

    def handle(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.settimeout(10)
            behave(context.wrap_socket(connection, server_side=True) if context else connection, end)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            end.connections += 1
            threads.append(threading.Thread(target=handle, args=(connection,), daemon=True))
            threads[-1].start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield end
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join(5)
        for thread in threads:
            thread.join(5)


def read_request(connection: socket.socket, end: FarEnd) -> Request:
    """Read one whole request and remember it."""
    stream = connection.makefile("rb")
    line = stream.readline().decode().strip()
    headers: dict[str, str] = {}
    while text := stream.readline().decode().strip():
        name, _, value = text.partition(":")
        headers[name.lower()] = value.strip()
    body = stream.read(int(headers.get("content-length", "0")))
    request = Request(line, headers, body)
    end.requests.append(request)
    return request


def answering(status: str, body: bytes = b"", **headers: str) -> Behaviour:
    """Reads the request and answers with this status line, body and headers."""

    def behave(connection: socket.socket, end: FarEnd) -> None:
        read_request(connection, end)
        more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n{more}\r\n"
        connection.sendall(head.encode() + body)

    return behave


def after_request(then: Callable[[socket.socket], None]) -> Behaviour:
    """Reads the whole request, then does something else than answering."""

    def behave(connection: socket.socket, end: FarEnd) -> None:
        read_request(connection, end)
        then(connection)

    return behave


def dripping(text: bytes, every: float) -> Callable[[socket.socket], None]:
    """Sends a byte now and then: each read of the other side succeeds, the whole never ends."""

    def drip(connection: socket.socket) -> None:
        for byte in text * 100:
            connection.sendall(bytes([byte]))
            time.sleep(every)

    return drip


def cut(connection: socket.socket) -> None:
    """Reset the connection instead of closing it politely."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    connection.close()


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-made certificate for localhost and its key, as PEM files."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, so no certificate can be made")
    made, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(made)]
    subprocess.run(command, check=True, capture_output=True)
    return made, key


def server_context(made: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made, key)
    return context
