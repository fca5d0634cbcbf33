"""A checked Messages request as a chat body. Pure.

Source: facts/engines.md 4.1, checked there against Ollama's, vLLM's and llama.cpp's own translators.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from edge.dialects import turns
from policies.json import JSON, Object, as_list, as_object, as_str

_SAME: Final = ("model", "stream", "max_tokens", "temperature", "top_p", "top_k")
_CHOICES: Final = {"auto": "auto", "any": "required", "none": "none"}
_BILLING: Final = "x-anthropic-billing-header"
"""Claude Code's first system block; it changes with every request, and would spoil the engine's cache of prefixes."""


def chat_body(request: Object) -> Object:
    """`request` must have passed `edge.intake.anthropic_params`."""
    body: Object = {name: request[name] for name in _SAME if name in request}
    body["messages"] = list(_messages(request))
    if stops := request.get("stop_sequences"):
        body["stop"] = stops
    if user := as_object(request.get("metadata")).get("user_id"):
        body["user"] = user
    if tools := as_list(request.get("tools")):
        body["tools"] = [turns.tool(as_object(tool), "input_schema") for tool in tools]
        body |= _tool_choice(as_object(request.get("tool_choice")))
    return body | _thinking(request)


def _messages(request: Object) -> Iterator[JSON]:
    given = [as_object(turn) for turn in as_list(request.get("messages"))]
    said = [_system(request.get("system")), *(_system(turn["content"]) for turn in given if turn["role"] == "system")]
    yield from turns.system_turn(said)
    for turn in given:
        if turn["role"] == "user":
            yield from _user(turn["content"])
        elif turn["role"] == "assistant":
            yield _assistant(turn["content"])


def _system(content: JSON) -> str:
    if isinstance(content, str):
        return content
    texts = [as_str(as_object(block).get("text")) for block in as_list(content)]
    return "\n\n".join(text for text in texts if text and not text.startswith(_BILLING))


def _user(content: JSON) -> Iterator[JSON]:
    """Results of tools first: they answer the turn before, and engines want them right behind it."""
    if isinstance(content, str):
        yield {"role": "user", "content": content}
        return
    parts: list[Object] = []
    for item in as_list(content):
        block = as_object(item)
        if block["type"] == "tool_result":
            texts, pictures = turns.parted(_parts(block.get("content")))
            text = "\n".join(texts)
            said = f"Error: {text}" if block.get("is_error") is True else text
            yield turns.result_turn(block["tool_use_id"], said)
            parts += pictures
        else:
            parts += _parts([item])
    if parts:
        yield {"role": "user", "content": turns.content(parts)}


def _parts(content: JSON) -> list[Object]:
    """Content as text and images of the chat dialect."""
    if isinstance(content, str):
        return [turns.words(content)]
    found: list[Object] = []
    for item in as_list(content):
        block = as_object(item)
        match block["type"]:
            case "text":
                found.append(turns.words(block["text"]))
            case "image":
                source = as_object(block["source"])
                found.append(turns.picture(turns.data_url(as_str(source["media_type"]), as_str(source["data"]))))
            case "document" | "search_result":
                found.append(turns.words(_document(block)))
            case _:  # thoughts and calls in a user's turn say nothing
                pass
    return found


def _document(block: Object) -> str:
    source = block.get("source")
    held = block["content"] if block["type"] == "search_result" else _held(as_object(source))
    named = (as_str(block.get("title")), as_str(block.get("context")), as_str(source))
    texts, _ = turns.parted(_parts(held))
    return "\n".join([*(line for line in named if line), "\n".join(texts)])


def _held(source: Object) -> JSON:
    return source["data"] if source["type"] == "text" else source["content"]


def _assistant(content: JSON) -> JSON:
    if isinstance(content, str):
        return turns.assistant_turn(content)
    blocks = [as_object(block) for block in as_list(content)]
    texts, _ = turns.parted(_parts(content))
    thought = "".join(as_str(block["thinking"]) for block in blocks if block["type"] == "thinking")
    used = [block for block in blocks if block["type"] == "tool_use"]
    calls = [turns.tool_call(block["id"], block["name"], block["input"]) for block in used]
    return turns.assistant_turn("".join(texts), thought, calls)


def _tool_choice(choice: Object) -> Object:
    found: Object = {}
    kind = as_str(choice.get("type"))
    if kind == "tool":
        found["tool_choice"] = turns.tool_choice(choice["name"])
    elif kind:
        found["tool_choice"] = _CHOICES[kind]
    if "disable_parallel_tool_use" in choice:
        found["parallel_tool_calls"] = choice["disable_parallel_tool_use"] is not True
    return found


def _thinking(request: Object) -> Object:
    """`adaptive` leaves it to the model, which is what saying nothing does."""
    found: Object = {}
    kind = as_object(request.get("thinking")).get("type")
    if kind in {"enabled", "disabled"}:
        found["chat_template_kwargs"] = {"enable_thinking": kind == "enabled"}
    output = as_object(request.get("output_config"))
    if "effort" in output:
        found["reasoning_effort"] = output["effort"]
    if form := as_object(output.get("format")):
        found["response_format"] = turns.json_schema(form["schema"])
    return found
