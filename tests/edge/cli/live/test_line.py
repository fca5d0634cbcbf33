"""One line per finished request, for people."""

from __future__ import annotations

from datetime import UTC

from edge.cli.live.line import line_of
from observability.access import access_line
from policies.exchange import Client, Exchange
from policies.reasons import Reason
from tests.observability.live.exchanges import ended


def test_it_says_when_who_what_and_how_much() -> None:
    words = line_of(access_line(ended("ann", 50), at=3661.0), UTC).split()
    assert words == [
        "01:01:01",
        "200",
        "2.000s",
        "ann",
        "tiny",
        "dmr",
        "10+50",
        "tok",
        "queued",
        "0.4s",
        "first",
        "0.5s",
    ]


def test_a_refusal_says_why() -> None:
    line = line_of(access_line(ended(reason=Reason.QUEUE_FULL), at=0.0), UTC)
    assert "503" in line
    assert line.endswith("queue_full")


def test_a_stranger_on_a_wrong_route_is_a_line_too() -> None:
    exchange = Exchange("a" * 32, Client("10.0.0.1", 5, "lan"), method="GET")
    exchange.outcome.status, exchange.outcome.reason = 401, Reason.MISSING_CREDENTIAL
    assert line_of(access_line(exchange, at=0.0), UTC).split()[-3:] == ["missing_credential", "GET", "-"]


def test_what_others_wrote_cannot_speak_to_the_terminal() -> None:
    assert line_of(access_line(ended("\x1b[2Jann\n"), at=0.0), UTC).isprintable()


def test_a_line_of_a_later_gateway_does_not_break_it() -> None:
    assert line_of({"at": None, "ms": [], "status": "?", "caller": 3}, UTC)


def test_what_is_no_gateway_cannot_speak_to_the_terminal_either() -> None:
    assert line_of({"status": "\x1b]0;owned\x07", "at": 1e300, "caller": "\x9b2J"}, UTC).isprintable()
