"""Finished requests as lines, to each who watches; while nobody does, nobody is told of any.

A line is made once for all. Each watcher has a bounded queue of its own: for one that reads slowly lines are left out
and counted, and neither the line of requests nor the other watchers notice.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import orjson

from observability.access import access_line
from observability.live.filters import Filter
from observability.observers import Observer
from policies.errors import Refusal
from policies.exchange import Exchange
from policies.json import Object
from policies.reasons import Reason

MOST_WATCHERS: Final = 16
CAPACITY: Final = 1_000
"""Lines that wait for one watcher: some 600 KB, and a second of a busy gateway."""
_BLOCK: Final = 100
"""Lines handed out at once."""
_RETRY: Final = 5.0


class Watcher:
    """One that watches; made by `Watchers.watch`."""

    def __init__(self, wanted: Filter, capacity: int) -> None:
        self.wanted: Final = wanted
        self._capacity = capacity
        self._lines: deque[bytes] = deque()
        self._left_out = 0
        self._some = asyncio.Event()
        self.over = False
        """Whether the gateway ends, and with it what can be watched."""

    def end(self) -> None:
        """There will be no more lines."""
        self.over = True
        self._some.set()

    def offer(self, line: bytes) -> None:
        """Keep one line for it, or count it where there is no room."""
        if len(self._lines) >= self._capacity:
            self._left_out += 1
        else:
            self._lines.append(line)
        self._some.set()

    async def take(self, patience: float) -> bytes:
        """The next lines, waiting `patience` seconds for one; b"" if none came.

        What was left out is said behind the lines that came before it.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._some.wait()
        lines = [self._lines.popleft() for _ in range(min(len(self._lines), _BLOCK))]
        if not self._lines:
            if not self.over:
                self._some.clear()
            if self._left_out:
                left_out, self._left_out = self._left_out, 0
                lines.append(event("dropped", lines=left_out))
        return b"".join(lines)


class Watchers:
    """All of them. Implements `observers.Observer`; `add` is `Observers.add`.

    Requests by listener `besides` are not shown: who watches would watch itself.
    """

    def __init__(
        self,
        add: Callable[[Observer], Callable[[], None]],
        *,
        besides: str = "",
        most: int = MOST_WATCHERS,
        capacity: int = CAPACITY,
    ) -> None:
        self._add = add
        self._besides = besides
        self._most = most
        self._capacity = capacity
        self._watchers: list[Watcher] = []
        self._remove: Callable[[], None] | None = None
        self._nobody = asyncio.Event()
        self._nobody.set()

    def __len__(self) -> int:
        return len(self._watchers)

    @contextmanager
    def watch(self, wanted: Filter) -> Iterator[Watcher]:
        """Be told of what ends from now on. Refusal(CONCURRENCY_EXCEEDED) beyond the most."""
        if len(self._watchers) >= self._most:
            raise Refusal(Reason.CONCURRENCY_EXCEEDED, retry_after=_RETRY)
        watcher = Watcher(wanted, self._capacity)
        self._watchers.append(watcher)
        self._nobody.clear()
        if self._remove is None:
            self._remove = self._add(self)
        try:
            yield watcher
        finally:
            self._watchers.remove(watcher)
            if not self._watchers:
                self._nobody.set()
                if self._remove is not None:
                    self._remove()
                    self._remove = None

    async def close(self) -> None:
        """Tell all of them that there will be no more, and wait until they have gone."""
        for watcher in self._watchers:
            watcher.end()
        await self._nobody.wait()

    def ended(self, exchange: Exchange, at: float) -> None:
        """See Observer.ended."""
        if exchange.client.listener == self._besides:
            return
        line = access_line(exchange, at=at)
        wanting = [watcher for watcher in self._watchers if watcher.wanted.wants(line)]
        if wanting:
            text = orjson.dumps(line) + b"\n"
            for watcher in wanting:
                watcher.offer(text)


def event(name: str, **fields: int | str) -> bytes:
    """A line that is no request: `dropped`, `watching`, `alive`, `ended`."""
    document: Object = {"event": name, **fields}
    return orjson.dumps(document) + b"\n"
