"""The outgoing half of a connection: sending with a stall limit, and the ways to end.

end       the answer is out: half-close, throw away what still comes (bounded), close      RFC 9112 9.6
close     nothing more can come: close once everything is sent, or cut after the stall limit
abort     cut now
"""

from __future__ import annotations

import asyncio
import socket
import struct
from enum import Enum
from typing import Final

from aiohttp.web_protocol import RequestHandler
from aiohttp.web_server import Server

from edge.listener.deadline import Deadline
from edge.listener.limits import KIB, ListenerLimits

# The reader pauses the socket at twice its limit, and one more read of up to 256 KiB may be under way by then.
_READ_LIMIT: Final = 64 * KIB
_RESET: Final = struct.pack("ii", 1, 0)


class Phase(Enum):
    """Where a connection is.

    IDLE: nothing of a request is there. HEAD, BODY: part of one is. BUSY: all of it is, and its answer is not complete.
    ANSWERED: it is, but the handler is still at work (settling). LINGER: the last answer is out, what still comes in is
    thrown away. CLOSED: closing, or closed.
    """

    IDLE = 0
    HEAD = 1
    BODY = 2
    BUSY = 3
    ANSWERED = 4
    LINGER = 5
    CLOSED = 6


class Link(RequestHandler):
    """aiohttp's protocol with every one of its timers off: `deadline` is the only one."""

    __slots__ = ("_deadline", "_discarded", "_limits", "_lingers", "_phase", "_wire")

    def __init__(self, manager: Server, limits: ListenerLimits, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            manager,
            loop=loop,
            keepalive_timeout=0,
            access_log=None,  # type: ignore[arg-type] # aiohttp itself tests it for truth
            max_line_size=limits.request_line_bytes,
            max_field_size=limits.header_bytes,
            max_headers=limits.header_count,
            lingering_time=0,
            read_bufsize=_READ_LIMIT,
            auto_decompress=False,
        )
        self._limits = limits
        self._deadline = Deadline(loop, self._expired)
        self._wire: asyncio.Transport | None = None
        self._phase = Phase.IDLE
        self._discarded = 0
        self._lingers = False
        """Bytes of a request may still be on their way to us."""

    @property
    def gone(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._wire is None or self._wire.is_closing()

    def send(self, block: bytes) -> None:
        """Hand `block` to the transport; ConnectionResetError if it is closed."""
        wire = self._wire
        if wire is None or wire.is_closing():
            raise ConnectionResetError("the caller is gone")
        wire.write(block)

    async def flush(self) -> None:
        """Wait while the transport is full; ConnectionAbortedError if the caller takes nothing for `write_stall_s`.

        A slow caller is not a stalled one: every byte that the transport got rid of starts the wait anew.
        """
        while self._paused and self._wire is not None:
            wire, left = self._wire, self._wire.get_write_buffer_size()
            try:
                async with asyncio.timeout(self._limits.write_stall_s):
                    await self._drain_helper()
            except TimeoutError:
                self._drain_waiter = None  # cancelled by the timeout, and of no use to the next round
                if wire.get_write_buffer_size() >= left:
                    self.abort()
                    raise ConnectionAbortedError("the caller takes nothing") from None

    def discard(self, count: int) -> None:
        """`count` bytes came that nobody will read; too many of them cut the connection."""
        self._discarded += count
        if self._discarded > self._limits.discard_bytes:
            self.abort()

    def end(self) -> None:
        """Close in stages, or the reset for bytes that still come would destroy the answer on its way.

        RFC 9112 9.6: "the server performs a half-close by closing only the write side of the read/write connection.
        The server then continues to read from the connection until it receives a corresponding close by the client".
        """
        wire = self._wire
        if wire is None or self._phase is Phase.CLOSED:
            return
        if not self._lingers:
            self._close_wire(wire)
            return
        self._phase = Phase.LINGER
        if (
            wire.can_write_eof()
        ):  # TLS cannot; there `connection: close` and the framing tell the caller that it is over
            wire.write_eof()
        self._resume_transport_reading()
        self._deadline.set(self._limits.discard_s)

    def abort(self, *, reset: bool = False) -> None:
        """Cut the connection now; what is not sent is lost. `reset` makes sure that it cannot look like an end."""
        wire = self._wire
        if wire is None:
            return
        sock = wire.get_extra_info("socket")
        if reset and sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._phase = Phase.CLOSED
        wire.abort()

    def _close_wire(self, wire: asyncio.Transport) -> None:
        self._phase = Phase.CLOSED
        self._deadline.set(self._limits.write_stall_s)
        wire.close()

    def _expired(self) -> None:
        """A head, an idle connection or a lingering one took too long: it is closed without a word."""
        wire = self._wire
        if wire is None:
            return
        if self._phase is Phase.CLOSED:
            wire.abort()
        else:
            self._close_wire(wire)
