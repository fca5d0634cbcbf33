"""What one caller may have under way: so many requests at once, a bounded line behind them, a bounded wait.

First come, first served: who waits here waits for itself only. The line for an engine, where callers compete, is
`engine_queue`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import MappingProxyType, TracebackType

from edge.queue.settings import QueueLimits
from policies.errors import Refusal
from policies.principal import Principal
from policies.reasons import Reason


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
    """The slots of one caller."""

    __slots__ = ("_free", "_line", "_waiting", "concurrency")

    def __init__(self, concurrency: int, line: Line) -> None:
        self.concurrency = concurrency
        self._free = concurrency
        self._line = line
        self._waiting: deque[asyncio.Future[None]] | None = None  # most requests never see a line

    @property
    def busy(self) -> int:
        """Requests that hold a slot or wait for one."""
        return self.concurrency - self._free + len(self._waiting or ())

    async def take(self) -> None:
        """Wait for a slot; `give` it back. Refusal with the line's reasons and a retry_after in seconds."""
        if self._free > 0 and not self._waiting:
            self._free -= 1
            return
        line = self._waiting = self._waiting if self._waiting is not None else deque()
        if len(line) >= self._line.length:
            raise self._refusal(self._line.full)
        turn = asyncio.get_running_loop().create_future()
        line.append(turn)
        try:
            async with asyncio.timeout(self._line.wait):
                await turn
        except TimeoutError:
            self._leave(turn, line)
            raise self._refusal(self._line.late) from None
        except asyncio.CancelledError:
            self._leave(turn, line)
            raise

    def give(self) -> None:
        """Give a slot back: to the next one in line."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def _refusal(self, reason: Reason) -> Refusal:
        return Refusal(reason, retry_after=min(self._line.wait, 5.0))

    def _leave(self, turn: asyncio.Future[None], line: deque[asyncio.Future[None]]) -> None:
        """Stop waiting; a slot that was handed over in the same moment goes to the next in line."""
        if turn.done() and not turn.cancelled():
            self.give()
        elif turn in line:
            line.remove(turn)


class KeyedGates:
    """One gate per key; those nobody stands at are forgotten, so that keys cannot fill the memory."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._gates: dict[str, Gate] = {}

    def __len__(self) -> int:
        return len(self._gates)

    def turn(self, key: str, slots: int) -> AbstractAsyncContextManager[None]:
        """Hold one of the key's `slots`; Refusal with the line's reasons beyond them and their line."""
        return _Turn(self, key, slots)

    def gate(self, key: str, slots: int) -> Gate:
        """The gate of `key`, made when it is asked for."""
        gate = self._gates.get(key)
        if gate is None or gate.concurrency != slots:
            gate = self._gates[key] = Gate(slots, self._line)
        return gate

    def forget(self, key: str, gate: Gate) -> None:
        """Let `gate` go if nobody stands at it."""
        if gate.busy == 0 and self._gates.get(key) is gate:
            del self._gates[key]


class _Turn:
    """One slot of one key. A class, since a generator's context manager would cost as much as all the rest."""

    __slots__ = ("_gate", "_gates", "_key")

    def __init__(self, gates: KeyedGates, key: str, slots: int) -> None:
        self._gates = gates
        self._key = key
        self._gate = gates.gate(key, slots)

    async def __aenter__(self) -> None:
        try:
            await self._gate.take()
        except BaseException:
            self._gates.forget(self._key, self._gate)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._gate.give()
        self._gates.forget(self._key, self._gate)


class CallerGates:
    """What one credential may have under way, on the whole and in the class that a policy puts a request into."""

    def __init__(
        self,
        limits: QueueLimits,
        classes: Mapping[str, RateClass] = MappingProxyType({}),
        *,
        default: int | None = None,
    ) -> None:
        """`default`: requests at once of a credential that does not say how many."""
        reason = Reason.CONCURRENCY_EXCEEDED
        line = Line(limits.queued_per_caller, limits.wait, reason, reason)
        self._most = limits.in_flight_per_caller
        self._default = default
        self._classes = dict(classes)
        self._all = KeyedGates(line)
        self._in_class = KeyedGates(line)

    def __len__(self) -> int:
        return len(self._all) + len(self._in_class)

    def turn(self, principal: Principal) -> AbstractAsyncContextManager[None]:
        """Hold one of the credential's slots; Refusal(CONCURRENCY_EXCEEDED) beyond them and their line."""
        own = principal.quota.concurrency or self._default or self._most
        return self._all.turn(principal.key_id, min(own, self._most))

    def turn_in(self, principal: Principal, name: str | None) -> AbstractAsyncContextManager[None]:
        """Hold one of the slots that class `name` leaves the credential; None and classes without a limit: no wait."""
        found = self._classes.get(name) if name is not None else None
        if found is None or found.concurrency is None:
            return contextlib.nullcontext()
        return self._in_class.turn(f"{name} {principal.key_id}", found.concurrency)
