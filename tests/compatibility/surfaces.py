"""What a caller of each surface sends, and where its refusals have their message. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from policies.json import JSON, Object, as_object, as_str
from tests.compatibility import said
from tests.compatibility.grid import Surface
from tests.compatibility.said import Called, Reader, Said

TOOL = "get_weather"
SCHEMA: Object = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
ABOUT = "The weather of a city."
_MOST = 300
"""The tiny model's tokens are bytes: a call alone takes more than a hundred."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, whatever the surface. `before` are turns of user and assistant that came before; `call` one that the
    assistant made, and `result` what the tool said to it. `more` is added to the body as it is."""

    words: str = "Hello"
    stream: bool = False
    tool: bool = False
    forced: bool = False
    before: tuple[str, ...] = ()
    call: Called | None = None
    result: str = ""
    most: int = _MOST
    more: Object = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Speaker:
    """A caller: `body` writes a request for a model, `whole` and `streamed` read answers, `split` takes a stream apart
    into documents, `complaint` finds the message of a refusal. `ends` are its words for a normal end, and for calls;
    `ends_piece` stands behind every document of a stream."""

    path: str
    body: Callable[[str, Ask], Object]
    whole: Callable[[Object], Said]
    streamed: Reader = said.no_stream
    split: Callable[[bytes], list[Object]] = said.events
    complaint: Callable[[Object], str] = lambda document: as_str(as_object(document["error"])["message"])
    ends: tuple[str, str] = ("stop", "tool_calls")
    ends_piece: bytes = b"\n\n"
    embeds: bool = False


def _turns(ask: Ask) -> list[JSON]:
    roles = ("user", "assistant")
    before: list[JSON] = [{"role": roles[n % 2], "content": text} for n, text in enumerate(ask.before)]
    return [*before, {"role": "user", "content": ask.words}]


def _function() -> Object:
    return {"name": TOOL, "description": ABOUT, "parameters": SCHEMA}


def _chat(model: str, ask: Ask) -> Object:
    turns = _turns(ask)
    if ask.call is not None:
        function: Object = {"name": ask.call.name, "arguments": json.dumps(ask.call.arguments)}
        call: Object = {"id": ask.call.id, "type": "function", "function": function}
        turns += [
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": ask.call.id, "content": ask.result},
        ]
    body: Object = {"model": model, "messages": turns, "max_tokens": ask.most, "temperature": 0}
    if ask.stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    if ask.tool:
        body["tools"] = [{"type": "function", "function": _function()}]
    if ask.forced:
        body["tool_choice"] = {"type": "function", "function": {"name": TOOL}}
    return body | ask.more


def _completions(model: str, ask: Ask) -> Object:
    body: Object = {"model": model, "prompt": ask.words, "max_tokens": ask.most, "temperature": 0}
    if ask.stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body | ask.more


def _responses(model: str, ask: Ask) -> Object:
    items = _turns(ask)
    if ask.call is not None:
        arguments = json.dumps(ask.call.arguments)
        items += [
            {"type": "function_call", "call_id": ask.call.id, "name": ask.call.name, "arguments": arguments},
            {"type": "function_call_output", "call_id": ask.call.id, "output": ask.result},
        ]
    body: Object = {
        "model": model,
        "input": items,
        "max_output_tokens": ask.most,
        "temperature": 0,
        "stream": ask.stream,
        "store": False,
    }
    if ask.tool:
        body["tools"] = [{"type": "function", **_function()}]
    if ask.forced:
        body["tool_choice"] = {"type": "function", "name": TOOL}
    return body | ask.more


def _anthropic(model: str, ask: Ask) -> Object:
    turns = _turns(ask)
    if ask.call is not None:
        use: Object = {"type": "tool_use", "id": ask.call.id, "name": ask.call.name, "input": ask.call.arguments}
        turns += [
            {"role": "assistant", "content": [use]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": ask.call.id, "content": ask.result}]},
        ]
    body: Object = {
        "model": model,
        "messages": turns,
        "max_tokens": ask.most,
        "temperature": 0,
        "stream": ask.stream,
    }
    if ask.tool:
        body["tools"] = [{"name": TOOL, "description": ABOUT, "input_schema": SCHEMA}]
    if ask.forced:
        body["tool_choice"] = {"type": "tool", "name": TOOL}
    return body | ask.more


def _ollama(model: str, ask: Ask) -> Object:
    turns = _turns(ask)
    if ask.call is not None:
        function: Object = {"name": ask.call.name, "arguments": ask.call.arguments}
        turns += [
            {"role": "assistant", "content": "", "tool_calls": [{"function": function}]},
            {"role": "tool", "tool_name": ask.call.name, "content": ask.result},
        ]
    body: Object = {"model": model, "messages": turns, "stream": ask.stream}
    if ask.tool:
        body["tools"] = [{"type": "function", "function": _function()}]
    return body | ask.more | {"options": _options(ask)}


def _generate(model: str, ask: Ask) -> Object:
    body: Object = {"model": model, "prompt": ask.words, "stream": ask.stream}
    return body | ask.more | {"options": _options(ask)}


def _options(ask: Ask) -> Object:
    return {"temperature": 0, "num_predict": ask.most, **as_object(ask.more.get("options"))}


def _embeddings(model: str, ask: Ask) -> Object:
    return {"model": model, "input": [ask.words, "another text"], **ask.more}


SPEAKERS = {
    Surface.CHAT: Speaker("/v1/chat/completions", _chat, said.chat, said.chat_stream),
    Surface.RESPONSES: Speaker(
        "/v1/responses", _responses, said.response, said.response_stream, ends=("completed", "completed")
    ),
    Surface.ANTHROPIC: Speaker(
        "/v1/messages", _anthropic, said.message, said.message_stream, ends=("end_turn", "tool_use")
    ),
    Surface.OLLAMA: Speaker(
        "/api/chat",
        _ollama,
        said.ollama,
        said.ollama_stream,
        said.lines,
        lambda document: as_str(document["error"]),
        ("stop", "stop"),
        b"\n",
    ),
    Surface.COMPLETIONS: Speaker("/v1/completions", _completions, said.completion, said.completion_stream),
    Surface.GENERATE: Speaker(
        "/api/generate",
        _generate,
        said.ollama,
        said.ollama_stream,
        said.lines,
        lambda document: as_str(document["error"]),
        ("stop", "stop"),
        b"\n",
    ),
    Surface.EMBEDDINGS: Speaker("/v1/embeddings", _embeddings, said.embeddings, embeds=True),
    Surface.EMBED: Speaker(
        "/api/embed", _embeddings, said.embed, complaint=lambda document: as_str(document["error"]), embeds=True
    ),
}
