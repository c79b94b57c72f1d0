"""Flags of the past that are like one, and what became of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Connection, Select, bindparam, case, select

from monitor.schema import flag as table
from monitor.store.database import Database
from monitor.store.flag_rows import FlagRecord, to_record
from monitor.store.text import seconds
from thresholds.model import Flag

SAME_ITEM, SAME_RULE = 10, 5
LOOKED_AT = 200


class Likeness(StrEnum):
    """In what a flag is like another."""

    HERE = "here"
    """the same item, direction and area"""
    ELSEWHERE = "elsewhere"
    """the same item and direction in another area"""
    RULE = "rule"
    """the same rule and direction in the same area, another item"""


@dataclass(frozen=True, slots=True)
class Similar:
    record: FlagRecord
    likeness: Likeness


@dataclass(frozen=True, slots=True)
class Past:
    """flags    some of them, the most alike first, then the newest
    outcomes  how many of the last LOOKED_AT of the same item, direction and area got which verdict ("" for none)
    """

    flags: tuple[Similar, ...]
    outcomes: Mapping[str, int]


def similar_flags(db: Database, to: Flag, within: ColumnElement[bool]) -> Past:
    """Flags first flagged no later than `to` that are like it; only those that there are for this person."""
    item, other, judged = _queries(within)
    asked = {
        "not_id": to.id,
        "until": seconds(to.first_flagged),
        "of_kind": str(to.kind),
        "of_direction": str(to.direction),
        "of_item": to.item,
        "of_area": to.area,
    }
    with db.connect() as connection:
        by_item = _records(connection, item, asked)
        by_rule = _records(connection, other, asked | {"of_rule": to.rule})
        outcomes = Counter(connection.execute(judged, asked).scalars())
    return Past(
        tuple(Similar(one, Likeness.HERE if one.flag.area == to.area else Likeness.ELSEWHERE) for one in by_item)
        + tuple(Similar(one, Likeness.RULE) for one in by_rule),
        outcomes,
    )


@lru_cache(maxsize=100)
def _queries(within: ColumnElement[bool]) -> tuple[Select[Any], Select[Any], Select[Any]]:
    """Flags of the same item, of the same rule, and verdicts; `within` is one object for each visitor's areas."""
    c = table.c
    item: BindParameter[str] = bindparam("of_item")
    area: BindParameter[str] = bindparam("of_area")
    alike = (
        (c.id != bindparam("not_id"))
        & (c.first_flagged_at <= bindparam("until"))
        & within
        & (c.kind == bindparam("of_kind"))
        & (c.direction == bindparam("of_direction"))
    )
    newest = c.first_flagged_at.desc(), c.id
    rule = alike & (c.rule == bindparam("of_rule")) & (c.area == area) & (c.item != item)
    return (
        select(table)
        .where(alike, c.item == item)
        .order_by(case((c.area == area, 0), else_=1), *newest)
        .limit(SAME_ITEM),
        select(table).where(rule).order_by(*newest).limit(SAME_RULE),
        select(c.verdict).where(alike, c.item == item, c.area == area).order_by(*newest).limit(LOOKED_AT),
    )


def _records(connection: Connection, query: Select[Any], asked: Mapping[str, object]) -> list[FlagRecord]:
    rows = connection.execute(query, asked).mappings().all()
    return [to_record({**row, "findings": [{**f, "contributions": ()} for f in row["findings"][:1]]}) for row in rows]
