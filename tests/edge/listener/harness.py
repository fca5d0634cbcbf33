"""A listener on a free loopback port with a recording handler, and a raw-socket caller that shows every byte."""

from __future__ import annotations

import asyncio
import ssl as tls
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from edge.listener.hosts import HostPolicy
from edge.listener.inbound import Headers
from edge.listener.limits import ListenerLimits
from edge.listener.request import AiohttpInbound
from edge.listener.server import Listener
from policies.errors import Refusal
from policies.exchange import Client
from policies.principal import Network

PATIENCE = 5.0
"""Seconds that a test waits for what must happen; never slept through."""

Handler = Callable[[AiohttpInbound], Awaitable[None]]
HOST = b"Host: localhost\r\n"
GET = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n"


def post(body: bytes, *headers: bytes) -> bytes:
    """A well-formed POST with a declared length."""
    lines = [b"POST /v1/chat/completions HTTP/1.1", b"Host: localhost", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


@dataclass
class Answer:
    """One answer as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes


class Caller:
    """A client that sends exactly what it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def line(self) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self.reader.readline()

    async def head(self) -> Answer:
        """The next status line and headers."""
        async with asyncio.timeout(PATIENCE):
            raw = (await self.reader.readuntil(b"\r\n\r\n")).decode("ascii")
        first, *lines = raw.rstrip("\r\n").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        return Answer(int(first.split(" ")[1]), headers, b"")

    async def answer(self) -> Answer:
        """The next whole answer (with a length, or chunked)."""
        answer = await self.head()
        async with asyncio.timeout(PATIENCE):
            if answer.headers.get("transfer-encoding") == "chunked":
                while size := int(await self.reader.readline(), 16):
                    answer.body += (await self.reader.readexactly(size + 2))[:-2]
                assert await self.reader.readline() == b"\r\n"
            else:
                answer.body = await self.reader.readexactly(int(answer.headers.get("content-length", "0")))
        return answer

    async def rest(self) -> bytes:
        """Everything up to the end of the connection, however it ends."""
        got = b""
        async with asyncio.timeout(PATIENCE):
            try:
                while block := await self.reader.read(65536):
                    got += block
            except ConnectionError:
                pass
        return got

    async def close(self) -> None:
        self.writer.transport.abort()


@dataclass
class Door:
    """A running listener, the requests its handler saw, and the refusals that were rendered."""

    listener: Listener
    seen: list[tuple[str, str, bytes]] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    callers: list[Caller] = field(default_factory=list)

    @property
    def port(self) -> int:
        return self.listener.port

    async def call(self) -> Caller:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20)
        caller = Caller(reader, writer)
        self.callers.append(caller)
        return caller

    async def ask(self, data: bytes) -> Answer:
        """One request on a connection of its own."""
        caller = await self.call()
        await caller.send(data)
        return await caller.answer()


async def until(condition: Callable[[], object]) -> None:
    """Wait for `condition`, at most `PATIENCE`."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.002)


@asynccontextmanager
async def listening(
    handler: Handler | None = None,
    *,
    limits: ListenerLimits | None = None,
    hosts: HostPolicy | None = None,
    ssl: tls.SSLContext | None = None,
    networks: tuple[Network, ...] = (),
) -> AsyncIterator[Door]:
    """A listener on 127.0.0.1; without a handler it reads the body and answers 200."""

    async def record(inbound: AiohttpInbound) -> None:
        body = await inbound.body(1 << 24)
        door.seen.append((inbound.method, inbound.path, body))
        await inbound.answer(200, {"content-type": "application/json"}, b'{"ok":true}')

    async def entry(inbound: object) -> None:
        assert isinstance(inbound, AiohttpInbound)
        try:
            await (handler or record)(inbound)
        except Refusal as refusal:
            await inbound.answer(refusal.cause.status, {}, refusal.reason.value.encode(), close=True)

    def rejected(refusal: Refusal, client: Client, path: str) -> tuple[int, Headers, bytes]:
        door.refused.append((refusal.reason.value, path))
        assert client.listener == "test"
        return refusal.cause.status, {"content-type": "text/plain"}, refusal.reason.value.encode()

    listener = Listener(entry, rejected, name="test", limits=limits, hosts=hosts, ssl=ssl, networks=networks)
    door = Door(listener)
    await listener.start("127.0.0.1", 0)
    try:
        yield door
    finally:
        for caller in door.callers:
            await caller.close()
        await listener.close()
        await until(lambda: not listener.census.total and not listener.active)
