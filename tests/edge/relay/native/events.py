"""What engines write on their own Anthropic and Ollama routes, as it was read in their sources, and what readings make
of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

import orjson

from edge.relay.native.contract import Reading
from policies.json import JSON, Object

ECHOED: Final = "/srv/engine/models/tiny.gguf"


def sse(*documents: Object) -> bytes:
    """Events, framed as Anthropic's."""
    return b"".join(
        b"event: " + str(each["type"]).encode() + b"\ndata: " + orjson.dumps(each) + b"\n\n" for each in documents
    )


def lines(*documents: Object) -> bytes:
    """Lines of JSON."""
    return b"".join(orjson.dumps(each) + b"\n" for each in documents)


def start(read: int = 7, cached: int = 2, **usage: JSON) -> Object:
    counts: Object = {"cache_read_input_tokens": cached, "input_tokens": read - cached, "output_tokens": 0, **usage}
    return {
        "type": "message_start",
        "message": {
            "id": "chatcmpl-engine",
            "type": "message",
            "role": "assistant",
            "content": [],
            "model": ECHOED,
            "stop_reason": None,
            "stop_sequence": None,
            "usage": counts,
        },
    }


def block(index: int, kind: str = "text", **more: JSON) -> Object:
    empty: Object = {} if kind == "tool_use" else {kind: ""}
    return {"type": "content_block_start", "index": index, "content_block": {"type": kind, **empty, **more}}


def said(index: int, text: str, kind: str = "text") -> Object:
    name = "partial_json" if kind == "input_json" else kind
    return {"type": "content_block_delta", "index": index, "delta": {"type": f"{kind}_delta", name: text}}


def stop(index: int) -> Object:
    return {"type": "content_block_stop", "index": index}


def ended(
    reason: str | None = "end_turn", written: int | None = 3, sequence: str | None = None, **usage: JSON
) -> Object:
    counts: Object = {**({} if written is None else {"output_tokens": written}), **usage}
    delta: Object = {"stop_reason": reason, "stop_sequence": sequence}
    return {"type": "message_delta", "delta": delta, "usage": counts}


END: Final[Object] = {"type": "message_stop"}
PING: Final[Object] = {"type": "ping"}

TALK: Final[tuple[Object, ...]] = (start(), block(0), said(0, "Hello"), said(0, " there"), stop(0), ended(), END)
OVERLAPPING: Final[tuple[Object, ...]] = (
    start(),
    block(0, "thinking"),
    said(0, "hm", "thinking"),
    block(1),
    said(1, "Hello"),
    block(2, "tool_use", id="c1", name="f"),
    said(2, '{"a"', "input_json"),
    said(2, ":1}", "input_json"),
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": ""}},
    stop(0),
    stop(1),
    stop(2),
    ended("tool_use"),
    END,
)
"""As llama-server ends its blocks: all at the end."""


def read(reading: Reading, blocks: Iterable[bytes]) -> tuple[bytes, int]:
    """All that a caller would be given, and how many tokens."""
    found: list[bytes] = []
    tokens = 0
    for each in blocks:
        for piece in reading.pieces(each):
            found.append(piece.data)
            tokens += piece.tokens
        if reading.done:
            break
    return b"".join(found), tokens


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    """`data` in blocks that begin at `places`."""
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[left:right] for left, right in pairwise(edges)]


def shown(data: bytes) -> list[Object]:
    """The documents of a stream of events; each stands under its own name."""
    found: list[Object] = []
    for each in data.split(b"\n\n")[:-1]:
        name, _, rest = each.partition(b"\n")
        document: Object = orjson.loads(rest.removeprefix(b"data: "))
        assert name == b"event: " + str(document["type"]).encode()
        found.append(document)
    return found
