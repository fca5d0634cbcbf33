"""What waits to be sent, bounded. Filled and emptied in the event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")


class Source(Protocol[T]):
    """Where a lane gets what it sends."""

    @property
    def waiting(self) -> int:
        """How many items there are that nobody has taken."""

    @property
    def full(self) -> bool:
        """Whether they are enough for a batch, which should not wait for the end of the interval."""

    async def take(self) -> list[T]:
        """The next batch, oldest first; [] if there is nothing."""


class Backlog(Generic[T]):
    """At most `capacity` items; what does not fit is dropped and counted. `batch`: the most that goes at once."""

    def __init__(self, capacity: int, batch: int, wake: Callable[[], None] = lambda: None) -> None:
        self._items: deque[T] = deque()
        self._capacity = capacity
        self._batch = batch
        self.wake = wake
        self.dropped = 0

    def put(self, item: T) -> None:
        """Keep `item`, or count it as dropped: the oldest ones, which tell how trouble began, are kept."""
        if len(self._items) >= self._capacity:
            self.dropped += 1
            return
        self._items.append(item)
        if len(self._items) == self._batch:
            self.wake()

    @property
    def waiting(self) -> int:
        return len(self._items)

    @property
    def full(self) -> bool:
        return len(self._items) >= self._batch

    async def take(self) -> list[T]:
        """See Source.take."""
        return [self._items.popleft() for _ in range(min(self._batch, len(self._items)))]


class Latest(Generic[T]):
    """No backlog at all: what `read` gives at that moment. For what is cumulative: the next one makes a loss good."""

    waiting = 0
    full = False

    def __init__(self, read: Callable[[], Iterable[T]]) -> None:
        self._read = read

    async def take(self) -> list[T]:
        """See Source.take; the event loop does other work between two items."""
        found = []
        for item in self._read():
            found.append(item)
            await asyncio.sleep(0)
        return found
