"""What one call is charged, by what its engine says and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace

import orjson
import pytest

from edge.dialects.chat import OpenAiRendering
from edge.intake.ranking_params import MAX_PROMPT
from edge.relay.meter import Meter
from edge.relay.relay import Leg
from edge.reply import Pulse, Reply
from edge.tasks import Tasks
from engines.adapters.registry import adapter_for
from engines.contract import Engine, Kind, Model, Target, UpstreamRequest, UpstreamResponse
from policies.call import Call, Dialect, Operation
from policies.decision import Permit
from policies.errors import EngineBroke, Refusal, UpstreamError
from policies.exchange import Client, Exchange
from policies.json import JSON, Object, as_list, as_object
from policies.reasons import Reason
from tests.edge.test_accounts import permit
from tests.edge.test_reply import RecordingInbound

ESTIMATED = 40
_QUIET = Pulse(first=0.0, every=0.0)


class Answer:
    """An `UpstreamResponse` of given blocks; after them it waits for ever if `hangs`, and breaks off if `breaks`."""

    status = 200
    retry_after = None
    over = False

    def __init__(
        self, content_type: str, blocks: Iterable[bytes], *, hangs: bool = False, breaks: bool = False
    ) -> None:
        self.content_type = content_type
        self._blocks = list(blocks)
        self._hangs = hangs
        self._breaks = breaks
        self.given = asyncio.Event()

    async def chunks(self) -> AsyncIterator[bytes]:
        for block in self._blocks:
            yield block
        self.given.set()
        if self._hangs:
            await asyncio.Event().wait()
        if self._breaks:
            raise EngineBroke("answer cut off")

    async def read(self, limit: int) -> bytes:
        return b"".join(self._blocks)[:limit]


class Played:
    """A `Transport` that gives `answer` to the call and `counts` to whoever asks for the tokens of a text."""

    def __init__(self, answer: Answer, counts: Iterable[int] = ()) -> None:
        self.answer = answer
        self.counts = list(counts)
        self.counted: list[str] = []

    @asynccontextmanager
    async def _give(self, request: UpstreamRequest) -> AsyncIterator[UpstreamResponse]:
        document: Object = orjson.loads(request.body)
        if "input" not in document:
            yield self.answer
            return
        self.counted.append(str(document["input"]))
        found = [orjson.dumps({"count": self.counts.pop(0)})] if self.counts else [b"no"]
        yield Answer("application/json", found)

    def send(
        self, _permit: Permit, _engine: Engine, request: UpstreamRequest
    ) -> AbstractAsyncContextManager[UpstreamResponse]:
        return self._give(request)

    def probe(self, _engine: Engine, request: UpstreamRequest) -> AbstractAsyncContextManager[UpstreamResponse]:
        return self._give(request)

    async def close(self) -> None:
        pass


def events(*documents: JSON) -> list[bytes]:
    return [b"data: " + orjson.dumps(document) + b"\n\n" for document in documents]


def piece(text: str = "tok", finish: str | None = None, usage: Object | None = None) -> JSON:
    choice: Object = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}
    return {"id": "c", "choices": [choice], "usage": usage}


def says(prompt: JSON, completion: JSON) -> Object:
    return {"prompt_tokens": prompt, "completion_tokens": completion}


def streaming(*documents: JSON, hangs: bool = False) -> Answer:
    return Answer("text/event-stream", events(*documents), hangs=hangs)


def whole(text: str, usage: Object | None = None) -> Answer:
    message: Object = {"role": "assistant", "content": text}
    document: Object = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}
    return Answer("application/json", [orjson.dumps(document)])


async def none(_tokens: int) -> int:
    return 0


def leg(played: Played, *, stream: bool = True, granted: int | None = None, kind: Kind = Kind.OPENAI) -> Leg:
    body: Object = {"messages": [{"role": "user", "content": "hi"}]}
    return Leg(
        exchange=Exchange("f" * 32, Client("127.0.0.1", 1, "local")),
        reply=Reply(RecordingInbound()),
        permit=permit(),
        call=Call(Operation.CHAT, Dialect.OPENAI, "tiny", body=body, stream=stream, max_tokens=None, n=1),
        target=Target(Engine("e", kind, "http://127.0.0.1:1", 1), Model("tiny", "tiny")),
        adapter=adapter_for(kind),
        transport=played,
        tasks=Tasks(),
        clock=lambda: 1.0,
        headers={},
        salt="",
        meter=Meter(granted, none, lambda _input, _used: None, lambda: 1.0, prompt=ESTIMATED),
        rendering=OpenAiRendering(include_usage=False),
    )


async def run(one: Leg) -> Object:
    with one.waiting(lambda: "", _QUIET):
        answer = await one.run()
    return {} if answer is None else as_object(orjson.loads(answer.body))


def charged(one: Leg) -> tuple[int | None, int | None, str]:
    usage = one.exchange.outcome.usage
    return usage.input, usage.output, usage.source


async def test_the_engines_count_of_a_whole_answer_is_what_is_charged() -> None:
    one = leg(Played(streaming(piece(), piece("", "stop"), {"choices": [], "usage": says(7, 3)})))
    await run(one)
    assert charged(one) == (7, 3, "engine")
    assert one.exchange.outcome.finish == "stop"


@pytest.mark.parametrize(("early", "output"), [(0, 20), (1, 20), (None, 20), (90, 90)])
async def test_a_caller_that_leaves_pays_what_was_metered_at_least(early: int | None, output: int) -> None:
    """The engine has counted the prompt; what it says of the answer on the way is a lower bound."""
    answer = streaming(piece("", None, says(7, early)), *[piece()] * 20, hangs=True)
    one = leg(Played(answer))
    task = asyncio.ensure_future(run(one))
    async with asyncio.timeout(10):
        await answer.given.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert charged(one) == (7, output, "metered")
    assert one.exchange.outcome.finish == ""


@pytest.mark.parametrize("stream", [True, False])
async def test_a_stream_that_breaks_off_is_charged_as_far_as_it_came(*, stream: bool) -> None:
    one = leg(Played(streaming(piece("", None, says(7, 0)), *[piece()] * 5)), stream=stream, granted=100)
    with pytest.raises(EngineBroke):
        await run(one)
    assert charged(one) == (7, 5, "metered")


@pytest.mark.parametrize(("usage", "prompt"), [(None, ESTIMATED), (says(7, 0), 7), (says(0, 0), ESTIMATED)])
async def test_a_cut_answer_keeps_the_engines_count_of_the_prompt(usage: Object | None, prompt: int) -> None:
    one = leg(Played(streaming(piece("", None, usage), *[piece()] * 20)), stream=False, granted=5)
    document = await run(one)
    assert charged(one) == (prompt, 5, "metered")
    assert as_object(document["usage"])["prompt_tokens"] == prompt


@pytest.mark.parametrize("before", [0, 2])
async def test_an_answer_that_is_cut_at_its_last_event_ends_all_the_same(before: int) -> None:
    """Text and the reason of its end in one event, and the budget ends within that text."""
    last = piece("word " * 80, "stop")
    one = leg(Played(streaming(*[piece()] * before, last)), stream=False, granted=5)
    (choice,) = as_list((await run(one))["choices"])
    assert as_object(choice)["finish_reason"] == one.exchange.outcome.finish == "length"
    streamed = leg(Played(streaming(*[piece()] * before, last)), granted=5)
    await run(streamed)
    assert streamed.exchange.outcome.finish == "length"


@pytest.mark.parametrize(("usage", "prompt"), [(None, ESTIMATED), (says(7, None), 7), (says(7, 0), 7)])
async def test_a_stream_that_the_engine_has_not_counted_is_charged_by_its_pieces(
    usage: Object | None, prompt: int
) -> None:
    one = leg(Played(streaming(*[piece()] * 5, piece("", "stop", usage))))
    await run(one)
    assert charged(one) == (prompt, 5, "chunks")


@pytest.mark.parametrize(("usage", "prompt"), [(None, ESTIMATED), (says(7, None), 7), (says(7, 0), 7)])
async def test_a_whole_answer_that_the_engine_has_not_counted_is_charged_by_its_text(
    usage: Object | None, prompt: int
) -> None:
    one = leg(Played(whole("tok " * 300, usage)), stream=False)
    document = await run(one)
    assert charged(one) == (prompt, 300, "chunks")
    assert one.meter.used == 300
    assert as_object(document["usage"])["completion_tokens"] == 300


@pytest.mark.parametrize("stream", [True, False])
async def test_an_engine_with_a_tokenizer_counts_all_the_text_afterwards(*, stream: bool) -> None:
    call: Object = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}
    choice: Object = {"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": "stop"}
    played = Played(streaming(piece("ab"), {"id": "c", "choices": [choice]}), [9, 5])
    one = leg(played, stream=stream, kind=Kind.LLAMA_CPP_PYTHON)
    await run(one)
    assert charged(one) == (5, 9, "counted")
    assert played.counted == ["abf{}", "hi"]


async def test_a_tokenizer_that_does_not_answer_leaves_the_pieces() -> None:
    one = leg(Played(streaming(piece(), piece("tok", "stop"))), kind=Kind.LLAMA_CPP_PYTHON)
    await run(one)
    assert charged(one) == (ESTIMATED, 2, "chunks")


@pytest.mark.parametrize("tokens", [MAX_PROMPT, MAX_PROMPT * 2])
async def test_what_a_tokenizer_sends_along_is_bounded(tokens: int) -> None:
    """All ids are read in one go, while everybody else waits; a character of a prompt is hardly more than one."""
    answer = Answer("application/json", [b'{"tokens":[' + b",".join([b"150000"] * tokens) + b"]}"])
    one = leg(Played(answer), stream=False, kind=Kind.LLAMA_SERVER)
    asked = Call(Operation.TOKENIZE, Dialect.OPENAI, "tiny", body={"prompt": "hi"}, counts=True)
    one = replace(one, call=asked)
    if tokens == MAX_PROMPT:
        assert (await run(one))["count"] == tokens
    else:
        with pytest.raises(EngineBroke):
            await run(one)


async def test_what_came_before_a_refusal_in_one_block_is_given() -> None:
    """The store of limits is asked for more in the middle of it, and is gone; what was counted was said."""

    async def gone(_tokens: int) -> int:
        raise Refusal(Reason.LIMITS_UNAVAILABLE)

    inbound = RecordingInbound()
    one = leg(Played(Answer("text/event-stream", [b"".join(events(piece("one"), piece("two"), piece("three")))])))
    meter = Meter(2, gone, lambda _input, _used: None, lambda: 1.0, prompt=ESTIMATED)
    one = replace(one, meter=meter, reply=Reply(inbound))
    with pytest.raises(Refusal):
        await run(one)
    given = b"".join(block for word, block in inbound.told if word == "write" and isinstance(block, bytes))
    assert (b"one" in given, b"two" in given, b"three" in given) == (True, True, False)
    assert charged(one) == (ESTIMATED, 2, "metered")


@pytest.mark.parametrize("breaks", [False, True])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_stream_that_ends_without_a_word_is_what_the_engine_means_by_it(*, breaks: bool, stream: bool) -> None:
    """llama-cpp-python raises for a prompt that is too long when its 200 is out; if its server says the stream's last
    chunk before it closes the connection is a matter of luck."""
    played = Played(Answer("text/event-stream", [], breaks=breaks), counts=[1])
    one = leg(played, stream=stream, kind=Kind.LLAMA_CPP_PYTHON)
    with pytest.raises(UpstreamError) as caught:
        await one.run()
    assert caught.value.reason is Reason.CONTEXT_LENGTH_EXCEEDED


async def test_an_engine_that_dies_before_it_says_a_word_has_failed() -> None:
    played = Played(Answer("text/event-stream", [], breaks=True))  # and counts nothing any more
    with pytest.raises(EngineBroke):
        await leg(played, stream=False, kind=Kind.LLAMA_CPP_PYTHON).run()


async def test_what_breaks_off_amid_an_answer_is_broken() -> None:
    played = Played(Answer("text/event-stream", events(piece()), breaks=True), counts=[1])
    with pytest.raises(EngineBroke):
        await leg(played, stream=False, kind=Kind.LLAMA_CPP_PYTHON).run()
