"""A complete answer of an engine, as the caller sees it."""

from __future__ import annotations

import orjson
import pytest

from edge.dialects.responses.answer import ResponsesRendering
from edge.relay.answer import answer_text, finish_reason, read_answer
from policies.call import Operation
from policies.errors import EngineBroke
from policies.exchange import Usage
from policies.json import JSON, Object, as_list, as_object


def read(document: JSON, operation: Operation = Operation.CHAT) -> tuple[Object, Usage]:
    usage = Usage()
    return read_answer(orjson.dumps(document), operation, model="asked", usage=usage), usage


CHOICE: Object = {
    "index": 0,
    "message": {"role": "assistant", "content": "hi", "reasoning": "r"},
    "finish_reason": "stop",
}


def test_known_fields_only_with_the_callers_model_and_counted_usage() -> None:
    shown, usage = read(
        {
            "model": "/Users/me/x",
            "choices": [CHOICE],
            "usage": {"prompt_tokens": 2, "completion_tokens": 3},
            "path": "/x",
        }
    )
    assert shown["model"] == "asked"
    assert set(shown) == {"model", "choices", "usage"}
    assert (usage.input, usage.output, usage.source) == (2, 3, "engine")
    assert finish_reason(shown) == "stop"


def test_embeddings_keep_their_numbers_exactly() -> None:
    vector: list[JSON] = [0.1, -1e-9, 3.141592653589793]
    data: list[JSON] = [{"object": "embedding", "index": 0, "embedding": vector}]
    shown, usage = read({"object": "list", "data": data, "usage": {"prompt_tokens": 4}}, Operation.EMBEDDINGS)
    assert orjson.loads(orjson.dumps(shown))["data"][0]["embedding"] == vector
    assert (usage.input, usage.output, usage.source) == (4, 0, "engine")


def chat(usage: Object | None = None, **message: JSON) -> Object:
    choice: Object = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}
    return {"choices": [choice], **({} if usage is None else {"usage": usage})}


def test_two_calls_with_one_number_stay_two() -> None:
    """Responses told calls apart by the number: one call had the arguments of both."""
    calls: list[JSON] = [
        {"index": 0, "id": f"c{name}", "type": "function", "function": {"name": name, "arguments": "{}"}}
        for name in ("f", "g")
    ]
    shown, _ = read(chat(tool_calls=calls))
    items = ResponsesRendering({}, "asked", "0" * 32, lambda: 0.0).whole(shown)["output"]
    assert [(as_object(item)["name"], as_object(item)["arguments"]) for item in as_list(items)] == [
        ("f", "{}"),
        ("g", "{}"),
    ]


TEXT = "tok " * 300


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        {"prompt_tokens": 7},
        {"prompt_tokens": 7, "completion_tokens": None},
        {"prompt_tokens": 7, "completion_tokens": 0},
        {"prompt_tokens": 7, "completion_tokens": 2**53},
    ],
)
def test_an_answer_that_the_engine_has_not_counted_is_counted_by_its_text(usage: Object | None) -> None:
    for message in ({"content": TEXT}, {"content": None, "reasoning": TEXT}, {"refusal": TEXT}):
        shown, read_into = read(chat(usage, **message))
        assert (read_into.output, read_into.source) == (300, "chunks")
        assert read_into.input == (7 if usage else None)
        assert as_object(shown["usage"])["completion_tokens"] == 300
        assert answer_text(shown) == TEXT
    text: Object = {"choices": [{"index": 0, "text": TEXT, "finish_reason": "stop"}]}
    assert read(text, Operation.COMPLETIONS)[1].output == 300


def test_fields_of_a_message_that_nobody_counts_stay_behind() -> None:
    shown, _ = read(chat({"prompt_tokens": 1, "completion_tokens": 2}, content="a", audio={"data": TEXT}, x=TEXT))
    (choice,) = as_list(shown["choices"])
    assert as_object(choice)["message"] == {"role": "assistant", "content": "a"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b'"x"',
        b"{}",
        b'{"choices":[]}',
        b'{"choices":{}}',
        b'{"error":{"message":"x"}}',
        b"\xff",
    ],
)
def test_what_is_no_answer_is_a_broken_engine(body: bytes) -> None:
    with pytest.raises(EngineBroke):
        read_answer(body, Operation.CHAT, model="asked", usage=Usage())


@pytest.mark.parametrize(
    ("said", "reason"), [("stop", "stop"), ("eos_token", "stop"), ("max_length", "length"), ("", None), (None, None)]
)
def test_why_it_ended_is_said_in_openais_words(said: JSON, reason: JSON) -> None:
    document: Object = {"choices": [{"index": 0, "message": {"content": "a"}, "finish_reason": said}]}
    shown, _ = read(document)
    assert as_object(as_list(shown["choices"])[0])["finish_reason"] == reason
    assert finish_reason(shown) == (reason or "")


def test_an_answer_that_the_engine_gave_up_is_no_answer() -> None:
    with pytest.raises(EngineBroke):
        read({"choices": [{"index": 0, "message": {"content": "a"}, "finish_reason": "abort"}]})


def test_calls_have_ids_and_end_the_answer_as_calls() -> None:
    calls: list[JSON] = [{"function": {"name": "f", "arguments": {"a": 1}}}, {"id": "c2", "function": {"name": "f"}}]
    shown, _ = read({"choices": [{"message": {"content": None, "tool_calls": calls}, "finish_reason": "stop"}]})
    choice = as_object(as_list(shown["choices"])[0])
    assert choice["finish_reason"] == "tool_calls"
    assert as_object(choice["message"])["tool_calls"] == [
        {"function": {"name": "f", "arguments": '{"a":1}'}, "id": "call__0", "type": "function"},
        {"id": "c2", "function": {"name": "f", "arguments": ""}, "type": "function"},
    ]
