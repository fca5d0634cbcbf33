"""The native way through the flow: what is charged and given, and when the translated way is taken after all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import orjson
import pytest

from edge.dialects.registry import rendering_of
from edge.dialects.timing import Timing
from edge.relay.meter import Meter
from edge.relay.native.flow import NativeLeg, on_its_way
from edge.relay.native.ways import Way, Ways
from edge.relay.relay import Leg
from edge.reply import Pulse, Reply
from edge.tasks import Tasks
from engines.adapters.registry import adapter_for
from engines.contract import Engine, Kind, Model, Target, UpstreamRequest, UpstreamResponse
from policies.call import Call, Dialect, Operation
from policies.errors import EngineBroke, EngineRefused
from policies.exchange import Client, Exchange
from policies.json import JSON, Object, as_object
from tests.edge.relay.native.events import END, TALK, ended, lines, said, shown, sse, start
from tests.edge.relay.test_relay import ESTIMATED, Answer, Played, charged, none, piece, run, says, streaming
from tests.edge.test_accounts import permit
from tests.edge.test_reply import RecordingInbound

_CLOCK = lambda: 1.0  # noqa: E731 - a clock that stands


class Refusing(Answer):
    """An answer with an error status."""

    def __init__(self, status: int, document: JSON) -> None:
        super().__init__("application/json", [orjson.dumps(document)])
        self.status = status


class Endless(Refusing):
    """Its text is not to be waited for."""

    async def read(self, limit: int) -> bytes:
        raise EngineBroke(f"more than {limit} bytes")


class Paths(Played):
    """Gives `native` on the routes of dialects, `answer` on OpenAI's; notes which was asked."""

    def __init__(self, native: Answer, answer: Answer) -> None:
        super().__init__(answer)
        self.native = native
        self.paths: list[str] = []

    @asynccontextmanager
    async def _give(self, request: UpstreamRequest) -> AsyncIterator[UpstreamResponse]:
        self.paths.append(request.path)
        yield self.answer if "completions" in request.path else self.native


def leg(
    native: Answer,
    answer: Answer | None = None,
    *,
    dialect: Dialect = Dialect.ANTHROPIC,
    stream: bool = True,
    granted: int | None = None,
    **body: JSON,
) -> tuple[Leg, Paths]:
    kind = Kind.OLLAMA if dialect is Dialect.OLLAMA else Kind.LLAMA_SERVER
    messages: JSON = [{"role": "user", "content": "hi"}]
    call = Call(
        Operation.CHAT,
        dialect,
        "mine",
        stream=stream,
        max_tokens=9,
        body={"messages": messages, "max_tokens": 9, **body},
        ignored=("x",),
    )
    exchange = Exchange("f" * 32, Client("127.0.0.1", 1, "local"))
    paths = Paths(native, answer or Answer("application/json", []))
    made = Leg(
        exchange=exchange,
        reply=Reply(RecordingInbound()),
        permit=permit(),
        call=call,
        target=Target(Engine("e", kind, "http://127.0.0.1:1", 1), Model("tiny", "tiny")),
        adapter=adapter_for(kind),
        transport=paths,
        tasks=Tasks(),
        clock=_CLOCK,
        headers={"x-request-id": "mine"},
        salt="salt",
        meter=Meter(granted, none, lambda _input, _used: None, _CLOCK, prompt=ESTIMATED),
        rendering=rendering_of(call, exchange.id, Timing(exchange, _CLOCK, _CLOCK)),
    )
    return on_its_way(made, Ways(_CLOCK)), paths


def native(data: bytes, *, hangs: bool = False) -> Answer:
    return Answer("text/event-stream", [data], hangs=hangs)


def given(one: Leg) -> bytes:
    """All that the caller was given."""
    inbound = one.reply._inbound
    assert isinstance(inbound, RecordingInbound)
    return b"".join(block for word, block in inbound.told if word == "write" and isinstance(block, bytes))


async def test_a_stream_goes_the_native_way_and_is_charged_by_the_engines_count() -> None:
    one, paths = leg(native(sse(*TALK)))
    await run(one)
    assert paths.paths == ["/v1/messages"]
    assert [each["type"] for each in shown(given(one))][-1] == "message_stop"
    assert charged(one) == (7, 3, "engine")
    assert (one.exchange.outcome.finish, one.exchange.way) == ("stop", "native")


async def test_an_engine_that_counts_nothing_is_charged_by_its_pieces() -> None:
    one, _ = leg(native(sse(said(0, "a"), said(0, "b"), ended(written=None), END)))
    await run(one)
    assert charged(one) == (ESTIMATED, 2, "chunks")


async def test_at_the_end_of_what_is_granted_it_ends_well_formed_and_is_charged_that() -> None:
    one, _ = leg(native(sse(start(), *(said(0, "tok ") for _ in range(20))), hangs=True), granted=5)
    await run(one)
    found = shown(given(one))
    assert as_object(found[-2]["delta"])["stop_reason"] == "max_tokens"
    assert charged(one) == (ESTIMATED, 5, "metered")
    assert one.exchange.outcome.finish == "length"


async def test_a_caller_that_leaves_pays_what_was_relayed() -> None:
    answer = native(sse(start(), *(said(0, "tok ") for _ in range(20))), hangs=True)
    one, _ = leg(answer)
    task = asyncio.ensure_future(run(one))
    async with asyncio.timeout(10):
        await answer.given.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert charged(one) == (ESTIMATED, 20, "metered")


@pytest.mark.parametrize("data", [sse(*TALK[:4]), sse(*TALK[:4]) + b"data: nonsense\n\n", sse(*TALK[:-1])])
async def test_what_came_before_a_break_is_given_and_charged(data: bytes) -> None:
    one, _ = leg(native(data))
    with pytest.raises(EngineBroke):
        await run(one)
    assert b"Hello" in given(one)
    assert b" there" in given(one)
    assert charged(one)[1:] in {(2, "metered"), (3, "metered")}  # the engine may have said how many


async def test_whole_answers() -> None:
    message: Object = {"type": "message", "content": [{"type": "text", "text": "Hello"}], "stop_reason": "end_turn"}
    usage: Object = {"input_tokens": 5, "output_tokens": 3}
    one, _ = leg(Answer("application/json", [orjson.dumps({**message, "usage": usage})]), stream=False)
    assert (await run(one))["model"] == "mine"
    assert charged(one) == (5, 3, "engine")
    two, _ = leg(Answer("application/json", [orjson.dumps(message)]), stream=False)
    await run(two)
    assert charged(two) == (ESTIMATED, 1, "chunks")


async def test_ollamas_lines() -> None:
    line: Object = {"message": {"content": "Hello"}, "done": False}
    last: Object = {"message": {}, "done": True, "prompt_eval_count": 7, "eval_count": 3}
    one, paths = leg(Answer("application/x-ndjson", [lines(line, last)]), dialect=Dialect.OLLAMA)
    await run(one)
    assert paths.paths == ["/api/chat"]
    assert [orjson.loads(each)["done"] for each in given(one).splitlines()] == [False, True]
    assert charged(one) == (7, 3, "engine")


_OLD: Object = {"error": "Unexpected endpoint or method. (POST /v1/messages)"}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "refusal",
    [Refusing(404, "not found"), Refusing(405, {}), Refusing(501, {}), Refusing(200, _OLD), Endless(404, "<html>")],
)
async def test_without_the_route_it_goes_the_translated_way(refusal: Answer, *, stream: bool) -> None:
    message: Object = {"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}], "usage": says(7, 3)}
    answer = streaming(piece("Hello"), piece("", "stop", says(7, 3)))
    one, paths = leg(refusal, answer if stream else Answer("", [orjson.dumps(message)]), stream=stream)
    found = await run(one)
    assert paths.paths == ["/v1/messages", "/v1/chat/completions"]
    assert b"Hello" in (given(one) if stream else orjson.dumps(found))
    assert one.exchange.way == "translated"
    assert charged(one) == (7, 3, "engine")  # and not the estimate, which is more
    speech = (Dialect.ANTHROPIC, Operation.CHAT, one.call.form)
    assert isinstance(one, NativeLeg)
    assert one.ways.of(one.target.engine, speech) is Way.TRANSLATED


async def test_a_refusal_is_no_missing_route() -> None:
    one, paths = leg(Refusing(400, {"type": "error", "error": {"type": "invalid_request_error", "message": "secret"}}))
    with pytest.raises(EngineRefused) as raised:
        await run(one)
    assert paths.paths == ["/v1/messages"]
    assert "secret" not in raised.value.detail


async def test_something_else_than_a_stream_breaks() -> None:
    one, _ = leg(Answer("text/html", [b"<html>"]))
    with pytest.raises(EngineBroke):
        await run(one)


async def test_what_the_route_cannot_say_goes_the_translated_way_at_once() -> None:
    one, paths = leg(native(b""), streaming(piece("Hello"), piece("", "stop")), seed=1)
    await run(one)
    assert paths.paths == ["/v1/chat/completions"]


async def ignored(one: Leg) -> str | None:
    """What the caller is told that its engine had nothing for."""
    with one.waiting(lambda: "", Pulse(first=0.0, every=0.0)):
        await one.finish(await one.run())
    inbound = one.reply._inbound
    assert isinstance(inbound, RecordingInbound)
    assert inbound.head["x-request-id"] == "mine"
    return inbound.head.get("x-llm-gateway-ignored")


_SAID = lines({"message": {"content": "Hello"}, "done": True, "done_reason": "stop"})


@pytest.mark.parametrize("stream", [True, False])
async def test_what_a_call_loses_by_being_translated_is_named(*, stream: bool) -> None:
    own = Answer("application/x-ndjson" if stream else "application/json", [_SAID])
    openai = streaming(piece("Hello"), piece("", "stop"))  # always streamed: Ollama's callers are told times

    def asked(native: Answer, **more: JSON) -> tuple[Leg, Paths]:
        """Of `top_k`, `min_p` and `seed` Ollama's OpenAI routes know the last alone."""
        return leg(
            native, openai, dialect=Dialect.OLLAMA, stream=stream, granted=None, top_k=5, min_p=0.1, seed=1, **more
        )

    one, paths = asked(own)
    assert (await ignored(one), paths.paths) == ("x", ["/api/chat"])
    old, paths = asked(Refusing(404, "no"))
    assert (await ignored(old), paths.paths) == ("x, top_k, min_p", ["/api/chat", "/v1/chat/completions"])
    shy, paths = asked(own, logprobs=True)
    assert (await ignored(shy), paths.paths) == ("x, top_k, min_p", ["/v1/chat/completions"])


async def test_a_permit_for_another_model_is_no_permit() -> None:
    one, paths = leg(native(sse(*TALK)))
    other = Target(one.target.engine, Model("other", "other"))
    with pytest.raises(RuntimeError):
        await run(replace(one, target=other))
    assert paths.paths == []
