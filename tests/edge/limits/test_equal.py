"""The script does what Windows does: the same random operations at the same times get the same answers, from memory,
from Lua inside fakeredis and from a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

import fakeredis
import pytest
from hypothesis import HealthCheck, example, given, settings
from redis.asyncio import Redis

from edge.limits.contract import DAY, LARGEST, MINUTE, Actual, Ask, Budget, Held, Level, Meter, Over
from edge.limits.memory import MemoryBudget
from edge.limits.redis_budget import RedisBudget
from edge.limits.scripts import Scripts
from tests.edge.limits import asks
from tests.edge.limits.asks import START, Extending, Holding, Looking, Operation, Settling, spend
from tests.edge.limits.redis_server import RedisServer

Answer: TypeAlias = Held | Over | int | tuple[Level, ...] | None
History: TypeAlias = Sequence[tuple[int, Operation]]


class Told:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = START

    def ms(self) -> int:
        """As Clock.ms."""
        return self.now


async def replay(budget: Budget, told: Told, history: History, scripts: Scripts | None = None) -> list[Answer]:
    """The answers to all of it; ids and origins are the store's own affair."""
    told.now = START
    held: list[Held] = []
    answers: list[Answer] = []
    for pause, operation in history:
        told.now += pause
        if scripts is not None:
            scripts.time = str(told.now)
        answer = await perform(budget, operation, held)
        answers.append(answer._replace(id="", origin="") if isinstance(answer, Held) else answer)
    return answers


async def perform(budget: Budget, operation: Operation, held: list[Held]) -> Answer:
    """One operation; `held` collects what was granted, settled ones too."""
    match operation:
        case Holding(ask):
            answer = await budget.hold(ask)
            if isinstance(answer, Held):
                held.append(answer)
            return answer
        case Extending(which, tokens):
            return await budget.extend(held[which % len(held)], tokens) if held else None
        case Settling(which, actual):
            if held:
                await budget.settle(held[which % len(held)], actual)
            return None
        case Looking(bounds):
            return await budget.levels(bounds)


async def by_script(client: Redis, history: History) -> list[Answer]:
    """The same from Redis."""
    await client.flushall()
    scripts = Scripts(client, whole=20.0)  # fakeredis runs Lua in Python, on a machine with other work
    budget = RedisBudget(scripts)
    try:
        return await replay(budget, Told(), history, scripts)
    finally:
        await budget.close()
        await scripts.close()


async def by_windows(history: History) -> list[Answer]:
    """The same from memory."""
    told = Told()
    return await replay(MemoryBudget(told.ms), told, history)


@pytest.fixture(params=["fakeredis", "redis-server"])
def url(request: pytest.FixtureRequest) -> str | None:
    """Where Redis is; None = in this process."""
    if request.param == "fakeredis":
        return None
    server: RedisServer = request.getfixturevalue("redis_server")
    return server.url


BUSY = Ask((spend(1_000), spend(5_000, DAY), spend(300, MINUTE, Meter.OUTPUT)), 1, 200, 250, 1, 9)
LONG: History = [
    (0, Holding(BUSY)),
    *[(1_500, Extending(0, 3)) for _ in range(90)],
    (100, Settling(0, Actual(150, 0))),
    (0, Looking(BUSY.bounds)),
    (100, Extending(0, 3)),
    (100, Settling(0, Actual())),
    (0, Looking(BUSY.bounds)),
]
"""A stream that is extended more often than a hold remembers."""

BRIM = replace(spend(LARGEST), shadow=True)
FULL: History = [
    (0, Holding(Ask((BRIM,), 1, LARGEST, 5))),
    (0, Holding(Ask((BRIM,), 1, LARGEST, 7))),
    (0, Holding(Ask((spend(LARGEST),), 1, 1, 0))),
    (0, Settling(0, Actual(0, 0))),
    (0, Settling(1, Actual(0, 0))),
    (0, Looking((BRIM,))),
    (0, Holding(Ask((BRIM,), 1, LARGEST, 5))),
    (0, Settling(2, Actual(LARGEST, LARGEST))),
    (0, Looking((BRIM,))),
]
"""A bucket at its brim, where what is given back is more than what is in it."""

TIED = (spend(30), replace(spend(30), name="other"), spend(30, MINUTE, Meter.OUTPUT))
WAITS: History = [
    *[(second * 1_000, Holding(Ask(TIED, 1, 0, 5, 5))) for second in (0, 1, 3, 7, 2, 1)],
    *[(0, Holding(Ask(TIED, 1, 0, tokens, tokens))) for tokens in range(1, 31)],
    (0, Settling(5, Actual(0, 90))),
    (0, Holding(Ask(TIED, 1, 0, 5, 0))),
    (0, Holding(Ask(TIED, 1, 0, 0, 0))),
]
"""Every wait there is over several buckets, told for the first of two that wait as long."""

FORGOTTEN: History = [
    (0, Holding(BUSY)),
    (86_400_000, Extending(0, 5)),
    (86_400_000, Extending(0, 5)),
    (86_400_001, Extending(0, 5)),
    (0, Settling(0, Actual())),
    (0, Looking(BUSY.bounds)),
]
"""A hold that nobody touches for a day."""


@example(history=LONG)
@example(history=FULL)
@example(history=WAITS)
@example(history=FORGOTTEN)
@given(history=asks.histories)
@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_memory_lua_and_redis_give_the_same_answers(url: str | None, history: History) -> None:
    async def both() -> None:
        client = fakeredis.FakeAsyncRedis(server=fakeredis.FakeServer()) if url is None else Redis.from_url(url)
        assert await by_script(client, history) == await by_windows(history)

    asyncio.run(both())
