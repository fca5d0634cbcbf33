"""Whatever an engine writes, each dialect either says it well-formed and to its end, or the engine broke."""

from __future__ import annotations

import json
from typing import Final

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.dialects.registry import failing_of, rendering_of
from edge.relay.answer import read_answer
from edge.relay.chunks import ChunkReader
from edge.relay.sse import Event
from edge.relay.tape import Tape
from policies.call import Call, Dialect, Form, Operation
from policies.errors import EngineBroke
from policies.exchange import Usage
from policies.json import JSON, Object, as_object, as_str
from tests.edge.dialects.test_timing import timing
from tests.edge.intake.fuzzing import CALM

SECRET: Final = "/srv/models/private.gguf"
LASTS: Final = {
    Dialect.ANTHROPIC: {"message_stop"},
    Dialect.RESPONSES: {"response.completed", "response.incomplete"},
}
WORDS = st.sampled_from(
    ["", "a", "f", "{}", '{"a":', "x" * 40, "\n\ndata: {}\n\n", "\u2028\r\0", "é漢😀", "stop", "length"]
)
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | WORDS
ODD: st.SearchStrategy[JSON] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["text", "type", "token", "name", "content", "index"]), inner, max_size=2)
    ),
    max_leaves=4,
)


def odd(*usual: st.SearchStrategy[JSON]) -> st.SearchStrategy[JSON]:
    return st.one_of(*usual, *usual, *usual, ODD)


def members(**kinds: st.SearchStrategy[JSON]) -> st.SearchStrategy[JSON]:
    return st.fixed_dictionaries({}, optional=kinds).map(as_object)


NUMBERS = st.sampled_from([0, 0, 1, -1, 2**60])
FUNCTION = members(name=odd(WORDS), arguments=odd(WORDS))
TOOL_CALL = members(index=odd(NUMBERS), id=odd(WORDS), type=odd(st.just("function")), function=odd(FUNCTION))
TOKEN = members(token=odd(WORDS), logprob=odd(st.just(-0.5)), bytes=ODD, top_logprobs=odd(st.just([])))
SAID = members(
    content=odd(WORDS),
    reasoning=odd(WORDS),
    reasoning_content=odd(WORDS),
    refusal=odd(WORDS),
    tool_calls=odd(st.lists(TOOL_CALL, max_size=2)),
    function_call=ODD,
    audio=ODD,
)
CHOICE = members(
    index=odd(NUMBERS),
    delta=odd(SAID),
    message=odd(SAID),
    text=odd(WORDS),
    finish_reason=odd(st.sampled_from(["stop", "length", "tool_calls", None])),
    stop_reason=odd(WORDS),
    logprobs=odd(members(content=odd(st.lists(TOKEN, max_size=2)), refusal=ODD)),
)
USAGE = members(prompt_tokens=odd(NUMBERS), completion_tokens=odd(NUMBERS), prompt_tokens_details=ODD)
TIMINGS = members(prompt_ms=odd(st.just(1500)), predicted_ms=odd(st.just(2500.0)), predicted_n=odd(NUMBERS))
CHUNK = members(
    choices=odd(st.lists(CHOICE, max_size=2)),
    usage=odd(USAGE),
    timings=odd(TIMINGS),
    model=st.just(SECRET),
    created=ODD,
    system_fingerprint=ODD,
)
END: Final[Object] = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
CALLS: Final = (
    Call(Operation.CHAT, Dialect.ANTHROPIC, "tiny"),
    Call(Operation.CHAT, Dialect.RESPONSES, "tiny", asked={"top_logprobs": 2}),
    Call(Operation.CHAT, Dialect.OLLAMA, "tiny"),
    Call(Operation.CHAT, Dialect.OLLAMA, "tiny", form=Form.GENERATE),
    Call(Operation.COMPLETIONS, Dialect.OLLAMA, "tiny", form=Form.GENERATE),
    Call(Operation.CHAT, Dialect.OPENAI, "tiny"),
)
EVERY = pytest.mark.parametrize("call", CALLS, ids=[f"{call.dialect}-{call.form}-{call.operation}" for call in CALLS])


def documents(written: bytes, dialect: Dialect) -> list[Object]:
    """What a strict reader finds; an engine's own framing never gets through."""
    if dialect is Dialect.OLLAMA:
        lines = written.split(b"\n")
        assert lines.pop() == b""
        return [as_object(json.loads(line)) for line in lines]
    found: list[Object] = []
    blocks = written.split(b"\n\n")
    assert blocks.pop() == b""
    for block in blocks:
        *name, data = block.split(b"\n")
        document = as_object(json.loads(data.removeprefix(b"data: "))) if data != b"data: [DONE]" else {}
        assert name == ([b"event: " + as_str(document["type"]).encode()] if dialect is not Dialect.OPENAI else [])
        found.append(document)
    return found


@EVERY
@CALM
@given(chunks=st.lists(CHUNK, max_size=6), cut=st.booleans())
def test_a_stream(call: Call, chunks: list[JSON], *, cut: bool) -> None:
    rendering = rendering_of(call, "0" * 32, timing())
    failing = failing_of(rendering)
    reader, tape, written = ChunkReader(model="tiny", choices=1, usage=Usage()), Tape(100), b""
    try:
        for each in [*chunks, *([] if cut else [END])]:
            if (chunk := reader.read(Event(orjson.dumps(each)))) is not None:
                written += (b"" if written else rendering.begin(7)) + rendering.chunk(chunk)
                tape.chunks([chunk])
        if cut:
            last = reader.cut_chunk(chat=call.operation is Operation.CHAT)
            written += (b"" if written else rendering.begin(7)) + rendering.chunk(last)
        _ = reader.settle()
        written += rendering.end(reader.usage_chunk())
    except EngineBroke as error:
        found = documents(written + (failing(error, bool(written)) if failing else b""), call.dialect)
        lasts = {"error"} if failing else set[str]()
    else:
        found = documents(written, call.dialect)
        lasts = LASTS.get(call.dialect, set())
    assert SECRET.encode() not in written
    assert not lasts or as_str(found[-1]["type"]) in lasts
    assert [each.get("sequence_number", number) for number, each in enumerate(found)] == [*range(len(found))]
    _ = tape.result(chat=True)


@EVERY
@CALM
@given(answer=CHUNK)
def test_a_whole_answer(call: Call, answer: JSON) -> None:
    try:
        read = read_answer(orjson.dumps(answer), call.operation, model="tiny", usage=Usage())
        written = orjson.dumps(rendering_of(call, "0" * 32, timing()).whole(read))
    except EngineBroke:
        return
    assert SECRET.encode() not in written
