"""Anthropic's Messages over sockets: what the engine is asked, and what the caller gets, good and bad."""

from __future__ import annotations

import pytest

from policies.json import JSON, Object, as_list, as_object, as_str
from tests.system.calls import ASKED, CHAT, assert_leaving_is_noticed, chat
from tests.system.conftest import Launch
from tests.system.process import Gateway, Key
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import Fin, Hold, Reset, Send, Stream, always, delta, talker, whole
from tests.system.wire import Event, Wire, compose

MESSAGES = "/v1/messages"
COUNT = "/v1/messages/count_tokens"


def message(text: str = "hi", /, **extra: JSON) -> Object:
    return {"model": ASKED, "max_tokens": 64, "messages": [{"role": "user", "content": text}], **extra}


def ask(gateway: Gateway, key: Key, **extra: JSON) -> Wire:
    wire = gateway.open()
    wire.send(compose("POST", MESSAGES, key.bearer, body=message(stream=True, **extra)))
    return wire


def streamed(gateway: Gateway, key: Key, **extra: JSON) -> list[Event]:
    with ask(gateway, key, **extra) as wire:
        head = wire.accepted()
        assert head.get("request-id") == head.get("x-request-id")
        return [event for event in wire.events(head) if event.data is not None]


def names(found: list[Event]) -> list[str | None]:
    assert all(event.name == event.json()["type"] for event in found)
    return [event.name for event in found]


@pytest.mark.parametrize("path", [MESSAGES, "/anthropic/v1/messages", "/v1/messages?beta=true"])
def test_a_whole_answer(gateway: Gateway, engine: RecordingEngine, key: Key, path: str) -> None:
    answer = gateway.post(path, message(system="be kind", top_p=0.5), key.bearer)
    assert answer.status == 200
    found = answer.json()
    assert as_object(as_list(found["content"])[0]) == {"type": "text", "text": "Hello there"}
    assert (found["type"], found["role"], found["model"], found["stop_reason"]) == (
        "message",
        "assistant",
        ASKED,
        "end_turn",
    )
    asked = engine.request().document
    assert asked["messages"] == [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}]
    assert (asked["max_tokens"], asked["top_p"]) == (64, 0.5)
    assert engine.request().path == CHAT


def test_a_stream(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    found = streamed(gateway, key)
    delta_, stop = "content_block_delta", "content_block_stop"
    start = ["message_start", "content_block_start"]
    assert names(found) == [*start, delta_, delta_, stop, "message_delta", "message_stop"]
    assert as_object(engine.request().document["stream_options"]) == {"include_usage": True}
    assert as_object(found[-2].json()["usage"])["output_tokens"]


def test_a_call_of_a_tool(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    schema: Object = {"type": "object", "properties": {"city": {"type": "string"}}}
    tool: Object = {"name": "weather", "input_schema": schema}
    pieces: list[JSON] = ['{"city"', ':"Bonn"}']
    begin: Object = {"index": 0, "id": "c1", "type": "function", "function": {"name": "weather", "arguments": ""}}
    chunks = [
        delta(role="assistant", content=None, tool_calls=[begin]),
        *(delta(tool_calls=[{"index": 0, "function": {"arguments": piece}}]) for piece in pieces),
        delta(finish="tool_calls"),
    ]
    engine.play(Stream(chunks=chunks).script())
    found = streamed(gateway, key, tools=[tool], tool_choice={"type": "any"})
    block = as_object(found[1].json()["content_block"])
    assert block == {"type": "tool_use", "id": "c1", "name": "weather", "input": {}}
    deltas = [as_object(event.json()["delta"]) for event in found if event.name == "content_block_delta"]
    assert "".join(as_str(each["partial_json"]) for each in deltas) == '{"city":"Bonn"}'
    assert as_object(found[-2].json()["delta"])["stop_reason"] == "tool_use"
    asked = engine.request().document
    assert asked["tool_choice"] == "required"
    assert asked["tools"] == [{"type": "function", "function": {"name": "weather", "parameters": schema}}]


@pytest.mark.parametrize("breaks", [Fin(), Reset()], ids=["end", "reset"])
def test_a_stream_that_breaks_is_an_error_event(
    gateway: Gateway, engine: RecordingEngine, key: Key, breaks: Fin | Reset
) -> None:
    engine.play(always(*Stream().until(2, breaks)))
    found = streamed(gateway, key)
    assert "message_stop" not in names(found)
    last = found[-1].json()
    assert (found[-1].name, as_object(last["error"])["type"]) == ("error", "api_error")


def test_arguments_that_are_no_json_are_an_error_event(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    call: Object = {"index": 0, "id": "c1", "function": {"name": "f", "arguments": "{nonsense"}}
    engine.play(Stream(chunks=[delta(tool_calls=[call]), delta(finish="tool_calls")]).script())
    found = streamed(gateway, key, tools=[{"name": "f", "input_schema": {"type": "object"}}])
    assert found[-1].name == "error"
    assert "nonsense" not in (found[-1].data or "")


def test_an_answer_that_breaks_is_an_error_in_the_dialect(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    engine.play(always(Send(whole({"error": {"message": "secret path"}}, 500))))
    answer = gateway.post(MESSAGES, message(), key.bearer)
    assert answer.status == 502
    assert answer.json()["type"] == "error"
    assert answer.json()["request_id"] == answer.head.get("request-id")
    assert b"secret" not in answer.raw


def test_the_engine_learns_of_a_caller_that_leaves(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    engine.play(always(*Stream().until(2, Hold())))
    with ask(gateway, key) as wire:
        head = wire.head()
        next(wire.events(head))
        assert_leaving_is_noticed(engine, wire)


def test_a_budget_ends_the_message_well_formed(launch: Launch, engine: RecordingEngine) -> None:
    rule: Object = {"name": "budget", "per": "owner", "output": {"day": 20}}
    gateway = launch(limits={"rules": [rule]})
    key = gateway.create_key("caller")
    engine.play(talker(50))
    found = streamed(gateway, key)
    assert names(found)[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    end = found[-2].json()
    assert as_object(end["delta"])["stop_reason"] == "max_tokens"
    assert as_object(end["usage"])["output_tokens"] == 20


def test_counting_asks_no_engine_for_an_answer_and_is_an_estimate_where_none_counts(
    gateway: Gateway, engine: RecordingEngine, key: Key
) -> None:
    few = gateway.post(COUNT, {"model": ASKED, "messages": [{"role": "user", "content": "hi"}]}, key.bearer)
    many = gateway.post(COUNT, {"model": ASKED, "messages": [{"role": "user", "content": "hi " * 400}]}, key.bearer)
    assert (few.status, many.status) == (200, 200)
    assert set(few.json()) == {"input_tokens"}
    one, other = few.json()["input_tokens"], many.json()["input_tokens"]
    assert isinstance(one, int)
    assert isinstance(other, int)
    assert 0 < one < other
    assert engine.requests == []


def test_an_estimate_waits_for_no_engine(launch: Launch, engine: RecordingEngine) -> None:
    """Claude Code asks before each turn: behind one long answer it waited for a number that no engine was asked for."""
    gateway = launch(engine={"concurrency": 1})
    key = gateway.create_key("caller")
    engine.play(always(Hold()))
    with ask(gateway, key):
        engine.request(0)
        answer = gateway.post(COUNT, {"model": ASKED, "messages": [{"role": "user", "content": "hi"}]}, key.bearer)
        assert answer.status == 200
        engine.release()


def test_who_may_not_use_the_model_may_not_count_with_it_either(gateway: Gateway, engine: RecordingEngine) -> None:
    key = gateway.create_key("narrow", "--model", "other-*")
    for path in (MESSAGES, COUNT):
        answer = gateway.post(path, message(), key.bearer)
        assert answer.status == 403
        assert as_object(answer.json()["error"])["type"] == "permission_error"
    assert engine.requests == []


def test_models_are_listed_in_the_dialect_of_who_asks(gateway: Gateway, key: Key) -> None:
    version = "anthropic-version: 2023-06-01"
    page = gateway.get("/v1/models", key.bearer, version).json()
    listed = [as_object(each) for each in as_list(page["data"])]
    assert (page["has_more"], page["first_id"], page["last_id"]) == (False, listed[0]["id"], listed[-1]["id"])
    assert all(each["type"] == "model" for each in listed)
    assert gateway.get("/anthropic/v1/models", key.bearer).json() == page
    assert gateway.get(f"/v1/models/{ASKED}", key.bearer, version).json()["id"] == ASKED
    assert gateway.get("/v1/models", key.bearer).json()["object"] == "list"


def test_the_key_may_come_as_anthropics_clients_send_it(gateway: Gateway, key: Key) -> None:
    assert gateway.post(MESSAGES, message(), f"x-api-key: {key.secret}").status == 200
    assert gateway.post(CHAT, chat(), f"x-api-key: {key.secret}").status == 200
