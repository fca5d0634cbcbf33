"""Every observer hears of every exchange, whatever the others do."""

from __future__ import annotations

import pytest

from observability.observers import Observers
from policies.exchange import Client, Exchange


class Ear:
    def __init__(self) -> None:
        self.heard: list[tuple[str, float]] = []

    def ended(self, exchange: Exchange, at: float) -> None:
        self.heard.append((exchange.id, at))


class Broken:
    def ended(self, exchange: Exchange, at: float) -> None:
        raise ValueError(f"{exchange.id} {at}")


def test_one_that_fails_keeps_nobody_from_hearing(caplog: pytest.LogCaptureFixture) -> None:
    first, last = Ear(), Ear()
    observers = Observers([first, Broken(), last])
    observers.ended(Exchange("a" * 32, Client("127.0.0.1", 1, "local")), 7.0)
    assert first.heard == last.heard == [("a" * 32, 7.0)]
    assert "Broken failed on request aaaa" in caplog.text


def test_who_stops_listening_hears_no_more_though_it_stops_in_the_middle() -> None:
    ear = Ear()
    observers = Observers()

    class Once:
        def ended(self, exchange: Exchange, at: float) -> None:
            ear.ended(exchange, at)
            remove()

    remove = observers.add(Once())
    observers.add(ear)
    for at in (1.0, 2.0):
        observers.ended(Exchange("a" * 32, Client("127.0.0.1", 1, "local")), at)
    assert [at for _, at in ear.heard] == [1.0, 1.0, 2.0]
    remove()
