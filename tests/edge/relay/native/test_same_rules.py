"""What an engine calls a tool by has one rule, whichever way its answer goes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edge.dialects.anthropic.answer import AnthropicRendering
from edge.dialects.ollama.answer import OllamaRendering
from edge.dialects.timing import Timing
from edge.relay.native.anthropic import AnthropicReading
from edge.relay.native.ollama import OllamaReading
from policies.call import Call, Dialect, Operation
from policies.errors import EngineBroke
from policies.exchange import Client, Exchange, Usage
from policies.json import JSON, Object, as_list, as_object

_NAMES: tuple[JSON, ...] = (
    "f",
    "look up",
    "functions.f:0",
    "wätter",
    "x" * 256,
    "x" * 257,
    "",
    "a\x00",
    "a\n",
    5,
    None,
)
_IDS: tuple[JSON, ...] = ("c1", "x" * 200, "a b", "call:1", "ä", "x" * 257, "", "a\x7f", "\n", 5, None)
_CALL = Call(Operation.CHAT, Dialect.OLLAMA, "mine")


def _ollama() -> OllamaRendering:
    return OllamaRendering(_CALL, Timing(Exchange("0" * 32, Client("127.0.0.1", 1, "local")), lambda: 1.0, lambda: 0.0))


def _translated(name: JSON, identity: JSON) -> Object:
    call: Object = {"id": identity, "type": "function", "function": {"name": name, "arguments": "{}"}}
    return {"choices": [{"message": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]}


def _anthropic_translated(name: JSON, identity: JSON) -> Object:
    found = AnthropicRendering("mine", "0" * 32).whole(_translated(name, identity))
    return as_object(as_list(found["content"])[0])


def _anthropic_native(name: JSON, identity: JSON) -> Object:
    call: Object = {"type": "tool_use", "id": identity, "name": name, "input": {}}
    document: Object = {"type": "message", "content": [call], "stop_reason": "tool_use"}
    found = AnthropicReading("mine", "0" * 32, Usage(), 1).whole(document)
    return as_object(as_list(found["content"])[0])


def _ollama_translated(name: JSON, identity: JSON) -> Object:
    return _first_call(_ollama().whole(_translated(name, identity)))


def _ollama_native(name: JSON, identity: JSON) -> Object:
    call: Object = {"id": identity, "function": {"index": 0, "name": name, "arguments": {}}}
    document: Object = {"message": {"tool_calls": [call]}, "done": True}
    return _first_call(OllamaReading(_CALL, _ollama(), Usage(), 1).whole(document))


def _first_call(document: Object) -> Object:
    return as_object(as_list(as_object(document["message"])["tool_calls"])[0])


_Way = Callable[[JSON, JSON], Object]
_DIALECTS = pytest.mark.parametrize(
    ("translated", "native"),
    [(_anthropic_translated, _anthropic_native), (_ollama_translated, _ollama_native)],
    ids=["anthropic", "ollama"],
)


@_DIALECTS
@pytest.mark.parametrize("identity", _IDS)
def test_an_id_is_kept_or_not_on_both_ways(translated: _Way, native: _Way, identity: JSON) -> None:
    assert native("f", identity) == translated("f", identity)


@_DIALECTS
@pytest.mark.parametrize("name", _NAMES)
def test_a_name_is_one_or_not_on_both_ways(translated: _Way, native: _Way, name: JSON) -> None:
    try:
        wanted = translated(name, "c1")
    except EngineBroke:
        with pytest.raises(EngineBroke):
            native(name, "c1")
    else:
        assert native(name, "c1") == wanted
