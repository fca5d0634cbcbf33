"""Retention: settlements older than `keep` become sums per day, in small transactions. Blocking."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, Row

from edge.ledger import statements as sql
from edge.ledger.rows import day_of
from edge.store.database import Database

MOST_ROWS: Final = 500
"""Rows of one transaction: other writers wait some milliseconds for it."""
_KEEP_PROGRESS: Final = 2  # days; only the last one of an open hold is ever read
_Sums = tuple[int, ...]


def roll_up(database: Database, keep: float, now: float, *, most: int = MOST_ROWS) -> bool:
    """One small step of retention; whether there is more to do. StateError.

    Only whole days are rolled up, and what was in a day is there before and after: rows and sums change places in one
    transaction. A settlement that comes later still (clocks step) is added by the next step.
    """
    before = day_of(now - keep)
    with database.writing() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sql.LOCK_ROLLUP)
        last = connection.execute(sql.LAST).scalar() or 0
        old = connection.execute(sql.OLD, {"before": before, "last": last, "most": most}).all()
        if old:
            _add(connection, old)
            connection.execute(sql.DROP, {"rows": [row.seq for row in old]})
            return True
        spent = {"before": day_of(now) - _KEEP_PROGRESS, "last": last, "most": most}
        for notes in (sql.SPENT_PROGRESS, sql.SPENT_HOLDS):
            if numbers := connection.execute(notes, spent).scalars().all():
                connection.execute(sql.DROP, {"rows": numbers})
                return True
    return False


def _add(connection: Connection, rows: Iterable[Row[tuple[object, ...]]]) -> None:
    """Rows that tell nothing (voided holds) leave no trace."""
    sums: dict[tuple[object, ...], _Sums] = defaultdict(lambda: (0,) * len(sql.SUMS))
    for row in rows:
        values = row._mapping  # noqa: SLF001 - SQLAlchemy's public way to a row's columns by name
        who = tuple(values[name] for name in sql.DIMENSIONS)
        sums[who] = tuple(old + values[name] for old, name in zip(sums[who], sql.SUMS, strict=True))
    for who, what in sums.items():
        if not any(what):
            continue
        dimensions = dict(zip(sql.DIMENSIONS, who, strict=True))
        amounts = dict(zip(sql.SUMS, what, strict=True))
        more = {f"the_{name}": value for name, value in dimensions.items()}
        more |= {f"more_{name}": value for name, value in amounts.items()}
        if connection.execute(sql.ADD_DAILY, more).rowcount == 0:
            connection.execute(sql.NEW_DAILY, dimensions | amounts)
