"""Background tasks that cannot get lost: references are kept, failures are logged, `close` waits for all."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

_log = logging.getLogger(__name__)


class Tasks:
    """The background tasks of one owner. asyncio itself keeps only weak references to tasks (docs of create_task)."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def start(self, coro: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Run `coro` in the background; its failure is logged with `name`, never swallowed."""
        task = asyncio.get_running_loop().create_task(coro, name=name)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def keep(
        self, make: Callable[[], Coroutine[Any, Any, None]], *, name: str, pause: float = 1.0
    ) -> asyncio.Task[None]:
        """Run the watch `make()` in the background for as long as it wants to run, until `close`.

        If it fails, it is logged with `name` and made anew after `pause` seconds, for ever: a watch that is quietly
        dead lets revoked keys work on. A watch that returns has nothing to do, and is left alone.
        """
        return self.start(_kept(make, name, pause), name=name)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            _log.error("background task %s failed", task.get_name(), exc_info=failure)

    async def close(self) -> None:
        """Cancel what runs and wait until it is gone."""
        tasks = list(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _kept(make: Callable[[], Coroutine[Any, Any, None]], name: str, pause: float) -> None:
    while True:
        try:
            await make()
        except (Exception, asyncio.CancelledError) as failure:
            # A CancelledError that nobody asked this task for has leaked out of something the watch awaited; asyncio
            # would take it for an orderly end, and say nothing.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            _log.error("%s failed, starting it again in %g s", name, pause, exc_info=failure)
        else:
            return
        await asyncio.sleep(pause)
