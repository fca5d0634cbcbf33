"""A chat answer becomes a response, whole and in events, and both say the same."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.dialects import said
from edge.dialects.responses.answer import ResponsesRendering, in_force
from policies.call import Call, Dialect, Operation
from policies.errors import EngineBroke, EngineTimeout, Refusal
from policies.json import JSON, Object, as_list, as_object, as_str
from policies.reasons import Reason
from tests.edge.dialects.chunks import USAGE, aggregated, answers, call, chunk

ID = "0" * 32
COUNTED: Object = {
    "input_tokens": 7,
    "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 0},
    "output_tokens": 3,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 10,
}
SUMMED: Object = {"reasoning": {"summary": "auto"}}


def rendering(**asked: JSON) -> ResponsesRendering:
    return ResponsesRendering(asked, "tiny", ID, lambda: 1_700_000_000.5)


def test_numbers_are_those_that_the_engine_is_asked_with() -> None:
    asked: Object = {"temperature": 1.5, "top_p": 0.9, "max_output_tokens": 400, "store": True, **SUMMED}
    body: Object = {"messages": [], "temperature": 0.4, "max_tokens": 400, "reasoning_effort": "low"}
    sent = Call(Operation.CHAT, Dialect.RESPONSES, "tiny", body=body, asked=asked, max_tokens=50)
    made = ResponsesRendering(in_force(sent), "tiny", ID, lambda: 0.0).whole({"choices": [], "usage": USAGE})
    assert (made["temperature"], made["top_p"], made["max_output_tokens"]) == (0.4, None, 50)
    assert (made["reasoning"], made["store"]) == ({"effort": "low", "summary": "auto"}, True)


def read(body: bytes, first: int = 0) -> list[Object]:
    """The events, each with its number in turn."""
    found: list[Object] = []
    for text in body.decode().split("\n\n")[:-1]:
        kind, data = text.split("\n")
        document = as_object(json.loads(data.removeprefix("data: ")))
        assert kind == f"event: {document['type']}"
        assert document.pop("sequence_number") == first + len(found)
        found.append(document)
    return found


def events(*chunks: Object, **asked: JSON) -> list[Object]:
    made = rendering(**asked)
    return read(made.begin(9) + b"".join(map(made.chunk, chunks)) + made.end({"usage": USAGE, "choices": []}))


def names(found: Iterable[Object]) -> list[JSON]:
    return [event["type"] for event in found]


def told(found: list[Object]) -> Object:
    """What a strict reader makes of the events; each item and part opens once, grows, and ends as it said it would."""
    assert names(found[:2]) == ["response.created", "response.in_progress"]
    assert found[0]["response"] == found[1]["response"]
    items: list[Object] = []
    parts: dict[int, list[Object]] = {}
    for event in found[2:-1]:
        kind, index = as_str(event["type"]).removeprefix("response."), event["output_index"]
        assert isinstance(index, int)
        if kind == "output_item.added":
            assert index == len(items)
            items.append(as_object(event["item"]))
            parts[index] = []
            continue
        assert index == len(items) - 1
        item = items[index]
        if kind == "output_item.done":
            done = as_object(event["item"])
            _same(item, done, parts[index])
            items[index] = done
            continue
        assert event["item_id"] == item["id"]
        _grow(kind, event, item, parts[index])
    last = found[-1]
    response = as_object(last["response"])
    assert last["type"] == f"response.{response['status']}"
    assert response["output"] == items
    return response


def _grow(kind: str, event: Object, item: Object, parts: list[Object]) -> None:
    if item["type"] == "function_call":
        if kind == "function_call_arguments.delta":
            item["arguments"] = as_str(item["arguments"]) + as_str(event["delta"])
        else:
            assert kind == "function_call_arguments.done"
            assert (event["arguments"], event["name"]) == (item["arguments"], item["name"])
        return
    at = event["summary_index"] if "summary" in kind else event["content_index"]
    if kind.endswith("part.added"):
        assert at == len(parts)
        parts.append(as_object(event["part"]))
        return
    assert at == len(parts) - 1
    part = parts[-1]
    field = "refusal" if part["type"] == "refusal" else "text"
    if kind.endswith(".delta"):
        part[field] = as_str(part[field]) + as_str(event["delta"])
        if "logprobs" in event:
            part["logprobs"] = as_list(part["logprobs"]) + as_list(event["logprobs"])
    elif kind.endswith("part.done"):
        assert event["part"] == part
    else:
        assert kind.endswith(".done")
        assert event[field] == part[field]


def _same(item: Object, done: Object, parts: list[Object]) -> None:
    assert item["status"] == "in_progress"
    held = as_list(done.get("content")) or as_list(done.get("summary"))
    assert held == parts
    changing = {"status", "content", "summary"}
    assert {k: v for k, v in item.items() if k not in changing} == {k: v for k, v in done.items() if k not in changing}


def whole(*chunks: Object, **asked: JSON) -> Object:
    return rendering(**asked).whole(aggregated(chunks))


def test_a_stream_of_text() -> None:
    found = events(chunk(role="assistant", content=""), chunk(content="he"), chunk(content="llo"), chunk("stop"))
    where: Object = {"item_id": f"msg_{ID}_0", "output_index": 0, "content_index": 0}
    empty: Object = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    full: Object = {**empty, "text": "hello"}
    item: Object = {"id": f"msg_{ID}_0", "type": "message", "role": "assistant"}
    done: Object = {**item, "status": "completed", "content": [full]}
    assert found[2:-1] == [
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {**item, "status": "in_progress", "content": []},
        },
        {"type": "response.content_part.added", **where, "part": empty},
        {"type": "response.output_text.delta", **where, "delta": "he", "logprobs": []},
        {"type": "response.output_text.delta", **where, "delta": "llo", "logprobs": []},
        {"type": "response.output_text.done", **where, "text": "hello", "logprobs": []},
        {"type": "response.content_part.done", **where, "part": full},
        {"type": "response.output_item.done", "output_index": 0, "item": done},
    ]
    response = told(found)
    assert (response["id"], response["created_at"], response["completed_at"]) == (
        f"resp_{ID}",
        1_700_000_000,
        1_700_000_000,
    )
    assert (response["status"], response["usage"], response["incomplete_details"]) == ("completed", COUNTED, None)


def test_thought_text_and_two_calls_are_four_items() -> None:
    chunks = [
        chunk(reasoning="h"),
        chunk(reasoning_content="m"),
        chunk(content="so"),
        call(0, "", "weather", "c1"),
        call(0, '{"city":'),
        call(0, '"Bonn"}'),
        call(1, "", "time", "c2"),
        chunk("tool_calls"),
    ]
    output = as_list(told(events(*chunks))["output"])
    assert [as_object(item)["type"] for item in output] == ["reasoning", "message", "function_call", "function_call"]
    assert as_object(output[0])["content"] == [{"type": "reasoning_text", "text": "hm"}]
    called = [{k: as_object(item)[k] for k in ("call_id", "name", "arguments")} for item in output[2:]]
    assert called == [
        {"call_id": "c1", "name": "weather", "arguments": '{"city":"Bonn"}'},
        {"call_id": "c2", "name": "time", "arguments": "{}"},
    ]


def test_who_asks_for_a_summary_gets_the_thought_as_one() -> None:
    found = events(chunk(reasoning="hm"), chunk("stop", content="so"), **SUMMED)
    assert names(found)[2:8] == [
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.output_item.done",
    ]
    item = as_object(as_list(told(found)["output"])[0])
    assert (item["summary"], "content" in item) == ([{"type": "summary_text", "text": "hm"}], False)


def test_a_refusal_is_a_part_of_the_message() -> None:
    found = told(events(chunk(content="I "), chunk(refusal="will "), chunk("stop", refusal="not")))
    assert as_object(as_list(found["output"])[0])["content"] == [
        {"type": "output_text", "text": "I ", "annotations": [], "logprobs": []},
        {"type": "refusal", "refusal": "will not"},
    ]


def test_probabilities_come_with_their_text() -> None:
    top: Object = {"token": "h", "logprob": -0.5, "bytes": None}
    entry: Object = {**top, "top_logprobs": [top, {"token": None}]}
    spelt: Object = {"token": "h", "logprob": -0.5, "bytes": [104]}
    found = events(chunk(content="h", logprobs={"content": [entry, {"token": 7}]}), chunk("stop", content="i"))
    part = as_object(as_list(as_object(as_list(told(found)["output"])[0])["content"])[0])
    assert part["logprobs"] == [{**spelt, "top_logprobs": [spelt]}]


@pytest.mark.parametrize(
    ("finish", "status", "details"),
    [
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        ("other", "completed", None),
        ("length", "incomplete", {"reason": "max_output_tokens"}),
        ("content_filter", "incomplete", {"reason": "content_filter"}),
    ],
)
def test_why_it_ended(finish: str, status: str, details: JSON) -> None:
    found = told(events(chunk(content="x"), chunk(finish)))
    assert (found["status"], found["incomplete_details"]) == (status, details)
    assert as_object(as_list(found["output"])[0])["status"] == status
    assert (found["completed_at"] is None) == (status == "incomplete")


def test_an_answer_without_a_word_is_a_response_without_items() -> None:
    assert told(events(chunk(role="assistant"), chunk("stop")))["output"] == []


def test_a_call_without_an_id_gets_one_and_arguments_go_on_as_they_are() -> None:
    item = as_object(as_list(told(events(call(0, "{nonsense", "f"), chunk("tool_calls")))["output"])[0])
    assert (item["call_id"], item["arguments"]) == (f"call_{ID}_0", "{nonsense")


def test_pieces_of_two_calls_in_turns_cannot_be_said() -> None:
    with pytest.raises(EngineBroke):
        events(call(0, "{", "f", "c1"), call(1, "{", "g", "c2"), call(0, "}"))


def test_an_answer_that_cannot_be_held_is_the_engines_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(said, "MOST", 1_034)
    assert events(chunk(content="12345678"), chunk(reasoning="90"))
    with pytest.raises(EngineBroke):
        events(chunk(content="12345678"), chunk(reasoning="901"))


def test_probabilities_and_empty_calls_are_held_too_and_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """20 probabilities for each token took 8 KiB of memory for each, without end."""
    token: Object = {"token": "a", "logprob": -0.5, "bytes": [97]}
    probable = chunk(content="a", logprobs={"content": [{**token, "top_logprobs": [token] * 20}]})
    monkeypatch.setattr(said, "MOST", 10_000)
    assert events(probable, probable)
    for chunks in ([probable] * 4, [call(index, "", "f") for index in range(20)]):
        with pytest.raises(EngineBroke):
            events(*chunks)


def test_the_response_repeats_what_was_asked() -> None:
    tool: Object = {"type": "function", "name": "f", "parameters": {"type": "object"}}
    asked: Object = {
        "instructions": "be kind",
        "max_output_tokens": 5,
        "metadata": {"a": "b"},
        "parallel_tool_calls": False,
        "previous_response_id": "resp_1",
        "reasoning": {"effort": "low"},
        "store": True,
        "temperature": 0.5,
        "text": {"format": {"type": "json_object"}},
        "tool_choice": "required",
        "tools": [tool],
        "top_p": 0.9,
        "user": "u",
    }
    found = as_object(events(chunk("stop", content="x"), **asked)[0]["response"])
    reasoning: Object = {"effort": "low", "summary": None}
    assert {name: found[name] for name in asked} == {**asked, "reasoning": reasoning}
    assert (found["truncation"], found["background"], found["usage"], found["output"]) == ("disabled", False, None, [])


def test_a_stream_that_fails_says_so_behind_what_was_said() -> None:
    made = rendering()
    said = read(made.begin(0) + made.chunk(chunk(content="a")) + made.chunk(call(0, "{}", "f", "c1")))
    end = read(made.failed(EngineTimeout("gap"), begun=True), first=len(said))
    assert names(end) == ["response.failed", "error"]
    response = as_object(end[0]["response"])
    assert (response["id"], response["status"]) == (f"resp_{ID}", "failed")
    assert response["error"] == {"code": "server_error", "message": "The engine took too long."}
    assert [as_object(item)["type"] for item in as_list(response["output"])] == ["message"]
    assert end[1] == {
        "type": "error",
        "code": "engine_timeout",
        "message": "The engine took too long.",
        "param": None,
        "error": {
            "message": "The engine took too long.",
            "type": "server_error",
            "param": None,
            "code": "engine_timeout",
        },
    }


def test_numbers_have_no_gap_where_events_were_made_and_not_given() -> None:
    made = rendering()
    said = read(made.begin(0) + made.chunk(chunk(content="a")))
    with pytest.raises(EngineBroke):
        made.chunk(chunk(content="b", tool_calls=[{"index": 0, "function": {"arguments": "{}"}}]))
    assert names(read(made.failed(EngineBroke(), begun=True), first=len(said))) == ["response.failed", "error"]


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (Reason.CONTEXT_LENGTH_EXCEEDED, "context_length_exceeded"),
        (Reason.LIMIT_EXCEEDED, "rate_limit_exceeded"),
        (Reason.ENGINE_REFUSED, "invalid_prompt"),
        (Reason.QUEUE_TIMEOUT, "server_error"),
    ],
)
def test_one_that_fails_before_anything_was_said_begins_first(reason: Reason, code: str) -> None:
    made = rendering()
    made.begin(0)  # made, but nothing of it was given to the caller
    found = read(made.failed(Refusal(reason), begun=False))
    assert names(found) == ["response.created", "response.in_progress", "response.failed", "error"]
    assert as_object(as_object(found[2]["response"])["error"])["code"] == code


@given(
    answers("stop", "tool_calls", "length", refuses=True, arguments=st.text(max_size=8)), st.sampled_from([{}, SUMMED])
)
def test_a_stream_says_what_the_whole_answer_says(chunks: list[Object], asked: Object) -> None:
    assert told(events(*chunks, **asked)) == whole(*chunks, **asked)


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
