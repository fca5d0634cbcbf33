"""Tables. Times are seconds since the epoch, UTC; lists are JSON.

`HEAD` is the schema version this code works with; a test holds it, these tables and the migrations together.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)

HEAD: Final = "0002"

METADATA: Final = MetaData()

KEYS: Final = Table(
    "keys",
    METADATA,
    Column("id", String(10), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("owner", String(64), nullable=False),
    Column("groups", JSON, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("models", JSON, nullable=False),
    Column("networks", JSON, nullable=False),
    Column("listeners", JSON, nullable=False),
    Column("rpm", BigInteger),
    Column("tpm", BigInteger),
    Column("tpd", BigInteger),
    Column("concurrency", BigInteger),
    Column("priority", String(32)),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("revoked_at", Double),
    Index("ix_keys_name", "name"),
)

SECRETS: Final = Table(
    "key_secrets",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("key_id", String(10), ForeignKey("keys.id", ondelete="CASCADE"), nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("pepper_id", Integer, nullable=False),
    Column("not_before", Double, nullable=False),
    Column("expires_at", Double),
    Column("created_at", Double, nullable=False),
    Index("ix_key_secrets_key_id", "key_id"),
)

META: Final = Table(
    "meta",
    METADATA,
    Column("name", String(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

# A policy as somebody wrote it: without what the configuration adds. `revision` is the bundle's own hash.
POLICY_REVISIONS: Final = Table(
    "policy_revisions",
    METADATA,
    Column("revision", String(64), primary_key=True),
    Column("modules", JSON, nullable=False),
    Column("tests", JSON, nullable=False),
    Column("data", JSON, nullable=False),
    Column("created_at", Double, nullable=False),
)

# What was in force when; the newest row is in force now. A null revision is the default policy.
POLICY_HISTORY: Final = Table(
    "policy_history",
    METADATA,
    Column("seq", Integer, primary_key=True),
    Column("revision", String(64), ForeignKey("policy_revisions.revision")),
    Column("previous", String(64), ForeignKey("policy_revisions.revision")),
    Column("action", String(16), nullable=False),
    Column("at", Double, nullable=False),
    Column("author", String(64), nullable=False),
    Column("note", Text, nullable=False),
    Column("report", JSON, nullable=False),
)

POLICY_DRAFTS: Final = Table(
    "policy_drafts",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("modules", JSON, nullable=False),
    Column("tests", JSON, nullable=False),
    Column("data", JSON, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("author", String(64), nullable=False),
)

# At most one row, its id 1: the candidate that runs beside the live policy.
POLICY_SHADOW: Final = Table(
    "policy_shadow",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("revision", String(64), ForeignKey("policy_revisions.revision"), nullable=False),
    Column("sample", Double, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("author", String(64), nullable=False),
    Column("counters", JSON, nullable=False),
)

# What each OPA of the fleet said last.
POLICY_INSTANCES: Final = Table(
    "policy_instances",
    METADATA,
    Column("id", String(128), primary_key=True),
    Column("labels", JSON, nullable=False),
    Column("revision", String(128), nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("code", String(64), nullable=False),
    Column("message", Text, nullable=False),
)

# Alembic's own table, spelled as alembic does: read and first written without importing it.
VERSION: Final = Table(
    "alembic_version",
    METADATA,
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
