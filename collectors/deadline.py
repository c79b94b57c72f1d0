"""A total time limit for work that blocks on sockets.

Per-read time-outs do not end a server that sends one byte per second. A Deadline does: when the time is up it calls
what was registered with `watch` (closing a socket, cancelling a query), and the blocked call returns with an error,
which its caller then names a time-out because `expired` is set.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType


class Deadline:
    """Use as a context manager; `seconds` count from entering it."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds  # a length of time, not a time of day: no clock is needed
        self._lock = threading.Lock()
        self._actions: list[Callable[[], object]] = []
        self._copies: list[socket.socket] = []
        self._fired = False
        self._timer = threading.Timer(seconds, self._fire)
        self._timer.daemon = True

    def __enter__(self) -> Deadline:
        self._end = time.monotonic() + self.seconds
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            self._actions.clear()
        for copy in self._copies:
            copy.close()

    @property
    def expired(self) -> bool:
        return self._fired or self.remaining() <= 0

    def remaining(self) -> float:
        """Seconds left, at least 0."""
        return max(0.0, self._end - time.monotonic())

    def watch(self, action: Callable[[], object]) -> None:
        """Have `action` called, in another thread, when the time is up; at once where it is up already."""
        with self._lock:
            if not self._fired:
                self._actions.append(action)
                return
        quietly(action)

    def watch_socket(self, sock: socket.socket) -> None:
        """Shut `sock` down when the time is up, so that a read or write blocked on it returns."""
        # The plain socket's shutdown: that of an SSL socket also drops its TLS state, under the reader's feet.
        self.watch(lambda: socket.socket.shutdown(sock, socket.SHUT_RDWR))

    def watch_descriptor(self, descriptor: int) -> None:
        """Shut the socket behind a file descriptor of somebody else down when the time is up."""
        copy = socket.socket(fileno=os.dup(descriptor))  # a copy stays ours when the owner closes the number
        self._copies.append(copy)
        self.watch(lambda: copy.shutdown(socket.SHUT_RDWR))

    def _fire(self) -> None:
        with self._lock:
            self._fired = True
            actions, self._actions = self._actions, []
        for action in actions:
            quietly(action)


def quietly(action: Callable[[], object]) -> None:
    """Call `action`; that a socket is closed already is no fault here."""
    with contextlib.suppress(OSError):
        action()
