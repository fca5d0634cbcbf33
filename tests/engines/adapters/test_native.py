"""What engines are asked in the callers' own dialects: all that was decided, in the same meaning, or nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import orjson
import pytest

from engines.adapters.registry import adapter_for
from engines.contract import Dialects, Kind, Target
from policies.call import Call, Dialect, Form, Operation
from policies.json import JSON, Object, as_list, as_object
from tests.engines.adapters.calls import target

_SPEAKERS = {Kind.LLAMA_SERVER, Kind.VLLM, Kind.OLLAMA, Kind.LM_STUDIO, Kind.DOCKER_MODEL_RUNNER}
_CANNOT_ISOLATE = {Kind.VLLM, Kind.DOCKER_MODEL_RUNNER}
_HI: list[JSON] = [{"role": "user", "content": "hi"}]
_TOOL: Object = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}


def asks(dialect: Dialect = Dialect.ANTHROPIC, form: Form = Form.ONLY, /, **body: JSON) -> Call:
    return Call(
        Operation.CHAT, dialect, "asked", form=form, max_tokens=9, body={"messages": _HI, "max_tokens": 9, **body}
    )


def at(kind: Kind, dialects: Dialects = Dialects.AUTO) -> Target:
    there = target(kind)
    return replace(there, engine=replace(there.engine, dialects=dialects))


def native(kind: Kind, call: Call, dialects: Dialects = Dialects.NATIVE, *, stream: bool = True) -> Object | None:
    request = adapter_for(kind).build_native(call, at(kind, dialects), stream=stream, salt="salt")
    return None if request is None else cast("Object", orjson.loads(request.body))


def body(kind: Kind, call: Call) -> Object:
    found = native(kind, call)
    assert found is not None
    return found


@pytest.mark.parametrize("kind", Kind)
def test_who_is_asked_in_anthropics_dialect(kind: Kind) -> None:
    request = adapter_for(kind).build_native(asks(), at(kind), stream=True, salt="salt")
    assert (request is not None) == (kind in _SPEAKERS - _CANNOT_ISOLATE)
    if request is not None:
        assert (request.method, request.path) == ("POST", "/v1/messages")
    found = native(kind, asks(), Dialects.NATIVE)
    assert (found is not None) == (kind in _SPEAKERS)
    if found is not None:
        assert found == {"model": "Own/Id:1", "max_tokens": 9, "stream": True, "messages": _HI_BLOCKS}
    assert native(kind, asks(), Dialects.TRANSLATE) is None


_HI_BLOCKS: list[JSON] = [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]


@pytest.mark.parametrize("kind", sorted(_SPEAKERS))
@pytest.mark.parametrize(
    "more",
    [
        {"seed": 1},
        {"n": 1},
        {"presence_penalty": 0.5},
        {"response_format": {"type": "json_object"}},
        {
            "messages": [
                {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}}]}
            ]
        },
        {"tools": [{"type": "function", "function": {"name": "f", "strict": True}}]},
        {"messages": [{"role": "user", "content": "hi", "name": "bob"}]},
    ],
)
def test_what_the_route_has_no_word_for_is_not_asked_there(kind: Kind, more: Object) -> None:
    """Whatever put it into the body: a caller, an obligation, a preset. What the engine's OpenAI route has no word for
    either is left out on both."""
    call = asks(**more)
    left_out = more.keys() - orjson.loads(adapter_for(kind).build(call, at(kind), stream=True, salt="s").body).keys()
    assert native(kind, call) is None or left_out == more.keys()


@pytest.mark.parametrize("kind", sorted(_SPEAKERS))
def test_without_a_limit_it_is_not_asked_there(kind: Kind) -> None:
    assert native(kind, Call(Operation.CHAT, Dialect.ANTHROPIC, body={"messages": _HI})) is None


@pytest.mark.parametrize("kind", sorted(_SPEAKERS))
def test_limits_and_sampling_are_those_that_were_decided(kind: Kind) -> None:
    call = replace(asks(temperature=0.5, top_p=0.9, stop=["a", "b"]), max_tokens=3)
    found = body(kind, call)
    assert (found["max_tokens"], found["temperature"], found["top_p"]) == (3, 0.5, 0.9)
    assert found["stop_sequences"] == ["a", "b"]
    assert body(kind, asks(stop="x"))["stop_sequences"] == ["x"]


def test_a_conversation_with_tools_and_pictures() -> None:
    messages: list[JSON] = [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": [{"type": "text", "text": "see"}, _picture("image/png")]},
        {
            "role": "assistant",
            "content": "calling",
            "reasoning_content": "hm",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
                {"id": "c2", "type": "function", "function": {"name": "g", "arguments": ""}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
        {"role": "tool", "tool_call_id": "c2", "content": "two"},
        {"role": "user", "content": "and?"},
    ]
    found = body(Kind.LLAMA_SERVER, asks(messages=messages, tools=[_TOOL], tool_choice="required"))
    assert found["system"] == "be kind"
    assert as_list(found["messages"]) == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "see"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": ""},
                {"type": "text", "text": "calling"},
                {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}},
                {"type": "tool_use", "id": "c2", "name": "g", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "one"},
                {"type": "tool_result", "tool_use_id": "c2", "content": "two"},
            ],
        },
        {"role": "user", "content": [{"type": "text", "text": "and?"}]},
    ]
    assert found["tools"] == [{"name": "f", "description": "d", "input_schema": {"type": "object"}}]
    assert found["tool_choice"] == {"type": "any"}


def _picture(kind: str) -> JSON:
    return {"type": "image_url", "image_url": {"url": f"data:{kind};base64,QUJD"}}


@pytest.mark.parametrize(
    "part", [_picture("image/svg+xml"), {"type": "image_url", "image_url": {"url": "data:image/png,x"}}]
)
def test_other_pictures_are_not_sent_there(part: JSON) -> None:
    assert native(Kind.LLAMA_SERVER, asks(messages=[{"role": "user", "content": [part]}])) is None


@pytest.mark.parametrize(
    ("kind", "choice", "sent"),
    [
        (Kind.LLAMA_SERVER, "auto", {"type": "auto"}),
        (Kind.LLAMA_SERVER, "none", None),
        (Kind.LLAMA_SERVER, {"type": "function", "function": {"name": "f"}}, None),
        (Kind.VLLM, {"type": "function", "function": {"name": "f"}}, {"type": "tool", "name": "f"}),
        (Kind.VLLM, "none", {"type": "none"}),
        (Kind.LM_STUDIO, "required", None),
    ],
)
def test_a_choice_that_a_route_does_not_heed_is_not_left_to_it(kind: Kind, choice: JSON, sent: JSON) -> None:
    found = native(kind, asks(tools=[_TOOL], tool_choice=choice))
    assert (found["tool_choice"] if found else None) == sent


@pytest.mark.parametrize(
    ("kind", "more", "sent"),
    [
        (
            Kind.LLAMA_SERVER,
            {"reasoning_effort": "none"},
            {"chat_template_kwargs": {"enable_thinking": False}},
        ),
        (Kind.OLLAMA, {"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
        (Kind.OLLAMA, {"reasoning_effort": "max"}, {"output_config": {"effort": "high"}}),
        (Kind.OLLAMA, {"top_k": 5}, {"top_k": 5}),
        (
            Kind.VLLM,
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}},
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
        ),
    ],
)
def test_thinking_and_form_in_each_engines_words(kind: Kind, more: Object, sent: Object) -> None:
    found = body(kind, asks(**more))
    assert {name: found[name] for name in sent} == sent


def ollama(form: Form = Form.ONLY, /, **more: JSON) -> Object | None:
    return native(Kind.OLLAMA, asks(Dialect.OLLAMA, form, **more), Dialects.AUTO)


def test_ollamas_chat() -> None:
    messages: list[JSON] = [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": [{"type": "text", "text": "see"}, _picture("image/png")]},
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "hm",
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
    ]
    schema: Object = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}}
    found = ollama(messages=messages, tools=[_TOOL], top_k=5, min_p=0.1, response_format=schema, reasoning_effort="low")
    assert found == {
        "model": "Own/Id:1",
        "stream": True,
        "options": {"min_p": 0.1, "num_predict": 9, "top_k": 5},
        "think": "low",
        "format": {"type": "object"},
        "tools": [_TOOL],
        "messages": [
            {"role": "system", "content": "be kind"},
            {"role": "user", "content": "see", "images": ["QUJD"]},
            {
                "role": "assistant",
                "content": "",
                "thinking": "hm",
                "tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": {"a": 1}}}],
            },
            {"role": "tool", "content": "one", "tool_call_id": "c1", "tool_name": "f"},
        ],
    }


def test_ollamas_generate() -> None:
    messages: list[JSON] = [{"role": "system", "content": "be kind"}, *_HI]
    found = ollama(Form.GENERATE, messages=messages, response_format={"type": "json_object"}, reasoning_effort="none")
    assert found == {
        "model": "Own/Id:1",
        "stream": True,
        "options": {"num_predict": 9},
        "think": False,
        "format": "json",
        "system": "be kind",
        "prompt": "hi",
    }
    assert ollama(Form.GENERATE, messages=[*messages, *_HI]) is None
    assert ollama(Form.GENERATE, messages=[{"role": "user", "content": ""}]) is None  # would load, and say nothing
    assert ollama(Form.GENERATE, tools=[_TOOL]) is None


@pytest.mark.parametrize(
    ("more", "sent"),
    [({}, {"prompt": "hi", "raw": True}), ({"suffix": "end"}, {"prompt": "hi", "suffix": "end"})],
)
def test_ollamas_raw_prompts(more: Object, sent: Object) -> None:
    call = Call(Operation.COMPLETIONS, Dialect.OLLAMA, "asked", form=Form.GENERATE, body={"prompt": "hi", **more})
    found = native(Kind.OLLAMA, call, stream=False)
    assert found == {"model": "Own/Id:1", "stream": False, "options": {}, **sent}
    assert native(Kind.OLLAMA, replace(call, body={"prompt": ""})) is None


@pytest.mark.parametrize(
    "more", [{"logprobs": True}, {"logprobs": True, "top_logprobs": 2}, {"response_format": {"type": "x"}}]
)
def test_what_ollamas_reading_does_not_show_is_translated(more: Object) -> None:
    assert ollama(**more) is None


@pytest.mark.parametrize("kind", sorted(set(Kind) - {Kind.OLLAMA}))
def test_nobody_else_is_asked_in_ollamas_dialect(kind: Kind) -> None:
    assert native(kind, asks(Dialect.OLLAMA)) is None


@pytest.mark.parametrize("kind", Kind)
def test_responses_and_vectors_are_translated_everywhere(kind: Kind) -> None:
    assert native(kind, asks(Dialect.RESPONSES)) is None
    assert native(kind, Call(Operation.EMBEDDINGS, Dialect.OLLAMA, body={"input": "hi"})) is None


def test_the_callers_cache_of_prompts_is_its_own_unless_the_operator_gives_that_up() -> None:
    built = orjson.loads(adapter_for(Kind.VLLM).build(asks(), at(Kind.VLLM), stream=True, salt="s").body)
    assert built["cache_salt"] == "s"
    assert native(Kind.VLLM, asks(), Dialects.AUTO) is None
    assert "cache_salt" not in as_object(native(Kind.VLLM, asks(), Dialects.NATIVE))
