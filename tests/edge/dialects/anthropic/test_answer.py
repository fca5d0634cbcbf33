"""A chat answer becomes a message, whole and in events, and both say the same."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest
from hypothesis import given

from edge.dialects import said
from edge.dialects.anthropic.answer import AnthropicRendering
from policies.errors import EngineBroke
from policies.json import JSON, Object, as_list, as_object, as_str
from tests.edge.dialects.chunks import USAGE, aggregated, answers, call, chunk

ID = "0" * 32
COUNTED = {"input_tokens": 5, "output_tokens": 3, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 2}


def events(*chunks: Object) -> list[tuple[str, Object]]:
    rendering = AnthropicRendering("tiny", ID)
    body = rendering.begin(9) + b"".join(map(rendering.chunk, chunks)) + rendering.end({"usage": USAGE, "choices": []})
    return [read(each) for each in body.decode().split("\n\n") if each]


def read(text: str) -> tuple[str, Object]:
    kind, data = text.split("\n")
    document = as_object(json.loads(data.removeprefix("data: ")))
    assert kind == f"event: {document['type']}"
    return kind.removeprefix("event: "), document


def told(found: Iterable[tuple[str, Object]]) -> Object:
    """What the SDK makes of the events (`_streaming.py`, accumulate_event), strictly."""
    message: Object = {}
    blocks: list[Object] = []
    partial = ""
    is_open = False
    for kind, event in found:
        match kind:
            case "message_start":
                assert not message
                message = as_object(event["message"])
            case "content_block_start":
                assert not is_open
                assert event["index"] == len(blocks)
                blocks.append(dict(as_object(event["content_block"])))
                is_open, partial = True, ""
            case "content_block_delta":
                assert is_open
                assert event["index"] == len(blocks) - 1
                delta = as_object(event["delta"])
                if delta["type"] == "input_json_delta":
                    partial += as_str(delta["partial_json"])
                else:
                    (field,) = delta.keys() - {"type"}
                    blocks[-1][field] = as_str(blocks[-1][field]) + as_str(delta[field])
            case "content_block_stop":
                assert is_open
                is_open = False
                if partial:
                    blocks[-1]["input"] = json.loads(partial)
            case "message_delta":
                assert not is_open
                message |= as_object(event["delta"])
                message["usage"] = event["usage"]
            case _:
                assert kind == "message_stop"
    assert kind == "message_stop"
    return message | {"content": list[JSON](blocks)}


def whole(*chunks: Object) -> Object:
    return AnthropicRendering("tiny", ID).whole(aggregated(chunks))


def test_a_stream_of_text() -> None:
    assert events(chunk(role="assistant", content=""), chunk(content="he"), chunk(content="llo"), chunk("stop")) == [
        (
            "message_start",
            {
                "type": "message_start",
                "message": {
                    "id": f"msg_{ID}",
                    "type": "message",
                    "role": "assistant",
                    "model": "tiny",
                    "content": [],
                    "stop_reason": None,
                    "stop_sequence": None,
                    "usage": {"input_tokens": 9, "output_tokens": 0},
                },
            },
        ),
        (
            "content_block_start",
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        ),
        (
            "content_block_delta",
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "he"}},
        ),
        (
            "content_block_delta",
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "llo"}},
        ),
        ("content_block_stop", {"type": "content_block_stop", "index": 0}),
        (
            "message_delta",
            {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": COUNTED},
        ),
        ("message_stop", {"type": "message_stop"}),
    ]


def test_thought_text_and_two_calls_are_four_blocks() -> None:
    chunks = [
        chunk(reasoning="h"),
        chunk(reasoning="m"),
        chunk(content="so"),
        call(0, "", "weather", "c1"),
        call(0, '{"city":'),
        call(0, '"Bonn"}'),
        call(1, "", "time", "c2"),
        chunk("tool_calls"),
    ]
    content: list[JSON] = [
        {"type": "thinking", "thinking": "hm", "signature": ""},
        {"type": "text", "text": "so"},
        {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Bonn"}},
        {"type": "tool_use", "id": "c2", "name": "time", "input": {}},
    ]
    found = told(events(*chunks))
    assert found["content"] == content
    assert found["stop_reason"] == "tool_use"
    assert whole(*chunks)["content"] == content


@pytest.mark.parametrize(
    ("finish", "stop", "reason"),
    [
        ("stop", None, "end_turn"),
        ("stop", "END", "stop_sequence"),
        ("length", None, "max_tokens"),
        ("content_filter", None, "refusal"),
        ("other", None, "end_turn"),
    ],
)
def test_why_it_ended(finish: str, stop: str | None, reason: str) -> None:
    found = told(events(chunk(finish, stop, content="x")))
    assert (found["stop_reason"], found["stop_sequence"]) == (reason, stop)


@pytest.mark.parametrize("arguments", ["{", "[]", "1", '{"a":1}}', "nonsense"])
def test_arguments_that_are_no_object_are_the_engines_failure(arguments: str) -> None:
    with pytest.raises(EngineBroke):
        events(call(0, arguments, "f", "c1"), chunk("tool_calls"))
    with pytest.raises(EngineBroke):
        whole(call(0, arguments, "f", "c1"), chunk("tool_calls"))


def test_arguments_cut_by_the_limit_are_what_is_there() -> None:
    found = events(call(0, '{"a":', "f", "c1"), chunk("length"))
    assert ("content_block_stop", {"type": "content_block_stop", "index": 0}) in found
    assert as_object(as_list(whole(call(0, '{"a":', "f", "c1"), chunk("length"))["content"])[0])["input"] == {}


def test_pieces_of_two_calls_in_turns_cannot_be_said() -> None:
    with pytest.raises(EngineBroke):
        events(call(0, "{", "f", "c1"), call(1, "{", "g", "c2"), call(0, "}"))


@given(answers("stop"))
def test_a_stream_says_what_the_whole_answer_says(chunks: list[Object]) -> None:
    assert told(events(*chunks)) == whole(*chunks)


def test_calls_that_cannot_be_held_are_the_engines_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(said, "MOST", 1_000)
    begun, more = call(0, '{"a":"', "f", "c1"), call(0, "x" * 100)
    assert events(begun, more, chunk("length"))
    with pytest.raises(EngineBroke):
        events(begun, *[more] * 10, chunk("length"))


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 257])
def test_a_call_of_what_is_no_name_is_the_engines_failure(name: str) -> None:
    for say in (events, whole):
        with pytest.raises(EngineBroke):
            say(call(0, "{}", name, "c1"), chunk("tool_calls"))
        assert say(call(0, "{}", "functions.f:0", "c1"), chunk("tool_calls"))


@pytest.mark.parametrize("call_id", ["a\nb", "x" * 257])
def test_an_id_that_could_not_be_sent_back_is_not_given(call_id: str) -> None:
    for say in (events, whole):
        assert json.dumps(call_id) not in json.dumps(say(call(0, "{}", "f", call_id), chunk("tool_calls")))
