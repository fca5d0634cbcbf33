"""The engines as the line sees them: the present catalogue, a second look for a model that is missing, the demo."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from edge.queue.engine_queue import Queues
from edge.tasks import Tasks
from engines.catalogue import Catalogue
from engines.contract import Engine, Target
from engines.demo import DemoEngine, tiny
from engines.discovery import Place, alive, discover, host_is_named, in_container, places
from engines.refresher import Refresher
from engines.transport import HttpTransport
from policies.errors import UpstreamError
from policies.names import canonical

_log = logging.getLogger(__name__)
_LOOK: Final = 2.0
"""Seconds a request waits at most for the second look."""


class Demo(Enum):
    """Whether to run the tiny model: never, always, or when no engine is found at the start."""

    OFF = "off"
    ON = "on"
    IF_EMPTY = "if-empty"


class Fleet:
    """Owns the watch over the engines. `start` returns at once where `demo` allows; models come as engines answer."""

    def __init__(
        self,
        transport: HttpTransport,
        engines: Sequence[Engine],
        *,
        aliases: Mapping[str, str],
        find: bool,
        own_ports: Callable[[], Collection[int]],
        queues: Queues,
        tasks: Tasks,
        clock: Callable[[], float],
        home: Path,
        presets: Callable[[], Collection[str]],
    ) -> None:
        """`find` looks on the default ports, except the gateway's `own_ports`; `presets` gives the names of those there
        are, which count again at `presets_changed`."""
        self.catalogue = Catalogue((), aliases, presets())
        self.demo: DemoEngine | None = None
        self.demo_ready = asyncio.Event()
        self.demo_failure = ""
        self._transport = transport
        self._engines = list(engines)
        self._aliases = aliases
        self._find = find
        self._own_ports = own_ports
        self._queues = queues
        self._tasks = tasks
        self._clock = clock
        self._home = home
        self._presets = presets
        self._refresher: Refresher | None = None

    @property
    def engines(self) -> Mapping[Engine, bool]:
        """Every engine known, and whether it is up."""
        return self._refresher.engines if self._refresher else dict.fromkeys(self._engines, False)

    async def start(self, demo: Demo) -> None:
        """Begin to watch. With IF_EMPTY this first looks (under a second) whether any engine is there."""
        if demo is Demo.ON or (demo is Demo.IF_EMPTY and not await self._any()):
            self._add_demo()
        self._refresher = Refresher(
            self._transport,
            self._engines,
            publish=self._publish,
            now=self._clock,
            aliases=self._aliases,
            places=self._places(),
            jitter=lambda: random.uniform(0.9, 1.1),  # noqa: S311 - spreads probes, guards nothing
            busy=self._busy,
        )
        _ = self._tasks.keep(self._refresher.run, name="engine watch")

    def offers(self, model: str) -> tuple[Target, ...]:
        """Who has `model` now; () if nobody does, as far as is known."""
        return self.catalogue.resolve(model)

    async def look_again(self, model: str) -> tuple[Target, ...]:
        """Ask the engines anew for `model`, which may have been pulled or started a moment ago; () if it stays unknown.

        For permitted callers only, and at most every two seconds for all of them together (`Pace.manual`).
        """
        if self._refresher is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK):
                    await self._refresher.refresh()
        return self.catalogue.resolve(model)

    def missing(self, model: str) -> bool:
        """Whether `model` may merely be away: some configured engine (or the demo) is not up."""
        named = {canonical(engine.model) for engine, up in self.engines.items() if engine.model and not up}
        return canonical(model) in named or any(not up and not engine.model for engine, up in self.engines.items())

    async def stop(self) -> None:
        """End the demo's process; the watch ends with the tasks."""
        if self.demo is not None:
            await self.demo.stop()

    def presets_changed(self) -> None:
        """Names of presets have come or gone."""
        known = self.catalogue.problems
        self.catalogue = self.catalogue.with_presets(self._presets())
        _warn(problem for problem in self.catalogue.problems if problem not in known)

    def _publish(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue.with_presets(self._presets())
        _warn(self.catalogue.problems)

    def _busy(self, name: str) -> bool:
        return any(engine.name == name and self._queues.of(engine).load > 0 for engine in self.engines)

    def _places(self) -> list[Place]:
        own = set(self._own_ports())
        inside = in_container()
        found = places(container=inside, host=inside and host_is_named()) if self._find else ()
        return [place for place in found if not (_local(place.url) and urlsplit(place.url).port in own)]

    async def _any(self) -> bool:
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(alive(self._transport, engine)) for engine in self._engines]
            looked = group.create_task(discover(self._transport, self._places(), taken=self._engines))
        return any(task.result() for task in asked) or bool(looked.result())

    def _add_demo(self) -> None:
        try:
            self.demo = DemoEngine(self._transport, self._home, tiny())
        except UpstreamError as error:
            self.demo_failure = error.detail
            self.demo_ready.set()
            return
        self._engines.append(self.demo.engine)
        _ = self._tasks.start(self._run_demo(self.demo), name="demo engine")

    async def _run_demo(self, demo: DemoEngine) -> None:
        try:
            await demo.start()
            if self._refresher is not None:
                await self.look_again(demo.engine.model or "")
        except UpstreamError as error:
            self.demo_failure = error.detail
        finally:
            self.demo_ready.set()
        await demo.run()


def _warn(problems: Iterable[str]) -> None:
    for problem in problems:
        _log.warning("%s", problem)


def _local(url: str) -> bool:
    return urlsplit(url).hostname in {"localhost", "127.0.0.1", "::1"}
