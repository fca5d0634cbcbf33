"""Opens what the configuration names: the stores in memory, or Redis with its stand-in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from edge.limits.clock import Clock
from edge.limits.contract import Budget, Leases, OnStoreError
from edge.limits.memory import MemoryBudget, MemoryLeases


@dataclass(frozen=True, slots=True)
class Counting:
    """The open stores. `memory`: the budget to restore at the start; None with Redis, which keeps its own counts.
    `redis`: whether Redis answers, as far as requests have found out; None without one."""

    budget: Budget
    leases: Leases
    close: Callable[[], Awaitable[None]]
    memory: MemoryBudget | None = None
    redis: Callable[[], bool] | None = None


def in_memory(clock: Clock) -> Counting:
    """Everything in this process."""
    budget, leases = MemoryBudget(clock.ms), MemoryLeases()

    async def close() -> None:
        await leases.close()
        await budget.close()

    return Counting(budget, leases, close, budget)


def in_redis(url: str, clock: Clock, *, on_error: OnStoreError, share: float) -> Counting:
    """Everything in the Redis at `url`, which need not be there yet. For `on_error` and `share` see fallback.py."""
    # redis-py takes 0.1 s to import, and most gateways have no Redis
    from edge.limits.fallback import Circuit, FallbackBudget, FallbackLeases
    from edge.limits.redis_budget import RedisBudget
    from edge.limits.redis_leases import RedisLeases
    from edge.limits.scripts import Scripts, connect

    scripts = Scripts(connect(url))
    store = RedisBudget(scripts)
    circuit = Circuit(store.probe)
    local = MemoryBudget(clock.ms, origin="local")
    budget = FallbackBudget(store, local, circuit, on_error=on_error, share=share)
    leases = FallbackLeases(RedisLeases(scripts), MemoryLeases(origin="local"), circuit, on_error=on_error, share=share)

    async def close() -> None:
        await leases.close()
        await budget.close()
        await scripts.close()

    return Counting(budget, leases, close, redis=lambda: not circuit.open)
