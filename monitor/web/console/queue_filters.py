"""What the review queue can be narrowed to: the fields of its form and of its address, and what they mean."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Self
from urllib.parse import parse_qsl, urlencode

from monitor.store.flag_rows import FlagState
from monitor.store.review_queue import WAITING, Position, Wanted
from monitor.store.text import is_storable
from monitor.web.console.i18n import Text, _
from thresholds.model import Direction, Kind

STATES = {
    "": WAITING,
    "reviewed": (FlagState.REVIEWED,),
    "over": (FlagState.OVER,),
    "all": tuple(FlagState),
}
STATE_WORDS = {"": _("待处理"), "reviewed": _("已复核"), "over": _("已结束未复核"), "all": _("全部")}
KIND_WORDS = {str(Kind.MOVE): _("异常波动"), str(Kind.DATA): _("疑似数据错误"), str(Kind.SILENCE): _("数据中断")}
DIRECTION_WORDS = {str(Direction.UP): _("上涨"), str(Direction.DOWN): _("下跌")}
AGES = {
    "1d": (timedelta(0), timedelta(days=1)),
    "3d": (timedelta(0), timedelta(days=3)),
    "7d": (timedelta(0), timedelta(days=7)),
    "30d": (timedelta(0), timedelta(days=30)),
    "old": (timedelta(days=7), None),
}
AGE_WORDS = {
    "1d": _("最近1天"),
    "3d": _("最近3天"),
    "7d": _("最近7天"),
    "30d": _("最近30天"),
    "old": _("超过7天"),
}
ME, NOBODY = "me", "none"
LENGTH = 200


CHOICES: Mapping[str, Collection[str]] = {
    "state": STATES.keys(),
    "kind": KIND_WORDS.keys() | {""},
    "direction": DIRECTION_WORDS.keys() | {""},
    "age": AGES.keys() | {""},
}


@dataclass(frozen=True, slots=True)
class Filters:
    """The fields as in the address; empty: not asked. What cannot be meant is left out, so an old link still works.

    to  me, none, or the id of an account
    """

    state: str = ""
    area: str = ""
    cls: str = ""
    item: str = ""
    kind: str = ""
    direction: str = ""
    point: str = ""
    grade: str = ""
    age: str = ""
    to: str = ""

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Self:
        """From the fields of a form or an address."""
        found = {one.name: clean(given.get(one.name, "")) for one in fields(cls)}
        for name, allowed in CHOICES.items():
            if found[name] not in allowed:
                found[name] = ""
        if not (found["grade"].isdecimal() and len(found["grade"]) == 1):
            found["grade"] = ""
        if found["to"] not in (ME, NOBODY) and not (found["to"].isdecimal() and len(found["to"]) < 10):
            found["to"] = ""
        return cls(**found)

    @classmethod
    def of_query(cls, query: str) -> Self:
        return cls.of(dict(parse_qsl(query)))

    def query(self, **changes: str) -> str:
        """As in an address: what is asked, with these changes."""
        one = replace(self, **changes)
        return urlencode([(f.name, getattr(one, f.name)) for f in fields(one) if getattr(one, f.name)])

    def wanted(self, now: datetime, account: int, by_class: Mapping[str, Collection[str]]) -> Wanted:
        """What is looked for, by somebody with this account; `by_class` are the items of the classes."""
        newest, oldest = AGES.get(self.age, (timedelta(0), None))
        return Wanted(
            states=STATES[self.state],
            kinds=(self.kind,) if self.kind else (),
            areas=(self.area,) if self.area else (),
            items=by_class.get(self.cls, ()) if self.cls else None,
            item=self.item,
            direction=self.direction or None,
            point=self.point,
            ranks=(int(self.grade),) if self.grade else (),
            since=int((now - oldest).timestamp()) if oldest else None,
            until=int((now - newest).timestamp()) if newest else None,
            assignee={"": None, ME: account, NOBODY: 0}.get(self.to) if not self.to.isdecimal() else int(self.to),
        )


LABELS = {
    "state": _("状态"),
    "area": _("地区"),
    "cls": _("品类"),
    "item": _("品种"),
    "kind": _("类别"),
    "direction": _("方向"),
    "point": _("监测点"),
    "grade": _("等级"),
    "age": _("首次提示"),
    "to": _("分派"),
}
WORDS: Mapping[str, Mapping[str, Text]] = {
    "state": STATE_WORDS,
    "kind": KIND_WORDS,
    "direction": DIRECTION_WORDS,
    "age": AGE_WORDS,
    "to": {ME: _("我"), NOBODY: _("未分派")},
}


def chips(asked: Filters, names: Mapping[str, Mapping[str, str]]) -> list[tuple[Text, str, str]]:
    """What is asked, one by one: the field, its value in words, and the query without it. `names` are further words
    of values, by field."""
    found = []
    for name, label in LABELS.items():
        if value := getattr(asked, name):
            shown = names.get(name, {}).get(value) or str(WORDS.get(name, {}).get(value, value))
            found.append((label, shown, asked.query(**{name: ""})))
    return found


def clean(text: str) -> str:
    text = text.strip()[:LENGTH]
    return text if is_storable(text) else ""


def read_position(text: str) -> Position | None:
    """Where a page goes on, as `written_position` wrote it; None for anything else."""
    parts = text.split(".", 2)
    if len(parts) != 3 or not parts[0].isdecimal() or not parts[1].lstrip("-").isdecimal():
        return None
    if len(parts[0]) > 1 or len(parts[1]) > 12 or not 0 < len(parts[2]) <= 64 or not is_storable(parts[2]):
        return None
    return int(parts[0]), int(parts[1]), parts[2]


def written_position(position: Position) -> str:
    rank, at, flag_id = position
    return f"{rank}.{at}.{flag_id}"
