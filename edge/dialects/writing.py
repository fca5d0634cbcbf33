"""Documents as bytes. Pure."""

from __future__ import annotations

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
