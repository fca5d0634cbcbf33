"""Seats: the same answers from memory and Redis; what a vanished holder leaves is free after ten seconds."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import fakeredis
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from edge.limits.contract import LEASE_MS, RENEW_MS, Full, Lease, Leases, Seats, StoreDown, Taken
from edge.limits.memory import MemoryLeases
from edge.limits.redis_leases import RedisLeases
from edge.limits.scripts import PREFIX, Scripts, connect
from tests.edge.limits.asks import START
from tests.edge.limits.redis_server import RedisServer
from tests.edge.limits.slow import slow_wire
from tests.edge.limits.waiting import until

KEY, MODEL = Seats("key:a", 2, name="key"), Seats("model:x", 3, name="model")


def patient(url: str) -> Redis:
    """A client for where Redis does answer: this machine may have other work to do first."""
    return connect(url, timeout=5.0)


@asynccontextmanager
async def opened(
    client: Redis, time: str = "", *, life: int = LEASE_MS, pause: int = RENEW_MS
) -> AsyncIterator[tuple[RedisLeases, Scripts]]:
    scripts = Scripts(client, whole=10.0)
    scripts.time = time
    leases = RedisLeases(scripts, life=life, pause=pause)
    try:
        yield leases, scripts
    finally:
        await leases.close()
        await scripts.close()


@pytest.fixture(params=["memory", "fakeredis", "redis-server"])
async def leases(request: pytest.FixtureRequest) -> AsyncIterator[Leases]:
    match request.param:
        case "memory":
            yield MemoryLeases()
        case "fakeredis":
            async with opened(fakeredis.FakeAsyncRedis(server=fakeredis.FakeServer())) as (store, _):
                yield store
        case _:
            server: RedisServer = request.getfixturevalue("redis_server")
            async with opened(patient(server.url)) as (store, _):
                yield store


async def taken_by(leases: Leases, *seats: Seats) -> Lease:
    answer = await leases.take(seats)
    assert isinstance(answer, Lease)
    return answer


async def refused_by(leases: Leases, *seats: Seats) -> Full:
    answer = await leases.take(seats)
    assert isinstance(answer, Full)
    return answer


async def test_at_most_so_many_at_once(leases: Leases) -> None:
    first = await taken_by(leases, KEY, MODEL)
    await taken_by(leases, KEY, MODEL)
    full = await refused_by(leases, KEY, MODEL)
    assert (full.seats, full.taken) == (KEY, 2)
    assert full.retry_after is not None
    await leases.release(first)
    await taken_by(leases, KEY, MODEL)


async def test_one_of_each_or_none_of_any(leases: Leases) -> None:
    for _ in range(2):
        await taken_by(leases, KEY)
    for _ in range(9):
        await refused_by(leases, MODEL, KEY)
    for _ in range(3):
        await taken_by(leases, MODEL)
    assert (await refused_by(leases, MODEL)).seats == MODEL


async def test_releasing_twice_gives_back_once(leases: Leases) -> None:
    first = await taken_by(leases, KEY)
    await taken_by(leases, KEY)
    await leases.release(first)
    await leases.release(first)
    await taken_by(leases, KEY)
    await refused_by(leases, KEY)


async def test_zero_is_suspended(leases: Leases) -> None:
    full = await refused_by(leases, Seats("key:z", 0))
    assert (full.taken, full.retry_after) == (0, None)


async def test_a_shadow_tells_and_never_refuses(leases: Leases) -> None:
    shadow = Seats("key:a", 1, shadow=True, name="shadow")
    assert (await taken_by(leases, shadow)).shadowed == ()
    assert (await taken_by(leases, shadow)).shadowed == ("shadow",)
    await refused_by(leases, KEY)


async def test_the_same_seats_twice_are_taken_once(leases: Leases) -> None:
    lease = await taken_by(leases, KEY, Seats("key:a", 5, name="class"))
    other = await taken_by(leases, KEY)
    await refused_by(leases, KEY)
    await leases.release(lease)
    await leases.release(other)
    await taken_by(leases, KEY)
    await taken_by(leases, KEY)


async def test_looking_takes_nothing(leases: Leases) -> None:
    shadow = Seats("key:a", 1, shadow=True, name="shadow")
    assert await leases.taken([]) == ()
    first = await taken_by(leases, KEY, MODEL)
    await taken_by(leases, KEY)
    for _ in range(3):
        assert await leases.taken([MODEL, shadow, KEY]) == (Taken(MODEL, 1), Taken(shadow, 2), Taken(KEY, 2))
    await leases.release(first)
    assert await leases.taken([MODEL, KEY]) == (Taken(MODEL, 0), Taken(KEY, 1))


async def test_nothing_to_take_is_taken(leases: Leases) -> None:
    await leases.release(await taken_by(leases))


POOL = (KEY, MODEL, Seats("key:a", 1, shadow=True, name="shadow"), Seats("owner:o", 0, name="suspended"))
wishes = st.lists(st.sampled_from(POOL), max_size=3, unique=True).map(tuple)
histories = st.lists(st.one_of(wishes, st.integers(0, 9)), max_size=25)
"""Seats to take, or the number of a lease to release."""


async def answers(leases: Leases, history: Sequence[tuple[Seats, ...] | int]) -> list[object]:
    """What each step was answered, and what was taken after it."""
    held: list[Lease] = []
    found: list[object] = []
    for step in history:
        if isinstance(step, int):
            if held:
                await leases.release(held[step % len(held)])
        else:
            answer = await leases.take(step)
            if isinstance(answer, Lease):
                held.append(answer)
            found.append(answer._replace(id="", origin="") if isinstance(answer, Lease) else answer)
        found.append(await leases.taken(POOL))
    return found


@given(history=histories)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_memory_and_the_script_give_the_same_answers(history: list[tuple[Seats, ...] | int]) -> None:
    async def both() -> None:
        server = fakeredis.FakeServer()
        async with opened(fakeredis.FakeAsyncRedis(server=server), str(START)) as (store, _):
            assert await answers(store, history) == await answers(MemoryLeases(), history)

    asyncio.run(both())


@pytest.mark.parametrize("place", ["fakeredis", "redis-server"])
async def test_a_vanished_holders_seat_is_free_after_ten_seconds(place: str, request: pytest.FixtureRequest) -> None:
    if place == "fakeredis":
        server = fakeredis.FakeServer()
        clients: list[Redis] = [fakeredis.FakeAsyncRedis(server=server) for _ in range(2)]
    else:
        real: RedisServer = request.getfixturevalue("redis_server")
        clients = [patient(real.url) for _ in range(2)]
    async with opened(clients[0], str(START)) as (lost, mine), opened(clients[1], str(START)) as (other, theirs):
        await taken_by(lost, KEY)
        mine.time = str(START + RENEW_MS)
        await lost.renew()  # and never again
        await taken_by(other, KEY)
        theirs.time = str(START + RENEW_MS + LEASE_MS - 1)
        await other.renew()
        assert (await refused_by(other, KEY)).taken == 2
        assert await other.taken([KEY]) == (Taken(KEY, 2),)
        theirs.time = str(START + RENEW_MS + LEASE_MS)
        assert await other.taken([KEY]) == (Taken(KEY, 1),)
        await taken_by(other, KEY)


HOLDER = """
import asyncio, sys
from edge.limits.contract import Seats
from edge.limits.redis_leases import RedisLeases
from edge.limits.scripts import Scripts, connect

async def main():
    leases = RedisLeases(Scripts(connect(sys.argv[1], timeout=5.0), whole=10.0))
    for _ in range(2):
        print(await leases.take([Seats("key:a", 2)]), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_what_a_killed_process_held_is_free_after_ten_seconds(redis_server: RedisServer) -> None:
    holder = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HOLDER, redis_server.url), stdout=asyncio.subprocess.PIPE
    )
    assert holder.stdout is not None
    for _ in range(2):
        assert (await holder.stdout.readline()).startswith(b"Lease(")
    holder.kill()
    await holder.wait()
    async with opened(patient(redis_server.url)) as (leases, scripts):
        await refused_by(leases, KEY)
        client = Redis.from_url(redis_server.url, decode_responses=True)
        now, _ = map(int, str(await client.get(PREFIX + "clock")).split())
        assert 0 < await client.pttl(PREFIX + "seats:key:a") <= 2 * LEASE_MS
        await client.aclose()
        scripts.time = str(now + LEASE_MS)
        await taken_by(leases, KEY)


async def test_a_killed_holder_in_real_time(redis_server: RedisServer) -> None:
    """The same without a told time, and shorter lives."""
    seats = Seats("key:a", 1)
    async with (
        opened(patient(redis_server.url)) as (other, _),
        opened(patient(redis_server.url), life=2000, pause=100) as (lost, _),
    ):
        lease = await taken_by(lost, seats)
        first = await score(redis_server, lease)
        await until(lambda: renewed(redis_server, lease, first + 2100))
        await refused_by(other, seats)
        lost._live.clear()  # nobody renews or releases it any more

        async def free() -> bool:
            return isinstance(await other.take([seats]), Lease)

        assert await until(free) < LEASE_MS / 1000


async def score(server: RedisServer, lease: Lease) -> int:
    async with Redis.from_url(server.url) as client:
        return int(await client.zscore(f"{PREFIX}seats:{lease.seats[0].subject}", lease.id) or 0)


async def renewed(server: RedisServer, lease: Lease, beyond: int) -> bool:
    return await score(server, lease) > beyond


async def test_a_restarted_redis_learns_of_the_running_ones_again_and_no_seat_is_lost(
    redis_server: RedisServer,
) -> None:
    async with opened(patient(redis_server.url), pause=100) as (leases, _):
        running = [await taken_by(leases, KEY) for _ in range(2)]
        redis_server.kill()
        for step in (leases.take([KEY]), leases.taken([KEY])):
            with pytest.raises(StoreDown):
                await step
        await leases.renew()
        await leases.release(running.pop())  # never raises
        redis_server.start()
        await until(lambda: renewed(redis_server, running[0], 0))
        second = await taken_by(leases, KEY)
        assert (await refused_by(leases, KEY)).taken == 2
        await leases.release(second)
        await leases.release(running.pop())
        for _ in range(2):
            await taken_by(leases, KEY)


async def test_a_lease_whose_answer_is_lost_is_given_back(redis_server: RedisServer) -> None:
    async with slow_wire(redis_server.port) as wire, opened(connect(f"redis://127.0.0.1:{wire.port}/0")) as (leases, _):
        await leases.release(await taken_by(leases, KEY))
        wire.swallow = True
        with pytest.raises(StoreDown):
            await leases.take([Seats("key:a", 1)])
        wire.swallow = False
        await wire.close()

        async def free() -> bool:
            try:
                return isinstance(await leases.take([Seats("key:a", 1)]), Lease)
            except StoreDown:
                return False

        assert await until(free) < LEASE_MS / 1000 + 5.0


async def test_what_is_released_during_its_renewal_stays_released(redis_server: RedisServer) -> None:
    async with slow_wire(redis_server.port) as wire, opened(patient(f"redis://127.0.0.1:{wire.port}/0")) as (leases, _):
        lease = await taken_by(leases, KEY)
        wire.delay = 0.1
        async with asyncio.TaskGroup() as group:
            group.create_task(leases.release(lease))
            group.create_task(leases.renew())
        async with asyncio.TaskGroup() as group:
            group.create_task(leases.renew())
            group.create_task(leases.release(lease))
        assert await score(redis_server, lease) == 0


async def test_the_end_of_the_gateway_frees_everything(redis_server: RedisServer) -> None:
    async with opened(patient(redis_server.url)) as (leases, _):
        lease = await taken_by(leases, KEY, MODEL)
    assert await score(redis_server, lease) == 0
    assert redis_server.say(f"EXISTS {PREFIX}seats:model:x") == b":0\r\n"


async def test_memory_forgets_who_holds_nothing() -> None:
    leases = MemoryLeases()
    await leases.release(await taken_by(leases, KEY, MODEL))
    assert not leases._taken
    await taken_by(leases, KEY)
    await leases.renew()
    await leases.close()
    assert await leases.taken([KEY]) == (Taken(KEY, 0),)
