"""The caller's side of one request: exactly one answer, whole or streamed, or one error in the form that still fits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final

from edge.cors import ALLOW_ORIGIN, exposed
from edge.dialects.errors import render, stream_error
from edge.listener.inbound import Headers, Inbound
from edge.relay.tape import Tape
from edge.tasks import Tasks
from policies.call import Dialect
from policies.errors import GatewayError


@dataclass(frozen=True, slots=True)
class Pulse:
    """When a waiting caller of a stream hears of it.

    After `first` seconds it gets status, headers and a comment, then one after every `every` seconds of silence. Long
    prefills take minutes; NATs and clients give up after 15-60 s (facts/peers.md 4.1 point 12), and comments are safe
    for every SSE client. What fails afterwards is told in the stream: its status is 200 by then. 0 = never.
    """

    first: float = 1.0
    every: float = 10.0


PULSE: Final = Pulse()
NEVER: Final = Pulse(0.0, 0.0)
"""For streams in which nothing but events can stand. Nothing is sent while they wait, so a refusal keeps its status."""


class Reply:
    """One per exchange. A stream begins with its first block, so that an early failure still gets its real status."""

    __slots__ = (
        "_answered",
        "_commenting",
        "_inbound",
        "_stream_headers",
        "_writing",
        "always",
        "begun",
        "failing",
        "sent",
        "tape",
    )

    def __init__(self, inbound: Inbound) -> None:
        self._inbound = inbound
        self._answered = False
        self._stream_headers: Headers = {}
        self._commenting: asyncio.Lock | None = None
        self._writing = False
        self.always: Headers = {}
        """Headers of any answer, errors too."""
        self.begun = False
        self.sent = 0
        """Bytes of body or events given to the caller (comments not counted)."""
        self.tape: Tape | None = None
        """Is told what the caller was given of an engine's answer, where that is captured."""
        self.failing: Callable[[GatewayError, bool], bytes] | None = None
        """How a begun stream says that it fails, where the dialect's one event will not do; is told whether the caller
        was given any event."""

    async def whole(self, status: int, headers: Headers, body: bytes, *, close: bool = False) -> None:
        """A complete answer."""
        self._answered = True
        self.sent = len(body)
        await self._inbound.answer(status, self._complete(headers), body, close=close)

    def _complete(self, headers: Headers) -> Headers:
        headers = {**headers, **self.always}
        if ALLOW_ORIGIN in headers:
            headers["access-control-expose-headers"] = exposed(headers)
        return headers

    def streams(self, headers: Headers, tasks: Tasks, say: Callable[[], str], pulse: Pulse = PULSE) -> KeptWarm:
        """Prepare a streamed answer. In the returned context `say()` goes out as a comment in silence."""
        self._stream_headers = headers
        self._commenting = asyncio.Lock()
        return KeptWarm(self, tasks, say, pulse)

    @property
    def writing(self) -> bool:
        """Whether a write is under way; it may be waiting for a slow caller."""
        return self._writing or (self._commenting is not None and self._commenting.locked())

    async def write(self, block: bytes) -> None:
        """Send events; ConnectionError when the caller is gone or stalls. For the request's own task alone."""
        await self._write(block, len(block))

    async def _write(self, block: bytes, events: int) -> None:
        # No lock for each event, which would be a twentieth of what it costs: only comments come from other tasks.
        if self._commenting is None:
            raise RuntimeError("write before streams()")
        if self._commenting.locked():
            async with self._commenting:
                pass
        self._writing = True
        try:
            await self._put(block, events)
        finally:
            self._writing = False

    async def comment(self, text: bytes) -> None:
        """Send a comment line, which every client ignores; not while events are on their way."""
        if self._commenting is None:
            raise RuntimeError("comment before streams()")
        async with self._commenting:
            if not self._writing:
                await self._put(b": " + text + b"\n\n", 0)

    async def _put(self, block: bytes, events: int) -> None:
        if self._answered or self._inbound.torn:
            return  # a late heartbeat: behind the end, or into the middle of an event
        if not self.begun:
            self.begun = True
            await self._inbound.begin(200, self._complete(self._stream_headers))
        self.sent += events  # first: who is cut while it waits for a slow caller has handed all of it over
        await self._inbound.write(block)

    async def end(self) -> None:
        """End a streamed answer properly."""
        self._answered = True
        await self._inbound.end()

    async def fail(self, error: GatewayError, dialect: Dialect, request_id: str) -> int:
        """Say the error: as a status where nothing was sent yet, else as the dialect's error event. Returns the status
        the caller saw, 0 if nothing can be said: behind an answer, or within an event that was cut half-way. Never a
        clean end of file alone."""
        if self._answered or self._inbound.torn:
            self._inbound.abort()
            return 0
        if not self.begun:
            status, headers, body = render(error, dialect, request_id)
            await self.whole(status, headers, body)
            return status
        failing = self.failing
        last = stream_error(error, dialect, request_id) if failing is None else failing(error, self.sent > 0)
        await self._write(last, 0)
        await self.end()
        return 200


class KeptWarm:
    """While entered, sends comments in silence. A timer, not a task: most answers never need it."""

    __slots__ = ("_pulse", "_reply", "_say", "_seen", "_tasks", "_timer")

    def __init__(self, reply: Reply, tasks: Tasks, say: Callable[[], str], pulse: Pulse) -> None:
        self._reply = reply
        self._tasks = tasks
        self._say = say
        self._pulse = pulse
        self._seen = -1
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        if self._pulse.first > 0:
            self._arm(self._pulse.first)

    def _arm(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._tick)

    def _tick(self) -> None:
        silent = self._reply.sent == self._seen or not self._reply.begun
        # A caller that takes nothing needs no heartbeat, and they would pile up behind the write that waits for it.
        if silent and not self._reply.writing:
            _ = self._tasks.start(self._comment(), name="heartbeat")
        self._seen = self._reply.sent
        self._arm(self._pulse.every)

    async def _comment(self) -> None:
        try:
            await self._reply.comment(self._say().encode())
        except ConnectionError:
            return  # the listener cancels the handler of a vanished caller; nothing is left to do here

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
