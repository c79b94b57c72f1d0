"""Flags, changes and duty tables for the tests of telling people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

from alerts.notify import Change as AnyChange
from alerts.notify import Composed, NotifyOptions, Target, compose
from alerts.roster import Contact, Duty, Person, Roster, Shift
from thresholds.model import Direction, Finding, Flag, Grade, Kind

NOW = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)  # 09:30 in Shanghai
ZONE = ZoneInfo("Asia/Shanghai")
URL = "https://price.example"
GRADE_III = Grade(1, "三级", "yellow")
GRADE_I = Grade(3, "一级", "red")

FINDING = Finding(
    rule="rise",
    rule_version="1",
    at=NOW,
    direction=Direction.UP,
    value=5.6,
    expected=5.0,
    scale=float("nan"),
    score=12.0,
    threshold=10.0,
    unit="%",
    window="一周",
    n_used=7,
    reason="一周上涨 12.0%，超过 10%",
)

FLAG = Flag(
    id="f1",
    kind=Kind.MOVE,
    plan="price",
    plan_version="1",
    rule="rise",
    rule_version="1",
    item="大米",
    point="甲市场",
    area="甲区",
    direction=Direction.UP,
    start=NOW - timedelta(hours=17, minutes=30),
    first_flagged=NOW - timedelta(hours=1),
    last_hit=NOW - timedelta(hours=1),
    end=None,
    end_reason="",
    peak=5.6,
    peak_grade=GRADE_III,
    value=5.6,
    expected=5.0,
    threshold=5.5,
    reason="一周上涨 12.0%，超过 10%",
    findings=(FINDING,),
)


@dataclass(frozen=True)
class Change:
    what: str
    flag: Flag


def opened(flag_id: str = "f1", **changes: Any) -> Change:
    return Change("opened", replace(FLAG, id=flag_id, **changes))


def many(n: int) -> list[Change]:
    return [opened(f"f{i}") for i in range(1, n + 1)]


def duty(*ways: tuple[str, str], monitoring: Sequence[str] = ("值班员甲",), technical: Sequence[str] = ()) -> Roster:
    """People on duty round NOW, each with all of `ways` (channel, address; the first is used first)."""
    numbers = count(1)
    people = [Person(n, name) for n, name in enumerate((*monitoring, *technical), 1)]
    contacts = [
        Contact(next(numbers), person.id, channel, address, priority)
        for person in people
        for priority, (channel, address) in enumerate(ways, 1)
    ]
    posts = [Duty.MONITORING] * len(monitoring) + [Duty.TECHNICAL] * len(technical)
    start, end = NOW - timedelta(hours=1), NOW + timedelta(hours=7)
    shifts = [Shift(p.id, p.id, post, start, end) for p, post in zip(people, posts, strict=True)]
    return Roster(people, contacts, shifts)


PHONE = duty(("hook", "100"))


def told_of(
    changes: Iterable[AnyChange],
    roster: Roster = PHONE,
    *,
    told: Mapping[str, Sequence[Target]] | None = None,
    channels: Sequence[str] = ("hook", "mail"),
    options: NotifyOptions | None = None,
    now: datetime = NOW,
    **more: Any,
) -> Composed:
    return compose(
        list(changes),
        roster=roster,
        told=told or {},
        channels=channels,
        options=options or NotifyOptions(),
        public_url=URL,
        zone=ZONE,
        now=now,
        **more,
    )
