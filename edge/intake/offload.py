"""Parsing large bodies beside the event loop.

A body over 256 KiB (facts/security.md F11) is parsed in one thread, so that the loop keeps serving others between the
C calls that parsing is made of. The thread does not make parsing parallel (all of it holds the GIL), so one lane is the
useful number, and it is also the cap: other large bodies wait for it, held by the listener's limit on requests in
flight.

What is left is the longest single C call. Measured here as the longest delay of a loop that ticks every millisecond
(2 cores), in the thread and, for comparison, inline:

    4 MiB of agent turns (the default limit)    16 ms    36 ms
    16 MiB of agent turns                       55 ms   122 ms
    16 MiB with one image                       54 ms   126 ms
    16 MiB of escaped quotes (the worst found)  60 ms   142 ms

A process pool would bring that down, but has to copy the document back through pickle, which takes as long as the
parse itself and is work for the loop. It is not worth it at the default limit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from edge.intake.intake import read_call
from edge.intake.routes import Route
from edge.intake.strict_json import LIMITS, Limits, parse
from policies.call import Call
from policies.json import Object

INLINE: Final = 256 * 1024

T = TypeVar("T")


class Parser:
    """Runs `strict_json.parse` inline, or in the lane if the body has more than `inline` bytes."""

    __slots__ = ("_inline", "_lane", "_limits")

    def __init__(self, limits: Limits = LIMITS, *, inline: int = INLINE, lanes: int = 1) -> None:
        self._limits = limits
        self._inline = inline
        self._lane = ThreadPoolExecutor(max_workers=lanes, thread_name_prefix="parse")

    async def parse(self, body: bytes) -> Object:
        """The object that `body` is; Refusal as `strict_json.parse`."""
        return await self._run(len(body), lambda: parse(body, self._limits))

    async def read_call(self, route: Route, body: bytes, *, strict: bool = False) -> Call:
        """`parse` and `intake.read_call` in one go: checking a large document is no work for the loop either."""
        return await self._run(len(body), lambda: read_call(route, parse(body, self._limits), strict=strict))

    async def aside(self, size: int, work: Callable[[], T]) -> T:
        """What `work` returns: in the lane if it is about more than a few bytes."""
        return await self._run(size, work)

    def close(self) -> None:
        """Let what runs finish, drop what waits."""
        self._lane.shutdown(wait=False, cancel_futures=True)

    async def _run(self, size: int, work: Callable[[], T]) -> T:
        if size <= self._inline:
            return work()
        # What waits is cancelled with its caller; what has begun runs on, but is bounded by the size of the body.
        return await asyncio.get_running_loop().run_in_executor(self._lane, work)
