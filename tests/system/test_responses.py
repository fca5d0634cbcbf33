"""OpenAI's Responses over sockets: what the engine is asked, and what the caller gets, good and bad."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from policies.json import JSON, Object, as_list, as_object, as_str
from tests.system.calls import ASKED, CHAT, assert_leaving_is_noticed
from tests.system.conftest import Launch
from tests.system.process import Gateway, Key, until
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import PRIVATE_MODEL, Fin, Hold, Reset, Send, Stream, always, delta, talker, whole
from tests.system.wire import Answer, Event, Wire, compose

RESPONSES = "/v1/responses"
COUNT = "/v1/responses/input_tokens"
NEVER = "resp_" + "0" * 32


def request(text: JSON = "hi", /, **extra: JSON) -> Object:
    return {"model": ASKED, "input": text, **extra}


def ask(gateway: Gateway, key: Key, **extra: JSON) -> Wire:
    wire = gateway.open()
    wire.send(compose("POST", RESPONSES, key.bearer, body=request(stream=True, **extra)))
    return wire


def streamed(gateway: Gateway, key: Key, **extra: JSON) -> list[Event]:
    with ask(gateway, key, **extra) as wire:
        head = wire.head()
        assert head.status == 200, b"".join(wire.blocks(head))
        found = [event for event in wire.events(head) if event.data is not None]
    assert [event.json()["sequence_number"] for event in found] == list(range(len(found)))
    return found


def names(found: list[Event]) -> list[str | None]:
    assert all(event.name == event.json()["type"] for event in found)
    return [event.name for event in found]


def delete(gateway: Gateway, path: str, *lines: str) -> Answer:
    with gateway.open() as wire:
        return wire.ask(compose("DELETE", path, *lines))


def made(gateway: Gateway, key: Key, text: JSON = "hi", /, **extra: JSON) -> Object:
    answer = gateway.post(RESPONSES, request(text, **extra), key.bearer)
    assert answer.status == 200, answer.raw
    return answer.json()


def messages(engine: RecordingEngine) -> list[JSON]:
    """What the engine was asked last."""
    return as_list(engine.requests[-1].document["messages"])


def identity(response: Object) -> str:
    return as_str(response["id"])


def output_text(response: Object) -> str:
    parts = [
        as_object(part) for item in as_list(response["output"]) for part in as_list(as_object(item).get("content"))
    ]
    return "".join(as_str(part.get("text")) for part in parts)


@pytest.mark.parametrize("path", [RESPONSES, "/engines/v1/responses"])
def test_a_whole_answer(gateway: Gateway, engine: RecordingEngine, key: Key, path: str) -> None:
    answer = gateway.post(path, request(instructions="be kind", top_p=0.5, max_output_tokens=64), key.bearer)
    assert answer.status == 200
    found = answer.json()
    assert identity(found) == "resp_" + (answer.head.get("x-request-id") or "")
    assert output_text(found) == "Hello there"
    assert (found["object"], found["status"], found["model"], found["error"]) == ("response", "completed", ASKED, None)
    assert (found["instructions"], found["max_output_tokens"], found["store"]) == ("be kind", 64, True)
    asked = engine.request()
    assert asked.path == CHAT
    assert asked.document["messages"] == [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}]
    assert (asked.document["max_tokens"], asked.document["top_p"]) == (64, 0.5)


def test_a_stream(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    found = streamed(gateway, key)
    assert names(found) == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert as_object(engine.request().document["stream_options"]) == {"include_usage": True}
    response = as_object(found[-1].json()["response"])
    assert as_object(response["usage"])["output_tokens"]
    assert output_text(response) == "".join(as_str(event.json()["delta"]) for event in found[4:6])
    assert gateway.get(f"{RESPONSES}/{identity(response)}", key.bearer).json() == response


def test_a_call_of_a_function(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    schema: Object = {"type": "object", "properties": {"city": {"type": "string"}}}
    tool: Object = {"type": "function", "name": "weather", "parameters": schema, "strict": True}
    begin: Object = {"index": 0, "id": "c1", "type": "function", "function": {"name": "weather", "arguments": ""}}
    pieces: list[JSON] = ['{"city"', ':"Bonn"}']
    chunks = [
        delta(role="assistant", content=None, tool_calls=[begin]),
        *(delta(tool_calls=[{"index": 0, "function": {"arguments": piece}}]) for piece in pieces),
        delta(finish="tool_calls"),
    ]
    engine.play(Stream(chunks=chunks).script())
    found = streamed(gateway, key, tools=[tool, {"type": "web_search"}], tool_choice="required")
    call = as_object(as_list(as_object(found[-1].json()["response"])["output"])[0])
    assert (call["type"], call["call_id"], call["arguments"]) == ("function_call", "c1", '{"city":"Bonn"}')
    asked = engine.request().document
    assert asked["tool_choice"] == "required"
    function: Object = {"name": "weather", "parameters": schema, "strict": True}
    assert asked["tools"] == [{"type": "function", "function": function}]


@pytest.mark.parametrize("breaks", [Fin(), Reset()], ids=["end", "reset"])
def test_a_stream_that_breaks_fails(gateway: Gateway, engine: RecordingEngine, key: Key, breaks: Fin | Reset) -> None:
    engine.play(always(*Stream().until(2, breaks)))
    found = streamed(gateway, key)
    assert names(found)[-2:] == ["response.failed", "error"]
    failed = as_object(found[-2].json()["response"])
    assert (failed["status"], as_object(failed["error"])["code"]) == ("failed", "server_error")
    assert identity(failed) == identity(as_object(found[0].json()["response"]))
    assert as_object(found[-1].json()["error"])["code"] == "engine_broke"
    assert gateway.get(f"{RESPONSES}/{identity(failed)}", key.bearer).status == 404


def test_a_stream_that_fails_while_it_waits_is_a_response_that_failed(launch: Launch, engine: RecordingEngine) -> None:
    gateway = launch(queue={"tell_after": 0.05, "tell_every": 0.05})
    key = gateway.create_key("caller")
    engine.play(always(Hold(), Send(whole({"error": {"message": "secret path"}}, 500))))
    with ask(gateway, key) as wire:
        head = wire.head()  # begun by a comment
        assert head.status == 200
        engine.release()
        found = [event for event in wire.events(head) if event.data is not None]
    assert names(found) == ["response.created", "response.in_progress", "response.failed", "error"]
    assert [event.json()["sequence_number"] for event in found] == [0, 1, 2, 3]


def test_what_the_engine_says_of_its_failure_stays_here(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    engine.play(always(Send(whole({"error": {"message": "secret path"}}, 500))))
    answer = gateway.post(RESPONSES, request(), key.bearer)
    assert answer.status == 502
    assert as_object(answer.json()["error"])["code"] == "engine_broke"
    assert b"secret" not in answer.raw


def test_the_engine_learns_of_a_caller_that_leaves(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    engine.play(always(*Stream().until(2, Hold())))
    with ask(gateway, key) as wire:
        head = wire.head()
        next(wire.events(head))
        assert_leaving_is_noticed(engine, wire)


def test_a_budget_ends_the_response_incomplete(launch: Launch, engine: RecordingEngine) -> None:
    rule: Object = {"name": "budget", "per": "owner", "output": {"day": 20}}
    gateway = launch(limits={"rules": [rule]})
    key = gateway.create_key("caller")
    engine.play(talker(50))
    found = streamed(gateway, key)
    assert names(found)[-2:] == ["response.output_item.done", "response.incomplete"]
    response = as_object(found[-1].json()["response"])
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert as_object(response["usage"])["output_tokens"] == 20
    assert gateway.get(f"{RESPONSES}/{identity(response)}", key.bearer).json()["status"] == "incomplete"


def test_megabytes_in_one_piece_are_said_whole_and_ten_are_too_much(
    gateway: Gateway, engine: RecordingEngine, key: Key
) -> None:
    text = "word " * 1_000_000
    engine.play(Stream(chunks=[delta(content=text), delta(finish="stop")]).script())
    found = streamed(gateway, key, store=False)
    assert output_text(as_object(found[-1].json()["response"])) == text
    engine.play(Stream(chunks=[delta(content="so"), delta(content=text * 2), delta(finish="stop")]).script())
    assert names(streamed(gateway, key))[-2:] == ["response.failed", "error"]


def test_half_letters_and_empty_pieces_are_put_together(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    chunks = [delta(content="K\u00f6ln"), delta(), delta(content=""), delta(content=None), delta(finish="stop")]
    for size in (1, 7, -1):
        engine.play(Stream(chunks=chunks, split=size).script())
        assert output_text(as_object(streamed(gateway, key)[-1].json()["response"])) == "K\u00f6ln"


def test_a_conversation_goes_on(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    first = made(gateway, key, "one", instructions="be kind")
    second = made(gateway, key, "two", previous_response_id=first["id"])
    third = as_object(streamed(gateway, key, input="three", previous_response_id=second["id"])[-1].json()["response"])
    assert third["previous_response_id"] == second["id"]
    said: Object = {"role": "assistant", "content": "Hello there"}
    turns: list[JSON] = [{"role": "user", "content": "one"}, said, {"role": "user", "content": "two"}, said]
    assert messages(engine) == [*turns, {"role": "user", "content": "three"}]
    beside = made(gateway, key, "also", previous_response_id=first["id"])
    assert beside["status"] == "completed"
    assert messages(engine) == [*turns[:2], {"role": "user", "content": "also"}]


def test_items_of_earlier_responses_can_be_referred_to(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    said = as_object(as_list(made(gateway, key, "one")["output"])[0])
    items: list[JSON] = [
        {"role": "user", "content": "one"},
        {"type": "item_reference", "id": said["id"]},
        {"role": "user", "content": "two"},
    ]
    second = made(gateway, key, items)
    assert messages(engine)[1] == {"role": "assistant", "content": "Hello there"}
    listed = gateway.get(f"{RESPONSES}/{identity(second)}/input_items?order=asc", key.bearer).json()
    assert [as_object(item)["type"] for item in as_list(listed["data"])] == ["message"] * 3
    other = gateway.create_key("other", "--owner", "somebody")
    for named in (said["id"], "msg_" + "0" * 32 + "_0", "nonsense"):
        reference: JSON = {"type": "item_reference", "id": named}
        answer = gateway.post(RESPONSES, request([reference]), other.bearer)
        assert (answer.status, as_object(answer.json()["error"])["code"]) == (400, "previous_response_not_found")


@pytest.mark.parametrize("path", [RESPONSES, COUNT])
def test_who_may_not_use_a_model_does_not_go_on_from_what_it_said(
    gateway: Gateway, engine: RecordingEngine, path: str
) -> None:
    """Another model would repeat it."""
    wide = gateway.create_key("wide-past", "--owner", "cora")
    narrow = gateway.create_key("narrow-past", "--owner", "cora", "--model", "*private*")
    other = PRIVATE_MODEL.lower()
    said = made(gateway, wide, "for those who may")
    item: Object = {"type": "item_reference", "id": as_str(as_object(as_list(said["output"])[0])["id"])}
    before = len(engine.requests)
    goes_on: list[Object] = [
        {"model": other, "input": "repeat", "previous_response_id": said["id"]},
        {"model": other, "input": [item, {"role": "user", "content": "repeat"}]},
    ]
    for body in goes_on:
        answer = gateway.post(path, body, narrow.bearer)
        assert answer.status == 403, answer.raw
        assert as_object(answer.json()["error"])["code"] == "model_not_permitted"
    assert len(engine.requests) == before
    for body in goes_on:
        assert gateway.post(path, body, wide.bearer).status == 200
    assert gateway.post(path, {"model": other, "input": "hi"}, narrow.bearer).status == 200


def test_a_response_is_nobodys_but_its_owners(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    mine = gateway.create_key("mine", "--owner", "ann")
    again = gateway.create_key("again", "--owner", "ann")
    other = gateway.create_key("other", "--owner", "bob")
    response = made(gateway, mine, "a secret of ann")
    path = f"{RESPONSES}/{identity(response)}"
    assert gateway.get(path, again.bearer).json() == response
    for route in ("", "/input_items"):
        foreign, never = (
            gateway.get(path + route, other.bearer),
            gateway.get(f"{RESPONSES}/{NEVER}{route}", other.bearer),
        )
        assert foreign.status == 404
        assert foreign.json() == never.json()
    assert delete(gateway, path, other.bearer).status == 404
    refusals = [
        gateway.post(RESPONSES, request(previous_response_id=previous), other.bearer)
        for previous in (response["id"], NEVER, "nonsense")
    ]
    assert {answer.status for answer in refusals} == {400}
    assert refusals[0].json() == refusals[1].json() == refusals[2].json()
    assert gateway.get(path, again.bearer).status == 200


def test_what_is_deleted_is_gone(launch: Launch, engine: RecordingEngine) -> None:
    gateway = launch()
    key = gateway.create_key("caller")
    canary = "canary-of-a-prompt"
    first = made(gateway, key, canary, instructions=canary)
    second = made(gateway, key, "more", previous_response_id=first["id"])
    path = f"{RESPONSES}/{identity(first)}"
    assert delete(gateway, path, key.bearer).json() == {"id": first["id"], "object": "response", "deleted": True}
    assert gateway.get(path, key.bearer).status == 404
    assert delete(gateway, path, key.bearer).status == 404
    answer = gateway.post(RESPONSES, request(previous_response_id=second["id"]), key.bearer)
    assert as_object(answer.json()["error"])["code"] == "previous_response_not_found"
    assert gateway.stop() == 0
    assert canary not in gateway.logged()
    for file in (gateway.folder / "home").glob("gateway.db*"):
        assert canary.encode() not in file.read_bytes()


def test_store_false_keeps_nothing(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    response = made(gateway, key, store=False)
    assert response["store"] is False
    assert gateway.get(f"{RESPONSES}/{identity(response)}", key.bearer).status == 404


def test_an_operator_can_have_nothing_kept(launch: Launch, engine: RecordingEngine) -> None:
    gateway = launch(responses={"store": False})
    key = gateway.create_key("caller")
    response = made(gateway, key)
    assert response["store"] is False
    assert gateway.get(f"{RESPONSES}/{identity(response)}", key.bearer).status == 404


def test_what_is_too_old_is_gone_and_a_restart_is_not_the_end(launch: Launch, engine: RecordingEngine) -> None:
    gateway = launch(responses={"keep": "15s"})
    key = gateway.create_key("caller")
    response = made(gateway, key)
    path = f"{RESPONSES}/{identity(response)}"
    assert gateway.stop() == 0
    gateway.start().ready()
    assert gateway.get(path, key.bearer).json() == response
    until(lambda: gateway.get(path, key.bearer).status == 404, 27.0, "the response expires")
    made(gateway, key)
    assert gateway.stop() == 0
    with closing(sqlite3.connect(gateway.folder / "home" / "gateway.db")) as database:
        assert database.execute("SELECT count(*) FROM responses WHERE id = ?", (response["id"],)).fetchone() == (0,)


def test_the_items_of_a_response(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    items: list[JSON] = [{"role": "user", "content": f"line {number}"} for number in range(25)]
    path = f"{RESPONSES}/{identity(made(gateway, key, items))}/input_items"
    page = gateway.get(path, key.bearer).json()
    assert (len(as_list(page["data"])), page["has_more"]) == (20, True)
    assert as_object(as_list(page["data"])[0])["content"] == [{"type": "input_text", "text": "line 24"}]
    rest = gateway.get(f"{path}?after={page['last_id']}&limit=100", key.bearer).json()
    assert (len(as_list(rest["data"])), rest["has_more"]) == (5, False)
    for query in ("limit=0", "limit=x", "order=up", "after=msg_1", "limit=%ff"):
        assert gateway.get(f"{path}?{query}", key.bearer).status == 400


def test_who_may_not_use_the_model_may_neither_ask_nor_read_on(launch: Launch, engine: RecordingEngine) -> None:
    gateway = launch()
    key, narrow = (
        gateway.create_key("wide", "--owner", "ann"),
        gateway.create_key("narrow", "--owner", "ann", "--model", "x-*"),
    )
    lister = gateway.create_key("lister", "--owner", "ann", "--scope", "models:read")
    path = f"{RESPONSES}/{identity(made(gateway, key))}"
    asked = len(engine.requests)
    for answer in (
        gateway.post(RESPONSES, request(), narrow.bearer),
        gateway.post(COUNT, request(), narrow.bearer),
        gateway.get(path, narrow.bearer),
        gateway.get(path + "/input_items", narrow.bearer),
    ):
        assert (answer.status, as_object(answer.json()["error"])["code"]) == (403, "model_not_permitted")
    assert as_object(gateway.get(path, lister.bearer).json()["error"])["code"] == "scope_missing"
    assert delete(gateway, path, lister.bearer).status == 403
    assert len(engine.requests) == asked
    assert delete(gateway, path, narrow.bearer).status == 200


@pytest.mark.parametrize(
    ("extra", "param"),
    [
        ({"background": True}, "background"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "p"}}, "prompt"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "http://a/"}]}]},
            "input[].content[].image_url",
        ),
        ({"input": []}, "input"),
    ],
)
def test_what_is_refused_says_which_parameter(
    gateway: Gateway, engine: RecordingEngine, key: Key, extra: Object, param: str
) -> None:
    answer = gateway.post(RESPONSES, request(**extra), key.bearer)
    assert (answer.status, as_object(answer.json()["error"])["param"]) == (400, param)


def test_counting_asks_no_engine_for_an_answer(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    first = made(gateway, key, "hi " * 400)
    asked = len(engine.requests)
    few = gateway.post(COUNT, request(), key.bearer).json()
    many = gateway.post(COUNT, request(previous_response_id=first["id"]), key.bearer).json()
    assert set(few) == {"object", "input_tokens"}
    assert few["object"] == "response.input_tokens"
    one, other = few["input_tokens"], many["input_tokens"]
    assert isinstance(one, int)
    assert isinstance(other, int)
    assert 0 < one < other
    assert len(engine.requests) == asked
