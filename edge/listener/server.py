"""`Listener`: an address, its limits, and the drain. One per entry of `listeners:` in the configuration."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl as tls
from typing import Final, NoReturn

from aiohttp import http_parser
from aiohttp.web_request import BaseRequest
from aiohttp.web_response import StreamResponse
from aiohttp.web_server import Server

from edge.listener.accepting import TlsDoor, bound
from edge.listener.census import Census
from edge.listener.connection import LOG, Connection
from edge.listener.floor import Floor
from edge.listener.hosts import HostPolicy
from edge.listener.inbound import Handler, Rejected
from edge.listener.limits import ListenerLimits
from policies.exchange import Client
from policies.principal import Network

_BACKLOG: Final = 1_024
_HINTS: Final = {
    errno.EADDRINUSE: "another program (or another llm-gateway) listens there; stop it, or choose another port",
    errno.EACCES: "not permitted; choose a port of 1024 or above",
    errno.EADDRNOTAVAIL: "this machine has no such address; choose one of its own, or 0.0.0.0",
}


class ListenError(Exception):
    """The listener cannot start. The text is one line: what, why, and what to do."""


def require_c_parser() -> None:
    """Raise ListenError unless aiohttp parses with llhttp.

    Six of aiohttp's smuggling bugs were in its Python parser only, and AIOHTTP_NO_EXTENSIONS=1 or the pure-Python wheel
    (on PyPI since 3.14.4) switch to it silently (facts/security.md 5.1).
    """
    if http_parser.HttpRequestParser.__module__ != "aiohttp._http_parser":
        raise ListenError(
            "aiohttp runs on its pure-Python HTTP parser, which is not safe at the edge: "
            "unset AIOHTTP_NO_EXTENSIONS and install aiohttp's binary wheel (pip install --force-reinstall aiohttp)"
        )


class Listener(Server):
    """One listening address. To be made inside the running event loop.

    `handler` serves each request, `rejected` renders what the wire checks refuse, `name` is the listener's name in the
    configuration. A `census` shared by several listeners makes the connection caps theirs together.
    """

    def __init__(
        self,
        handler: Handler,
        rejected: Rejected,
        *,
        name: str,
        limits: ListenerLimits | None = None,
        hosts: HostPolicy | None = None,
        ssl: tls.SSLContext | None = None,
        networks: tuple[Network, ...] = (),
        census: Census | None = None,
    ) -> None:
        super().__init__(_never, handler_cancellation=True)
        limits = limits or ListenerLimits()
        census = census or Census(limits)
        self._floor = Floor(handler, rejected, name, limits, hosts or HostPolicy(), census, networks)
        self._floor.quiet.set()
        self._ssl = ssl
        self._server: asyncio.Server | TlsDoor | None = None

    def __call__(self, admitted: Client | None = None) -> Connection:
        return Connection(self, self._floor, self._loop, admitted)

    def answer_to(self, hosts: HostPolicy) -> None:
        """Change the names that new connections may call it by."""
        self._floor.hosts = hosts

    @property
    def name(self) -> str:
        return self._floor.name

    @property
    def census(self) -> Census:
        """Counts of connections: all, strangers, refused."""
        return self._floor.census

    @property
    def refused(self) -> int:
        """Connections closed at the door: too many, or from outside of its networks."""
        return self._floor.census.refused + self._floor.foreign

    @property
    def draining(self) -> bool:
        """Whether `drain` has begun: readiness is false, and every answer closes its connection."""
        return self._floor.draining

    @property
    def active(self) -> int:
        """Requests being served."""
        return len(self._floor.busy)

    @property
    def port(self) -> int:
        """The port bound (the system's choice for port 0); 0 while not listening."""
        if self._server is None or not self._server.sockets:
            return 0
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self, host: str, port: int) -> None:
        """Listen on `host` (an address or a name) and `port` (0 = any free one). Raises ListenError."""
        require_c_parser()
        limits = self._floor.limits
        address = host.removeprefix("[").removesuffix("]")
        try:
            if self._ssl is None:
                self._server = await self._loop.create_server(self, address, port, backlog=_BACKLOG, reuse_address=True)
            else:
                self._server = TlsDoor(self._floor, self._ssl, self, bound(address, port, _BACKLOG))
        except OSError as error:
            _explain(error, host, port)
        for sock in self._server.sockets:
            # Inherited by every connection. Left to itself the kernel holds megabytes per slow reader, and takes more
            # only by the megabyte, so that a slow caller looks stalled (and an upstream ran 13 MiB ahead, facts 5.3).
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, limits.stream_buffer_bytes // 4)

    async def drain(self, deadline: float | None = None) -> None:
        """Stop accepting and end all connections, in at most `deadline` + `cut_s` seconds (default: `drain_s`).

        Idle connections close at once, active requests may finish until the deadline. Then they are cancelled with
        the message `DRAIN`, `inbound.cut` is true, and for `cut_s` they may still end their streams properly.
        """
        floor = self._floor
        await self._stop_accepting()
        for connection in list(floor.connections):
            connection.retire()
        if not await _within(floor.limits.drain_s if deadline is None else deadline, floor.quiet):
            LOG.warning("listener %s: cutting %d requests after the drain deadline", floor.name, len(floor.busy))
            for connection in list(floor.busy):
                connection.cut_off()
            await _within(floor.limits.cut_s, floor.quiet)
        await self.close()

    async def close(self) -> None:
        """Stop accepting and cut everything now. Safe to call again."""
        await self._stop_accepting()
        for connection in list(self._floor.connections):
            connection.abort()

    async def _stop_accepting(self) -> None:
        self._floor.draining = True
        if isinstance(self._server, TlsDoor):
            await self._server.close()
        elif self._server is not None:
            self._server.close()


async def _within(seconds: float, event: asyncio.Event) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


async def _never(request: BaseRequest) -> StreamResponse:
    raise NotImplementedError("aiohttp's own request loop is replaced by Connection.start")


def _explain(error: OSError, host: str, port: int) -> NoReturn:
    if isinstance(error, socket.gaierror):
        hint = "the host name does not resolve; use an address such as 127.0.0.1"
    else:
        hint = _HINTS.get(error.errno or 0) or (error.strerror or type(error).__name__)
    raise ListenError(f"cannot listen on {host}:{port}: {hint}") from error
