"""The review console: assignments, notes, saved views, corrections, questions; indexes of the queue."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "saved_view",
        sa.Column("id", BigId, nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("is_default", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_view")),
        sa.UniqueConstraint("account_id", "name", name=op.f("uq_saved_view_account_id_name")),
    )
    op.create_table(
        "flag_assignment",
        sa.Column("flag_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=True),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("assigned_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["flag_id"], ["flag.id"], name=op.f("fk_flag_assignment_flag_id_flag")),
        sa.PrimaryKeyConstraint("flag_id", name=op.f("pk_flag_assignment")),
    )
    op.create_index("ix_flag_assignment_account_id", "flag_assignment", ["account_id"])
    op.create_table(
        "flag_note",
        sa.Column("id", BigId, nullable=False),
        sa.Column("flag_id", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["flag_id"], ["flag.id"], name=op.f("fk_flag_note_flag_id_flag")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flag_note")),
    )
    op.create_index(op.f("ix_flag_note_flag_id"), "flag_note", ["flag_id"])
    op.create_table(
        "review_act",
        sa.Column("id", BigId, nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("flags", sa.JSON(), nullable=False),
        sa.Column("undone_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review_act")),
    )
    op.create_index("ix_review_act_account_id_id", "review_act", ["account_id", "id"])
    op.create_table(
        "correction",
        sa.Column("id", BigId, nullable=False),
        sa.Column("series_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("batch_id", sa.BigInteger(), nullable=False),
        sa.Column("value_before", sa.Double(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("corrected_at", sa.BigInteger(), nullable=False),
        sa.Column("flag_id", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["flag_id"], ["flag.id"], name=op.f("fk_correction_flag_id_flag")),
        sa.ForeignKeyConstraint(["series_id"], ["series.id"], name=op.f("fk_correction_series_id_series")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_correction")),
    )
    op.create_index("ix_correction_series_id_at", "correction", ["series_id", "at"])
    op.create_index(op.f("ix_correction_flag_id"), "correction", ["flag_id"])
    op.create_table(
        "question",
        sa.Column("id", BigId, nullable=False),
        sa.Column("flag_id", sa.Text(), nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("area", sa.Text(), nullable=False),
        sa.Column("point", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("asked_name", sa.Text(), server_default="", nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("answer", sa.Text(), server_default="", nullable=False),
        sa.Column("answered_by", sa.Text(), server_default="", nullable=False),
        sa.Column("answered_name", sa.Text(), server_default="", nullable=False),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["flag_id"], ["flag.id"], name=op.f("fk_question_flag_id_flag")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_question")),
    )
    op.create_index(op.f("ix_question_flag_id"), "question", ["flag_id"])
    op.create_index("ix_question_point_answered_at", "question", ["point", "answered_at"])
    op.create_index("ix_flag_queue", "flag", ["state", "grade_rank", "first_flagged_at", "id"])
    op.create_index("ix_flag_rule_first_flagged_at", "flag", ["rule", "first_flagged_at"])


def downgrade() -> None:
    op.drop_index("ix_flag_rule_first_flagged_at", "flag")
    op.drop_index("ix_flag_queue", "flag")
    for table in ("question", "correction", "review_act", "flag_note", "flag_assignment", "saved_view"):
        op.drop_table(table)
