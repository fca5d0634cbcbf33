"""Four gateways, one Redis and one engine: its slots are theirs together, and so is who goes next."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from policies.json import Object
from tests.edge.limits.redis_server import RedisServer
from tests.system.calls import CHAT, chat, start_stream
from tests.system.conftest import Launch
from tests.system.fleet import member, muster
from tests.system.process import Gateway, Key, until
from tests.system.recording_engine import RecordingEngine, Seen
from tests.system.scripts import Drip, Hold, Script, Send, Stream, always, completion, whole
from tests.system.wire import Wire

_WITHIN = 20.0
_SERVICE = 0.3
HELD = always(*Stream().until(1, Hold()))


def slowly(seconds: float = _SERVICE) -> Script:
    """An answer that takes so long; its last byte comes in the moment in which it is over."""
    answer = whole(completion())
    return always(Drip(answer[:-1], len(answer) // 10 + 1, seconds / 10), Send(answer[-1:]))


def most_at_once(seen: list[Seen]) -> int:
    """Requests that the engine answered at the same time; those that were never over last until the end."""
    instants = [(each.at, 1) for each in seen]
    instants += [(end, -1) for each in seen if (end := each.finished_at or each.gone_at) is not None]
    now = most = 0
    for _, step in sorted(instants):
        now += step
        most = max(most, now)
    return most


@contextmanager
def holder_and_waiter(
    engine: RecordingEngine, first: Gateway, second: Gateway, key: Key
) -> Iterator[tuple[Wire, Wire]]:
    """The first gateway's stream has the engine's one slot, and the second's waits for it."""
    engine.when("holds", HELD)
    with start_stream(first, key, "holds") as holds:
        assert holds.head(_WITHIN).status == 200
        with start_stream(second, key, "waits") as waits:
            yield holds, waits


def test_the_engine_never_sees_more_than_its_slots(launch: Launch, engine: RecordingEngine, redis: RedisServer) -> None:
    gateways = muster(launch, redis, slots=2, share=1.0)
    keys = [member(gateways, name) for name in ("a", "b")]
    engine.when("hi", slowly(0.1))
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda n: gateways[n % 4].post(CHAT, chat(), keys[n % 2].bearer).status, range(48)))
    assert answers == [200] * 48
    assert most_at_once(engine.requests) == 2


def test_one_at_one_gateway_waits_for_two_services_at_most_beside_fifty_over_four(
    launch: Launch, engine: RecordingEngine, redis: RedisServer
) -> None:
    gateways = muster(launch, redis, slots=1, share=1.0)
    noisy, single = member(gateways, "noisy"), member(gateways, "single")
    engine.when("noise", slowly())
    engine.when("quiet", slowly())
    over = threading.Event()

    def make_noise(number: int) -> None:
        while not over.is_set():
            gateways[number % 4].post(CHAT, chat("noise"), noisy.bearer)

    with ThreadPoolExecutor(50) as pool:
        made = [pool.submit(make_noise, number) for number in range(50)]
        try:
            engine.wait(lambda: len(engine.requests) > 3, "noise", _WITHIN)
            waits: list[float] = []
            for _ in range(7):
                begun = time.monotonic()
                assert gateways[0].post(CHAT, chat("quiet"), single.bearer).status == 200
                waits.append(time.monotonic() - begun)
        finally:
            over.set()
            engine.when("noise", slowly(0.0))
        for each in made:
            each.result()
    services = [
        each.finished_at - each.at for each in engine.requests if b"quiet" in each.body and each.finished_at is not None
    ]
    service = statistics.median(services)
    assert statistics.median(waits) - service <= 2 * service
    assert most_at_once(engine.requests) == 1


@pytest.mark.alone
def test_a_gateway_that_is_killed_in_its_turn_frees_the_engine(
    launch: Launch, engine: RecordingEngine, redis: RedisServer
) -> None:
    first, second = gateways = muster(launch, redis, 2, slots=1, share=1.0)
    key = member(gateways, "caller")
    with holder_and_waiter(engine, first, second, key):
        until(lambda: second.get("/v1/me", key.bearer).status == 200, _WITHIN, "it answers")
        assert len(engine.requests) == 1
        first.kill()
        killed = time.monotonic()
        engine.wait(lambda: len(engine.requests) == 2, "the turn of the one that waits", 15.0)
        assert time.monotonic() - killed <= 11.0


def test_a_caller_that_leaves_frees_the_engine_for_the_other_gateway_at_once(
    launch: Launch, engine: RecordingEngine, redis: RedisServer
) -> None:
    first, second = gateways = muster(launch, redis, 2, slots=1, share=1.0)
    key = member(gateways, "caller")
    with holder_and_waiter(engine, first, second, key) as (holds, waits):
        holds.reset()
        assert waits.head(5.0).status == 200


@pytest.mark.parametrize("choice", ["local", "deny"])
def test_while_redis_is_away_the_operator_chooses(
    launch: Launch, engine: RecordingEngine, redis: RedisServer, choice: str
) -> None:
    limits: Object = {"on_store_error": choice, "store_error_share": 0.5}
    first, second = gateways = muster(launch, redis, 2, slots=4, share=1.0, limits=limits)
    key = member(gateways, "caller")
    assert first.post(CHAT, chat(), key.bearer).status == 200
    redis.kill()
    engine.forget()
    engine.when("hi", slowly(0.1))
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: gateways[n % 2].post(CHAT, chat(), key.bearer), range(16)))
    if choice == "local":
        assert {answer.status for answer in answers} == {200}
        assert most_at_once(engine.requests) <= 4, "half of four each"
    else:
        assert {answer.status for answer in answers} == {503}
        assert b"limits_unavailable" in answers[0].raw
    redis.start()
    for gateway in gateways:
        until(lambda gateway=gateway: gateway.post(CHAT, chat(), key.bearer).status == 200, _WITHIN, "Redis is back")  # type: ignore[misc]
        assert all("Traceback" not in line for line in gateway.err.all)
    assert second.stop() == 0
