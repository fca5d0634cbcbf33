"""What can be said of a request and of its answer without a word of their text: roles, lengths, counts, names of tools.

No hashes: that of a short text tells the text to whoever guesses it.
"""

from __future__ import annotations

import re
from typing import Final

from policies.call import Call
from policies.input import Shape
from policies.json import JSON, Object, as_list, as_object, as_str

_TEXTS: Final = frozenset({"messages", "prompt", "input", "suffix", "tools", "functions"})
_WORDS: Final = frozenset({"reasoning_effort", "tool_choice", "type", "service_tier", "encoding_format"})
"""Parameters that are one word of a few."""
_TYPED: Final = frozenset({"response_format", "tool_choice"})
"""Objects of which a word says the kind; in others, as in `metadata`, a member of that name is the caller's."""
_WORD: Final = re.compile(r"[a-z0-9_]{1,32}", re.ASCII)
_ROLES: Final = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_MOST: Final = 1_000
"""Messages that are described."""
MOST_NAMES: Final = 64
LONGEST_NAME: Final = 128


def request_sizes(call: Call, shape: Shape, *, names: bool = True) -> Object:
    """The request as it came. `names`: whether tools are named."""
    tools: JSON = [name[:LONGEST_NAME] for name in shape.tool_names] if names else shape.tools
    messages = as_list(call.body.get("messages"))
    described: list[JSON] = [_message(as_object(message)) for message in messages[:_MOST]]
    return {
        "parameters": {
            "stream": call.stream,
            "max_tokens": call.max_tokens,
            "n": call.n,
            **{key: _parameter(key, value) for key, value in call.body.items() if key not in _TEXTS},
        },
        "input_chars": shape.input_chars,
        "messages": described,
        "messages_left_out": len(messages) - len(described),
        "tools": tools,
        "images": shape.images,
        "audio": shape.audio,
    }


def _parameter(key: str, value: JSON) -> JSON:
    """Numbers and switches as they are; of all else how much it is."""
    match value:
        case str():
            return value if key in _WORDS and _WORD.fullmatch(value) else {"chars": len(value)}
        case list():
            return {"items": len(value)}
        case dict() if key in _TYPED:
            return {"items": len(value), "type": _parameter("type", as_str(value.get("type")))}
        case dict():
            return {"items": len(value)}
        case _:
            return value


def _message(message: Object) -> Object:
    content, calls = message.get("content"), as_list(message.get("tool_calls"))
    role = as_str(message.get("role"))
    found: Object = {"role": role if role in _ROLES else "other"}
    if isinstance(content, str):
        found["chars"] = len(content)
    elif isinstance(content, list):
        parts = [as_object(part) for part in content]
        kinds = [as_str(part.get("type")) for part in parts]
        found["chars"] = sum(len(as_str(part.get("text"))) for part in parts)
        found["parts"] = {
            kind if _WORD.fullmatch(kind) else "other": kinds.count(kind) for kind in sorted(set(kinds))[:8]
        }
    if calls:
        found["tool_calls"] = len(calls)
    return found
