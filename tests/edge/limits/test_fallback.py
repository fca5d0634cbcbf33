"""While Redis is away: a share in every process, or a clear no; and back to Redis by itself."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from edge.limits.clock import Clock
from edge.limits.contract import (
    DAY,
    MINUTE,
    Actual,
    Ask,
    Full,
    Held,
    Lease,
    Meter,
    OnStoreError,
    Over,
    Seats,
    StoreDown,
    Taken,
)
from edge.limits.fallback import Circuit, FallbackBudget, FallbackLeases, part
from edge.limits.memory import MemoryBudget, MemoryLeases
from edge.limits.opening import in_memory, in_redis
from edge.limits.redis_budget import RedisBudget
from edge.limits.redis_leases import RedisLeases
from edge.limits.scripts import Scripts, connect
from tests.edge.limits.asks import spend
from tests.edge.limits.redis_server import RedisServer
from tests.edge.limits.waiting import until

ASK = Ask((spend(1_000, DAY), spend(20, meter=Meter.REQUESTS)), input=100, output=2_000, least=1)


class Counting:
    """All of it, with a circuit that asks 20 times a second."""

    def __init__(self, url: str, on_error: OnStoreError) -> None:
        self.scripts = Scripts(connect(url, timeout=5.0), whole=10.0)  # killed, it refuses at once
        self.store = RedisBudget(self.scripts)
        self.store.backlog._pause = 0.05
        self.circuit = Circuit(self.store.probe, pause=0.05)
        self.local = MemoryBudget(Clock().ms, origin="local")
        seats = MemoryLeases(origin="local")
        self.budget = FallbackBudget(self.store, self.local, self.circuit, on_error=on_error, share=0.25)
        store = RedisLeases(self.scripts)
        self.leases = FallbackLeases(store, seats, self.circuit, on_error=on_error, share=0.25)


@asynccontextmanager
async def counting(server: RedisServer, on_error: OnStoreError = OnStoreError.LOCAL) -> AsyncIterator[Counting]:
    it = Counting(server.url, on_error)
    try:
        yield it
    finally:
        await it.leases.close()
        await it.budget.close()
        await it.scripts.close()


async def held_by(budget: FallbackBudget, ask: Ask = ASK) -> Held:
    answer = await budget.hold(ask)
    assert isinstance(answer, Held)
    return answer


async def test_a_share_of_every_bound_is_granted_and_then_no_more(redis_server: RedisServer) -> None:
    async with counting(redis_server) as it:
        redis_server.kill()
        held = await held_by(it.budget)
        assert (held.origin, held.granted) == ("local", 150)
        assert it.circuit.open
        assert [level.bound.most for level in held.levels] == [250, 5]
        assert isinstance(await it.budget.hold(ASK), Over)
        assert await it.budget.extend(held, 10) == 0
        await it.budget.settle(held, Actual(100, 50))
        assert await it.budget.extend(await held_by(it.budget, replace(ASK, input=0, output=90)), 100) == 10
        (day, _) = await it.budget.levels(ASK.bounds)
        assert (day.used, day.left) == (250, 0)


async def test_comes_back_by_itself_and_settles_what_waited(redis_server: RedisServer) -> None:
    async with counting(redis_server) as it:
        before = await held_by(it.budget, replace(ASK, output=100))
        redis_server.kill()
        local = await held_by(it.budget)
        await it.budget.settle(before, Actual(100, 10))
        assert len(it.store.backlog) == 2  # and the hold that failed
        redis_server.start()
        await until(lambda: not it.circuit.open)
        await until(lambda: not it.store.backlog)
        after = await held_by(it.budget)
        assert (after.origin, after.granted) == ("redis", 900)
        await it.budget.settle(local, Actual(100, 10))
        await it.budget.settle(after, Actual(100, 10))
        assert [level.used for level in await it.budget.levels(ASK.bounds)] == [110, 1]


async def test_a_running_request_goes_on_with_the_share(redis_server: RedisServer) -> None:
    async with counting(redis_server) as it:
        held = await held_by(it.budget, replace(ASK, output=100))
        redis_server.kill()
        assert await it.budget.extend(held, 200) == 200
        assert await it.budget.extend(held, 200) == 50
        assert it.local.windows.running == 1
        await it.budget.settle(held, Actual(100, 350))
        assert it.local.windows.running == 0
        (day, _) = await it.budget.levels(ASK.bounds)
        assert day.used == 250  # what this process granted stays charged here


async def test_deny_says_so_and_settles_all_the_same(redis_server: RedisServer) -> None:
    async with counting(redis_server, OnStoreError.DENY) as it:
        held = await held_by(it.budget)
        redis_server.kill()
        for _ in range(2):
            for step in (it.budget.hold(ASK), it.budget.extend(held, 1), it.budget.levels(ASK.bounds)):
                with pytest.raises(StoreDown):
                    await step
            for seats in (it.leases.take([Seats("key:a", 1)]), it.leases.taken([Seats("key:a", 1)])):
                with pytest.raises(StoreDown):
                    await seats
        await it.budget.settle(held, Actual())
        redis_server.start()
        await until(lambda: not it.circuit.open)
        assert (await held_by(it.budget)).origin == "redis"


async def test_one_failure_opens_the_circuit_for_all(redis_server: RedisServer) -> None:
    async with counting(redis_server) as it:
        redis_server.kill()
        await held_by(it.budget, replace(ASK, output=1))
        it.circuit._pause = 30.0
        failed = len(it.store.backlog)
        await asyncio.gather(*(it.budget.hold(ASK) for _ in range(50)))
        assert len(it.store.backlog) == failed


async def test_leases_have_a_share_too(redis_server: RedisServer) -> None:
    seats = [Seats("key:a", 8)]
    async with counting(redis_server) as it:
        old = await it.leases.take(seats)
        assert isinstance(old, Lease)
        redis_server.kill()
        local = [await it.leases.take(seats) for _ in range(3)]
        assert [type(answer) for answer in local] == [Lease, Lease, Full]
        assert await it.leases.taken(seats) == (Taken(Seats("key:a", 2), 2),)
        await it.leases.release(old)
        assert isinstance(local[0], Lease)
        await it.leases.release(local[0])
        assert isinstance(await it.leases.take(seats), Lease)
        await it.leases.renew()
        redis_server.start()
        await until(lambda: not it.circuit.open)
        new = await it.leases.take(seats)
        assert isinstance(new, Lease)
        assert new.origin == "redis"
        assert await it.leases.taken(seats) == (Taken(seats[0], 1),)


def test_a_share_is_at_least_one_and_of_nothing_nothing() -> None:
    assert [part(most, 0.25) for most in (0, 1, 3, 4, 100)] == [0, 1, 1, 1, 25]


async def test_opening_by_configuration(redis_server: RedisServer) -> None:
    redis_server.kill()  # a Redis that is not there yet
    for opened in (in_memory(Clock()), in_redis(redis_server.url, Clock(), on_error=OnStoreError.LOCAL, share=1.0)):
        held = await opened.budget.hold(ASK)
        assert isinstance(held, Held)
        assert held.granted == 900
        assert (held.origin == "memory") is (opened.memory is not None)
        await opened.budget.settle(held, Actual())
        lease = await opened.leases.take([Seats("key:a", 1)])
        assert isinstance(lease, Lease)
        await opened.leases.release(lease)
        await opened.close()


def test_without_redis_its_client_is_not_even_imported() -> None:
    code = "import sys; from edge.limits import clock, opening; opening.in_memory(clock.Clock()); print(*sys.modules)"
    loaded = subprocess.run((sys.executable, "-c", code), capture_output=True, check=True).stdout.split()
    assert b"edge.limits.windows" in loaded
    assert b"redis" not in loaded


async def test_restored_in_seconds() -> None:
    clock = Clock(wall=lambda: 1_790_000_000.5, monotonic=lambda: 7.0)
    opened = in_memory(clock)
    assert opened.memory is not None
    opened.memory.restore([("key:a", Meter.TOKENS, 1_789_999_990.25, 40)])
    (level,) = await opened.budget.levels([spend(100, MINUTE)])
    assert (level.used, level.left, level.frees_in) == (40, 60, 50.5)
    await opened.close()
