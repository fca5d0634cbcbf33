"""What the process itself can tell: memory, descriptors, processor time, garbage collections, a late event loop."""

from __future__ import annotations

import asyncio
import gc
import os
import platform
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final, Literal

from observability.metrics import catalogue as names
from observability.metrics.registry import Reading, Registry

_EVERY: Final = 0.5
_STATM: Final = Path("/proc/self/statm")
_DESCRIPTORS: Final = Path("/dev/fd")
_GENERATIONS: Final = (("0",), ("1",), ("2",))


def watch_process(registry: Registry, *, version: str, wall: Callable[[], float] = time.time) -> None:
    """Read memory, descriptors, processor time, uptime and the version whenever they are asked for."""
    registry.read(names.MEMORY, _memory)
    registry.read(names.DESCRIPTORS, _descriptors)
    registry.read(names.CPU_TIME, _cpu_time)
    registry.read(names.UPTIME, lambda: [((), wall() - registry.started)])
    registry.read(names.BUILD, lambda: [((version, platform.python_version()), 1)])


class LoopLag:
    """How late the event loop is: it asks to be woken twice a second, and looks how long that took."""

    def __init__(self, registry: Registry) -> None:
        self._lag = registry.histogram(names.LOOP_LAG)
        self._lag.declare(())

    async def run(
        self,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Until cancelled. A machine that slept is not told from a loop that hung."""
        while True:
            began = clock()
            await pause(_EVERY)
            self._lag.observe((), max(clock() - began - _EVERY, 0.0))


class GcPauses:
    """How long garbage collections take: nothing else runs meanwhile.

    A collection may begin in the middle of anything, also of reading these series, so all of them are there from the
    start: no dictionary grows while somebody walks along it.
    """

    def __init__(self, registry: Registry, clock: Callable[[], float] = time.perf_counter) -> None:
        self._pauses = registry.histogram(names.GC_PAUSES)
        for generation in _GENERATIONS:
            self._pauses.declare(generation)
        self._clock = clock
        self._began = 0.0

    def start(self) -> None:
        """Be called around each collection from now on."""
        gc.callbacks.append(self._collected)

    def stop(self) -> None:
        """The contrary; harmless if called again."""
        if self._collected in gc.callbacks:
            gc.callbacks.remove(self._collected)

    def _collected(self, phase: Literal["start", "stop"], info: Mapping[str, int]) -> None:
        if phase == "start":
            self._began = self._clock()
        elif self._began:
            self._pauses.observe(_GENERATIONS[info["generation"]], self._clock() - self._began)


def _memory() -> Reading:
    try:
        pages = int(_STATM.read_text(encoding="ascii").split()[1])
    except OSError:  # not Linux
        return ()
    return [((), pages * os.sysconf("SC_PAGE_SIZE"))]


def _descriptors() -> Reading:
    try:
        found = os.listdir(_DESCRIPTORS)  # noqa: PTH208 - a Path for each would cost five times as much
    except OSError:
        return ()
    return [((), len(found) - 1)]  # less the one that reads the folder


def _cpu_time() -> Reading:
    times = os.times()
    return [(("user",), times.user), (("system",), times.system)]
