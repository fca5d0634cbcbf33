"""A tape holds what the caller was given, as far as there is room, and the sizes of all of it."""

from __future__ import annotations

from edge.relay.tape import Tape
from observability.captures.excerpt import MARGIN
from policies.json import JSON, Object, as_list, as_object, as_str


def delta(finish: str | None = None, **fields: JSON) -> Object:
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish, "logprobs": {"content": [1]}}]}


def test_a_stream_becomes_one_answer() -> None:
    tape = Tape(1000)
    call: JSON = [{"index": 0, "id": "c", "type": "function", "function": {"name": "find", "arguments": '{"a"'}}]
    more: JSON = [{"index": 0, "function": {"arguments": ":1}"}}]
    tape.chunks([delta(role="assistant", content="Hel"), delta(content="lo", reasoning="h", reasoning_content="h")])
    tape.chunks([delta(tool_calls=call), delta(tool_calls=more), delta("tool_calls")])
    answer = tape.result(chat=True)
    assert answer is not None
    assert answer.whole
    sizes: Object = {"chars": 5, "reasoning_chars": 1, "tool_calls": 1, "finish": "tool_calls"}
    assert answer.sizes == {"choices": [sizes], "tool_names": ["find"]}
    choice = as_object(as_list(as_object(answer.text)["choices"])[0])
    assert choice["logprobs"] is None
    assert choice["message"] == {
        "role": "assistant", "content": "Hello", "reasoning": "h",
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "find", "arguments": '{"a":1}'}}],
    }  # fmt: skip


def test_what_is_beyond_the_room_is_measured_and_not_kept() -> None:
    tape = Tape(100)
    for _ in range(1000):
        tape.chunks([delta(content="x" * 50)])
    answer = tape.result(chat=True)
    assert answer is not None
    assert not answer.whole
    assert as_object(as_list(answer.sizes["choices"])[0])["chars"] == 50_000
    assert len(str(answer.text)) < 100 + MARGIN + 300


def test_chunks_of_nothing_fill_the_room_too() -> None:
    tape = Tape(100)
    for number in range(1000):
        tape.chunks([{"choices": [{"index": number, "delta": {}}]}])
    answer = tape.result(chat=True)
    assert answer is not None
    assert not answer.whole
    assert len(as_list(answer.sizes["choices"])) == 128


def test_without_room_there_are_only_sizes() -> None:
    tape = Tape(0)
    tape.answer({"choices": [{"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"}]})
    answer = tape.result(chat=True)
    assert answer is not None
    assert answer.text is None
    assert answer.sizes["choices"] == [{"chars": 5, "reasoning_chars": 0, "tool_calls": 0, "finish": "stop"}]


def test_a_caller_that_was_given_nothing_has_no_answer() -> None:
    assert Tape(100).result(chat=True) is None


def test_an_answer_in_tokens_is_kept_as_far_as_there_is_room() -> None:
    tape, room = Tape(8_000), 8_000 + MARGIN
    for number in range(3_000):
        call: JSON = {"index": 0, "function": {"name": "f", "arguments": "x"} if not number else {"arguments": "x"}}
        delta: Object = {"tool_calls": [call]} if number < 600 else {"content": "word"}
        tape.chunks([{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}])
    answer = tape.result(chat=True)
    assert answer is not None
    assert answer.text is not None
    assert not answer.whole
    message = as_object(as_object(as_list(answer.text["choices"])[0])["message"])
    called = as_object(as_object(as_list(message["tool_calls"])[0])["function"])
    assert called["arguments"] == "x" * 600
    said = as_str(message["content"])
    assert set(said) == set("word")
    assert room - 200 - 600 < len(said) <= room - 600 + 4
