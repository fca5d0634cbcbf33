"""The access line: one JSON object per request, whatever became of it. Pure.

It holds ids, names from our own tables or that passed `names.is_name`, counts and times: never a credential, a prompt,
a raw path or an engine's text.
"""

from __future__ import annotations

from typing import Final

from observability.hidden import container_of, detail_of, device_of, key_of
from policies.exchange import Exchange, Stages
from policies.json import Object
from policies.record import MASK

_REDACTED: Final = {"caller.id": "caller", "model.requested": "requested_model", "source.ip": "ip"}
"""What an obligation to redact (`policies.obligations.RECORDED`) means here; containers: `hidden.container_of`."""


def access_line(exchange: Exchange, *, at: float) -> Object:
    """The record of a finished exchange; `at` is seconds since the epoch at its end."""
    outcome, call, principal = exchange.outcome, exchange.call, exchange.principal
    line: Object = {
        "event": "access",
        "at": round(at, 3),
        "request_id": exchange.id,
        "listener": exchange.client.listener,
        "ip": exchange.client.ip,
        "method": exchange.method,
        "route": exchange.route,
        "status": outcome.status,
        "bytes_in": outcome.bytes_in,
        "bytes_out": outcome.bytes_out,
        "ms": stage_times(exchange.stages),
    }
    if principal is not None:
        line.update(key_id=key_of(exchange), caller=principal.id, auth=principal.auth)
    line.update(_labels(exchange))
    if exchange.client.tls:
        line["tls"] = exchange.client.tls
    if exchange.agent:
        line["user_agent"] = exchange.agent
    if call is not None and call.model:
        line.update(dialect=call.dialect.value, operation=call.operation.value, requested_model=exchange.requested)
        line.update(stream=call.stream, ignored=len(call.ignored))
        if call.presets:
            line.update(presets=list(call.presets), clamped=list(call.clamped))
    if exchange.model:
        line.update(model=exchange.model)
    for field in exchange.redact:
        if (name := _REDACTED.get(field)) in line:
            line[name] = MASK
    line.update(_ending(exchange))
    return line


def _labels(exchange: Exchange) -> Object:
    """What people call the caller's machine."""
    container, device = container_of(exchange), device_of(exchange)
    line: Object = {"device": device} if device else {}
    if container.name:
        line.update(container=container.name)
    if container.stack:
        line.update(stack=container.stack, service=container.service)
    return line


def _ending(exchange: Exchange) -> Object:
    """What became of it."""
    outcome = exchange.outcome
    line: Object = {}
    if exchange.trace is not None and exchange.trace.id != exchange.id:
        line.update(trace_id=exchange.trace.id)
    if exchange.engine:
        usage = outcome.usage
        line.update(engine=exchange.engine, tokens_in=usage.input, tokens_out=usage.output, tokens_cached=usage.cached)
        line.update(usage_source=usage.source, finish=outcome.finish, tokens_in_estimated=outcome.estimated)
        line.update(way=exchange.way)
    if exchange.capture != "none":
        line.update(capture=exchange.capture)
    if outcome.shadowed:
        line.update(shadow_limits=list(outcome.shadowed))
    if outcome.reason is not None:
        line.update(reason=outcome.reason.value, detail=detail_of(exchange))
    return line


def stage_times(stages: Stages) -> Object:
    """Milliseconds each stage took; only the stages that were reached."""
    marks = (
        ("identify", stages.accepted, stages.identified),
        ("parse", stages.identified, stages.parsed),
        ("decide", stages.parsed, stages.decided),
        ("hold", stages.decided, stages.queued),
        ("queue", stages.queued, stages.turn),
        ("first_byte", stages.sent, stages.first_byte),
        ("total", stages.accepted, stages.done),
    )
    return {name: round((end - begin) * 1000, 3) for name, begin, end in marks if begin and end}
