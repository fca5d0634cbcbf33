"""Requests and answers on the engine's socket: the small part of HTTP/1.1 that the gateway speaks to it. Sans-io.

Only one program ever connects, over a 0600 socket, so this is not lenient anywhere: what is not exactly a request that
the gateway builds is refused and the connection closed. There is one way to frame a body (RFC 9112 6: content-length,
once, digits only), so no two readers can see two different requests in the same bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import orjson

from policies.json import JSON, Object

MAX_HEAD: Final = 8 << 10
MAX_BODY: Final = 1 << 20
_END: Final = b"\r\n\r\n"
_START: Final = re.compile(rb"([A-Z]{1,16}) (/[!-~]{0,1023}) HTTP/1\.1")
_FIELD: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([!-~](?:[ -~\t]*[!-~])?)?[ \t]*")
_LENGTH: Final = re.compile(rb"[0-9]{1,8}")
# Each would change how the body is framed or read, or who speaks next.
_REFUSED: Final = frozenset({b"transfer-encoding", b"content-encoding", b"expect", b"upgrade", b"trailer"})


class WireError(Exception):
    """Not a request for this server; answer with `status` and close."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `target` as sent, `last` if the client closes after it."""

    method: str
    target: str
    body: bytes
    last: bool


class Reader:
    """Bytes in, requests out."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head: tuple[str, str, int, bool] | None = None

    def feed(self, data: bytes) -> None:
        """Take what arrived. WireError if more waits here than a request can have."""
        self._buffer += data
        if len(self._buffer) > MAX_HEAD + MAX_BODY:
            raise WireError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too much at once")

    def next(self) -> Request | None:
        """The next whole request, None if it has not arrived yet. WireError."""
        if self._head is None:
            end = self._buffer.find(_END, 0, MAX_HEAD)
            if end < 0:
                if len(self._buffer) >= MAX_HEAD:
                    raise WireError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the head is too large")
                return None
            self._head = _read_head(bytes(self._buffer[:end]))
            del self._buffer[: end + len(_END)]
        method, target, length, last = self._head
        if len(self._buffer) < length:
            return None
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        self._head = None
        return Request(method, target, body, last)


def _read_head(head: bytes) -> tuple[str, str, int, bool]:
    start, *lines = head.split(b"\r\n")
    line = _START.fullmatch(start)
    if line is None:
        raise _bad("the request line")
    fields = _read_fields(lines)
    length = fields.get(b"content-length", b"0")
    if b"host" not in fields:
        raise _bad("no host")
    if not _LENGTH.fullmatch(length):
        raise _bad("content-length")
    if int(length) > MAX_BODY:
        raise WireError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body is too large")
    return line[1].decode(), line[2].decode(), int(length), fields.get(b"connection", b"").lower() == b"close"


def _read_fields(lines: list[bytes]) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None:
            raise _bad("a header")
        name = field[1].lower()
        if name in fields or name in _REFUSED:
            raise _bad(name.decode())
        fields[name] = field[2] or b""
    return fields


def _bad(what: str) -> WireError:
    return WireError(HTTPStatus.BAD_REQUEST, f"not a request for this server: {what}")


def answer(status: HTTPStatus, body: bytes, *, last: bool = False) -> bytes:
    """One whole answer; `last`: the connection closes after it."""
    close = "Connection: close\r\n" if last else ""
    head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
    return f"{head}{close}Content-Length: {len(body)}\r\n\r\n".encode() + body


def failure(code: str, message: str, errors: list[JSON] | None = None) -> bytes:
    """The body of an error, in OPA's shape."""
    document: Object = {"code": code, "message": message}
    if errors is not None:
        document["errors"] = errors
    return orjson.dumps(document)
