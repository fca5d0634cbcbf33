"""A wire to Redis that can be slow, or cut in the middle of an answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from edge.tasks import Tasks


class SlowWire:
    """A TCP proxy: holds back what Redis says for `delay` seconds; with `swallow` nothing it says arrives at all."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._tasks = Tasks()
        self.delay = 0.0
        self.swallow = False
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        _ = self._tasks.start(self._join(reader, writer), name="slow wire")

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        forth = None
        with suppress(OSError):
            try:
                back, forth = await asyncio.open_connection("127.0.0.1", self._target)
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pump(reader, forth, slow=False))
                    group.create_task(self._pump(back, writer, slow=True))
            finally:
                for end in filter(None, (writer, forth)):
                    end.close()
                    with suppress(OSError):
                        await end.wait_closed()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, slow: bool) -> None:
        with suppress(OSError):
            while chunk := await reader.read(65_536):
                if slow:
                    await asyncio.sleep(self.delay)
                    if self.swallow:
                        continue
                writer.write(chunk)
                await writer.drain()
            writer.close()

    async def close(self) -> None:
        """Drop every connection."""
        await self._tasks.close()


@asynccontextmanager
async def slow_wire(port: int) -> AsyncIterator[SlowWire]:
    """A proxy to `port` on a port of its own."""
    wire = SlowWire(port)
    server = await asyncio.start_server(wire.serve, "127.0.0.1", 0)
    wire.port = server.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        server.close()
        await wire.close()
