"""Which traces are kept. Pure: time is passed in.

Before the engine is asked (the engine is told): a trusted caller's flag, else the ratio by the trace id. At the end:
errors, denials and slow requests are kept whatever was said before, denials and errors up to a rate.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from policies.exchange import Exchange
from policies.reasons import CAUSES

_RANGE: Final = 1 << 56
_DENIED: Final = frozenset({401, 403, 429})
_ERROR: Final = 500


class Why(StrEnum):
    """Why a trace was kept; or a log record sent."""

    SAMPLED = "sampled"
    ERROR = "error"
    DENIED = "denied"
    SLOW = "slow"


class Ratio:
    """Keeps the share `ratio` (0 to 1) of traces, by the last 56 bits of the trace id, as OpenTelemetry's samplers by
    trace id do (R >= T): gateways with the same ratio keep the same traces, and one with a higher ratio keeps them too.
    """

    __slots__ = ("_least",)

    def __init__(self, ratio: float) -> None:
        if not 0 <= ratio <= 1:
            raise ValueError("the ratio must be from 0 to 1")
        self._least = _RANGE - round(ratio * _RANGE)

    def keeps(self, trace_id: str) -> bool:
        """Whether trace `trace_id` (32 hex digits) is among the share."""
        return int(trace_id[-14:], 16) >= self._least


class Rate:
    """At most `rate` a second, `burst` at once. Instants are monotonic seconds."""

    __slots__ = ("_at", "_burst", "_left", "_rate")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._at: float | None = None

    def take(self, now: float) -> bool:
        """Whether there is room for one more."""
        if self._at is not None:
            self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


def status_of(exchange: Exchange) -> int:
    """How it ended, as a status: also where the caller had a 200 already when it went wrong."""
    outcome = exchange.outcome
    return outcome.status if outcome.reason is None else CAUSES[outcome.reason].status


def worth(exchange: Exchange, slow: float) -> Why | None:
    """Why a finished exchange is worth keeping whatever the ratio says; `slow`: from how many seconds on."""
    status = status_of(exchange)
    if status >= _ERROR:
        return Why.ERROR
    if status in _DENIED:
        return Why.DENIED
    return Why.SLOW if exchange.stages.done - exchange.stages.accepted >= slow else None
