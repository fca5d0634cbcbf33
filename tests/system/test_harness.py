"""The harness itself: what the tests rely on must be true before they say anything about the gateway."""

from __future__ import annotations

import gc
import socket
import sys
import threading
from collections.abc import Callable

import pytest

from policies.json import as_list
from tests.system.background import Background
from tests.system.calls import CHAT, chat, streamed
from tests.system.collector import Collector
from tests.system.misbehaviour import BROKEN_STREAMS, VARIANTS
from tests.system.process import until
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import Hold, Send, Stream, always, chunk, head, said
from tests.system.wire import TruncatedError, Wire, compose


def _open(engine: RecordingEngine) -> Wire:
    return Wire.open(("127.0.0.1", engine.port))


def test_engine_writes_down_exactly_what_it_was_sent(engine: RecordingEngine) -> None:
    request = compose("POST", CHAT, "X-Odd:  spaced ", body=chat("hello"))
    with _open(engine) as wire:
        assert wire.ask(request).status == 200
        assert wire.ask(request).status == 200
    assert [seen.raw for seen in engine.requests] == [request, request]
    assert engine.request(1).headers[1] == ("content-type", "application/json")


def test_engine_lists_models_and_keeps_probes_apart(engine: RecordingEngine) -> None:
    with _open(engine) as wire:
        assert len(as_list(wire.ask(compose("GET", "/v1/models")).json()["data"])) == 2
    assert (engine.requests, len(engine.probes)) == ([], 1)


def test_engine_plays_queue_then_markers_then_behaves(engine: RecordingEngine) -> None:
    engine.play(always(Send(head(418, "Content-Length: 0"))))
    engine.when("marker", always(Send(head(419, "Content-Length: 0"))))
    with _open(engine) as wire:
        statuses = [wire.ask(compose("POST", CHAT, body=chat(text))).status for text in ("a", "b", "marker")]
    assert statuses == [418, 200, 419]


def test_engine_notices_who_leaves_and_when(engine: RecordingEngine) -> None:
    engine.play(always(Hold()), always(Hold()))
    for number, leave in enumerate((Wire.reset, Wire.half_close)):
        with _open(engine) as wire:
            wire.send(compose("POST", CHAT, body=chat()))
            seen = engine.request(number)
            assert seen.gone_at is None
            leave(wire)
            assert engine.gone(seen, within=1.0) >= seen.at


def test_release_lets_a_held_answer_go_on(engine: RecordingEngine) -> None:
    start, *rest = Stream().steps()
    engine.play(always(start, Hold(), *rest))
    with _open(engine) as wire:
        wire.send(compose("POST", CHAT, body=streamed()))
        answer_head = wire.head()
        engine.release()
        assert [event.data for event in wire.events(answer_head)][-1] == "[DONE]"


# The client is strict: CRLF and the lines that these variants add are for the gateway to take out.
_PLAIN = [n for n, v in VARIANTS.items() if v.newline == b"\n" and not v.before.startswith((b"id", b": ping"))]


@pytest.mark.parametrize("name", _PLAIN)
def test_client_reads_every_framing_of_a_stream_alike(engine: RecordingEngine, name: str) -> None:
    engine.play(VARIANTS[name].script())
    with _open(engine) as wire:
        wire.send(compose("POST", CHAT, body=streamed()))
        documents = [e.json() for e in wire.events(wire.head()) if e.data not in {None, "[DONE]"}]
    assert said(documents) == "Hello there"


def test_client_tells_a_cut_from_an_end(engine: RecordingEngine) -> None:
    engine.play(BROKEN_STREAMS["closes mid-stream"], BROKEN_STREAMS["resets mid-stream"])
    engine.release()
    for error in (TruncatedError, ConnectionResetError):
        with _open(engine) as wire:
            wire.send(compose("POST", CHAT, body=streamed()))
            with pytest.raises(error):
                list(wire.events(wire.head()))


def test_client_sees_the_end_of_a_connection(engine: RecordingEngine) -> None:
    engine.play(always(Send(head(200, "Transfer-Encoding: chunked") + chunk(b"") + b"x")))
    with _open(engine) as wire:
        assert wire.ask(compose("POST", CHAT, body=chat())).body == b""
        wire.half_close()
        assert wire.until_eof() == b"x"


@pytest.mark.parametrize("make", [RecordingEngine, Collector])
def test_a_server_that_ends_while_it_is_dialled_leaves_nothing_open(
    make: Callable[[], Background], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transport that nobody closed fails whatever test runs when it is collected: seen once in 8,000 tests."""
    left: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda found: left.append(str(found.exc_value)))
    for _ in range(10):
        dialled: list[socket.socket] = []
        with make() as server:
            dialler = threading.Thread(target=_dial, args=(server.port, dialled))
            dialler.start()
            until(lambda calls=dialled: len(calls) >= 3, 10.0, "somebody dials")  # type: ignore[misc]
        dialler.join()
        for each in dialled:
            each.close()
        gc.collect()
    assert left == []


def _dial(port: int, into: list[socket.socket]) -> None:
    """Until nobody answers any more, or 200 times."""
    for _ in range(200):
        try:
            into.append(socket.create_connection(("127.0.0.1", port), 1.0))
        except OSError:
            return
