"""An engine that answers whole chats at once, and streams one piece at a time, when it is told to."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Final

from policies.json import JSON, Object

MODEL: Final = "counted"
_MODELS: Final[Object] = {
    "object": "list",
    "data": [{"id": MODEL, "object": "model", "created": 1, "owned_by": "tests"}],
}
_USAGE: Final[Object] = {"prompt_tokens": 25, "completion_tokens": 8, "total_tokens": 33}
_WHOLE: Final[Object] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": MODEL,
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
    "usage": _USAGE,
}
_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_WITHIN: Final = 10.0


class Stream:
    """An answer under way."""

    def __init__(self, handler: _Handler) -> None:
        self._handler = handler
        self._head = _HEAD
        self.over = threading.Event()

    def say(self, content: str, *, last: bool = False, cut: bool = False) -> None:
        """One more piece, the first one with the head, the `last` one with the end: in one write, so read at once.
        `cut`: and the connection is gone."""
        said = self._head + _framed(
            _event(_chunk([{"index": 0, "delta": {"content": content}, "finish_reason": None}]))
        )
        if last:
            said += _framed(_event(_chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}])))
            said += _framed(_event({**_chunk([]), "usage": _USAGE}) + b"data: [DONE]\n\n") + b"0\r\n\r\n"
        self._head = b""
        self._handler.wfile.write(said)
        if cut:
            self._handler.connection.shutdown(socket.SHUT_RDWR)
        if last or cut:
            self.over.set()


class Engine(socketserver.ThreadingTCPServer):
    """Listens on a free loopback port; a thread per connection."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: SimpleQueue[Stream] = SimpleQueue()
        self.silent = False
        """Closes the connection of whoever asks for a stream."""

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def stream(self) -> Stream:
        """The next stream that the gateway asks for."""
        return self.asked.get(timeout=_WITHIN)


class _Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    server: Engine

    def handle(self) -> None:
        while first := self.rfile.readline():
            length = 0
            while (line := self.rfile.readline().strip()) != b"":
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            body = json.loads(self.rfile.read(length) or b"{}")
            self._answer(first.startswith(b"GET"), streamed=body.get("stream") is True)

    def _answer(self, listing: bool, *, streamed: bool) -> None:
        if streamed and self.server.silent:
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if streamed:
            self.server.asked.put(stream := Stream(self))
            stream.over.wait()
            return
        text = json.dumps(_MODELS if listing else _WHOLE)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
        self.wfile.write((head + text).encode())


def _chunk(choices: list[JSON]) -> Object:
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL, "choices": choices}


def _event(document: Object) -> bytes:
    return b"data: " + json.dumps(document).encode() + b"\n\n"


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@contextmanager
def engine() -> Iterator[Engine]:
    """A running one."""
    with Engine() as server:
        thread = threading.Thread(target=server.serve_forever, name="engine", daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
