"""A raw loopback server for tests: each connection is handed to a script that may hang, drip, lie or die."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from engines.contract import Engine, Kind, Timeouts


@dataclass(slots=True)
class Peer:
    """One accepted connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    number: int
    seen: list[bytes]

    async def request(self) -> bytes:
        """Read one request, head and body; b"" when the client closed."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return b""
        length = next(
            (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        whole = head + await self.reader.readexactly(length)
        self.seen.append(whole)
        return whole

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def gone(self) -> None:
        """Wait until the client has closed the connection."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass


Script = Callable[[Peer], Awaitable[None]]


@dataclass(slots=True)
class Loopback:
    url: str
    seen: list[bytes] = field(default_factory=list)
    connections: int = 0

    def engine(self, kind: Kind = Kind.OPENAI, timeouts: Timeouts | None = None) -> Engine:
        return Engine("fake", kind, self.url, 1, timeouts=timeouts or Timeouts())


@asynccontextmanager
async def serving(script: Script, *, path: str | None = None) -> AsyncIterator[Loopback]:
    """Serve `script` on a free port of loopback, or on the UNIX socket `path`."""
    server_side = Loopback("")
    open_ones: set[asyncio.StreamWriter] = set()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_side.connections += 1
        open_ones.add(writer)
        try:
            await script(Peer(reader, writer, server_side.connections, server_side.seen))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            open_ones.discard(writer)
            writer.close()

    if path is None:
        server = await asyncio.start_server(accepted, "127.0.0.1", 0)
        server_side.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    else:
        server = await asyncio.start_unix_server(accepted, path)
        server_side.url = f"unix://{path}"
    try:
        yield server_side
    finally:
        server.close()
        for writer in open_ones:
            writer.transport.abort()


def reply(body: bytes = b"{}", status: str = "200 OK", headers: str = "") -> bytes:
    """A whole answer with a length."""
    return f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


def always(answer: bytes) -> Script:
    """Answer every request on every connection with `answer`."""

    async def script(peer: Peer) -> None:
        while await peer.request():
            await peer.say(answer)

    return script
