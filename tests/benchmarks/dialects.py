"""What a streamed chunk costs on its way from an engine's bytes to a caller's, in each dialect.

Processor time of the event loop's thread, with no sockets on either side: `way` is all that the relay does (framing,
checks, allow-lists, counting, metering, translating, writing), `translator` the dialect's own part of it. A chunk is
one token, in a block of its own, as engines send them. The best of some answers: what else the machine does only adds.
"""

from __future__ import annotations

import gc
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Final

import orjson
import uvloop

from edge.dialects.contract import Rendering
from edge.dialects.registry import rendering_of
from edge.dialects.timing import Timing
from edge.relay.chunks import ChunkReader
from edge.relay.meter import Meter
from edge.relay.relay import Leg
from edge.relay.sse import Event
from edge.reply import NEVER, Reply
from edge.tasks import Tasks
from engines.adapters.registry import adapter_for
from engines.contract import Engine, Kind, Model, Target, UpstreamRequest, UpstreamResponse
from policies.call import Call, Dialect, Operation
from policies.decision import Permit
from policies.exchange import Client, Exchange, Usage
from policies.json import Object, as_object
from tests.edge.test_accounts import permit
from tests.edge.test_reply import RecordingInbound

GOALS: Final = {Dialect.OPENAI: 15.0, Dialect.ANTHROPIC: 40.0, Dialect.RESPONSES: 40.0, Dialect.OLLAMA: 40.0}
"""Microseconds per chunk, the whole way: OpenAI's is passed through, the others are translated."""
_REPEATS: Final = 7
_TOKEN: Final = " token"


def measure(chunks: int) -> list[Object]:
    """A row per dialect and kind of chunk, of answers of so many chunks; `ratio`: to OpenAI's own."""
    rows: list[Object] = []
    plain: dict[str, float] = {}
    for dialect, goal in GOALS.items():
        for what, payloads in _answers(chunks).items():
            way = uvloop.run(_way(dialect, payloads)) / chunks
            own = _translator(dialect, payloads) / chunks
            ratio = way / plain.setdefault(what, way)
            row: Object = {"dialect": dialect.value, "chunk": what, "way_us": round(way, 1)}
            row |= {"translator_us": round(own, 1), "ratio": round(ratio, 2), "goal_us": goal, "met": way <= goal}
            rows.append(row)
    return rows


def _answers(chunks: int) -> dict[str, list[bytes]]:
    """Answers of `chunks` tokens as llama-server and vLLM write them, by what the tokens are of."""
    opened: Object = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":"'}}
    more: Object = {"index": 0, "function": {"arguments": _TOKEN}}
    closed: Object = {"index": 0, "function": {"arguments": '"}'}}
    texts = [_payload({"content": _TOKEN})] * chunks
    thoughts = [_payload({"reasoning_content": _TOKEN})] * chunks
    calls = [_payload({"tool_calls": [opened]}), *[_payload({"tool_calls": [more]})] * chunks]
    role, end = _payload({"role": "assistant", "content": None}), [_payload({}, "stop"), _usage(chunks), b"[DONE]"]
    return {
        "text": [role, *texts, *end],
        "reasoning": [role, *thoughts, *end],
        "tool": [role, *calls, _payload({"tool_calls": [closed]}), *end],
    }


def _payload(delta: Object, finish: str | None = None) -> bytes:
    choice: Object = {"finish_reason": finish, "index": 0, "delta": delta}
    return orjson.dumps({"choices": [choice], **_HEAD})


_HEAD: Final[Object] = {
    "created": 1_790_000_000,
    "id": "chatcmpl-0123456789abcdef0123456789abcdef",
    "model": "/models/qwen3-8b-q4_k_m.gguf",
    "system_fingerprint": "b9879-a8a5a1b0",
    "object": "chat.completion.chunk",
}


def _usage(tokens: int) -> bytes:
    counted: Object = {"prompt_tokens": 20, "completion_tokens": tokens, "total_tokens": 20 + tokens}
    return orjson.dumps({"choices": [], **_HEAD, "usage": counted})


@dataclass(slots=True)
class _Answer:
    """An engine's answer that is there already."""

    blocks: list[bytes]
    status: int = 200
    content_type: str = "text/event-stream"
    retry_after: float | None = None
    over: bool = False

    async def chunks(self) -> AsyncIterator[bytes]:
        for block in self.blocks:
            yield block

    async def read(self, limit: int) -> bytes:
        return b"".join(self.blocks)[:limit]


@dataclass(slots=True)
class _Engines:
    """A transport to an engine that answers with `blocks`."""

    blocks: list[bytes]

    @asynccontextmanager
    async def _give(self) -> AsyncIterator[UpstreamResponse]:
        yield _Answer(self.blocks)

    def send(
        self, _permit: Permit, _engine: Engine, _request: UpstreamRequest
    ) -> AbstractAsyncContextManager[UpstreamResponse]:
        return self._give()

    def probe(self, _engine: Engine, _request: UpstreamRequest) -> AbstractAsyncContextManager[UpstreamResponse]:
        return self._give()

    async def close(self) -> None:
        pass


class _Quiet(RecordingInbound):
    """Keeps how much it was told, and no more."""

    size = 0

    async def write(self, block: bytes) -> None:
        self.size += len(block)


async def _way(dialect: Dialect, payloads: list[bytes]) -> float:
    blocks = [b"data: " + payload + b"\n\n" for payload in payloads]
    return min([await _timed(_Relayed(dialect, blocks).run) for _ in range(_REPEATS)])


@dataclass(frozen=True, slots=True)
class _Relayed:
    """One answer, relayed."""

    dialect: Dialect
    blocks: list[bytes]

    async def run(self) -> None:
        leg = _leg(self.dialect, self.blocks)
        with leg.waiting(str, NEVER):
            await leg.finish(await leg.run())
        if leg.exchange.outcome.usage.source != "engine":
            raise RuntimeError("the answer was not relayed to its end")


async def _timed(run: Callable[[], Coroutine[None, None, None]]) -> float:
    gc.collect()
    began = time.thread_time()
    await run()
    return (time.thread_time() - began) * 1e6


def _leg(dialect: Dialect, blocks: list[bytes]) -> Leg:
    call = _call(dialect)
    exchange = Exchange("f" * 32, Client("127.0.0.1", 1, "local"))
    return Leg(
        exchange=exchange,
        reply=Reply(_Quiet()),
        permit=permit(),
        call=call,
        target=Target(Engine("e", Kind.VLLM, "http://127.0.0.1:1", 1), Model("tiny", "tiny")),
        adapter=adapter_for(Kind.VLLM),
        transport=_Engines(blocks),
        tasks=Tasks(),
        clock=time.monotonic,
        headers={},
        salt="",
        meter=Meter(1 << 40, _none, _nowhere, time.monotonic),
        rendering=_rendering(call, exchange),
    )


def _call(dialect: Dialect) -> Call:
    body: Object = {"messages": [{"role": "user", "content": "hi"}]}
    return Call(Operation.CHAT, dialect, "tiny", stream=True, include_usage=True, body=body)


def _rendering(call: Call, exchange: Exchange) -> Rendering:
    return rendering_of(call, exchange.id, Timing(exchange, time.monotonic, time.time))


async def _none(_tokens: int) -> int:
    return 0


def _nowhere(_input: int, _used: int) -> None:
    pass


def _translator(dialect: Dialect, payloads: list[bytes]) -> float:
    """The rendering's part of an answer, its chunks read already."""
    times: list[float] = []
    for _ in range(_REPEATS):
        reader = ChunkReader(model="tiny", choices=1, usage=Usage())
        chunks = [as_object(chunk) for payload in payloads if (chunk := reader.read(Event(payload))) is not None]
        rendering = _rendering(_call(dialect), Exchange("f" * 32, Client("127.0.0.1", 1, "local")))
        _ = rendering.begin(20)
        gc.collect()
        began = time.thread_time()
        for chunk in chunks:
            _ = rendering.chunk(chunk)
        times.append((time.thread_time() - began) * 1e6)
    return min(times)
