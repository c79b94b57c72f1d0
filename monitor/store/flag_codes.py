"""Flags by the code (编号) that messages name them by."""

from __future__ import annotations

from sqlalchemy import ColumnElement, select, true

from alerts.texts import CODE_LETTERS, short_code
from monitor.schema import flag
from monitor.store.database import Database

LETTERS = 5


def is_code(text: str) -> bool:
    """Whether a text could be the code of a flag, written in capitals or not."""
    return len(text) == LETTERS and all(letter in CODE_LETTERS for letter in text.upper())


def by_code(db: Database, code: str, within: ColumnElement[bool] | None = None) -> str | None:
    """The id of the newest flag of this code, of those `within` somebody's reach; None where there is none."""
    wanted = code.strip().upper()
    if not is_code(wanted):
        return None
    query = select(flag.c.id).where(true() if within is None else within)
    with db.connect() as connection:
        ids = connection.execute(query.order_by(flag.c.first_flagged_at.desc(), flag.c.id)).scalars()
        return next((one for one in ids if short_code(one) == wanted), None)
