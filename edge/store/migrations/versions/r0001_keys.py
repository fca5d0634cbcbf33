"""Keys, their secrets, and the revision that tells other processes to look again.

A migration is history: it spells the tables out instead of importing `schema.py`, which moves on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "keys",
        sa.Column("id", sa.String(10), primary_key=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("groups", sa.JSON, nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("models", sa.JSON, nullable=False),
        sa.Column("networks", sa.JSON, nullable=False),
        sa.Column("listeners", sa.JSON, nullable=False),
        sa.Column("rpm", sa.BigInteger),
        sa.Column("tpm", sa.BigInteger),
        sa.Column("tpd", sa.BigInteger),
        sa.Column("concurrency", sa.BigInteger),
        sa.Column("priority", sa.String(32)),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double),
        sa.Column("revoked_at", sa.Double),
    )
    op.create_index("ix_keys_name", "keys", ["name"])
    op.create_table(
        "key_secrets",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("key_id", sa.String(10), sa.ForeignKey("keys.id", ondelete="CASCADE"), nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("pepper_id", sa.Integer, nullable=False),
        sa.Column("not_before", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_index("ix_key_secrets_key_id", "key_secrets", ["key_id"])
    meta = op.create_table(
        "meta",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(meta, [{"name": "revision", "value": 1}])


def downgrade() -> None:
    op.drop_table("meta")
    op.drop_table("key_secrets")
    op.drop_table("keys")
