"""Every statement on `responses`. All values are bound parameters; none reads a row of another owner."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Delete, Insert, Select, Update, bindparam, cast, delete, func, insert, select, update

from edge.store.schema import RESPONSES

_T: Final = RESPONSES.c
_MINE: Final = (_T.owner == bindparam("whose"), _T.expires_at > bindparam("now"))

# PostgreSQL's sum of integers is a numeric, which Python gets as a Decimal.
_SIZE: Final = cast(func.coalesce(func.sum(_T.bytes), 0), BigInteger)

ADD: Final[Insert] = insert(RESPONSES)
ONE: Final = select(_T.id, _T.input, _T.document).where(_T.id == bindparam("wanted"), *_MINE)
THREAD: Final = select(_T.thread).where(_T.id == bindparam("wanted"), *_MINE)
"""The conversation that a response belongs to."""
SEVERAL: Final = select(_T.id, _T.input, _T.document).where(_T.id.in_(bindparam("wanted", expanding=True)), *_MINE)
SIZES: Final = select(_T.id, _T.bytes).where(_T.id.in_(bindparam("wanted", expanding=True)), *_MINE)
DROP: Final[Delete] = delete(RESPONSES).where(_T.id == bindparam("wanted"), *_MINE)
EXTEND: Final[Update] = (
    update(RESPONSES)
    .where(_T.owner == bindparam("whose"), _T.thread == bindparam("which"))
    .values(expires_at=bindparam("until"))
)


def _chain() -> Select[tuple[str, str, int]]:
    """The conversation up to `wanted`, newest first: id, what it goes on from, size."""
    newest = select(_T.id, _T.previous, _T.bytes).where(_T.id == bindparam("wanted"), *_MINE).cte(recursive=True)
    before = select(_T.id, _T.previous, _T.bytes).join(newest, _T.id == newest.c.previous).where(*_MINE)
    # UNION, not UNION ALL: whatever is in the table, it comes to an end.
    whole = newest.union(before)
    return select(whole.c.id, whole.c.previous, whole.c.bytes)


CHAIN: Final = _chain()

HELD: Final = select(func.count(), _SIZE).where(_T.owner == bindparam("whose"))
"""How many responses of an owner, and their size."""
HELD_IN_ALL: Final = select(_SIZE).select_from(RESPONSES)
THREADS: Final = (
    select(_T.thread, func.count(), _SIZE)
    .where(_T.owner == bindparam("whose"))
    .group_by(_T.thread)
    .order_by(func.min(_T.expires_at), _T.thread)
)
"""An owner's conversations, oldest first."""
THREADS_OF_ALL: Final = (
    select(_T.owner, _T.thread, _SIZE).group_by(_T.owner, _T.thread).order_by(func.min(_T.expires_at), _T.thread)
)
DROP_THREAD: Final[Delete] = delete(RESPONSES).where(_T.owner == bindparam("whose"), _T.thread == bindparam("which"))
EXPIRED: Final = select(_T.id, _T.bytes).where(_T.expires_at <= bindparam("now")).limit(bindparam("most"))
DROP_EXPIRED: Final[Delete] = delete(RESPONSES).where(
    _T.id.in_(bindparam("which", expanding=True)), _T.expires_at <= bindparam("now")
)
