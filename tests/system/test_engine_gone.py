"""An engine that fails: the caller gets a constant error or an error event, never a clean end, and life goes on."""

from __future__ import annotations

import time
from collections.abc import Iterable

import openai
import pytest

from tests.system.calls import (
    ASKED,
    CHAT,
    assert_constant,
    assert_error_event,
    chat,
    events,
    start_stream,
    streamed,
)
from tests.system.conftest import Launch
from tests.system.misbehaviour import BROKEN_ANSWERS, BROKEN_STREAMS, ERROR_SHAPES, SECRET_DETAIL
from tests.system.process import Gateway, Key, until
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import Fin, Send, Stream, always, head, whole

_MARK = "marked-request"
"""Scripts are bound to it and not queued, so that a gateway that tries again gets the same once more."""


def _assert_serves(gateway: Gateway, key: Key) -> None:
    assert gateway.post(CHAT, chat("next"), key.bearer).status == 200


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", BROKEN_ANSWERS)
def test_broken_answer_is_a_502(
    gateway: Gateway, engine: RecordingEngine, key: Key, name: str, *, stream: bool
) -> None:
    engine.when(_MARK, BROKEN_ANSWERS[name])
    answer = gateway.post(CHAT, streamed(_MARK) if stream else chat(_MARK), key.bearer)
    assert answer.status == 502, answer.raw
    assert_constant(answer, SECRET_DETAIL, "hello", "internal")
    assert len(engine.requests) <= 2
    _assert_serves(gateway, key)


@pytest.mark.parametrize("name", ERROR_SHAPES)
def test_error_of_an_engine_becomes_ours(gateway: Gateway, engine: RecordingEngine, key: Key, name: str) -> None:
    script, statuses = ERROR_SHAPES[name]
    engine.when(_MARK, script)
    for body in (chat(_MARK), streamed(_MARK)):
        answer = gateway.post(CHAT, body, key.bearer)
        assert answer.status in statuses, answer.raw
        assert_constant(answer, SECRET_DETAIL)
    _assert_serves(gateway, key)


def test_retry_after_of_an_engine_is_passed_on(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    engine.when(_MARK, ERROR_SHAPES["rate limited"][0])
    assert gateway.post(CHAT, chat(_MARK), key.bearer).head.get("retry-after") == "7"


@pytest.mark.parametrize("name", BROKEN_STREAMS)
def test_broken_stream_ends_in_an_error_event(gateway: Gateway, engine: RecordingEngine, key: Key, name: str) -> None:
    engine.when(_MARK, BROKEN_STREAMS[name])
    with start_stream(gateway, key, _MARK) as wire:
        stream = wire.events(wire.head())
        good = [next(stream), next(stream)]
        engine.release()
        assert_error_event([*good, *stream], SECRET_DETAIL)
    assert SECRET_DETAIL not in gateway.logged()
    _assert_serves(gateway, key)


@pytest.mark.parametrize("name", BROKEN_STREAMS)
def test_official_client_raises_on_a_broken_stream(
    gateway: Gateway, engine: RecordingEngine, key: Key, name: str
) -> None:
    """Finding 2 of facts/clients.md: a clean end reads as success with half the text."""
    engine.when(_MARK, BROKEN_STREAMS[name])
    host, port = gateway.address
    with openai.OpenAI(base_url=f"http://{host}:{port}/v1", api_key=key.secret, max_retries=0) as client:
        stream = client.chat.completions.create(model=ASKED, messages=[{"role": "user", "content": _MARK}], stream=True)
        with pytest.raises(openai.APIError) as raised:
            _read_on(stream, engine)
    assert SECRET_DETAIL not in str(raised.value)


def _read_on(stream: Iterable[object], engine: RecordingEngine) -> None:
    for _ in stream:
        engine.release()


def test_broken_stream_is_an_error_for_an_aggregated_answer_too(
    gateway: Gateway, engine: RecordingEngine, key: Key
) -> None:
    """An answer that is cut off is not an answer."""
    engine.when(_MARK, always(Send(whole({"id": "x", "choices": []}))))
    assert gateway.post(CHAT, chat(_MARK), key.bearer).status == 502
    _assert_serves(gateway, key)


def test_extra_bytes_after_an_answer_never_reach_the_next_caller(
    gateway: Gateway, engine: RecordingEngine, key: Key
) -> None:
    """Response-queue poisoning (facts/security.md 5.3): the connection is dropped, not reused."""
    poison = whole({"poison": True})
    other = gateway.create_key("poisoned")
    for _ in range(5):
        engine.when(_MARK, always(Send(whole({"id": "a", "choices": [{"index": 0}]}) + poison)))
        gateway.post(CHAT, chat(_MARK), key.bearer)
        answer = gateway.post(CHAT, chat("clean"), other.bearer)
        assert answer.status == 200
        assert b"poison" not in answer.raw


def test_early_hints_are_passed_over(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    hints = head(103, "Link: </x>; rel=preload", reason="Early Hints")
    start, *rest = Stream().steps()
    assert isinstance(start, Send)
    engine.play(always(Send(hints + start.data), *rest))
    with start_stream(gateway, key) as wire:
        found = events(wire)
    assert found[-1].data == "[DONE]" or "error" in (found[-1].data or "")


def test_engine_that_is_down_is_said_at_once_and_comes_back(launch: Launch, engine: RecordingEngine) -> None:
    with RecordingEngine() as own:
        gateway = launch(engine={"url": own.url})
        key = gateway.create_key("caller")
        own.stop_listening()
        started = time.monotonic()
        answer = gateway.post(CHAT, chat(), key.bearer)
        assert answer.status in {502, 503}
        assert time.monotonic() - started < 2.0
        assert_constant(answer)
        assert answer.head.get("retry-after") is not None
        own.listen_again()
        until(lambda: gateway.post(CHAT, chat(), key.bearer).status == 200, 30.0, "the engine serves again")


def test_idle_connection_that_the_engine_closed_is_not_held_against_the_caller(
    gateway: Gateway, engine: RecordingEngine, key: Key
) -> None:
    """F9: engines close idle connections (uvicorn after 5 s); the next POST must not fail because of it."""
    for _ in range(20):
        start = whole({"id": "a", "object": "chat.completion", "choices": [{"index": 0, "message": {"content": "x"}}]})
        engine.play(always(Send(start), Fin()))
        assert gateway.post(CHAT, chat(), key.bearer).status == 200
