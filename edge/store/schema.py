"""Tables. Times are seconds since the epoch, UTC; lists are JSON.

`HEAD` is the schema version this code works with; a test holds it, these tables and the migrations together.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
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
    event,
    text,
)

HEAD: Final = "0007"

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
    # `Origin` of edge/identity/record.py; null = made by hand.
    Column("origin", String(16)),
    Column("revoked_by", String(16)),
    # The machine the key was given to; null = not said.
    Column("device", String(64)),
    # The preset of edge/config/presets.py that it is bound to; null = none.
    Column("preset", String(32)),
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

# SQLite numbers rows by itself only where the column is spelled INTEGER.
_SEQUENCE: Final = BigInteger().with_variant(Integer, "sqlite")

# The journal: rows are added, and taken out only once they are rolled up or say nothing new. `kind` is 1 for a hold, 2
# for progress, 3 for a settlement. A settlement repeats who and what, so that usage is one walk over an index; its `at`
# and `day` (days since the epoch, UTC) are the hold's, when the limits charged it, `ended_at` is its own.
LEDGER: Final = Table(
    "ledger",
    METADATA,
    Column("seq", _SEQUENCE, primary_key=True),
    Column("kind", Integer, nullable=False),
    Column("instance", String(32), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("at", Double, nullable=False),
    Column("day", Integer, nullable=False),
    Column("input", BigInteger, nullable=False),
    Column("output", BigInteger, nullable=False),
    Column("requests", Integer, nullable=False),
    Column("errors", Integer, nullable=False),
    Column("gpu_ms", BigInteger, nullable=False),
    Column("ended_at", Double),
    Column("key", Text),
    Column("owner", Text),
    Column("groups", Text),
    Column("listener", Text),
    Column("model", Text),
    Column("rate_class", Text),
    Column("engine", Text),
    Column("operation", Text),
    Column("stream", Integer),
    Column("cached", BigInteger),
    Column("status", Integer),
    Column("reason", Text),
    Column("finish", Text),
    Column("source", Text),
    # No index covers holds, and the numbers are SQLite's own: each page less is a fifth of what a hold costs. No number
    # is given twice (`floor` relies on it), since a roll-up leaves the newest row where it is.
    # Both are partial: `_make_partial`.
    Index("ix_ledger_settled", "day"),
    Index("ix_ledger_progress", "day"),
)
_PARTIAL: Final = {"ix_ledger_settled": "kind = 3", "ix_ledger_progress": "kind = 2"}


@event.listens_for(LEDGER, "before_create")
def _make_partial(_table: Table, connection: Connection, **_: object) -> None:
    """Only now, for the database that is there: `postgresql_where=` in the table would import SQLAlchemy's PostgreSQL
    at each start (30 ms, 2 MB), whatever the database is."""
    for index in LEDGER.indexes:
        index.dialect_options[connection.dialect.name]["where"] = text(_PARTIAL[str(index.name)])


# Settlements of days gone by. Several rows may tell parts of the same: whoever reads sums them up.
USAGE_DAILY: Final = Table(
    "usage_daily",
    METADATA,
    Column("id", _SEQUENCE, primary_key=True),
    Column("day", Integer, nullable=False),
    Column("key", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("groups", Text, nullable=False),
    Column("listener", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("rate_class", Text, nullable=False),
    Column("engine", Text, nullable=False),
    Column("requests", BigInteger, nullable=False),
    Column("errors", BigInteger, nullable=False),
    Column("input", BigInteger, nullable=False),
    Column("output", BigInteger, nullable=False),
    Column("gpu_ms", BigInteger, nullable=False),
    Index("ix_usage_daily_day", "day"),
)

# Processes that write the journal. `beat` grows while one is alive; its open holds all have a `seq` above `floor`.
LEDGER_INSTANCES: Final = Table(
    "ledger_instances",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("started_at", Double, nullable=False),
    Column("beat", BigInteger, nullable=False),
    Column("floor", BigInteger, nullable=False),
)

# Kept responses. `thread` is the first response of the conversation: all of it is kept for equally long. `input` is
# what was sent for this response, `document` what was answered, both JSON, both texts of callers.
RESPONSES: Final = Table(
    "responses",
    METADATA,
    Column("id", String(37), primary_key=True),
    Column("owner", Text, nullable=False),
    Column("thread", String(37), nullable=False),
    Column("previous", String(37)),
    Column("expires_at", Double, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("input", LargeBinary, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Index("ix_responses_owner", "owner", "thread", "expires_at", "bytes"),
    Index("ix_responses_expires_at", "expires_at"),
)

# Alembic's own table, spelled as alembic does: read and first written without importing it.
VERSION: Final = Table(
    "alembic_version",
    METADATA,
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
