"""The HTTP server round the application, with the settings that a daemon on a small machine needs."""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

log = logging.getLogger("monitor.web")


def make_server(app: FastAPI, *, connections: int = 800, graceful_seconds: int = 5) -> uvicorn.Server:
    """A server to `run(sockets=[bind(...)])` in a thread of its own; `should_exit = True` stops it cleanly.

    Its own access log is off: it would write the secrets of acknowledge links. Ours is in guard.py.
    """
    import uvicorn

    config = uvicorn.Config(
        app,
        access_log=False,
        log_config=None,
        server_header=False,
        ws="none",
        lifespan="off",
        limit_concurrency=connections,
        timeout_keep_alive=20,
        timeout_graceful_shutdown=graceful_seconds,
        forwarded_allow_ips=["127.0.0.1", "::1"],
    )
    logging.getLogger("uvicorn.access").disabled = True
    return uvicorn.Server(config)


def bind(host: str, port: int) -> socket.socket:
    """A listening socket, made before the server starts so that a taken port is a clear error.

    Raises OSError with the address in its message.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Without the protocol named, asyncio does not switch Nagle's algorithm off, and every answer waits 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"cannot listen on {host}:{port}: {error.strerror}") from error
    return listener
