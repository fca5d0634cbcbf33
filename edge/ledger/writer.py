"""The writer's thread: puts everything that waits into one transaction, again and again (group commit).

It gets what the event loop cannot write at once (inline.py), and does what takes time: beats, and folding SQLite's log
into its file. While it commits, the next rows queue up. What is awaited (holds, checkpoints) fails when the database
does; what is not (settlements, newest progress) stays in memory until it is written.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Final, NamedTuple, Protocol

from edge.ledger.entry import LedgerDown
from edge.ledger.journal import MOST_ROWS, RowRefused
from edge.ledger.rows import HOLD, PROGRESS, Row

MOST_WAITING: Final = 65_536
"""Settlements that may wait for a database; about 50 MB. With more, holds are refused without being tried."""
_PAUSES: Final = (0.05, 0.1, 0.2, 0.5, 1.0)
_SAY_AGAIN: Final = 30.0
_log = logging.getLogger(__name__)


class Item(NamedTuple):
    """A row to write; `done` belongs to the event loop and is told there how it went, None = nobody waits."""

    row: Row
    done: asyncio.Future[None] | None = None


Told = list[tuple[Item, LedgerDown | None]]


class Rows(Protocol):
    """What a journal can do; the tests' double counts."""

    def append(self, rows: list[Row], /) -> None: ...

    def fold(self) -> None:
        """Bring what was appended from the log into the file, without keeping others from writing."""
        ...

    def close(self) -> None: ...


class Hooks(Protocol):
    """What is called around transactions, by the thread or the event loop; `doubtful` and `between` by the thread."""

    def opening(self, rows: list[Row], /) -> None:
        """`rows` are about to be written, or handed to the thread."""
        ...

    def final(self, rows: list[Row], /) -> list[Row]:
        """`rows` as they are to be written; asked again at each try."""
        ...

    def wrote(self, rows: list[Row], /) -> None:
        """`rows` are on disk."""
        ...

    def doubtful(self, rows: list[Row], /) -> None:
        """These holds failed, and nobody knows whether they are on disk; who asked for them was refused."""
        ...

    def dropped(self, rows: list[Row], /) -> None:
        """Whoever asked for these left before they were written; they never will be. By the event loop only."""
        ...

    def between(self) -> None:
        """Once per turn, at least every `turn` seconds. Any exception is logged."""
        ...


class _Order(Enum):
    CLOSE = "close"
    FOLD = "fold"


class Writer:
    """Owns the thread. `tell` is called there; all other methods but `again` belong to the event loop's."""

    def __init__(
        self,
        journal: Rows,
        hooks: Hooks,
        tell: Callable[[Told], None],
        *,
        turn: float = 5.0,
        close_within: float = 10.0,
    ) -> None:
        self._journal = journal
        self._hooks = hooks
        self._tell = tell
        self._turn = turn
        self._close_within = close_within
        self._queue: SimpleQueue[tuple[int, Item | _Order]] = SimpleQueue()
        self._put = 0  # each of these three is written by one thread only
        self._taken = 0
        self._done = 0
        self._rows: deque[Item] = deque()
        self._progress: dict[str, Item] = {}
        self._deadline: float | None = None
        self._folding = False
        self.written = 0
        """Rows that the thread brought to the disk since the start."""
        self._failures = 0
        self._said = 0.0
        # A daemon: a database that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, item: Item) -> None:
        self._put += 1
        self._queue.put((self._put, item))

    def again(self, item: Item) -> None:
        """As `put`, but in the thread itself, where nothing needs to know when it is done."""
        self._queue.put((0, item))

    def fold(self) -> None:
        """Bring the log into the file when there is time."""
        self._queue.put((0, _Order.FOLD))

    def works(self) -> None:
        """The database takes rows: said by whichever thread saw it, after a failure."""
        if self._failures:
            self._failures = 0
            _log.warning("the ledger writes again")

    @property
    def busy(self) -> bool:
        """Whether something that was put is not written yet."""
        return self._done < self._put

    @property
    def waiting(self) -> int:
        """How many rows wait, about."""
        return self._queue.qsize() + len(self._rows)

    def close(self) -> bool:
        """Write what waits, for at most `close_within` seconds; whether all is written. Blocking."""
        self._queue.put((0, _Order.CLOSE))
        self._thread.join(self._close_within + 5.0)
        left = self.waiting
        if left or self._thread.is_alive():
            _log.error("the ledger ends with %d rows unwritten; the next start settles from the last progress", left)
            return False
        return True

    def _run(self) -> None:
        while not self._over():
            try:
                self._take()
                # First: after a long stop (SIGSTOP, a sleeping machine) others may have settled what waits here.
                self._hooks.between()
                while self._rows or self._progress:
                    if not self._write():
                        break
                else:
                    self._done = self._taken
                self._hooks.between()
                if self._folding:
                    self._folding = False
                    self._journal.fold()
            except Exception:  # noqa: BLE001 - a ledger without its thread would let holds wait for ever
                _log.exception("the ledger's thread failed, and goes on")
                time.sleep(_PAUSES[-1])
        self._journal.close()

    def _over(self) -> bool:
        if self._deadline is None:
            return False
        return time.monotonic() >= self._deadline or not (self._rows or self._progress or self._queue.qsize())

    def _take(self) -> None:
        """Wait for something, then take all that is there."""
        again = self._failures and (self._rows or self._progress)
        wait = _PAUSES[min(self._failures, len(_PAUSES)) - 1] if again else self._turn
        with suppress(Empty):
            self._sort(*self._queue.get(timeout=wait))
            while True:
                self._sort(*self._queue.get_nowait())

    def _sort(self, number: int, item: Item | _Order) -> None:
        """Put `item` where it waits."""
        self._taken = max(self._taken, number)
        if item is _Order.CLOSE:
            self._deadline = time.monotonic() + self._close_within
        elif item is _Order.FOLD:
            self._folding = True
        elif item.row.kind == PROGRESS and item.done is None:
            self._progress[item.row.request_id] = item
        else:
            # A checkpoint or a settlement is newer than the progress that still waits, which must not come after it.
            self._progress.pop(item.row.request_id, None)
            self._rows.append(item)

    def _write(self) -> bool:
        """One transaction; whether it is worth trying the next one now."""
        batch = [self._rows.popleft() for _ in range(min(MOST_ROWS, len(self._rows)))]
        newest = list(islice(self._progress, MOST_ROWS - len(batch)))
        batch.extend(self._progress.pop(request_id) for request_id in newest)
        try:
            self._journal.append(self._hooks.final([item.row for item in batch]))
        except LedgerDown as error:
            self._failed(batch, error)
            return False
        except RowRefused:
            self._sift(batch)
        else:
            self._wrote(batch)
        return True

    def _failed(self, batch: list[Item], error: LedgerDown) -> None:
        awaited = [item for item in batch if item.done is not None]
        for item in reversed(batch):
            if item.done is None and item.row.kind == PROGRESS:
                self._progress.setdefault(item.row.request_id, item)
            elif item.done is None:
                self._rows.appendleft(item)
        self._failures += 1
        if self._failures == 1 or time.monotonic() - self._said >= _SAY_AGAIN:
            self._said = time.monotonic()
            _log.error(
                "the ledger cannot write (%s): requests are refused until it can; %d settlements wait in memory",
                error,
                len(self._rows),
            )
        self._hooks.doubtful([item.row for item in awaited if item.row.kind == HOLD])
        if awaited:
            self._tell([(item, error) for item in awaited])

    def _sift(self, batch: list[Item]) -> None:
        """One by one, so that the row that the database will never take does not hold up the others."""
        for item in batch:
            try:
                self._journal.append(self._hooks.final([item.row]))
            except LedgerDown as error:
                self._failed([item], error)
            except RowRefused as error:
                _log.exception("the database refuses a row for good; it would have been %r", item.row)
                if item.row.kind == HOLD:
                    self._hooks.doubtful([item.row])
                if item.done is not None:
                    self._tell([(item, LedgerDown(str(error)))])
            else:
                self._wrote([item])

    def _wrote(self, batch: list[Item]) -> None:
        self.works()
        self.written += len(batch)
        told: Told = [(item, None) for item in batch if item.done is not None]
        if told:
            self._tell(told)
        self._hooks.wrote([item.row for item in batch])
