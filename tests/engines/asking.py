"""Asking a loopback engine through the transport."""

from __future__ import annotations

import asyncio

import pytest

from engines.contract import Engine, Timeouts, UpstreamRequest
from engines.transport import HttpTransport
from policies.errors import UpstreamError
from tests.engines.loopback import Script, serving
from tests.engines.permits import permit

ASK = UpstreamRequest("POST", "/v1/chat/completions", b'{"a":1}', (("content-type", "application/json"),))
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


async def ask(transport: HttpTransport, engine: Engine, request: UpstreamRequest = ASK) -> bytes:
    async with transport.send(permit(), engine, request) as answer:
        return await answer.read(1 << 20)


async def failure(transport: HttpTransport, script: Script, **limits: float) -> UpstreamError:
    async with serving(script) as server, asyncio.timeout(10):
        with pytest.raises(UpstreamError) as caught:
            await ask(transport, server.engine(timeouts=Timeouts(**limits)))
        return caught.value
