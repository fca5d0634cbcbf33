"""A turn on an engine: at most `concurrency` requests at once, a bounded line behind them, a bounded wait.

Engines queue without bound themselves (Ollama #7758, llama-server's deferred tasks), and some hold one lock
(llama-cpp-python): so the line must form here, where it can be bounded and left.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

from policies.errors import Refusal
from policies.reasons import Reason


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """`limit`: callers that may wait for one engine; `wait`: seconds each of them waits at most."""

    limit: int = 64
    wait: float = 30.0


class Gate:
    """The slots of one engine."""

    __slots__ = ("_free", "_limits", "_waiting", "concurrency")

    def __init__(self, concurrency: int, limits: QueueLimits) -> None:
        self.concurrency = concurrency
        self._free = concurrency
        self._limits = limits
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def load(self) -> float:
        """Requests running and waiting, per slot: for choosing among engines that hold the same model."""
        return (self.concurrency - self._free + len(self._waiting)) / self.concurrency

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Hold one slot. Refusal(QUEUE_FULL) or (QUEUE_TIMEOUT), both with a retry_after in seconds."""
        await self._take()
        try:
            yield
        finally:
            self._give()

    async def _take(self) -> None:
        if self._free > 0 and not self._waiting:
            self._free -= 1
            return
        if len(self._waiting) >= self._limits.limit:
            raise Refusal(Reason.QUEUE_FULL, retry_after=min(self._limits.wait, 5.0))
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._limits.wait):
                await turn
        except TimeoutError:
            self._leave(turn)
            raise Refusal(Reason.QUEUE_TIMEOUT, retry_after=min(self._limits.wait, 5.0)) from None
        except asyncio.CancelledError:
            self._leave(turn)
            raise

    def _leave(self, turn: asyncio.Future[None]) -> None:
        """Stop waiting; a slot that was handed over in the same moment goes to the next in line."""
        if turn.done() and not turn.cancelled():
            self._give()
        elif turn in self._waiting:
            self._waiting.remove(turn)

    def _give(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


class Gates:
    """One gate per engine, by name; an engine whose concurrency changed gets a new gate."""

    def __init__(self, limits: QueueLimits) -> None:
        self._limits = limits
        self._gates: dict[str, Gate] = {}

    def of(self, name: str, concurrency: int) -> Gate:
        """The gate of engine `name`."""
        gate = self._gates.get(name)
        if gate is None or gate.concurrency != concurrency:
            gate = self._gates[name] = Gate(concurrency, self._limits)
        return gate
