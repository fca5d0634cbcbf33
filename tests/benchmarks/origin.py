"""A streaming engine on a raw asyncio protocol: `python -m tests.benchmarks.origin` prints its port and serves.

Each event's content is the instant (monotonic nanoseconds, the same clock for every process of the machine) at which it
was written, so the reader knows how long it was under way.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

EVENTS = 50
GAP = 0.01
"""Seconds between two events: a model that speaks 100 tokens a second."""
MODEL = "bench"
_MODELS = json.dumps({"object": "list", "data": [{"id": MODEL, "object": "model", "created": 1, "owned_by": "b"}]})
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def event(content: str | None, finish: str | None = None) -> bytes:
    """One chat chunk as an HTTP chunk."""
    delta = {"content": content} if content is not None else {}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    frame = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": MODEL, "choices": [choice]}
    data = f"data: {json.dumps(frame)}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(data), data)


_END = event(None, "stop") + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"


class Origin(asyncio.Protocol):
    """One connection. Requests are small and come one at a time, which is all that is understood of HTTP."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._left = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
        if not found or len(body) < int(length or 0):
            return
        self._buffer = b""
        if head.startswith(b"GET"):
            self._write(_answer(_MODELS))
            return
        self._write(_HEAD)
        self._left = EVENTS
        self._tick()

    def _tick(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if not self._left:
            self._write(_END)
            return
        self._left -= 1
        self._write(event(str(time.monotonic_ns())))
        asyncio.get_running_loop().call_later(GAP, self._tick)

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


def _answer(body: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


async def serve() -> None:
    """Listen on any free loopback port, say which, and serve until killed."""
    server = await asyncio.get_running_loop().create_server(Origin, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
