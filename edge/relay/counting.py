"""Asks an engine's own tokenizer. Never an obstacle: whatever goes wrong, nobody has counted."""

from __future__ import annotations

import asyncio
from typing import Final

import orjson

from engines.contract import Adapter, Target, Transport, UpstreamRequest
from policies.call import Call
from policies.decision import Permit
from policies.errors import Refusal, UpstreamError
from policies.json import JSON

MAX_COUNT: Final = 4 << 20
"""Bytes of an answer: engines send all tokens along, and while 600,000 are read (30 ms) everybody else waits."""
_PROMPT_WITHIN: Final = 0.5
"""Seconds: the caller waits for it, and an estimate will do."""
_WITHIN: Final = 5.0


async def prompt_tokens(
    permit: Permit, call: Call, target: Target, adapter: Adapter, transport: Transport
) -> int | None:
    """Tokens of the call's prompt as the engine's template makes it; None where the engine does not tell in time."""
    try:
        request = adapter.count_prompt(call, target)
    except Refusal:
        return None  # it will be refused in the same words when it is to be sent
    return await ask(permit, target, adapter, transport, request, within=_PROMPT_WITHIN)


async def ask(
    permit: Permit,
    target: Target,
    adapter: Adapter,
    transport: Transport,
    request: UpstreamRequest | None,
    *,
    within: float = _WITHIN,
) -> int | None:
    """The answer to one of the adapter's counting requests."""
    if request is None:
        return None
    try:
        async with asyncio.timeout(within), transport.send(permit, target.engine, request) as response:
            body = await response.read(MAX_COUNT)
        document: JSON = orjson.loads(body)
    except (UpstreamError, TimeoutError, orjson.JSONDecodeError):
        return None
    return adapter.counted(document)
