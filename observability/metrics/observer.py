"""Counts every finished request. Costs a few microseconds, and so stands in the event loop, at the end of the line.

Labels come from what the line found out, never from what a caller wrote: the matched route, the canonical model, the
owner of a valid credential. What an obligation takes out of records is not in metrics either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from observability.metrics import catalogue as names
from observability.metrics.instruments import Labels, Mark
from observability.metrics.registry import Registry
from policies.exchange import Exchange
from policies.reasons import CAUSES, Reason
from policies.record import MASK

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
_UNUSUAL: Final = "_OTHER"
"""The conventions' word for a method that is none of RFC 9110's."""
_NO_IDENTITY: Final = frozenset(
    {Reason.MISSING_CREDENTIAL, Reason.INVALID_CREDENTIAL, Reason.CREDENTIAL_REVOKED, Reason.TOO_MANY_FAILURES}
)
_LIMITS: Final[Mapping[Reason, str]] = MappingProxyType(
    {Reason.LIMIT_EXCEEDED: "", Reason.CONCURRENCY_EXCEEDED: "concurrency", Reason.QUOTA_EXCEEDED: "quota"}
)
_LEFT: Final = CAUSES[Reason.CLIENT_GONE].status
_SCHEME: Final = "http"
_MS: Final = 1000


class RequestMetrics:
    """Implements `observers.Observer`.

    `known` gives the canonical name or alias that a name means, "" if we have no such model: what callers ask for may
    be anything. `sampled` gives the trace of an exchange if it is kept, for exemplars.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        known: Callable[[str], str],
        sampled: Callable[[Exchange, float], Mark | None] = lambda _, __: None,
    ) -> None:
        self._known = known
        self._sampled = sampled
        self._requests = registry.counter(names.REQUESTS).add
        self._http_time = registry.histogram(names.HTTP_DURATION).observe
        self._received = registry.histogram(names.HTTP_REQUEST_SIZE).observe
        self._sent = registry.histogram(names.HTTP_RESPONSE_SIZE).observe
        self._served = _Served(registry)
        self._auth_failures = registry.counter(names.AUTH_FAILURES).add
        self._disconnects = registry.counter(names.DISCONNECTS).add
        self._limits = registry.counter(names.LIMIT_REFUSALS).add
        self._shadows = registry.counter(names.SHADOW_REFUSALS).add

    def ended(self, exchange: Exchange, at: float) -> None:
        """See Observer.ended."""
        outcome, stages, call = exchange.outcome, exchange.stages, exchange.call
        mark = self._sampled(exchange, at)
        listener, route = exchange.client.listener, exchange.route
        method = exchange.method if exchange.method in _METHODS else _UNUSUAL
        status = str(outcome.status)
        reason = "" if outcome.reason is None else outcome.reason.value
        caller = caller_of(exchange)
        requested = dialect = operation = ""
        if call is not None:
            dialect, operation = call.dialect.value, names.OPERATIONS.get(call.operation, "")
            requested = self._requested(exchange)
        total = stages.done - stages.accepted
        where: Labels = (method, _SCHEME, route, listener)
        self._requests((listener, caller, dialect, operation, requested, exchange.model, status, reason))
        self._http_time((method, _SCHEME, route, status, reason, listener), total, mark)
        self._received(where, outcome.bytes_in)
        self._sent(where, outcome.bytes_out)
        if operation:
            who = (operation, exchange.provider, requested, exchange.model)
            self._served.ended(exchange, caller, who, reason, mark)
        if outcome.reason is not None:
            self._refused(exchange, outcome.reason, caller)
        for name in outcome.shadowed:
            self._shadows((name,))

    def _requested(self, exchange: Exchange) -> str:
        if "model.requested" in exchange.redact:
            return MASK
        return self._known(exchange.requested) if exchange.requested else ""

    def _refused(self, exchange: Exchange, reason: Reason, caller: str) -> None:
        listener = exchange.client.listener
        if reason in _NO_IDENTITY:
            self._auth_failures((listener, reason.value))
        elif reason in _LIMITS:
            kind, window = exchange.outcome.limit
            self._limits((kind or _LIMITS[reason], window, caller))
        if exchange.outcome.status == _LEFT:
            self._disconnects((listener, _stage(exchange)))


class _Served:
    """What is counted of requests for a model, as the caller and as the engine saw them."""

    def __init__(self, registry: Registry) -> None:
        self._time = registry.histogram(names.SERVER_DURATION).observe
        self._first_token = registry.histogram(names.TIME_TO_FIRST_TOKEN).observe
        self._per_token = registry.histogram(names.TIME_PER_OUTPUT_TOKEN).observe
        self._engine_time = registry.histogram(names.CLIENT_DURATION).observe
        self._first_chunk = registry.histogram(names.TIME_TO_FIRST_CHUNK).observe
        self._token_usage = registry.histogram(names.TOKEN_USAGE).observe
        self._tokens = registry.counter(names.TOKENS_USED).add
        self._gpu_time = registry.counter(names.GPU_TIME).add
        self._wait = registry.histogram(names.QUEUE_WAIT).observe
        self._overhead = registry.histogram(names.OVERHEAD).observe
        self._loads = registry.counter(names.LOADS).add

    def ended(self, exchange: Exchange, caller: str, who: Labels, reason: str, mark: Mark | None) -> None:
        """`who`: operation, provider, requested and served model."""
        stages = exchange.stages
        self._time((*who, reason), stages.done - stages.accepted, mark)
        if not stages.turn:
            return
        engine, model = exchange.engine, exchange.model
        self._wait((engine, caller, _rate_class(exchange)), stages.turn - stages.queued, mark)
        if exchange.loaded:
            self._loads((engine, model))
        if not stages.sent:
            return
        self._engine_time((*who, engine, reason), (stages.answered or stages.done) - stages.sent, mark)
        self._charged(exchange, caller, who, mark)
        if reason:
            return
        if exchange.shape.stream and stages.first_byte:
            self._streamed(exchange, who, mark)
        ours = stages.identified - stages.accepted + stages.decided - stages.received + stages.sent - stages.turn
        self._overhead((exchange.client.listener,), ours + stages.done - stages.answered, mark)

    def _charged(self, exchange: Exchange, caller: str, who: Labels, mark: Mark | None) -> None:
        outcome, model = exchange.outcome, exchange.model
        usage = outcome.usage
        if usage.input:
            self._token_usage((*who, "input"), usage.input, mark)
            self._tokens((caller, model, "input"), usage.input)
        if usage.output:
            self._token_usage((*who, "output"), usage.output, mark)
            self._tokens((caller, model, "output"), usage.output)
        if outcome.gpu_ms:
            self._gpu_time((caller, model, exchange.engine), outcome.gpu_ms / _MS)

    def _streamed(self, exchange: Exchange, who: Labels, mark: Mark | None) -> None:
        stages, tokens = exchange.stages, exchange.outcome.usage.output or 0
        self._first_token(who, stages.first_byte - stages.accepted, mark)
        self._first_chunk((*who, exchange.engine), stages.first_byte - stages.sent, mark)
        if tokens > 1:
            self._per_token(who, (stages.answered - stages.first_byte) / (tokens - 1), mark)


def caller_of(exchange: Exchange) -> str:
    """The label for who called: the owner, "" for a stranger."""
    if exchange.principal is None:
        return ""
    return MASK if "caller.id" in exchange.redact else exchange.principal.id


def _rate_class(exchange: Exchange) -> str:
    return (exchange.permit.obligations.rate_class or "") if exchange.permit is not None else ""


def _stage(exchange: Exchange) -> str:
    """Where a caller left."""
    stages = exchange.stages
    if stages.first_byte:
        return "answer"
    if stages.turn:
        return "prefill"
    return "queue" if stages.decided else "before"
