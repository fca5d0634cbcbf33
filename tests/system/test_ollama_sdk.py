"""The official ollama package reads every line of ours, and raises its own error where an answer breaks."""

from __future__ import annotations

import json
from collections.abc import Iterator

import ollama
import pytest

from policies.json import JSON, Object
from tests.system.calls import ASKED
from tests.system.misbehaviour import BROKEN_ANSWERS, BROKEN_STREAMS, REASONING, SECRET_DETAIL
from tests.system.process import Gateway, Key
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import Hold, Stream, always, delta

HI = [{"role": "user", "content": "hi"}]


@pytest.fixture
def client(gateway: Gateway, key: Key) -> Iterator[ollama.Client]:
    host, port = gateway.address
    made = ollama.Client(f"http://{host}:{port}", headers={"Authorization": f"Bearer {key.secret}"}, timeout=20.0)
    yield made
    made.close()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("name", BROKEN_STREAMS)
def test_a_broken_stream_raises(client: ollama.Client, engine: RecordingEngine, name: str) -> None:
    """Finding 2 of facts/clients.md: a clean end reads as success with half the text."""
    engine.play(BROKEN_STREAMS[name])
    with pytest.raises(ollama.ResponseError) as raised:
        _read_on(client.chat(ASKED, HI, stream=True), engine)
    assert SECRET_DETAIL not in str(raised.value)


def _read_on(stream: Iterator[ollama.ChatResponse], engine: RecordingEngine) -> None:
    for _ in stream:
        engine.release()


@pytest.mark.parametrize("name", BROKEN_ANSWERS)
def test_a_broken_answer_raises(client: ollama.Client, engine: RecordingEngine, name: str) -> None:
    engine.when("marked", BROKEN_ANSWERS[name])  # and not queued: on a used connection the gateway asks once more
    with pytest.raises(ollama.ResponseError) as raised:
        client.generate(ASKED, "marked")
    assert raised.value.status_code == 502


@pytest.mark.parametrize("name", REASONING)
def test_thoughts_stand_apart(client: ollama.Client, engine: RecordingEngine, name: str) -> None:
    engine.play(REASONING[name].script(), REASONING[name].script())
    message = client.chat(ASKED, HI, think=True).message
    assert (message.thinking, message.content) == ("hmm", "Hello there")
    found = client.generate(ASKED, "hi", think="low")
    assert (found.thinking, found.response) == ("hmm", "Hello there")
    assert engine.request(1).document["reasoning_effort"] == "low"


def test_calls_and_tokens(client: ollama.Client, engine: RecordingEngine) -> None:
    tokens: list[JSON] = [{"token": "so", "logprob": -0.5, "bytes": [115, 111], "top_logprobs": []}]
    said = delta(content="so")
    choice = said["choices"]
    assert isinstance(choice, list)
    assert isinstance(choice[0], dict)
    choice[0]["logprobs"] = {"content": tokens}
    calls: list[Object] = [
        {"index": at, "id": f"c{at}", "type": "function", "function": {"name": "f", "arguments": json.dumps({"n": at})}}
        for at in range(2)
    ]
    chunks = [said, *(delta(tool_calls=[call]) for call in calls), delta(finish="tool_calls")]
    engine.play(Stream(chunks=chunks).script())
    found = list(client.chat(ASKED, HI, stream=True, logprobs=True))
    assert [each.logprob for line in found for each in line.logprobs or []] == [-0.5]
    made = [call.function for line in found for call in line.message.tool_calls or []]
    assert [(each.name, dict(each.arguments)) for each in made] == [("f", {"n": 0}), ("f", {"n": 1})]


def test_the_engine_learns_of_a_client_that_leaves(client: ollama.Client, engine: RecordingEngine) -> None:
    engine.play(always(*Stream().until(2, Hold())))
    stream = client.chat(ASKED, HI, stream=True)
    next(iter(stream))
    seen = engine.request()
    stream.close()  # type: ignore[attr-defined]
    assert engine.gone(seen, within=5.0)
