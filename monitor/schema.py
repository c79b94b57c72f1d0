"""All tables. Times are epoch seconds (BIGINT, UTC) so that SQLite and PostgreSQL compare them alike.

What must last is a row here before anybody acts on it. Observations are never updated: a correction is a row with
the next revision, and the newest revision counts. See docs/adr/002-storage.md for the keys and pragmas.
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
    MetaData,
    SmallInteger,
    Table,
    Text,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

BigId = BigInteger().with_variant(Integer, "sqlite")  # SQLite autoincrements INTEGER PRIMARY KEY only

series = Table(
    "series",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("item", Text, nullable=False),
    Column("spec", Text, nullable=False, server_default=""),
    Column("unit", Text, nullable=False, server_default=""),
    Column("channel", Text, nullable=False, server_default=""),
    Column("point", Text, nullable=False, server_default=""),
    Column("area", Text, nullable=False, server_default=""),
    Column("source", Text, nullable=False, server_default=""),
    Column("first_seen_at", BigInteger, nullable=False),
    # Of the five parts together: as they are, they may be longer than PostgreSQL takes into an index.
    Column("key_hash", Text, nullable=False, unique=True),
    Index("ix_series_item", "item"),
)

batch = Table(
    "batch",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("source", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("accepted", Integer, nullable=False),
    Column("duplicate", Integer, nullable=False),
    Column("revised", Integer, nullable=False),
    Column("rejected", Integer, nullable=False),
)

observation = Table(
    "observation",
    metadata,
    Column("series_id", BigInteger, nullable=False, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False, primary_key=True, autoincrement=False),
    Column("revision", Integer, nullable=False, primary_key=True, autoincrement=False),
    Column("value", Double, nullable=False),
    Column("batch_id", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

observation_note = Table(
    "observation_note",
    metadata,
    Column("series_id", BigInteger, nullable=False, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False, primary_key=True, autoincrement=False),
    Column("revision", Integer, nullable=False, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
)

observation_mark = Table(
    "observation_mark",
    metadata,
    # thresholds.model.Mark bits of one revision: CONFLICT is written when it is stored, the others by a review.
    Column("series_id", BigInteger, nullable=False, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False, primary_key=True, autoincrement=False),
    Column("revision", Integer, nullable=False, primary_key=True, autoincrement=False),
    Column("mark", SmallInteger, nullable=False),
    Column("flag_id", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("marked_at", BigInteger, nullable=False),
)

series_past = Table(
    "series_past",
    metadata,
    # What a series said of itself until a batch changed it.
    Column("series_id", BigInteger, nullable=False, primary_key=True, autoincrement=False),
    Column("batch_id", BigInteger, nullable=False, primary_key=True, autoincrement=False),
    Column("area", Text, nullable=False),
    Column("source", Text, nullable=False),
)

mark_log = Table(
    "mark_log",
    metadata,
    # Every change that a review made to an observation_mark, with the bits before and after it.
    Column("id", BigId, primary_key=True),
    Column("series_id", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("before", SmallInteger, nullable=False),
    Column("after", SmallInteger, nullable=False),
    Column("flag_id", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("marked_at", BigInteger, nullable=False),
    Index("ix_mark_log_series_id", "series_id"),
)

reject = Table(
    "reject",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("batch_id", BigInteger, ForeignKey("batch.id"), nullable=False, index=True),
    Column("row", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("content", Text, nullable=False),
)

dirty = Table(
    "dirty",
    metadata,
    # Series with observations not yet evaluated; written with the observations, removed with the flags.
    Column("series_id", BigInteger, primary_key=True, autoincrement=False),
    Column("since_at", BigInteger, nullable=False),
    Column("marked_at", BigInteger, nullable=False),
    Column("stamp", BigInteger, nullable=False),
)

source_state = Table(
    "source_state",
    metadata,
    Column("source", Text, primary_key=True),
    Column("cursor", JSON, nullable=False),
    Column("last_attempt_at", BigInteger),
    Column("last_success_at", BigInteger),
    Column("last_observation_at", BigInteger),
    Column("failing_since", BigInteger),
    Column("last_error", Text, nullable=False, server_default=""),
    Column("last_reason", Text, nullable=False, server_default=""),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("token_id", BigInteger, primary_key=True, autoincrement=False),
    Column("key", Text, primary_key=True),
    Column("request_hash", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("response", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False, index=True),
)

token = Table(
    "token",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("hash", Text, nullable=False, unique=True),
    Column("scopes", JSON, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("areas", JSON(none_as_null=True)),  # NULL: everywhere
)

content = Table(
    "content",
    metadata,
    # Texts by the SHA-256 of their UTF-8: policy files and settings, each stored once.
    Column("digest", Text, primary_key=True),
    Column("text", Text, nullable=False),
)

policy = Table(
    "policy",
    metadata,
    # Every policy that flags were raised under, with all that is needed to load it again.
    Column("version", Text, primary_key=True),  # thresholds.plan.Policy.version
    Column("stored_at", BigInteger, nullable=False),
    Column("plans", JSON, nullable=False),  # ids of the plans in force
    Column("packs", JSON, nullable=False),  # ids of the rule packs that were switched on
    Column("files", JSON, nullable=False),  # [part, name, digest] in the order read
    Column("rules", JSON, nullable=False),  # rule id -> title, pack and source, for reading without loading it all
)

evaluation = Table(
    "evaluation",
    metadata,
    # An evaluation that changed flags: under which policy it was made, and what it had seen (see store/stamps.py).
    Column("id", BigId, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("policy", Text, nullable=False),
    Column("settings", Text, nullable=False),  # digest in `content`
    Column("batch_id", BigInteger, nullable=False),  # newest batch seen, 0 for none
    Column("mark_id", BigInteger, nullable=False),  # newest row of mark_log seen, 0 for none
    Column("since_at", BigInteger, nullable=False),  # observations before this were not looked at
    Column("program", Text, nullable=False),
)

flag = Table(
    "flag",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("plan_version", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("rule_version", Text, nullable=False),
    Column("item", Text, nullable=False),
    Column("point", Text, nullable=False),
    Column("area", Text, nullable=False),
    Column("direction", Text, nullable=False),
    Column("start_at", BigInteger, nullable=False),
    Column("first_flagged_at", BigInteger, nullable=False),
    Column("last_hit_at", BigInteger, nullable=False),
    Column("end_at", BigInteger),
    Column("end_reason", Text, nullable=False, server_default=""),
    Column("peak", Double),
    Column("grade_rank", SmallInteger, nullable=False),
    Column("grade", Text, nullable=False),
    Column("grade_colour", Text, nullable=False, server_default=""),
    Column("value", Double),
    Column("expected", Double),
    Column("threshold", Double),
    Column("reason", Text, nullable=False),
    Column("points", JSON, nullable=False),
    Column("findings", JSON, nullable=False),
    Column("exit", JSON(none_as_null=True)),  # the proposal to end what it began; NULL: none
    Column("evaluation_id", BigInteger),  # which one gave these values; NULL: made before evaluations were kept
    # what people did; the machine never writes these
    Column("acknowledged_at", BigInteger),
    Column("acknowledged_by", Text, nullable=False, server_default=""),
    Column("verdict", Text, nullable=False, server_default=""),
    Column("reviewer", Text, nullable=False, server_default=""),
    Column("reviewed_at", BigInteger),
    Column("note", Text, nullable=False, server_default=""),
    # bookkeeping
    Column("state", Text, nullable=False),  # open, acknowledged, reviewed, over
    Column("raised_at", BigInteger, nullable=False),  # wall clock: when this daemon first knew
    Column("updated_at", BigInteger, nullable=False),
    Column("revision", Integer, nullable=False, server_default="1"),  # optimistic lock for people
    Index("ix_flag_state_first_flagged_at", "state", "first_flagged_at"),
    Index("ix_flag_item", "item"),
    Index("ix_flag_queue", "state", "grade_rank", "first_flagged_at", "id"),
    Index("ix_flag_rule_first_flagged_at", "rule", "first_flagged_at"),
)

flag_log = Table(
    "flag_log",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("flag_id", Text, ForeignKey("flag.id"), nullable=False, index=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("detail", JSON, nullable=False),
    Column("evaluation_id", BigInteger),  # of what the machine did
)

flag_past = Table(
    "flag_past",
    metadata,
    # What an evaluation replaced in a flag: going back through these gives the flag as it was at any time.
    Column("id", BigId, primary_key=True),
    Column("flag_id", Text, ForeignKey("flag.id"), nullable=False, index=True),
    Column("evaluation_id", BigInteger),  # which evaluation had given the values that were replaced
    Column("replaced_at", BigInteger, nullable=False),
    Column("fields", JSON, nullable=False),  # column -> value before, only where it changed
)

person = Table(
    "person",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    Column("created_at", BigInteger, nullable=False),
)

contact = Table(
    "contact",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("person_id", BigInteger, ForeignKey("person.id"), nullable=False, index=True),
    Column("channel", Text, nullable=False),  # name of a configured channel
    Column("address", Text, nullable=False),
    Column("priority", SmallInteger, nullable=False, server_default="1"),
)

shift = Table(
    "shift",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("person_id", BigInteger, ForeignKey("person.id"), nullable=False),
    Column("duty", Text, nullable=False),  # monitoring, technical
    Column("start_at", BigInteger, nullable=False),
    Column("end_at", BigInteger, nullable=False),
    Index("ix_shift_end_at_start_at", "end_at", "start_at"),
)

notification = Table(
    "notification",
    metadata,
    Column("id", BigId, primary_key=True),
    # what + to whom + by which way: the same thing is never queued twice
    Column("key", Text, nullable=False, unique=True),
    Column("flag_id", Text, index=True),  # of a message about one flag; notification_flag has those of a digest too
    Column("change", Text, nullable=False, server_default=""),  # opened, raised, ended, withdrawn, digest
    Column("rank", SmallInteger, nullable=False, server_default="0"),  # highest grade told of: sent first
    Column("person", Text, nullable=False, server_default=""),
    Column("channel", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("payload", JSON, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("not_before", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("state", Text, nullable=False),  # see alerts/outbox.py State
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("uncertain", Integer, nullable=False, server_default="0"),  # attempts whose outcome is unknown
    Column("lease_until", BigInteger),
    Column("lease_owner", Text, nullable=False, server_default=""),
    Column("sent_at", BigInteger),
    Column("provider_id", Text, nullable=False, server_default=""),
    Column("last_error", Text, nullable=False, server_default=""),
    Column("last_reason", Text, nullable=False, server_default=""),
    Column("ack_hash", Text, nullable=False, server_default="", index=True),
    Column("acked_at", BigInteger),
    Column("acked_by", Text, nullable=False, server_default=""),
    Index("ix_notification_state_not_before", "state", "not_before"),
)

notification_flag = Table(
    "notification_flag",
    metadata,
    # Which changes of which flags a notification tells of: one row, or one for each flag of a digest.
    Column("notification_id", BigInteger, ForeignKey("notification.id"), primary_key=True, autoincrement=False),
    Column("flag_id", Text, primary_key=True, index=True),
    Column("change", Text, nullable=False),
)

record = Table(
    "record",
    metadata,
    # Decisions and observations that people entered. A change is a further revision: the newest counts, none is lost.
    Column("id", Text, primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),  # decision, observed
    Column("measure", Text, nullable=False),
    Column("issuer", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("start_at", BigInteger, nullable=False),
    Column("end_at", BigInteger),
    Column("items", JSON, nullable=False),
    Column("classes", JSON, nullable=False),
    Column("areas", JSON, nullable=False),
    Column("note", Text, nullable=False, server_default=""),
    Column("actor", Text, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
)
