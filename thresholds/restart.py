"""From when on an item must be evaluated again, so that what its newest readings change is found exactly.

What a rule finds at a reading never changes afterwards. What changes are flags that are open, and what they hold back
once they are over. So an item is evaluated from the beginning of the first flag that is not behind it; its flags from
before then are kept as they are (tests/thresholds/test_restart.py compares).
"""

from __future__ import annotations

from collections.abc import Iterable

from thresholds.model import Flag, Kind


def restart(flags: Iterable[Flag], news: int) -> int:
    """The time, in seconds, from which on an item is to be evaluated (`since` of thresholds.detect).

    flags  of kinds move and data of the item, as they were evaluated before its news; news is the first second of
           which something is new
    """
    known = [f for f in flags if f.kind is not Kind.SILENCE]
    since = min((seconds for f in known if (seconds := begun(f)) < news and open_at(f, news)), default=news)
    while True:  # nothing may be open at the beginning, nor hold anything back
        earlier = [begun(f) for f in known if begun(f) < since and holds_until(f) >= since]
        if not earlier:
            return since
        since = min(earlier)


def begun(flag: Flag) -> int:
    return int(flag.first_flagged.timestamp())


def open_at(flag: Flag, time: int) -> bool:
    """Whether the flag is open, or what is new at `time` may change when it ended."""
    return flag.end is None or int(flag.end.timestamp()) >= time


def holds_until(flag: Flag) -> int:
    """Until when a flag that was over at some time shut others out: through its end, and a cleared move for as long
    again as it had been held (thresholds.episodes)."""
    if flag.end is None:
        return 2**62
    end = int(flag.end.timestamp())
    if flag.kind is not Kind.MOVE or flag.end_reason != "cleared":
        return end
    return end + (end - int(flag.last_hit.timestamp()))
