"""Shutting down: readiness goes first, streams may finish, those that do not are told, and nothing is left behind."""

from __future__ import annotations

import signal
import time

from tests.system.calls import CHAT, assert_error_event, chat, chunks, events, start_stream
from tests.system.conftest import Launch
from tests.system.process import Gateway, until
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import Hold, Stream, always
from tests.system.wire import Wire


def _readiness(gateway: Gateway) -> int:
    try:
        return gateway.get("/readyz", admin=True).status
    except OSError:
        return 0


def test_running_stream_finishes(launch: Launch, engine: RecordingEngine) -> None:
    gateway = launch()
    key = gateway.create_key("caller")
    first, second, *rest = Stream().steps()
    engine.play(always(first, second, Hold(), *rest))
    with start_stream(gateway, key) as wire:
        stream = wire.events(wire.head())
        next(stream)
        gateway.signal(signal.SIGTERM)
        until(lambda: _readiness(gateway) == 503, 2.0, "/readyz says 503 while a stream runs")
        assert _refuses(gateway, key.bearer)
        engine.release()
        assert [event.data for event in stream][-1] == "[DONE]"
    assert gateway.wait() == 0


def _refuses(gateway: Gateway, bearer: str) -> bool:
    try:
        return gateway.post(CHAT, chat(), bearer).status == 503
    except OSError:
        return True


def test_stream_that_does_not_finish_is_told(launch: Launch, engine: RecordingEngine) -> None:
    gateway = launch(listener={"limits": {"drain_s": "1s"}})
    key = gateway.create_key("caller")
    engine.play(always(*Stream().until(2, Hold())))
    with start_stream(gateway, key) as wire:
        engine.request()
        asked = time.monotonic()
        gateway.signal(signal.SIGTERM)
        assert assert_error_event(events(wire), "no such text")["code"] == "draining"
        assert 0.9 <= time.monotonic() - asked <= 3.0
    assert gateway.wait(10.0) == 0
    engine.gone(engine.request())


def test_idle_gateway_stops_at_once(launch: Launch, engine: RecordingEngine) -> None:
    gateway = launch()
    with gateway.open(), Wire.open(gateway.admin):
        asked = time.monotonic()
        assert gateway.stop() == 0
        assert time.monotonic() - asked < 3.0


def test_second_signal_does_not_wait(launch: Launch, engine: RecordingEngine) -> None:
    gateway = launch()
    key = gateway.create_key("caller")
    engine.play(always(*Stream().until(2, Hold())))
    with start_stream(gateway, key):
        engine.request()
        gateway.signal(signal.SIGTERM)
        until(lambda: _readiness(gateway) != 200, 2.0, "draining")
        asked = time.monotonic()
        gateway.signal(signal.SIGTERM)
        gateway.wait(10.0)
        assert time.monotonic() - asked < 5.0


def test_killed_gateway_starts_again_with_its_keys(launch: Launch, engine: RecordingEngine) -> None:
    gateway = launch()
    key = gateway.create_key("survivor")
    engine.play(always(*Stream().until(2, Hold())))
    with start_stream(gateway, key):
        engine.request()
        gateway.signal(signal.SIGKILL)
        gateway.wait(5.0)
    gateway.start().ready()
    assert gateway.get("/v1/me", key.bearer).status == 200
    with start_stream(gateway, key) as wire:
        assert chunks(events(wire))
