"""A wire between the gateway and a real engine: it sees which paths are asked, can hold an answer back after its first
pieces, can cut it there, and sees when the gateway leaves. It changes no byte."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from dataclasses import dataclass
from typing import Final

from tests.system.background import Background, close
from tests.system.wire import DEADLINE

_POST: Final = re.compile(rb"POST (\S+) HTTP/1\.1\r\n")
_PIECE: Final = re.compile(rb"(?:data: )?\{[^\n]*\n")
_LET_THROUGH: Final = 3
"""Pieces of a held answer: the first often has no text yet."""
_COUNTS: Final = re.compile("tokenize|tokens")
"""What the gateway asks for its own sake."""
_BLOCK: Final = 1 << 16


@dataclass(slots=True)
class Line:
    """One connection. `held`: its answer is to wait here, after its first pieces; `left_at`: when the gateway ended
    it."""

    server: asyncio.StreamWriter
    caller: asyncio.StreamWriter
    held: bool = False
    left_at: float | None = None


class Tap(Background):
    """Listens on a port of its own for the engine on `port`."""

    def __init__(self, port: int) -> None:
        super().__init__("tap")
        self._engine = port
        self._changed = threading.Condition()
        self.port = 0
        self._lines: list[Line] = []
        self._paths: list[str] = []
        self._holds = False
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        if self._server is not None:
            await close(self._server)

    # -- what tests use ------------------------------------------------------------------------------------------------

    def paths(self) -> list[str]:
        """Every path that was POSTed for a caller."""
        with self._changed:
            return list(self._paths)

    def hold(self) -> None:
        """Hold the next streamed answer back after its first pieces."""
        with self._changed:
            self._holds = True

    def cut(self) -> None:
        """End the connection whose answer is held, as an engine does that dies."""
        line = self._held()
        self._loop.call_soon_threadsafe(line.caller.transport.abort)

    def left(self, within: float = DEADLINE) -> float:
        """The instant at which the gateway left the held answer, waiting for it."""
        line = self._held()
        with self._changed:
            assert self._changed.wait_for(lambda: line.left_at is not None, within), "the gateway did not leave"
        assert line.left_at is not None
        return line.left_at

    def _held(self) -> Line:
        with self._changed:
            assert self._changed.wait_for(lambda: any(line.held for line in self._lines), DEADLINE), "nothing is held"
            return next(line for line in reversed(self._lines) if line.held)

    def forget(self) -> None:
        """Hold nothing from now on."""
        with self._changed:
            self._holds = False
            for line in self._lines:
                line.held = False

    # -- the wire ------------------------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_engine, to_engine = await asyncio.open_connection("127.0.0.1", self._engine)
        line = Line(to_engine, writer)
        with self._changed:
            self._lines.append(line)
        up = asyncio.ensure_future(self._up(line, reader))
        down = asyncio.ensure_future(self._down(line, from_engine))
        try:
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (up, down):
                task.cancel()
            await asyncio.gather(up, down, return_exceptions=True)
            for end in (writer, to_engine):
                end.transport.abort() if line.held else end.close()

    async def _up(self, line: Line, reader: asyncio.StreamReader) -> None:
        """Until the gateway leaves."""
        seen = b""
        try:
            while block := await reader.read(_BLOCK):
                seen += block
                found = [path.decode() for path in _POST.findall(seen)]
                seen = b"" if found else seen[-256:]
                if found := [path for path in found if not _COUNTS.search(path)]:
                    with self._changed:
                        line.held = self._holds
                        self._paths += found
                        self._changed.notify_all()
                line.server.write(block)
                await line.server.drain()
        except ConnectionError:
            pass
        with self._changed:
            line.left_at = time.monotonic()
            self._changed.notify_all()

    async def _down(self, line: Line, reader: asyncio.StreamReader) -> None:
        """Until the engine ends the connection."""
        seen = b""
        try:
            while block := await reader.read(_BLOCK):
                if not line.held:
                    line.caller.write(block)
                    await line.caller.drain()
                    continue
                self._holds = False  # not at the question: it may be asked again, on another line
                pieces = [match.end() for match in _PIECE.finditer(seen + block)]
                if len(pieces) < _LET_THROUGH:
                    line.caller.write(block)
                    seen += block
                    continue
                line.caller.write(block[: pieces[_LET_THROUGH - 1] - len(seen)])
                await asyncio.Event().wait()
        except ConnectionError:
            pass
