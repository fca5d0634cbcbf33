"""What one event of an engine costs where the engine speaks the caller's dialect itself: from the engine's bytes to the
write to the caller, the meter between.

Processor time of the event loop's thread; the engine and the caller are doubles that cost next to nothing, and each
block of bytes holds one event, as it does while an engine generates.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from statistics import median
from typing import Final

import uvloop

from edge.dialects.registry import rendering_of
from edge.dialects.timing import Timing
from edge.relay.meter import Meter
from edge.relay.native.flow import NativeLeg, on_its_way
from edge.relay.native.ways import Ways
from edge.relay.relay import Leg
from edge.reply import NEVER, Reply
from edge.tasks import Tasks
from engines.adapters.registry import adapter_for
from engines.contract import Engine, Kind, Model, Target, UpstreamRequest, UpstreamResponse
from policies.call import Call, Dialect, Operation
from policies.exchange import Client, Exchange
from policies.json import Object
from tests.edge.relay.native.events import END, block, ended, lines, said, sse, start
from tests.edge.test_accounts import permit
from tests.edge.test_reply import RecordingInbound

GOAL: Final = 15.0
"""Microseconds per event."""
_ROUNDS: Final = 7


class _Silent(RecordingInbound):
    async def write(self, block: bytes) -> None:
        """Nobody listens."""


class _Engine:
    """A `Transport`, and its only answer."""

    status, retry_after, over = 200, None, False

    def __init__(self, content_type: str, blocks: list[bytes]) -> None:
        self.content_type = content_type
        self._blocks = blocks

    async def chunks(self) -> AsyncIterator[bytes]:
        for each in self._blocks:
            yield each

    async def read(self, limit: int) -> bytes:
        return b"".join(self._blocks)[:limit]

    @asynccontextmanager
    async def _give(self) -> AsyncIterator[UpstreamResponse]:
        yield self

    def send(self, *_: object) -> AbstractAsyncContextManager[UpstreamResponse]:
        return self._give()

    def probe(self, _engine: Engine, _request: UpstreamRequest) -> AbstractAsyncContextManager[UpstreamResponse]:
        return self._give()

    async def close(self) -> None:
        """Nothing to close."""


def measure(events: int) -> list[Object]:
    """A row for each dialect."""
    text: Object = {"role": "assistant", "content": " token"}
    line: Object = {"model": "x", "created_at": "2026-11-21T10:00:00.123456789Z", "message": text, "done": False}
    last: Object = {**line, "done": True, "eval_count": events, "prompt_eval_count": 5}
    messages = [sse(start(), block(0)), *[sse(said(0, " token"))] * events, sse(ended(written=events), END)]
    talk = [*[lines(line)] * events, lines(last)]
    found = [
        ("anthropic", _cost(Dialect.ANTHROPIC, Kind.LLAMA_SERVER, "text/event-stream", messages)),
        ("ollama", _cost(Dialect.OLLAMA, Kind.OLLAMA, "application/x-ndjson", talk)),
    ]
    return [
        {"dialect": name, "way": "native", "cpu_us": round(cost, 1), "goal_us": GOAL, "met": cost <= GOAL}
        for name, cost in found
    ]


def _cost(dialect: Dialect, kind: Kind, content_type: str, blocks: list[bytes]) -> float:
    """Microseconds per block."""
    gc.collect()
    return median(uvloop.run(_once(dialect, kind, content_type, blocks)) for _ in range(_ROUNDS)) / len(blocks)


async def _once(dialect: Dialect, kind: Kind, content_type: str, blocks: list[bytes]) -> float:
    leg = _leg(dialect, kind, _Engine(content_type, blocks))
    with leg.waiting(str, NEVER):
        began = time.thread_time()
        async with asyncio.timeout(60):
            await leg.run()
        return (time.thread_time() - began) * 1e6


async def _none(_tokens: int) -> int:
    return 0


def _leg(dialect: Dialect, kind: Kind, engine: _Engine) -> NativeLeg:
    body: Object = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 100_000}
    call = Call(Operation.CHAT, dialect, "mine", stream=True, max_tokens=100_000, body=body)
    exchange = Exchange("f" * 32, Client("127.0.0.1", 1, "local"))
    made = Leg(
        exchange=exchange,
        reply=Reply(_Silent()),
        permit=permit(),
        call=call,
        target=Target(Engine("e", kind, "http://127.0.0.1:1", 1), Model("tiny", "tiny")),
        adapter=adapter_for(kind),
        transport=engine,
        tasks=Tasks(),
        clock=time.monotonic,
        headers={},
        salt="",
        meter=Meter(1_000_000, _none, lambda _input, _used: None, time.monotonic, prompt=5),
        rendering=rendering_of(call, exchange.id, Timing(exchange, time.monotonic, time.time)),
    )
    leg = on_its_way(made, Ways(time.monotonic))
    assert isinstance(leg, NativeLeg)
    return leg
