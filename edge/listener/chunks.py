"""Where a chunked body ends, told from its last bytes: finds trailers and pipelined bytes that the parser would hide.

The parser decodes; this only remembers the wire's last bytes. A body ends in `CRLF 0 CRLF CRLF` unless trailers stand
between (aiohttp drops them silently) or something follows in the same segment: both end the connection.
"""

from __future__ import annotations

import re
from typing import Final

# RFC 9112 7.1: last-chunk = 1*("0") [ chunk-ext ] CRLF. The line feed before it is the previous chunk's or the head's.
_END: Final = re.compile(rb"\n0+\r\n\r\n\Z")
_KEPT: Final = 16


class ChunkWatch:
    """Remembers the end of a chunked body as it comes off the wire, and how much of it there was."""

    __slots__ = ("_tail", "wire_bytes")

    def __init__(self) -> None:
        self._tail = b"\n"
        self.wire_bytes = 0

    def saw(self, data: bytes) -> None:
        """`data` came next."""
        self.wire_bytes += len(data)
        tail = self._tail + data if len(data) < _KEPT else data
        self._tail = tail[-_KEPT:]

    def clean_end(self) -> bool:
        """Whether what came last is exactly the end of a chunked body without trailers and without a tail."""
        return _END.search(self._tail) is not None

    def overhead(self, payload_bytes: int) -> int:
        """Bytes of framing beyond what the payload itself would justify (as much again as it is long)."""
        return self.wire_bytes - 2 * payload_bytes
