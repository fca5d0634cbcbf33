"""Settlements that must not be lost: tried at once, and again in the background while the store is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from edge.limits.contract import Actual, Held, StoreDown
from edge.tasks import Tasks

_log = logging.getLogger(__name__)

MOST: Final = 10_000
"""Settlements kept. Beyond it the oldest are given up: their holds stay charged until the windows end."""
PAUSE: Final = 0.5


class Backlog:
    """`send` settles one hold in the store, any number of times to the same effect, or raises StoreDown."""

    def __init__(
        self, send: Callable[[Held, Actual], Awaitable[None]], *, most: int = MOST, pause: float = PAUSE
    ) -> None:
        self._send = send
        self._most = most
        self._pause = pause
        self._waiting: dict[str, tuple[Held, Actual]] = {}
        self._tasks = Tasks()
        self._draining: asyncio.Task[None] | None = None
        self.lost = 0

    def __len__(self) -> int:
        return len(self._waiting)

    async def settle(self, held: Held, actual: Actual) -> None:
        """Settle now; later if the store is away or this task is cancelled meanwhile."""
        self._put(held, actual)
        done = False
        try:
            done = await self._attempt(held.id)
        finally:
            if not done:
                self._drain_later()

    def later(self, held: Held, actual: Actual) -> None:
        """Settle in the background."""
        self._put(held, actual)
        self._drain_later()

    def _put(self, held: Held, actual: Actual) -> None:
        self._waiting.setdefault(held.id, (held, actual))
        if len(self._waiting) > self._most:
            del self._waiting[next(iter(self._waiting))]
            self.lost += 1
            if self.lost == 1:
                _log.warning("more than %d settlements wait for Redis; the oldest are given up", self._most)

    async def _attempt(self, hold_id: str) -> bool:
        entry = self._waiting.get(hold_id)
        if entry is None:
            return True
        try:
            await self._send(*entry)
        except StoreDown:
            return False
        self._waiting.pop(hold_id, None)
        return True

    def _drain_later(self) -> None:
        if self._waiting and (self._draining is None or self._draining.done()):
            self._draining = self._tasks.start(self._drain(), name="settlements")

    async def _drain(self) -> None:
        while self._waiting:
            for hold_id in list(self._waiting):
                if not await self._attempt(hold_id):
                    break
            if self._waiting:
                await asyncio.sleep(self._pause)

    async def close(self, patience: float = 1.0) -> None:
        """Try for at most `patience` seconds to get rid of the rest."""
        try:
            async with asyncio.timeout(patience):
                await self._drain()
        except TimeoutError:
            _log.warning("%d settlements did not reach Redis", len(self._waiting))
        await self._tasks.close()
