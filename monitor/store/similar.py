"""Flags of the past that are like one, and what became of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, Select, case, select

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
    c = table.c
    earlier = (c.id != to.id) & (c.first_flagged_at <= seconds(to.first_flagged)) & within
    alike = earlier & (c.kind == str(to.kind)) & (c.direction == str(to.direction))
    here = case((c.area == to.area, 0), else_=1)
    newest = c.first_flagged_at.desc(), c.id
    item = select(table).where(alike, c.item == to.item).order_by(here, *newest).limit(SAME_ITEM)
    rule = alike & (c.rule == to.rule) & (c.area == to.area) & (c.item != to.item)
    other = select(table).where(rule).order_by(*newest).limit(SAME_RULE)
    judged = select(c.verdict).where(alike, c.item == to.item, c.area == to.area).order_by(*newest).limit(LOOKED_AT)
    by_item = _read(db, item)
    with db.connect() as connection:
        outcomes = Counter(connection.execute(judged).scalars())
    return Past(
        tuple(Similar(one, Likeness.HERE if one.flag.area == to.area else Likeness.ELSEWHERE) for one in by_item)
        + tuple(Similar(one, Likeness.RULE) for one in _read(db, other)),
        outcomes,
    )


def _read(db: Database, query: Select[tuple[object, ...]]) -> list[FlagRecord]:
    with db.connect() as connection:
        rows = connection.execute(query).mappings()
        return [
            to_record({**row, "findings": [{**f, "contributions": ()} for f in row["findings"][:1]]}) for row in rows
        ]
