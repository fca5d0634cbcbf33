"""Several gateways on a real Redis, in one event loop: how many go at once, who goes next, who leaves, who dies; and
what happens while Redis is away."""

from __future__ import annotations

import asyncio
import random
import statistics
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from redis.asyncio import Redis

from edge.limits.contract import LEASE_MS, OnStoreError
from edge.limits.scripts import PREFIX, Scripts, connect
from edge.queue.contract import Phase, Wish
from edge.queue.engine_queue import EngineQueue, Queues
from edge.queue.opening import open_queues
from edge.queue.settings import QueueLimits
from edge.queue.shared_queue import Away
from edge.queue.sharing import Sharing, place_of
from engines.contract import Engine, Kind
from policies.errors import Refusal
from policies.obligations import Priority
from policies.reasons import Reason
from tests.edge.limits.conftest import redis_server as redis_server  # noqa: PLC0414 - a fixture
from tests.edge.limits.redis_server import RedisServer
from tests.edge.limits.slow import slow_wire
from tests.edge.limits.waiting import until
from tests.edge.queue.test_engine_queue import Guest

ROOMY = QueueLimits(limit=200, share=1.0)
PATIENT = 5.0
"""Seconds that a Redis which does answer may take: this machine may have other work to do first."""


def engine(slots: int = 1, models: int | None = None) -> Engine:
    return Engine("e", Kind.OPENAI, "http://127.0.0.1:1", slots, loaded_models=models)


class Gateway:
    """One gateway's part in it."""

    def __init__(self, port: int, limits: QueueLimits, on_error: OnStoreError, patience: float, share: float) -> None:
        self.scripts = Scripts(connect(f"redis://127.0.0.1:{port}/0", timeout=patience), whole=2 * patience)
        self.sharing = Sharing(self.scripts, limits, Away(on_error, share), pause=0.05)
        self.queues = Queues(limits, make=self.sharing.make)

    async def die(self) -> None:
        """Say nothing any more, as a killed process."""
        for queue in self.sharing._queues.values():
            queue.end()
        await asyncio.wait(self.sharing._working)
        await self.sharing._tasks.close()
        await self.sharing._circuit.close()


@asynccontextmanager
async def gateways(
    port: int,
    count: int = 4,
    limits: QueueLimits = ROOMY,
    *,
    on_error: OnStoreError = OnStoreError.LOCAL,
    patience: float = PATIENT,
    share: float = 0.25,
) -> AsyncIterator[list[Gateway]]:
    them = [Gateway(port, limits, on_error, patience, share) for _ in range(count)]
    try:
        yield them
    finally:
        for gateway in them:
            await gateway.sharing.close()


@dataclass
class Bench:
    """Counts who runs at once at all gateways, and how many turns began while each caller waited for its own."""

    running: int = 0
    most: int = 0
    models: set[str] = field(default_factory=set)
    turns: int = 0
    passed_by: dict[str, list[int]] = field(default_factory=dict)

    async def visit(self, queue: EngineQueue, caller: str, seconds: float, tokens: int = 10) -> None:
        before = self.turns
        async with queue.turn(Wish(caller)) as ticket:
            self.passed_by.setdefault(caller, []).append(self.turns - before)
            self.turns += 1
            self.running += 1
            self.most = max(self.most, self.running)
            try:
                ticket.began()
                await asyncio.sleep(seconds)
                ticket.charge(tokens, tokens)
            finally:
                self.running -= 1


def held(server: RedisServer, part: str = "leases") -> int:
    """How many leases (bids) Redis knows of."""
    return int(server.say(f"HLEN {PREFIX}turns:{place_of(engine())}:{part}").strip(b":\r\n"))


async def nothing_held(server: RedisServer) -> None:
    await until(lambda: held(server) == 0)


async def test_four_gateways_use_all_slots_and_no_more(redis_server: RedisServer) -> None:
    bench = Bench()
    async with gateways(redis_server.port) as them:
        queues = [gateway.queues.of(engine(3)) for gateway in them]
        async with asyncio.TaskGroup() as group:
            for number in range(48):
                group.create_task(bench.visit(queues[number % 4], f"c{number % 5}", 0.01))
        assert bench.most == 3
        assert all(queue.waiting == 0 for queue in queues)
        await nothing_held(redis_server)


async def test_one_at_one_gateway_does_not_wait_for_fifty_over_four(redis_server: RedisServer) -> None:
    bench, service = Bench(), 0.05
    async with gateways(redis_server.port) as them:
        queues = [gateway.queues.of(engine()) for gateway in them]

        async def noisy(number: int) -> None:
            while True:
                await bench.visit(queues[number % 4], "noisy", service)

        many = [asyncio.ensure_future(noisy(number)) for number in range(50)]
        await until(lambda: sum(queue.waiting for queue in queues) >= 49)
        await until(lambda: len(bench.passed_by.get("noisy", ())) > 2)
        for _ in range(9):
            await bench.visit(queues[0], "single", service)
        for task in many:
            task.cancel()
        await asyncio.gather(*many, return_exceptions=True)
    assert bench.most == 1
    # What is left of the turn that runs, and one more at most: two services, however slow this machine is.
    assert statistics.median(bench.passed_by["single"]) <= 1, bench.passed_by["single"]


async def test_the_order_is_that_of_one_line(redis_server: RedisServer) -> None:
    """Bands first, then the least served, whichever gateway they stand at."""
    went: list[str] = []
    async with gateways(redis_server.port, 3) as them:
        queues = [gateway.queues.of(engine()) for gateway in them]
        for caller, tokens in (("much", 100), ("some", 50), ("little", 1)):
            async with queues[0].turn(Wish(caller)) as ticket:
                ticket.charge(tokens, 0)
        holder = Guest(queues[0], "holder")
        await until(lambda: holder.runs)

        async def come(queue: EngineQueue, caller: str, band: Priority) -> None:
            async with queue.turn(Wish(caller, band)):
                went.append(f"{caller} {band.value}")

        async with asyncio.TaskGroup() as group:
            for number, (caller, band) in enumerate(
                [
                    ("little", Priority.BATCH),
                    ("much", Priority.NORMAL),
                    ("some", Priority.NORMAL),
                    ("much", Priority.INTERACTIVE),
                ]
            ):
                group.create_task(come(queues[number % 3], caller, band))
            await until(lambda: sum(queue.waiting for queue in queues) == 4)
            await until(lambda: held(redis_server, "bids") == 3)
            await holder.end()
    assert went == ["much interactive", "some normal", "much normal", "little batch"]


async def test_a_dead_gateways_slots_are_free_when_its_leases_run_out(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.queue.sharing.LEASE_MS", 1500)
    async with gateways(redis_server.port, 2) as (dead, other):
        guest = Guest(dead.queues.of(engine()), "a")
        waits = Guest(dead.queues.of(engine()), "b")
        await until(lambda: guest.runs and held(redis_server, "bids") == 1)
        await dead.die()
        heir = Guest(other.queues.of(engine()), "c")
        assert await until(lambda: heir.runs) <= LEASE_MS / 1000
        await heir.end()
        await guest.cancel()
        await waits.cancel()


async def test_who_leaves_at_any_moment_leaves_nothing_behind(redis_server: RedisServer) -> None:
    rng, bench = random.Random(4), Bench()
    async with slow_wire(redis_server.port) as wire, gateways(wire.port, 3) as them:
        queues = [gateway.queues.of(engine(2)) for gateway in them]
        wire.delay = 0.005

        async def leaver(number: int) -> None:
            task = asyncio.ensure_future(bench.visit(queues[number % 3], f"c{number % 4}", 0.01))
            await asyncio.wait([task], timeout=rng.uniform(0, 0.2))
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        async with asyncio.TaskGroup() as group:
            for number in range(60):
                group.create_task(leaver(number))
        wire.delay = 0.0
        assert bench.most <= 2
        assert [queue.load for queue in queues if queue.waiting] == []
        await nothing_held(redis_server)
        async with asyncio.timeout(10):
            await bench.visit(queues[0], "x", 0.0)


async def test_one_loads_and_the_other_gateways_know_it(redis_server: RedisServer) -> None:
    async with gateways(redis_server.port, 2) as (one, two):
        first, second = one.queues.of(engine(4, 1)), two.queues.of(engine(4, 1))
        loader = Guest(first, "a", begins=False)
        await until(lambda: loader.ticket.phase is Phase.LOADING)
        same, other = Guest(second, "b", begins=False), Guest(second, "c", "other", begins=False)
        await until(lambda: same.ticket.phase is Phase.LOADING)
        assert other.ticket.phase is Phase.QUEUED
        loader.ticket.began()
        await until(lambda: same.runs)
        assert (same.phases[0], same.phases[-1]) == (Phase.LOADING, Phase.RUNNING)
        assert other.ticket.phase is Phase.QUEUED, "an answer never loses its model"
        await loader.end()
        await same.end()
        await until(lambda: other.ticket.phase is Phase.LOADING)
        back = Guest(first, "a", begins=False)
        await until(lambda: back.ticket.entry is not None)
        other.ticket.began()
        await other.end()
        await until(lambda: back.ticket.phase is Phase.LOADING)
        await back.end()


async def test_a_small_line_takes_as_many_as_could_go_at_once(redis_server: RedisServer) -> None:
    limits = QueueLimits(limit=1, share=1.0, wait=60.0)
    async with gateways(redis_server.port, 2, limits) as (one, two):
        queue = one.queues.of(engine(4))
        guests = [Guest(queue, f"c{number}") for number in range(4)]
        await until(lambda: all(guest.runs for guest in guests))
        await until(lambda: two.queues.of(engine(4)).load == 1.0)
        waits = Guest(two.queues.of(engine(4)), "w")
        await until(lambda: waits.ticket.position == 1)
        with pytest.raises(Refusal) as full:
            await two.queues.of(engine(4)).turn(Wish("x")).__aenter__()
        assert full.value.reason is Reason.QUEUE_FULL
        for guest in guests:
            await guest.end()
        await until(lambda: waits.runs)
        await waits.end()


async def test_nobody_waits_where_that_is_not_wanted_but_for_the_answer(redis_server: RedisServer) -> None:
    async with gateways(redis_server.port, 2, QueueLimits(limit=0, wait=0.0)) as (one, two):
        guest = Guest(one.queues.of(engine()), "a")
        await until(lambda: guest.runs)
        late = Guest(two.queues.of(engine()), "b")
        await late.task
        assert late.failure is not None
        assert late.failure.reason in {Reason.QUEUE_TIMEOUT, Reason.QUEUE_FULL}
        await guest.end()


async def test_on_its_own_each_goes_on_with_its_share_and_back_again(redis_server: RedisServer) -> None:
    async with gateways(redis_server.port, 2, share=0.5) as (one, two):
        queue, other = one.queues.of(engine(4)), two.queues.of(engine(4))
        before = Guest(queue, "before")
        await until(lambda: before.runs)
        redis_server.kill()
        guests = [Guest(queue, f"c{number}") for number in range(3)]
        await until(lambda: sum(guest.runs for guest in guests) == 1)
        assert queue.waiting == 2, "half of four, with the one that runs"
        redis_server.start()
        await until(lambda: all(guest.runs for guest in guests))

        await until(lambda: held(redis_server) == 4)
        waits = Guest(other, "w")
        await until(lambda: waits.ticket.position == 1)
        await before.end()
        await until(lambda: waits.runs)
        for guest in (*guests, waits):
            await guest.end()
        await nothing_held(redis_server)


async def test_denied_are_those_who_wait_and_those_who_come_but_not_those_who_run(redis_server: RedisServer) -> None:
    async with gateways(redis_server.port, 1, on_error=OnStoreError.DENY) as (one,):
        queue = one.queues.of(engine())
        runs, waits = Guest(queue, "a"), Guest(queue, "b")
        await until(lambda: runs.runs and queue.waiting == 1)
        redis_server.kill()
        await waits.task
        late = Guest(queue, "c")
        await late.task
        for failure in (waits.failure, late.failure):
            assert failure is not None
            assert failure.reason is Reason.LIMITS_UNAVAILABLE
            assert failure.retry_after
        assert runs.runs
        await runs.end()
        redis_server.start()

        async def served() -> bool:
            guest = Guest(queue, "d")
            await until(lambda: guest.runs or guest.task.done())
            await guest.end()
            return guest.failure is None

        await until(served)


async def test_a_redis_that_is_away_from_the_start_is_no_error(redis_server: RedisServer) -> None:
    redis_server.kill()
    async with gateways(redis_server.port, 1) as (one,):
        async with asyncio.timeout(10), one.queues.of(engine()).turn(Wish("a")):
            pass
        async with one.queues.of(Engine("other", Kind.OPENAI, "http://127.0.0.1:2", 1)).turn(Wish("a")):
            pass


async def test_a_frozen_redis_grants_nothing_that_is_lost(redis_server: RedisServer) -> None:
    async with gateways(redis_server.port, 1, patience=0.25) as (one,):
        queue = one.queues.of(engine())
        async with queue.turn(Wish("a")):
            pass
        redis_server.freeze()
        async with asyncio.timeout(10), queue.turn(Wish("a")):
            pass
        redis_server.thaw()
        await nothing_held(redis_server)


async def test_a_gateway_that_begins_learns_what_callers_were_served(redis_server: RedisServer) -> None:
    async with gateways(redis_server.port, 2) as (one, two):
        queue = one.queues.of(engine())
        async with queue.turn(Wish("much")) as ticket:
            ticket.charge(5000, 0)
        late = two.sharing.make(engine())
        await until(lambda: late._shared.attained.value("much") > 4000)


async def test_what_others_write_to_the_channel_harms_nobody(redis_server: RedisServer) -> None:
    bench = Bench()
    async with gateways(redis_server.port, 1) as (one,):
        queue = one.queues.of(engine())
        await bench.visit(queue, "a", 0.0)
        async with Redis.from_url(redis_server.url) as client:
            for rubbish in (b"", b"!", b"!nobody", b"\xff\xfe", b"!\xff", b"[" * 5000, b"{}", b'{"from":1}', b"null"):
                await client.publish(f"{PREFIX}turns", rubbish)
        await bench.visit(queue, "a", 0.0)
        assert not one.sharing._circuit.open


async def test_without_a_redis_a_queue_is_the_processes_own() -> None:
    from edge.limits.settings import LimitSettings

    turning = open_queues(ROOMY, None, LimitSettings())
    assert type(turning.queues.of(engine())) is EngineQueue
    await turning.close()


def test_an_engine_on_this_machine_is_another_one_than_on_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    def seen_from(host: str, url: str) -> str:
        monkeypatch.setattr("socket.gethostname", lambda: host)
        return place_of(Engine("e", Kind.OPENAI, url, 1))

    for url in ("http://localhost:1", "http://127.0.0.1:1", "http://[::1]:1", "unix:///run/e.sock"):
        assert seen_from("a", url) != seen_from("b", url)
        assert seen_from("a", url) == seen_from("a", url)
    assert seen_from("a", "http://gpu:1") == seen_from("b", "http://gpu:1") == seen_from("b", "http://GPU:1")
