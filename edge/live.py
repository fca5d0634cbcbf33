"""What goes on right now, gathered from the parts that know it, when somebody asks (`edge/admin/live.py`)."""

from __future__ import annotations

import asyncio
import resource
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from edge.config.settings import ADMIN
from edge.fleet import Fleet
from edge.inflight import Inflight
from edge.queue.engine_queue import Queues
from observability.live.minute import Minute
from observability.live.snapshot import Engine, Process, document, look
from observability.live.watching import Watchers
from observability.metrics import catalogue as names
from observability.metrics.registry import Registry
from observability.metrics.snapshot import Family
from observability.observers import Observers
from policies.json import Object

_KIB: Final = 1024
_GOODBYE: Final = 1.0


@dataclass(slots=True, kw_only=True)
class Live:
    """One per gateway. `clock` is monotonic, `wall` seconds since the epoch."""

    inflight: Inflight
    fleet: Fleet
    queues: Queues
    registry: Registry
    observers: Observers
    draining: Callable[[], bool]
    clock: Callable[[], float]
    wall: Callable[[], float]
    watchers: Watchers = field(init=False)
    _minute: Minute = field(init=False)
    _late: tuple[float, int] = (0.0, 0)

    def __post_init__(self) -> None:
        self.watchers = Watchers(self.observers.add, besides=ADMIN)
        self._minute = Minute(self.observers.add, self.clock)

    def snapshot(self) -> Object:
        """The document of this instant."""
        now = self.clock()
        running = [look(one, now) for one in self.inflight.exchanges() if one.client.listener != ADMIN]
        return document(running, self._engines(), self._process(), self._minute.recent(), at=self.wall())

    async def close(self) -> None:
        """Let those who watch go, and wait a moment until they have."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_GOODBYE):
                await self.watchers.close()

    def _engines(self) -> list[Engine]:
        models = self.fleet.catalogue.models()
        found = []
        for engine, up in self.fleet.engines.items():
            queue = self.queues.of(engine)
            loaded = queue.loaded if up else []
            if loaded is None:
                loaded = [entry.name for entry in models if engine.name in entry.engines]
            state = Engine(
                name=engine.name,
                kind=engine.kind.value,
                up=up,
                slots=engine.concurrency,
                running=queue.running,
                elsewhere=queue.elsewhere,
                waiting=queue.waiting,
                loading=queue.loading,
                models=tuple(loaded),
            )
            found.append(state)
        return found

    def _process(self) -> Process:
        build = self.registry.points(names.BUILD)
        memory = self._read(names.MEMORY)
        return Process(
            version=build[0].labels[0] if build else "",
            uptime=self._read(names.UPTIME) or 0.0,
            memory=None if memory is None else int(memory),
            peak=_peak(),
            lag=self._lag(),
            watchers=len(self.watchers),
            draining=self.draining(),
        )

    def _read(self, family: Family) -> float | None:
        points = self.registry.points(family)
        return points[0].value if points else None

    def _lag(self) -> float | None:
        """The mean since the last look of anybody."""
        points = self.registry.points(names.LOOP_LAG)
        if not points:
            return None
        (before, then), self._late = self._late, (points[0].value, points[0].count)
        count = points[0].count - then
        return (points[0].value - before) / count if count else None


def _peak() -> int:
    """The most memory that the process has had, in bytes: getrusage(2) counts it so on macOS, and in KiB on Linux."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * _KIB
