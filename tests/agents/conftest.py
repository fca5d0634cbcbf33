"""The scripted engine and the gateway of tests/system, and a seat for a program."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from tests.agents.programs import PROGRAMS, Program
from tests.agents.seat import Seat
from tests.agents.tripwire import Tripwire
from tests.system.conftest import engine, gateway, launch, shared_engine, shared_gateway
from tests.system.process import Gateway, Key
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import MODEL

__all__ = ["engine", "gateway", "launch", "shared_engine", "shared_gateway"]


class Sit(Protocol):
    """Give the program a seat with this key."""

    def __call__(self, key: Key, gateway: Gateway) -> Seat: ...


def of_this_machine(program: Program) -> Program:
    """The program; where there is no package of it, the test is skipped."""
    if not program.exists():
        pytest.skip(f"{program.name}: no package for this machine is in tests/agents/npm/package-lock.json")
    return program


@pytest.fixture(params=PROGRAMS, ids=lambda each: each.name)
def program(request: pytest.FixtureRequest) -> Program:
    return of_this_machine(request.param)


@pytest.fixture
def tripwire() -> Iterator[Tripwire]:
    """Nothing may have gone anywhere but to the gateway."""
    with Tripwire() as wire:
        yield wire
        assert wire.tripped == []


@pytest.fixture
def sit(program: Program, engine: RecordingEngine, tripwire: Tripwire, tmp_path: Path) -> Iterator[Sit]:
    """The keys of its seats reach neither the engine nor a log."""
    seats: list[Seat] = []

    def take(key: Key, gateway: Gateway) -> Seat:
        seat = Seat.at(tmp_path / f"seat{len(seats)}", gateway, key, MODEL, tripwire)
        seats.append(seat)
        program.settle(seat)
        return seat

    yield take
    for seat in seats:
        assert all(seat.key.secret.encode() not in seen.raw for seen in (*engine.requests, *engine.probes))
        assert seat.key.secret not in seat.gateway.logged()
