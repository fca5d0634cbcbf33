"""OpenAI's own Python package speaks Responses with the gateway: its types, strictly, and its helpers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import openai
import pytest
from openai.types.responses import Response, ResponseStreamEvent, response_item_list
from openai.types.responses.function_tool_param import FunctionToolParam
from pydantic import BaseModel, TypeAdapter

from policies.json import JSON, Object, as_object
from tests.system.calls import ASKED
from tests.system.process import Gateway, Key
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import Fin, Hold, Send, Stream, always, completion, delta, whole
from tests.system.test_responses import NEVER, messages

WEATHER: FunctionToolParam = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": True,
}
EVENT: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)


class City(BaseModel):
    """What a model is to answer in."""

    name: str


@contextmanager
def client(gateway: Gateway, key: Key) -> Iterator[openai.OpenAI]:
    host, port = gateway.address
    with openai.OpenAI(base_url=f"http://{host}:{port}/v1", api_key=key.secret, max_retries=0, timeout=30.0) as made:
        yield made


def called() -> list[Object]:
    begin: Object = {"index": 0, "id": "c1", "type": "function", "function": {"name": "weather", "arguments": ""}}
    pieces: list[JSON] = ['{"city"', ':"Bonn"}']
    return [
        delta(role="assistant", content=None, reasoning="hm"),
        delta(content="let me look"),
        delta(tool_calls=[begin]),
        *(delta(tool_calls=[{"index": 0, "function": {"arguments": piece}}]) for piece in pieces),
        delta(finish="tool_calls"),
    ]


def strictly(event: ResponseStreamEvent) -> ResponseStreamEvent:
    """The event as its type says it is; the package itself takes whatever comes."""
    return EVENT.validate_python(event.model_dump(by_alias=True), strict=False)


@pytest.mark.parametrize("summary", [False, True])
def test_every_event_is_of_its_type_and_a_conversation_with_a_tool_goes_on(
    gateway: Gateway, engine: RecordingEngine, key: Key, *, summary: bool
) -> None:
    engine.play(Stream(chunks=called()).script())
    with client(gateway, key) as sdk:
        stream = sdk.responses.create(
            model=ASKED,
            input="Weather in Bonn?",
            tools=[WEATHER],
            stream=True,
            reasoning={"summary": "auto"} if summary else {"effort": "low"},
        )
        events = [strictly(event) for event in stream]
        last = events[-1]
        assert last.type == "response.completed"
        Response.model_validate(last.response.model_dump(by_alias=True))
        assert [item.type for item in last.response.output] == ["reasoning", "message", "function_call"]
        call = last.response.output[2]
        assert call.type == "function_call"
        assert (call.call_id, call.arguments) == ("c1", '{"city":"Bonn"}')
        engine.play(always(*Stream().steps()))
        with sdk.responses.stream(
            model=ASKED,
            input=[{"type": "function_call_output", "call_id": "c1", "output": "rain"}],
            previous_response_id=last.response.id,
        ) as answer:
            for event in answer:
                assert event.sequence_number >= 0
            assert answer.get_final_response().output_text == "Hello there"
    turns = [as_object(turn) for turn in messages(engine)]
    assert [turn["role"] for turn in turns] == ["user", "assistant", "tool"]
    assert turns[1]["reasoning_content"] == "hm"
    assert (turns[2]["tool_call_id"], turns[2]["content"]) == ("c1", "rain")


def test_what_is_kept_is_looked_up_listed_and_deleted(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    with client(gateway, key) as sdk:
        made = sdk.responses.create(model=ASKED, input="one", instructions="be kind", metadata={"a": "b"})
        Response.model_validate(made.model_dump(by_alias=True))
        assert sdk.responses.retrieve(made.id) == made
        listed = sdk.responses.input_items.list(made.id, limit=1)
        response_item_list.ResponseItemList.model_validate({**listed.model_dump(by_alias=True), "object": "list"})
        assert [item.type for item in listed] == ["message"]
        counted = sdk.responses.input_tokens.count(model=ASKED, input="hi")
        assert (counted.object, counted.input_tokens > 0) == ("response.input_tokens", True)
        sdk.responses.delete(made.id)
        for gone in (made.id, NEVER):
            with pytest.raises(openai.NotFoundError) as told:
                sdk.responses.retrieve(gone)
            assert told.value.code == "response_not_found"
        with pytest.raises(openai.BadRequestError) as refused:
            sdk.responses.create(model=ASKED, input="two", previous_response_id=made.id)
        assert refused.value.code == "previous_response_not_found"


def test_an_answer_in_a_form_is_parsed(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    engine.play(always(Send(whole(completion('{"name":"Bonn"}')))))
    with client(gateway, key) as sdk:
        parsed = sdk.responses.parse(model=ASKED, input="Which city?", text_format=City)
    assert parsed.output_parsed == City(name="Bonn")
    form = as_object(engine.request().document["response_format"])
    assert as_object(form["json_schema"])["name"] == "City"


def test_a_stream_that_breaks_raises_the_packages_own_error(
    gateway: Gateway, engine: RecordingEngine, key: Key
) -> None:
    engine.play(always(*Stream().until(2, Fin())))
    with client(gateway, key) as sdk:
        stream = sdk.responses.create(model=ASKED, input="hi", stream=True)
        seen: list[str] = []
        with pytest.raises(openai.APIError) as told:
            seen.extend(strictly(event).type for event in stream)
        assert seen[-1] == "response.failed"
        assert told.value.code == "engine_broke"
        engine.play(always(*Stream().until(2, Fin())))
        with pytest.raises(openai.APIError), sdk.responses.stream(model=ASKED, input="hi") as helper:
            helper.until_done()


def test_who_leaves_in_the_middle_is_noticed(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    engine.play(always(*Stream().until(2, Hold())))
    with client(gateway, key) as sdk, sdk.responses.create(model=ASKED, input="hi", stream=True) as stream:
        assert next(iter(stream)).type == "response.created"
    engine.gone(engine.request(), within=5.0)


def test_a_refusal_is_the_packages_own_error(gateway: Gateway, engine: RecordingEngine) -> None:
    narrow = gateway.create_key("narrow", "--model", "other-*")
    with client(gateway, narrow) as sdk, pytest.raises(openai.PermissionDeniedError) as told:
        sdk.responses.create(model=ASKED, input="hi")
    assert told.value.code == "model_not_permitted"
