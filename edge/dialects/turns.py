"""The parts of a chat body that several dialects are turned into. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import orjson

from policies.json import JSON, Object


def system_turn(texts: Iterable[str]) -> Iterator[JSON]:
    """All that is said as the system, as one message: templates of Qwen and others refuse a second one, and any that
    is not at the start."""
    if system := "\n\n".join(text for text in texts if text):
        yield {"role": "system", "content": system}


def picture(media_type: str, data: str) -> Object:
    """An image; `data` in base64."""
    return {"type": "image_url", "image_url": {"url": f"data:{media_type};base64,{data}"}}


def tool_call(identity: JSON, name: JSON, arguments: JSON) -> Object:
    """A call of a function that a model made; `arguments` is an object."""
    function: Object = {"name": name, "arguments": orjson.dumps(arguments).decode()}
    return {"id": identity, "type": "function", "function": function}


def json_schema(schema: JSON) -> Object:
    """What `response_format` says of an answer that fits `schema`."""
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
