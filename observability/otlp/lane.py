"""One signal on its way to the collector: gathers a batch, encodes it in a thread, sends it, tries again for a while.

Each signal has its own lane, so that a collector that takes no logs does not hold up traces.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from observability.otlp.backlog import Source
from observability.otlp.delivery import Answer, pause
from observability.otlp.sender import Sender

T = TypeVar("T")
_log = logging.getLogger(__name__)

PATIENCE: Final = 120.0
"""Seconds for which one batch is tried again; the next ones wait behind it, up to the backlog's bound."""
_BREATH: Final = 50e-6
_STEP: Final = 8  # of some 30 us each
_LEVEL: Final = 1
"""Of gzip: a fifth of the time of the default for a tenth more bytes."""


@dataclass(frozen=True, slots=True)
class Signal(Generic[T]):
    """`traces`, `metrics` or `logs`: its path at the collector, and how a batch becomes a body (called in a thread)."""

    name: str
    encode: Callable[[Iterable[T]], bytes]
    content_type: str
    patience: float = PATIENCE

    @property
    def path(self) -> str:
        """As OTLP/HTTP has it."""
        return f"/v1/{self.name}"


@dataclass(frozen=True, slots=True)
class _Batch:
    body: bytes
    size: int


class Lane(Generic[T]):
    """`run` it beside the gateway, `flush` it at the end. `interval` is seconds, `random` gives numbers from 0 to 1."""

    def __init__(
        self,
        signal: Signal[T],
        source: Source[T],
        sender: Sender,
        *,
        interval: float,
        clock: Callable[[], float],
        random: Callable[[], float],
    ) -> None:
        self._signal = signal
        self._source = source
        self._sender = sender
        self._interval = interval
        self._clock = clock
        self._random = random
        self._wake = asyncio.Event()
        self._taken: list[T] = []
        self._held: _Batch | None = None
        self._well = True
        self._whole = True
        self.sent = 0
        self.lost = 0
        """Items that the collector did not take, or that could not be encoded."""

    def wake(self) -> None:
        """There is a whole batch: do not wait for the end of the interval."""
        self._wake.set()

    async def run(self) -> None:
        """Send what comes, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(self._interval):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            await self._send_all()

    async def flush(self, seconds: float) -> None:
        """Send what is left, without trying anything twice; what is not gone after `seconds` is lost."""
        try:
            async with asyncio.timeout(seconds):
                while await self._hold():
                    if (batch := self._held) is not None:
                        self._note(await self._post(batch), batch, last=True)
                        self._held = None
                    if not self._source.waiting:
                        break
        except TimeoutError:
            pass
        self.lost += self._source.waiting + len(self._taken) + (0 if self._held is None else self._held.size)

    async def _send_all(self) -> None:
        """One batch after the other; what is less than a batch waits for the end of its interval."""
        while await self._hold():
            if self._held is not None:
                await self._deliver(self._held)
                self._held = None
            if not self._source.full:
                return

    async def _hold(self) -> bool:
        """Hold the next batch, unless there is one (left by a `run` that was cancelled); False: nothing is left.

        A batch that cannot be encoded is lost, and said; nothing may end the lane.
        """
        if self._held is not None:
            return True
        items = self._taken = self._taken or await self._source.take()
        if not items:
            return False
        try:
            body = await asyncio.to_thread(self._encode, items)
        except Exception as error:  # noqa: BLE001 - see above
            self.lost += len(items)
            _log.exception("%d %s could not be encoded", len(items), self._signal.name, exc_info=error)
            self._taken = []
            return True
        self._held, self._taken = _Batch(body, len(items)), []
        return True

    def _encode(self, items: list[T]) -> bytes:
        return gzip.compress(self._signal.encode(_gently(items)), _LEVEL, mtime=0)

    async def _deliver(self, batch: _Batch) -> None:
        until = self._clock() + self._signal.patience
        attempt = 0
        while True:
            answer = await self._post(batch)
            wait = pause(attempt, answer, self._random)
            last = not answer.again or self._clock() + wait > until
            self._note(answer, batch, last=last)
            if answer.taken or last:
                return
            attempt += 1
            await asyncio.sleep(wait)

    async def _post(self, batch: _Batch) -> Answer:
        return await self._sender.send(self._signal.path, batch.body, self._signal.content_type)

    def _note(self, answer: Answer, batch: _Batch, *, last: bool) -> None:
        """Count it; the log hears of changes only."""
        name = self._signal.name
        if answer.taken:
            # Of traces it counts spans, of which one has several: no more is lost than was in the message.
            refused = min(answer.rejected, batch.size)
            self.sent += batch.size - refused
            self.lost += refused
            if refused and self._whole:
                _log.warning("the collector takes only a part of %s (%d refused)", name, answer.rejected)
            self._whole = not refused
            if not self._well:
                _log.info("the collector takes %s again", name)
        else:
            self.lost += batch.size if last else 0
            if self._well:
                _log.warning("the collector does not take %s (%s)", name, answer.words)
        self._well = answer.taken


def _gently(items: Iterable[T]) -> Iterator[T]:
    """`items`, for a thread that works on one after the other: without a pause it would keep the interpreter for 5 ms
    at a time, and the event loop waiting. (A sleep of 0 gives it back, and takes it again before anybody wakes up.)"""
    for number, item in enumerate(items):
        if number % _STEP == 0:
            time.sleep(_BREATH)
        yield item
