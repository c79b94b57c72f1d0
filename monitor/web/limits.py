"""How often somebody may ask: token buckets in memory, bounded in number, for what one daemon sees."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable


class Buckets:
    """One bucket for each key: `burst` at once, then `rate` a second.

    Of more than `most` keys the longest unused are forgotten: who has that many addresses is stopped by the waits
    that are counted for an account (see monitor/store/sessions.py), not here.
    """

    def __init__(
        self, rate: float, burst: float, *, most: int = 20_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.rate, self.burst, self.most, self.clock = rate, burst, most, clock
        self._lock = threading.Lock()
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> float:
        """Take one; gives 0, or the seconds until there is one again (then nothing is taken)."""
        now = self.clock()
        with self._lock:
            left, at = self._left.pop(key, (self.burst, now))
            left = min(self.burst, left + (now - at) * self.rate)
            wait = 0.0 if left >= 1 else (1 - left) / self.rate
            self._left[key] = (left if wait else left - 1, now)
            while len(self._left) > self.most:
                self._left.popitem(last=False)
        return wait

    def __len__(self) -> int:
        return len(self._left)


class Limits:
    """The buckets of one application.

    sign_in   tries to sign in, by address: an office behind one address signs in within minutes
    unsafe    forms and other changes, by session
    anonymous the same of people without a session, by address
    """

    def __init__(self) -> None:
        self.sign_in = Buckets(0.5, 30)
        self.unsafe = Buckets(5, 120)
        self.anonymous = Buckets(1, 60)
