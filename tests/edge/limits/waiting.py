"""Waits for a condition, with a deadline."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], bool | Awaitable[bool]], within: float = 20.0) -> float:
    """Returns the seconds it took; fails after `within` seconds."""
    start = time.monotonic()
    while True:
        answer = condition()
        if await answer if inspect.isawaitable(answer) else answer:
            return time.monotonic() - start
        assert time.monotonic() - start < within, "it did not come to pass"
        await asyncio.sleep(0.02)
