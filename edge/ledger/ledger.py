"""JournalLedger: the ledger on disk, as the event loop sees it."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable

from edge.ledger.entry import Hold, LedgerDown, Progress, Settled
from edge.ledger.inline import InlineWriter
from edge.ledger.journal import Journal
from edge.ledger.keeper import Keeper
from edge.ledger.presence import Presence
from edge.ledger.rows import HOLD, Row, hold_row, progress_row, settle_row, void_row
from edge.ledger.writer import MOST_WAITING, Item, Rows, Told, Writer
from edge.store.database import Database

_log = logging.getLogger(__name__)


class JournalLedger:
    """`Ledger` on the tables of one database; all methods belong to one event loop's thread.

    `journal` is what the writer's thread appends to, `quick` what the event loop does; with `journal` alone all goes to
    the thread (tests, PostgreSQL).
    """

    def __init__(
        self,
        database: Database,
        *,
        journal: Rows | None = None,
        quick: Rows | None = None,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        close_within: float = 10.0,
    ) -> None:
        self.instance = secrets.token_hex(16)
        self._wall = wall
        self._open: dict[str, Row] = {}
        self._presence = Presence(database, self.instance, wall=wall)
        self._keeper = Keeper(database, self._presence, self._put_again, wall=wall, monotonic=monotonic)
        if journal is None and quick is None and database.url.get_backend_name() == "sqlite":
            quick = Journal(database.url, busy_seconds=0, folds=False)
        self._writer = Writer(journal or Journal(database.url), self._keeper, self._tell, close_within=close_within)
        self._inline = InlineWriter(quick, self._writer, self._keeper, self._told, fresh=self._keeper.fresh)
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self) -> None:
        """Say that this process writes from now on, and start the writer. StateError, OSError."""
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._keeper.enter)
        self._writer.start()

    async def close(self) -> None:
        """Write what waits. What is still open is settled by the next start, from its last progress."""
        self._inline.close()
        written = await asyncio.to_thread(self._writer.close)
        self._inline.close()  # again: voids of holds that the thread wrote, and whose callers had left
        clean = written and self._keeper.idle and not self._open
        await asyncio.to_thread(lambda: self._presence.leave(clean=clean))

    async def hold(self, hold: Hold) -> None:
        row = hold_row(hold, self.instance)
        if self.waiting >= MOST_WAITING:
            raise LedgerDown("too many settlements wait for the database")
        if not self._inline.at_once(row):
            await self._written(row)
        self._open[hold.request_id] = row

    async def checkpoint(self, progress: Progress) -> None:
        if progress.request_id not in self._open:
            return
        row = progress_row(progress, self.instance)
        try:
            if not self._inline.at_once(row):
                await self._written(row)
        except LedgerDown:
            self.progress(progress)
            raise

    def progress(self, progress: Progress) -> None:
        if progress.request_id in self._open:
            self._put(progress_row(progress, self.instance))

    def settle(self, settled: Settled) -> None:
        hold = self._open.pop(settled.request_id, None)
        if hold is not None:
            self._put(settle_row(hold, settled))

    @property
    def waiting(self) -> int:
        """Rows that are not on disk yet, about."""
        return self._inline.waiting + self._writer.waiting

    @property
    def written(self) -> int:
        """Rows brought to the disk since the start."""
        return self._inline.written + self._writer.written

    def _put(self, row: Row) -> None:
        self._inline.put(Item(row))

    def _put_again(self, row: Row) -> None:
        """In the writer's thread."""
        self._writer.again(Item(row))

    async def _written(self, row: Row) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._inline.put(Item(row, done))
        try:
            await done
        except asyncio.CancelledError:
            # Written, and cancelled before this could go on; if not yet written, `_told` voids it.
            if row.kind == HOLD and done.done() and not done.cancelled() and done.exception() is None:
                self._put(void_row(row, self._wall()))
            raise

    def _tell(self, told: Told) -> None:
        """In the writer's thread."""
        if self._loop is not None:
            try:
                self._loop.call_soon_threadsafe(self._told, told)
            except RuntimeError:  # the loop is closed, and nobody waits any more
                _log.warning("the ledger wrote %d rows after the end of the event loop", len(told))

    def _told(self, told: Told) -> None:
        for item, error in told:
            if item.done is None:
                continue
            if item.done.cancelled():
                if error is None and item.row.kind == HOLD:
                    self._put(void_row(item.row, self._wall()))
            elif error is None:
                item.done.set_result(None)
            else:
                item.done.set_exception(LedgerDown(str(error)))
