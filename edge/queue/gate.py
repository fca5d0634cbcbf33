"""A turn: at most so many requests at once, a bounded line behind them, a bounded wait. Per engine, and per caller.

An engine's line has bands: whoever waits in an earlier one goes first, whenever a slot comes free.

Engines queue without bound themselves (Ollama #7758, llama-server's deferred tasks), and some hold one lock
(llama-cpp-python): so the line must form here, where it can be bounded and left.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import MappingProxyType

from policies.errors import Refusal
from policies.obligations import Priority
from policies.principal import Principal
from policies.reasons import Reason


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """`limit`: callers that may wait for one engine; `wait`: seconds each of them waits at most.

    `in_flight_per_caller` requests of one credential are under way at once (fewer where the key says so), and
    `queued_per_caller` more may wait for that; beyond, they are refused. One noisy caller never fills an engine's line.
    """

    limit: int = 64
    wait: float = 30.0
    in_flight_per_caller: int = 8
    queued_per_caller: int = 16

    def __post_init__(self) -> None:
        if self.in_flight_per_caller < 1:
            raise ValueError("in_flight_per_caller must be at least 1")
        if min(self.limit, self.queued_per_caller, self.wait) < 0:
            raise ValueError("limit, queued_per_caller and wait must not be negative (0 = nobody waits)")


@dataclass(frozen=True, slots=True)
class RateClass:
    """What one credential may do in a class of its own, into which a policy puts it (`rate_class`).

    `concurrency` requests at once; None = no limit but the others.
    """

    concurrency: int | None = None

    def __post_init__(self) -> None:
        if self.concurrency is not None and self.concurrency < 1:
            raise ValueError("concurrency must be at least 1")


@dataclass(frozen=True, slots=True)
class Line:
    """How long a line may be, how long to stand in it (seconds), and what is said to whom it is too long for."""

    length: int
    wait: float
    full: Reason
    late: Reason


class Gate:
    """The slots of one engine, or of one caller."""

    __slots__ = ("_bands", "_free", "_line", "concurrency")

    def __init__(self, concurrency: int, line: Line) -> None:
        self.concurrency = concurrency
        self._free = concurrency
        self._line = line
        self._bands: dict[Priority, deque[asyncio.Future[None]]] = {band: deque() for band in Priority}

    @property
    def load(self) -> float:
        """Requests running and waiting, per slot: for choosing among engines that hold the same model."""
        return (self.concurrency - self._free + self._waiting) / self.concurrency

    @property
    def _waiting(self) -> int:
        return sum(len(band) for band in self._bands.values())

    @contextlib.asynccontextmanager
    async def turn(self, priority: Priority = Priority.NORMAL) -> AsyncIterator[None]:
        """Hold one slot. Refusal with the line's reasons and a retry_after in seconds."""
        await self._take(self._bands[priority])
        try:
            yield
        finally:
            self._give()

    async def _take(self, band: deque[asyncio.Future[None]]) -> None:
        waiting = self._waiting
        if self._free > 0 and not waiting:
            self._free -= 1
            return
        if waiting >= self._line.length:
            raise self._refusal(self._line.full)
        turn = asyncio.get_running_loop().create_future()
        band.append(turn)
        try:
            async with asyncio.timeout(self._line.wait):
                await turn
        except TimeoutError:
            self._leave(turn, band)
            raise self._refusal(self._line.late) from None
        except asyncio.CancelledError:
            self._leave(turn, band)
            raise

    def _refusal(self, reason: Reason) -> Refusal:
        return Refusal(reason, retry_after=min(self._line.wait, 5.0))

    def _leave(self, turn: asyncio.Future[None], band: deque[asyncio.Future[None]]) -> None:
        """Stop waiting; a slot that was handed over in the same moment goes to the next in line."""
        if turn.done() and not turn.cancelled():
            self._give()
        elif turn in band:
            band.remove(turn)

    def _give(self) -> None:
        for band in self._bands.values():
            while band:
                turn = band.popleft()
                if not turn.done():
                    turn.set_result(None)
                    return
        self._free += 1


class Gates:
    """One gate per engine, by name; an engine whose concurrency changed gets a new gate."""

    def __init__(self, limits: QueueLimits) -> None:
        self._line = Line(limits.limit, limits.wait, Reason.QUEUE_FULL, Reason.QUEUE_TIMEOUT)
        self._gates: dict[str, Gate] = {}

    def of(self, name: str, concurrency: int) -> Gate:
        """The gate of engine `name`."""
        gate = self._gates.get(name)
        if gate is None or gate.concurrency != concurrency:
            gate = self._gates[name] = Gate(concurrency, self._line)
        return gate


class KeyedGates:
    """One gate per key; those nobody stands at are forgotten, so that keys cannot fill the memory."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._gates: dict[str, Gate] = {}

    def __len__(self) -> int:
        return len(self._gates)

    @contextlib.asynccontextmanager
    async def turn(self, key: str, slots: int) -> AsyncIterator[None]:
        """Hold one of the key's `slots`; Refusal with the line's reasons beyond them and their line."""
        gate = self._gates.get(key)
        if gate is None or gate.concurrency != slots:
            gate = self._gates[key] = Gate(slots, self._line)
        try:
            async with gate.turn():
                yield
        finally:
            if gate.load == 0 and self._gates.get(key) is gate:
                del self._gates[key]


class CallerGates:
    """What one credential may have under way, on the whole and in the class that a policy puts a request into."""

    def __init__(self, limits: QueueLimits, classes: Mapping[str, RateClass] = MappingProxyType({})) -> None:
        reason = Reason.CONCURRENCY_EXCEEDED
        line = Line(limits.queued_per_caller, limits.wait, reason, reason)
        self._most = limits.in_flight_per_caller
        self._classes = dict(classes)
        self._all = KeyedGates(line)
        self._in_class = KeyedGates(line)

    def __len__(self) -> int:
        return len(self._all) + len(self._in_class)

    def turn(self, principal: Principal) -> AbstractAsyncContextManager[None]:
        """Hold one of the credential's slots; Refusal(CONCURRENCY_EXCEEDED) beyond them and their line."""
        return self._all.turn(principal.key_id, min(principal.quota.concurrency or self._most, self._most))

    def turn_in(self, principal: Principal, name: str | None) -> AbstractAsyncContextManager[None]:
        """Hold one of the slots that class `name` leaves the credential; None and classes without a limit: no wait."""
        found = self._classes.get(name) if name is not None else None
        if found is None or found.concurrency is None:
            return contextlib.nullcontext()
        return self._in_class.turn(f"{name} {principal.key_id}", found.concurrency)
