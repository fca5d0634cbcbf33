"""What opening sends, and the counters by which processes that share a database notice each other's writes."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Insert, Select, Update, func, insert, select, update

from edge.store.schema import HEAD, META, VERSION

KEYS_COUNTER: Final = "revision"
"""The row of `meta` that every write to the keys raises."""
POLICY_COUNTER: Final = "policy"
"""The row of `meta` that is raised whenever another policy, or another shadow, is to run."""


def counter(name: str) -> Select[int]:
    """Reads one counter."""
    return select(META.c.value).where(META.c.name == name)


def lock(name: str) -> Select[int]:
    """Reads one counter and makes other writers wait: FOR UPDATE is PostgreSQL's, SQLite's writers wait anyway."""
    return counter(name).with_for_update()


def bump(name: str) -> Update:
    """Raises one counter; part of the transaction whose writes it announces."""
    return update(META).where(META.c.name == name).values(value=META.c.value + 1)


SCHEMA_VERSION: Final[Select[str]] = select(VERSION.c.version_num)
FIRST_VERSION: Final[Insert] = insert(VERSION).values(version_num=HEAD)
FIRST_COUNTERS: Final[Insert] = insert(META).values(
    [{"name": KEYS_COUNTER, "value": 1}, {"name": POLICY_COUNTER, "value": 1}]
)
# PostgreSQL only; the number ("lgw_") is any that nobody else's advisory lock uses.
LOCK_SCHEMA: Final = select(func.pg_advisory_xact_lock(0x6C67775F))
