"""Whatever stands where in a request, each dialect refuses it, or makes a call of it that every engine can be asked."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.dialects.responses.kept import kept_items, wanted_of
from edge.dialects.responses.request import items_of
from edge.intake.intake import read_call
from edge.intake.routes import Routes
from edge.intake.strict_json import parse
from edge.relay.prompt import expected_choices, extra_chars, prompt_text
from engines.adapters.registry import ADAPTERS
from engines.contract import Engine, Model, Target
from policies.call import Call, Dialect, Operation
from policies.errors import Refusal
from policies.input import shape_of
from policies.json import JSON, Object
from tests.edge.intake.fuzzing import CALM

PICTURE: Final = "iVBORw0KGgoAAAANSUhEUg=="
SCHEMA: Final[Object] = {"type": "object", "properties": {"a": {"type": "string"}}}
SEEN: Final[Object] = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": PICTURE},
}
ANTHROPIC: Final[Object] = {
    "model": "tiny",
    "max_tokens": 9,
    "system": [{"type": "text", "text": "be kind", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "a"}, SEEN]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": ""},
                {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [], "is_error": True}]},
        {"role": "system", "content": "x"},
        {
            "role": "user",
            "content": [{"type": "document", "title": "t", "source": {"type": "text", "data": "d"}}],
        },
    ],
    "tools": [{"name": "f", "input_schema": SCHEMA}, {"type": "bash_20250124", "name": "bash"}],
    "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
    "stop_sequences": ["END"],
    "metadata": {"user_id": "me"},
    "stream": True,
}
RESPONSES: Final[Object] = {
    "model": "tiny",
    "instructions": "be kind",
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "a"}]},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "s"}], "content": []},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "o"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x", "annotations": []}]},
        {"type": "web_search_call", "id": "w"},
    ],
    "tools": [{"type": "function", "name": "f", "parameters": SCHEMA, "strict": True}, {"type": "web_search"}],
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}, "verbosity": "low"},
    "reasoning": {"effort": "low", "summary": "auto"},
    "include": ["message.output_text.logprobs"],
    "top_logprobs": 3,
    "metadata": {"a": "b"},
}
OLLAMA: Final[Object] = {
    "model": "tiny",
    "messages": [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": "a", "images": [PICTURE]},
        {"role": "assistant", "thinking": "hm", "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]},
        {"role": "tool", "tool_name": "f", "content": "1"},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}],
    "format": SCHEMA,
    "options": {"num_predict": 5, "temperature": 0.5, "stop": ["END"], "num_ctx": 4096},
    "keep_alive": "5m",
    "think": "low",
    "logprobs": True,
}
GENERATE: Final[Object] = {
    "model": "tiny",
    "prompt": "a",
    "suffix": "",
    "system": "be kind",
    "raw": False,
    "images": [PICTURE],
    "options": {"num_predict": -1},
    "keep_alive": 0,
    "think": True,
    "format": "json",
}
EMBED: Final[Object] = {"model": "tiny", "input": ["a", "b"], "dimensions": 3, "truncate": True}
SAMPLES: Final = {
    "/v1/messages": ANTHROPIC,
    "/v1/messages/count_tokens": ANTHROPIC,
    "/v1/responses": RESPONSES,
    "/v1/responses/input_tokens": RESPONSES,
    "/api/chat": OLLAMA,
    "/api/generate": GENERATE,
    "/api/embed": EMBED,
}
ODD: Final[list[JSON]] = [
    None, True, False, 0, -1, 2**63 - 1, 0.5, "", "a", "\n\0", "é" * 300, "user", "system", "assistant", "text", "auto",
    "none", PICTURE, f"data:image/png;base64,{PICTURE}", [], [[]], {}, [{}], [""], [None], {"type": "text", "text": ""},
    {"type": "tool_use"}, [{"type": "item_reference", "id": f"msg_{'0' * 32}_0"}],
]  # fmt: skip


def places(value: JSON) -> list[tuple[Object | list[JSON], str | int]]:
    """Every place in a document that something else can stand in."""
    found: list[tuple[Object | list[JSON], str | int]] = []
    if isinstance(value, dict):
        found += [(value, key) for key in value]
        found += [place for inner in value.values() for place in places(inner)]
    elif isinstance(value, list):
        found += [(value, index) for index in range(len(value))]
        found += [place for inner in value for place in places(inner)]
    return found


def ask_every_engine(call: Call) -> None:
    for kind, adapter in ADAPTERS.items():
        target = Target(Engine("e", kind, "http://127.0.0.1:1", 1), Model("tiny", "tiny"))
        try:
            body = json.loads(adapter.build(call, target, stream=call.stream, salt="").body)
        except Refusal:
            continue
        assert body["model"] == "tiny"
        assert call.operation is not Operation.CHAT or body["messages"]


@pytest.mark.parametrize("path", SAMPLES)
@CALM
@given(data=st.data())
def test_any_value_anywhere_either_makes_a_call_or_a_refusal(path: str, data: st.DataObject) -> None:
    document = deepcopy(SAMPLES[path])
    for _ in range(data.draw(st.integers(0, 3))):
        held, where = data.draw(st.sampled_from(places(document)))
        change = data.draw(st.sampled_from(["put", "put", "drop", "twice"]))
        other = deepcopy(data.draw(st.sampled_from(ODD)))
        if isinstance(held, list):
            at = int(where)
            held[at : at + 1] = [] if change == "drop" else [held[at], held[at]] if change == "twice" else [other]
        elif change == "drop":
            del held[str(where)]
        else:
            held[str(where)] = other
    route = Routes().match("POST", path)
    assert route is not None
    try:
        call = read_call(route, parse(json.dumps(document).encode()))
        wanted = wanted_of(call.asked)
    except Refusal:
        return
    shape = shape_of(call)
    assert min(shape.input_chars, extra_chars(call), expected_choices(call)) >= 0
    assert call.operation is Operation.EMBEDDINGS or len(prompt_text(call)) >= shape.input_chars
    if wanted:
        return
    ask_every_engine(call)
    if call.dialect is Dialect.RESPONSES:
        assert len(kept_items(call.asked, "0" * 32)) == len(items_of(call.asked["input"]))


@pytest.mark.parametrize("path", SAMPLES)
def test_without_a_change_it_is_a_call(path: str) -> None:
    route = Routes().match("POST", path)
    assert route is not None
    ask_every_engine(read_call(route, deepcopy(SAMPLES[path])))
