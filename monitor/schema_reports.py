"""Tables of the reports. The same metadata as monitor/schema.py."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table, Text

from monitor.schema import BigId, metadata

report = Table(
    "report",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("key", Text, nullable=False, unique=True),  # kind and period, or kind and flag: nothing is made twice
    Column("kind", Text, nullable=False),  # monitor.documents.model.ReportKind
    Column("title", Text, nullable=False),
    Column("year", Integer, nullable=False),
    Column("issue", Integer, nullable=False),  # 第N期 within the year and kind; 0: without a number
    Column("last_day", Text, nullable=False),  # ISO date
    Column("flag_id", Text),  # of a report about one flag
    Column("area", Text, nullable=False, server_default=""),  # whom it concerns; empty: the whole city
    Column("body", Text, nullable=False),  # monitor.documents.model.Report as JSON
    Column("state", Text, nullable=False),  # draft, signed
    Column("revision", Integer, nullable=False, server_default="1"),  # optimistic lock for those who edit
    Column("made_at", BigInteger, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("signed_at", BigInteger),
    Column("signed_by", Text, nullable=False, server_default=""),
    Index("ix_report_last_day_id", "last_day", "id"),
)

report_log = Table(
    "report_log",
    metadata,
    # Who made, changed and signed it; a change keeps what stood there before.
    Column("id", BigId, primary_key=True),
    Column("report_id", BigInteger, ForeignKey("report.id"), nullable=False, index=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),  # made, edited, signed, reopened
    Column("before", Text, nullable=False, server_default=""),
)
