"""The proposal to end what a flag began."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("flag", sa.Column("exit", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    op.drop_column("flag", "exit")
