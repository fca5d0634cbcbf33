"""What happens while Redis is away (`limits.on_store_error`): a share of every bound in this process, or a clear no."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final

from edge.limits.contract import (
    Actual,
    Ask,
    Bound,
    Full,
    Held,
    Lease,
    Level,
    OnStoreError,
    Over,
    Seats,
    StoreDown,
    Taken,
)
from edge.limits.memory import MemoryBudget, MemoryLeases
from edge.limits.redis_budget import RedisBudget
from edge.limits.redis_leases import RedisLeases
from edge.tasks import Tasks

_log = logging.getLogger(__name__)

PROBE: Final = 1.0


class Circuit:
    """Opens with the first failure, so that one request pays the time-out and not all; asks every `pause` seconds by
    `probe` (raises StoreDown) whether the store is back, and closes by itself."""

    def __init__(
        self,
        probe: Callable[[], Awaitable[None]],
        *,
        pause: float = PROBE,
        what: str = "limits",
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """`what` the log says it is about; `changed` is called whenever it has opened or closed, and must not raise."""
        self._probe = probe
        self._pause = pause
        self._what = what
        self._changed = changed
        self._tasks = Tasks()
        self.open = False

    def trip(self, error: StoreDown) -> None:
        """The store has failed."""
        if self.open:
            return
        self.open = True
        _log.warning("%s: Redis is away (%s)", self._what, error)
        self._changed()
        _ = self._tasks.keep(self._watch, name="Redis probed", pause=self._pause)

    async def _watch(self) -> None:
        while self.open:
            await asyncio.sleep(self._pause)
            try:
                await self._probe()
            except StoreDown:
                continue
            self.open = False
        _log.warning("%s: Redis is back", self._what)
        self._changed()

    async def close(self) -> None:
        """Stop asking."""
        await self._tasks.close()


class _Fallback:
    """What stands in for Redis, and whether. `share`: what part of every limit this process grants alone (0 to 1)."""

    def __init__(self, circuit: Circuit, on_error: OnStoreError, share: float) -> None:
        self._circuit = circuit
        self._deny = on_error is OnStoreError.DENY
        self._share = share

    def _stand_in(self) -> None:
        if self._deny:
            raise StoreDown("Redis is away")


class FallbackBudget(_Fallback):
    """Budget in Redis, with a stand-in, which grants at least one of each. A hold stays with the store that granted
    it."""

    def __init__(
        self, store: RedisBudget, local: MemoryBudget, circuit: Circuit, *, on_error: OnStoreError, share: float
    ) -> None:
        super().__init__(circuit, on_error, share)
        self._store = store
        self._local = local

    async def hold(self, ask: Ask) -> Held | Over:
        """See Budget.hold."""
        if not self._circuit.open:
            try:
                return await self._store.hold(ask)
            except StoreDown as error:
                self._circuit.trip(error)
        self._stand_in()
        return await self._local.hold(replace(ask, bounds=self._part(ask.bounds)))

    async def extend(self, held: Held, tokens: int) -> int:
        """See Budget.extend."""
        if held.origin != "redis":
            return await self._local.extend(held, tokens)
        if not self._circuit.open:
            try:
                return await self._store.extend(held, tokens)
            except StoreDown as error:
                self._circuit.trip(error)
        self._stand_in()
        ask = replace(held.ask, bounds=self._part(held.ask.bounds))
        return self._local.adopt(held._replace(ask=ask), tokens)

    async def settle(self, held: Held, actual: Actual) -> None:
        """See Budget.settle."""
        if held.origin != "redis":
            await self._local.settle(held, actual)
            return
        self._local.forget(held)
        if self._circuit.open:
            self._store.backlog.later(held, actual)
        else:
            await self._store.settle(held, actual)

    async def levels(self, bounds: Sequence[Bound]) -> tuple[Level, ...]:
        """See Budget.levels."""
        if not self._circuit.open:
            try:
                return await self._store.levels(bounds)
            except StoreDown as error:
                self._circuit.trip(error)
        self._stand_in()
        return await self._local.levels(self._part(bounds))

    async def close(self) -> None:
        """See Budget.close."""
        await self._circuit.close()
        await self._store.close()

    def _part(self, bounds: Sequence[Bound]) -> tuple[Bound, ...]:
        return tuple(_part_of_bound(bound, self._share) for bound in bounds)


class FallbackLeases(_Fallback):
    """Leases in Redis, with a stand-in, as FallbackBudget."""

    def __init__(
        self, store: RedisLeases, local: MemoryLeases, circuit: Circuit, *, on_error: OnStoreError, share: float
    ) -> None:
        super().__init__(circuit, on_error, share)
        self._store = store
        self._local = local

    async def take(self, seats: Sequence[Seats]) -> Lease | Full:
        """See Leases.take."""
        if not self._circuit.open:
            try:
                return await self._store.take(seats)
            except StoreDown as error:
                self._circuit.trip(error)
        self._stand_in()
        return await self._local.take(self._part(seats))

    async def taken(self, seats: Sequence[Seats]) -> tuple[Taken, ...]:
        """See Leases.taken."""
        if not self._circuit.open:
            try:
                return await self._store.taken(seats)
            except StoreDown as error:
                self._circuit.trip(error)
        self._stand_in()
        return await self._local.taken(self._part(seats))

    async def release(self, lease: Lease) -> None:
        """See Leases.release."""
        await (self._store if lease.origin == "redis" else self._local).release(lease)

    async def renew(self) -> None:
        """See Leases.renew."""
        await self._store.renew()

    async def close(self) -> None:
        """See Leases.close."""
        await self._circuit.close()
        await self._store.close()

    def _part(self, seats: Sequence[Seats]) -> list[Seats]:
        return [replace(seat, most=part(seat.most, self._share)) for seat in seats]


def part(most: int, share: float) -> int:
    """`share` of `most`, at least 1; 0 stays 0."""
    return max(int(most * share), 1) if most else 0


@lru_cache(maxsize=4096)
def _part_of_bound(bound: Bound, share: float) -> Bound:
    return replace(bound, most=part(bound.most, share))
