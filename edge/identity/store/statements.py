"""Every statement the store sends. All values are bound parameters; nothing of a credential ever reaches SQL."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Delete, Insert, Select, Update, bindparam, delete, insert, or_, select, update

from edge.store.schema import KEYS, SECRETS
from edge.store.statements import KEYS_COUNTER, bump, counter

REVISION: Final[Select[int]] = counter(KEYS_COUNTER)
BUMP: Final[Update] = bump(KEYS_COUNTER)

ALL_KEYS: Final = select(KEYS).order_by(KEYS.c.created_at, KEYS.c.id)
ALL_SECRETS: Final = select(SECRETS).order_by(SECRETS.c.id)
PEPPER_IDS: Final = select(SECRETS.c.pepper_id).distinct()
FIND: Final = ALL_KEYS.where(or_(KEYS.c.id == bindparam("reference"), KEYS.c.name == bindparam("reference")))
# FOR UPDATE is PostgreSQL's; SQLAlchemy leaves it out for SQLite, where BEGIN IMMEDIATE does the same.
LOCK: Final = select(KEYS).where(KEYS.c.id == bindparam("key")).with_for_update()
SECRETS_OF: Final = ALL_SECRETS.where(SECRETS.c.key_id == bindparam("key"))

ADD_KEY: Final[Insert] = insert(KEYS)
ADD_SECRET: Final[Insert] = insert(SECRETS)
CHANGE: Final[Update] = update(KEYS).where(KEYS.c.id == bindparam("key"))
END_SECRET: Final[Update] = (
    update(SECRETS)
    .where(SECRETS.c.key_id == bindparam("key"))
    .where(or_(SECRETS.c.expires_at.is_(None), SECRETS.c.expires_at > bindparam("end")))
    .values(expires_at=bindparam("end"))
)
DROP_DEAD: Final[Delete] = (
    delete(SECRETS).where(SECRETS.c.key_id == bindparam("key")).where(SECRETS.c.expires_at <= bindparam("instant"))
)
DROP_SECRETS: Final[Delete] = delete(SECRETS).where(SECRETS.c.key_id == bindparam("key"))
DROP_KEY: Final[Delete] = delete(KEYS).where(KEYS.c.id == bindparam("key"))
