"""The budget in a real Redis that is slow, restarted, frozen, full, or cut off in the middle of a step."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from edge.limits.contract import DAY, MINUTE, MONTH, Actual, Ask, Held, Meter, Over, StoreDown
from edge.limits.redis_budget import RedisBudget
from edge.limits.scripts import PREFIX, TIMEOUT, WHOLE, Scripts, connect
from tests.edge.limits.asks import spend
from tests.edge.limits.redis_server import RedisServer
from tests.edge.limits.slow import slow_wire
from tests.edge.limits.waiting import until

ASK = Ask((spend(1_000, DAY), spend(5, meter=Meter.REQUESTS)), input=100, output=300, least=1)


PATIENT = 5.0
"""Seconds, where Redis does answer: this machine may have other work to do first."""


@asynccontextmanager
async def opened(port: int, patience: float = PATIENT) -> AsyncIterator[tuple[RedisBudget, Scripts]]:
    scripts = Scripts(connect(f"redis://127.0.0.1:{port}/0", timeout=patience), whole=2 * patience)
    budget = RedisBudget(scripts)
    try:
        yield budget, scripts
    finally:
        await budget.close()
        await scripts.close()


async def held_by(budget: RedisBudget, ask: Ask = ASK) -> Held:
    answer = await budget.hold(ask)
    assert isinstance(answer, Held)
    return answer


async def used(budget: RedisBudget, ask: Ask = ASK) -> list[int]:
    return [level.used for level in await budget.levels(ask.bounds)]


async def test_holds_extends_and_settles(redis_server: RedisServer) -> None:
    async with opened(redis_server.port) as (budget, _):
        held = await held_by(budget)
        assert (held.granted, held.origin) == (300, "redis")
        assert await budget.extend(held, 1_000) == 600
        over = await budget.hold(ASK)
        assert isinstance(over, Over)
        assert over.retry_after is not None
        await budget.settle(held, Actual(100, 50))
        assert await used(budget) == [150, 1]


async def test_parallel_asks_of_two_processes_share_one_count(redis_server: RedisServer) -> None:
    ask = Ask((spend(1_000, DAY),), output=900, least=1)
    async with opened(redis_server.port) as (one, _), opened(redis_server.port) as (two, _):
        answers = await asyncio.gather(*(budget.hold(ask) for budget in [one, two] * 10))
    assert sorted(answer.granted for answer in answers if isinstance(answer, Held)) == [100, 900]


async def test_every_key_ends_by_itself_and_has_the_prefix(redis_server: RedisServer) -> None:
    async with opened(redis_server.port) as (budget, _):
        await held_by(budget, Ask((spend(10**6, MONTH), spend(10**6, MINUTE)), output=5))
        await budget.settle(await held_by(budget), Actual())
        client = Redis.from_url(redis_server.url, decode_responses=True)
        keys = [key async for key in client.scan_iter()]
        lives = {key.removeprefix(PREFIX): await client.ttl(key) for key in keys}
        await client.aclose()
    assert all(key.startswith(PREFIX) for key in keys)
    assert lives.pop("clock") == -1
    assert 2_592_000 < lives["count:2592000/60:tokens:key:a"] < 2_592_000 + 43_200 + 61
    assert all(0 < life < 2_700_000 for life in lives.values())
    assert len(lives) == 5  # the day count of what was settled to nothing is gone at once


async def test_goes_on_after_a_restart_with_the_scripts_gone(redis_server: RedisServer) -> None:
    async with opened(redis_server.port) as (budget, _):
        held = await held_by(budget)
        redis_server.kill()
        with pytest.raises(StoreDown):
            await budget.hold(ASK)
        redis_server.start()
        assert (await held_by(budget)).granted == 300
        assert await budget.extend(held, 50) == 50  # its hold is lost, and it goes on
        await budget.settle(held, Actual(100, 350))
        assert (await used(budget))[0] == 400 + 450


async def test_an_outage_costs_a_bounded_time_and_one_kind_of_error(redis_server: RedisServer) -> None:
    async with slow_wire(redis_server.port) as wire, opened(wire.port, TIMEOUT) as (budget, _):
        await held_by(budget)
        wire.swallow = True
        start = time.monotonic()
        for step in (budget.hold(ASK), budget.levels(ASK.bounds), budget.probe()):
            with pytest.raises(StoreDown):
                await step
        assert time.monotonic() - start < 3 * WHOLE + 1.0


async def test_a_slow_redis_within_the_time_is_no_outage(redis_server: RedisServer) -> None:
    async with slow_wire(redis_server.port) as wire, opened(wire.port) as (budget, _):
        await held_by(budget)
        wire.delay = 0.3
        held = await held_by(budget)
        await budget.settle(held, Actual(100, 0))
        assert await used(budget) == [500, 2]


async def test_a_hold_whose_answer_is_lost_is_given_back(redis_server: RedisServer) -> None:
    async with slow_wire(redis_server.port) as wire, opened(wire.port, TIMEOUT) as (budget, _):
        await budget.probe()
        wire.swallow = True
        with pytest.raises(StoreDown):
            await budget.hold(ASK)
        async with opened(redis_server.port) as (other, _):
            assert await used(other) == [400, 1]
            wire.swallow = False
            await wire.close()
            await until(lambda: not budget.backlog)
            assert await used(other) == [0, 0]


async def test_a_hold_that_is_cancelled_is_given_back(redis_server: RedisServer) -> None:
    async with slow_wire(redis_server.port) as wire, opened(wire.port) as (budget, _):
        await budget.probe()
        wire.delay = 0.2
        async with asyncio.TaskGroup() as group:
            task = group.create_task(budget.hold(ASK))
            await asyncio.sleep(0.05)
            task.cancel()
        wire.delay = 0.0
        await until(lambda: not budget.backlog)
        assert await used(budget) == [0, 0]


async def test_a_hold_that_comes_after_it_was_given_up_holds_nothing(redis_server: RedisServer) -> None:
    async with opened(redis_server.port) as (budget, _):
        next_one = Held(f"{budget._process}-1", ASK, 0, ())
        await budget.settle(next_one, Actual(requests=0))
        with pytest.raises(StoreDown):
            await budget.hold(ASK)
        assert await used(budget) == [0, 0]
        assert await budget.extend(next_one, 10) == 0


async def test_a_settlement_waits_for_redis_and_is_done_once(redis_server: RedisServer) -> None:
    async with slow_wire(redis_server.port) as wire, opened(wire.port, TIMEOUT) as (budget, _):
        held = await held_by(budget)
        wire.swallow = True
        await budget.settle(held, Actual(100, 20))  # done there, but nobody heard
        await budget.settle(held, Actual(0, 0))
        assert len(budget.backlog) == 1
        wire.swallow = False
        await wire.close()
        await until(lambda: not budget.backlog)
        assert await used(budget) == [120, 1]


async def test_a_settlement_that_is_cancelled_is_done_all_the_same(redis_server: RedisServer) -> None:
    async with slow_wire(redis_server.port) as wire, opened(wire.port) as (budget, _):
        held = await held_by(budget)
        wire.delay = 0.2
        async with asyncio.TaskGroup() as group:
            task = group.create_task(budget.settle(held, Actual(100, 20)))
            await asyncio.sleep(0.05)
            task.cancel()
        wire.delay = 0.0
        await until(lambda: not budget.backlog)
        assert await used(budget) == [120, 1]


async def test_what_a_frozen_redis_does_when_it_thaws_leaves_nothing_held(redis_server: RedisServer) -> None:
    """It runs holds that nobody waits for any more, before or after their settlements, and extensions."""
    ask = Ask((spend(10**6, DAY), spend(10**6, meter=Meter.REQUESTS)), input=100, output=300)
    async with opened(redis_server.port, TIMEOUT) as (budget, _):
        running = await held_by(budget, ask)
        redis_server.freeze()
        steps = [*(budget.hold(ask) for _ in range(10)), *(budget.extend(running, 50) for _ in range(5))]
        answers = await asyncio.gather(*steps, return_exceptions=True)
        assert {type(answer) for answer in answers} == {StoreDown}
        await budget.settle(running, Actual(100, 40))
        redis_server.thaw()
        await until(lambda: not budget.backlog)
        assert await used(budget, ask) == [140, 1]


async def test_a_redis_killed_under_load_gives_answers_or_one_kind_of_error(redis_server: RedisServer) -> None:
    ask = Ask((spend(10**9, DAY),), input=1, output=2)
    failures = 0

    async def caller(budget: RedisBudget) -> None:
        nonlocal failures
        for _ in range(60):
            try:
                held = await held_by(budget, ask)
                await budget.extend(held, 1)
            except StoreDown:
                failures += 1
                await asyncio.sleep(0.01)
            else:
                await budget.settle(held, Actual(1, 1))

    async with opened(redis_server.port) as (budget, _):
        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(caller(budget))
            await asyncio.sleep(0.1)
            redis_server.kill()
            await asyncio.sleep(0.2)
            redis_server.start()
        assert failures
        await until(lambda: not budget.backlog)
        assert (await held_by(budget, ask)).granted == 2


async def test_a_redis_that_may_not_write_is_away(redis_server: RedisServer) -> None:
    async with opened(redis_server.port) as (budget, _):
        await budget.probe()
        redis_server.say("CONFIG SET maxmemory 1")
        with pytest.raises(StoreDown):
            await budget.probe()
        redis_server.say("CONFIG SET maxmemory 0")
        await budget.probe()


async def test_nobody_there_and_a_wrong_password_are_outages(redis_server: RedisServer) -> None:
    redis_server.say("CONFIG SET requirepass secret")
    async with opened(redis_server.port) as (budget, _):
        with pytest.raises(StoreDown, match=r"^AuthenticationError$"):
            await budget.probe()
    redis_server.kill()
    async with opened(redis_server.port) as (budget, _):
        with pytest.raises(StoreDown, match=r"^ConnectionError$"):
            await budget.probe()


async def test_redis_clock_set_forward_and_back(redis_server: RedisServer) -> None:
    """Its time is its clock's moves forward: here the stored time says that it was an hour ahead, then a day behind."""
    client = Redis.from_url(redis_server.url, decode_responses=True)
    async with opened(redis_server.port) as (budget, _):
        await held_by(budget)
        logical, wall = map(int, str(await client.get(PREFIX + "clock")).split())
        await client.set(PREFIX + "clock", f"{logical} {wall + 3_600_000}")
        assert await used(budget) == [400, 1]
        now, seen = map(int, str(await client.get(PREFIX + "clock")).split())
        assert now == logical
        assert seen < wall + 60_000
        await client.set(PREFIX + "clock", f"{now} {seen - 2 * 86_400_000}")
        assert await used(budget) == [0, 0]
        later, _ = map(int, str(await client.get(PREFIX + "clock")).split())
        assert 2 * 86_400_000 <= later - now < 2 * 86_400_000 + 60_000
    await client.aclose()
