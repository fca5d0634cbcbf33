"""Kept responses."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "responses",
        sa.Column("id", sa.String(37), primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("thread", sa.String(37), nullable=False),
        sa.Column("previous", sa.String(37)),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("input", sa.LargeBinary, nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_responses_owner", "responses", ["owner", "thread", "expires_at", "bytes"])
    op.create_index("ix_responses_expires_at", "responses", ["expires_at"])


def downgrade() -> None:
    op.drop_table("responses")
