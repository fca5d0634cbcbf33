"""The outgoing half of a connection: sending with a stall limit, and the ways to end.

end       the answer is out: half-close, throw away what still comes (bounded), close      RFC 9112 9.6
close     nothing more can come: close once everything is sent, or cut after the stall limit
abort     cut now; a reset, if anything is missing
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from enum import Enum
from typing import Final

from aiohttp.web_protocol import RequestHandler
from aiohttp.web_server import Server

from edge.listener.limits import KIB, ListenerLimits
from engines.deadline import Deadline

# The reader pauses the socket at twice its limit, and one more read of up to 256 KiB may be under way by then.
_READ_LIMIT: Final = 64 * KIB
_RESET: Final = struct.pack("ii", 1, 0)
"""struct linger: on, 0 seconds; to close is to reset."""


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


def resets(sock: socket.socket | None) -> None:
    """To close `sock` is to reset it from now on; nothing to do where the peer was first."""
    if sock is not None:
        with contextlib.suppress(OSError):  # macOS: EINVAL, once the peer has reset it
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


_OWED: Final = frozenset({Phase.BODY, Phase.BUSY})
"""The phases in which the present request has no complete answer yet."""


class Link(RequestHandler):
    """aiohttp's protocol with every one of its timers off: `deadline` is the only one."""

    __slots__ = ("_blocked", "_deadline", "_discarded", "_limits", "_lingers", "_phase", "_room", "_taken", "_wire")

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
        self._room = asyncio.Event()
        self._blocked = 0.0
        self._taken = 0
        """Seconds that the present answer waited for its caller, and bytes that the caller took in them."""
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
        """Wait while the transport is full.

        ConnectionError if the caller is gone, takes nothing for `write_stall_s`, or falls that far behind `write_rate`.

        May be cancelled, and called by two tasks at once: `_room` has a future for each, where aiohttp's own
        `_drain_helper` shares one, which the first cancellation cancels for all that wait and all that will.
        """
        while self._paused:
            wire = self._wire
            if wire is None:
                raise ConnectionResetError("the caller is gone")
            start, left = self._loop.time(), wire.get_write_buffer_size()
            try:
                async with asyncio.timeout(self._patience()):
                    await self._room.wait()
            except TimeoutError:
                if wire.get_write_buffer_size() >= left:
                    self.abort()
                    raise ConnectionAbortedError("the caller takes too little") from None
            finally:
                self._blocked += self._loop.time() - start
                self._taken += max(0, left - wire.get_write_buffer_size())

    def _patience(self) -> float:
        """Seconds that the caller may take nothing from now on.

        Only time spent waiting for the caller counts, so the pauses of an engine cost nobody anything. Each byte taken
        buys `1 / write_rate` seconds on top of `write_stall_s`: the kernel takes bytes by the hundred KiB, and a plain
        average would cut an honest caller just before its next lot.
        """
        limits = self._limits
        return min(limits.write_stall_s, limits.write_stall_s + self._taken / limits.write_rate - self._blocked)

    def pause_writing(self) -> None:
        """The transport is full."""
        super().pause_writing()
        self._room.clear()

    def resume_writing(self) -> None:
        """The transport has room again."""
        super().resume_writing()
        self._room.set()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Nobody takes anything any more: whoever waits for room is told."""
        self._wire = None
        self._room.set()
        super().connection_lost(exc)  # cancels the handler

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

    def abort(self) -> None:
        """Cut the connection now; what is not sent is lost.

        If an answer is incomplete, or not all of it was sent, the connection is reset. RFC 9112 8: a response without
        chunks and length "is considered complete regardless of the number of message body octets received", provided
        that its header section was: to an HTTP/1.0 caller a FIN is an end, only a reset is none.
        """
        wire = self._wire
        if wire is None:
            return
        if self._phase in _OWED or wire.get_write_buffer_size():
            resets(wire.get_extra_info("socket"))
        self._phase = Phase.CLOSED
        wire.abort()

    def _turn_away(self, wire: asyncio.Transport) -> None:
        """Reset a connection that is not let in."""
        resets(wire.get_extra_info("socket"))
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
            self.abort()
        else:
            self._close_wire(wire)
