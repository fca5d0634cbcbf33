"""Seats that several gateways share in a real Redis cannot leak, and what happens while it is away.

That they grant no more than one budget between them is in test_budget, with one gateway and with four.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from policies.json import JSON, Object, as_list, as_object
from tests.edge.limits.redis_server import RedisServer
from tests.system.calls import CHAT, chat, start_stream
from tests.system.conftest import Launch
from tests.system.fleet import WITHIN, member, muster
from tests.system.process import Gateway, Key, until
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import Hold, Stream, always
from tests.system.wire import Wire

_IN_CLASS: Object = {"grants": [{"id": "all", "everyone": True, "models": ["*"], "rate_class": "narrow"}]}
_RULE: Object = {"rules": [{"name": "one", "per": "owner", "concurrency": 1}]}
_ONE_AT_ONCE: dict[str, tuple[tuple[str, ...], Object, Object]] = {
    "a rule": ((), _RULE, {}),
    "a key": (("--concurrency", "1"), {}, {}),
    "the default class": ((), {"classes": {"default": {"concurrency": 1}}}, {}),
    "a class": ((), {"classes": {"narrow": {"concurrency": 1}}}, _IN_CLASS),
}
"""What bounds the caller: how its key is made, the limits, the policy."""


def status(gateway: Gateway, key: Key) -> int:
    return gateway.post(CHAT, chat(), key.bearer).status


def in_use(gateway: Gateway, key: Key) -> list[JSON]:
    """What `/v1/me` says of the caller's seats."""
    limits = as_object(gateway.get("/v1/me", key.bearer).json()["limits"])
    return [as_object(seats)["in_use"] for seats in as_list(limits["seats"])]


@contextmanager
def seated(engine: RecordingEngine, first: Gateway, second: Gateway, key: Key) -> Iterator[Wire]:
    """A stream on the first gateway that has the only seat, so that both gateways refuse."""
    engine.play(always(*Stream().until(1, Hold())))
    with start_stream(first, key) as wire:
        wire.head()
        refused = second.post(CHAT, chat(), key.bearer)
        assert (refused.status, refused.error["code"]) == (429, "concurrency_exceeded")
        assert in_use(second, key) == [1]
        yield wire


@pytest.mark.parametrize("whose", _ONE_AT_ONCE)
def test_a_caller_that_leaves_gives_its_seat_back_at_once(
    launch: Launch, engine: RecordingEngine, redis: RedisServer, whose: str
) -> None:
    arguments, limits, policy = _ONE_AT_ONCE[whose]
    first, second = muster(launch, redis, 2, policy=policy, limits=limits)
    key = member([first, second], "caller", *arguments)
    with seated(engine, first, second, key) as wire:
        wire.reset()
    until(lambda: status(second, key) == 200, 3.0, "the seat is free")
    until(lambda: in_use(first, key) == [0], 3.0, "nobody has it")


@pytest.mark.alone
def test_seats_of_a_killed_gateway_are_free_after_ten_seconds(
    launch: Launch, engine: RecordingEngine, redis: RedisServer
) -> None:
    first, second = muster(launch, redis, 2, limits=_RULE)
    key = member([first, second], "caller")
    with seated(engine, first, second, key):
        first.kill()
        killed = time.monotonic()
        until(lambda: status(second, key) == 200, 15.0, "the seat is free")
        assert time.monotonic() - killed <= 11.0


@pytest.mark.parametrize("choice", ["local", "deny"])
def test_while_redis_is_away_the_operator_chooses(
    launch: Launch, engine: RecordingEngine, redis: RedisServer, choice: str
) -> None:
    rules: list[JSON] = [{"name": "many", "per": "owner", "requests": {"day": 8}, "concurrency": 4}]
    (gateway,) = muster(launch, redis, 1, limits={"rules": rules, "on_store_error": choice})
    key = member([gateway], "caller")

    def me() -> Object:
        return as_object(gateway.get("/v1/me", key.bearer).json()["limits"])

    assert status(gateway, key) == 200
    redis.kill()
    answers = [gateway.post(CHAT, chat(), key.bearer) for _ in range(4)]
    if choice == "local":
        assert [answer.status for answer in answers] == [200, 200, 429, 429]  # a quarter of eight
        assert [as_object(window)["remaining"] for window in as_list(me()["windows"])] == [0]
    else:
        assert {answer.status for answer in answers} == {503}
        assert "limits_unavailable" in answers[0].raw.decode()
        assert [me()[name] for name in ("windows", "seats", "models")] == [None] * 3
        assert me()["note"] is not None
    redis.start()
    until(lambda: status(gateway, key) == 200, WITHIN, "Redis counts again")
    assert me()["note"] is None
    assert all("Traceback" not in line for line in gateway.err.all)
