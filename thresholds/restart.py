"""From when on an item must be evaluated again, so that what its newest readings change is found exactly.

What a rule finds at a reading never changes afterwards. What changes are flags that are open, what they hold back
once they are over, and the proposal to end what they began. So an item is evaluated from the beginning of the first
flag that is not behind it; its flags from before then stay as they are (tests/thresholds/test_restart.py compares).
"""

from __future__ import annotations

from collections.abc import Sequence

from thresholds.exit_rules import awaits_exit, concerned, exit_rules
from thresholds.model import Flag, Kind
from thresholds.plan import Policy

BEGINNING, NEVER = -(2**62), 2**62


def restart(flags: Sequence[Flag], news: int, policy: Policy) -> int:
    """The time, in seconds, from which on an item is to be evaluated (`since` of thresholds.detect).

    flags  of kinds move and data of the item, as they were evaluated before its news; news is the first second of
           which something is new, a few days ago at most

    A flag whose end may be proposed is judged by all that rules found: then it is the beginning of time.
    """
    known = [f for f in flags if f.kind is not Kind.SILENCE]
    unsettled = [f for f in known if news < settled_from(f, policy)]
    rules = exit_rules(policy)
    if any(concerned(f, rules) for f in unsettled):
        return BEGINNING
    since = min(news, min((begun(f) for f in unsettled), default=news))
    while True:  # nothing may be open at the beginning, nor hold anything back
        earlier = [begun(f) for f in known if begun(f) < since <= holds_until(f)]
        if not earlier:
            return since
        since = min(earlier)


def settled_from(flag: Flag, policy: Policy) -> int:
    """The first second from which on nothing new can change the flag: after its end, and after the proposal to end
    what it began where there may be one."""
    if flag.end is None or awaits_exit(flag, policy):
        return NEVER
    last = flag.end if flag.exit is None else max(flag.end, flag.exit.at)
    return int(last.timestamp()) + 1


def begun(flag: Flag) -> int:
    return int(flag.first_flagged.timestamp())


def holds_until(flag: Flag) -> int:
    """Until when a flag shut others out: through its end, and a cleared move for as long again as it had been held
    (thresholds.episodes)."""
    if flag.end is None:
        return NEVER
    end = int(flag.end.timestamp())
    if flag.kind is not Kind.MOVE or flag.end_reason != "cleared":
        return end
    return end + (end - int(flag.last_hit.timestamp()))
