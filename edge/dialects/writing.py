"""Documents as bytes. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson

from policies.errors import EngineBroke
from policies.json import Object


def write(document: Object) -> bytes:
    """JSON; EngineBroke for what an engine may write and orjson reads but cannot write again (too deep, integers)."""
    try:
        return orjson.dumps(document)
    except orjson.JSONEncodeError:
        raise EngineBroke("an answer that cannot be written as JSON") from None


def event(kind: str, document: Object) -> bytes:
    """A server-sent event with a name: Anthropic's SDKs and OpenAI's for Responses dispatch on it."""
    return b"event: " + kind.encode() + b"\ndata: " + write(document) + b"\n\n"


def instant(at: float, timespec: str = "seconds") -> str:
    """`at`, in seconds since the epoch, as RFC 3339 writes it; `timespec` as of `datetime.isoformat`."""
    return datetime.fromtimestamp(at, UTC).replace(tzinfo=None).isoformat(timespec=timespec) + "Z"
