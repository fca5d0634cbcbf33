"""A client that is nothing but a socket: it sends the exact bytes a test names and notes what comes when.

No HTTP library sits in between, because libraries repair what they send and hide what they get (a missing terminating
chunk, a reset, an early end). Every wait has a deadline; nothing here ever sleeps.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self, cast

from policies.json import JSON, Object, as_object

DEADLINE = 10.0
_BLOCK = 65536


class TruncatedError(Exception):
    """The peer ended the connection (FIN) before the message was whole; `so_far` is what had come."""

    def __init__(self, so_far: bytes) -> None:
        super().__init__(f"closed after {so_far[-200:]!r}")
        self.so_far = so_far


@dataclass(frozen=True, slots=True)
class Head:
    """A status line and its header lines; names in lower case, in wire order."""

    status: int
    headers: tuple[tuple[str, str], ...]
    raw: bytes

    def get(self, name: str) -> str | None:
        """The one value of header `name`, None if absent; AssertionError if it is there twice."""
        values = [value for key, value in self.headers if key == name]
        assert len(values) <= 1, f"{name} is repeated"
        return values[0] if values else None


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    head: Head
    body: bytes

    @property
    def status(self) -> int:
        return self.head.status

    @property
    def raw(self) -> bytes:
        return self.head.raw + self.body

    def json(self) -> Object:
        """The body, which must be a JSON object."""
        document: JSON = json.loads(self.body)
        assert isinstance(document, dict), f"not an object: {self.body[:200]!r}"
        return document

    @property
    def error(self) -> Object:
        """The `error` member of an OpenAI error body."""
        return as_object(self.json()["error"])


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event (or comment) and the monotonic instant at which its last byte arrived."""

    at: float
    data: str | None
    name: str | None
    comment: str | None

    def json(self) -> Object:
        """The data, which must be a JSON object."""
        assert self.data is not None
        document: JSON = json.loads(self.data)
        assert isinstance(document, dict)
        return document


def compose(method: str, path: str, *lines: str, body: bytes | JSON = None, host: str = "127.0.0.1") -> bytes:
    """A well-formed request: `lines` are added as they are; a JSON body gets its content type and length."""
    if body is not None and not isinstance(body, bytes):
        body, lines = json.dumps(body).encode(), ("Content-Type: application/json", *lines)
    if body is not None:
        lines = (*lines, f"Content-Length: {len(body)}")
    head = "\r\n".join((f"{method} {path} HTTP/1.1", f"Host: {host}", *lines, "", ""))
    return head.encode("latin-1") + (body or b"")


class Wire:
    """One connection. Reading keeps what is left over, so answers on a reused connection stay apart."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._buffer = bytearray()
        self._eof = False

    @classmethod
    def open(cls, address: tuple[str, int], *, receive_buffer: int | None = None) -> Self:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer is not None:  # a slow reader is only slow once the kernel's buffers are full
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(DEADLINE)
        try:
            sock.connect(address)
        except OSError:
            sock.close()
            raise
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return cls(sock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    # -- going out -------------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        self.sock.settimeout(DEADLINE)
        self.sock.sendall(data)

    def send_until_closed(self, data: bytes, times: int) -> int:
        """Send `data` again and again until the peer refuses to take more; the number of bytes it took."""
        taken = 0
        self.sock.settimeout(DEADLINE)
        try:
            for _ in range(times):
                taken += self.sock.send(data)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return taken

    def half_close(self) -> None:
        """Say that nothing more will be sent (FIN), but go on reading."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Drop the connection with a RST: SO_LINGER with zero seconds discards what is unsent and sends no FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    # -- coming in -------------------------------------------------------------------------------------------------

    def _fill(self, deadline: float) -> bool:
        """Read one block; False at the end. TimeoutError past the deadline, ConnectionResetError on a RST."""
        if self._eof:
            return False
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("nothing more came before the deadline")
        self.sock.settimeout(left)
        block = self.sock.recv(_BLOCK)
        self._eof = not block
        self._buffer += block
        return bool(block)

    def _until(self, mark: bytes, deadline: float) -> bytes:
        while (end := self._buffer.find(mark)) < 0:
            if not self._fill(deadline):
                raise TruncatedError(bytes(self._buffer))
        return self._take(end + len(mark))

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def head(self, within: float = DEADLINE) -> Head:
        """The next status line and headers (1xx included)."""
        raw = self._until(b"\r\n\r\n", time.monotonic() + within)
        first, *lines = raw.decode("latin-1").split("\r\n")[:-2]
        version, status, _ = (first + " ").split(" ", 2)
        assert version in {"HTTP/1.1", "HTTP/1.0"}, first
        pairs = tuple((name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines))
        return Head(int(status), pairs, raw)

    def accepted(self, within: float = DEADLINE) -> Head:
        """The head of an answer that must be a 200; what is said instead otherwise."""
        head = self.head(within)
        assert head.status == 200, head.raw + b"".join(self.blocks(head, within))
        return head

    def blocks(self, head: Head, within: float = DEADLINE, *, bodyless: bool = False) -> Iterator[bytes]:
        """The body's blocks as they come, unframed. TruncatedError or ConnectionResetError if it is cut."""
        deadline = time.monotonic() + within
        if bodyless or head.status in {204, 304} or 100 <= head.status < 200:
            return
        if head.get("transfer-encoding") == "chunked":
            yield from self._chunked(deadline)
        elif (length := head.get("content-length")) is not None:
            yield from self._counted(int(length), deadline)
        else:
            while self._buffer or self._fill(deadline):
                yield self._take(len(self._buffer))

    def _chunked(self, deadline: float) -> Iterator[bytes]:
        while True:
            size = int(self._until(b"\r\n", deadline), 16)
            chunk = b"".join(self._counted(size + 2, deadline))
            assert chunk.endswith(b"\r\n"), "chunk is not closed by CRLF"
            if not size:
                return
            yield chunk[:-2]

    def _counted(self, left: int, deadline: float) -> Iterator[bytes]:
        while left:
            if not self._buffer and not self._fill(deadline):
                raise TruncatedError(b"")
            block = self._take(left)
            left -= len(block)
            yield block

    def answer(self, within: float = DEADLINE, *, bodyless: bool = False) -> Answer:
        """The next final answer, whole; 1xx heads before it are passed over."""
        deadline = time.monotonic() + within
        head = self.head(within)
        while head.status < 200 and head.status != 101:
            head = self.head(deadline - time.monotonic())
        return Answer(head, b"".join(self.blocks(head, deadline - time.monotonic(), bodyless=bodyless)))

    def ask(self, request: bytes, within: float = DEADLINE) -> Answer:
        """Send a request and read its answer."""
        self.send(request)
        return self.answer(within)

    def events(self, head: Head, within: float = DEADLINE) -> Iterator[Event]:
        """The server-sent events of the body as they come, until its proper end."""
        pending = b""
        for block in self.blocks(head, within):
            pending += block
            *whole, pending = pending.split(b"\n\n")
            now = time.monotonic()
            yield from (_event(now, text) for text in whole)
        assert not pending, f"the stream ended inside an event: {pending!r}"

    def until_eof(self, within: float = DEADLINE) -> bytes:
        """Everything until the peer's FIN. TimeoutError if it never comes, ConnectionResetError on a RST."""
        deadline = time.monotonic() + within
        while self._fill(deadline):
            pass
        return self._take(len(self._buffer))

    def closed(self, within: float = DEADLINE) -> bool:
        """Whether the peer ends the connection in time, by FIN or RST, without sending anything more."""
        try:
            return self.until_eof(within) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False


def _event(at: float, text: bytes) -> Event:
    assert b"\r" not in text, "the gateway frames with LF"
    data: list[str] = []
    name = comment = None
    for line in text.decode().split("\n"):
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "":
            comment = value
        elif field == "data":
            data.append(value)
        elif field == "event":
            name = value
        else:
            raise AssertionError(f"unexpected line {line!r}")
    return Event(at, "\n".join(data) if data else None, name, comment)


def loads(text: bytes | str) -> Object:
    """Parse a JSON object."""
    document = cast("JSON", json.loads(text))
    assert isinstance(document, dict)
    return document
