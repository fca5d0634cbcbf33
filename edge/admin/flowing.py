"""An answer that goes on, sent block by block."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import Final

from edge.admin.answers import Flow
from edge.listener.inbound import Headers, Inbound
from policies.reasons import Reason

_GOODBYE: Final = 1.0


class Flowing:
    """One such answer under way. `sent` counts its bytes; `begun` says whether its head is out."""

    def __init__(self, inbound: Inbound, flow: Flow, headers: Headers) -> None:
        self._inbound = inbound
        self._flow = flow
        self._headers = headers
        self.begun = False
        self.sent = 0

    async def run(self) -> None:
        """Send it to its end. What the first block raises comes before the head, so that it can be answered."""
        async with aclosing(self._flow.blocks) as blocks:
            async for block in blocks:
                if not self.begun:
                    self.begun = True
                    await self._inbound.begin(200, {**self._headers, **self._flow.headers})
                await self._write(block)
        await self._inbound.end()

    async def end(self, reason: Reason) -> None:
        """Say why it ends early; ConnectionError if the reader does not take that in a second."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_GOODBYE):
                await self._write(self._flow.last(reason))
                await self._inbound.end()
                return
        self._inbound.abort()

    async def _write(self, block: bytes) -> None:
        await self._inbound.write(block)
        self.sent += len(block)
