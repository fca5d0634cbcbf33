"""How an engine's bytes fall into blocks is not to be seen downstream: any answer, good or broken, in any dialect."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise
from typing import Final

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.dialects.registry import failing_of, rendering_of
from edge.relay.relay import Leg
from edge.reply import NEVER, Reply
from policies.call import Call, Dialect, Form, Operation
from policies.errors import UpstreamError
from policies.json import JSON, Object
from tests.edge.dialects.test_timing import timing
from tests.edge.relay.test_relay import Answer, Played, leg
from tests.edge.test_reply import RecordingInbound

_WORDS: Final = st.text(st.characters(codec="utf-8"), max_size=6) | st.sampled_from(
    ["", "é", "日本", "😀", "\r\n", "\\"]
)
_INDEX: Final[st.SearchStrategy[JSON]] = st.integers(0, 2) | st.none()
_FINISHES: Final = st.sampled_from(["stop", "stop", "length", "tool_calls", "eos", "abort", None])


@st.composite
def _calls(draw: st.DrawFn) -> JSON:
    function: Object = {"arguments": draw(st.sampled_from(["", "{}", '{"a":', "1}", "nonsense"]))}
    if draw(st.booleans()):
        function["name"] = draw(st.sampled_from("fg"))
    call: Object = {"index": draw(_INDEX), "function": function}
    return call | ({"id": draw(st.sampled_from(["c1", "c2"]))} if draw(st.booleans()) else {})


_DELTAS: Final[st.SearchStrategy[Object]] = st.one_of(
    st.just({}),
    st.just({"role": "assistant", "content": None}),
    st.fixed_dictionaries({"content": _WORDS}),
    st.fixed_dictionaries({"reasoning": _WORDS}),
    st.fixed_dictionaries({"reasoning_content": _WORDS, "content": _WORDS}),
    st.fixed_dictionaries({"tool_calls": st.lists(_calls(), max_size=2)}),
)


@st.composite
def _chunks(draw: st.DrawFn) -> bytes:
    choice: Object = {"index": 0, "delta": draw(_DELTAS), "finish_reason": None}
    chunk: Object = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "/m", "choices": [choice]}
    if draw(st.booleans()):
        chunk["usage"] = {"prompt_tokens": 3, "completion_tokens": 2}
    return orjson.dumps(chunk)


@st.composite
def _ends(draw: st.DrawFn) -> list[bytes]:
    choice: Object = {"index": 0, "delta": {}, "finish_reason": draw(_FINISHES)}
    last = orjson.dumps({"id": "c", "choices": [choice], "timings": {"prompt_n": 3, "predicted_n": 2}})
    usage = orjson.dumps({"id": "c", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 9}})
    return draw(st.sampled_from([[last, b"[DONE]"], [last, usage, b"[DONE]"], [last], [b"[DONE]"], []]))


_ODD: Final = st.sampled_from(
    [b'{"error":{"message":"x","code":500}}', b"{", b"[]", b'{"choices":null}', b"\xff", b'{"choices":[{}]}', b""]
)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """An engine's answer: mostly good, framed in any of the ways that engines have."""
    payloads = draw(st.lists(st.one_of(*[_chunks()] * 5, _ODD), max_size=6)) + draw(_ends())
    newline = draw(st.sampled_from([b"\n", b"\r\n", b"\r"]))
    framed = b""
    for payload in payloads:
        framed += draw(
            st.sampled_from([b"", b": keepalive 1/2" + newline * 2, b"event: x" + newline, b"id: 1" + newline])
        )
        field = b"error: " if draw(st.integers(0, 30)) == 17 else draw(st.sampled_from([b"data: ", b"data:"]))
        framed += field + payload + newline * 2
    return framed + draw(st.sampled_from([b"", b"", b"data: half"]))


_SPOKEN: Final = {
    "openai": (Dialect.OPENAI, Form.ONLY),
    "anthropic": (Dialect.ANTHROPIC, Form.ONLY),
    "responses": (Dialect.RESPONSES, Form.ONLY),
    "ollama": (Dialect.OLLAMA, Form.ONLY),
    "ollama, generate": (Dialect.OLLAMA, Form.GENERATE),
}


def downstream(name: str, blocks: list[bytes], granted: int | None) -> tuple[list[object], tuple[object, ...]]:
    """All that a caller is given, to the error's event if it fails, and what it is charged."""
    dialect, form = _SPOKEN[name]
    inbound = RecordingInbound()
    one = leg(Played(Answer("text/event-stream", blocks)), granted=granted)
    call = Call(Operation.CHAT, dialect, "tiny", stream=True, include_usage=True, body=one.call.body, form=form)
    rendering = rendering_of(call, "f" * 32, timing())
    one = replace(one, call=call, rendering=rendering, reply=Reply(inbound))
    one.reply.failing = failing_of(rendering)
    failure = asyncio.run(_run(one, dialect))
    given: list[object] = []
    said = b""
    for kind, what in inbound.told:
        if kind == "write" and isinstance(what, bytes):
            said += what
        else:
            given += [(kind, what)]
    usage = one.exchange.outcome.usage
    return [said, *given, failure], (usage.input, usage.output, usage.source, one.meter.used)


async def _run(one: Leg, dialect: Dialect) -> str:
    with one.waiting(lambda: "", NEVER):
        try:
            await one.finish(await one.run())
        except UpstreamError as error:
            await one.reply.fail(error, dialect, "f" * 32)
            return error.detail
    return ""


@pytest.mark.parametrize("name", _SPOKEN)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(stream=streams(), granted=st.none() | st.integers(0, 9), data=st.data())
def test_any_blocks_of_any_answer_are_the_same_downstream(
    name: str, stream: bytes, granted: int | None, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in pairwise([0, *cuts, len(stream)])]
    whole, charged = downstream(name, [stream], granted)
    for blocks in (pieces, [stream[at : at + 1] for at in range(len(stream))]):
        said, paid = downstream(name, blocks, granted)
        assert said == whole
        # Of one that breaks, what came in the block that broke is counted, whether or not it could still be said.
        assert paid == charged or whole[-1]


def test_the_answers_here_end_well_and_break_in_every_dialect() -> None:
    """Or the property says nothing."""
    good = b"".join(b"data: " + orjson.dumps(each) + b"\n\n" for each in (_piece("a"), _piece("b", "stop")))
    for name in _SPOKEN:
        said, *rest = downstream(name, [good], None)[0]
        assert isinstance(said, bytes)
        assert rest[-1] == ""
        broken, *told = downstream(name, [good[:-30] + b"}\n\n"], None)[0]
        assert isinstance(broken, bytes)
        assert told[-1] == "an event is not JSON"
        assert b'"a"' in said
        assert b'"a"' in broken


def _piece(text: str, finish: str | None = None) -> Object:
    return {"id": "c", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}


@pytest.mark.parametrize("name", ["anthropic", "responses"])
def test_what_a_dialect_cannot_say_does_not_take_what_stood_before_it_along(name: str) -> None:
    """Pieces of two calls in turns: each call is a block or an item, and those come one after the other."""
    pieces: list[Object] = [{"content": "a"}, _call(0, "{}", "f"), _call(1, "{", "g"), _call(0, " ")]
    chunks = [{"id": "c", "choices": [{"index": 0, "delta": piece}]} for piece in pieces]
    blocks = [b"data: " + orjson.dumps(chunk) + b"\n\n" for chunk in chunks]
    whole = downstream(name, [b"".join(blocks)], None)
    assert whole == downstream(name, blocks, None)
    said, *_, failure = whole[0]
    assert isinstance(said, bytes)
    assert b'"a"' in said
    assert b'"g"' in said
    assert failure == "pieces of several calls in turns"


def _call(index: int, arguments: str, name: str | None = None) -> Object:
    function: Object = {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}
    return {"tool_calls": [{"index": index, "function": function}]}
