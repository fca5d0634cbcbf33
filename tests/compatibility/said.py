"""What an answer says, read out of each surface's own form, streamed and whole. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, cast

from policies.json import JSON, Object, as_list, as_object, as_str

DONE = "[DONE]"


@dataclass(frozen=True, slots=True)
class Called:
    """A call of a tool; `id` is "" where the surface has none."""

    id: str
    name: str
    arguments: Object


@dataclass(slots=True)
class Said:
    """One answer. `end` is the surface's own word for why it ended, "" if it did not; `error` the message of an error
    event; `vectors` the lengths of embeddings."""

    text: str = ""
    thought: str = ""
    calls: list[Called] = field(default_factory=list)
    end: str = ""
    model: str = ""
    input: int = 0
    output: int = 0
    error: str = ""
    vectors: list[int] = field(default_factory=list)
    pieces: int = 0


Reader: TypeAlias = Callable[[Sequence[Object]], Said]
"""Reads the documents of a stream, in their order."""


def events(raw: bytes) -> list[Object]:
    """The documents of server-sent events; comments and the `[DONE]` at the end left out. Each event ends."""
    *whole, rest = raw.decode().split("\n\n")
    assert rest == "", f"the stream ended inside an event: {rest!r}"
    data = [line.removeprefix("data: ") for event in whole for line in event.split("\n") if line.startswith("data: ")]
    assert DONE not in data[:-1]
    return [_object(text) for text in data if text != DONE]


def lines(raw: bytes) -> list[Object]:
    """The documents of lines of JSON. Each line ends."""
    *whole, rest = raw.decode().split("\n")
    assert rest == "", f"the stream ended inside a line: {rest!r}"
    return [_object(line) for line in whole]


def _object(text: str) -> Object:
    document = cast("JSON", json.loads(text))
    assert isinstance(document, dict), text
    return document


def number(value: JSON) -> int:
    assert isinstance(value, int), value
    return value


# -- OpenAI chat -----------------------------------------------------------------------------------------------------


def chat(answer: Object) -> Said:
    choice = as_object(as_list(answer["choices"])[0])
    message = as_object(choice["message"])
    usage = as_object(answer["usage"])
    return Said(
        text=as_str(message.get("content")),
        thought=as_str(message.get("reasoning_content")),
        calls=[_openai_call(as_object(call)) for call in as_list(message.get("tool_calls"))],
        end=as_str(choice["finish_reason"]),
        model=as_str(answer["model"]),
        input=number(usage["prompt_tokens"]),
        output=number(usage["completion_tokens"]),
    )


def chat_stream(documents: Sequence[Object]) -> Said:
    said = Said()
    fragments: dict[int, Object] = {}
    for document in documents:
        if _failed(said, document):
            continue
        said.model = as_str(document["model"])
        if usage := as_object(document.get("usage")):
            said.input, said.output = number(usage["prompt_tokens"]), number(usage["completion_tokens"])
        for each in as_list(document["choices"]):
            choice = as_object(each)
            delta = as_object(choice["delta"])
            piece = as_str(delta.get("content"))
            said.pieces += bool(piece)
            said.text += piece
            said.thought += as_str(delta.get("reasoning_content"))
            said.end = as_str(choice.get("finish_reason")) or said.end
            for fragment in map(as_object, as_list(delta.get("tool_calls"))):
                _put(fragments, fragment)
    said.calls = [_openai_call(fragments[index]) for index in sorted(fragments)]
    return said


def _put(fragments: dict[int, Object], fragment: Object) -> None:
    function = as_object(fragment.get("function"))
    kept = fragments.setdefault(number(fragment["index"]), {"function": {"name": "", "arguments": ""}})
    kept["id"] = kept.get("id") or fragment.get("id")
    whole = as_object(kept["function"])
    for name in ("name", "arguments"):
        whole[name] = as_str(whole[name]) + as_str(function.get(name))


def _openai_call(call: Object) -> Called:
    function = as_object(call["function"])
    return Called(as_str(call["id"]), as_str(function["name"]), _object(as_str(function["arguments"])))


def _failed(said: Said, document: Object) -> bool:
    if "error" not in document:
        return False
    said.error = as_str(as_object(document["error"])["message"])
    return True


# -- OpenAI completions ------------------------------------------------------------------------------------------------


def completion(answer: Object) -> Said:
    choice, usage = as_object(as_list(answer["choices"])[0]), as_object(answer["usage"])
    return Said(
        text=as_str(choice["text"]),
        end=as_str(choice["finish_reason"]),
        model=as_str(answer["model"]),
        input=number(usage["prompt_tokens"]),
        output=number(usage["completion_tokens"]),
    )


def completion_stream(documents: Sequence[Object]) -> Said:
    said = Said()
    for document in documents:
        if _failed(said, document):
            continue
        said.model = as_str(document["model"])
        if usage := as_object(document.get("usage")):
            said.input, said.output = number(usage["prompt_tokens"]), number(usage["completion_tokens"])
        for choice in map(as_object, as_list(document["choices"])):
            piece = as_str(choice.get("text"))
            said.pieces += bool(piece)
            said.text += piece
            said.end = as_str(choice.get("finish_reason")) or said.end
    return said


# -- OpenAI Responses --------------------------------------------------------------------------------------------------


def response(answer: Object) -> Said:
    usage = as_object(answer["usage"])
    said = Said(
        end=as_str(answer["status"]),
        model=as_str(answer["model"]),
        input=number(usage["input_tokens"]),
        output=number(usage["output_tokens"]),
    )
    for item in map(as_object, as_list(answer["output"])):
        parts = "".join(as_str(as_object(part).get("text")) for part in as_list(item.get("content")))
        if item["type"] == "message":
            said.text += parts
        elif item["type"] == "reasoning":
            said.thought += parts
        else:
            called = Called(as_str(item["call_id"]), as_str(item["name"]), _object(as_str(item["arguments"])))
            said.calls.append(called)
    return said


def response_stream(documents: Sequence[Object]) -> Said:
    """The end repeats everything: it must be what the deltas said."""
    numbers = [document["sequence_number"] for document in documents]
    assert numbers == list(range(len(documents)))
    deltas = [as_str(d["delta"]) for d in documents if d["type"] == "response.output_text.delta"]
    last = documents[-1]
    if last["type"] == "error":
        said = Said(text="".join(deltas), error=as_str(last["message"]))
    else:
        said = response(as_object(last["response"]))
        assert said.text == "".join(deltas)
        assert last["type"] == "response.completed"
    said.pieces = len(deltas)
    return said


# -- Anthropic ---------------------------------------------------------------------------------------------------------


def message(answer: Object) -> Said:
    usage = as_object(answer["usage"])
    said = Said(
        end=as_str(answer["stop_reason"]),
        model=as_str(answer["model"]),
        input=number(usage["input_tokens"]),
        output=number(usage["output_tokens"]),
    )
    for block in map(as_object, as_list(answer["content"])):
        said.text += as_str(block.get("text"))
        said.thought += as_str(block.get("thinking"))
        if block["type"] == "tool_use":
            said.calls.append(Called(as_str(block["id"]), as_str(block["name"]), as_object(block["input"])))
    return said


def message_stream(documents: Sequence[Object]) -> Said:
    """Blocks one after the other, each begun, continued and closed."""
    said, arguments = Said(), ""
    block: Object = {}
    for document in documents:
        match document["type"]:
            case "message_start":
                said.model = as_str(as_object(document["message"])["model"])
            case "content_block_start":
                assert block == {}, "a block within a block"
                block, arguments = as_object(document["content_block"]), ""
            case "content_block_delta":
                delta = as_object(document["delta"])
                said.pieces += "text" in delta
                said.text += as_str(delta.get("text"))
                said.thought += as_str(delta.get("thinking"))
                arguments += as_str(delta.get("partial_json"))
            case "content_block_stop":
                if block["type"] == "tool_use":
                    said.calls.append(Called(as_str(block["id"]), as_str(block["name"]), _object(arguments or "{}")))
                block = {}
            case "message_delta":
                said.end = as_str(as_object(document["delta"])["stop_reason"])
                usage = as_object(document["usage"])
                said.input, said.output = number(usage["input_tokens"]), number(usage["output_tokens"])
            case "error":
                said.error = as_str(as_object(document["error"])["message"])
            case _:
                assert document["type"] in {"ping", "message_stop"}
    assert said.error or documents[-1]["type"] == "message_stop"
    return said


# -- Ollama ------------------------------------------------------------------------------------------------------------


def ollama(answer: Object) -> Said:
    return ollama_stream([answer])


def ollama_stream(documents: Sequence[Object]) -> Said:
    said = Said()
    for document in documents:
        if "error" in document:
            said.error = as_str(document["error"])
            continue
        part = as_object(document.get("message"))
        piece = as_str(part.get("content", document.get("response")))
        said.pieces += bool(piece)
        said.text += piece
        said.thought += as_str(part.get("thinking", document.get("thinking")))
        for call in map(as_object, as_list(part.get("tool_calls"))):
            function = as_object(call["function"])
            arguments = function["arguments"]
            assert isinstance(arguments, dict), "arguments are an object here"
            said.calls.append(Called(as_str(call.get("id")), as_str(function["name"]), arguments))
        said.model = as_str(document["model"])
        if document["done"] is True:
            said.end = as_str(document["done_reason"])
            said.input, said.output = number(document["prompt_eval_count"]), number(document["eval_count"])
    return said


# -- embeddings --------------------------------------------------------------------------------------------------------


def embeddings(answer: Object) -> Said:
    rows = [as_list(as_object(row)["embedding"]) for row in as_list(answer["data"])]
    usage = as_object(answer["usage"])
    return Said(model=as_str(answer["model"]), vectors=list(map(len, rows)), input=number(usage["prompt_tokens"]))


def embed(answer: Object) -> Said:
    rows = [as_list(row) for row in as_list(answer["embeddings"])]
    return Said(model=as_str(answer["model"]), vectors=list(map(len, rows)), input=number(answer["prompt_eval_count"]))


def no_stream(_: Sequence[Object]) -> Said:
    raise AssertionError("there is no stream of it")
