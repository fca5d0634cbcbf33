"""A server of a test: its event loop runs in a thread of its own, so that tests can be plain functions."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from typing import Final, Self

DEADLINE: Final = 20.0
"""Seconds to begin, and to end."""


class Background(ABC):
    """`open` and `shut` run in the loop; what still runs in it after `shut` is cancelled."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)

    @abstractmethod
    async def open(self) -> None: ...

    @abstractmethod
    async def shut(self) -> None: ...

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.open(), self._loop).result(DEADLINE)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self.end(), self._loop).result(DEADLINE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(DEADLINE)
        self._loop.close()

    async def end(self) -> None:
        """Shut, and cancel what still runs."""
        await self.shut()
        await _turns()  # of connections that were accepted in this moment: whoever serves them has to begin to be ended
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await _turns()  # transports close in turns of the loop of their own


async def _turns() -> None:
    for _ in range(3):
        await asyncio.sleep(0)
