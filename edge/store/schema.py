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
)

HEAD: Final = "0001"

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

# Alembic's own table, spelled as alembic does: read and first written without importing it.
VERSION: Final = Table(
    "alembic_version",
    METADATA,
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
