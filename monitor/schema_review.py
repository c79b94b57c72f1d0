"""Tables of the review: who has taken which flag, notes, saved views, corrections of prices, questions to points.

They belong to `monitor.schema.metadata`; monitor/store/migrate.py imports this file, so that whoever opens a database
knows them. Accounts are named by id and by name: an account that is switched off still stands behind what it did.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from monitor.schema import BigId, metadata

saved_view = Table(
    "saved_view",
    metadata,
    # A filter of the review queue that somebody keeps under a name.
    Column("id", BigId, primary_key=True),
    Column("account_id", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("query", Text, nullable=False),  # as in the address: area=东区&kind=move
    Column("is_default", Boolean, nullable=False, server_default=text("false")),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("account_id", "name"),
)

flag_assignment = Table(
    "flag_assignment",
    metadata,
    # Who works on a flag. A row is never removed: nobody is account NULL, and `version` counts the changes.
    Column("flag_id", Text, ForeignKey("flag.id"), primary_key=True),
    Column("account_id", BigInteger),
    Column("name", Text, nullable=False, server_default=""),  # as shown: 监测员甲
    Column("version", Integer, nullable=False),
    Column("actor", Text, nullable=False),
    Column("assigned_at", BigInteger, nullable=False),
    Index("ix_flag_assignment_account_id", "account_id"),
)

flag_note = Table(
    "flag_note",
    metadata,
    # What people wrote about a flag. Only added to.
    Column("id", BigId, primary_key=True),
    Column("flag_id", Text, ForeignKey("flag.id"), nullable=False, index=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("name", Text, nullable=False, server_default=""),
    Column("text", Text, nullable=False),
)

review_act = Table(
    "review_act",
    metadata,
    # One judgement of one or several flags by one person: what "undo" takes back.
    Column("id", BigId, primary_key=True),
    Column("account_id", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("flags", JSON, nullable=False),  # [[flag id, its revision after the act]]
    Column("undone_at", BigInteger),
    Index("ix_review_act_account_id_id", "account_id", "id"),
)

correction = Table(
    "correction",
    metadata,
    # A value that somebody corrected by hand: the further revision of the observation, and why.
    Column("id", BigId, primary_key=True),
    Column("series_id", BigInteger, ForeignKey("series.id"), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("batch_id", BigInteger, nullable=False),
    Column("value_before", Double, nullable=False),
    Column("value", Double, nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("name", Text, nullable=False, server_default=""),
    Column("corrected_at", BigInteger, nullable=False),
    Column("flag_id", Text, ForeignKey("flag.id"), index=True),  # on whose page it was done
    Index("ix_correction_series_id_at", "series_id", "at"),
)

question = Table(
    "question",
    metadata,
    # "Please check": asked of a point about a flag, and what the point answered.
    Column("id", BigId, primary_key=True),
    Column("flag_id", Text, ForeignKey("flag.id"), nullable=False, index=True),
    Column("item", Text, nullable=False),
    Column("area", Text, nullable=False),
    Column("point", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("asked_by", Text, nullable=False),  # actor
    Column("asked_name", Text, nullable=False, server_default=""),
    Column("asked_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("answer", Text, nullable=False, server_default=""),
    Column("answered_by", Text, nullable=False, server_default=""),
    Column("answered_name", Text, nullable=False, server_default=""),
    Column("answered_at", BigInteger),
    Index("ix_question_point_answered_at", "point", "answered_at"),
)
