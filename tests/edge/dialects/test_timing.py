"""How long the parts of an answer took: as the engine says, else as the gateway saw it, else nobody knows."""

from __future__ import annotations

import pytest

from edge.dialects.timing import Spans, Timing
from policies.exchange import Client, Exchange
from policies.json import JSON


def timing(*, loaded: bool = False, first: float = 16.0, sent: float = 12.0) -> Timing:
    """Accepted at 10, sent at 12, first piece at 16, now 20."""
    exchange = Exchange("f" * 32, Client("127.0.0.1", 1, "local"), loaded=loaded)
    exchange.stages.accepted, exchange.stages.sent, exchange.stages.first_byte = 10.0, sent, first
    return Timing(exchange, lambda: 20.0, lambda: 0.0)


def test_what_the_gateway_saw() -> None:
    assert timing().spans() == Spans(total=10.0, waiting=2.0, prompt=4.0, answer=4.0)


def test_a_load_and_the_prompt_behind_it_cannot_be_told_apart() -> None:
    assert timing(loaded=True).spans() == Spans(total=10.0, waiting=6.0, prompt=None, answer=4.0)


@pytest.mark.parametrize("loaded", [False, True])
def test_the_engines_own_times_come_first(*, loaded: bool) -> None:
    spans = timing(loaded=loaded).spans({"prompt_ms": 1500, "predicted_ms": 2500.0})
    assert spans == Spans(total=10.0, waiting=6.0, prompt=1.5, answer=2.5)


@pytest.mark.parametrize(
    "reported",
    [
        None,
        [],
        {"prompt_ms": 1},
        {"prompt_ms": "1", "predicted_ms": 1},
        {"prompt_ms": True, "predicted_ms": 1},
        {"prompt_ms": -1, "predicted_ms": 1},
        {"prompt_ms": 1, "predicted_ms": 1e300},
        {"prompt_ms": 6000, "predicted_ms": 6000},  # longer than all of it took
    ],
)
def test_times_that_cannot_be_are_not_believed(reported: JSON) -> None:
    assert timing().spans(reported) == timing().spans()


def test_an_answer_that_never_began_took_nothing() -> None:
    assert timing(first=0.0, sent=0.0).spans() == Spans(total=10.0, waiting=10.0, prompt=0.0, answer=0.0)
