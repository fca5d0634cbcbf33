"""The recording engine: a real TCP server that writes down the exact bytes it was sent and plays a script in answer.

It is the witness of the black-box tests: what the gateway let through is what stands in `requests`, with the instants
at which the gateway connected, asked and left. It runs its own event loop in a thread, so that tests can be plain
functions which talk to a gateway process on one side and look at this on the other.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from policies.json import Object
from tests.system.background import Background, close
from tests.system.scripts import Drip, Fin, Hold, Reset, Script, Send, Step, behave
from tests.system.wire import DEADLINE, loads


@dataclass(slots=True)
class Seen:
    """One request as it arrived, byte for byte, and what became of its caller (the gateway)."""

    raw_head: bytes
    body: bytes
    at: float
    connection: int
    gone_at: float | None = None
    """When the gateway closed or reset the connection before the script was over; None if it stayed."""
    pieces: int = 0
    """How many of the script's pieces were written, the answer's head among them."""
    finished_at: float | None = None
    """When the script had been played to its end."""

    @property
    def _first(self) -> list[str]:
        return self.raw_head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")

    @property
    def method(self) -> str:
        return self._first[0]

    @property
    def path(self) -> str:
        return self._first[1]

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Names in lower case, in wire order."""
        lines = self.raw_head.decode("latin-1").split("\r\n")[1:-2]
        return [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]

    @property
    def document(self) -> Object:
        """The body as a JSON object."""
        return loads(self.body)

    @property
    def raw(self) -> bytes:
        return self.raw_head + self.body


@dataclass(slots=True)
class _Connection:
    number: int
    opened_at: float
    closed_at: float | None = None
    pipelined: bytes = b""


@dataclass(slots=True)
class _Book:
    """What was seen; guarded by the condition, which is notified of every change."""

    changed: threading.Condition = field(default_factory=threading.Condition)
    requests: list[Seen] = field(default_factory=list)
    probes: list[Seen] = field(default_factory=list)
    connections: list[_Connection] = field(default_factory=list)


class RecordingEngine(Background):
    """`play(script)` queues the answer to the next inference request; `when(marker, script)` answers each request whose
    body holds `marker`; else `otherwise` does, and behaves. GETs (probes, model lists) are kept apart in `probes` and
    always behave, unless `listing` is set."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        super().__init__("recording-engine")
        self._host = host
        self._book = _Book()
        self._queue: deque[Script] = deque()
        self._marked: dict[bytes, Script] = {}
        self.listing: Script | None = None
        self.otherwise: Script = behave
        self._released = asyncio.Event()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, self._host, self.port, limit=1 << 26, backlog=512)
        self.port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        if self._server is not None:
            await close(self._server)

    # -- what tests use ----------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"http://{self._host}:{self.port}"

    def play(self, *scripts: Script) -> None:
        """Queue answers for the next inference requests."""
        self._queue.extend(scripts)

    def when(self, marker: str, script: Script) -> None:
        """Answer every request whose body holds `marker` like this."""
        self._marked[marker.encode()] = script

    def release(self) -> None:
        """Let all `Hold`s go on."""
        self._loop.call_soon_threadsafe(self._released.set)

    def forget(self) -> None:
        """Begin anew: nothing seen, nothing queued, holds hold."""
        with self._book.changed:
            self._book.requests.clear()
            self._book.probes.clear()
        self._queue.clear()
        self._marked.clear()
        self.listing = None
        self.otherwise = behave
        self._loop.call_soon_threadsafe(self._released.clear)

    def forget_requests(self) -> None:
        """As if nothing had been asked."""
        with self._book.changed:
            self._book.requests.clear()

    def stop_listening(self) -> None:
        """Refuse connections from now on and cut those that exist."""
        asyncio.run_coroutine_threadsafe(self.end(), self._loop).result(DEADLINE)

    def listen_again(self) -> None:
        """Undo `stop_listening`, on the same port."""
        asyncio.run_coroutine_threadsafe(self.open(), self._loop).result(DEADLINE)

    @property
    def requests(self) -> list[Seen]:
        """The inference requests so far."""
        with self._book.changed:
            return list(self._book.requests)

    @property
    def probes(self) -> list[Seen]:
        """The GETs so far."""
        with self._book.changed:
            return list(self._book.probes)

    @property
    def open_connections(self) -> int:
        with self._book.changed:
            return sum(c.closed_at is None for c in self._book.connections)

    @property
    def pipelined(self) -> bytes:
        """Bytes that came while an answer was still being written: must stay empty."""
        with self._book.changed:
            return b"".join(c.pipelined for c in self._book.connections)

    def wait(self, condition: Callable[[], bool], what: str, within: float = DEADLINE) -> None:
        """Wait until `condition` holds; AssertionError with `what` after the deadline."""
        with self._book.changed:
            assert self._book.changed.wait_for(condition, within), f"not in {within} s: {what}"

    def request(self, number: int = 0, within: float = DEADLINE) -> Seen:
        """Inference request `number` since `forget`, waiting for it."""
        self.wait(lambda: len(self._book.requests) > number, f"request {number}", within)
        return self._book.requests[number]

    def gone(self, seen: Seen, within: float = DEADLINE) -> float:
        """The instant at which the gateway left `seen`, waiting for it."""
        self.wait(lambda: seen.gone_at is not None, "the gateway leaves", within)
        assert seen.gone_at is not None
        return seen.gone_at

    def closed(self, seen: Seen, within: float = DEADLINE) -> None:
        """Wait until the connection of `seen` is over, whoever ended it."""
        connection = self._book.connections[seen.connection]
        self.wait(lambda: connection.closed_at is not None, "the connection is closed", within)

    # -- the server --------------------------------------------------------------------------------------------------

    def _tell(self) -> None:
        with self._book.changed:
            self._book.changed.notify_all()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with self._book.changed:
            connection = _Connection(len(self._book.connections), time.monotonic())
            self._book.connections.append(connection)
        try:
            while await self._one(connection, reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            connection.closed_at = time.monotonic()
            self._tell()

    async def _one(self, connection: _Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Read one request and play its script; False once the connection is over."""
        head = await reader.readuntil(b"\r\n\r\n")
        seen = Seen(head, b"", time.monotonic(), connection.number)
        length = dict(seen.headers).get("content-length", "0")
        seen.body = await reader.readexactly(int(length))
        script = self._choose(seen)
        with self._book.changed:
            (self._book.probes if seen.method == "GET" else self._book.requests).append(seen)
            self._book.changed.notify_all()
        return await self._play(script(seen), seen, connection, reader, writer)

    def _choose(self, seen: Seen) -> Script:
        if seen.method == "GET":
            return self.listing or behave
        for marker, script in self._marked.items():
            if marker in seen.body:
                return script
        return self._queue.popleft() if self._queue else self.otherwise

    async def _play(
        self,
        steps: Sequence[Step],
        seen: Seen,
        connection: _Connection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        """Play the steps while watching for the peer to leave; False if the connection ended."""
        watch = asyncio.ensure_future(reader.read(65536))
        act = asyncio.ensure_future(self._act(steps, seen, writer))
        try:
            await asyncio.wait({watch, act}, return_when=asyncio.FIRST_COMPLETED)
            if act.done():
                stays = act.result()
                seen.finished_at = time.monotonic()
            else:
                connection.pipelined += watch.result() if watch.exception() is None else b""
                seen.gone_at = time.monotonic()
                stays = False
            return stays
        except ConnectionError:
            seen.gone_at = time.monotonic()
            return False
        finally:
            for task in (watch, act):
                task.cancel()
            await asyncio.gather(watch, act, return_exceptions=True)
            self._tell()

    async def _act(self, steps: Sequence[Step], seen: Seen, writer: asyncio.StreamWriter) -> bool:
        for step in steps:
            match step:
                case Send(data):
                    writer.write(data)
                    seen.pieces += 1
                    await writer.drain()
                case Drip(data, size, gap):
                    for i in range(0, len(data), size):
                        writer.write(data[i : i + size])
                        seen.pieces += 1
                        await writer.drain()
                        await asyncio.sleep(gap)
                case Hold():
                    await self._released.wait()
                case Fin():
                    writer.close()
                    await writer.wait_closed()
                    return False
                case Reset():
                    sock: socket.socket = writer.get_extra_info("socket")
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    writer.transport.abort()
                    return False
        return True
