"""What a request is charged, and what it may be asked of the engine. Pure."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final

from edge.ledger.entry import COUNTED
from edge.limits.contract import LARGEST, Actual
from edge.relay.meter import Meter
from policies.call import Call
from policies.errors import EngineUnreachable, GatewayError
from policies.exchange import Exchange
from policies.reasons import CAUSES, Reason

_NEAR: Final = 1_024
"""Tokens."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a request ended, as far as it is known where its account is settled."""

    status: int
    reason: str
    reached: bool
    """Whether the engine got it."""


def ending_of(exchange: Exchange, error: BaseException | None) -> Ending:
    """`error` is how it ended if not well."""
    reached = bool(exchange.stages.sent)
    match error:
        case None:
            return Ending(exchange.outcome.status, "", reached)
        case EngineUnreachable() if not exchange.stages.first_byte:
            return Ending(error.cause.status, error.reason.value, reached=False)
        case GatewayError():
            return Ending(error.cause.status, error.reason.value, reached)
        case asyncio.CancelledError() | ConnectionError() | GeneratorExit() if exchange.outcome.told:
            return Ending(HTTPStatus.OK, "", reached)
        case asyncio.CancelledError() | ConnectionError() | GeneratorExit():
            return Ending(CAUSES[Reason.CLIENT_GONE].status, Reason.CLIENT_GONE.value, reached)
        case _:
            return Ending(CAUSES[Reason.INTERNAL].status, Reason.INTERNAL.value, reached)


def used(exchange: Exchange, meter: Meter, gpu_ms: int = 0) -> Actual:
    """What the engine says of an answer that came to its end; else no less than what was relayed."""
    usage = exchange.outcome.usage
    read = meter.input if usage.input is None else usage.input
    said = usage.output or 0
    if usage.source not in COUNTED or not exchange.outcome.finish:
        said = max(said, meter.used)
    return Actual(min(read, LARGEST), min(said, LARGEST), gpu_ms)


def clamped(call: Call, most: int) -> Call:
    """`call` with at most `most` tokens per answer. A caller that names no number gets one only where the end is near:
    to name one takes an engine's own default away, and vLLM refuses what is beyond a model's context."""
    if most > (_NEAR if call.max_tokens is None else call.max_tokens):
        return call
    return replace(call, max_tokens=most)
