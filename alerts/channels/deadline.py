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


@contextmanager
def deadline(seconds: float, current: Callable[[], socket.socket | None]) -> Iterator[Deadline]:
    """Shut down the socket that `current` gives when `seconds` are over and the block has not ended by then.

    Where there is no socket yet, the time-out of connecting bounds the wait.
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
