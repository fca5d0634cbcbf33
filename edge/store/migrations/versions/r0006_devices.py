"""The device a key was given to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("keys", sa.Column("device", sa.String(64)))


def downgrade() -> None:
    op.drop_column("keys", "device")
