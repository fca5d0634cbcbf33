"""Documents as bytes. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import orjson

from policies.errors import EngineBroke
from policies.json import Object

_LINE_ENDS: Final = tuple((chr(code).encode(), b"\\u%04x" % code) for code in (0x85, 0x2028, 0x2029))


def write(document: Object) -> bytes:
    """JSON; EngineBroke for what an engine may write and orjson reads but cannot write again (too deep, integers)."""
    try:
        return orjson.dumps(document)
    except orjson.JSONEncodeError:
        raise EngineBroke("an answer that cannot be written as JSON") from None


def line(document: Object) -> bytes:
    """JSON that is one line for everybody: `str.splitlines`, by which httpx and so ollama-python read, also ends one at
    U+0085, U+2028 and U+2029. Go, and so Ollama, escapes the last two."""
    text = write(document)
    if not text.isascii():
        for written, escaped in _LINE_ENDS:
            text = text.replace(written, escaped)
    return text + b"\n"


def event(kind: str, document: Object) -> bytes:
    """A server-sent event with a name: Anthropic's SDKs and OpenAI's for Responses dispatch on it."""
    return b"event: " + kind.encode() + b"\ndata: " + write(document) + b"\n\n"


def instant(at: float, timespec: str = "seconds") -> str:
    """`at`, in seconds since the epoch, as RFC 3339 writes it; `timespec` as of `datetime.isoformat`."""
    return datetime.fromtimestamp(at, UTC).replace(tzinfo=None).isoformat(timespec=timespec) + "Z"
