"""Every statement of the policy store. All values are bound parameters."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Delete, Insert, Select, Update, bindparam, delete, insert, select, update

from edge.store.schema import (
    POLICY_DRAFTS,
    POLICY_HISTORY,
    POLICY_INSTANCES,
    POLICY_REVISIONS,
    POLICY_SHADOW,
)
from edge.store.statements import POLICY_COUNTER, bump, counter, lock

VERSION_OF_POLICY: Final[Select[int]] = counter(POLICY_COUNTER)
LOCK_POLICY: Final[Select[int]] = lock(POLICY_COUNTER)
BUMP: Final[Update] = bump(POLICY_COUNTER)

_R: Final = POLICY_REVISIONS.c
_H: Final = POLICY_HISTORY.c
REVISION: Final = select(POLICY_REVISIONS).where(_R.revision == bindparam("wanted"))
# A range and not LIKE: hex digits sort before "g" in every collation, and there is nothing to escape.
REVISIONS_FROM: Final = (
    select(_R.revision).where(_R.revision >= bindparam("first"), _R.revision < bindparam("last")).limit(2)
)
ADD_REVISION: Final[Insert] = insert(POLICY_REVISIONS)

HISTORY: Final = select(POLICY_HISTORY).order_by(_H.seq.desc()).limit(bindparam("most"))
ADD_HISTORY: Final[Insert] = insert(POLICY_HISTORY)

DRAFTS: Final = select(POLICY_DRAFTS).order_by(POLICY_DRAFTS.c.name)
DRAFT: Final = select(POLICY_DRAFTS).where(POLICY_DRAFTS.c.name == bindparam("wanted"))
ADD_DRAFT: Final[Insert] = insert(POLICY_DRAFTS)
DROP_DRAFT: Final[Delete] = delete(POLICY_DRAFTS).where(POLICY_DRAFTS.c.name == bindparam("wanted"))

SHADOW: Final = select(POLICY_SHADOW, _R.modules, _R.tests, _R.data).join(
    POLICY_REVISIONS, POLICY_SHADOW.c.revision == _R.revision
)
ADD_SHADOW: Final[Insert] = insert(POLICY_SHADOW)
COUNT_SHADOW: Final[Update] = update(POLICY_SHADOW).values(counters=bindparam("sums"))
DROP_SHADOW: Final[Delete] = delete(POLICY_SHADOW)

INSTANCES: Final = select(POLICY_INSTANCES).order_by(POLICY_INSTANCES.c.seen_at.desc()).limit(bindparam("most"))
ADD_INSTANCE: Final[Insert] = insert(POLICY_INSTANCES)
DROP_INSTANCE: Final[Delete] = delete(POLICY_INSTANCES).where(POLICY_INSTANCES.c.id == bindparam("wanted"))
DROP_SILENT: Final[Delete] = delete(POLICY_INSTANCES).where(POLICY_INSTANCES.c.seen_at < bindparam("instant"))

# Nothing refers to them: the candidates of shadows that are over.
DROP_ORPHANS: Final[Delete] = delete(POLICY_REVISIONS).where(
    _R.revision.not_in(select(_H.revision).where(_H.revision.is_not(None))),
    _R.revision.not_in(select(_H.previous).where(_H.previous.is_not(None))),
    _R.revision.not_in(select(POLICY_SHADOW.c.revision)),
)
