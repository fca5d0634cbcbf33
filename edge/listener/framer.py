"""Bytes in, one request at a time out: where a head ends, where a body ends, and what does not belong to either.

aiohttp's C parser reads the bytes; the framer looks for the same borders by itself, and where the two disagree the
message is refused. It owns no socket and no clock. The parser writes the body into a `StreamReader`, whose flow control
pauses the connection (`pump` takes up what the parser held back meanwhile).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol, TypeAlias

from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader

from edge.listener.checks import Head, check_head
from edge.listener.chunks import ChunkWatch
from edge.listener.hosts import HostPolicy
from edge.listener.limits import ListenerLimits
from edge.listener.target import parse_target
from policies.errors import Refusal
from policies.reasons import Reason

Message: TypeAlias = tuple[RawRequestMessage, StreamReader]

_CRLF: Final = b"\r\n"
_END_OF_HEAD: Final = b"\r\n\r\n"


class Parser(Protocol):
    """The part of `aiohttp.http_parser.HttpRequestParser` that is used."""

    def feed_data(self, data: bytes, /) -> tuple[Sequence[Message], bool, bytes]: ...
    def message_consumed(self) -> None: ...


class _Ended:
    """Stands for the parser of a connection that is gone."""

    def feed_data(self, _data: bytes, /) -> tuple[Sequence[Message], bool, bytes]:
        raise HttpProcessingError(message="the connection is gone")

    def message_consumed(self) -> None:
        """Nothing."""


class Arrival(NamedTuple):
    """A checked head, the reader that its body will fill, and the bytes that came behind the head."""

    head: Head
    payload: StreamReader
    rest: bytes


class Framer:
    """Frames the requests of one connection. `path` is the present request's checked path, "" until there is one."""

    __slots__ = (
        "_blank",
        "_hosts",
        "_left",
        "_limits",
        "_parser",
        "_partial",
        "_payload",
        "_watch",
        "method",
        "path",
        "spoiled",
    )

    def __init__(self, parser: Parser, hosts: HostPolicy, limits: ListenerLimits) -> None:
        self._parser = parser
        self._hosts = hosts
        self._limits = limits
        self._partial = bytearray()
        self._blank = False
        self._payload: StreamReader | None = None
        self._watch: ChunkWatch | None = None
        self._left = 0
        self.method = ""
        self.path = ""
        self.spoiled = False
        """The parser has lost its place: nothing more can be read from this connection."""

    def again(self) -> None:
        """The request is over: get ready for the next one."""
        self._parser.message_consumed()
        self._payload = self._watch = None
        self._blank = False
        self.method = self.path = ""

    def close(self) -> None:
        """The connection is gone: let go of the parser, which has the connection, and of what nobody read."""
        self.spoiled = True
        self._parser = _Ended()
        self._payload = self._watch = None
        self._partial.clear()

    def head(self, data: bytes) -> Arrival | None:
        """Take bytes of a head; None while it is incomplete. Raises Refusal, after which the framer is done for."""
        # RFC 9112 2.2: "a server that is expecting to receive and parse a request-line SHOULD ignore at least one empty
        # line (CRLF) received prior to the request-line." One, not a slow stream of them.
        if not self._partial and not self._blank and data.startswith(_CRLF):
            self._blank = True
            data = data[2:]
            if not data:
                return None
        before = len(self._partial)
        if before:
            self._partial += data
            end = self._partial.find(_END_OF_HEAD, max(0, before - 3)) - before
        else:
            end = data.find(_END_OF_HEAD)
        ended = end + before >= 0
        piece = data[: end + 4] if ended else data
        if before + len(piece) > self._limits.head_bytes:
            raise Refusal(Reason.HEADERS_TOO_LARGE)
        messages = self._parse(piece)
        if len(messages) != ended:
            # The parser saw an end of the head that is not CRLF CRLF, or none there.
            raise Refusal(Reason.MALFORMED_REQUEST)
        if not ended:
            if not before:
                self._partial += data
            return None
        whole = bytes(self._partial[: before + len(piece)]) if before else piece
        self._partial.clear()
        message, payload = messages[0]
        head = self._check(message, whole)
        self._payload, self._left = payload, head.length
        self._watch = ChunkWatch() if head.chunked else None
        return Arrival(head, payload, data[len(piece) :])

    def _parse(self, data: bytes) -> Sequence[Message]:
        try:
            messages, upgraded, _ = self._parser.feed_data(data)
        except LineTooLong:
            raise Refusal(Reason.HEADERS_TOO_LARGE) from None
        except HttpProcessingError as error:
            too_many = error.message == "Too many headers received"
            raise Refusal(Reason.HEADERS_TOO_LARGE if too_many else Reason.MALFORMED_REQUEST) from None
        # `Upgrade: websocket` makes the parser give up HTTP once the request is complete. RFC 9110 7.8: "A server MAY
        # ignore a received Upgrade header field": the request is answered, and the connection then closed.
        self.spoiled = upgraded
        return messages

    def _check(self, message: RawRequestMessage, whole: bytes) -> Head:
        limits, version = self._limits, message.version
        line = whole[: whole.find(_CRLF)]
        if len(line) > limits.request_line_bytes or len(whole) - len(line) > limits.headers_bytes:
            raise Refusal(Reason.HEADERS_TOO_LARGE)
        # RFC 9112 3: request-line = method SP request-target SP HTTP-version. llhttp also takes several spaces, and the
        # protocols RTSP and ICE, which it then calls HTTP.
        expected = f"{message.method} {message.path} HTTP/{version.major}.{version.minor}"
        if line != expected.encode("utf-8", "surrogateescape"):
            raise Refusal(Reason.MALFORMED_REQUEST)
        self.method = message.method
        target = parse_target(message.path)
        self.path = target.path
        head = check_head(message.method, target, version, message.raw_headers, hosts=self._hosts, limits=limits)
        if head.chunked != bool(message.chunked):
            raise Refusal(Reason.MALFORMED_REQUEST)
        return head

    @property
    def received(self) -> bool:
        """Whether every byte of the present request has come off the wire."""
        if self._watch is None or self._payload is None:
            return self._left == 0
        return self.spoiled or self._payload.is_eof()

    def body(self, data: bytes) -> int:
        """Take bytes of the body; returns how many came that are behind its end."""
        surplus = 0
        if self._watch is None:
            surplus = max(0, len(data) - self._left)
            if surplus:
                data = data[: self._left]
            self._left -= len(data)
        else:
            self._watch.saw(data)
        self.pump(data)
        return surplus

    def pump(self, data: bytes = b"") -> None:
        """Let the parser go on. What is wrong with the framing becomes the reader's exception: a Refusal."""
        payload, watch = self._payload, self._watch
        if payload is None or self.spoiled or (not data and payload.is_eof()):
            return
        try:
            messages = self._parse(data)
        except Refusal:
            self._spoil(payload, Reason.MALFORMED_REQUEST)
            return
        if watch is None:
            return
        # A second message, trailers, or bytes behind the last chunk.
        if messages or (payload.is_eof() and not watch.clean_end()):
            self._spoil(payload, Reason.MALFORMED_REQUEST)
        elif watch.overhead(payload.total_bytes) > self._limits.chunk_overhead_bytes:
            self._spoil(payload, Reason.BODY_TOO_LARGE)

    def _spoil(self, payload: StreamReader, reason: Reason) -> None:
        self.spoiled = True
        payload.set_exception(Refusal(reason))
