"""What callers say in these tests: request documents, and how their refusals must look."""

from __future__ import annotations

import time
from collections.abc import Callable

from policies.json import JSON, Object, as_str
from policies.reasons import CAUSES
from tests.system.process import Gateway, Key
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import MODEL
from tests.system.wire import Answer, Event, Head, Wire, compose

WITHIN = 1.0
"""Seconds until an engine has to know that its caller is gone."""
CHAT = "/v1/chat/completions"
ASKED = MODEL.lower()
"""The model as callers name it: the canonical spelling, not the engine's."""


def chat(text: str = "hi", /, **extra: JSON) -> Object:
    """A chat request with one user message."""
    return {"model": ASKED, "messages": [{"role": "user", "content": text}], **extra}


def streamed(text: str = "hi", /, **extra: JSON) -> Object:
    """The same, streamed."""
    return chat(text, stream=True, **extra)


def start_stream(gateway: Gateway, key: Key, text: str = "hi", /, **extra: JSON) -> Wire:
    """A connection on which a streamed chat was asked for; nothing has been read yet."""
    wire = gateway.open()
    wire.send(compose("POST", CHAT, key.bearer, body=streamed(text, **extra)))
    return wire


def events(wire: Wire, within: float = 10.0) -> list[Event]:
    """All events of a stream that must begin with 200 and end properly; comments left out."""
    head = wire.accepted(within)
    return events_after(wire, head, within)


def events_after(wire: Wire, head: Head, within: float = 10.0) -> list[Event]:
    """The same, where the head was read already."""
    assert (head.get("content-type") or "").startswith("text/event-stream")
    return [event for event in wire.events(head, within) if event.data is not None]


def chunks(found: list[Event]) -> list[Object]:
    """The documents of a stream that ended well: its last event is [DONE]."""
    assert found, "no events"
    assert found[-1].data == "[DONE]", found[-1]
    return [event.json() for event in found[:-1]]


def assert_leaving_is_noticed(engine: RecordingEngine, wire: Wire, leave: Callable[[Wire], None] = Wire.reset) -> None:
    """The engine learns within a second that the caller of its request has left."""
    seen = engine.request()
    left = time.monotonic()
    leave(wire)
    assert engine.gone(seen, within=5.0) - left <= WITHIN


def assert_error_event(found: list[Event], forbidden: str) -> Object:
    """The last event is an error in the OpenAI dialect, [DONE] did not come, nothing of the engine's text did."""
    assert all(event.data != "[DONE]" for event in found), "a broken stream must not look complete"
    assert all(forbidden not in (event.data or "") for event in found)
    error = found[-1].json()["error"]
    assert isinstance(error, dict), found[-1]
    assert as_str(error["message"]) in {cause.text for cause in CAUSES.values()}
    return error


def assert_constant(answer: Answer, *forbidden: str) -> None:
    """The body is one of the constant refusals of its status, with the headers that every answer carries."""
    error = answer.json()["error"]
    if isinstance(error, dict):
        assert set(error) == {"message", "type", "param", "code"}, error
        text, code = as_str(error["message"]), as_str(error["code"])
    else:  # Ollama's shape, on its paths
        text, _, code = as_str(error).rstrip(")").rpartition(" (")
    cause = next(cause for reason, cause in CAUSES.items() if reason.value == code)
    assert cause.status == answer.status
    assert text.startswith(cause.text)
    assert len(answer.head.get("x-request-id") or "") == 32
    assert answer.head.get("x-should-retry") == (None if cause.retry else "false")
    for secret in forbidden:
        assert secret.encode() not in answer.raw, f"{secret!r} came back"
