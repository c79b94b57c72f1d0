"""Tables of people who sign in, and of the console. The same metadata as monitor/schema.py."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    false,
    true,
)

from monitor.schema import BigId, metadata

account = Table(
    "account",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("name", Text, nullable=False),
    Column("key", Text, nullable=False, unique=True),  # the name as it is compared
    Column("shown", Text, nullable=False),
    Column("active", Boolean, nullable=False, server_default=true()),
    Column("password", Text, nullable=False, server_default=""),  # Argon2; empty: none, no sign-in by password
    Column("must_change", Boolean, nullable=False, server_default=false()),
    Column("password_at", BigInteger),
    Column("totp", Text, nullable=False, server_default=""),  # secret of the second factor; empty: none
    Column("totp_step", BigInteger, nullable=False, server_default="0"),  # newest one used: no code works twice
    Column("oidc_name", Text, unique=True),  # how the provider of the office calls the account; NULL: not linked
    Column("oidc_subject", Text, nullable=False, server_default=""),  # bound at the first such sign-in
    Column("language", Text, nullable=False, server_default=""),
    Column("stamp", BigInteger, nullable=False, server_default="1"),  # grows with every change of rights
    Column("created_at", BigInteger, nullable=False),
    Column("signed_in_at", BigInteger),
)

account_role = Table(
    "account_role",
    metadata,
    Column("account_id", BigInteger, ForeignKey("account.id"), primary_key=True, autoincrement=False),
    Column("role", Text, primary_key=True, index=True),
    Column("area", Text, primary_key=True),  # "*": everywhere
)

account_point = Table(
    "account_point",
    metadata,
    Column("account_id", BigInteger, ForeignKey("account.id"), primary_key=True, autoincrement=False),
    Column("point", Text, primary_key=True),
)

role_change = Table(
    "role_change",
    metadata,
    # Roles that the installation changed; the others are as roles.toml has them.
    Column("role", Text, primary_key=True),
    Column("actions", JSON, nullable=False),
    Column("second_factor", Boolean, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
)

recovery_code = Table(
    "recovery_code",
    metadata,
    Column("account_id", BigInteger, ForeignKey("account.id"), primary_key=True, autoincrement=False),
    Column("hash", Text, primary_key=True),
)

session = Table(
    "session",
    metadata,
    Column("id", Text, primary_key=True),  # SHA-256 of the cookie
    Column("account_id", BigInteger, ForeignKey("account.id"), nullable=False, index=True),
    Column("csrf", Text, nullable=False),
    Column("stage", Text, nullable=False),  # code, full
    Column("stamp", BigInteger, nullable=False),  # of the account when it was made
    Column("created_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("address", Text, nullable=False),
    Column("agent", Text, nullable=False),
    Column("way", Text, nullable=False),  # password, code, recovery, oidc
    Column("flash", JSON, nullable=False),  # messages to show once
)

device = Table(
    "device",
    metadata,
    # Browsers from which an account has signed in before: others cannot lock these out.
    Column("id", Text, primary_key=True),  # SHA-256 of the cookie
    Column("account_id", BigInteger, ForeignKey("account.id"), nullable=False, index=True),
    Column("seen_at", BigInteger, nullable=False),
)

attempt = Table(
    "attempt",
    metadata,
    # Failures to sign in, by what they are counted against: account:…, address:…, device:…
    Column("key", Text, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("last_at", BigInteger, nullable=False, index=True),
    Column("until", BigInteger, nullable=False),
)

oidc_request = Table(
    "oidc_request",
    metadata,
    # Sign-ins that are at the provider of the office at this moment.
    Column("state", Text, primary_key=True),  # SHA-256 of it
    Column("browser", Text, nullable=False),  # SHA-256 of the cookie that was given beside it
    Column("nonce", Text, nullable=False),
    Column("verifier", Text, nullable=False),
    Column("next", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)

audit = Table(
    "audit",
    metadata,
    # Who saw and did what. Rows are added only.
    Column("id", BigId, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("object", Text, nullable=False),
    Column("detail", JSON, nullable=False),
    Column("address", Text, nullable=False, server_default=""),
    Column("request_id", Text, nullable=False, server_default=""),
    Index("ix_audit_actor_id", "actor", "id"),
    Index("ix_audit_object_id", "object", "id"),
    Index("ix_audit_action_id", "action", "id"),
)
