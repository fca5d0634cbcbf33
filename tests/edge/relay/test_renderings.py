"""What the relay leaves to a dialect: whether a waiting stream hears comments, and whether an answer is to be timed."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Final

import orjson
import pytest

from edge.dialects.contract import Rendering
from edge.dialects.registry import rendering_of
from edge.reply import Pulse, Reply
from engines.contract import Engine, UpstreamRequest, UpstreamResponse
from policies.call import Call, Dialect
from policies.decision import Permit
from policies.json import Object, as_object
from tests.edge.dialects.test_timing import timing
from tests.edge.relay.test_relay import Played, leg, piece, run, streaming, whole
from tests.edge.test_reply import RecordingInbound

_PULSE: Final = Pulse(first=0.001, every=0.001)


def rendering(dialect: Dialect, call: Call) -> Rendering:
    return rendering_of(replace(call, dialect=dialect), "f" * 32, timing())


class Ticking(RecordingInbound):
    """Knows when something was written."""

    def __init__(self) -> None:
        super().__init__()
        self.wrote = asyncio.Event()

    async def write(self, block: bytes) -> None:
        await super().write(block)
        self.wrote.set()


async def test_a_waiting_stream_hears_comments_where_the_dialect_has_them() -> None:
    inbound = Ticking()
    one = replace(leg(Played(streaming())), reply=Reply(inbound))
    with one.waiting(lambda: "queued 1", _PULSE):
        async with asyncio.timeout(10):
            await inbound.wrote.wait()
    assert ("write", b": queued 1\n\n") in inbound.told


async def test_a_waiting_stream_of_lines_hears_nothing_and_has_no_status_yet() -> None:
    """The comments of another stream, begun at the same time, say how much time has passed."""
    inbound, other = Ticking(), Ticking()
    one = replace(leg(Played(streaming())), reply=Reply(inbound))
    one = replace(one, rendering=rendering(Dialect.OLLAMA, one.call))
    with (
        one.waiting(lambda: "queued 1", _PULSE),
        replace(leg(Played(streaming())), reply=Reply(other)).waiting(lambda: "queued 1", _PULSE),
    ):
        for _ in range(5):
            other.wrote.clear()
            async with asyncio.timeout(10):
                await other.wrote.wait()
    assert inbound.told == []
    assert not one.reply.begun


class Noting(Played):
    """Notes what the engine is asked."""

    asked: Object

    def send(
        self, permit: Permit, engine: Engine, request: UpstreamRequest
    ) -> AbstractAsyncContextManager[UpstreamResponse]:
        self.asked = orjson.loads(request.body)
        return super().send(permit, engine, request)


@pytest.mark.parametrize(("dialect", "streams"), [(Dialect.OPENAI, False), (Dialect.OLLAMA, True)])
async def test_an_answer_that_says_how_long_it_took_is_seen_as_it_comes(dialect: Dialect, *, streams: bool) -> None:
    played = Noting(streaming(piece(), piece("", "stop")) if streams else whole("tok"))
    one = leg(played, stream=False)
    answer = await run(replace(one, rendering=rendering(dialect, one.call)))
    assert played.asked["stream"] is streams
    assert "tok" in orjson.dumps(answer).decode()
    assert ("eval_duration" in as_object(answer)) is streams
