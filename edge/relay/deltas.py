"""What a choice of an answer says: the fields of it that go on, and all the text in them. Pure.

Whatever is relayed is counted, so a field whose text nobody counts does not go on: `audio`, `reasoning_details`,
`annotations` and what else engines invent. What has not the type that OpenAI's clients expect is made to (content in
parts, arguments as an object) or stays behind.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final

import orjson

from edge.relay.meter import tokens_of
from policies.errors import EngineBroke
from policies.json import JSON, Object, as_list, as_object, as_str

_CHOICE: Final = frozenset({"index", "text", "logprobs", "finish_reason", "stop_reason"})
_TEXTS: Final = ("content", "reasoning", "reasoning_content", "refusal")
_MESSAGE: Final = frozenset({"role", "tool_calls", "function_call", *_TEXTS})
_CALL: Final = frozenset({"index", "id", "type", "function", "custom"})
INPUTS: Final = {"function": "arguments", "custom": "input"}
"""The kinds of tools, and where a call of each has what the model wrote."""


def known_choices(choices: JSON, said: str) -> list[Object]:
    """The choices with their known fields only, changed in place; `said` is where they speak: `delta` or `message`."""
    known = [choice for choice in as_list(choices) if isinstance(choice, dict)]
    fields = _CHOICE | {said}
    for choice in known:
        _drop(choice, fields)
        _only(choice, "text", str)
        _only(choice, "logprobs", dict)
        _only(choice, "stop_reason", str, int)
        _only(choice, said, dict)
        message = choice.get(said)
        if isinstance(message, dict):
            _trim(message)
    return known


def _trim(message: Object) -> None:
    _drop(message, _MESSAGE)
    _only(message, "role", str)
    for key in _TEXTS:
        value = message.get(key)
        if isinstance(value, list):
            message[key] = "".join(map(_part, value))
        else:
            _only(message, key, str)
    _only(message, "tool_calls", list)
    if "tool_calls" in message:
        calls: list[JSON] = [call for call in as_list(message["tool_calls"]) if isinstance(call, dict)]
        message["tool_calls"] = calls
        for call in calls:
            _trim_call(as_object(call))
    _only(message, "function_call", dict)
    _trim_function(as_object(message.get("function_call")), "arguments")


def _part(part: JSON) -> str:
    return part if isinstance(part, str) else as_str(as_object(part).get("text"))


def _trim_call(call: Object) -> None:
    _drop(call, _CALL)
    for kind, written in INPUTS.items():
        _only(call, kind, dict)
        _trim_function(as_object(call.get(kind)), written)


def _trim_function(function: Object, written: str) -> None:
    _drop(function, {"name", written})
    _only(function, "name", str)
    value = function.get(written)
    if value is not None and not isinstance(value, str):
        try:
            function[written] = orjson.dumps(value).decode()
        except orjson.JSONEncodeError:
            raise EngineBroke("a call that cannot be written as JSON") from None


def _drop(document: Object, known: AbstractSet[str]) -> None:
    for key in [key for key in document if key not in known]:
        del document[key]


def _only(document: Object, key: str, *types: type) -> None:
    """Without `key` unless it is null or of one of `types`."""
    value = document.get(key)
    if value is not None and not isinstance(value, types):
        del document[key]


def texts(choice: Object, said: str) -> list[str]:
    """All that was generated in a known choice, field by field, calls last."""
    message = as_object(choice.get(said))
    return [text for text in (as_str(choice.get("text")), *_plain(message), *_calls(message)) if text]


def tokens_in(choice: Object, said: str) -> int:
    """Tokens in a known choice: by its text, or by its logprobs, which have an entry for each, if those are more."""
    message = as_object(choice.get(said))
    written = tokens_of(as_str(choice.get("text"))) + sum(map(tokens_of, _plain(message)))
    written += sum(max(1, tokens_of(call)) for call in _calls(message))
    return max(written, _entries(choice.get("logprobs")))


def _plain(message: Object) -> list[str]:
    first, second = as_str(message.get("reasoning")), as_str(message.get("reasoning_content"))
    # Usually one text under both names.
    return [as_str(message.get("content")), as_str(message.get("refusal")), first, second if second != first else ""]


def _calls(message: Object) -> list[str]:
    """The text of each call, name and arguments together: a fragment of a call is one piece."""
    found = [as_object(call) for call in as_list(message.get("tool_calls"))]
    single = message.get("function_call")
    return [
        *("".join(_written(as_object(call.get(kind)), key) for kind, key in INPUTS.items()) for call in found),
        *([_written(single, "arguments")] if isinstance(single, dict) else ()),
    ]


def _written(function: Object, key: str) -> str:
    return as_str(function.get("name")) + as_str(function.get(key))


def _entries(logprobs: JSON) -> int:
    entries = as_object(logprobs)
    return max(
        len(as_list(entries.get("content"))) + len(as_list(entries.get("refusal"))), len(as_list(entries.get("tokens")))
    )
