"""All engines' queues of a gateway that shares them with others: the wire to Redis, and who listens on it.

Imports redis-py: only where one is configured (`opening`).
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import socket
import time
from collections.abc import Callable
from itertools import count
from typing import Final
from urllib.parse import urlsplit

from edge.limits.contract import LEASE_MS, StoreDown
from edge.limits.fallback import PROBE, Circuit
from edge.limits.scripts import WHOLE, Scripts
from edge.queue.news import decode
from edge.queue.redis_turns import CHANNEL, RedisTurns, probe
from edge.queue.settings import QueueLimits
from edge.queue.shared_order import SharedOrder
from edge.queue.shared_queue import Away, SharedQueue
from edge.tasks import Tasks
from engines.contract import Engine

_AGAIN: Final = 0.2
_ENDING: Final = 4 * WHOLE
"""Seconds for what a queue is about to say to Redis when the gateway ends."""
_LOOPBACK: Final = ("localhost", "127.", "::1")


class Sharing:
    """Makes the queues. `pause` in seconds: how often a Redis that is away is asked whether it is back."""

    def __init__(
        self,
        scripts: Scripts,
        limits: QueueLimits,
        away: Away,
        *,
        pause: float = PROBE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._scripts = scripts
        self._limits = limits
        self._away = away
        self._clock = clock
        self._process = secrets.token_hex(8)
        self._count = count(1)
        self._queues: dict[str, SharedQueue] = {}
        self._tasks = Tasks()
        self._working: list[asyncio.Task[None]] = []
        self._listening = self._ended = False
        self._circuit = Circuit(lambda: probe(scripts), pause=pause, what="turns", changed=self._changed)

    def make(self, engine: Engine) -> SharedQueue:
        """The queue of `engine`; it lives until `close`."""
        name, place = f"{self._process}.{next(self._count)}", place_of(engine)
        order = SharedOrder(self._limits, engine.loaded_models, name, place)
        turns = RedisTurns(self._scripts, place, name, swaps=order.models.swaps, life=LEASE_MS)
        queue = SharedQueue(
            engine.concurrency, self._limits, order, turns, away=self._away, down=self._circuit.trip, clock=self._clock
        )
        self._queues[name] = queue
        if self._circuit.open:
            queue.went_away()
        self._working.append(self._tasks.keep(queue.work, name="turns shared"))
        if not self._listening:
            self._listening = True
            _ = self._tasks.keep(self._listen, name="other gateways heard")
        return queue

    async def close(self) -> None:
        """Give back everything that is held."""
        self._ended = True
        for queue in self._queues.values():
            queue.end()
        if self._working:
            _ = await asyncio.wait(self._working, timeout=_ENDING)
        await self._tasks.close()
        await self._circuit.close()
        if not self._circuit.open:
            for queue in self._queues.values():
                await queue.close()
        await self._scripts.close()

    def _changed(self) -> None:
        for queue in self._queues.values():
            if self._circuit.open:
                queue.went_away()
            else:
                queue.came_back()

    async def _listen(self) -> None:
        while not self._ended:
            try:
                async for said in self._scripts.listen(CHANNEL):
                    self._hear(said)
            except StoreDown:  # those who bid will see for themselves
                for queue in self._queues.values():
                    queue.wake()
            await asyncio.sleep(_AGAIN)

    def _hear(self, said: bytes) -> None:
        if not said:
            for queue in self._queues.values():
                queue.begin_anew()
        elif said.startswith(b"!"):  # turns.lua: this one may go
            first = self._queues.get(said[1:].decode(errors="replace"))
            if first is not None:
                first.wake()
        elif (news := decode(said)) is not None:
            for name, queue in self._queues.items():
                if queue.engine == news.engine and name != news.sender:
                    queue.hear(news)


def place_of(engine: Engine) -> str:
    """What gateways know the same engine by: its name and URL and, for one on this very machine, the machine."""
    split = urlsplit(engine.url)
    host = split.hostname or ""
    here = socket.gethostname() if not host or host.startswith(_LOOPBACK) else ""
    url = split._replace(netloc=split.netloc.lower()).geturl()
    text = f"{engine.name}\n{url}\n{here}"
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
