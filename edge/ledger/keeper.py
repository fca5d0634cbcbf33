"""What is kept beside the journal: which holds are open, so that a beat can say where a recovery has to begin.

And in the writer's thread, between transactions: the beats themselves, and the voiding of holds nobody was told of.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from edge.identity.state import StateError
from edge.ledger import statements as sql
from edge.ledger.presence import BEAT_SECONDS, Presence
from edge.ledger.rows import HOLD, SETTLE, Row, set_off, still_open, void_row
from edge.store.database import Database

FRESH_SECONDS: Final = 3 * BEAT_SECONDS
"""For so long after the thread looked around nobody can have taken us for dead (`presence.DEAD_AFTER`)."""
_log: Final = logging.getLogger(__name__)


class Keeper:
    """The hooks of one writer. Both threads write: every step on a shared dictionary is a single one."""

    def __init__(
        self,
        database: Database,
        presence: Presence,
        put: Callable[[Row], None],
        *,
        wall: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._database = database
        self._presence = presence
        self._put = put
        self._wall = wall
        self._monotonic = monotonic
        self._shared = database.url.get_backend_name() != "sqlite"
        self._newest = 0
        self._marks: dict[str, int] = {}  # open hold -> a number below its own
        self._doubtful: set[str] = set()
        self._charged: dict[str, Row] = {}
        self._beaten = 0.0
        self._looked = 0.0
        self._written = False

    def enter(self) -> None:
        """Before the thread starts. StateError, OSError."""
        self._newest = self._presence.enter()
        self._beaten = self._looked = self._monotonic()

    @property
    def idle(self) -> bool:
        """Whether nothing of ours is open."""
        return not (self._marks or self._doubtful)

    def fresh(self) -> bool:
        """Whether `between` was called so lately that what others did to our holds is known."""
        return self._monotonic() - self._looked < FRESH_SECONDS

    def opening(self, rows: list[Row]) -> None:
        for row in rows:
            if row.kind == HOLD:
                self._marks[row.request_id] = self._newest

    def final(self, rows: list[Row]) -> list[Row]:
        """`rows` as they are to be written: less what another instance, which took us for dead, charged already."""
        return [self._final(row) for row in rows] if self._charged else rows

    def _final(self, row: Row) -> Row:
        if row.kind == SETTLE and row.request_id in self._charged:
            return set_off(row, self._charged[row.request_id])
        return row

    def wrote(self, rows: list[Row]) -> None:
        for row in rows:
            if row.kind == SETTLE:
                self._marks.pop(row.request_id, None)
                self._charged.pop(row.request_id, None)
        self._written = True

    def doubtful(self, rows: list[Row]) -> None:
        self._doubtful.update(row.request_id for row in rows)

    def dropped(self, rows: list[Row]) -> None:
        for row in rows:
            if row.kind == HOLD:
                self._marks.pop(row.request_id, None)

    def between(self) -> None:
        """A SQLite file that nobody writes to is left alone: the lock says that we are there, disks may sleep."""
        self._look()
        self._looked = self._monotonic()

    def _look(self) -> None:
        due = self._monotonic() - self._beaten >= BEAT_SECONDS and (self._written or self._shared)
        if not (due or self._doubtful):
            return
        try:
            self._void_doubtful()
            if due:
                self._beat()
        except StateError as error:
            self._beaten = self._monotonic()
            _log.warning("the ledger's heartbeat failed: %s", error)

    def _void_doubtful(self) -> None:
        # Before the next beat: until then what was written lies above the newest number known.
        if self._doubtful:
            for row, _ in still_open(self._ours()):
                if row.request_id in self._doubtful:
                    self._doubtful.discard(row.request_id)
                    self._put(void_row(row, self._wall()))
            for request_id in self._doubtful:
                self._marks.pop(request_id, None)  # it is not there
            self._doubtful.clear()

    def _beat(self) -> None:
        self._newest, gone = self._presence.beat(self._floor)
        self._beaten, self._written = self._monotonic(), False
        if gone and self._marks:
            _log.error("another instance took this one for dead; what it settled is set off against what comes")
            for row in self._ours():
                if row.kind == SETTLE and row.request_id in self._marks:
                    self._charged[row.request_id] = row

    def _floor(self) -> int | None:
        return min(self._marks.copy().values(), default=None)

    def _ours(self) -> list[Row]:
        floor = self._floor()
        parameters = {"id": self._presence.instance, "floor": self._newest if floor is None else floor}
        with self._database.reading() as connection:
            return [Row(*row) for row in connection.execute(sql.SINCE, parameters)]
