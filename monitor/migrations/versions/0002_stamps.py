"""Evaluations, policies and past states are kept: what flags were raised on can be rebuilt.

Flags that are there already keep no evaluation: what they were raised on is not known.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "series_past",
        sa.Column("series_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("batch_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("area", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("series_id", "batch_id", name=op.f("pk_series_past")),
    )
    op.create_table(
        "mark_log",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("series_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("before", sa.SmallInteger(), nullable=False),
        sa.Column("after", sa.SmallInteger(), nullable=False),
        sa.Column("flag_id", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("marked_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mark_log")),
    )
    op.create_index("ix_mark_log_series_id", "mark_log", ["series_id"], unique=False)
    op.create_table(
        "content",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_content")),
    )
    op.create_table(
        "policy",
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("stored_at", sa.BigInteger(), nullable=False),
        sa.Column("plans", sa.JSON(), nullable=False),
        sa.Column("packs", sa.JSON(), nullable=False),
        sa.Column("files", sa.JSON(), nullable=False),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_policy")),
    )
    op.create_table(
        "evaluation",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("batch_id", sa.BigInteger(), nullable=False),
        sa.Column("mark_id", sa.BigInteger(), nullable=False),
        sa.Column("since_at", sa.BigInteger(), nullable=False),
        sa.Column("program", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evaluation")),
    )
    op.create_table(
        "flag_past",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("flag_id", sa.Text(), nullable=False),
        sa.Column("evaluation_id", sa.BigInteger(), nullable=True),
        sa.Column("replaced_at", sa.BigInteger(), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["flag_id"], ["flag.id"], name=op.f("fk_flag_past_flag_id_flag")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flag_past")),
    )
    op.create_index(op.f("ix_flag_past_flag_id"), "flag_past", ["flag_id"], unique=False)
    op.add_column("flag", sa.Column("evaluation_id", sa.BigInteger(), nullable=True))
    op.add_column("flag_log", sa.Column("evaluation_id", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("flag_log") as log:
        log.drop_column("evaluation_id")
    op.drop_index(op.f("ix_flag_past_flag_id"), "flag_past")
    op.drop_table("flag_past")
    with op.batch_alter_table("flag") as flag:
        flag.drop_column("evaluation_id")
    op.drop_table("evaluation")
    op.drop_table("policy")
    op.drop_table("content")
    op.drop_index("ix_mark_log_series_id", "mark_log")
    op.drop_table("mark_log")
    op.drop_table("series_past")
