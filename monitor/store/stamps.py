"""What an evaluation was made on, kept so that it can be made again.

A data revision is a pair of numbers: the newest batch that was seen, and the newest entry of the log of marks (what
reviewers had said until then). Both logs are written one transaction after the other and nothing in them is ever
changed, so the pair names one state of the data, and monitor/store/past.py rebuilds it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, insert, select

from monitor.schema import batch as batch_table
from monitor.schema import content, mark_log
from monitor.schema import evaluation as evaluation_table
from monitor.store.database import Database, insert_into
from monitor.store.text import moment


class DataRevision(NamedTuple):
    """One state of the data. Written as "17.3": batch 17, mark 3."""

    batch: int
    mark: int

    def __str__(self) -> str:
        return f"{self.batch}.{self.mark}"


REVISION = select(
    select(func.max(batch_table.c.id)).scalar_subquery(), select(func.max(mark_log.c.id)).scalar_subquery()
)


@dataclass(frozen=True, slots=True)
class Stamp:
    """What an evaluation was made on.

    policy    version of the policy (thresholds.plan.Policy.version)
    settings  digest of the settings that it depends on beside the policy (monitor/regime.py)
    data      the data revision
    since     epoch seconds: observations before this were not looked at (`[detection] history`)
    program   version of the program, of its detection code and of the libraries that compute
    """

    policy: str
    settings: str
    data: DataRevision
    since: int
    program: str


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A stored evaluation: its stamp, and when it was made."""

    id: int
    at: datetime
    stamp: Stamp


def data_revision(connection: Connection) -> DataRevision:
    """The state that `connection` sees. Only what is read in the same snapshot is of this revision."""
    batch, mark = connection.execute(REVISION).one()
    return DataRevision(batch or 0, mark or 0)


def keep_evaluation(connection: Connection, stamp: Stamp, now: int) -> int:
    """Store that an evaluation was made; gives its id."""
    row = insert(evaluation_table).values(
        at=now,
        policy=stamp.policy,
        settings=stamp.settings,
        batch_id=stamp.data.batch,
        mark_id=stamp.data.mark,
        since_at=stamp.since,
        program=stamp.program,
    )
    return int(connection.execute(row.returning(evaluation_table.c.id)).scalar_one())


def read_evaluations(db: Database, ids: Sequence[int]) -> dict[int, Evaluated]:
    """Stored evaluations by id."""
    query = select(evaluation_table).where(evaluation_table.c.id.in_(ids))
    with db.connect() as connection:
        return {
            row.id: Evaluated(
                row.id,
                moment(row.at),
                Stamp(row.policy, row.settings, DataRevision(row.batch_id, row.mark_id), row.since_at, row.program),
            )
            for row in connection.execute(query)
        }


def digest_of(text: str) -> str:
    """What a text is stored under."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def keep_texts(connection: Connection, texts: Sequence[str]) -> list[str]:
    """Store texts, each once; gives their digests."""
    rows = {digest_of(text): text for text in texts}
    if rows:
        new = insert_into(connection, content).on_conflict_do_nothing()
        connection.execute(new, [{"digest": digest, "text": text} for digest, text in sorted(rows.items())])
    return [digest_of(text) for text in texts]


def read_texts(connection: Connection, digests: Sequence[str]) -> dict[str, str]:
    """Stored texts by digest."""
    query = select(content.c.digest, content.c.text).where(content.c.digest.in_(digests))
    return {row.digest: row.text for row in connection.execute(query)}
