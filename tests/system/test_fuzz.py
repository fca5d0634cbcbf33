"""Ten thousand generated requests and thousands of mutated ones against one gateway process.

The invariant: any bytes whatever get an answer below 500 or a closed connection; afterwards the process serves as
before, holds no more memory than it did, and has not kept a descriptor.
"""

from __future__ import annotations

import time
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.system.calls import CHAT, chat, streamed
from tests.system.conftest import Launch
from tests.system.hostile import Shot, mutate, shots
from tests.system.process import Gateway, until
from tests.system.recording_engine import RecordingEngine
from tests.system.wire import TruncatedError, Wire, compose

_SALVO = 10
_SALVOS = 1_000
_WARM = 150
_MUTATED = 300
_GROWTH = 24 << 20
"""Bytes of resident memory that may come after the warm-up: the allocator's slack, a hundredth of what would leak if
each of the requests left its 16 KiB behind."""


def fire(gateway: Gateway, salvo: list[Shot]) -> list[int]:
    """Send all shots at once, each on a connection of its own; the statuses that came back."""
    wires = [gateway.open() for _ in salvo]
    try:
        for wire, shot in zip(wires, salvo, strict=True):
            _send(wire, shot)
        return [status for wire, shot in zip(wires, salvo, strict=True) for status in _receive(wire, shot)]
    finally:
        for wire in wires:
            wire.sock.close()


def _send(wire: Wire, shot: Shot) -> None:
    try:
        wire.send(shot.data)
        if not shot.framed:
            wire.half_close()
    except (BrokenPipeError, ConnectionResetError, OSError):
        return  # the gateway had seen enough


def _receive(wire: Wire, shot: Shot) -> list[int]:
    try:
        if shot.framed:
            return [wire.answer().status]
        raw = wire.until_eof()
    except (ConnectionResetError, TruncatedError):
        return []
    return [int(raw[9:12])] if raw.startswith(b"HTTP/1.1 ") else []


class _Watch:
    """What is measured once warm, and compared at the end."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.seen: dict[int, int] = {}
        self.salvos = 0
        self.resident = 0
        self.descriptors = 0

    def note(self, statuses: list[int]) -> None:
        self.salvos += 1
        for status in statuses:
            self.seen[status] = self.seen.get(status, 0) + 1
        if self.salvos == _WARM:
            self.resident, self.descriptors = self.gateway.resident(), self.gateway.descriptors()


def test_nothing_that_is_sent_breaks_the_gateway(launch: Launch, engine: RecordingEngine) -> None:
    gateway = launch(telemetry={"access_log": "access.log"})
    key = gateway.create_key("fuzzer")
    watch = _Watch(gateway)
    good = [compose("POST", CHAT, key.bearer, body=body) for body in (chat(), streamed())]
    good.append(compose("GET", "/v1/models", key.bearer))

    @settings(
        max_examples=_SALVOS, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(st.lists(shots(key.bearer), min_size=_SALVO, max_size=_SALVO))
    def structured(salvo: list[Shot]) -> None:
        statuses = fire(gateway, salvo)
        assert all(100 <= status < 500 for status in statuses), (statuses, salvo)
        watch.note(statuses)

    structured()
    random = Random(20261121)
    for _ in range(_MUTATED):
        salvo = [mutate(random.choice(good), random) for _ in range(_SALVO)]
        statuses = fire(gateway, salvo)
        assert all(100 <= status < 500 for status in statuses), (statuses, salvo)
        watch.note(statuses)
    _assert_unharmed(watch, good)


def _assert_unharmed(watch: _Watch, good: list[bytes]) -> None:
    gateway = watch.gateway
    assert gateway.process.poll() is None, gateway.err.text
    for request in good:
        with gateway.open() as wire:
            assert wire.ask(request).status == 200
    assert watch.salvos >= _SALVOS
    assert {200, 400, 401, 404} <= set(watch.seen), watch.seen
    assert "Traceback" not in gateway.logged()
    until(lambda: gateway.descriptors() <= watch.descriptors + 8, 5.0, "connections are closed")
    assert gateway.resident() - watch.resident < _GROWTH
    started = time.monotonic()
    assert gateway.get("/healthz").status == 200
    assert time.monotonic() - started < 1.0
