"""Runs the policy in force: one engine for one revision, swapped whole when another comes into force.

start the new engine -> inspect the new text -> swap -> let the old one finish -> close it

If anything fails before the swap, the last good policy stays in force, and the watcher tries again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from edge.config.settings import OnError, Policy
from edge.policy.active import ActivePolicy
from edge.policy.engines import Engine, Maker
from edge.policy.errors import PolicyToolError
from edge.tasks import Tasks
from policies.bundle import Bundle
from policies.embedded.workshop import Inspection, WorkshopError, inspect
from policies.engine import PolicyEngineDown
from policies.json import Object
from policies.opa.remote import RemoteEngine
from policies.pdp import Answer, DecisionPoint, LastGood

_log = logging.getLogger(__name__)
_SHOWN: Final = 5


class PolicyService:
    """The decision point for the line. `start` it with the first policy, `take` each further one."""

    def __init__(self, settings: Policy, make: Maker, tasks: Tasks, *, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._make = make
        self._tasks = tasks
        self._clock = clock
        self._point: DecisionPoint | None = None
        self._engine: Engine | None = None
        self._retiring: list[Engine] = []
        self._watch: asyncio.Task[None] | None = None
        self._unread: Bundle | None = None
        self.active: ActivePolicy | None = None

    @property
    def point(self) -> DecisionPoint:
        """What decides now; only after `start`."""
        if self._point is None:
            raise RuntimeError("not started")
        return self._point

    @property
    def ready(self) -> bool:
        """Whether the engine answers, as far as is known: without it every request gets a no."""
        return self._engine is not None and self._engine.ready

    async def ask(self, document: Object) -> Answer:
        """The answer of the policy in force."""
        return await self.point.ask(document)

    async def start(self, bundle: Bundle, *, unchecked: bool) -> ActivePolicy:
        """Put the first policy in force; `look` at it later. PolicyToolError if its engine does not come up.

        `unchecked`: nobody has checked this text (a folder's); then it is before it decides anything.
        """
        inspection = _passed(bundle, await _inspected(bundle)) if unchecked else None
        await self._install(bundle)
        self.active = ActivePolicy(bundle)
        if inspection is None:
            self._unread = bundle
        else:
            self._cache(bundle, inspection)
        return self.active

    def look(self) -> None:
        """Find out in the background what the first policy reads, so that its answers can be kept.

        For the end of a start: it takes 0.3 s of a processor, which nobody should wait for.
        """
        bundle, self._unread = self._unread, None
        if bundle is not None:
            _ = self._tasks.start(self._look(bundle), name="policy inspection")

    async def take(self, bundle: Bundle) -> None:
        """Put another policy in force. PolicyToolError, and nothing has changed, if it is not fit to be."""
        if self.active is None or bundle.revision == self.active.revision:
            return
        inspection = _passed(bundle, await _inspected(bundle))
        await self._install(bundle)
        self._cache(bundle, inspection)
        self.active.publish(bundle)
        _log.warning("policy %s is in force", bundle.revision[:12])

    async def close(self) -> None:
        """Stop all engines; every question from now on gets a no."""
        if self._watch is not None:
            self._watch.cancel()
        for engine in (*self._retiring, *((self._engine,) if self._engine is not None else ())):
            await engine.close()

    @property
    def _cacheable(self) -> bool:
        """Whether the text that decides is known: a remote OPA without `push` runs what it likes."""
        return not isinstance(self._engine, RemoteEngine) or self._settings.push

    async def _install(self, bundle: Bundle) -> None:
        """Start an engine for `bundle` and ask that one from now on."""
        engine = self._make(bundle)
        if isinstance(engine, RemoteEngine):
            # Two would push in turns. Until the new one has pushed, it lets callers wait, then denies.
            await self._swap(engine)
            await engine.start()
        else:
            try:
                await engine.start()
            except PolicyEngineDown as error:
                raise PolicyToolError(
                    f"the policy engine: {error.detail}", "`llm-gateway policy check` tells more"
                ) from None
            await self._swap(engine)
        self._watch = self._tasks.keep(engine.run, name=f"{engine.kind} policy engine")

    async def _swap(self, engine: Engine) -> None:
        keep = self._settings.on_error is OnError.LAST_GOOD
        last_good = LastGood(self._settings.last_good_for) if keep else None
        old, watch = self._engine, self._watch
        self._engine, self._watch = engine, None
        self._point = DecisionPoint(engine, clock=self._clock, last_good=last_good)
        if watch is not None:
            watch.cancel()
        if old is not None:
            self._retiring.append(old)
            _ = self._tasks.start(self._retire(old), name="policy engine's end")

    async def _retire(self, engine: Engine) -> None:
        """Close it once its questions are answered. If the gateway ends first, `close` does."""
        await engine.retire()
        self._retiring.remove(engine)

    async def _look(self, bundle: Bundle) -> None:
        try:
            inspection = await inspect(bundle)
        except WorkshopError as error:
            _log.warning("the policy cannot be inspected, so no decision is kept: %s", error)
            return
        if not inspection.ok:
            _log.warning("the policy in force would not pass `policy check` any more: %s", _told(inspection))
        elif self.active is not None and self.active.revision == bundle.revision:
            self._cache(bundle, inspection)

    def _cache(self, bundle: Bundle, inspection: Inspection) -> None:
        reads = inspection.reads
        if self._cacheable and not (reads.whole or reads.volatile) and self.point.engine.revision == bundle.revision:
            self.point.cache_on(reads.paths)


async def _inspected(bundle: Bundle) -> Inspection:
    try:
        return await inspect(bundle)
    except WorkshopError as error:
        raise PolicyToolError(
            f"the policy cannot be checked: {error}", "`llm-gateway policy check` tells more"
        ) from None


def _passed(bundle: Bundle, inspection: Inspection) -> Inspection:
    if not inspection.ok:
        problem = f"policy {bundle.revision[:12]} does not pass its check: {_told(inspection)}"
        raise PolicyToolError(problem, "correct it; `llm-gateway policy check` shows all of it")
    return inspection


def _told(inspection: Inspection) -> str:
    errors = [problem for problem in inspection.problems if problem.severity == "error"]
    shown = "; ".join(f"{each.file}:{each.row}:{each.column}: {each.message}" for each in errors[:_SHOWN])
    return shown + (f" and {len(errors) - _SHOWN} more" if len(errors) > _SHOWN else "")
