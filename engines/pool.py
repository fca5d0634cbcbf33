"""Connections to engines, kept between two requests for a little while, and the addresses behind their names."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final, TypeAlias

from aiohappyeyeballs import AddrInfoType, start_connection

from engines.wire import Wire

_Found: TypeAlias = Sequence[AddrInfoType]

KEEP_ALIVE: Final = 3.0
"""Seconds. Below uvicorn's 5 s (vLLM, llama-cpp-python), the shortest among engines: whoever closes first must be us
(facts/security.md F9)."""

_KNOWN: Final = 10.0
"""Seconds for which the addresses of a name are kept: engines without keep-alive are dialled for each request."""
_APART: Final = 0.25
_IPV4: Final = 4


@dataclass(frozen=True, slots=True)
class Address:
    """Where an engine listens: a host and port, with TLS or without, or the path of a UNIX socket."""

    host: str = ""
    port: int = 0
    tls: bool = False
    path: str = ""


@dataclass(slots=True)
class _Name:
    """What a name was last found to mean, good until the loop's time `until`; one at a time looks it up."""

    found: _Found = ()
    until: float = 0.0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Pool:
    """Gives connections and takes them back. How many an engine has is the queue's decision: here is no bound."""

    def __init__(self, keep: float = KEEP_ALIVE) -> None:
        self._keep = keep
        self._idle: dict[Address, list[Wire]] = {}
        self._open: set[Wire] = set()
        self._names: dict[tuple[str, int], _Name] = {}
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._tls: ssl.SSLContext | None = None

    async def get(self, address: Address, within: float, *, fresh: bool = False) -> Wire:
        """A connection that nobody uses; `fresh`: and that nobody has used. OSError or UnicodeError (of a name that is
        none) if there is none to be had, TimeoutError after `within` seconds."""
        idle = None if fresh else self._idle.get(address)
        oldest = asyncio.get_running_loop().time() - self._keep
        while idle:
            wire = idle.pop()
            if wire.open and wire.idle_since >= oldest and not wire.unread:
                return wire
            wire.abort()
        async with asyncio.timeout(within):
            return await self._connect(address)

    def put(self, wire: Wire, address: Address) -> None:
        """Take `wire` back, to be used again if it can be."""
        if self._closed or not wire.reusable:
            wire.abort()
            return
        loop = asyncio.get_running_loop()
        wire.idle_since = loop.time()
        self._idle.setdefault(address, []).append(wire)
        if self._timer is None:
            self._timer = loop.call_later(self._keep, self._sweep)

    def close(self) -> None:
        """Close all connections, busy ones too."""
        self._closed = True
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
            tls = await self._context() if address.tls else None
            named = address.host if tls else None
            sock = await self._dial(address.host, address.port)
            try:
                _, wire = await loop.create_connection(self._wire, sock=sock, ssl=tls, server_hostname=named)
            except BaseException:
                sock.close()
                raise
        if wire.open:
            self._open.add(wire)
        return wire

    async def _dial(self, host: str, port: int) -> socket.socket:
        """A connected socket: addresses are tried 0.25 s apart (RFC 8305), since the first one of a name may swallow
        what is sent there (a stale mDNS answer, IPv6 that leads nowhere)."""
        found = await self._addresses(host, port)
        sock = await start_connection(found, happy_eyeballs_delay=_APART, interleave=1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    async def _addresses(self, host: str, port: int) -> _Found:
        with suppress(ValueError):
            version = ip_address(host).version
            family = socket.AF_INET if version == _IPV4 else socket.AF_INET6
            return [(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))]
        loop, name = asyncio.get_running_loop(), self._names.setdefault((host, port), _Name())
        async with name.turn:
            if name.until <= loop.time():
                name.found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
                name.until = loop.time() + _KNOWN
        return name.found

    def _wire(self) -> Wire:
        return Wire(self._open.discard)

    async def _context(self) -> ssl.SSLContext:
        if self._tls is None:  # in a thread: it reads all of the system's certificates, 30 ms
            self._tls = await asyncio.to_thread(ssl.create_default_context)
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
