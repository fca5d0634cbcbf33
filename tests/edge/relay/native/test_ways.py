"""Which way a call goes, and that the native one asks for exactly what was decided."""

from __future__ import annotations

import base64
from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.intake.intake import read_call
from edge.intake.routes import Route
from edge.relay.native.ways import CLOSED, Needs, Way, Ways, way_of
from engines.adapters.registry import adapter_for
from engines.contract import Dialects, Kind, Target
from policies.call import Aim, Call, Dialect, Form, Operation
from policies.json import JSON, Object
from tests.engines.adapters.calls import target

_FREE = Needs(limited=False, taped=False)
_MESSAGES = Route(Operation.CHAT, Dialect.ANTHROPIC, "/v1/messages")
_CHAT = Route(Operation.CHAT, Dialect.OLLAMA, "/api/chat")
_GENERATE = Route(Operation.CHAT, Dialect.OLLAMA, "/api/generate", form=Form.GENERATE)
_SPEECH = (Dialect.ANTHROPIC, Operation.CHAT, Form.ONLY)


def at(kind: Kind, dialects: Dialects = Dialects.AUTO) -> Target:
    there = target(kind)
    return replace(there, engine=replace(there.engine, dialects=dialects))


def asks(**changes: JSON) -> Call:
    document: Object = {"model": "m", "max_tokens": 5, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    return read_call(_MESSAGES, document | changes)


def may(call: Call, needs: Needs = _FREE, kind: Kind = Kind.LLAMA_SERVER) -> bool:
    return Ways(lambda: 0.0).may_be_native(call, at(kind), needs)


def test_what_keeps_a_call_from_the_native_way() -> None:
    call = asks()
    assert may(call)
    assert may(asks(stream=False))
    assert not may(call, replace(_FREE, taped=True))
    assert may(call, replace(_FREE, limited=True))
    assert not may(asks(stream=False), replace(_FREE, limited=True))
    assert not may(replace(call, counts=True))
    assert not may(replace(call, aim=Aim.LOAD))
    assert not may(replace(call, dialect=Dialect.OPENAI))
    assert not may(replace(call, dialect=Dialect.RESPONSES))
    assert not may(call, kind=Kind.MLX_LM)


def test_a_missing_route_is_tried_again_after_a_while() -> None:
    now = 0.0
    ways = Ways(lambda: now)
    there, call = at(Kind.OLLAMA), asks()
    ways.close(there, call)
    assert ways.of(there.engine, _SPEECH) is Way.TRANSLATED
    assert ways.of(there.engine, (Dialect.OLLAMA, Operation.CHAT, Form.ONLY)) is Way.NATIVE
    assert ways.of(replace(there.engine, name="another"), _SPEECH) is Way.NATIVE
    now = CLOSED
    assert ways.of(there.engine, _SPEECH) is Way.NATIVE


@pytest.mark.parametrize("kind", Kind)
def test_openais_dialect_is_every_engines_own(kind: Kind) -> None:
    assert way_of(at(kind, Dialects.TRANSLATE).engine, (Dialect.OPENAI, Operation.CHAT, Form.ONLY)) is Way.NATIVE
    assert way_of(at(kind, Dialects.TRANSLATE).engine, _SPEECH) is Way.TRANSLATED


def test_a_model_of_several_engines_may_be_served_either_way() -> None:
    ways = Ways(lambda: 0.0)
    assert ways.dialects((at(Kind.OLLAMA), at(Kind.LLAMA_SERVER))) == {
        "openai": "native",
        "responses": "translated",
        "anthropic": "native",
        "ollama": "mixed",
    }


def back(route: Route, document: Object, kind: Kind) -> tuple[Call, Call] | None:
    """The call, and the same read again from what the engine of that kind is asked; None if it is not asked so."""
    call = read_call(route, document)
    request = adapter_for(kind).build_native(call, at(kind, Dialects.NATIVE), stream=call.stream, salt="s")
    return None if request is None else (call, read_call(route, orjson.loads(request.body)))


_WORDS = st.text(min_size=1, max_size=8).filter(lambda text: text.strip() != "")
_PNG = "iVBORw0KGgo" + base64.b64encode(b"xyz").decode()
_SOURCE: Object = {"type": "base64", "media_type": "image/png", "data": _PNG}
_ID = st.sampled_from(["call_1", "call_2"])
_ARGUMENTS = st.dictionaries(st.sampled_from(["a", "b"]), st.integers(0, 9) | _WORDS, max_size=2)
_USER_BLOCK = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, _WORDS),
    st.just({"type": "image", "source": _SOURCE}),
    st.builds(
        lambda name, text, bad: {"type": "tool_result", "tool_use_id": name, "content": text, "is_error": bad},
        _ID,
        _WORDS,
        st.booleans(),
    ),
    st.builds(lambda text: {"type": "document", "title": "t", "source": {"type": "text", "data": text}}, _WORDS),
)
_ASSISTANT_BLOCK = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, _WORDS),
    st.builds(lambda text: {"type": "thinking", "thinking": text, "signature": ""}, _WORDS),
    st.builds(lambda name, given: {"type": "tool_use", "id": name, "name": "f", "input": given}, _ID, _ARGUMENTS),
)
_TURNS = st.lists(
    st.builds(
        lambda content: {"role": "user", "content": content}, _WORDS | st.lists(_USER_BLOCK, min_size=1, max_size=3)
    )
    | st.builds(
        lambda content: {"role": "assistant", "content": content},
        _WORDS | st.lists(_ASSISTANT_BLOCK, min_size=1, max_size=3),
    )
    | st.builds(lambda content: {"role": "system", "content": content}, _WORDS),
    min_size=1,
    max_size=4,
)
_TOOL: Object = {"name": "f", "description": "d", "input_schema": {"type": "object"}}
_MORE = st.fixed_dictionaries(
    {},
    optional={
        "system": _WORDS | st.just([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]),
        "temperature": st.floats(0, 2),
        "top_p": st.floats(0, 1),
        "top_k": st.integers(1, 9),
        "stop_sequences": st.lists(_WORDS, min_size=1, max_size=2),
        "tools": st.just([_TOOL]),
        "metadata": st.just({"user_id": "u"}),
        "stream": st.booleans(),
    },
)
_NOT_SENT = {"user", "top_k"}
"""Who asks is no engine's business; what an engine of that kind does not have is left out on both ways."""


@given(_TURNS, _MORE, st.sampled_from([Kind.LLAMA_SERVER, Kind.OLLAMA, Kind.VLLM]))
def test_a_message_that_is_asked_natively_means_what_was_decided(turns: list[Object], more: Object, kind: Kind) -> None:
    found = back(_MESSAGES, {"model": "m", "max_tokens": 5, "messages": list(turns), **more}, kind)
    if all(turn["role"] == "system" for turn in turns):
        assert found is None  # there is nobody to whom the route would let it speak
        return
    assert found is not None
    call, again = found
    flat = kind is Kind.OLLAMA
    assert _plain(again, flat=flat) == _plain(call, flat=flat)
    assert (again.stream, again.max_tokens) == (call.stream, call.max_tokens)


_OLLAMA_TURN = (
    st.builds(lambda text: {"role": "user", "content": text}, _WORDS)
    | st.builds(lambda text: {"role": "user", "content": text, "images": [_PNG]}, _WORDS)
    | st.builds(lambda text: {"role": "assistant", "content": text, "thinking": "hm"}, _WORDS)
    | st.builds(
        lambda given: {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "call_1", "function": {"name": "f", "arguments": given}}],
        },
        _ARGUMENTS,
    )
    | st.builds(lambda text: {"role": "tool", "content": text, "tool_call_id": "call_1"}, _WORDS)
    | st.builds(lambda text: {"role": "system", "content": text}, _WORDS)
)
_OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "num_predict": st.integers(1, 9),
        "temperature": st.floats(0, 2),
        "top_k": st.integers(1, 9),
        "min_p": st.floats(0, 1),
        "repeat_penalty": st.floats(1, 2),
        "seed": st.integers(0, 9),
        "stop": st.lists(_WORDS, min_size=1, max_size=2),
    },
)
_WISHES = st.fixed_dictionaries(
    {"options": _OPTIONS},
    optional={
        "stream": st.booleans(),
        "format": st.sampled_from(["json", {"type": "object"}]),
        "think": st.sampled_from([False, "low", "high"]),
    },
)


@given(st.lists(_OLLAMA_TURN, min_size=1, max_size=4), _WISHES)
def test_a_chat_that_an_ollama_is_asked_means_what_was_decided(turns: list[Object], wishes: Object) -> None:
    found = back(_CHAT, {"model": "m", "messages": list(turns), **wishes}, Kind.OLLAMA)
    assert found is not None
    call, again = found
    assert _plain(again, flat=True) == _plain(call, flat=True)
    assert (again.stream, again.max_tokens) == (call.stream, call.max_tokens)


@given(_WORDS, _WISHES, st.booleans())
def test_a_prompt_that_an_ollama_is_asked_means_what_was_decided(text: str, wishes: Object, raw: bool) -> None:
    more: Object = {"raw": True} if raw else {"system": "be kind", "images": [_PNG]}
    if raw:
        wishes = {name: value for name, value in wishes.items() if name in {"options", "stream"}}
    found = back(_GENERATE, {"model": "m", "prompt": text, **more, **wishes}, Kind.OLLAMA)
    assert found is not None
    call, again = found
    assert again.operation is call.operation
    assert _plain(again, flat=True) == _plain(call, flat=True)


def _plain(call: Call, *, flat: bool) -> Object:
    """What the engine is asked on OpenAI's route: where two bodies agree on that they mean the same to it."""
    kind = Kind.OLLAMA if flat else Kind.LLAMA_SERVER
    body: Object = orjson.loads(adapter_for(kind).build(call, target(kind), stream=True, salt="").body)
    return {name: value for name, value in body.items() if name not in _NOT_SENT}
