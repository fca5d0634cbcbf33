"""turns.lua: how many may go, in which order, with which models; and what vanished gateways leave. The same for the
Python double that the simulations use, for fakeredis and for a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import fakeredis
import pytest

from edge.limits.contract import LEASE_MS, StoreDown
from edge.limits.scripts import PREFIX, Scripts, connect
from edge.queue.attained import Account
from edge.queue.contract import Wish
from edge.queue.order import Entry
from edge.queue.redis_turns import BID_MS, CHANNEL, RedisTurns, probe
from edge.queue.shared_order import Bid, Kind, Rank, Sight
from tests.edge.limits.asks import START
from tests.edge.limits.conftest import redis_server as redis_server  # noqa: PLC0414 - a fixture
from tests.edge.limits.redis_server import RedisServer
from tests.edge.limits.slow import slow_wire
from tests.edge.queue.slots import Engine, Turns


class Asking(Protocol):
    async def bid(self, bid: Bid, lease: str, slots: int, models: int | None) -> tuple[bool, Sight]: ...
    async def look(self) -> Sight: ...
    async def renew(self, leases: Sequence[tuple[str, Entry]]) -> None: ...
    async def release(self, leases: Sequence[tuple[str, bool]]) -> None: ...


@dataclass
class Place:
    """One engine, and a clock of its own."""

    asking: Callable[[str], Asking]
    tell: Callable[[int], None]
    at: int = START

    def wait(self, ms: int) -> None:
        self.at += ms
        self.tell(self.at)


def wish(model: str = "a", *, loads: bool = False) -> Entry:
    entry = Entry(Wish("k", model=model), Account("k"))
    entry.loads = loads
    return entry


def wants(
    service: float = 0.0,
    model: str = "a",
    *,
    band: int = 1,
    kind: Kind = Kind.READY,
    waited: float = 0.0,
    loads: bool = False,
    evicts: tuple[str, ...] = (),
) -> Bid:
    return Bid(wish(model), Rank(band, kind, service), waited, loads, evicts)


def load(model: str, *evicts: str, kind: Kind = Kind.READY) -> Bid:
    return wants(model=model, loads=True, evicts=evicts, kind=kind)


@pytest.fixture(params=["double", "fakeredis", "redis-server"])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    swaps = "models" in request.node.name
    if request.param == "double":
        engine = Engine(now=START)

        def tell(ms: int) -> None:
            engine.now = ms

        yield Place(lambda name: Turns(engine, name, swaps=swaps), tell)
        return
    client = (
        fakeredis.FakeAsyncRedis(server=fakeredis.FakeServer())
        if request.param == "fakeredis"
        else connect(request.getfixturevalue("redis_server").url, timeout=5.0)
    )
    scripts = Scripts(client, whole=10.0)
    scripts.time = str(START)
    yield Place(lambda name: RedisTurns(scripts, "e", name, swaps=swaps), lambda ms: setattr(scripts, "time", str(ms)))
    await scripts.close()


async def won(turns: Asking, bid: Bid, lease: str, slots: int = 1, models: int | None = None) -> bool:
    granted, _ = await turns.bid(bid, lease, slots, models)
    return granted


async def test_no_more_than_the_slots_whoever_asks(place: Place) -> None:
    one, two = place.asking("one"), place.asking("two")
    assert await won(one, wants(), "one-1", 2)
    assert await won(two, wants(), "two-1", 2)
    assert not await won(one, wants(), "one-2", 2)
    granted, sight = await two.bid(wants(), "two-2", 2, None)
    assert (granted, sight.taken) == (False, 2)
    await one.release([("one-1", True)])
    await one.release([("one-1", True)])
    assert not await won(two, wants(1.0), "two-2", 2), "one bids, too, and comes first"
    assert await won(one, wants(), "one-2", 2)
    assert not await won(two, wants(1.0), "two-3", 2)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (wants(9.0, band=0), wants(1.0, band=1)),
        (wants(9.0, band=-1, kind=Kind.LOAD), wants(1.0, band=0)),
        (wants(9.0, kind=Kind.READY), wants(1.0, kind=Kind.LOAD)),
        (wants(1.5), wants(2.0)),
        (wants(2.0, waited=3.0), wants(2.0, waited=1.0)),
    ],
)
async def test_the_better_bid_goes_first_whenever_it_was_made(place: Place, better: Bid, worse: Bid) -> None:
    one, two, holder = (place.asking(name) for name in ("one", "two", "holder"))
    assert await won(holder, wants(), "holder-1")
    assert not await won(one, worse, "one-1")
    assert not await won(two, better, "two-1")
    await holder.release([("holder-1", True)])
    assert not await won(one, worse, "one-2")
    assert await won(two, better, "two-2")
    await two.release([("two-2", True)])
    assert await won(one, worse, "one-3")


async def test_as_many_better_bids_as_slots_are_free_keep_a_worse_one_waiting(place: Place) -> None:
    one, two, three = (place.asking(name) for name in ("one", "two", "three"))
    for number in range(3):
        assert await won(one, wants(), f"one-{number}", 3)
    assert not await won(one, wants(1.0), "one-3", 3)
    assert not await won(two, wants(2.0), "two-1", 3)
    assert not await won(three, wants(3.0), "three-1", 3)
    await one.release([("one-0", True), ("one-1", True)])
    assert not await won(three, wants(3.0), "three-2", 3)
    assert await won(two, wants(2.0), "two-2", 3), "one of the two is for the better one"
    assert await won(one, wants(1.0), "one-4", 3)


async def test_who_is_due_holds_up_all_behind_it_and_nobody_before_it(place: Place) -> None:
    one, two = place.asking("one"), place.asking("two")
    assert await won(one, wants(), "one-1", 4)
    assert not await won(one, wants(kind=Kind.DUE), "one-2", 1)
    assert not await won(two, wants(9.0), "two-1", 4)
    assert await won(two, wants(9.0, band=0), "two-2", 4)


async def test_a_bid_that_is_withdrawn_or_not_made_anew_holds_nobody_up(place: Place) -> None:
    one, two = place.asking("one"), place.asking("two")
    assert await won(one, wants(), "one-1")
    assert not await won(one, wants(), "one-2")
    assert not await won(two, wants(5.0), "two-1")
    await one.release([("one-1", True)])
    assert (await one.look()).taken == 0
    assert await won(two, wants(5.0), "two-2")
    assert not await won(one, wants(), "one-3")
    await two.release([("two-2", True)])
    assert not await won(two, wants(5.0), "two-3")
    place.wait(BID_MS)
    assert await won(two, wants(5.0), "two-4"), "one is dead"


async def test_leases_run_out_unless_they_are_renewed_and_lost_ones_are_put_back(place: Place) -> None:
    one, two = place.asking("one"), place.asking("two")
    assert await won(one, wants(), "one-1", 2)
    assert await won(two, wants(), "two-1", 2)
    place.wait(LEASE_MS - 1)
    await two.renew([("two-1", wish()), ("two-0", wish())])
    assert not await won(two, wants(), "two-2", 3)
    await two.release([("two-0", True)])
    assert not await won(two, wants(), "two-3", 2)
    place.wait(1)
    assert await won(two, wants(), "two-4", 2), "one is dead"


async def test_models_one_load_at_a_time_beside_no_more_than_fit(place: Place) -> None:
    one, two = place.asking("one"), place.asking("two")
    assert await won(one, load("a"), "one-1", 9, 2)
    assert not await won(two, load("b"), "two-1", 9, 2), "one load at a time"
    assert not await won(two, wants(model="a"), "two-1", 9, 2), "it is not there yet"
    granted, sight = await two.bid(wants(model="a"), "two-1", 9, 2)
    assert (granted, sight.elsewhere, sight.loaded) == (False, (("a", True),), ())
    await one.renew([("one-1", wish("a"))])
    assert await won(two, wants(model="a"), "two-1", 9, 2)
    assert await won(two, load("b"), "two-2", 9, 2)
    await two.release([("two-2", True)])
    assert await won(one, wants(model="b"), "one-2", 9, 2)
    assert not await won(one, load("c"), "one-3", 9, 2), "two answer"
    await one.release([("one-2", True)])
    place.wait(5)
    granted, sight = await two.bid(load("c", "b"), "two-3", 9, 2)
    assert granted
    assert sight.elsewhere == (("a", False),)
    assert [model for model, _ in sight.loaded] == ["a"]
    assert not await won(one, wants(model="b"), "one-4", 9, 2), "it had to go"


async def test_models_that_failed_to_load_are_not_there(place: Place) -> None:
    one, two = place.asking("one"), place.asking("two")
    assert await won(one, load("a"), "one-1", 2, 1)
    await one.release([("one-1", False)])
    assert not await won(two, wants(model="a"), "two-1", 2, 1)
    assert await won(two, load("a"), "two-1", 2, 1)
    await two.release([("two-1", True)])
    place.wait(1500)
    granted, sight = await one.bid(wants(model="a"), "one-2", 2, 1)
    assert granted
    assert sight.loaded == (("a", 0.0),)


async def test_models_whose_loader_died_may_be_loaded_after_its_lease(place: Place) -> None:
    one, two = place.asking("one"), place.asking("two")
    assert await won(one, load("a"), "one-1", 2, 1)
    place.wait(LEASE_MS)
    assert await won(two, load("b"), "two-1", 2, 1)


@pytest.fixture
async def scripts(redis_server: RedisServer) -> AsyncIterator[Scripts]:
    it = Scripts(connect(redis_server.url, timeout=5.0), whole=10.0)
    yield it
    await it.close()


async def test_what_is_done_is_told_and_who_may_go_now_is_woken(scripts: Scripts) -> None:
    one, two = (RedisTurns(scripts, "e", name, swaps=False) for name in ("one", "two"))
    said: asyncio.Queue[bytes] = asyncio.Queue()

    async def listen() -> None:
        async for each in scripts.listen(CHANNEL):
            said.put_nowait(each)

    task = asyncio.ensure_future(listen())
    async with asyncio.timeout(10):
        assert await said.get() == b""
        assert await won(one, wants(), "one-1")
        await two.bid(wants(2.0), "two-1", 1, None, "bids")
        await one.bid(wants(1.0), "one-2", 1, None)
        await one.release([("one-1", True)], "released")
        await one.bid(wants(3.0), "one-3", 1, None)
        assert [await said.get() for _ in range(3)] == [b"bids", b"released", b"!two"]
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_every_key_ends_by_itself_and_has_the_prefix(scripts: Scripts, redis_server: RedisServer) -> None:
    turns = RedisTurns(scripts, "e", "one", swaps=True)
    assert await won(turns, load("a"), "one-1", 1, 1)
    await turns.renew([("one-1", wish("a"))])
    assert not await won(turns, wants(model="a"), "one-2", 1, 1)
    for part in ("leases", "bids", "loaded"):
        life = int(redis_server.say(f"PTTL {PREFIX}turns:e:{part}").strip(b":\r\n"))
        assert 0 < life <= 600_000, part


async def test_an_outage_is_one_kind_of_error(scripts: Scripts, redis_server: RedisServer) -> None:
    await probe(scripts)
    redis_server.kill()
    turns = RedisTurns(scripts, "e", "one", swaps=False)
    for step in (turns.bid(wants(), "one-1", 1, None), turns.tell("x"), turns.look(), probe(scripts)):
        with pytest.raises(StoreDown):
            await step
    with pytest.raises(StoreDown):
        await anext(scripts.listen(CHANNEL))


async def test_a_channel_that_went_silent_is_given_up(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.limits.scripts.QUIET", 0.2)
    async with slow_wire(redis_server.port) as wire:
        scripts = Scripts(connect(f"redis://127.0.0.1:{wire.port}/0", timeout=5.0))
        channel = scripts.listen(CHANNEL)
        assert await anext(channel) == b""
        waiting = asyncio.ensure_future(anext(channel))
        await asyncio.wait([waiting], timeout=1.0)
        assert not waiting.done(), "its pings are answered"
        wire.swallow = True
        with pytest.raises(StoreDown):
            await waiting
        await scripts.close()


@pytest.mark.parametrize("reply", ["", "1", "1 x 0", "0 1 0 model", "0 1 0 model old"])
async def test_an_answer_of_something_else_is_an_outage(reply: str) -> None:
    class Other(Scripts):
        def __init__(self) -> None:
            self.prefix = ""

        async def texts(self, *_: object) -> list[str]:
            return reply.split()

    turns = RedisTurns(Other(), "e", "me", swaps=True)
    with pytest.raises(StoreDown):
        await turns.look()
