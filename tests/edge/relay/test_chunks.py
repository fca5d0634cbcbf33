"""What of an engine's stream the caller may see."""

from __future__ import annotations

import orjson
import pytest

from edge.relay.aggregate import Aggregate
from edge.relay.chunks import ChunkReader
from edge.relay.sse import Event
from policies.errors import EngineBroke
from policies.exchange import Usage
from policies.json import JSON, Object, as_list, as_object


def reader(choices: int = 1, *, keep_text: bool = False) -> ChunkReader:
    return ChunkReader(model="asked", choices=choices, usage=Usage(), keep_text=keep_text)


def chunk(delta: Object | None = None, finish: str | None = None, index: int = 0, **more: JSON) -> Event:
    choice: Object = {"index": index, "delta": delta or {}, "finish_reason": finish}
    return Event(orjson.dumps({"id": "c1", "created": 7, "model": "/Users/me/model", "choices": [choice], **more}))


def test_the_model_is_the_one_the_caller_named_and_unknown_fields_stay_behind() -> None:
    shown = reader().read(chunk({"content": "hi"}, prompt_token_ids=[1], engine_path="/Users/me"))
    assert shown is not None
    assert shown["model"] == "asked"
    assert set(shown) == {"id", "created", "model", "choices"}


def test_the_fingerprint_is_opaque_and_stable() -> None:
    first, second = (
        reader().read(chunk({"content": "hi"}, system_fingerprint="0.32-Linux-6.18-secret-host")) for _ in range(2)
    )
    assert first is not None
    assert second is not None
    assert first["system_fingerprint"] == second["system_fingerprint"]
    assert "Linux" not in str(first)


def test_usage_is_read_on_any_chunk_and_shown_on_none() -> None:
    read = reader()
    shown = read.read(chunk({"content": "a"}, usage={"prompt_tokens": 5, "completion_tokens": 1}))
    assert shown is not None
    assert "usage" not in shown
    read.read(chunk(finish="stop"))
    assert (read.usage.input, read.usage.output, read.usage.source) == (5, None, "none")
    final = {"choices": [], "object": "chat.completion", "usage": {"prompt_tokens": 5, "completion_tokens": 9}}
    assert read.read(Event(orjson.dumps(final))) is None
    assert read.settle()
    assert (read.usage.input, read.usage.output, read.usage.source) == (5, 9, "engine")
    assert read.usage_chunk()["usage"] == {"prompt_tokens": 5, "completion_tokens": 9, "total_tokens": 14}


def test_zero_usage_never_replaces_a_count_and_timings_are_a_fallback() -> None:
    read = reader()
    read.read(chunk(finish="stop", timings={"cache_n": 2, "prompt_n": 3, "predicted_n": 4}))
    assert read.settle()
    assert (read.usage.input, read.usage.output, read.usage.source) == (5, 4, "timings")
    read.read(chunk(usage={"prompt_tokens": 0, "completion_tokens": 0}))
    assert read.usage.input == 5
    read.read(chunk(usage={"prompt_tokens": 6, "completion_tokens": 4}))
    assert read.settle()
    assert (read.usage.input, read.usage.output, read.usage.source) == (6, 4, "engine")


@pytest.mark.parametrize("count", [-1, 1.5, "7", True, None, [], 10**8 + 1, 2**53, 2**63])
def test_absurd_counts_are_not_believed(count: JSON) -> None:
    read = reader()
    read.read(chunk({"content": "a"}, finish="stop", usage={"prompt_tokens": count, "completion_tokens": count}))
    read.read(chunk(timings={"cache_n": count, "prompt_n": count, "predicted_n": count}))
    assert not read.settle()
    assert (read.usage.input, read.usage.output, read.running) == (None, None, 0)


def test_what_an_engine_says_early_is_not_its_count_of_the_answer() -> None:
    """One that writes zeros, or its first count, and is left or says no more would be answers for nothing."""
    for early in (0, 1, None):
        read = reader()
        read.read(chunk({"content": "a"}, usage={"prompt_tokens": 7, "completion_tokens": early}))
        for _ in range(9):
            read.read(chunk({"content": "b"}))
        assert not read.settle()
        read.read(chunk(finish="stop"))
        assert not read.settle()
        assert (read.usage.input, read.usage.output, read.usage.source) == (7, None, "none")
        assert read.running == (early or 0)


def test_a_running_count_is_a_lower_bound_and_the_last_one_the_count() -> None:
    read = reader()
    for count in (2, 4, 6):
        read.read(chunk({"content": "ab"}, usage={"prompt_tokens": 7, "completion_tokens": count}))
        assert (read.running, read.usage.output) == (count, None)
    read.read(chunk(finish="stop", usage={"prompt_tokens": 7, "completion_tokens": 7}))
    assert read.settle()
    assert (read.usage.output, read.usage.source) == (7, "engine")


def test_zero_is_the_count_of_an_answer_without_text_only() -> None:
    for text, settled in (("", True), ("a", False)):
        read = reader()
        read.read(chunk({"content": text}, finish="stop", usage={"prompt_tokens": 7, "completion_tokens": 0}))
        assert read.settle() is settled


def test_usage_of_the_prompt_alone_counts_no_answer() -> None:
    read = reader()
    read.read(chunk({"content": "a"}, finish="stop", usage={"prompt_tokens": 5}))
    assert not read.settle()
    assert (read.usage.input, read.usage.output) == (5, None)
    read.read(chunk(timings={"prompt_n": 5, "predicted_n": 1}))
    assert read.settle()
    assert (read.usage.input, read.usage.output, read.usage.source) == (5, 1, "timings")


@pytest.mark.parametrize(
    "event",
    [
        Event(b"not json"),
        Event(b"[1]"),
        Event(b'"text"'),
        Event(b'{"error":{"message":"boom","type":"server_error"}}'),
        Event(b'{"error":"boom"}'),
        Event(b'{"code":500}', failed=True),
        Event(b'{"choices":[],"choices":NaN}'),
    ],
)
def test_what_breaks_a_stream(event: Event) -> None:
    with pytest.raises(EngineBroke):
        reader().read(event)


def test_the_error_kept_for_the_log_holds_no_message() -> None:
    with pytest.raises(EngineBroke) as caught:
        reader().read(Event(b'{"error":{"message":"prompt was: SECRET","type":"bad\\nline","code":500}}'))
    assert caught.value.detail == "error event: 500"


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (b'{"code":"user said: hunter2","type":"a b"}', "unnamed"),
        (b'{"code":{"x":"hunter2"},"type":"server_error"}', "server_error"),
        (b'"hunter2 said the prompt"', "unnamed"),
    ],
)
def test_no_sentence_of_an_engine_is_kept(error: bytes, detail: str) -> None:
    with pytest.raises(EngineBroke) as caught:
        reader().read(Event(b'{"error":' + error + b"}"))
    assert caught.value.detail == f"error event: {detail}"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("tool_calls", "tool_calls"),
        ("content_filter", "content_filter"),
        ("function_call", "function_call"),
        ("eos_token", "stop"),
        ("model_length", "length"),
        ("tool_use", "tool_calls"),
        ("PROMPT: hunter2", "stop"),
    ],
)
def test_why_it_ended_is_said_in_openais_words(said: str, reason: str) -> None:
    read = reader()
    shown = read.read(chunk(finish=said))
    assert shown is not None
    assert as_object(as_list(shown["choices"])[0])["finish_reason"] == reason
    assert (read.finish, read.complete) == (reason, True)


@pytest.mark.parametrize("said", ["abort", "error", "Cancelled"])
def test_an_answer_that_the_engine_gave_up_is_no_answer(said: str) -> None:
    with pytest.raises(EngineBroke):
        reader().read(chunk(finish=said))


def test_a_call_that_ends_with_stop_ends_with_calls() -> None:
    read = reader(choices=2)
    read.read(chunk({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}]}))
    for index, reason in ((0, "tool_calls"), (1, "stop")):
        shown = read.read(chunk(finish="stop", index=index))
        assert shown is not None
        assert as_object(as_list(shown["choices"])[0])["finish_reason"] == reason


@pytest.mark.parametrize("said", ["", 0, False, []])
def test_an_empty_reason_is_none(said: JSON) -> None:
    read = reader()
    shown = read.read(Event(orjson.dumps({"choices": [{"index": 0, "delta": {}, "finish_reason": said}]})))
    assert shown is not None
    assert as_object(as_list(shown["choices"])[0])["finish_reason"] is None
    assert not read.complete


def test_choices_nobody_asked_for_do_not_complete_an_answer() -> None:
    read = reader(choices=2)
    for index in (0, 99, -1):
        read.read(chunk(finish="stop", index=index))
    assert not read.complete


def test_the_size_of_all_events_is_known() -> None:
    read = reader()
    events = [chunk({"content": "a"}), Event(b"[DONE]")]
    for event in events:
        read.read(event)
    assert read.size == sum(len(event.data) for event in events)


def test_done_alone_is_not_a_whole_answer() -> None:
    read = reader()
    read.read(chunk({"content": "half"}))
    read.read(Event(b"[DONE]"))
    assert read.done
    assert not read.complete


def test_every_choice_must_finish() -> None:
    read = reader(choices=2)
    read.read(chunk(finish="stop", index=0))
    assert not read.complete
    read.read(chunk(finish="length", index=1))
    assert read.complete


def test_both_spellings_of_reasoning_reach_the_caller() -> None:
    for field in ("reasoning", "reasoning_content"):
        shown = reader().read(chunk({field: "hm"}))
        assert shown is not None
        assert orjson.dumps(shown).count(b'"hm"') == 2


def test_generated_text_is_kept_only_when_it_must_be_counted() -> None:
    plain, keeping = reader(), reader(keep_text=True)
    for read in (plain, keeping):
        read.read(chunk({"content": "ab"}))
        read.read(chunk({"content": "c"}))
    assert (plain.text, keeping.text, plain.tokens) == ("", "abc", 2)


def answer(*events: Event, chat: bool = True) -> Object:
    read, aggregate = reader(), Aggregate()
    for event in events:
        shown = read.read(event)
        if shown is not None:
            aggregate.add(shown)
    read.settle()
    return aggregate.answer(read.usage, chat=chat)


def test_a_stream_becomes_one_answer() -> None:
    whole = answer(
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "he"}, logprobs=None),
        chunk({"content": "llo", "reasoning": "r"}),
        chunk(finish="stop", usage={"prompt_tokens": 3, "completion_tokens": 2}),
    )
    assert whole["object"] == "chat.completion"
    assert whole["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    message: Object = {"role": "assistant", "content": "hello", "reasoning": "r", "reasoning_content": "r"}
    assert whole["choices"] == [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}]


def test_tool_call_fragments_are_put_together_by_index() -> None:
    def call(index: int, **function: JSON) -> Object:
        return {"index": index, "function": function}

    whole = answer(
        chunk({"tool_calls": [{"id": "c0", **call(0, name="f", arguments="")}]}),
        chunk({"tool_calls": [call(0, arguments='{"a"'), {"id": "c1", **call(10**9, name="g", arguments="{}")}]}),
        chunk({"tool_calls": [call(0, arguments=":1}")]}),
        chunk(finish="tool_calls"),
    )
    assert whole["choices"] == [
        {
            "index": 0,
            "message": {
                "tool_calls": [
                    {"id": "c0", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
                    {"id": "c1", "type": "function", "function": {"name": "g", "arguments": "{}"}},
                ],
                "role": "assistant",
                "content": None,
            },
            "logprobs": None,
            "finish_reason": "tool_calls",
        }
    ]


def test_text_completions_and_their_logprobs_are_put_together() -> None:
    def piece(text: str, finish: str | None = None) -> Event:
        entry: Object = {"index": 0, "text": text, "logprobs": {"tokens": [text]}, "finish_reason": finish}
        return Event(orjson.dumps({"id": "c", "model": "m", "choices": [entry]}))

    whole = answer(piece("a"), piece("b", "length"), chat=False)
    assert whole["object"] == "text_completion"
    assert whole["choices"] == [
        {"index": 0, "text": "ab", "logprobs": {"tokens": ["a", "b"]}, "finish_reason": "length"}
    ]


LONG = "y " * 400


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "x", "reasoning": LONG},
        {"reasoning": "x", "reasoning_content": LONG},
        {"refusal": LONG},
        {"content": [{"type": "text", "text": LONG}, LONG, 7]},
        {"function_call": {"arguments": LONG}},
        {"function_call": {"name": LONG}},
        {"reasoning_details": [{"type": "reasoning.text", "text": LONG}]},
        {"audio": {"data": LONG}, "unknown": LONG},
        {"content": {"text": LONG}, "refusal": {"text": LONG}, "role": [LONG]},
        {"tool_calls": LONG, "function_call": LONG},
        {"tool_calls": [LONG, {"function": LONG, "more": LONG}, {"function": {"more": LONG}}]},
        {"tool_calls": [{"index": 0, "function": {"name": LONG[:256]}}]},
        {"tool_calls": [{"index": 0, "id": LONG, "type": {"x": LONG}, "function": {"name": "f"}}]},
        {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": {"a": LONG}}}]},
        {"tool_calls": [{"index": 0, "type": "custom", "custom": {"name": "f", "input": LONG}}]},
    ],
)
def test_nothing_is_relayed_uncounted(delta: Object) -> None:
    read = reader(keep_text=True)
    shown = read.read(chunk(delta))
    relayed = orjson.dumps(shown).count(b"y y")
    assert relayed <= read.text.count("y y") * (2 if "reasoning" in delta else 1)
    assert read.tokens * 4 >= len(read.text)


@pytest.mark.parametrize(
    "choice", [{"text": LONG, "delta": {}}, {"message": {"content": LONG}}, {"delta": LONG}, {"logprobs": [LONG]}, LONG]
)
def test_nothing_beside_a_delta_is_relayed_uncounted(choice: JSON) -> None:
    read = reader()
    shown = read.read(Event(orjson.dumps({"id": "c", "choices": [choice, {"index": 0, "stop_reason": [LONG]}]})))
    assert read.tokens * 8 >= orjson.dumps(shown).count(b"y ")


def test_reasoning_and_content_of_one_delta_are_added_and_two_names_are_one_text() -> None:
    read = reader(keep_text=True)
    read.read(chunk({"content": "a", "reasoning": "b"}))
    read.read(chunk({"reasoning_content": "c", "reasoning": "c"}))
    assert (read.tokens, read.text) == (3, "abc")


def test_logprobs_tell_how_many_tokens_a_piece_has() -> None:
    read = reader()
    entries: list[JSON] = [{"token": "a"}] * 5
    logprobs: Object = {"content": entries}
    choice: Object = {"index": 0, "delta": {"content": "aaaaa"}, "logprobs": logprobs}
    read.read(Event(orjson.dumps({"id": "c", "choices": [choice]})))
    assert read.tokens == 5


def test_arguments_nested_deeper_than_json_is_written_break_the_stream() -> None:
    deep = b'{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":' + b"[" * 600 + b"]" * 600 + b"}}]}}]}"
    with pytest.raises(EngineBroke):
        reader().read(Event(deep))


def test_custom_tool_calls_and_content_in_parts_are_put_together() -> None:
    custom: Object = {"name": "f", "input": "a"}
    whole = answer(
        chunk({"content": [{"type": "text", "text": "he"}]}),
        chunk({"content": [{"type": "text", "text": "llo"}], "refusal": "no"}),
        chunk({"tool_calls": [{"index": 0, "id": "c0", "type": "custom", "custom": custom}]}),
        chunk({"tool_calls": [{"index": 0, "custom": {"input": "b"}}]}, finish="tool_calls"),
    )
    (choice,) = as_list(whole["choices"])
    assert as_object(choice)["message"] == {
        "role": "assistant",
        "content": "hello",
        "refusal": "no",
        "tool_calls": [{"id": "c0", "type": "custom", "custom": {"name": "f", "input": "ab"}}],
    }
