"""A proxy that lets nothing through and remembers who came: programs use it for all but loopback."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from tests.system.background import Background

_PATIENCE: Final = 5.0


class Tripwire(Background):
    """`HTTPS_PROXY` of a program that is to talk to the gateway alone; `tripped` are the first lines it was sent."""

    def __init__(self) -> None:
        super().__init__("tripwire")
        self._server: asyncio.Server | None = None
        self.port = 0
        self.tripped: list[str] = []

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._refuse, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        if self._server is not None:
            self._server.close()

    @property
    def environment(self) -> dict[str, str]:
        """For the program: proxies as curl, Bun, reqwest and httpx read them."""
        proxy = f"http://127.0.0.1:{self.port}"
        names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
        proxies = dict.fromkeys((*names, *map(str.lower, names)), proxy)
        return {**proxies, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}

    async def _refuse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        place = len(self.tripped)
        self.tripped.append("(nothing)")
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(_PATIENCE):
                line = await reader.readline()
            self.tripped[place] = line.decode("latin-1").strip()
        writer.transport.abort()
