"""Tables of data entry: uploads that wait for their commit, forms, the reporting duty, patrol records.

In the same metadata as monitor/schema.py; times are epoch seconds, `day` counts local days since 1970-01-01.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    false,
)

from monitor.schema import metadata

upload = Table(
    "upload",
    metadata,
    # A sheet as it came. Nothing of it is an observation before `state` is stored; it is deleted when it expires.
    Column("id", Text, primary_key=True),  # random, not to be guessed
    Column("actor", Text, nullable=False),
    Column("name", Text, nullable=False),  # as its owner called it: shown, never a path
    Column("content", LargeBinary, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("digest", Text, nullable=False),
    Column("choices", JSON, nullable=False),  # mapping and defaults, see monitor/entry/sheets.py
    Column("state", Text, nullable=False),  # waiting, stored
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("batch_id", BigInteger),
    Column("stored_at", BigInteger),
    Index("ix_upload_actor_created_at", "actor", "created_at"),
)

upload_mapping = Table(
    "upload_mapping",
    metadata,
    # How a person understood sheets with these column names, for the next one of the kind.
    Column("actor", Text, primary_key=True),
    Column("header", Text, primary_key=True),  # digest of the column names
    Column("choices", JSON, nullable=False),
    Column("used_at", BigInteger, nullable=False),
)

entry_form = Table(
    "entry_form",
    metadata,
    # A form that was stored, by the id that its page gave it: sent twice by a bad network, it is stored once.
    Column("actor", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),  # prices, complaints, patrol, decision
    Column("stored_at", BigInteger, nullable=False, index=True),
    Column("batch_id", BigInteger),  # of observations
    Column("answer", JSON, nullable=False),  # what its sender was told
)

report_duty = Table(
    "report_duty",
    metadata,
    # Which series are to be reported, worked out anew now and then: see monitor/entry/duties.py.
    Column("series_id", BigInteger, primary_key=True, autoincrement=False),
    Column("weekdays", SmallInteger, nullable=False),  # bits, Monday is 1
    Column("every", Integer, nullable=False),  # days between two reports, 0: by weekday
    Column("due", Integer, nullable=False),  # minutes after local midnight
    Column("origin", Text, nullable=False),  # office, configured, source, learned
    Column("working", Boolean, nullable=False, server_default=false()),  # on working days only
    Column("updated_at", BigInteger, nullable=False),
)

duty_rule = Table(
    "duty_rule",
    metadata,
    # The office's rules of who reports what by when. A change is a further revision that holds from its day on.
    Column("id", Text, primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("since", Integer, nullable=False),  # local day from which this revision holds
    Column("area", Text, nullable=False),  # of the point when it was entered; empty: the whole city
    Column("point", Text, nullable=False),  # empty: every point
    Column("items", JSON, nullable=False),  # empty: all
    Column("item_class", Text, nullable=False),  # empty: every class
    Column("weekdays", SmallInteger, nullable=False),  # bits, Monday is 1; 0: as before, or by `every`
    Column("every", Integer, nullable=False),
    Column("due", Integer, nullable=False),  # minutes after local midnight
    Column("working_days", Boolean, nullable=False),
    Column("emergency", Boolean, nullable=False),
    Column("none", Boolean, nullable=False),  # need not be reported
    Column("until", Integer),  # last local day; NULL: until it is ended
    Column("ended", Boolean, nullable=False),  # holds no longer from `since` on
    Column("note", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
)

report_day = Table(
    "report_day",
    metadata,
    # How complete a point's reports of one day were; worked out again for some days, while late ones come in.
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("point", Text, primary_key=True),
    Column("area", Text, nullable=False),
    Column("expected", Integer, nullable=False),
    Column("on_time", Integer, nullable=False),
    Column("late", Integer, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

patrol = Table(
    "patrol",
    metadata,
    # What was found and done on a market patrol (P10). A change is a further revision: none is lost.
    Column("id", Text, primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),  # see monitor/store/patrols.py
    Column("at", BigInteger, nullable=False, index=True),
    Column("area", Text, nullable=False),
    Column("place", Text, nullable=False),  # market, trader
    Column("items", JSON, nullable=False),
    Column("body", Text, nullable=False),
    Column("document", Text, nullable=False),  # of a reminder or penalty
    Column("amount", BigInteger),  # of a penalty, in fen
    Column("record_id", Text, nullable=False),  # what was recorded for the rules with it, empty: nothing
    Column("withdrawn", Boolean, nullable=False),
    Column("actor", Text, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
)
