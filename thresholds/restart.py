"""From when on an item must be evaluated again, so that what its newest readings change is found exactly.

What a rule finds at a reading never changes afterwards. What changes are flags that are open, what they hold back
once they are over, and the proposal to end what they began. So an item is evaluated from the beginning of the first
flag that is not behind it; its flags from before then stay as they are (tests/thresholds/test_restart.py compares).

A proposal to end something looks further back, at the newest reading that any rule found abnormal. So rules are asked
about some months before the flag too, or about everything where the flag is the whole city's. Where an item has one
series of means in the area, its readings after the flag's newest hit alone are looked at, and to them that hit is the
newest abnormal one, or one after it: nothing before the flag is asked about.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from thresholds.conditions import Condition, walk
from thresholds.conditions_exit import Calm
from thresholds.conditions_tree import All
from thresholds.exit_rules import ExitRule, concerned, exit_rules
from thresholds.model import Flag, Kind, SeriesKey
from thresholds.panel import DAY
from thresholds.plan import Pack, Policy

BEGINNING, NEVER = -(2**62), 2**62
AT_ONCE = 3 * DAY
"""Most seconds of news after which an item is evaluated from its restart on. No quote lapses in that time
(thresholds.aggregate)."""
ENOUGH = 30
"""Readings of a series that are enough for any rule on how many passed since something was abnormal."""
LOOK_BACK = 120 * DAY
"""Seconds before a flag whose end may be proposed in which rules are asked what else was abnormal."""


@dataclass(frozen=True, slots=True)
class Restart:
    """`since` and `asked` of thresholds.detect for one item."""

    since: int
    asked: int


WHOLE = Restart(BEGINNING, BEGINNING)


def one_mean(keys: Iterable[SeriesKey]) -> bool:
    """Whether an item whose series these are has one series of means in each area."""
    return len({(key.spec, key.unit, key.channel) for key in keys}) == 1


def restart(flags: Sequence[Flag], news: int, policy: Policy, city: str, *, alone: bool = False) -> Restart:
    """From when on one item is to be evaluated: `Restarts.of`."""
    return Restarts(policy, city).of(flags, news, alone=alone)


class Restarts:
    """From when on items are to be evaluated under a policy. `city`: name of the whole area, as flags have it."""

    def __init__(self, policy: Policy, city: str) -> None:
        self.city, self.rules, self.back = city, exit_rules(policy), looks_back(policy.exits)

    def of(self, flags: Sequence[Flag], news: int, *, alone: bool = False) -> Restart:
        """From when on an item is to be evaluated.

        flags  of kinds move and data of the item, as they were evaluated before its news
        news   the first second of which something is new; the newest of it is no more than `AT_ONCE` later
        alone  whether the item has one series of means in each area (`one_mean`); it may be said of none
        """
        known = [f for f in flags if f.kind is not Kind.SILENCE]
        since = min([news, *(begun(f) for f in known if news < settled(f, self.rules))])
        while True:  # nothing may be open at the beginning, nor hold anything back
            earlier = [begun(f) for f in known if begun(f) < since <= holds_until(f)]
            if not earlier:
                break
            since = min(earlier)
        judged = [f for f in known if begun(f) >= since and concerned(f, self.rules)]
        if self.back is None or any(f.area == self.city for f in judged):
            return Restart(since, BEGINNING)
        return Restart(since, since - self.back if judged and not alone else since)


def looks_back(exits: tuple[Pack, ...]) -> int | None:
    """Seconds before a flag in which its rules about the end look for what was abnormal; None where it is all."""
    calm = [one for pack in exits for rule in pack.rules for one in walk(rule.when) if isinstance(one, Calm)]
    demanded = [one for pack in exits for rule in pack.rules for one in conjoined(rule.when)]
    spans = [int(one.span.total_seconds()) for one in calm]
    known = all(one in demanded and one.readings < ENOUGH for one in calm)
    if not known or min(spans, default=NEVER) <= AT_ONCE:
        return None
    return max([LOOK_BACK, *spans])


def conjoined(root: Condition) -> list[Condition]:
    """The parts of which each must be true."""
    return [part for child in root.children() for part in conjoined(child)] if isinstance(root, All) else [root]


def settled_from(flag: Flag, policy: Policy) -> int:
    """The first second from which on nothing new can change the flag: after its end, and after the proposal to end
    what it began where there may be one."""
    return settled(flag, exit_rules(policy))


def settled(flag: Flag, rules: Sequence[ExitRule]) -> int:
    """The same, of the rules on the end of flags."""
    if flag.end is None or (flag.exit is None and concerned(flag, rules)):
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
