"""Notes that people write about a flag. They are only added to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, insert, select

from monitor.schema import flag
from monitor.schema_review import flag_note as table
from monitor.store.acts import Who, Witness, unseen
from monitor.store.database import Database
from monitor.store.reviews import locked
from monitor.store.text import moment, seconds, storable

LENGTH = 2000


@dataclass(frozen=True, slots=True)
class Note:
    """What somebody wrote; `name` is how pages call the person, `actor` how logs do."""

    at: datetime
    actor: str
    name: str
    text: str


def add_note(
    db: Database,
    flag_id: str,
    text: str,
    who: Who,
    now: datetime,
    within: ColumnElement[bool],
    witness: Witness = unseen,
) -> Note:
    """Add a note. Raises FlagNotFound; ValueError for one that is empty or longer than LENGTH."""
    text = storable(text.strip())
    if not 0 < len(text) <= LENGTH:
        raise ValueError(f"a note has 1 to {LENGTH} characters")
    at = seconds(now)
    with db.begin() as connection:
        locked(connection, flag_id, within)
        by = {"actor": storable(who.actor), "name": storable(who.name)}
        connection.execute(insert(table).values(flag_id=flag_id, at=at, text=text, **by))
        witness(connection, flag_id)
    return Note(moment(at), who.actor, who.name, text)


def notes_of(db: Database, flag_id: str, within: ColumnElement[bool]) -> list[Note]:
    """A flag's notes, oldest first; none where there is no such flag for this person."""
    c = table.c
    query = select(c.at, c.actor, c.name, c.text).join(flag, flag.c.id == c.flag_id)
    query = query.where(c.flag_id == storable(flag_id), within).order_by(c.id)
    with db.connect() as connection:
        return [Note(moment(row.at), row.actor, row.name, row.text) for row in connection.execute(query)]
