"""The bytes of an answer's head. The listener owns framing, `connection`, `date` and `server`; callers own the rest."""

from __future__ import annotations

import time
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from edge.listener.inbound import Headers

SERVER: Final = "llm-gateway"
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
CHUNKED: Final = "transfer-encoding: chunked\r\n"
UNTIL_CLOSE: Final = ""
LAST_CHUNK: Final = b"0\r\n\r\n"

_OWN: Final = frozenset({"connection", "content-length", "transfer-encoding", "date", "server", "keep-alive"})
# RFC 9112 4: "reason-phrase ... A client SHOULD ignore"; an unknown status has none.
_STATUS: Final = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n" for s in HTTPStatus}


class _Clock:
    """RFC 9110 6.6.1 wants a Date from an origin server with a clock; its text changes once a second."""

    __slots__ = ("second", "text")

    def __init__(self) -> None:
        self.second = -1
        self.text = ""

    def date(self) -> str:
        now = int(time.time())
        if now != self.second:
            self.second = now
            self.text = f"server: {SERVER}\r\ndate: {formatdate(now, usegmt=True)}\r\n"
        return self.text


_CLOCK: Final = _Clock()


def answer_head(status: int, headers: Headers, framing: str, *, close: bool) -> bytes:
    """The status line and headers, complete with the empty line; `framing` is a whole header line or "".

    Always HTTP/1.1, also to a 1.0 client (RFC 9110 2.5: a server sends the highest version it conforms to).
    Raises ValueError if a name or value would break out of its line (response splitting) or is not ASCII.
    """
    lines = [f"{name}: {value}\r\n" for name, value in headers.items() if name not in _OWN]
    own = "".join(lines)
    if not own.count("\r") == own.count("\n") == len(lines) or "\0" in own:
        raise ValueError("a header of an answer holds a control character")
    ending = "connection: close\r\n\r\n" if close else "\r\n"
    line = _STATUS.get(status) or f"HTTP/1.1 {status:03d} \r\n"
    return f"{line}{_CLOCK.date()}{own}{framing}{ending}".encode("ascii")


def length(size: int) -> str:
    """The framing line of an answer of `size` bytes."""
    return f"content-length: {size}\r\n"
