"""An engine's own Anthropic answers: what goes on, what is put right, what is no answer."""

from __future__ import annotations

import orjson
import pytest
from anthropic.types import Message, RawMessageStreamEvent
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from edge.relay.native.anthropic import AnthropicReading
from edge.relay.sse import MAX_EVENT
from policies.errors import EngineBroke
from policies.exchange import Usage
from policies.json import JSON, Object, as_list, as_object, as_str
from tests.edge.relay.native.events import (
    ECHOED,
    END,
    OVERLAPPING,
    PING,
    TALK,
    block,
    cut,
    ended,
    read,
    said,
    shown,
    sse,
    start,
    stop,
)

_EVENT: TypeAdapter[RawMessageStreamEvent] = TypeAdapter(RawMessageStreamEvent)
_ID = "0" * 32


def reading() -> AnthropicReading:
    return AnthropicReading("mine", _ID, Usage(), 40, ["###"])


def events(*documents: Object) -> list[Object]:
    found = shown(read(reading(), [sse(*documents)])[0])
    for each in found:
        _EVENT.validate_python(each, strict=True)
    return found


def kinds(found: list[Object]) -> list[str]:
    return [as_str(each["type"]).removeprefix("content_block_") for each in found]


def well_formed(found: list[Object]) -> None:
    """One block after the other, numbered from 0, between one beginning and one end."""
    names = kinds(found)
    assert names[0] == "message_start"
    assert names[-2:] == ["message_delta", "message_stop"]
    opened = -1
    is_open = False
    for each in found[1:-2]:
        if each["type"] == "content_block_start":
            assert not is_open
            opened, is_open = opened + 1, True
        else:
            assert is_open
            is_open = each["type"] != "content_block_stop"
        assert each["index"] == opened
    assert not is_open


def test_a_talk_is_what_the_engine_said_under_names_of_ours() -> None:
    one = reading()
    data, tokens = read(one, [sse(*TALK)])
    found = shown(data)
    assert kinds(found) == ["message_start", "start", "delta", "delta", "stop", "message_delta", "message_stop"]
    message = as_object(found[0]["message"])
    assert (message["id"], message["model"]) == (f"msg_{_ID}", "mine")
    assert as_object(message["usage"])["input_tokens"] == 5
    assert ECHOED.encode() not in data
    assert (one.done, one.finish, tokens, one.tokens) == (True, "stop", 2, 2)
    assert one.settle()
    assert (one.usage.input, one.usage.cached, one.usage.output, one.usage.source) == (7, 2, 3, "engine")


def test_blocks_that_overlap_come_one_after_the_other() -> None:
    found = events(*OVERLAPPING)
    well_formed(found)
    blocks = [as_object(each["content_block"]) for each in found if each["type"] == "content_block_start"]
    assert blocks == [
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "text", "text": ""},
        {"type": "tool_use", "id": "c1", "name": "f", "input": {}},
    ]
    assert as_object(found[-2]["delta"])["stop_reason"] == "tool_use"


def test_a_block_that_begins_once_more_goes_on() -> None:
    """llama-server's last result begins anew the block that it adds to."""
    call = block(1, "tool_use", id="c", name="f")
    found = events(
        *(start(), block(0), said(0, "a"), block(0), said(0, "b"), call, said(1, '{"a"', "input_json")),
        *(call, said(1, ":1}", "input_json"), ended("tool_use"), END),
    )
    well_formed(found)
    assert [as_object(each["content_block"])["type"] for each in found if "content_block" in each] == [
        "text",
        "tool_use",
    ]


@pytest.mark.parametrize(
    "documents",
    [
        pytest.param((block(0), said(0, "Hello"), stop(0), ended(), END), id="no message_start"),
        pytest.param((ended(), END), id="nothing was said"),
        pytest.param((start(), said(0, "Hello"), ended(), END), id="no content_block_start"),
        pytest.param((start(), said(1, "a"), said(0, "b", "thinking"), said(1, "c"), ended(), END), id="turns"),
        pytest.param((start(), block(0, "tool_use", name="f"), block(0), said(0, "x"), ended(), END), id="same index"),
        pytest.param((start(), start(), block(0), said(0, ""), stop(0), stop(0), ended(), END), id="twice, and empty"),
        pytest.param((PING, start(), PING, block(0), PING, said(0, "x"), PING, ended(), END), id="pings"),
        pytest.param((start(), {"type": "news", "x": 1}, said(0, "x"), ended(None), ended(), END), id="news"),
        pytest.param((start(), block(0, "server_tool_use", id="x", name="y"), ended(), END), id="unknown block"),
    ],
)
def test_what_is_out_of_order_becomes_well_formed(documents: tuple[Object, ...]) -> None:
    well_formed(events(*documents))


@pytest.mark.parametrize(
    ("documents", "why"),
    [
        ((start(), said(0, "{}", "input_json")), "pieces of several calls"),
        (
            (start(), block(0, "tool_use", name="f"), block(1, "tool_use", name="g"), said(0, "{}", "input_json")),
            "pieces of several calls",
        ),
        ((start(), block(0, "tool_use")), "no name"),
        ((start(), block(0, "tool_use", name="f"), said(0, "{no", "input_json"), ended("tool_use")), "no JSON object"),
        ((start(), block(0, "tool_use", name="f"), said(0, "[]", "input_json"), block(1)), "no JSON object"),
        ((start(), said(0, "a"), END), "without a reason"),
        ((start(), said(0, "a"), ended(), said(0, "b")), "behind its end"),
        ((start(), {"type": "error", "error": {"type": "api_error", "message": "secret"}}), "error event: api_error"),
        ((start(), {"type": "x", "error": {"message": "secret"}}), "error event: unnamed"),
    ],
)
def test_what_is_no_answer_breaks(documents: tuple[Object, ...], why: str) -> None:
    with pytest.raises(EngineBroke) as raised:
        read(reading(), [sse(*documents)])
    assert why in raised.value.detail
    assert "secret" not in raised.value.detail


@pytest.mark.parametrize("data", [b"data: {\n\n", b"data: []\n\n", b'data: "\xff"\n\n', b'error: {"type":"x"}\n\n'])
def test_an_event_that_is_no_object_breaks(data: bytes) -> None:
    with pytest.raises(EngineBroke):
        read(reading(), [data])


def test_llama_servers_error_is_no_end() -> None:
    """Its event is named `error`, and is one of OpenAI's."""
    one = reading()
    error: Object = {"code": 500, "message": "secret", "type": "server_error"}
    data, _ = read(one, [sse(start()), b"event: error\ndata: " + orjson.dumps(error) + b"\n\n"])
    assert b"secret" not in data
    assert not one.done


def test_an_answer_that_never_ends_is_not_done() -> None:
    one = reading()
    data, _ = read(one, [sse(*TALK[:-1])])
    assert not one.done
    assert kinds(shown(data))[-1] == "message_delta"


def test_ten_megabytes_at_once_are_too_much() -> None:
    with pytest.raises(EngineBroke):
        read(reading(), [sse(start(), said(0, "x" * (MAX_EVENT + 1)))])


def test_a_large_event_within_the_limit_is_counted_and_goes_on() -> None:
    data, tokens = read(reading(), [sse(start(), said(0, "x" * 1_000_000), ended(), END)])
    assert len(data) > 1_000_000
    assert tokens == 250_000


@pytest.mark.parametrize(
    ("reason", "sequence", "shown_reason", "shown_sequence", "finish"),
    [
        ("end_turn", None, "end_turn", None, "stop"),
        ("end_turn", "###", "stop_sequence", "###", "stop"),
        ("end_turn", "not asked for", "end_turn", None, "stop"),
        ("max_tokens", "###", "max_tokens", None, "length"),
        ("tool_use", None, "tool_use", None, "tool_calls"),
        ("refusal", None, "refusal", None, "content_filter"),
        ("invented", None, "end_turn", None, "stop"),
        ("length", None, "max_tokens", None, "length"),
        ("MAX_LENGTH", "###", "max_tokens", None, "length"),
    ],
)
def test_why_it_ended(
    reason: str, sequence: str | None, shown_reason: str, shown_sequence: str | None, finish: str
) -> None:
    one = reading()
    found = shown(read(one, [sse(start(), said(0, "a"), ended(reason, sequence=sequence), END)])[0])
    assert found[-2]["delta"] == {"stop_reason": shown_reason, "stop_sequence": shown_sequence}
    assert one.finish == finish


def test_a_call_that_ends_with_end_turn_is_a_call() -> None:
    found = events(start(), block(0, "tool_use", id="c", name="f"), stop(0), ended("end_turn"), END)
    assert as_object(found[-2]["delta"])["stop_reason"] == "tool_use"


@pytest.mark.parametrize("reason", ["abort", "Aborted", "error"])
def test_an_engine_that_gave_up_has_not_answered(reason: str) -> None:
    stream, message = sse(start(), said(0, "a"), ended(reason), END), whole(reason=reason)
    for answer in (lambda: read(reading(), [stream]), lambda: reading().whole(message)):
        with pytest.raises(EngineBroke) as raised:
            answer()
        assert "gave" in raised.value.detail


@pytest.mark.parametrize("identity", [None, "", 5, "x" * 257, "\n"])
def test_a_call_without_an_id_that_can_be_sent_back_gets_one(identity: JSON) -> None:
    found = events(start(), block(0, "tool_use", id=identity, name="f"), stop(0), ended("tool_use"), END)
    assert as_object(found[1]["content_block"])["id"] == f"toolu_{_ID}_0"


def test_arguments_that_were_cut_at_the_limit_are_no_failure() -> None:
    well_formed(events(start(), block(0, "tool_use", name="f"), said(0, '{"a', "input_json"), ended("max_tokens"), END))


def test_ollamas_estimate_of_the_prompt_is_shown_and_not_charged() -> None:
    one = reading()
    data, _ = read(one, [sse(start(900, 0), said(0, "a"), ended(input_tokens=12), END)])
    found = shown(data)
    assert as_object(as_object(found[0]["message"])["usage"])["input_tokens"] == 900
    assert as_object(found[-2]["usage"])["input_tokens"] == 12
    assert one.settle()
    assert one.usage.input == 12


def test_an_engine_that_counts_nothing_is_counted() -> None:
    one = reading()
    found = shown(read(one, [sse(start(0, 0), said(0, "a"), said(0, "b"), ended(written=None), END)])[0])
    assert as_object(found[-2]["usage"]) == {
        "input_tokens": 40,
        "output_tokens": 2,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
    }
    assert not one.settle()


def test_what_the_beginning_says_of_the_answer_is_no_count_of_it() -> None:
    """Anthropic's own API says 1 there."""
    one = reading()
    read(one, [sse(start(output_tokens=1), said(0, "a"), said(0, "b"), ended(written=None), END)])
    assert not one.settle()
    assert one.tokens == 2


def test_arguments_are_held_up_to_a_bound() -> None:
    """They are looked at when they are whole, and an engine may never end them."""
    piece = sse(said(0, "1" * (1 << 20), "input_json"))
    one = reading()
    read(one, [sse(start(), block(0, "tool_use", name="f")), *[piece] * 16])
    with pytest.raises(EngineBroke) as raised:
        read(one, [piece])
    assert "too large" in raised.value.detail
    two = reading()
    read(two, [sse(start(), block(0, "tool_use", name="f"), said(0, "{}", "input_json"), stop(0))])
    read(two, [sse(block(1, "tool_use", name="f")), *[sse(said(1, "1" * (1 << 20), "input_json"))] * 16])


_TEXT = st.text(min_size=1, max_size=6)
_DELTAS = st.lists(
    st.builds(said, st.integers(0, 2), _TEXT, st.sampled_from(["text", "thinking"]))
    | st.builds(block, st.integers(0, 2), st.sampled_from(["text", "thinking"]))
    | st.builds(stop, st.integers(0, 2))
    | st.just(PING),
    max_size=8,
)


@given(_DELTAS, st.lists(st.integers(0, 10_000), max_size=12))
def test_however_it_is_cut_the_events_are_the_same_and_well_formed(deltas: list[Object], places: list[int]) -> None:
    data = sse(start(), *deltas, ended(), END)
    found, tokens = read(reading(), cut(data, places))
    assert (found, tokens) == read(reading(), [data])
    well_formed(shown(found))
    wanted = [as_object(each["delta"]) for each in deltas if each["type"] == "content_block_delta"]
    given = [as_object(each["delta"]) for each in shown(found) if each["type"] == "content_block_delta"]
    assert [each for each in given if each["type"] != "signature_delta"] == wanted


@given(_DELTAS, st.integers(0, 40))
def test_wherever_it_is_cut_off_it_ends_well_formed(deltas: list[Object], allowed: int) -> None:
    """As the flow does it: the piece that is too much is not given, and the end stands in its place."""
    one = reading()
    found: list[bytes] = []
    used = 0
    for piece in one.pieces(sse(start(), *deltas, ended(), END)):
        if piece.tokens and used + piece.tokens > allowed:
            found.append(one.cut(used))
            break
        used += piece.tokens
        found.append(piece.data)
    documents = shown(b"".join(found))
    well_formed(documents)
    assert one.finish in {"stop", "length"}
    if one.finish == "length":
        assert as_object(documents[-2]["delta"])["stop_reason"] == "max_tokens"
        assert as_object(documents[-2]["usage"])["output_tokens"] == used


def whole(*content: JSON, reason: str | None = "end_turn", **more: JSON) -> Object:
    return {
        "type": "message",
        "id": "x",
        "role": "assistant",
        "model": ECHOED,
        "content": list(content),
        "stop_reason": reason,
        "usage": {"input_tokens": 5, "cache_read_input_tokens": 2, "output_tokens": 3},
        **more,
    }


def test_a_whole_message_has_known_members_only() -> None:
    one = reading()
    text: Object = {"type": "text", "text": "Hello", "citations": [1]}
    call: Object = {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}, "secret": 1}
    thought: Object = {"type": "thinking", "thinking": "hm"}
    found = one.whole(whole(thought, text, call, {"type": "news"}, kv_transfer_params={}))
    Message.model_validate(found, strict=True)
    assert as_list(found["content"]) == [
        {"type": "thinking", "thinking": "hm", "signature": ""},
        {"type": "text", "text": "Hello"},
        {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}},
    ]
    assert (found["id"], found["model"], found["stop_reason"]) == (f"msg_{_ID}", "mine", "tool_use")
    assert found.keys() == {"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"}
    assert as_object(found["usage"])["input_tokens"] == 5
    assert one.settle()
    assert (one.usage.input, one.usage.output, one.finish) == (7, 3, "tool_calls")


@pytest.mark.parametrize(
    "document",
    [
        whole(reason=None),
        {"type": "error", "error": {"type": "x", "message": "secret"}},
        {"error": "secret"},
        {},
        whole({"type": "tool_use", "name": "f", "input": "{}"}),
        whole({"type": "tool_use", "input": {}}),
    ],
)
def test_what_is_no_message_breaks(document: Object) -> None:
    with pytest.raises(EngineBroke) as raised:
        reading().whole(document)
    assert "secret" not in raised.value.detail
