"""Group commit on the event loop: what one turn of the loop asks for is one transaction, written there and then.

A thread costs each hold two switches, and beside a busy loop up to 5 ms to get Python's lock back; the write itself
takes 25 us, into the kernel's memory. So the thread (writer.py) has only what cannot be done at once: PostgreSQL, a
file that another process has locked, a full disk. Once it has something, all that comes goes the same way until it has
written everything, so that rows stay in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from edge.ledger.entry import LedgerDown
from edge.ledger.journal import MOST_ROWS, RowRefused
from edge.ledger.rows import PROGRESS, Row
from edge.ledger.writer import Hooks, Item, Rows, Told, Writer

LINGER: Final = 0.02
"""Seconds. What nobody waits for waits for company: a settlement and the next request's hold are one transaction."""
FOLD_ROWS: Final = 4_096
"""Rows after which SQLite's log is folded into the file: two megabytes of it, about."""


class InlineWriter:
    """In front of the writer's thread. All methods belong to the event loop's thread.

    `journal` must never wait for a lock; None = everything goes to the thread. `fresh` tells whether the thread looked
    around of late: after a long stop (SIGSTOP, a sleeping machine) it has to find out first what others settled.
    """

    def __init__(
        self,
        journal: Rows | None,
        writer: Writer,
        hooks: Hooks,
        told: Callable[[Told], None],
        *,
        fresh: Callable[[], bool],
    ) -> None:
        self._journal = journal
        self._writer = writer
        self._hooks = hooks
        self._told = told
        self._fresh = fresh
        self._items: list[Item] = []
        self._progress: dict[str, Item] = {}
        self._urgent = False
        self._wrote = False
        self._timer: asyncio.TimerHandle | None = None
        self._rows = 0
        self.written = 0
        """Rows that the event loop brought to the disk since the start."""

    @property
    def waiting(self) -> int:
        """How many rows wait here."""
        return len(self._items) + len(self._progress)

    def put(self, item: Item) -> None:
        """Write `item` with the next transaction: at the end of this turn of the loop if somebody waits for it."""
        loop = asyncio.get_running_loop()
        row = item.row
        if row.kind == PROGRESS and item.done is None:
            self._progress[row.request_id] = item
        else:
            # A checkpoint or a settlement is newer than the progress that still waits, which must not come after it.
            if self._progress:
                self._progress.pop(row.request_id, None)
            self._items.append(item)
        if item.done is not None:
            if not self._urgent:
                self._urgent = True
                loop.call_soon(self.flush)
        elif self._timer is None:
            self._timer = loop.call_later(LINGER, self._rang)

    def at_once(self, row: Row) -> bool:
        """Write `row` now, with what waits; False: `put` it.

        Only the first one in a turn of the loop is: whoever comes alone need not wait for the turn's end, and who comes
        with others shares a transaction with them.
        """
        if self._wrote or self._urgent or self.waiting >= MOST_ROWS:
            return False
        self._wrote = True
        asyncio.get_running_loop().call_soon(self._next_turn)
        self._progress.pop(row.request_id, None)
        items = [*self._items, *self._progress.values(), Item(row)]
        if not self._write(items):
            return False
        self._items.clear()
        self._progress.clear()
        return True

    def flush(self) -> None:
        """Write what waits, or hand it to the thread."""
        self._urgent = False
        items: list[Item] = []
        left: list[Row] = []
        for item in self._items:
            if item.done is not None and item.done.cancelled():
                left.append(item.row)
            else:
                items.append(item)
        if left:
            self._hooks.dropped(left)  # `at_once` may have tried, and said that they are opening
        items.extend(self._progress.values())
        self._items.clear()
        self._progress.clear()
        for start in range(0, len(items), MOST_ROWS):
            batch = items[start : start + MOST_ROWS]
            if not self._write(batch):
                for item in batch:
                    self._writer.put(item)

    def close(self) -> None:
        """Write what waits, or hand it over; nothing may be put any more. Again: what the thread's end brought."""
        if self._timer is not None:
            self._timer.cancel()
        self.flush()
        if self._journal is not None:
            self._journal.close()

    def _rang(self) -> None:
        self._timer = None
        self.flush()

    def _next_turn(self) -> None:
        self._wrote = False

    def _write(self, items: list[Item]) -> bool:
        """Whether they are on disk."""
        rows = self._hooks.final([item.row for item in items])
        # Before they are on disk: whoever reads the newest number from now on knows that these are open.
        self._hooks.opening(rows)
        if self._journal is None or self._writer.busy or not self._fresh():
            return False
        try:
            self._journal.append(rows)
        except (LedgerDown, RowRefused):
            return False
        self._writer.works()
        self._hooks.wrote(rows)
        self._told([(item, None) for item in items if item.done is not None])
        self.written += len(rows)
        self._rows += len(rows)
        if self._rows >= FOLD_ROWS:
            self._rows = 0
            self._writer.fold()
        return True
