"""The text of a prompt, for engines that can count tokens but do not report them in streams. Pure."""

from __future__ import annotations

from typing import Final

import orjson

from policies.call import Call, Operation
from policies.input import calls_of, texts_of
from policies.json import as_list, as_object, as_str


def prompt_text(call: Call) -> str:
    """All text the model reads, without the chat template's own tokens (which such engines do not expose)."""
    if call.operation is Operation.CHAT:
        tools = call.body.get("tools")
        told = [text for message in as_list(call.body.get("messages")) for text in texts_of(as_object(message))]
        return "\n".join([*told, *([orjson.dumps(tools).decode()] if tools else ())])
    prompt, suffix = call.body.get("prompt"), as_str(call.body.get("suffix"))
    prompts = [prompt] if isinstance(prompt, str) else as_list(prompt)
    return "\n".join([*map(as_str, prompts), *([suffix] if suffix else ())])


_MEDIA: Final = frozenset({"image_url", "input_audio"})
_PER_MEDIUM: Final = 4_000
"""Characters that an image or a recording is taken for: about a thousand tokens."""


def extra_chars(call: Call) -> int:
    """Characters that the model reads beside the text of messages: tools, the names of what was called, the format,
    media."""
    body, media, names = call.body, 0, 0
    for message in as_list(body.get("messages")):
        turn = as_object(message)
        if calls := turn.get("tool_calls"):
            names += max(0, len(orjson.dumps(calls)) - sum(map(len, calls_of(turn))))
        content = turn.get("content")
        media += sum(as_object(part).get("type") in _MEDIA for part in content) if isinstance(content, list) else 0
    found = [body.get("tools"), body.get("response_format")]
    return sum(len(orjson.dumps(value)) for value in found if value) + names + media * _PER_MEDIUM


def expected_choices(call: Call) -> int:
    """How many choices a whole answer has: `n` for each prompt (a list of token ids is one prompt)."""
    prompt = call.body.get("prompt")
    if call.operation is Operation.COMPLETIONS and isinstance(prompt, list) and prompt:
        many = isinstance(prompt[0], str | list)
        return call.n * (len(prompt) if many else 1)
    return call.n
