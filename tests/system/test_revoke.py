"""Revocation, by a command in another process: refused and cut within a second."""

from __future__ import annotations

import time

import pytest

from tests.system.calls import CHAT, assert_constant, assert_error_event, chat, events, start_stream
from tests.system.process import Gateway, Key
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import Hold, Stream, always
from tests.system.wire import compose

WITHIN = 1.0


def _revoke(gateway: Gateway, key: Key) -> float:
    """Revoke; the instant at which the command was over."""
    ended = gateway.run("keys", "revoke", key.id)
    assert ended.code == 0, ended.err
    return time.monotonic()


@pytest.mark.alone
def test_running_stream_is_cut(gateway: Gateway, engine: RecordingEngine) -> None:
    key = gateway.create_key("to-be-revoked")
    engine.play(always(*Stream().until(2, Hold())))
    with start_stream(gateway, key) as wire:
        head = wire.head()
        stream = wire.events(head)
        found = [next(stream), next(stream)]
        over = _revoke(gateway, key)
        found.extend(event for event in stream if event.data)
        assert found[-1].at - over <= WITHIN
        assert assert_error_event(found, "no such text")["code"] == "credential_revoked"
    assert engine.gone(engine.request()) - over <= WITHIN
    assert gateway.access_line(head.get("x-request-id") or "none")["reason"] == "credential_revoked"


@pytest.mark.alone
def test_running_answer_is_cut(gateway: Gateway, engine: RecordingEngine) -> None:
    key = gateway.create_key("to-be-revoked")
    engine.play(always(Hold()))
    with gateway.open() as wire:
        wire.send(compose("POST", CHAT, key.bearer, body=chat()))
        seen = engine.request()
        over = _revoke(gateway, key)
        answer = wire.answer()
    assert (answer.status, answer.error["code"]) == (401, "credential_revoked")
    assert_constant(answer)
    assert engine.gone(seen) - over <= WITHIN


@pytest.mark.alone
def test_new_requests_are_refused_also_on_open_connections(gateway: Gateway, engine: RecordingEngine) -> None:
    key = gateway.create_key("to-be-revoked")
    request = compose("POST", CHAT, key.bearer, body=chat())
    with gateway.open() as wire:
        assert wire.ask(request).status == 200
        over = _revoke(gateway, key)
        statuses: list[int] = []
        while 401 not in statuses and time.monotonic() - over < 3 * WITHIN:
            statuses.append(gateway.get("/v1/me", key.bearer).status)
        assert time.monotonic() - over <= WITHIN
        assert wire.ask(request).status == 401


def test_other_keys_go_on(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    doomed = gateway.create_key("to-be-revoked")
    first, *rest = Stream().steps()
    engine.play(always(first, Hold(), *rest))
    with start_stream(gateway, key) as wire:
        engine.request()
        _revoke(gateway, doomed)
        engine.release()
        assert events(wire)[-1].data == "[DONE]"


def test_rotation_keeps_the_id_and_overlaps(gateway: Gateway, engine: RecordingEngine) -> None:
    key = gateway.create_key("rotating")
    ended = gateway.run("keys", "rotate", key.id, "--overlap", "1h", "--json")
    assert ended.code == 0, ended.err
    assert key.id in ended.out
    assert key.secret not in ended.out
    assert gateway.get("/v1/me", key.bearer).status == 200
