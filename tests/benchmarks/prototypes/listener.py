"""The listener on httptools: `python -m tests.benchmarks.prototypes.listener [--seconds N] [--rounds N]`.

Measured is what a request costs before the line begins and after it has ended: the present listener and the prototype,
each with the same handler (reads the body, answers a small document), in a process of its own under wrk, in turns. The
prototype keeps what the listener checks of a head and of its framing (`check_head`, `parse_target`, the borders that
are looked for twice, the time limits, answers, one request at a time); it has no chunked bodies, no lingering and no
drain, which cost a small request nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Final, cast

import psutil
import uvloop
from aiohttp.streams import StreamReader
from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from edge.listener.checks import Head, check_head
from edge.listener.hosts import HostPolicy
from edge.listener.inbound import Headers, Inbound
from edge.listener.limits import ListenerLimits
from edge.listener.request import AiohttpInbound
from edge.listener.server import Listener
from edge.listener.target import parse_target
from engines.deadline import Deadline
from policies.errors import Refusal
from policies.exchange import Client
from policies.reasons import Reason
from tests.benchmarks import load
from tests.benchmarks.cores import Place, placed
from tests.system.process import ROOT

_ANSWER: Final = b'{"id":"c","object":"chat.completion","choices":[]}'
_END_OF_HEAD: Final = b"\r\n\r\n"
_LIMITS: Final = ListenerLimits(unauthenticated_share=1.0, requests_per_connection=1_000_000)
_CLIENT: Final = Client("127.0.0.1", 0, "prototype")


async def handler(inbound: Inbound) -> None:
    """What both serve."""
    _ = await inbound.body(1 << 20)
    await inbound.answer(200, {"content-type": "application/json"}, _ANSWER)


class Body:
    """What `AiohttpInbound` asks of a reader."""

    def __init__(self) -> None:
        self.blocks: list[bytes] = []
        self.total_bytes = 0
        self.ended = False
        self.waiter: asyncio.Future[None] | None = None

    def feed(self, data: bytes) -> None:
        self.blocks.append(data)
        self.total_bytes += len(data)
        self.wake()

    def end(self) -> None:
        self.ended = True
        self.wake()

    def wake(self) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    def is_eof(self) -> bool:
        return self.ended

    def at_eof(self) -> bool:
        return self.ended and not self.blocks

    def exception(self) -> None:
        return None

    def read_nowait(self, _size: int) -> bytes:
        blocks, self.blocks = self.blocks, []
        return blocks[0] if len(blocks) == 1 else b"".join(blocks)

    async def readany(self) -> bytes:
        while not self.blocks and not self.ended:
            self.waiter = asyncio.get_running_loop().create_future()
            await self.waiter
        return self.read_nowait(-1)


class RawConnection(asyncio.Protocol):
    """One caller's connection, on httptools alone. Implements `request.Wire`."""

    cut = closing = False

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks
        self._loop = asyncio.get_running_loop()
        self._deadline = Deadline(self._loop, self.abort)
        self._transport: asyncio.Transport | None = None
        self._hosts = HostPolicy()
        self._room = asyncio.Event()
        self._paused = False
        self._again()
        self._partial = b""
        self._wake: asyncio.Future[None] | None = None
        self._inbound: AiohttpInbound | None = None
        self._busy = False
        self._task: asyncio.Task[None] | None = None

    def _again(self) -> None:
        self._parser = HttpRequestParser(self)
        self._url = b""
        self._fields: list[tuple[bytes, bytes]] = []
        self._complete = False
        self._body = Body()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._deadline.set(_LIMITS.header_s)
        self._task = self._tasks.create_task(self._serve())

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._deadline.stop()
        self._room.set()
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            if self._busy:
                self._parser.feed_data(data)
            else:
                self._head(data)
        except (Refusal, HttpParserError, HttpParserUpgrade):
            self.abort()

    def _head(self, data: bytes) -> None:
        if self._partial:
            data, self._partial = self._partial + data, b""
        end = data.find(_END_OF_HEAD)
        if end < 0:
            if len(data) > _LIMITS.head_bytes:
                raise Refusal(Reason.HEADERS_TOO_LARGE)
            self._partial = data
            return
        whole = data[: end + 4]
        if len(whole) > _LIMITS.head_bytes:
            raise Refusal(Reason.HEADERS_TOO_LARGE)
        self._parser.feed_data(whole)
        if not self._complete:
            raise Refusal(Reason.MALFORMED_REQUEST)
        head = self._checked(whole)
        self._busy = True
        self._deadline.clear()
        self._inbound = AiohttpInbound(self, head, cast("StreamReader", self._body), _CLIENT, _LIMITS)
        if len(data) > len(whole):
            self._parser.feed_data(data[len(whole) :])
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def _checked(self, whole: bytes) -> Head:
        line = whole[: whole.find(b"\r\n")]
        if len(line) > _LIMITS.request_line_bytes or len(whole) - len(line) > _LIMITS.headers_bytes:
            raise Refusal(Reason.HEADERS_TOO_LARGE)
        method, version = self._parser.get_method(), self._parser.get_http_version()
        if line != b"%b %b HTTP/%b" % (method, self._url, version.encode()):
            raise Refusal(Reason.MALFORMED_REQUEST)
        target = parse_target(self._url.decode("utf-8", "surrogateescape"))
        major, _, minor = version.partition(".")
        number = int(major), int(minor)
        return check_head(method.decode(), target, number, self._fields, hosts=self._hosts, limits=_LIMITS)

    # -- httptools

    def on_message_begin(self) -> None:
        if self._busy:
            raise Refusal(Reason.MALFORMED_REQUEST)

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        self._complete = True

    def on_body(self, data: bytes) -> None:
        self._body.feed(data)

    def on_message_complete(self) -> None:
        self._body.end()

    # -- one request after the other

    async def _serve(self) -> None:
        while self._transport is not None:
            if self._inbound is None:
                self._wake = self._loop.create_future()
                await self._wake
                self._wake = None
            if self._inbound is not None:
                await handler(self._inbound)
                self._inbound, self._busy = None, False
                self._again()
                self._deadline.set(_LIMITS.keepalive_s)

    # -- request.Wire

    def send(self, block: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError
        self._transport.write(block)

    async def flush(self) -> None:
        while self._paused:
            await self._room.wait()

    def pause_writing(self) -> None:
        self._paused = True
        self._room.clear()

    def resume_writing(self) -> None:
        self._paused = False
        self._room.set()

    def settle(self) -> None:
        """Nothing lingers here."""

    def finish(self, *, close: bool) -> None:
        if close and self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def mark_authenticated(self) -> None:
        """Nobody is counted here."""


def _rejected(refusal: Refusal, _client: Client, _path: str) -> tuple[int, Headers, bytes]:
    return refusal.cause.status, {}, b""


async def _aiohttp(_tasks: asyncio.TaskGroup) -> int:
    listener = Listener(handler, _rejected, name="present", limits=_LIMITS)
    await listener.start("127.0.0.1", 0)
    return listener.port


async def _httptools(tasks: asyncio.TaskGroup) -> int:
    server = await asyncio.get_running_loop().create_server(lambda: RawConnection(tasks), "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    return port


_KINDS: Final[dict[str, Callable[[asyncio.TaskGroup], Awaitable[int]]]] = {"aiohttp": _aiohttp, "httptools": _httptools}


async def _serve(kind: str) -> None:
    async with asyncio.TaskGroup() as tasks:
        sys.stdout.write(f"{await _KINDS[kind](tasks)}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def _press(kind: str, folder: Path, connections: int, seconds: float) -> tuple[float, float, float]:
    """Requests per second, the median's milliseconds, and microseconds of processor for each."""
    command = (sys.executable, "-m", "tests.benchmarks.prototypes.listener", "--serve", kind)
    with (
        placed(Place.CONTENDER),
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            _ = load.press(port, "none", folder, connections=connections, seconds=1, warm=0)
            before = _processor(process.pid)
            seen = load.press(port, "none", folder, connections=connections, seconds=seconds, warm=0)
            used = _processor(process.pid) - before
        finally:
            process.terminate()
    return seen.per_second, seen.p50_ms, used / seen.answers * 1e6


def _processor(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def main(argv: Sequence[str]) -> int:
    """Serve one, or measure both."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.prototypes.listener", description=__doc__)
    parser.add_argument("--serve", choices=[*_KINDS], help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args(argv)
    if args.serve:
        uvloop.run(_serve(args.serve))
        return 0
    with tempfile.TemporaryDirectory(prefix="llm-gateway-prototype-") as name:
        for connections in (1, 32):
            taken: dict[str, list[tuple[float, float, float]]] = {kind: [] for kind in _KINDS}
            for _ in range(args.rounds):
                for kind, found in taken.items():
                    found.append(_press(kind, Path(name), connections, args.seconds))
            for kind, found in taken.items():
                rate, p50, used = (round(median(values), 2) for values in zip(*found, strict=True))
                told = {"listener": kind, "connections": connections, "per_second": rate, "p50_ms": p50, "cpu_us": used}
                sys.stdout.write(json.dumps(told) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
