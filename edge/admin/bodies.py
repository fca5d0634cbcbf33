"""Bodies of the admin listener, gzipped or not, as JSON of bounded size.

Bounded three times: as it comes, as it unpacks (a zip bomb is stopped at its first byte too many, not when it is all
there), and in the parts that it makes (8 MiB of `[{},{},...]` cost 203 MiB: facts/security.md F11).
"""

from __future__ import annotations

import asyncio
import zlib
from dataclasses import dataclass
from typing import Final

from edge.intake import strict_json
from edge.listener.inbound import Inbound
from edge.listener.limits import KIB, MIB
from policies.errors import Refusal
from policies.json import JSON
from policies.reasons import Reason

_GZIP: Final = 31  # zlib's word for "a gzip header, and the largest window"
_INLINE: Final = 64 * KIB
_MEDIA_TYPE: Final = "application/json"
_ENCODING_HINT: Final = "On the admin listener gzip is taken too."
_GZIP_HINT: Final = "The gzip stream is damaged."


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """`received` and `inflated` are bytes, `nodes` are parts of the document, `depth` is levels of nesting."""

    received: int = 1 * MIB
    inflated: int = 8 * MIB
    nodes: int = 200_000
    depth: int = 64


async def read_json(inbound: Inbound, limits: BodyLimits) -> JSON:
    """The document in the body. Refusal: UNSUPPORTED_MEDIA_TYPE, BODY_TOO_LARGE, BODY_TOO_SLOW, INVALID_JSON,
    DOCUMENT_TOO_COMPLEX."""
    encoding = inbound.headers.get("content-encoding", "identity").lower()
    media_type = inbound.headers.get("content-type", "").partition(";")[0].strip().lower()
    if encoding not in {"gzip", "identity"} or media_type != _MEDIA_TYPE:
        raise Refusal(Reason.UNSUPPORTED_MEDIA_TYPE, hint=_ENCODING_HINT)
    body = await inbound.body(limits.received)
    if encoding == "identity" and len(body) <= _INLINE:
        return parse(body, limits)
    return await asyncio.to_thread(_unpack, body, encoding, limits)


def _unpack(body: bytes, encoding: str, limits: BodyLimits) -> JSON:
    return parse(inflate(body, limits.inflated) if encoding == "gzip" else body, limits)


def inflate(body: bytes, most: int) -> bytes:
    """The content of one gzip member. Refusal: BODY_TOO_LARGE over `most` bytes, INVALID_JSON if it is none."""
    stream = zlib.decompressobj(_GZIP)
    try:
        content = stream.decompress(body, most + 1)
    except zlib.error:
        raise Refusal(Reason.INVALID_JSON, hint=_GZIP_HINT) from None
    if len(content) > most:
        raise Refusal(Reason.BODY_TOO_LARGE)
    if not stream.eof or stream.unused_data:
        raise Refusal(Reason.INVALID_JSON, hint=_GZIP_HINT)
    return content


def parse(body: bytes, limits: BodyLimits) -> JSON:
    """Any JSON value. Not as strict as the data plane: it goes to no second parser. Refusal as `read_json`."""
    document, _ = strict_json.bounded(body, nodes=limits.nodes, depth=limits.depth)
    return document
