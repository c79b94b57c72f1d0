"""Sheets with planted moves, digit slips and corrections, and what must be stored of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

HEAD = "date,item,point,unit,area,value"
ITEMS = (
    *("芹菜", "大白菜", "菠菜", "黄瓜", "白萝卜", "茄子", "西红柿", "土豆", "青椒", "生姜", "大葱", "韭菜", "洋葱"),
    *("冬瓜", "南瓜", "苦瓜", "莲藕", "豆角", "草鱼", "鲤鱼", "苹果", "香蕉", "牛肉", "羊肉", "绿豆", "豆腐", "酱油"),
    *("食盐", "粳米", "鸡蛋", "面粉"),
)
POINTS = ("东市场", "西市场", "南超市", "北超市")

Row = tuple[date, str, str, float]


@dataclass(frozen=True)
class Sheet:
    """One file as a monitoring point sends it."""

    name: str
    rows: Sequence[Row]

    @property
    def text(self) -> str:
        lines = [f"{day},{item},{point},元/500克,全市,{value:g}" for day, item, point, value in self.rows]
        return "\n".join([HEAD, *lines, ""])


def price(day: date, item: str, point: str) -> float:
    """A calm price: a level of the item with up to 1.5 % of noise, the same every time."""
    noise = hashlib.sha256(f"{day}{item}{point}".encode()).digest()
    level = 4 + hashlib.sha256(item.encode()).digest()[0] / 32
    return round(level * (1 + (noise[0] - 128) / 8500), 2)


def calm(items: Iterable[str], last: date, days: int, points: Sequence[str] = POINTS) -> list[Row]:
    """Rows in order of days, ending on `last`."""
    return [
        (day, item, point, price(day, item, point))
        for day in (last - timedelta(days=days - n - 1) for n in range(days))
        for item in items
        for point in points
    ]


def planted(name: str, item: str, last: date, days: int = 60) -> Sheet:
    """One item with a digit slip at one point, and later a rise by 40 % at all points that stays."""
    slip, rise = last - timedelta(days=days // 2), last - timedelta(days=8)
    rows = []
    for day, what, point, value in calm([item], last, days):
        moved = value * (1.4 if day >= rise else 1.0) * (10 if day == slip and point == POINTS[0] else 1)
        rows.append((day, what, point, round(moved, 2)))
    return Sheet(name, rows)


def correction(name: str, of: Sheet) -> Sheet:
    """The digit slip of a sheet put right, its newest day changed, and one row said again that was right before."""
    days = sorted({row[0] for row in of.rows})
    slip, last = days[-1] - timedelta(days=len(days) // 2), days[-1]
    rows = [(d, i, p, round(v / 10, 2)) for d, i, p, v in of.rows if d == slip and p == POINTS[0]]
    rows += [(d, i, p, round(v * 1.01, 2)) for d, i, p, v in of.rows if d == last]
    rows += [(d, i, p, v) for d, i, p, v in of.rows if d == days[3]][:2]
    return Sheet(name, rows)


def large(name: str, items: Sequence[str], last: date, days: int, points: int) -> Sheet:
    """Many calm rows, with one rise by a half at the end."""
    rows = calm(items, last, days, [f"第{n}监测点" for n in range(points)])
    moved = [(d, i, p, round(v * 1.5, 2) if i == items[0] and d == last else v) for d, i, p, v in rows]
    return Sheet(name, moved)


def revisions(sheets: Iterable[Sheet]) -> dict[tuple[str, str, date], list[float]]:
    """What must be stored: the values of each (item, point, day) in the order received, without repeats in a row."""
    stored: dict[tuple[str, str, date], list[float]] = {}
    for sheet in sheets:
        for day, item, point, value in sheet.rows:
            known = stored.setdefault((item, point, day), [])
            if known[-1:] != [value]:
                known.append(value)
    return stored
