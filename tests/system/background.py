"""A server of a test: its event loop runs in a thread of its own, so that tests can be plain functions."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from typing import Final, Self

DEADLINE: Final = 20.0
"""Seconds to begin, and to end."""


class Background(ABC):
    """Listens on `port`. `open` and `shut` run in the loop; what still runs in it after `shut` is cancelled."""

    port: int

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
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await _turns()  # transports close in turns of the loop of their own


async def close(server: asyncio.Server) -> None:
    """Accept no more, let what was accepted a moment ago begin to be served, and close: Python 3.11 forgets connections
    that are not made yet when their server closes, and warns of them in whatever test comes next."""
    for each in server.sockets:
        asyncio.get_running_loop().remove_reader(each.fileno())
    await _turns()
    server.close()


async def _turns() -> None:
    """Enough of the loop for a connection to be made, served and closed: four at most."""
    for _ in range(10):
        await asyncio.sleep(0)
