"""The policy's part of the house: settings, state folder and database in, an enforcement point out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.config.settings import Settings
from edge.policy.active import ActivePolicy
from edge.policy.configured import configured_data
from edge.policy.enforcement import Enforcement
from edge.policy.engines import embedded_maker, maker
from edge.policy.errors import PolicyToolError
from edge.policy.service import PolicyService
from edge.policy.shadowing import Shadowing
from edge.policy.source import Origin, PolicySource, ShadowPlan
from edge.policy.store import PolicyStore
from edge.policy.surroundings import Surroundings
from edge.policy.watcher import PolicyWatcher
from edge.store.database import Database
from edge.tasks import Tasks
from observability.decisions.log import DecisionLog
from policies.bundle import Bundle
from policies.decision import Abilities
from policies.lifecycle.export import FLEET
from policies.obligations import CAPTURES
from policies.record import Record
from policies.rego import default_bundle

DECISIONS: Final = "decisions"
"""The folder of the decision log in the state folder; that of a fleet's OPAs lies in it."""


@dataclass(frozen=True, slots=True)
class PolicyPart:
    """What `open_policy` gives."""

    enforcement: Enforcement
    service: PolicyService
    active: ActivePolicy
    watcher: PolicyWatcher
    source: PolicySource
    shadowing: Shadowing
    log: DecisionLog
    fleet_log: DecisionLog

    async def close(self) -> None:
        """Stop the engines, then write what is still to be recorded."""
        await self.shadowing.close()
        await self.service.close()
        for log in (self.log, self.fleet_log):
            await asyncio.to_thread(log.close)

    def origin(self) -> str:
        """Where the policy in force comes from, in a word."""
        return "" if self.watcher.in_force is None else self.watcher.in_force.origin.value


def source_of(settings: Settings, store: PolicyStore) -> PolicySource:
    """Where the policy in force is read from. PolicyToolError for grants that cannot be in force together."""
    policy = settings.policy
    try:
        data = configured_data(policy.grants, max_tokens=policy.max_tokens, timeout=policy.answer_timeout)
    except ValueError as error:
        raise PolicyToolError(f"policy.grants: {error}", "correct the configuration", usage=True) from None
    return PolicySource(store, default_bundle(), configured=data, folder=policy.dir)


async def open_policy(
    settings: Settings,
    home: Path,
    database: Database,
    tasks: Tasks,
    told: Callable[[Record], None] = lambda _: None,
) -> PolicyPart:
    """Start the engine with the policy in force, and watch for others; `told` as in Enforcement.

    PolicyToolError or StateError if there is no policy that could be put in force, or no engine for it.
    """
    store = PolicyStore(database)
    source = source_of(settings, store)
    log = DecisionLog(home / DECISIONS, settings.policy.log)
    make = await asyncio.to_thread(maker, settings.policy)
    service = PolicyService(settings.policy, make, tasks, clock=time.perf_counter)
    shadowing = Shadowing(log, store, embedded_maker(settings.policy), tasks)
    try:

        async def changed(bundle: Bundle, shadow: ShadowPlan | None) -> None:
            await service.take(bundle)
            await shadowing.take(shadow)

        watcher = PolicyWatcher(source, changed)
        first = await asyncio.to_thread(watcher.load)
        active = await service.start(first.bundle, unchecked=first.origin is Origin.FOLDER)
        await shadowing.take(first.shadow)
    except BaseException:
        await shadowing.close()
        await service.close()
        await asyncio.to_thread(log.close)
        raise
    _ = tasks.keep(watcher.run, name="policy watch")
    ports = {listener.name: listener.bind.port for listener in settings.listeners}
    surroundings = Surroundings(settings.policy.networks, ports, zone=settings.policy.timezone)
    abilities = Abilities(rate_classes=frozenset(settings.limits.classes), captures=frozenset(CAPTURES))
    fleet_log = DecisionLog(home / DECISIONS / FLEET, settings.policy.log)
    enforcement = Enforcement(service, shadowing, surroundings, abilities, told=told)
    return PolicyPart(enforcement, service, active, watcher, source, shadowing, log, fleet_log)
