"""What a choice of an answer says: the fields of it that go on, and all the text in them. Pure.

Whatever is relayed is counted, so a field whose text nobody counts does not go on: `audio`, `reasoning_details`,
`annotations` and what else engines invent. What has not the type that OpenAI's clients expect is made to (content in
parts, arguments as an object) or stays behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

import orjson

from edge.relay.meter import tokens_of
from policies.errors import EngineBroke
from policies.json import JSON, Object, as_list, as_object, as_str

_Fields: TypeAlias = Mapping[str, type | tuple[type, ...]]
"""The fields of an object that go on, if they are null or of these types."""

_CHOICE: Final[_Fields] = {
    "index": object,
    "text": str,
    "logprobs": dict,
    "finish_reason": object,
    "stop_reason": (str, int),
}
_SPEAKING: Final[Mapping[str, _Fields]] = {said: {**_CHOICE, said: dict} for said in ("delta", "message")}
_TEXT: Final = (str, list)
_MESSAGE: Final[_Fields] = {
    "role": str,
    "content": _TEXT,
    "reasoning": _TEXT,
    "reasoning_content": _TEXT,
    "refusal": _TEXT,
    "tool_calls": list,
    "function_call": dict,
}
_CALL: Final[_Fields] = {"index": object, "id": object, "type": object, "function": dict, "custom": dict}
INPUTS: Final = {"function": "arguments", "custom": "input"}
"""The kinds of tools, and where a call of each has what the model wrote."""
_INPUT: Final[Mapping[str, _Fields]] = {written: {"name": str, written: object} for written in INPUTS.values()}


_PLAIN_CHUNK: Final = tuple(
    frozenset({"id", "object", "created", "model", "choices", *more})
    for more in (("system_fingerprint",), (), ("system_fingerprint", "usage"), ("usage",))
)
_PLAIN_CHOICE: Final = (
    frozenset({"index", "delta", "finish_reason"}),
    frozenset({"index", "delta", "finish_reason", "logprobs"}),
)


def plain_text(chunk: Object) -> str | None:
    """The text of a chunk that says a piece of one answer and nothing else, as nearly all do: all its fields are known
    and go on as they are. None of any other, which is to be looked at field by field."""
    if chunk.keys() not in _PLAIN_CHUNK or chunk.get("usage") is not None:
        return None
    choices = chunk["choices"]
    if not isinstance(choices, list) or len(choices) != 1:
        return None
    choice = choices[0]
    if not isinstance(choice, dict) or choice.keys() not in _PLAIN_CHOICE:
        return None
    delta = choice["delta"]
    if choice["finish_reason"] is not None or choice.get("logprobs") is not None or not isinstance(delta, dict):
        return None
    text = delta.get("content") if len(delta) == 1 else None
    return text if isinstance(text, str) else None


def known_choices(choices: JSON, said: str) -> list[Object]:
    """The choices with their known fields only, changed in place; `said` is where they speak: `delta` or `message`."""
    known = [choice for choice in as_list(choices) if isinstance(choice, dict)]
    for choice in known:
        _keep(choice, _SPEAKING[said])
        message = choice.get(said)
        if isinstance(message, dict):
            _trim(message)
    return known


def _keep(document: Object, known: _Fields) -> None:
    odd: list[str] = []  # hardly ever any, so the members are not copied to be gone through
    for key, value in document.items():
        types = known.get(key)
        if types is None or not (value is None or isinstance(value, types)):
            odd.append(key)
    for key in odd:
        del document[key]


def _trim(message: Object) -> None:
    _keep(message, _MESSAGE)
    for key, value in message.items():
        if isinstance(value, list):
            message[key] = _calls_of(value) if key == "tool_calls" else "".join(map(_part, value))
        elif isinstance(value, dict):
            _trim_function(value, "arguments")


def _part(part: JSON) -> str:
    return part if isinstance(part, str) else as_str(as_object(part).get("text"))


def _calls_of(entries: list[JSON]) -> list[JSON]:
    calls: list[JSON] = []
    for call in entries:
        if isinstance(call, dict):
            _keep(call, _CALL)
            for kind, written in INPUTS.items():
                if isinstance(function := call.get(kind), dict):
                    _trim_function(function, written)
            calls.append(call)
    return calls


def _trim_function(function: Object, written: str) -> None:
    _keep(function, _INPUT[written])
    value = function.get(written)
    if value is not None and not isinstance(value, str):
        try:
            function[written] = orjson.dumps(value).decode()
        except orjson.JSONEncodeError:
            raise EngineBroke("a call that cannot be written as JSON") from None


def texts(choice: Object, said: str) -> list[str]:
    """All that was generated in a known choice, field by field, calls last."""
    message = as_object(choice.get(said))
    return [text for text in (as_str(choice.get("text")), *_plain(message), *_calls(message)) if text]


def tokens_in(choice: Object, said: str) -> int:
    """Tokens in a known choice: by its text, or by its logprobs, which have an entry for each, if those are more."""
    message = as_object(choice.get(said))
    written = 0
    for text in _plain(message):
        written += tokens_of(text)
    if "text" in choice:
        written += tokens_of(as_str(choice["text"]))
    if "tool_calls" in message or "function_call" in message:
        for call in _calls(message):
            written += tokens_of(call) or 1
    logprobs = choice.get("logprobs")
    return max(written, _entries(logprobs)) if isinstance(logprobs, dict) else written


def _plain(message: Object) -> list[str]:
    first, second = message.get("reasoning"), message.get("reasoning_content")
    # Usually one text under both names.
    fields = (message.get("content"), message.get("refusal"), first, second if second != first else None)
    return [text for text in fields if isinstance(text, str)]


def _calls(message: Object) -> list[str]:
    """The text of each call, name and arguments together: a fragment of a call is one piece."""
    found: list[str] = []
    for item in as_list(message.get("tool_calls")):
        written = ""
        for kind, key in INPUTS.items():
            if isinstance(function := as_object(item).get(kind), dict):
                written += _written(function, key)
        found.append(written)
    if isinstance(single := message.get("function_call"), dict):
        found.append(_written(single, "arguments"))
    return found


def _written(function: Object, key: str) -> str:
    return as_str(function.get("name")) + as_str(function.get(key))


def _entries(logprobs: Object) -> int:
    lengths = {key: len(as_list(logprobs.get(key))) for key in ("content", "refusal", "tokens")}
    return max(lengths["content"] + lengths["refusal"], lengths["tokens"])
