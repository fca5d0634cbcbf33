"""What the writers of dialects share: a chat body, read strictly. What they cannot say is never left out in silence."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Final

import orjson

from policies.json import JSON, Object, as_list, as_object, as_str

FRAMING: Final = frozenset({"model", "messages", "prompt", "stream", "stream_options", "max_tokens"})
"""What every body has, and every writer makes anew."""
_DATA: Final = "data:"
_BASE64: Final = ";base64,"


class Unsayable(Exception):
    """The body asks for something that the route cannot be told."""


def only(document: Object, names: AbstractSet[str]) -> Object:
    """`document`, if it has no other members than `names`."""
    if not document.keys() <= names:
        raise Unsayable
    return document


def object_of(value: JSON) -> Object:
    """`value`, if it is an object."""
    if not isinstance(value, dict):
        raise Unsayable
    return value


def parts_of(content: JSON) -> list[Object]:
    """A message's content as parts of type `text` and `image_url`."""
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    parts = [object_of(part) for part in as_list(content)]
    if any(part.get("type") not in {"text", "image_url"} for part in parts):
        raise Unsayable
    return parts


def text_of(content: JSON) -> str:
    """Content that is text alone."""
    parts = parts_of(content)
    if any(part["type"] != "text" for part in parts):
        raise Unsayable
    return "\n".join(as_str(part.get("text")) for part in parts)


def picture_of(part: Object) -> tuple[str, str]:
    """Media type and base64 of an image that comes along."""
    image = only(as_object(part.get("image_url")), {"url"})  # `detail` is a wish that only OpenAI's dialect has
    url = as_str(image.get("url"))
    kind, mark, data = url.removeprefix(_DATA).partition(_BASE64)
    if not url.startswith(_DATA) or not mark:
        raise Unsayable
    return kind, data


def thought_of(message: Object) -> str:
    """An assistant's reasoning, under whichever name."""
    return as_str(message.get("reasoning_content")) or as_str(message.get("reasoning"))


def calls_of(message: Object) -> Iterable[tuple[str, str, Object]]:
    """The calls of an assistant's turn: id, function, arguments."""
    for item in as_list(message.get("tool_calls")):
        call = only(object_of(item), {"id", "type", "function"})
        function = only(as_object(call.get("function")), {"name", "arguments"})
        yield as_str(call.get("id")), as_str(function.get("name")), _parsed(as_str(function.get("arguments")))


def _parsed(arguments: str) -> Object:
    try:
        return object_of(orjson.loads(arguments or "{}"))
    except orjson.JSONDecodeError:
        raise Unsayable from None


def turns_of(chat: Object) -> tuple[str, list[Object]]:
    """What is said as the system, and the other turns; only members that are known."""
    turns = [object_of(turn) for turn in as_list(chat.get("messages"))]
    for turn in turns:
        only(turn, _TURNS.get(as_str(turn.get("role")), frozenset()))
    first = turns[0] if turns else {}
    system = first.get("role") == "system"
    rest = turns[1:] if system else turns
    if any(turn["role"] == "system" for turn in rest):
        raise Unsayable
    return text_of(first.get("content")) if system else "", rest


_TURNS: Final = {
    "system": frozenset({"role", "content"}),
    "user": frozenset({"role", "content"}),
    "tool": frozenset({"role", "content", "tool_call_id"}),
    "assistant": frozenset({"role", "content", "reasoning", "reasoning_content", "tool_calls"}),
}
