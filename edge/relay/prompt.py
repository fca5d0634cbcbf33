"""The text of a prompt, for engines that can count tokens but do not report them in streams. Pure."""

from __future__ import annotations

from typing import Final

import orjson

from policies.call import Call, Operation
from policies.json import as_list, as_object, as_str


def prompt_text(call: Call) -> str:
    """All text the model reads, without the chat template's own tokens (which such engines do not expose)."""
    if call.operation is Operation.CHAT:
        return "\n".join(_message_text(as_object(message)) for message in as_list(call.body.get("messages")))
    prompt = call.body.get("prompt")
    if isinstance(prompt, str):
        return prompt
    return "\n".join(as_str(part) for part in as_list(prompt))


def _message_text(message: dict[str, object] | object) -> str:
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "\n".join(as_str(part.get("text")) for part in content if isinstance(part, dict))


_MEDIA: Final = frozenset({"image_url", "input_audio"})
_PER_MEDIUM: Final = 4_000
"""Characters that an image or a recording is taken for: about a thousand tokens."""


def extra_chars(call: Call) -> int:
    """Characters that the model reads beside the text of messages: tools and their calls, the format, media."""
    body, media = call.body, 0
    found = [body.get("tools"), body.get("functions"), body.get("response_format")]
    for message in as_list(body.get("messages")):
        turn = as_object(message)
        found += [turn.get("tool_calls"), turn.get("function_call")]
        content = turn.get("content")
        media += sum(as_object(part).get("type") in _MEDIA for part in content) if isinstance(content, list) else 0
    return sum(len(orjson.dumps(value)) for value in found if value) + media * _PER_MEDIUM


def expected_choices(call: Call) -> int:
    """How many choices a whole answer has: `n` for each prompt (a list of token ids is one prompt)."""
    prompt = call.body.get("prompt")
    if call.operation is Operation.COMPLETIONS and isinstance(prompt, list) and prompt:
        many = isinstance(prompt[0], str | list)
        return call.n * (len(prompt) if many else 1)
    return call.n
