"""A conversation, its tools and its form as a chat body has them, for dialects that say them in another way. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import orjson

from policies.json import JSON, Object, as_str


def system_turn(texts: Iterable[str]) -> Iterator[JSON]:
    """All that is said as the system, as one message: templates of Qwen and others refuse a second one, and any that
    is not at the start."""
    if system := "\n\n".join(text for text in texts if text):
        yield {"role": "system", "content": system}


def assistant_turn(text: str, thought: str = "", calls: Sequence[JSON] = ()) -> Object:
    """What the assistant's side said; `calls` are of `tool_call`."""
    message: Object = {"role": "assistant", "content": text if text or not calls else None}
    if thought:
        message["reasoning_content"] = thought
    if calls:
        message["tool_calls"] = list(calls)
    return message


def result_turn(identity: JSON, text: str) -> Object:
    """What the call of that `identity` came to."""
    return {"role": "tool", "tool_call_id": identity, "content": text}


def words(text: JSON) -> Object:
    """A part of a message's content: text."""
    return {"type": "text", "text": text}


def picture(url: JSON, detail: JSON = None) -> Object:
    """A part of a message's content: an image."""
    image: Object = {"url": url}
    return {"type": "image_url", "image_url": image if detail is None else {**image, "detail": detail}}


def data_url(media_type: str, data: str) -> str:
    """An image that comes along; `data` in base64."""
    return f"data:{media_type};base64,{data}"


def content(parts: Sequence[Object]) -> JSON:
    """`parts` as the content of a message: a lone text as such, since not every template reads parts."""
    if len(parts) == 1 and parts[0]["type"] == "text":
        return parts[0]["text"]
    return list[JSON](parts) or ""


def parted(parts: Iterable[Object]) -> tuple[list[str], list[Object]]:
    """The texts among `parts`, and the pictures: a result of a tool can only be text."""
    texts: list[str] = []
    pictures: list[Object] = []
    for part in parts:
        if part["type"] == "text":
            texts.append(as_str(part["text"]))
        else:
            pictures.append(part)
    return texts, pictures


def tool(definition: Object, parameters: str = "parameters") -> Object:
    """A function that may be called; `parameters` is where `definition` has the schema."""
    function: Object = {"name": definition["name"]}
    if parameters in definition:
        function["parameters"] = definition[parameters]
    function |= {name: definition[name] for name in ("description", "strict") if name in definition}
    return {"type": "function", "function": function}


def tool_choice(name: JSON) -> Object:
    """What `tool_choice` says of one function."""
    return {"type": "function", "function": {"name": name}}


def tool_call(identity: JSON, name: JSON, arguments: JSON) -> Object:
    """A call of a function that a model made; `arguments` is an object, or the text that a model wrote for one."""
    written = arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()
    function: Object = {"name": name, "arguments": written}
    return {"id": identity, "type": "function", "function": function}


def json_schema(schema: JSON, **more: JSON) -> Object:
    """What `response_format` says of an answer that fits `schema`; `more`: other members, a name of its own too."""
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, **more}}
