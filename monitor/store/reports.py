"""Reports as they were made, edited and signed. A signed report does not change; reopening it is on record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import msgspec
from sqlalchemy import Connection, RowMapping, func, insert, select, update

from monitor.documents.model import Report, ReportKind
from monitor.rights import Areas
from monitor.schema_reports import report as table
from monitor.schema_reports import report_log as log_table
from monitor.store.database import Database, insert_into
from monitor.store.text import moment, moment_or_none, seconds, storable

DRAFT, SIGNED = "draft", "signed"


class ReportNotFound(Exception):
    """There is no such report, or it is not for the one who asks."""


class ReportChanged(Exception):
    """Somebody else edited or signed the report meanwhile. Nothing was stored."""


class ReportSigned(Exception):
    """A signed report is not edited."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A report with what became of it. `flag_id` and `area` of a report about one flag, else empty."""

    id: int
    report: Report
    state: str
    revision: int
    flag_id: str
    area: str
    made_at: datetime
    made_by: str
    signed_at: datetime | None
    signed_by: str

    @property
    def signed(self) -> bool:
        return self.state == SIGNED


@dataclass(frozen=True, slots=True)
class Listed:
    """A report in a list: without its body."""

    id: int
    kind: ReportKind
    title: str
    issue: int
    last: date
    state: str
    made_by: str
    signed_by: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a report's log."""

    at: datetime
    actor: str
    action: str


def key_of(kind: ReportKind, last: date, flag_id: str = "") -> str:
    """What makes two reports the same: never made twice."""
    return f"{kind.value}:{flag_id}:{last.isoformat()}" if flag_id else f"{kind.value}:{last.isoformat()}"


def add(
    db: Database, made: Report, actor: str, now: datetime, *, flag_id: str = "", area: str = ""
) -> tuple[int, bool]:
    """Store a new draft with the next number of its kind and year; gives its id and whether it is new.

    Where a report of this kind and period exists, that one is given back as it is: edits are never overwritten.
    """
    key, at = key_of(made.kind, made.last, flag_id), seconds(now)
    with db.begin() as connection:
        known = connection.execute(select(table.c.id).where(table.c.key == key)).scalar_one_or_none()
        if known is not None:
            return known, False
        if made.kind is not ReportKind.ABNORMAL:
            made = msgspec.structs.replace(made, issue=next_issue(connection, made.kind, made.last.year))
        values = {
            "key": key,
            "kind": made.kind.value,
            "title": made.title,
            "year": made.last.year,
            "issue": made.issue,
            "last_day": made.last.isoformat(),
            "flag_id": flag_id or None,
            "area": area,
            "body": text_of(made),
            "state": DRAFT,
            "made_at": at,
            "made_by": actor,
        }
        statement = insert_into(connection, table).values(values).on_conflict_do_nothing(index_elements=["key"])
        new: int | None = connection.execute(statement.returning(table.c.id)).scalar_one_or_none()
        if new is None:  # PostgreSQL: another process was quicker
            known = connection.execute(select(table.c.id).where(table.c.key == key)).scalar_one()
            return known, False
        write_log(connection, new, "made", actor, at)
        return new, True


def next_issue(connection: Connection, kind: ReportKind, year: int) -> int:
    newest = select(func.max(table.c.issue)).where(table.c.kind == kind.value, table.c.year == year)
    return (connection.execute(newest).scalar_one() or 0) + 1


def has(db: Database, kind: ReportKind, last: date) -> bool:
    with db.connect() as connection:
        return connection.execute(select(table.c.id).where(table.c.key == key_of(kind, last))).first() is not None


def get(db: Database, report_id: int, areas: Areas | None = None) -> Stored:
    """The report. Raises ReportNotFound, also where none of the areas may see it (None: everybody's)."""
    with db.connect() as connection:
        return locked(connection, report_id, areas)


def list_reports(
    db: Database,
    areas: Areas | None = None,
    kind: ReportKind | None = None,
    limit: int = 100,
    before: int | None = None,
) -> list[Listed]:
    """The newest first; `before` is the id after which the next page begins."""
    c = table.c
    query = select(c.id, c.kind, c.title, c.issue, c.last_day, c.state, c.made_by, c.signed_by)
    if areas is not None:
        query = query.where(areas.where(c.area))
    if kind is not None:
        query = query.where(c.kind == kind.value)
    if before is not None:
        query = query.where(c.id < before)
    with db.connect() as connection:
        rows = connection.execute(query.order_by(c.id.desc()).limit(limit)).all()
    return [Listed(r[0], ReportKind(r[1]), r[2], r[3], date.fromisoformat(r[4]), r[5], r[6], r[7]) for r in rows]


def edit(
    db: Database,
    report_id: int,
    changed: Report,
    actor: str,
    now: datetime,
    *,
    revision: int,
    areas: Areas | None = None,
) -> Stored:
    """Replace the texts of a draft. Raises ReportNotFound, ReportSigned, ReportChanged."""
    at = seconds(now)
    with db.begin() as connection:
        found = locked(connection, report_id, areas)
        if found.signed:
            raise ReportSigned
        if found.revision != revision:
            raise ReportChanged
        new = text_of(changed)
        if new != text_of(found.report):
            write(connection, report_id, title=changed.title, body=new, revision=revision + 1)
            write_log(connection, report_id, "edited", actor, at, text_of(found.report))
        return locked(connection, report_id, areas)


def sign(
    db: Database, report_id: int, actor: str, now: datetime, *, revision: int, areas: Areas | None = None
) -> Stored:
    """Sign a draft off as it was read. Raises ReportNotFound, ReportSigned, ReportChanged."""
    at = seconds(now)
    with db.begin() as connection:
        found = locked(connection, report_id, areas)
        if found.signed:
            raise ReportSigned
        if found.revision != revision:
            raise ReportChanged
        write(connection, report_id, state=SIGNED, signed_at=at, signed_by=actor, revision=revision + 1)
        write_log(connection, report_id, "signed", actor, at)
        return locked(connection, report_id, areas)


def reopen(
    db: Database, report_id: int, actor: str, now: datetime, *, revision: int, areas: Areas | None = None
) -> Stored:
    """Take a signature back, so that a mistake can be mended; who had signed stays in the log."""
    at = seconds(now)
    with db.begin() as connection:
        found = locked(connection, report_id, areas)
        if not found.signed or found.revision != revision:
            raise ReportChanged
        write(connection, report_id, state=DRAFT, signed_at=None, signed_by="", revision=revision + 1)
        write_log(connection, report_id, "reopened", actor, at, found.signed_by)
        return locked(connection, report_id, areas)


def log_of(db: Database, report_id: int) -> list[Entry]:
    c = log_table.c
    query = select(c.at, c.actor, c.action).where(c.report_id == report_id).order_by(c.id)
    with db.connect() as connection:
        return [Entry(moment(at), actor, action) for at, actor, action in connection.execute(query)]


def locked(connection: Connection, report_id: int, areas: Areas | None) -> Stored:
    query = select(table).where(table.c.id == report_id)
    if areas is not None:
        query = query.where(areas.where(table.c.area))
    row = connection.execute(query).mappings().first()
    if row is None:
        raise ReportNotFound
    return to_stored(row)


def to_stored(row: RowMapping) -> Stored:
    return Stored(
        id=row["id"],
        report=msgspec.json.decode(row["body"], type=Report),
        state=row["state"],
        revision=row["revision"],
        flag_id=row["flag_id"] or "",
        area=row["area"],
        made_at=moment(row["made_at"]),
        made_by=row["made_by"],
        signed_at=moment_or_none(row["signed_at"]),
        signed_by=row["signed_by"],
    )


def text_of(report: Report) -> str:
    return msgspec.json.encode(report).decode()


def write(connection: Connection, report_id: int, **values: object) -> None:
    connection.execute(update(table).where(table.c.id == report_id).values(**values))


def write_log(connection: Connection, report_id: int, action: str, actor: str, at: int, before: str = "") -> None:
    values = {"report_id": report_id, "at": at, "actor": storable(actor), "action": action, "before": before}
    connection.execute(insert(log_table).values(values))


def texts(report: Report) -> Sequence[str]:
    """All texts that may be edited, in the order of the form: lead, then paragraphs section by section."""
    return [report.lead, *(text for section in report.sections for text in section.paragraphs)]


def with_texts(report: Report, new: Sequence[str], remarks: Sequence[str], author: str, phone: str) -> Report:
    """The report with its editable texts replaced; figures stay. Raises ValueError where the numbers do not fit."""
    given, said = [storable(text) for text in new], [storable(text) for text in remarks]
    rows = sum(len(section.rows) for section in report.sections)
    if len(given) != len(texts(report)) or len(said) != rows:
        raise ValueError("the form does not belong to this report: reload the page")
    place, row, sections = 1, 0, []
    for section in report.sections:
        n, m = len(section.paragraphs), len(section.rows)
        changed = tuple(
            msgspec.structs.replace(one, remark=text)
            for one, text in zip(section.rows, said[row : row + m], strict=True)
        )
        sections.append(msgspec.structs.replace(section, paragraphs=tuple(given[place : place + n]), rows=changed))
        place, row = place + n, row + m
    return msgspec.structs.replace(
        report, lead=given[0], sections=tuple(sections), author=storable(author), phone=storable(phone)
    )
