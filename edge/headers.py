"""Headers of answers, beside those about limits and about the stream. Pure."""

from __future__ import annotations

from edge.dialects.errors import ANTHROPIC_REQUEST_ID, JSON_TYPE
from policies.call import Call, Dialect
from policies.decision import Permit
from policies.exchange import Exchange


def own_headers(exchange: Exchange) -> dict[str, str]:
    """Of what the gateway says itself."""
    return {"content-type": JSON_TYPE, "x-request-id": exchange.id, "cache-control": "no-store"}


def call_headers(exchange: Exchange, permit: Permit, call: Call) -> dict[str, str]:
    """Of an answer to `call`: the policy's, what was left out or changed, the request's id under the dialect's name."""
    headers = {**dict(permit.obligations.headers), "x-request-id": exchange.id, **ignored(call)}
    if call.dialect is Dialect.ANTHROPIC:
        headers[ANTHROPIC_REQUEST_ID] = exchange.id
    if call.presets:
        headers["x-llm-gateway-preset"] = ", ".join(call.presets)
    if call.clamped:
        headers["x-llm-gateway-clamped"] = ", ".join(call.clamped)
    return headers


def ignored(call: Call, unheard: tuple[str, ...] = ()) -> dict[str, str]:
    """What was left out. `unheard`: names of parameters that the engine has nothing for."""
    names = dict.fromkeys((*call.ignored, *unheard))
    return {"x-llm-gateway-ignored": ", ".join(names)} if names else {}
