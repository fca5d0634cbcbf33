"""A finished exchange as spans: light tuples, made only of what is kept. Pure.

    {method} {route}        SERVER    the whole request
    ├── policy              INTERNAL  limits' counters and the decision
    ├── queue               INTERNAL  the wait for a turn on the engine
    └── {operation} {model} CLIENT    the call to the engine, with the first token as an event

Stages are monotonic instants; the end of the exchange is known by both clocks, so it is the anchor.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final, NamedTuple

from observability.metrics.catalogue import OPERATIONS
from observability.traces.attributes import (
    Attributes,
    Value,
    engine_attributes,
    server_attributes,
    streams_tokens,
)
from observability.traces.sampling import Why, status_of
from policies.exchange import Exchange
from policies.trace import SpanContext, Trace

_ERROR: Final = 500
FIRST_TOKEN: Final = "gen_ai.first_token"  # noqa: S105 - an event's name


class Kind(StrEnum):
    """On which side of a call a span stands."""

    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"


class Event(NamedTuple):
    """Something at an instant, in nanoseconds since the epoch."""

    name: str
    at_ns: int


class Span(NamedTuple):
    """One span. Ids are hex, instants nanoseconds since the epoch; `error` is the code of what failed, "" if none."""

    trace: Trace
    span_id: str
    parent_id: str
    name: str
    kind: Kind
    start_ns: int
    end_ns: int
    attributes: Attributes
    events: tuple[Event, ...] = ()
    links: tuple[SpanContext, ...] = ()
    error: str = ""
    remote: bool = False
    """Whether the parent is in another process."""


def spans_of(exchange: Exchange, at: float, why: Why, new_span_id: Callable[[], str]) -> list[Span]:
    """The spans of `exchange`, the server's first. `at` is seconds since the epoch at its end, `why` it is kept."""
    trace = exchange.trace
    if trace is None:
        raise ValueError("an exchange without a trace")
    stages = exchange.stages
    done, at_ns = stages.done, int(at * 1e9)

    def ns(instant: float) -> int:
        return at_ns - int((done - instant) * 1e9)

    code = exchange.outcome.reason.value if exchange.outcome.reason is not None else ""
    error = (code or "error") if status_of(exchange) >= _ERROR else ""
    attributes = server_attributes(exchange)
    attributes["llm_gateway.kept"] = why.value
    found = [
        Span(
            trace,
            trace.span_id,
            trace.parent.span_id if trace.parent is not None else "",
            f"{exchange.method} {exchange.route}" if exchange.route else exchange.method,
            Kind.SERVER,
            ns(stages.accepted),
            at_ns,
            attributes,
            links=() if trace.link is None else (trace.link,),
            error=error,
            remote=trace.parent is not None,
        )
    ]

    if asked := _asked(exchange):
        span = Span(trace, new_span_id(), trace.span_id, "policy", Kind.INTERNAL, ns(asked), 0, _policy(exchange))
        found.append(_over(span, stages.decided, done, ns, error))
    if stages.queued:
        waited = (stages.turn or done) - stages.queued
        attributes["llm_gateway.queue.duration"] = waited
        wait: Attributes = {"llm_gateway.engine": exchange.engine, "llm_gateway.queue.duration": waited}
        span = Span(trace, new_span_id(), trace.span_id, "queue", Kind.INTERNAL, ns(stages.queued), 0, wait)
        found.append(_over(span, stages.turn, done, ns, error))
    if stages.sent:
        found.append(_engine_span(exchange, trace, ns, code))
    return found


def _over(span: Span, ended: float, done: float, ns: Callable[[float], int], error: str) -> Span:
    """`span` with its end; what was not over when the request was is where it failed."""
    return span._replace(end_ns=ns(ended or done), error="" if ended else error)


def _asked(exchange: Exchange) -> float:
    """When the policy was asked, 0.0 if it was not. The gateway's own routes have no body to parse before."""
    stages = exchange.stages
    return stages.parsed or (stages.identified if stages.decided else 0.0)


def _policy(exchange: Exchange) -> Attributes:
    found: Attributes = {"llm_gateway.decision.allowed": bool(exchange.stages.decided)}
    if exchange.revision:
        found["llm_gateway.decision.revision"] = exchange.revision
    if not exchange.stages.decided and exchange.outcome.reason is not None:
        found["llm_gateway.decision.reason"] = exchange.outcome.reason.value
    return found


def _engine_span(exchange: Exchange, trace: Trace, ns: Callable[[float], int], code: str) -> Span:
    stages, call = exchange.stages, exchange.call
    operation: Value = OPERATIONS.get(call.operation, call.operation.value) if call is not None else ""
    return Span(
        trace,
        trace.engine_span_id,
        trace.span_id,
        f"{operation} {exchange.model}".rstrip(),  # what is fetched has no model's name before it is there
        Kind.CLIENT,
        ns(stages.sent),
        ns(stages.answered or stages.done),
        engine_attributes(exchange),
        # The first byte of a whole answer is not its first token.
        events=(Event(FIRST_TOKEN, ns(stages.first_byte)),) if streams_tokens(exchange) else (),
        # RPC and HTTP client spans are failed by whatever ended them early, but a caller that left broke nothing.
        error=code if status_of(exchange) >= _ERROR else "",
    )
