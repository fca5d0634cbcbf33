"""Tokens of the last minute: counted while somebody asks, forgotten in time, bounded."""

from __future__ import annotations

from observability.live.minute import SPAN, Minute
from observability.observers import Observers
from tests.observability.live.exchanges import arrived, ended


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_nobody_is_told_until_somebody_asks() -> None:
    observers, clock = Observers(), Clock()
    minute = Minute(observers.add, clock)
    observers.ended(ended(), 0.0)
    assert not minute.listening
    assert minute.recent().tokens == {}
    observers.ended(ended("ann", 50), 0.0)
    observers.ended(ended("ann", 20), 0.0)
    observers.ended(ended("bob", 5), 0.0)
    observers.ended(arrived("nobody"), 0.0)
    clock.now += 30
    recent = minute.recent()
    assert (recent.seconds, dict(recent.tokens)) == (30.0, {"ann": 90, "bob": 15})


def test_what_is_older_than_a_minute_does_not_count() -> None:
    observers, clock = Observers(), Clock()
    minute = Minute(observers.add, clock)
    _ = minute.recent()
    observers.ended(ended("ann"), 0.0)
    clock.now += SPAN / 2
    observers.ended(ended("bob"), 0.0)
    clock.now += SPAN / 2 + 1
    recent = minute.recent()
    assert (recent.seconds, set(recent.tokens)) == (SPAN, {"bob"})


def test_it_stops_listening_when_nobody_has_asked_for_long() -> None:
    observers, clock = Observers(), Clock()
    minute = Minute(observers.add, clock)
    _ = minute.recent()
    observers.ended(ended("ann"), 0.0)
    clock.now += 3 * SPAN
    observers.ended(ended("ann"), 0.0)
    assert not minute.listening
    assert (minute.recent().seconds, minute.recent().tokens) == (0.0, {})


def test_callers_without_number_do_not_fill_the_memory() -> None:
    observers, clock = Observers(), Clock()
    minute = Minute(observers.add, clock)
    _ = minute.recent()
    for number in range(3_000):
        observers.ended(ended(f"caller{number}"), 0.0)
    tokens = minute.recent().tokens
    assert len(tokens) == 1_001
    assert sum(tokens.values()) == 3_000 * 60


def test_who_is_hidden_in_records_is_hidden_here() -> None:
    observers, clock = Observers(), Clock()
    minute = Minute(observers.add, clock)
    _ = minute.recent()
    exchange = ended("ann")
    exchange.redact = frozenset({"caller.id"})
    observers.ended(exchange, 0.0)
    assert "ann" not in minute.recent().tokens
