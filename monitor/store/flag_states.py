"""A flag as it was at any time, from what is stored now and what evaluations replaced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Double, select

from monitor.schema import flag as flag_table
from monitor.schema import flag_past
from monitor.store.database import Database
from monitor.store.flag_rows import machine_fields, to_flag
from monitor.store.text import moment, storable
from thresholds.model import Flag

NUMBERS = frozenset(c.name for c in flag_table.columns if isinstance(c.type, Double))


@dataclass(frozen=True, slots=True)
class State:
    """What the machine said of a flag at one time.

    number      counted from 1, the state in which the flag was first stored
    flag        the machine's part
    fields      the same as columns (flag_rows.machine_fields)
    evaluation  id of the evaluation that gave it; None: made before evaluations were kept
    until       when an evaluation replaced it; None for the newest
    """

    number: int
    flag: Flag
    fields: Mapping[str, Any]
    evaluation: int | None
    until: datetime | None


def flag_states(db: Database, flag_id: str) -> list[State]:
    """All states of a flag, the first one first; none where there is no such flag."""
    past = select(flag_past).where(flag_past.c.flag_id == storable(flag_id)).order_by(flag_past.c.id.desc())
    with db.snapshot() as connection:
        query = select(flag_table).where(flag_table.c.id == storable(flag_id))
        newest = connection.execute(query).mappings().one_or_none()
        replaced = connection.execute(past).mappings().all() if newest else []
    if newest is None:
        return []
    row: dict[str, Any] = dict(newest)
    states = [state_of(row, len(replaced) + 1, None)]
    for number, one in zip(range(len(replaced), 0, -1), replaced, strict=True):
        before = {name: float(v) if name in NUMBERS and v is not None else v for name, v in one["fields"].items()}
        row = row | before | {"evaluation_id": one["evaluation_id"]}
        states.append(state_of(row, number, moment(one["replaced_at"])))
    return states[::-1]


def state_of(row: Mapping[str, Any], number: int, until: datetime | None) -> State:
    flag = to_flag(row)
    return State(number, flag, machine_fields(flag), row["evaluation_id"], until)
