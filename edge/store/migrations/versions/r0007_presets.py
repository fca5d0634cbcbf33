"""The preset a key is bound to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("keys", sa.Column("preset", sa.String(32)))


def downgrade() -> None:
    op.drop_column("keys", "preset")
