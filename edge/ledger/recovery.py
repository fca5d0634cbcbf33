"""After a crash: settles what instances that are gone left open; tells what was spent before this start. Blocking."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from math import inf
from typing import Final, NamedTuple

from sqlalchemy import Row as Record
from sqlalchemy import insert

from edge.ledger import statements as sql
from edge.ledger.presence import Watch
from edge.ledger.rows import DAY, Row, day_of, recovered_row, still_open
from edge.store.database import Database
from edge.store.schema import LEDGER

_TIERS: Final = ((inf, DAY / 2), (DAY + 3600, 1440.0), (3720, 60.0), (120, 1.0))
"""(what is younger than so many seconds, comes in sums of so many): the buckets of the limits' windows of a month, a
day, an hour and a minute (edge/limits/contract.py), each for a little longer than the window is."""
_FOR_EVER: Final = 1 << 30  # a day that no clock shows


class Spent(NamedTuple):
    """What a caller used, in one step of time (see `spent`) whose latest charge was at `at`."""

    at: float
    key: str
    owner: str
    groups: tuple[str, ...]
    model: str
    listener: str
    rate_class: str
    requests: int
    input: int
    output: int
    gpu_ms: int


class Recovery:
    """Settles for others. One per process: it has to watch PostgreSQL's instances for a while to know who is gone."""

    def __init__(
        self,
        database: Database,
        me: str = "",
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._me = me
        self._wall = wall
        self._watch = Watch(database, monotonic=monotonic)

    def run(self) -> int:
        """Settle the open holds of every instance that is gone; how many. StateError."""
        with self._database.reading() as connection:
            instances = connection.execute(sql.INSTANCES).all()
        settled = 0
        for instance in instances:
            if instance.id != self._me:
                with self._watch.gone(instance.id, instance.beat) as gone:
                    settled += self._settle(instance.id, instance.beat) if gone else 0
        return settled

    def _settle(self, instance: str, beat: int) -> int:
        """In one transaction: whoever else had the same thought finds the instance's row gone, or beating again."""
        with self._database.writing() as connection:
            row = connection.execute(sql.CLAIM, {"id": instance}).one_or_none()
            if row is None or row.beat != beat:
                return 0
            written = connection.execute(sql.SINCE, {"id": instance, "floor": row.floor})
            left = [recovered_row(hold, last, self._wall()) for hold, last in still_open(Row(*one) for one in written)]
            if left:
                connection.execute(insert(LEDGER), [settlement._asdict() for settlement in left])
            connection.execute(sql.LEAVE, {"id": instance})
        self._watch.forget(instance)
        return len(left)


def spent(database: Database, since: float, now: float) -> Iterator[Spent]:
    """What was charged since `since`, oldest first, for refilling the limits' windows. StateError.

    Sums are never wider than a bucket of the windows they can still count in, so that those are filled as if request
    by request; they bear the latest instant: a window frees late, never early. Of days that are rolled up that is
    their end.
    """
    with database.reading() as connection:
        for row in connection.execute(sql.SPENT_DAILY, {"first": day_of(since)}):
            yield _spent(row)._replace(at=(row.at + 1) * DAY - 1.0)
        starts = [max(since, now - age) for age, _ in _TIERS]
        ends = [*starts[1:], float(_FOR_EVER * DAY)]
        for start, end, (_, step) in zip(starts, ends, _TIERS, strict=True):
            span = {"first": day_of(start), "since": start, "last": day_of(end), "end": end, "step": step}
            yield from map(_spent, connection.execute(sql.SPENT, span))


def _spent(row: Record[tuple[object, ...]]) -> Spent:
    return Spent(
        row.at,
        row.key,
        row.owner,
        _groups(row.groups),
        row.model,
        row.listener,
        row.rate_class,
        row.requests,
        row.input,
        row.output,
        row.gpu_ms,
    )


@lru_cache(maxsize=1024)
def _groups(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))
