"""Every wait that a peer controls has an end."""

from __future__ import annotations

import time

import pytest

from tests.system.calls import CHAT, assert_constant, assert_error_event, chat, chunks, events, start_stream, streamed
from tests.system.conftest import Launch
from tests.system.process import Gateway, Key
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import Drip, Hold, Stream, always, chunk
from tests.system.wire import compose

_START = Stream()
_MARGIN = 1.5


@pytest.fixture
def hasty(launch: Launch) -> tuple[Gateway, Key]:
    """A gateway that waits a second for a first byte, half a second for more, and two for all."""
    timeouts = {"connect": "1s", "first_byte": "1s", "gap": "500ms", "total": "2s"}
    # A stream that waits for a second gets its 200 by then; here the real status is looked at.
    gateway = launch(engine={"timeouts": dict(timeouts)}, queue={"tell_after": 0})
    return gateway, gateway.create_key("caller")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_first_byte(hasty: tuple[Gateway, Key], engine: RecordingEngine, *, stream: bool) -> None:
    gateway, key = hasty
    engine.play(always(Hold()))
    started = time.monotonic()
    answer = gateway.post(CHAT, streamed() if stream else chat(), key.bearer)
    assert answer.status == 504
    assert_constant(answer)
    assert 0.9 <= time.monotonic() - started <= 1.0 + _MARGIN
    engine.gone(engine.request())


def test_gap_between_events(hasty: tuple[Gateway, Key], engine: RecordingEngine) -> None:
    gateway, key = hasty
    engine.play(always(*_START.until(2, Hold())))
    with start_stream(gateway, key) as wire:
        started = time.monotonic()
        assert assert_error_event(events(wire), "Hold")["code"] == "engine_timeout"
        assert time.monotonic() - started <= 0.5 + _MARGIN
    engine.gone(engine.request())


def test_whole_answer_however_lively(hasty: tuple[Gateway, Key], engine: RecordingEngine) -> None:
    gateway, key = hasty
    event = chunk(_START.events()[1])
    engine.play(always(*_START.until(1, Drip(event * 200, len(event), 0.05))))
    with start_stream(gateway, key) as wire:
        started = time.monotonic()
        assert assert_error_event(events(wire), "Hold")["code"] == "engine_timeout"
        assert 1.5 <= time.monotonic() - started <= 2.0 + _MARGIN
    engine.gone(engine.request())


def test_slow_but_steady_engine_is_fine(hasty: tuple[Gateway, Key], engine: RecordingEngine) -> None:
    gateway, key = hasty
    body = b"".join(chunk(piece) for piece in _START.pieces()) + chunk(b"")
    engine.play(always(*_START.until(0, Drip(body, 64, 0.05))))
    with start_stream(gateway, key) as wire:
        assert chunks(events(wire))


def test_unfinished_headers(launch: Launch, engine: RecordingEngine) -> None:
    gateway = launch(listener={"limits": {"header_s": "1s"}})
    with gateway.open() as silent, gateway.open() as dribbling:
        started = time.monotonic()
        dribbling.send(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ")
        silent.send(b"GET /hea")
        for wire in (silent, dribbling):
            raw = wire.until_eof(1.0 + _MARGIN)
            assert raw == b"" or raw.startswith(b"HTTP/1.1 408")
        assert time.monotonic() - started >= 0.9


def test_unfinished_body(launch: Launch, engine: RecordingEngine) -> None:
    gateway = launch(listener={"limits": {"body_s": "1s"}})
    key = gateway.create_key("caller")
    request = compose("POST", CHAT, key.bearer, body=chat())
    with gateway.open() as wire:
        wire.send(request[:-10])
        answer = wire.answer(1.0 + _MARGIN)
        assert answer.status == 408
        assert_constant(answer)
        assert wire.closed()
    assert engine.requests == []
