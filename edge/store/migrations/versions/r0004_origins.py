"""Where a key comes from, and who revoked it: keys of the configuration and of Compose stacks follow their source."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("keys", sa.Column("origin", sa.String(16)))
    op.add_column("keys", sa.Column("revoked_by", sa.String(16)))


def downgrade() -> None:
    op.drop_column("keys", "revoked_by")
    op.drop_column("keys", "origin")
