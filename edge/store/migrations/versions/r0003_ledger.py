"""The ledger: the journal, what is rolled up of it, and who writes it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    sequence = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "ledger",
        sa.Column("seq", sequence, primary_key=True),
        sa.Column("kind", sa.Integer, nullable=False),
        sa.Column("instance", sa.String(32), nullable=False),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("day", sa.Integer, nullable=False),
        sa.Column("input", sa.BigInteger, nullable=False),
        sa.Column("output", sa.BigInteger, nullable=False),
        sa.Column("requests", sa.Integer, nullable=False),
        sa.Column("errors", sa.Integer, nullable=False),
        sa.Column("gpu_ms", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.Double),
        sa.Column("key", sa.Text),
        sa.Column("owner", sa.Text),
        sa.Column("groups", sa.Text),
        sa.Column("listener", sa.Text),
        sa.Column("model", sa.Text),
        sa.Column("rate_class", sa.Text),
        sa.Column("engine", sa.Text),
        sa.Column("operation", sa.Text),
        sa.Column("stream", sa.Integer),
        sa.Column("cached", sa.BigInteger),
        sa.Column("status", sa.Integer),
        sa.Column("reason", sa.Text),
        sa.Column("finish", sa.Text),
        sa.Column("source", sa.Text),
    )
    for name, kind in (("settled", 3), ("progress", 2)):
        only = sa.text(f"kind = {kind}")
        op.create_index(f"ix_ledger_{name}", "ledger", ["day"], sqlite_where=only, postgresql_where=only)
    op.create_table(
        "usage_daily",
        sa.Column("id", sequence, primary_key=True),
        sa.Column("day", sa.Integer, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("groups", sa.Text, nullable=False),
        sa.Column("listener", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("rate_class", sa.Text, nullable=False),
        sa.Column("engine", sa.Text, nullable=False),
        sa.Column("requests", sa.BigInteger, nullable=False),
        sa.Column("errors", sa.BigInteger, nullable=False),
        sa.Column("input", sa.BigInteger, nullable=False),
        sa.Column("output", sa.BigInteger, nullable=False),
        sa.Column("gpu_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_usage_daily_day", "usage_daily", ["day"])
    op.create_table(
        "ledger_instances",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("beat", sa.BigInteger, nullable=False),
        sa.Column("floor", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    for table in ("ledger_instances", "usage_daily", "ledger"):
        op.drop_table(table)
