"""What somebody does with several flags at once: judge them, take the judgement back, give them to a colleague.

Every flag has its own lock: the revision (judgements) and the version (assignments) that the person saw. A flag that
a colleague changed meanwhile is left as it is and named; the others go through. All is one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, RowMapping, insert, select, update

from monitor.schema import flag_log
from monitor.schema_review import flag_assignment, review_act
from monitor.store.database import Database, insert_into
from monitor.store.flag_rows import FlagRecord, Verdict, to_record
from monitor.store.reviews import FlagNotFound, Judgement, judge, locked, write_log
from monitor.store.text import seconds, storable

Within = ColumnElement[bool]
"""which flags exist for who asks, as a condition on the table `flag`"""


@dataclass(frozen=True, slots=True)
class Who:
    """Somebody who acts: the account, how logs call it (user:jia) and how pages do (监测员甲)."""

    account: int
    actor: str
    name: str


@dataclass(frozen=True, slots=True)
class Seen:
    """A flag as it was on the screen: its revision, and the version of its assignment (0: never assigned)."""

    flag: str
    revision: int
    version: int = 0


Witness = Callable[[Connection, str], None]
"""called for each flag that is changed, in the transaction that changes it: for the audit"""


def unseen(_connection: Connection, _flag: str) -> None:
    """Nobody writes it down besides the flag's own log."""


@dataclass(frozen=True, slots=True)
class Overtaken:
    """A flag that somebody else changed meanwhile, as it stands now. Nothing was written to it."""

    record: FlagRecord
    assignee: str


@dataclass(frozen=True, slots=True)
class Done:
    """What became of an act.

    act        number of the judgement, for taking it back; None where nothing was judged
    done       the flags that it went through for, with the state they have now
    overtaken  those that were changed meanwhile
    unknown    ids of which there is no flag, or none for this person
    """

    act: int | None = None
    verdict: str = ""
    done: Sequence[Seen] = ()
    overtaken: Sequence[Overtaken] = ()
    unknown: Sequence[str] = ()


@dataclass
class _Tally:
    done: list[Seen] = field(default_factory=list)
    overtaken: list[Overtaken] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def review_many(
    db: Database,
    seen: Collection[Seen],
    verdict: str,
    note: str,
    who: Who,
    now: datetime,
    within: Within,
    witness: Witness = unseen,
) -> Done:
    """Judge flags. The same judgement by the same person again (a form sent twice) is no conflict, and no news.

    Raises ValueError for an unknown verdict, StoreError.
    """
    said = Judgement(str(Verdict(verdict)), note, who.actor, seconds(now))
    judged: list[list[str | int]] = []
    with db.begin() as connection:
        db.bulk.lock_marks(connection)

        def write(row: RowMapping, one: Seen, version: int) -> Seen | None:
            if row["revision"] == one.revision:
                judge(db, connection, row, said, seconds(now))
                judged.append([one.flag, one.revision + 1])
                witness(connection, one.flag)
                return Seen(one.flag, one.revision + 1, version)
            again = row["revision"] == one.revision + 1 and row["reviewer"] == storable(who.actor)
            same = again and (row["verdict"], row["note"]) == (said.verdict, storable(note))
            return Seen(one.flag, row["revision"], version) if same else None

        tally = _each(connection, seen, within, write)
        act = _keep(connection, who, seconds(now), said.verdict, judged)
    return Done(act, said.verdict, tally.done, tally.overtaken, tally.unknown)


def undo(
    db: Database, who: Who, now: datetime, within: Within, act: int | None = None, witness: Witness = unseen
) -> Done | None:
    """Take back the person's last judgement that still stands, or the one numbered `act`: each of its flags gets the
    judgement back that it had before, with the marks of that one. Flags that were judged again since are left.

    Gives None where there is nothing to take back. `verdict` of the result is the one that was taken back.
    """
    a, at = review_act.c, seconds(now)
    mine = (a.account_id == who.account) & a.undone_at.is_(None)
    query = select(review_act).where(mine).order_by(a.id.desc()).limit(1).with_for_update()
    with db.begin() as connection:
        db.bulk.lock_marks(connection)
        last = connection.execute(query if act is None else query.where(a.id == act)).mappings().one_or_none()
        if last is None:
            return None

        def write(row: RowMapping, one: Seen, version: int) -> Seen | None:
            if row["revision"] != one.revision:
                return None
            before = judgements(connection, one.flag)[:-1]
            said = before[-1] if before else Judgement()
            judge(db, connection, row, said, at, action="undone", actor=who.actor, more={"undone": row["verdict"]})
            witness(connection, one.flag)
            return Seen(one.flag, one.revision + 1, version)

        tally = _each(connection, [Seen(flag, revision) for flag, revision in last["flags"]], within, write)
        connection.execute(update(review_act).where(a.id == last["id"]).values(undone_at=at))
    return Done(last["id"], last["verdict"], tally.done, tally.overtaken, tally.unknown)


def last_act(db: Database, account: int) -> Done | None:
    """The person's last judgement that was not taken back, None where there is none."""
    a = review_act.c
    mine = (a.account_id == account) & a.undone_at.is_(None)
    query = select(a.id, a.verdict, a.flags).where(mine).order_by(a.id.desc()).limit(1)
    with db.connect() as connection:
        row = connection.execute(query).one_or_none()
    return None if row is None else Done(row.id, row.verdict, [Seen(flag, revision) for flag, revision in row.flags])


def assign_many(
    db: Database,
    seen: Collection[Seen],
    to: tuple[int, str] | None,
    who: Who,
    now: datetime,
    within: Within,
    witness: Witness = unseen,
) -> Done:
    """Give flags to the account `to` (id, name), or to nobody. A flag that was judged or given to somebody meanwhile
    is left as it is."""
    account, name = to or (None, "")
    at = seconds(now)
    with db.begin() as connection:

        def write(row: RowMapping, one: Seen, version: int) -> Seen | None:
            if (row["revision"], version) != (one.revision, one.version):
                return None
            values = {"account_id": account, "name": storable(name), "version": version + 1}
            values |= {"actor": storable(who.actor), "assigned_at": at}
            new = insert_into(connection, flag_assignment).values(flag_id=one.flag, **values)
            connection.execute(new.on_conflict_do_update(index_elements=["flag_id"], set_=values))
            write_log(connection, [(one.flag, "assigned", {"to": storable(name)})], storable(who.actor), at)
            witness(connection, one.flag)
            return Seen(one.flag, one.revision, version + 1)

        tally = _each(connection, seen, within, write)
    return Done(None, "", tally.done, tally.overtaken, tally.unknown)


def judgements(connection: Connection, flag_id: str) -> list[Judgement]:
    """Every judgement of a flag that was not taken back, the oldest first."""
    c = flag_log.c
    query = (
        select(c.at, c.actor, c.action, c.detail)
        .where(c.flag_id == flag_id, c.action.in_(["reviewed", "undone"]))
        .order_by(c.id)
    )
    standing: list[Judgement] = []
    for row in connection.execute(query):
        if row.action == "undone":
            standing = standing[:-1]
        else:
            standing.append(Judgement(row.detail["verdict"], row.detail.get("note", ""), row.actor, row.at))
    return standing


def _each(
    connection: Connection,
    seen: Collection[Seen],
    within: Within,
    write: Callable[[RowMapping, Seen, int], Seen | None],
) -> _Tally:
    """Do `write` to each flag (its row, what was seen, the version of its assignment); None says it was overtaken.

    In order of ids, so that two people with the same flags never wait for each other.
    """
    tally = _Tally()
    for one in sorted({one.flag: one for one in seen}.values(), key=lambda one: one.flag):
        try:
            row = locked(connection, one.flag, within)
        except FlagNotFound:
            tally.unknown.append(one.flag)
            continue
        a = flag_assignment.c
        held = connection.execute(select(a.version, a.name).where(a.flag_id == one.flag)).one_or_none()
        done = write(row, one, held.version if held else 0)
        if done is None:
            tally.overtaken.append(Overtaken(to_record(row), held.name if held else ""))
        else:
            tally.done.append(done)
    return tally


def _keep(connection: Connection, who: Who, at: int, verdict: str, judged: list[list[str | int]]) -> int | None:
    if not judged:
        return None
    new = insert(review_act).values(account_id=who.account, at=at, verdict=verdict, flags=judged)
    made: int = connection.execute(new.returning(review_act.c.id)).scalar_one()
    return made


__all__ = ["Done", "Overtaken", "Seen", "Who", "assign_many", "judgements", "last_act", "review_many", "undo"]
