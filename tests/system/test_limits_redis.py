"""Four gateways that count together in a real Redis: no more than one budget between them, seats that cannot leak."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from policies.json import JSON
from tests.edge.limits.redis_server import RedisServer, running
from tests.system.calls import CHAT, chat, start_stream
from tests.system.conftest import Launch
from tests.system.process import Gateway, Key, until
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import Hold, Stream, always, talker
from tests.system.test_budget import KINDS, WITHIN, generated, usage

_WORKERS = 4
_BUDGET = 1_000


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with running() as server:
        yield server


def fleet(launch: Launch, redis: RedisServer, count: int = _WORKERS, **limits: JSON) -> list[Gateway]:
    """So many gateways with one database, one pepper and one Redis."""
    gateways: list[Gateway] = []
    for _ in range(count):
        database = f"sqlite:///{gateways[0].folder}/home/gateway.db" if gateways else None
        gateway = launch(
            like=gateways[0] if gateways else None,
            limits={"store_error_share": 0.25, **limits},
            stores={"database": database, "redis": redis.url},
            queue={"in_flight_per_caller": 64, "queued_per_caller": 64},
            engine={"concurrency": 64},
        )
        gateways.append(gateway)
    return gateways


def known(gateways: list[Gateway], key: Key) -> None:
    """Wait until all of them have seen the key."""
    for gateway in gateways:
        until(lambda gateway=gateway: gateway.get("/v1/me", key.bearer).status == 200, WITHIN, "the key is known")  # type: ignore[misc]


@pytest.mark.parametrize("kind", KINDS)
def test_four_gateways_give_no_more_than_the_budget(
    launch: Launch, engine: RecordingEngine, redis: RedisServer, kind: str
) -> None:
    gateways = fleet(launch, redis, rules=[{"name": "budget", "per": "owner", "output": {"day": _BUDGET}}])
    key = gateways[0].create_key("caller")
    known(gateways, key)
    engine.play(*[talker(usage=False, gap=0.001)] * 20)
    with ThreadPoolExecutor(20) as pool:
        got = list(pool.map(lambda number: KINDS[kind](gateways[number % _WORKERS], key), range(20)))
    seen = engine.requests
    assert sum(got) <= _BUDGET
    if kind != "leaving":
        assert sum(got) == _BUDGET
    until(lambda: all(each.gone_at or each.finished_at for each in seen), WITHIN, "the engine is left alone")
    until(lambda: usage(gateways[0]).get("requests") == len(seen), WITHIN, "all is settled")
    charged = usage(gateways[0])["output_tokens"]
    assert isinstance(charged, int)
    assert sum(got) <= charged <= sum(map(generated, seen))


def test_seats_of_a_killed_gateway_are_free_after_ten_seconds(
    launch: Launch, engine: RecordingEngine, redis: RedisServer
) -> None:
    first, second = fleet(launch, redis, 2, rules=[{"name": "one", "per": "owner", "concurrency": 1}])
    key = first.create_key("caller")
    known([first, second], key)
    engine.play(always(*Stream().until(1, Hold())))
    with start_stream(first, key) as wire:
        wire.head()
        refused = second.post(CHAT, chat(), key.bearer)
        assert refused.status == 429
        first.kill()
        killed = time.monotonic()
        until(lambda: second.post(CHAT, chat(), key.bearer).status == 200, 15.0, "the seat is free")
        assert time.monotonic() - killed <= 11.0


def test_a_caller_that_leaves_gives_its_seat_back_at_once(
    launch: Launch, engine: RecordingEngine, redis: RedisServer
) -> None:
    first, second = fleet(launch, redis, 2, rules=[{"name": "one", "per": "owner", "concurrency": 1}])
    key = first.create_key("caller")
    known([first, second], key)
    engine.play(always(*Stream().until(1, Hold())))
    with start_stream(first, key) as wire:
        wire.head()
        assert second.post(CHAT, chat(), key.bearer).status == 429
        wire.reset()
    until(lambda: second.post(CHAT, chat(), key.bearer).status == 200, 3.0, "the seat is free")


@pytest.mark.parametrize(("choice", "status"), [("local", 200), ("deny", 503)])
def test_while_redis_is_away_the_operator_chooses(
    launch: Launch, engine: RecordingEngine, redis: RedisServer, choice: str, status: int
) -> None:
    rules: list[JSON] = [{"name": "many", "per": "owner", "requests": {"day": 8}, "concurrency": 4}]
    (gateway,) = fleet(launch, redis, 1, rules=rules, on_store_error=choice)
    key = gateway.create_key("caller")
    assert gateway.post(CHAT, chat(), key.bearer).status == 200
    redis.kill()
    answers = [gateway.post(CHAT, chat(), key.bearer) for _ in range(4)]
    if choice == "local":
        assert [answer.status for answer in answers] == [200, 200, 429, 429]  # a quarter of eight
    else:
        assert {answer.status for answer in answers} == {503}
        assert "limits_unavailable" in answers[0].raw.decode()
    redis.start()
    until(lambda: gateway.post(CHAT, chat(), key.bearer).status == 200, WITHIN, "Redis counts again")
    assert all("Traceback" not in line for line in gateway.err.all)
