"""What the caller gets: the engine's answer in the gateway's words."""

from __future__ import annotations

import pytest

from policies.json import Object, as_list, as_object
from tests.system.calls import ASKED, CHAT, chat, chunks, events, start_stream, streamed
from tests.system.misbehaviour import REASONING, VARIANTS
from tests.system.process import Gateway, Key
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import (
    ECHOED,
    MODEL,
    TALK,
    USAGE,
    Hold,
    Send,
    Stream,
    always,
    completion,
    delta,
    embeddings,
    said,
    whole,
)
from tests.system.wire import compose

_HEADERS = {
    "content-type",
    "content-length",
    "transfer-encoding",
    "date",
    "server",
    "connection",
    "cache-control",
    "x-accel-buffering",
    "x-content-type-options",
    "x-request-id",
    "keep-alive",
}


def test_whole_answer(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    answer = gateway.post(CHAT, chat(), key.bearer)
    document = answer.json()
    assert answer.status == 200
    assert as_object(as_object(as_list(document["choices"])[0])["message"])["content"] == "Hello there"
    usage = as_object(document["usage"])
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (7, 3, 10)


@pytest.mark.parametrize("name", [ASKED, MODEL, MODEL.upper(), f"{ASKED}:latest"])
def test_model_is_named_as_the_caller_named_it(gateway: Gateway, engine: RecordingEngine, key: Key, name: str) -> None:
    body = {**chat(), "model": name}
    answer = gateway.post(CHAT, body, key.bearer)
    assert answer.json()["model"] == name
    with gateway.open() as wire:
        wire.send(compose("POST", CHAT, key.bearer, body={**body, "stream": True}))
        assert {chunk["model"] for chunk in chunks(events(wire))} == {name}
    assert [seen.document["model"] for seen in engine.requests] == [MODEL, MODEL]
    assert ECHOED.encode() not in answer.raw


@pytest.mark.parametrize("name", VARIANTS)
def test_every_way_an_engine_streams_reads_the_same(
    gateway: Gateway, engine: RecordingEngine, key: Key, name: str
) -> None:
    engine.play(VARIANTS[name].script())
    with start_stream(gateway, key, stream_options={"include_usage": True}) as wire:
        documents = chunks(events(wire))
    assert said(documents) == "Hello there"
    assert ECHOED not in str(documents)
    finishes = [as_object(c).get("finish_reason") for d in documents for c in as_list(d["choices"])]
    assert [f for f in finishes if f] == ["stop"]
    usages = [d for d in documents if d.get("usage")]
    assert usages == [documents[-1]], "exactly one usage chunk, the last"
    if VARIANTS[name].usage:
        usage = as_object(documents[-1]["usage"])
        assert {k: usage[k] for k in USAGE} == USAGE


def test_usage_chunk_is_hidden_unless_asked_for(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    variants: tuple[Object, ...] = ({}, {"stream_options": {"include_usage": False}})
    for options in variants:
        with start_stream(gateway, key, **options) as wire:
            documents = chunks(events(wire))
        assert not any(document.get("usage") for document in documents)
        assert all(as_list(document["choices"]) for document in documents)
    assert engine.request(1).document["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize("name", REASONING)
def test_reasoning_reaches_the_caller_under_both_names(
    gateway: Gateway, engine: RecordingEngine, key: Key, name: str
) -> None:
    engine.play(REASONING[name].script())
    with start_stream(gateway, key) as wire:
        documents = chunks(events(wire))
    assert (said(documents, "reasoning"), said(documents, "reasoning_content")) == ("hmm", "hmm")
    assert said(documents) == "Hello there"


def test_tool_calls_come_through_in_pieces(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    first: Object = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
    talk = [
        delta(role="assistant", content=None, tool_calls=[first]),
        *(_arguments(part) for part in ('{"ci', 'ty":"', 'Oslo"}')),
        delta(finish="tool_calls"),
    ]
    engine.play(Stream(chunks=talk).script())
    tool: Object = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    with start_stream(gateway, key, tools=[tool]) as wire:
        documents = chunks(events(wire))
    calls = [
        as_object(as_object(call)["function"]).get("arguments", "")
        for document in documents
        for choice in as_list(document["choices"])
        for call in as_list(as_object(as_object(choice)["delta"]).get("tool_calls"))
    ]
    assert "".join(str(part) for part in calls) == '{"city":"Oslo"}'
    assert as_list(engine.request().document["tools"]) == [tool]


def _arguments(part: str) -> Object:
    function: Object = {"arguments": part}
    return delta(tool_calls=[{"index": 0, "function": function}])


def test_two_choices_are_both_finished(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    talk = [delta(i, role="assistant", content=f"choice {i}") for i in (0, 1)]
    engine.play(Stream(chunks=[*talk, delta(0, "stop"), delta(1, "length")]).script())
    with start_stream(gateway, key, n=2) as wire:
        documents = chunks(events(wire))
    assert [said(documents, index=i) for i in (0, 1)] == ["choice 0", "choice 1"]


def test_a_hundred_thousand_tiny_chunks(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    count = 100_000
    engine.play(Stream(chunks=[TALK[0], *[delta(content="x")] * count, TALK[-1]], split=4096).script())
    with start_stream(gateway, key) as wire:
        documents = chunks(events(wire, within=60.0))
    assert len(said(documents)) == count


def test_stream_is_not_held_back(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    """Each event leaves as it came: the caller has the first while the engine still holds the second."""
    head, first, second, *rest = Stream().steps()
    engine.play(always(head, first, second, Hold(), *rest))
    with start_stream(gateway, key) as wire:
        stream = wire.events(wire.head())
        assert next(stream).json()["object"] == "chat.completion.chunk"
        assert said([next(stream).json()]) == "Hello"
        engine.release()
        assert list(stream)[-1].data == "[DONE]"


def test_answers_carry_a_request_id_and_none_of_the_engines_headers(
    gateway: Gateway, engine: RecordingEngine, key: Key
) -> None:
    hostile = ("Set-Cookie: a=b", "Server: engine/1", "Location: http://x", "X-Engine: y", "Keep-Alive: timeout=5")
    engine.play(always(Send(whole(completion(), 200, *hostile, "Access-Control-Allow-Origin: *"))))
    answer = gateway.post(CHAT, chat(), key.bearer)
    names = {name for name, _ in answer.head.headers}
    assert names <= _HEADERS, names
    assert answer.head.get("server") != "engine/1"
    assert len(answer.head.get("x-request-id") or "") == 32
    again = gateway.post(CHAT, chat(), key.bearer)
    assert again.head.get("x-request-id") != answer.head.get("x-request-id")


def test_embeddings_and_completions(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    answer = gateway.post("/v1/embeddings", {"model": ASKED, "input": ["a", "b"]}, key.bearer)
    assert [as_object(row)["embedding"] for row in as_list(answer.json()["data"])] == [
        as_object(row)["embedding"] for row in as_list(embeddings(2)["data"])
    ]
    assert answer.json()["model"] == ASKED
    answer = gateway.post("/v1/completions", {"model": ASKED, "prompt": "hi"}, key.bearer)
    assert as_object(as_list(answer.json()["choices"])[0])["text"] == "Hello there"


def test_streamed_text_completion(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    with gateway.open() as wire:
        wire.send(compose("POST", "/v1/completions", key.bearer, body={"model": ASKED, "prompt": "hi", "stream": True}))
        documents = chunks(events(wire))
    assert "".join(str(as_object(c)["text"]) for d in documents for c in as_list(d["choices"])) == "Hello there"


def test_connection_is_reused_for_answer_after_answer(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    with gateway.open() as wire:
        for _ in range(5):
            assert wire.ask(compose("POST", CHAT, key.bearer, body=chat())).status == 200
            wire.send(compose("POST", CHAT, key.bearer, body=streamed()))
            assert chunks(events(wire))
        assert wire.ask(compose("GET", "/healthz")).status == 200
    assert len({seen.connection for seen in engine.requests}) < 10, "connections to the engine are reused"


def test_health_needs_no_key_and_says_nothing_else(gateway: Gateway) -> None:
    answer = gateway.get("/healthz")
    assert answer.status == 200
    assert gateway.get("/healthz", admin=True).status == 200
    assert gateway.get("/readyz", admin=True).status == 200
    assert len(answer.body) < 100
