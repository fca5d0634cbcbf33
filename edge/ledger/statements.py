"""Every statement on the ledger's tables. All values are bound parameters."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Delete,
    Dialect,
    Insert,
    Label,
    Select,
    Update,
    and_,
    bindparam,
    case,
    cast,
    delete,
    func,
    insert,
    literal_column,
    select,
    union_all,
    update,
)

from edge.ledger.entry import COUNTED, RECOVERED, VOID
from edge.ledger.rows import COLUMNS, HOLD, PROGRESS, SETTLE
from edge.store.schema import KEYS, LEDGER, LEDGER_INSTANCES, USAGE_DAILY


def _sum(column: ColumnElement[int]) -> Label[int]:
    """PostgreSQL's sum of integers is a numeric, which Python gets as a Decimal."""
    return cast(func.sum(column), BigInteger).label(getattr(column, "name", None))


def _is(kind: int) -> ColumnElement[bool]:
    """Spelled out, as the partial indices are: a bound parameter would keep the database from using them."""
    return LEDGER.c.kind == literal_column(str(kind))


_ROW: Final = tuple(LEDGER.c[name] for name in COLUMNS)

APPEND: Final[Insert] = insert(LEDGER).values({name: bindparam(name) for name in COLUMNS}).inline()
LAST: Final = select(func.max(LEDGER.c.seq))
"""The newest number; null while there is none."""

SINCE: Final = (
    select(*_ROW).where(LEDGER.c.instance == bindparam("id"), LEDGER.c.seq > bindparam("floor")).order_by(LEDGER.c.seq)
)
"""What one instance wrote after `floor`."""

INSTANCES: Final = select(LEDGER_INSTANCES).order_by(LEDGER_INSTANCES.c.started_at)
REGISTER: Final[Insert] = insert(LEDGER_INSTANCES)
BEAT: Final[Update] = (
    update(LEDGER_INSTANCES)
    .where(LEDGER_INSTANCES.c.id == bindparam("me"))
    .values(beat=LEDGER_INSTANCES.c.beat + 1, floor=bindparam("lowest"))
)
# FOR UPDATE is PostgreSQL's; SQLAlchemy leaves it out for SQLite, where BEGIN IMMEDIATE does the same.
CLAIM: Final = select(LEDGER_INSTANCES).where(LEDGER_INSTANCES.c.id == bindparam("id")).with_for_update()
LEAVE: Final[Delete] = delete(LEDGER_INSTANCES).where(LEDGER_INSTANCES.c.id == bindparam("id"))

# PostgreSQL only; the number ("lgwr") is any that nobody else's advisory lock uses.
LOCK_ROLLUP: Final = select(func.pg_advisory_xact_lock(0x6C677772))
_LOWEST: Final = select(func.min(LEDGER_INSTANCES.c.floor)).scalar_subquery()
_READ_NO_MORE: Final = and_(LEDGER.c.seq <= func.coalesce(_LOWEST, bindparam("last")), LEDGER.c.seq < bindparam("last"))
"""Below what every instance may have open: a recovery that missed a settlement would charge its hold again. The newest
row stays, so that its number is not given again."""
OLD: Final = (
    select(LEDGER.c.seq, *_ROW)
    .where(_is(SETTLE), LEDGER.c.day < bindparam("before"), _READ_NO_MORE)
    .order_by(LEDGER.c.day, LEDGER.c.seq)
    .limit(bindparam("most"))
)
DROP: Final[Delete] = delete(LEDGER).where(LEDGER.c.seq.in_(bindparam("rows", expanding=True)))
SPENT_PROGRESS: Final[Select[int]] = (
    select(LEDGER.c.seq)
    .where(_is(PROGRESS), LEDGER.c.day < bindparam("before"), _READ_NO_MORE)
    .limit(bindparam("most"))
)
"""Numbers of progress that no recovery will read again."""
_OLDEST_SETTLEMENT: Final = select(func.min(LEDGER.c.seq)).where(_is(SETTLE)).scalar_subquery()
SPENT_HOLDS: Final[Select[int]] = (
    select(LEDGER.c.seq)
    .where(LEDGER.c.seq < func.coalesce(_OLDEST_SETTLEMENT, bindparam("last")), _READ_NO_MORE)
    .order_by(LEDGER.c.seq)
    .limit(bindparam("most"))
)
"""Numbers of holds whose settlements are rolled up: what stands before the oldest settlement that is left."""

_WHO: Final = ("key", "owner", "groups", "model", "listener", "rate_class")
_WHAT: Final = ("requests", "input", "output", "gpu_ms")


def _floor(number: ColumnElement[float | Decimal]) -> ColumnElement[int]:
    """SQLite need not have FLOOR, and of casts to integers SQLite's truncate and PostgreSQL's round."""
    whole = cast(number, BigInteger)
    return case((whole > number, whole - 1), else_=whole)


_BUCKETS: Final = (
    select(
        func.max(LEDGER.c.at).label("at"),
        *(LEDGER.c[name] for name in _WHO),
        *(_sum(LEDGER.c[name]) for name in _WHAT),
        _floor(LEDGER.c.at / bindparam("step")).label("bucket"),
    )
    .where(_is(SETTLE), LEDGER.c.day >= bindparam("first"), LEDGER.c.day <= bindparam("last"))
    .where(LEDGER.c.at >= bindparam("since"), LEDGER.c.at < bindparam("end"))
    # By the label: PostgreSQL takes two bound parameters for two expressions, even where they are equal.
    .group_by(*(LEDGER.c[name] for name in _WHO), "bucket")
    .subquery()
)
SPENT: Final = select(*(_BUCKETS.c[name] for name in ("at", *_WHO, *_WHAT))).order_by(_BUCKETS.c.at)
"""What was settled, in sums of `step` seconds (a float), from `since` (on day `first`) to before `end` (`last`)."""
SPENT_DAILY: Final = (
    select(USAGE_DAILY.c.day.label("at"), *(USAGE_DAILY.c[name] for name in (*_WHO, *_WHAT)))
    .where(USAGE_DAILY.c.day >= bindparam("first"))
    .order_by(USAGE_DAILY.c.day)
)

DIMENSIONS: Final = ("day", "key", "owner", "groups", "listener", "model", "rate_class", "engine")
SUMS: Final = ("requests", "errors", "input", "output", "gpu_ms")
ADD_DAILY: Final[Update] = (
    update(USAGE_DAILY)
    .where(*(USAGE_DAILY.c[name] == bindparam(f"the_{name}") for name in DIMENSIONS))
    .values({name: USAGE_DAILY.c[name] + bindparam(f"more_{name}") for name in SUMS})
)
NEW_DAILY: Final[Insert] = insert(USAGE_DAILY)
KEY_NAMES: Final = select(KEYS.c.id, KEYS.c.name)


_SETTLED: Final = LEDGER.c.kind == SETTLE
_UNCOUNTED: Final = LEDGER.c.source.not_in(COUNTED) | LEDGER.c.reason.in_((VOID, RECOVERED))
_PAIRS: Final = (
    select(
        func.max(LEDGER.c.model).label("model"),
        func.max(case((LEDGER.c.kind == HOLD, LEDGER.c.input))).label("estimated"),
        _sum(case((_SETTLED, LEDGER.c.input), else_=0)).label("counted"),
        _sum(case((_SETTLED & _UNCOUNTED, 1), else_=0)).label("uncounted"),
    )
    .where(LEDGER.c.kind.in_((HOLD, SETTLE)), LEDGER.c.day >= bindparam("first"), LEDGER.c.day < bindparam("end"))
    .group_by(LEDGER.c.request_id)
    .subquery()
)
ESTIMATES: Final = select(_PAIRS.c.model, _PAIRS.c.estimated, _PAIRS.c.counted).where(
    _PAIRS.c.estimated.is_not(None), _PAIRS.c.counted > 0, _PAIRS.c.uncounted == 0
)
"""Of each request on a day from `first` to before `end` whose engine counted: the prompt's tokens, held and counted."""


def usage(by: Sequence[str]) -> Select[tuple[object, ...]]:
    """Sums of the journal and of what is rolled up, by the columns `by`; days from `first` to before `end`."""
    columns = (*by, *SUMS)
    journal = select(*(LEDGER.c[name] for name in columns)).where(
        _is(SETTLE), LEDGER.c.day >= bindparam("first"), LEDGER.c.day < bindparam("end")
    )
    rolled = select(*(USAGE_DAILY.c[name] for name in columns)).where(
        USAGE_DAILY.c.day >= bindparam("first"), USAGE_DAILY.c.day < bindparam("end")
    )
    both = union_all(journal, rolled).subquery()
    groups = [both.c[name] for name in by]
    return select(*groups, *(_sum(both.c[name]) for name in SUMS)).group_by(*groups).order_by(*groups)


def insert_text(dialect: Dialect, rows: int) -> str:
    """`APPEND` for `rows` rows at once, in the dialect's positional style.

    Text, since this one statement is sent for every request: putting it together from expressions each time would cost
    more than running it.
    """
    begin, word, one = str(APPEND.compile(dialect=dialect)).partition(" VALUES ")
    return begin + word + ", ".join([one] * rows)
