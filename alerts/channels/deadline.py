"""One deadline for a whole conversation: a far end that answers a byte now and then does not hold a channel up.

Time-outs of sockets bound each read and write; a timer that shuts the socket down bounds them together.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


class Deadline:
    """`passed` is true once the time was up; whatever error the conversation ends with is then a time-out."""

    def __init__(self) -> None:
        self.passed = False

    def check(self) -> None:
        """Raises TimeoutError once the time is up: asked after connecting, when there was no socket to shut down."""
        if self.passed:
            raise TimeoutError("connecting took too long")


@contextmanager
def deadline(seconds: float, current: Callable[[], socket.socket | None]) -> Iterator[Deadline]:
    """Shut down the socket that `current` gives when `seconds` are over and the block has not ended by then.

    Where there is no socket yet, the time-out of connecting bounds the wait; call `check` after it.
    """
    state = Deadline()

    def cut() -> None:
        state.passed = True
        with suppress(OSError):
            if (connection := current()) is not None:
                connection.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield state
    finally:
        timer.cancel()
