"""Gives every exchange its place in a trace, and at its end makes spans of those that are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from observability.traces.context import RANDOM, SAMPLED, read_context, write_traceparent
from observability.traces.sampling import Rate, Ratio, Why, worth
from observability.traces.spans import Span, spans_of
from observability.traces.trust import ListenerTrace, Trust
from policies.exchange import Exchange
from policies.trace import SpanContext, Trace

_SECONDS: Final = 5.0
"""A burst is what the rate allows in so long."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """What is kept: `ratio` of all traces; requests of `slow` seconds and more; errors and denials, each up to `rate` a
    second; what trusted callers sample, up to `trusted` a second, beyond that by the ratio."""

    ratio: float = 0.1
    slow: float = 10.0
    rate: float = 20.0
    trusted: float = 100.0


class Tracer:
    """One for all listeners; implements `observers.Observer`. `clock` is monotonic seconds."""

    def __init__(
        self,
        sampling: Sampling,
        sink: Callable[[list[Span]], None],
        *,
        randomness: Callable[[int], bytes],
        clock: Callable[[], float],
    ) -> None:
        self._sampling = sampling
        self._sink = sink
        self._randomness = randomness
        self._clock = clock
        self._ratio = Ratio(sampling.ratio)
        self._trusted = Rate(sampling.trusted, sampling.trusted * _SECONDS)
        # Each its own: a flood of strangers without a key must not hide that an engine is broken.
        self._rates = {why: Rate(sampling.rate, sampling.rate * _SECONDS) for why in (Why.ERROR, Why.DENIED, Why.SLOW)}
        self.limited = 0
        """Traces that were worth keeping, but for the rate."""

    def place(self, exchange: Exchange, headers: Mapping[str, str], listener: ListenerTrace) -> None:
        """Say which trace `exchange` belongs to; to be asked again when its caller is known."""
        said = headers.get("traceparent")
        if exchange.trace is not None and (said is None or listener.trust is not Trust.AUTHENTICATED):
            return
        caller = read_context(said, headers.get("tracestate", "")) if said is not None else None
        if caller is not None and listener.believes(exchange.client.ip, authenticated=exchange.principal is not None):
            exchange.trace = self._joined(caller)
        else:
            exchange.trace = self._root(exchange.id, caller)

    def _root(self, trace_id: str, caller: SpanContext | None) -> Trace:
        sampled = self._ratio.keeps(trace_id)
        link = None if caller is None else SpanContext(caller.trace_id, caller.span_id, caller.flags)
        return self._trace(trace_id, sampled=sampled, flags=RANDOM, link=link)

    def _joined(self, caller: SpanContext) -> Trace:
        """A caller that samples is followed within the rate; one that does not is believed: a trace with holes helps
        nobody, and what went wrong is kept at the end all the same."""
        sampled = bool(caller.flags & SAMPLED) and (
            self._trusted.take(self._clock()) or self._ratio.keeps(caller.trace_id)
        )
        return self._trace(caller.trace_id, sampled=sampled, flags=caller.flags & RANDOM, parent=caller)

    def _trace(
        self,
        trace_id: str,
        *,
        sampled: bool,
        flags: int,
        parent: SpanContext | None = None,
        link: SpanContext | None = None,
    ) -> Trace:
        ids = self._randomness(16).hex()
        own, engine = _span_id(ids[:16]), _span_id(ids[16:])
        flags |= SAMPLED if sampled else 0
        headers: tuple[tuple[str, str], ...] = (("traceparent", write_traceparent(trace_id, engine, flags)),)
        if parent is not None and parent.state:
            headers = (*headers, ("tracestate", parent.state))
        return Trace(trace_id, own, engine, sampled, flags, parent, link, headers=headers)

    def ended(self, exchange: Exchange, at: float) -> None:
        """See Observer.ended: hand on its spans, if it is kept."""
        trace = exchange.trace
        if trace is None or (why := self._why(exchange, trace)) is None:
            return
        trace.kept = True
        self._sink(spans_of(exchange, at, why, lambda: _span_id(self._randomness(8).hex())))

    def _why(self, exchange: Exchange, trace: Trace) -> Why | None:
        if trace.sampled:
            return Why.SAMPLED
        why = worth(exchange, self._sampling.slow)
        if why is None or self._rates[why].take(self._clock()):
            return why
        self.limited += 1
        return None


def _span_id(text: str) -> str:
    """3.2.2.4: all zero is no id."""
    return text if text != "0" * 16 else "0" * 15 + "1"
