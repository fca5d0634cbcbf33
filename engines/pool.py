"""Connections to engines, kept between two requests for a little while."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import Final

from engines.wire import Wire

KEEP_ALIVE: Final = 3.0
"""Seconds. Below uvicorn's 5 s (vLLM, llama-cpp-python), the shortest among engines: whoever closes first must be us
(facts/security.md F9)."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where an engine listens: a host and port, with TLS or without, or the path of a UNIX socket."""

    host: str = ""
    port: int = 0
    tls: bool = False
    path: str = ""


class Pool:
    """Gives connections and takes them back. How many an engine has is the queue's decision: here is no bound."""

    def __init__(self, keep: float = KEEP_ALIVE) -> None:
        self._keep = keep
        self._idle: dict[Address, list[Wire]] = {}
        self._open: set[Wire] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._tls: ssl.SSLContext | None = None

    async def get(self, address: Address, within: float) -> Wire:
        """A connection that nobody uses. OSError if there is none to be had, TimeoutError after `within` seconds."""
        idle = self._idle.get(address)
        oldest = asyncio.get_running_loop().time() - self._keep
        while idle:
            wire = idle.pop()
            if wire.open and wire.idle_since >= oldest:
                return wire
            wire.abort()
        async with asyncio.timeout(within):
            return await self._connect(address)

    def put(self, wire: Wire, address: Address) -> None:
        """Take `wire` back, to be used again if it can be."""
        if not wire.reusable:
            wire.abort()
            return
        loop = asyncio.get_running_loop()
        wire.idle_since = loop.time()
        self._idle.setdefault(address, []).append(wire)
        if self._timer is None:
            self._timer = loop.call_later(self._keep, self._sweep)

    def close(self) -> None:
        """Close all connections, busy ones too."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._idle.clear()
        for wire in tuple(self._open):
            wire.abort()

    async def _connect(self, address: Address) -> Wire:
        loop = asyncio.get_running_loop()
        if address.path:
            _, wire = await loop.create_unix_connection(self._wire, address.path)
        else:
            tls = self._context() if address.tls else None
            _, wire = await loop.create_connection(self._wire, address.host, address.port, ssl=tls)
        self._open.add(wire)
        return wire

    def _wire(self) -> Wire:
        return Wire(self._open.discard)

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        oldest = loop.time() - self._keep
        for address, wires in tuple(self._idle.items()):
            for wire in wires:
                if wire.idle_since < oldest:
                    wire.abort()
            self._idle[address] = [wire for wire in wires if wire.open]
            if not self._idle[address]:
                del self._idle[address]
        self._timer = loop.call_later(self._keep, self._sweep) if self._idle else None
