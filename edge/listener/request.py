"""`AiohttpInbound`: one request over aiohttp's parser and stream reader, answered straight into the transport.

aiohttp's own `Response` and `StreamResponse` cost more than the rest of a request together (measured; docs/decisions),
and they decide things that are the gateway's to decide: when `100 Continue` is sent, what an error says, when a
connection closes.
"""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import Final, Protocol

from aiohttp.streams import StreamReader

from edge.listener.checks import Head
from edge.listener.head import CHUNKED, CONTINUE, LAST_CHUNK, UNTIL_CLOSE, answer_head, length
from edge.listener.inbound import Headers
from edge.listener.limits import ListenerLimits
from policies.errors import Refusal
from policies.exchange import Client
from policies.reasons import Reason

# RFC 9110 8.6: "A server MUST NOT send a Content-Length header field in any response with a status code of ... 204",
# and 304 would have to give the length of what it does not send.
_BARE: Final = frozenset({204, 304})


class Wire(Protocol):
    """What a request needs of its connection."""

    @property
    def cut(self) -> bool: ...
    @property
    def closing(self) -> bool:
        """Whether this connection ends with the present answer, whatever the request says."""

    def send(self, block: bytes) -> None:
        """Hand `block` to the transport; ConnectionResetError if it is closed."""

    async def flush(self) -> None:
        """Wait until the transport takes more; ConnectionError if the caller is gone or takes too little."""

    def settle(self) -> None:
        """The answer's last byte is next: from now on the caller may leave, or ask again."""

    def finish(self, *, close: bool) -> None:
        """The answer is out: close the connection, or keep it."""

    def abort(self) -> None:
        """Cut the connection; while an answer is incomplete, by a reset."""

    def mark_authenticated(self) -> None: ...


class _State(Enum):
    FRESH = 0
    STREAMING = 1
    DONE = 2


class AiohttpInbound:
    """Implements `inbound.Inbound`; also says when the caller is known, and whether a drain cut the request."""

    __slots__ = ("_body_read", "_close", "_head", "_limits", "_payload", "_state", "_torn", "_wire", "client")

    def __init__(self, wire: Wire, head: Head, payload: StreamReader, client: Client, limits: ListenerLimits) -> None:
        self._wire = wire
        self._head = head
        self._payload = payload
        self._limits = limits
        self._state = _State.FRESH
        self._torn = False
        self._body_read = not head.has_body
        self._close = False
        self.client = client

    @property
    def method(self) -> str:
        return self._head.method

    @property
    def path(self) -> str:
        return self._head.path

    @property
    def query(self) -> str:
        return self._head.query

    @property
    def headers(self) -> Headers:
        return self._head.headers

    @property
    def cut(self) -> bool:
        """Whether the cancellation comes from a drain (the caller is still there) and not from a caller that left."""
        return self._wire.cut

    @property
    def answered(self) -> bool:
        """Whether an answer was begun or given."""
        return self._state is not _State.FRESH

    @property
    def complete(self) -> bool:
        """Whether the answer is complete: all of it was handed to the transport."""
        return self._state is _State.DONE and not self._torn

    @property
    def torn(self) -> bool:
        """Whether a block was cut off half-way, so that nothing more can be said on this connection."""
        return self._torn

    def mark_authenticated(self) -> None:
        """The caller showed a valid credential: its connection leaves the unauthenticated share."""
        self._wire.mark_authenticated()

    async def body(self, limit: int) -> bytes:
        """Read the whole body, at most `limit` bytes and never more than the listener's own limit.

        To be called once the caller is authenticated: only here is `Expect: 100-continue` answered, so that a stranger
        is never invited to upload (F7). Raises Refusal: BODY_TOO_LARGE, BODY_TOO_SLOW, or MALFORMED_REQUEST for broken
        chunks.
        """
        head, payload = self._head, self._payload
        limit = min(limit, self._limits.body_bytes)
        if head.length > limit:
            raise Refusal(Reason.BODY_TOO_LARGE)
        if not head.has_body:
            return b""
        # RFC 9110 10.1.1: "MAY omit sending a 100 response if it has already received some or all of the content".
        if head.expects and not payload.total_bytes:
            self._wire.send(CONTINUE)
        # Nearly always the whole body came with the head, and no clock needs to be started.
        if payload.is_eof() and payload.exception() is None and payload.total_bytes <= limit:
            body = payload.read_nowait(-1)
        else:
            body = await self._collect(limit)
        self._body_read = True
        return body

    async def _collect(self, limit: int) -> bytes:
        payload, blocks, size = self._payload, list[bytes](), 0
        start = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(self._due(start, 0)) as timer:
                while not payload.at_eof():
                    block = await payload.readany()
                    size += len(block)
                    if size > limit:
                        raise Refusal(Reason.BODY_TOO_LARGE)
                    blocks.append(block)
                    timer.reschedule(self._due(start, size))
        except TimeoutError:
            raise Refusal(Reason.BODY_TOO_SLOW) from None
        fault = payload.exception()
        if fault is not None:
            raise fault
        return blocks[0] if len(blocks) == 1 else b"".join(blocks)

    def _due(self, start: float, size: int) -> float:
        """When a body of which `size` bytes are here is late: the instant at which its average would drop too low."""
        limits = self._limits
        return start + min(limits.body_s, max(limits.body_grace_s, size / limits.body_rate))

    async def answer(self, status: int, headers: Headers, body: bytes, *, close: bool = False) -> None:
        """Send a complete answer; no body goes out to HEAD or with 204 and 304."""
        self._move(_State.FRESH, _State.DONE)
        wire = self._wire
        close = close or self._must_close()
        framing = "" if status in _BARE else length(len(body))
        head = answer_head(status, headers, framing, close=close)
        if self._head.method == "HEAD" or status in _BARE:
            body = b""
        # Large answers (embeddings) go out in slices: a slow reader makes the transport hold one slice, not all of it.
        step = self._limits.stream_buffer_bytes // 2
        at = 0
        if len(body) > step:
            self._torn = True
            wire.send(head)
            while len(body) - at > step:
                wire.send(body[at : at + step])
                await wire.flush()
                at += step
            wire.settle()
            wire.send(body[at:])
            self._torn = False
        else:
            wire.settle()
            wire.send(head + body)
        await wire.flush()
        wire.finish(close=close)

    async def begin(self, status: int, headers: Headers) -> None:
        """Send the head of a streamed answer now: chunked, or ended by closing for an HTTP/1.0 caller."""
        if self._head.method == "HEAD":
            raise RuntimeError("HEAD has no stream to answer")
        self._move(_State.FRESH, _State.STREAMING)
        self._close = self._must_close()
        # RFC 9112 6.1: "A server MUST NOT send a response containing Transfer-Encoding unless the corresponding request
        # indicates HTTP/1.1 (or later minor revisions)."
        framing = UNTIL_CLOSE if self._head.http10 else CHUNKED
        self._wire.send(answer_head(status, headers, framing, close=self._close))
        await self._wire.flush()

    async def write(self, block: bytes) -> None:
        """Send one block of the stream. An empty one sends nothing: it would be the chunk that ends the stream."""
        if self._state is not _State.STREAMING:
            raise RuntimeError("write belongs between begin and end")
        self._refuse_if_torn()
        step = self._limits.stream_buffer_bytes // 2
        if 0 < len(block) <= step:
            self._wire.send(block if self._head.http10 else b"%x\r\n%b\r\n" % (len(block), block))
            await self._wire.flush()
            return
        for at in range(0, len(block), step):
            piece = block[at : at + step]
            # What the transport has will be sent: only a block with pieces that it never got is torn, whatever happens
            # while it has no room for more.
            self._torn = at + step < len(block)
            self._wire.send(piece if self._head.http10 else b"%x\r\n%b\r\n" % (len(piece), piece))
            await self._wire.flush()

    async def end(self) -> None:
        """End the stream properly."""
        self._refuse_if_torn()
        self._move(_State.STREAMING, _State.DONE)
        wire = self._wire
        wire.settle()
        if not self._head.http10:
            wire.send(LAST_CHUNK)
        await wire.flush()
        wire.finish(close=self._close)

    def abort(self) -> None:
        """Cut the connection at once."""
        self._state = _State.DONE
        self._wire.abort()

    def _refuse_if_torn(self) -> None:
        if self._torn:
            raise ConnectionAbortedError("a block was cut off half-way")

    def _must_close(self) -> bool:
        return not (self._head.keep_alive and self._body_read) or self._wire.closing

    def _move(self, before: _State, after: _State) -> None:
        if self._state is not before:
            raise RuntimeError("a request is answered exactly once")
        self._state = after
