"""Policies: revisions, what was in force when, drafts, the shadow, the fleet's OPAs; and their counter."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "policy_revisions",
        sa.Column("revision", sa.String(64), primary_key=True),
        sa.Column("modules", sa.JSON, nullable=False),
        sa.Column("tests", sa.JSON, nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_table(
        "policy_history",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("revision", sa.String(64), sa.ForeignKey("policy_revisions.revision")),
        sa.Column("previous", sa.String(64), sa.ForeignKey("policy_revisions.revision")),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("author", sa.String(64), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("report", sa.JSON, nullable=False),
    )
    op.create_table(
        "policy_drafts",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("modules", sa.JSON, nullable=False),
        sa.Column("tests", sa.JSON, nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
        sa.Column("author", sa.String(64), nullable=False),
    )
    op.create_table(
        "policy_shadow",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("revision", sa.String(64), sa.ForeignKey("policy_revisions.revision"), nullable=False),
        sa.Column("sample", sa.Double, nullable=False),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("author", sa.String(64), nullable=False),
        sa.Column("counters", sa.JSON, nullable=False),
    )
    op.create_table(
        "policy_instances",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("labels", sa.JSON, nullable=False),
        sa.Column("revision", sa.String(128), nullable=False),
        sa.Column("seen_at", sa.Double, nullable=False),
        sa.Column("code", sa.String(64), nullable=False),
        sa.Column("message", sa.Text, nullable=False),
    )
    meta = sa.table("meta", sa.column("name", sa.String), sa.column("value", sa.BigInteger))
    op.bulk_insert(meta, [{"name": "policy", "value": 1}])


def downgrade() -> None:
    op.execute("DELETE FROM meta WHERE name = 'policy'")
    for table in ("policy_instances", "policy_shadow", "policy_drafts", "policy_history", "policy_revisions"):
        op.drop_table(table)
