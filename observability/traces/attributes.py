"""What spans say of a request: ids, names of ours, counts; never a prompt, a raw path, an engine's text. Pure.

Names are those of OpenTelemetry's semantic conventions where there is one (`metrics.catalogue.SCHEMA`), `llm_gateway.*`
elsewhere; what metrics have as a label has the same name here.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from observability.hidden import container_of, detail_of, device_of, key_of
from observability.metrics.catalogue import OPERATIONS
from observability.traces.sampling import status_of
from policies.call import STOCK, Call
from policies.exchange import Exchange, Usage
from policies.names import is_name
from policies.obligations import obligations_document
from policies.reasons import Reason
from policies.record import MASK

Value: TypeAlias = str | bool | int | float | tuple[str, ...]
Attributes: TypeAlias = dict[str, Value]

_NUMBERS: Final = ("temperature", "top_p", "seed", "frequency_penalty", "presence_penalty")
_LIMITS: Final = frozenset({Reason.LIMIT_EXCEEDED, Reason.CONCURRENCY_EXCEEDED})


def server_attributes(exchange: Exchange) -> Attributes:
    """Of the whole request."""
    outcome = exchange.outcome
    found: Attributes = {
        "http.request.method": exchange.method,
        "url.scheme": "http",
        "http.response.status_code": outcome.status,
        "http.request.body.size": outcome.bytes_in,
        "http.response.body.size": outcome.bytes_out,
        "client.address": MASK if "source.ip" in exchange.redact else exchange.client.ip,
        "llm_gateway.request.id": exchange.id,
        "llm_gateway.listener": exchange.client.listener,
    }
    if exchange.route:
        found["http.route"] = exchange.route
    if exchange.agent:
        found["user_agent.name"] = exchange.agent
    if outcome.reason is not None:
        found["error.type"] = outcome.reason.value
        found["llm_gateway.status_code"] = status_of(exchange)  # what a stream that had begun could not say
    _add_container(found, exchange)
    _add_caller(found, exchange)
    _add_call(found, exchange)
    _add_decision(found, exchange)
    if exchange.engine:
        found["llm_gateway.engine"] = exchange.engine
        found["llm_gateway.way"] = exchange.way
        _add_answer(found, outcome.usage, outcome.finish)
    return found


def _add_container(found: Attributes, exchange: Exchange) -> None:
    """Not `container.name`: by the conventions that is where the process that makes the span runs."""
    container = container_of(exchange)
    if container.name:
        found["llm_gateway.client.container"] = container.name
        found["llm_gateway.client.network"] = container.network
    if container.stack:
        found["llm_gateway.client.stack"] = container.stack
        found["llm_gateway.client.service"] = container.service


def _add_caller(found: Attributes, exchange: Exchange) -> None:
    principal = exchange.principal
    if principal is None:
        return
    found["llm_gateway.caller"] = MASK if "caller.id" in exchange.redact else principal.id
    found["llm_gateway.auth"] = principal.auth
    if device := device_of(exchange):
        found["llm_gateway.client.device"] = device
    found["llm_gateway.key.id"] = key_of(exchange)
    if principal.groups:
        found["llm_gateway.groups"] = tuple(sorted(principal.groups))


def _add_call(found: Attributes, exchange: Exchange) -> None:
    call, requested = exchange.call, exchange.requested
    if call is not None:
        found["llm_gateway.dialect"] = call.dialect.value
        found["gen_ai.operation.name"] = OPERATIONS.get(call.operation, call.operation.value)
        found["gen_ai.request.stream"] = call.stream
        if call.presets:
            found["llm_gateway.presets"] = call.presets
    if requested and is_name(requested):  # anything else is a stranger's text
        found["gen_ai.request.model"] = MASK if "model.requested" in exchange.redact else requested
    if exchange.model:
        found["gen_ai.response.model"] = exchange.model


def _add_decision(found: Attributes, exchange: Exchange) -> None:
    outcome, permit = exchange.outcome, exchange.permit
    if exchange.revision:
        found["llm_gateway.decision.revision"] = exchange.revision
    if permit is not None:
        if names := tuple(obligations_document(permit.obligations)):
            found["llm_gateway.obligations"] = names
        if permit.grants:
            found["llm_gateway.decision.grants"] = permit.grants
    if outcome.reason in _LIMITS and outcome.detail:
        found["llm_gateway.limits.refused"] = (detail_of(exchange),)  # names of ours: edge/limits/words.py
    if outcome.shadowed:
        found["llm_gateway.limits.shadowed"] = outcome.shadowed


def streams_tokens(exchange: Exchange) -> bool:
    """Whether the first byte of the engine's answer was its first token."""
    stocks = exchange.call is not None and exchange.call.operation in STOCK
    return exchange.shape.stream and exchange.stages.first_byte > 0 and not stocks


def engine_attributes(exchange: Exchange) -> Attributes:
    """Of the call to the engine: the GenAI conventions of a client span."""
    outcome, stages = exchange.outcome, exchange.stages
    found: Attributes = {
        "gen_ai.provider.name": exchange.provider,
        "gen_ai.request.model": exchange.model,
        "llm_gateway.engine": exchange.engine,
        "llm_gateway.way": exchange.way,
    }
    if (asked := exchange.asked or exchange.call) is not None:
        _add_request(found, asked)
    if streams_tokens(exchange):
        found["gen_ai.response.time_to_first_chunk"] = stages.first_byte - stages.sent
    _add_answer(found, outcome.usage, outcome.finish)
    if outcome.finish:
        found["gen_ai.response.model"] = exchange.model
    if outcome.reason is not None:
        found["error.type"] = outcome.reason.value
    return found


def _add_request(found: Attributes, call: Call) -> None:
    """What the engine was asked for: the conventions' `gen_ai.request.*` are "the request" of the span's own call."""
    found["gen_ai.operation.name"] = OPERATIONS.get(call.operation, call.operation.value)
    found["gen_ai.request.stream"] = call.stream
    if call.n != 1:
        found["gen_ai.request.choice.count"] = call.n
    if call.max_tokens is not None:
        found["gen_ai.request.max_tokens"] = call.max_tokens
    for name in _NUMBERS:
        value = call.body.get(name)
        if isinstance(value, int | float):
            found[f"gen_ai.request.{name}"] = value


def _add_answer(found: Attributes, usage: Usage, finish: str) -> None:
    if usage.input is not None:
        found["gen_ai.usage.input_tokens"] = usage.input
    if usage.output is not None:
        found["gen_ai.usage.output_tokens"] = usage.output
    if usage.cached is not None:
        found["gen_ai.usage.cache_read.input_tokens"] = usage.cached
    if usage.source != "none":
        found["llm_gateway.usage.source"] = usage.source
    if finish:
        found["gen_ai.response.finish_reasons"] = (finish,)
