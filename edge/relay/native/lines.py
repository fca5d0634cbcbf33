"""Lines of JSON from an engine (`application/x-ndjson`): bytes in, documents out. Pure, incremental, linear."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from edge.relay.sse import MAX_EVENT
from policies.errors import EngineBroke
from policies.json import JSON, Object


class LineDecoder:
    """Feed blocks as they come; get the documents they complete."""

    __slots__ = ("_rest", "_size")

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._size = 0

    def feed(self, block: bytes) -> Iterator[Object]:
        """The documents completed by `block`. EngineBroke for a line that is no object, or larger than MAX_EVENT."""
        *lines, rest = block.split(b"\n")
        for line in lines:
            whole = self._with(line)
            self._rest, self._size = [], 0
            if whole and not whole.isspace():
                yield parsed(whole)
        self._keep(rest)

    def _with(self, line: bytes) -> bytes:
        self._keep(line)
        return b"".join(self._rest)

    def _keep(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > MAX_EVENT:
            raise EngineBroke("event too large")
        if piece:
            self._rest.append(piece)


def parsed(data: bytes) -> Object:
    """The object that an event holds; EngineBroke if it holds none."""
    try:
        document: JSON = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise EngineBroke("an event is not JSON") from None
    if not isinstance(document, dict):
        raise EngineBroke("an event is not an object")
    return document
