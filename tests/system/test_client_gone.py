"""A caller that leaves: the engine learns of it within a second, whatever it was doing, and its slot is free again."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from policies.json import as_list, as_object
from tests.system.calls import CHAT, assert_leaving_is_noticed, chat, chunks, events, start_stream, streamed
from tests.system.conftest import Launch
from tests.system.process import Gateway, Key
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import Drip, Hold, Script, Send, Step, Stream, always, behave, chunk, completion, delta, whole
from tests.system.wire import Wire, compose

_START = Stream()

LEAVE: dict[str, Callable[[Wire], None]] = {
    "reset": Wire.reset,
    "close": lambda wire: wire.sock.close(),
    "half-close": Wire.half_close,
}
STAGES: dict[str, tuple[Script, bool]] = {
    "whole, before the head": (always(Hold()), False),
    "whole, within the body": (always(Send(whole(completion())[:-20]), Hold()), False),
    "stream, before the head": (always(Hold()), True),
    "stream, after the head": (always(Send(_START.head()), Hold()), True),
    "stream, between events": (always(*_START.until(2, Hold())), True),
    "stream, while events flow": (
        always(*_START.until(1, Drip(chunk(_START.events()[1]) * 4000, len(chunk(_START.events()[1])), 0.005))),
        True,
    ),
}


@pytest.mark.parametrize("leave", LEAVE)
@pytest.mark.parametrize("stage", STAGES)
def test_engine_learns_that_the_caller_left(
    gateway: Gateway, engine: RecordingEngine, key: Key, stage: str, leave: str
) -> None:
    script, stream = STAGES[stage]
    engine.play(script)
    with gateway.open() as wire:
        wire.send(compose("POST", CHAT, key.bearer, body=streamed() if stream else chat()))
        engine.request()
        if stage in {"stream, between events", "stream, while events flow"}:
            next(wire.events(wire.head()))
        assert_leaving_is_noticed(engine, wire, LEAVE[leave])
    assert gateway.post(CHAT, chat(), key.bearer).status == 200


def test_caller_that_leaves_the_queue_never_reaches_the_engine(launch: Launch, engine: RecordingEngine) -> None:
    gateway = launch(engine={"concurrency": 1})
    key = gateway.create_key("caller")
    engine.play(always(*_START.until(1, Hold(), *_START.steps()[2:])), behave)
    with start_stream(gateway, key, "first") as first:
        engine.request(0)
        with start_stream(gateway, key, "second") as second:
            second.half_close()
            assert gateway.err.find(lambda line: '"status":499' in line), "the second caller's leaving was noticed"
        with start_stream(gateway, key, "third") as third:
            engine.release()
            assert chunks(events(first))
            assert chunks(events(third))
    asked = [as_object(as_list(seen.document["messages"])[0])["content"] for seen in engine.requests]
    assert asked == ["first", "third"]


def test_access_line_says_who_left(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    engine.play(always(*_START.until(2, Hold())))
    with start_stream(gateway, key) as wire:
        head = wire.head()
        next(wire.events(head))
        wire.reset()
    engine.gone(engine.request())
    line = gateway.access_line(head.get("x-request-id") or "none")
    assert 499 in line.values(), line


@pytest.mark.parametrize("then", [[Send(chunk(b""))], [Hold()]], ids=["ends", "lingers"])
def test_hanging_up_after_done_is_no_error(
    gateway: Gateway, engine: RecordingEngine, key: Key, then: list[Step]
) -> None:
    """Finding 7 of facts/clients.md: clients close as soon as they have read the last event, and an engine may not have
    ended its answer by then."""
    engine.play(always(*Stream().steps()[:-1], *then))
    with start_stream(gateway, key) as wire:
        head = wire.head()
        for event in wire.events(head):
            if event.data == "[DONE]":
                break
        wire.reset()
    line = gateway.access_line(head.get("x-request-id") or "none")
    assert 200 in line.values(), line
    assert 499 not in line.values(), line


def test_slow_reader_stops_the_engine_and_costs_no_memory(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    """Back-pressure: what the caller does not read stays with the engine, not in the gateway's memory."""
    event = Stream(chunks=[delta(content="x" * 60_000)]).events()[0]
    engine.play(always(Send(_START.head()), *[Send(chunk(event))] * 3000, *_START.steps()[1:]))
    before = gateway.resident()
    with Wire.open(gateway.address, receive_buffer=4096) as wire:
        wire.send(compose("POST", CHAT, key.bearer, body=streamed()))
        seen = engine.request()
        wire.head()
        started = time.monotonic()
        while time.monotonic() - started < 1.5:
            assert seen.finished_at is None, "180 MB went somewhere although nobody read them"
            time.sleep(0.05)
        assert gateway.resident() - before < 48 << 20
        wire.reset()
        engine.gone(seen)
