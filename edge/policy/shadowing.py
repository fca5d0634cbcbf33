"""Which candidate decides beside the live policy just now: started, stopped, and offered the gateway's decisions."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from typing import Final

from edge.policy.enforcement import Recorder
from edge.policy.shadow import Shadow
from edge.policy.source import ShadowPlan
from edge.policy.store import PolicyStore
from edge.tasks import Tasks
from policies.bundle import Bundle
from policies.engine import PolicyEngineDown
from policies.opa.engine import ChildEngine
from policies.record import Record

_log = logging.getLogger(__name__)
_NAME: Final = "shadow policy"


class Shadowing:
    """A Recorder in front of the decision log, which hands what is recorded to the shadow too.

    `make` gives a local engine for a bundle: a candidate never gets into an OPA that others ask as well.
    """

    def __init__(self, log: Recorder, store: PolicyStore, make: Callable[[Bundle], ChildEngine], tasks: Tasks) -> None:
        self._log = log
        self._store = store
        self._make = make
        self._tasks = tasks
        self._shadow: Shadow | None = None
        self._engine: ChildEngine | None = None
        self._running: list[asyncio.Task[None]] = []
        self._plan: tuple[str, tuple[str, float, float]] | None = None

    def write(self, record: Record) -> None:
        """Record a decision."""
        self._log.write(record)
        if self._shadow is not None:
            self._shadow.offer(record)

    async def write_durably(self, record: Record) -> None:
        """Record a decision, on disk when this returns. DecisionLogError."""
        await self._log.write_durably(record)
        if self._shadow is not None:
            self._shadow.offer(record)

    async def take(self, plan: ShadowPlan | None) -> None:
        """Let the candidate of `plan` decide from now on, or none. One that does not start is told and left out."""
        wanted = None if plan is None else (plan.bundle.revision, plan.stored.identity)
        if wanted == self._plan:
            return
        await self.close()
        self._plan = wanted
        if plan is None:
            return
        engine = self._make(plan.bundle)
        try:
            await engine.start()
        except PolicyEngineDown as error:
            _log.warning("the shadow policy does not start: %s", error.detail)
            return
        shadow = Shadow(plan.stored, engine, self._store, randomness=random.random, now=time.time)
        self._engine, self._shadow = engine, shadow
        self._running = [self._tasks.keep(run, name=_NAME) for run in (engine.run, shadow.run)]
        _log.warning("shadow policy %s runs beside the live one", plan.bundle.revision[:12])

    async def close(self) -> None:
        """Stop the candidate, if there is one; what it counted is stored."""
        running, self._running = self._running, []
        engine, self._engine, self._shadow, self._plan = self._engine, None, None, None
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        if engine is not None:
            await engine.close()
