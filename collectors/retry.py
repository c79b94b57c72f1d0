"""Trying again within one fetch: exponential back-off with full jitter, and the server's own `Retry-After`.

Nothing here waits or draws numbers by itself: `sleep` and `random` are passed in, so tests take no time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from collectors.base import CollectError

Result = TypeVar("Result")
Sleep = Callable[[float], object]
Random = Callable[[], float]
"""a number from 0 (included) to 1 (excluded), like random.random"""

MAX_RETRY_AFTER = 86_400.0
"""seconds: a server that asks for more is asked again after a day"""


class RetryableError(CollectError):
    """A failure that may be over in a moment. Where it is not, it leaves the fetch as the CollectError it is."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How often and how patiently. `tries` counts the first one; waits are in seconds."""

    tries: int = 4
    first: float = 0.5
    longest: float = 30.0

    def wait(self, failures: int, random: Random) -> float:
        """Seconds before the next try after `failures` (1, 2, …) failures: uniform between 0 and a doubling limit."""
        return float(random() * min(self.longest, self.first * 2.0 ** min(failures - 1, 60)))


def parse_retry_after(header: str | None, now: datetime) -> float | None:
    """Seconds that a `Retry-After` header asks for (a number or an HTTP date), 0 to a day; None where unreadable."""
    text = (header or "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            when = parsedate_to_datetime(text)
        except ValueError:
            return None
        seconds = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - now.timestamp()
    return None if math.isnan(seconds) else min(max(seconds, 0.0), MAX_RETRY_AFTER)


def retrying(
    action: Callable[[], Result],
    *,
    backoff: Backoff,
    random: Random,
    sleep: Sleep,
    remaining: Callable[[], float],
) -> Result:
    """The result of `action`, tried again where it raises RetryableError.

    Gives up, raising the last error, after `backoff.tries`, or at once where the wait asked for by the source is
    longer than `backoff.longest` or the time `remaining` (seconds): then the next scheduled turn is soon enough.
    """
    failures = 0
    while True:
        try:
            return action()
        except RetryableError as error:
            failures += 1
            asked = error.retry_after or 0.0
            wait = max(backoff.wait(failures, random), asked)
            if failures >= backoff.tries or asked > backoff.longest or wait >= remaining():
                raise
        sleep(wait)
