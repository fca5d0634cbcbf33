"""One connection to an engine: requests go out as they were composed, answers come back as the parser reads them.

Of HTTP/1.1 (RFC 9112) this is what a gateway needs of its client and nothing else: no redirects, cookies, proxies or
encodings are followed because there is no code for them (facts/security.md F1, F8, F9). The parser is llhttp
(httptools) with none of its leniencies. What an engine sends without having been asked ends the connection.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import Final, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from engines.deadline import Deadline
from policies.errors import EngineBroke, EngineUnreachable, UpstreamError

FIELD: Final = 8190
"""Characters of one header field, name and value."""
FIELDS: Final = 64
_MOST_WITHOUT_BODY: Final = 1 << 17
"""Bytes that may come without a byte of a body in them: heads, chunk extensions, trailers."""
_HIGH_WATER: Final = 1 << 18
"""Bytes of a body that nobody has taken yet, from which on the engine has to wait."""
_BLOCK: Final = 64
"""Bytes that a block takes beside what it holds."""
_ONE_WRITE: Final = 1 << 14
"""A body up to this size is copied behind its head, which is cheaper than a second write."""
_OK, _INTERIM, _SWITCH = 200, 100, 101
_FRAMING: Final = frozenset({"content-length", "transfer-encoding"})
_BODYLESS: Final = frozenset({204, 304})


class _RefusedError(Exception):
    """The parser's caller does not want what the parser found."""


@dataclass(frozen=True, slots=True)
class Head:
    """An answer's status and header fields, by lower-case name; fields that came twice are joined by commas."""

    status: int
    headers: Mapping[str, str]


@dataclass(slots=True)
class Incoming:
    """An answer on its way, for the wire that reads it. `until_close`: only the end of the connection ends it (RFC 9112
    6.3); `keeps`: the connection may be used again."""

    head: Head | None = None
    fields: dict[str, str] = field(default_factory=dict)
    blocks: list[bytes] = field(default_factory=list)
    size: int = 0
    heard: bool = False
    interim: bool = False
    ended: bool = False
    until_close: bool = False
    keeps: bool = False
    count: int = 0
    silent: int = 0
    error: UpstreamError | None = None
    """To be raised as a copy: a traceback has frames, which have this, and with it the request would stay."""


class Wire(asyncio.Protocol):
    """One connection. One request at a time: `ask`, then `head`, then `block` of what it gave, until that is b""."""

    def __init__(self, lost: Callable[[Wire], None]) -> None:
        """`lost` is called once, when the connection is gone."""
        self._loop = asyncio.get_running_loop()
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        self._coming: Incoming | None = None
        self._paused = False
        self._waiter: asyncio.Future[bool] | None = None
        self._deadline = Deadline(self._loop, self._late)
        self._poll: select.poll | None = None
        self.asked = 0
        """How many requests it has carried."""
        self.idle_since = 0.0
        """For whoever keeps it between two requests."""

    # -- for the transport ---------------------------------------------------------------------------------------------

    @property
    def open(self) -> bool:
        transport = self._transport
        return transport is not None and not transport.is_closing()

    @property
    def unread(self) -> bool:
        """Whether the engine has sent something, or closed, that the loop has not seen yet. On an idle connection that
        is no answer to what is asked next."""
        return self._poll is None or bool(self._poll.poll(0))

    @property
    def reusable(self) -> bool:
        """Whether the answer was read to its end, and nothing speaks against another request on this connection."""
        coming, transport = self._coming, self._transport
        return (
            coming is not None
            and coming.ended
            and coming.keeps
            and not coming.blocks
            and transport is not None
            and not transport.is_closing()
            and transport.get_write_buffer_size() == 0  # an engine that answered before it had read everything
        )

    def ask(self, head: bytes, body: bytes) -> Incoming:
        """Send a request; its answer is read next."""
        transport = self._transport
        self._coming = coming = Incoming()
        self.asked += 1
        if transport is None:
            coming.error = EngineUnreachable("closed without an answer")
        elif len(body) <= _ONE_WRITE:
            transport.write(head + body)
        else:
            transport.write(head)
            transport.write(body)
        return coming

    async def head(self, coming: Incoming, until: float) -> Head | None:
        """The answer's head; None if it has not come at the loop's time `until`. Raises UpstreamError."""
        while coming.head is None:
            if coming.error is not None:
                raise copy(coming.error)
            if not await self._more(until):
                return None
        return coming.head

    async def block(self, coming: Incoming, until: float) -> bytes | None:
        """What has come of the body, b"" at its end; None if nothing has come at the loop's time `until`. Raises
        UpstreamError, after everything that came before it."""
        while not coming.blocks:
            if coming.ended:
                return b""
            if coming.error is not None:
                raise copy(coming.error)
            if not await self._more(until):
                return None
        blocks, coming.blocks, coming.size = coming.blocks, [], 0
        if coming is self._coming and self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return blocks[0] if len(blocks) == 1 else b"".join(blocks)

    def abort(self) -> None:
        """End the connection now, whatever is still to be sent: this is how an engine learns that the caller left."""
        coming = self._coming
        if coming is not None and not coming.ended and coming.error is None:
            coming.error = EngineBroke("left")  # to whoever reads on, it is no whole answer
        if self._transport is not None:
            self._transport.abort()

    # -- asyncio.Protocol ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            self._poll = select.poll()
            self._poll.register(sock.fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        coming, parser = self._coming, self._parser
        if coming is None or coming.ended or coming.error is not None or parser is None:
            self.abort()
            return
        coming.heard = True
        coming.silent += len(data)
        try:
            parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._refuse(coming, type(error).__name__)
        if coming.silent > _MOST_WITHOUT_BODY:
            self._refuse(coming, "nothing but heads")
        if coming.size > _HIGH_WATER and not self._paused and self._transport is not None and not coming.ended:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """At once: the transport would first send what is left of a large request, to an engine that reads no more."""
        coming = self._coming
        if coming is not None and not coming.ended and coming.error is None:
            self._cut(coming, None)
        self.abort()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = self._parser = self._poll = None  # the parser has us, and we have it
        coming = self._coming
        if coming is not None and not coming.ended and coming.error is None:
            self._cut(coming, exc)
        self._deadline.stop()
        self._wake()
        self._lost(self)

    def _refuse(self, coming: Incoming, why: str) -> None:
        if not coming.ended:  # else it came behind an answer, and is nothing of this request's
            coming.error = EngineBroke(f"invalid answer: {why}")
        self.abort()

    @staticmethod
    def _cut(coming: Incoming, exc: Exception | None) -> None:
        if not coming.heard:
            how = "closed without an answer" if exc is None else type(exc).__name__
            coming.error = EngineUnreachable(how)
        elif coming.head is not None and coming.until_close and exc is None:
            coming.ended = True
        else:
            coming.error = EngineBroke("answer cut off")

    # -- httptools' callbacks ------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._coming is None or self._coming.ended:
            raise _RefusedError

    def on_header(self, name: bytes, value: bytes) -> None:
        coming = self._asked_for()
        coming.count += 1
        if coming.count > FIELDS or len(name) + len(value) > FIELD:
            raise _RefusedError
        if coming.head is not None:
            coming.keeps = False  # trailers are nobody's, and may mean something to the parser
        else:
            key, text = name.decode("latin-1").lower(), value.strip(b" \t").decode("latin-1")
            before = coming.fields.get(key)
            coming.fields[key] = text if before is None else f"{before}, {text}"

    def on_headers_complete(self) -> None:
        coming, parser = self._asked_for(), self._parser
        if parser is None:
            raise _RefusedError
        status, fields = parser.get_status_code(), coming.fields
        if status < _OK:
            # RFC 9110 15: status codes have three digits; RFC 9112 6.3: an interim answer has no body.
            if status == _SWITCH or status < _INTERIM or not _FRAMING.isdisjoint(fields):
                raise _RefusedError
            coming.interim, coming.fields, coming.count = True, {}, 0
            return
        encoding = fields.get("transfer-encoding")
        if encoding is not None and encoding.lower() != "chunked":
            raise _RefusedError
        coming.head = Head(status, fields)
        framed = not _FRAMING.isdisjoint(fields)
        coming.until_close = not framed and status not in _BODYLESS
        # Whoever gives the length of a body that must not be there may send it.
        coming.keeps = parser.should_keep_alive() and framed is (status not in _BODYLESS)
        coming.silent = 0

    def on_body(self, data: bytes) -> None:
        coming = self._coming
        if coming is not None:
            coming.blocks.append(data)
            coming.size += len(data) + _BLOCK
            coming.silent = 0

    def on_message_complete(self) -> None:
        coming = self._asked_for()
        if coming.interim:
            coming.interim = False
        else:
            coming.ended = True

    # -- waiting -------------------------------------------------------------------------------------------------------

    def _asked_for(self) -> Incoming:
        if self._coming is None:
            raise RuntimeError("nothing was asked")
        return self._coming

    async def _more(self, until: float) -> bool:
        """Wait until something has happened; False if nothing did until `until`."""
        waiter: asyncio.Future[bool] = self._loop.create_future()
        self._waiter = waiter
        self._deadline.at(until)
        try:
            return await waiter
        finally:
            self._waiter = None

    def _late(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(False)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(True)
