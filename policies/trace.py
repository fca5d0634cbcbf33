"""The place of one request in a distributed trace (W3C Trace Context): ids and flags, plain values that travel."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SpanContext:
    """A span of somebody else's, as a `traceparent` names it: ids in lower-case hex, `flags` one byte, and the
    `tracestate` that came with it ("" = none)."""

    trace_id: str
    span_id: str
    flags: int = 0
    state: str = ""


@dataclass(slots=True)
class Trace:
    """Where an exchange stands: `id` of the trace, `span_id` of its own span, `engine_span_id` of that at the engine.

    `parent` is the caller's span if the caller is trusted, `link` the same if it is not. `sampled` was decided before
    the engine was asked, because the engine is told; `kept` is said when all is over: whether spans were made of it.
    """

    id: str
    span_id: str
    engine_span_id: str
    sampled: bool
    flags: int = 0
    parent: SpanContext | None = None
    link: SpanContext | None = None
    kept: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    """What the engine is sent."""
