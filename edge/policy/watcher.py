"""PolicyWatcher: notices that another policy (or shadow) is to run, whoever changed it, within a second.

Polling one row, or the `stat` of a few files, five times a second works alike on SQLite, PostgreSQL and any file
system, and cannot lose a message as a notification can.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol, TypeAlias, TypeVar

from edge.identity.state import StateError
from edge.policy.errors import PolicyToolError
from edge.policy.source import InForce, ShadowPlan, Version
from policies.bundle import Bundle

POLL_SECONDS: Final = 0.2
_LONGEST_PAUSE: Final = 30.0
_T = TypeVar("_T")
_log = logging.getLogger(__name__)

OnChange: TypeAlias = "Callable[[Bundle, ShadowPlan | None], Awaitable[None]]"


class Source(Protocol):
    """What the watcher asks; `PolicySource` is one. Both calls block, and raise whatever they like."""

    def version(self) -> Version: ...
    def load(self) -> tuple[Version, InForce]: ...


class PolicyWatcher:
    """Tells `on_change` what is to run. When the source fails, or `on_change` does, what runs goes on running.

    `on_change` is awaited: the next change waits until this one is taken over, and several in between are one. What it
    raises is logged, and the same change is offered again, later and later (at most every 30 seconds), until it is
    taken or there is another.
    """

    def __init__(self, source: Source, on_change: OnChange, *, poll: float = POLL_SECONDS) -> None:
        self._source = source
        self._on_change = on_change
        self._poll = poll
        self._version: Version | None = None
        self._seen: Version | None = None
        self._failing = False
        self._refused: Version | None = None
        self._refusals = 0
        self._retry_at = 0.0
        self.in_force: InForce | None = None
        """What was taken over last."""

    def load(self) -> InForce:
        """The first load, blocking; raises what the source raises, so that start-up fails. It is not offered."""
        self._version, self.in_force = self._source.load()
        return self.in_force

    async def run(self) -> None:
        """Watch until cancelled."""
        # A thread of its own: what fills asyncio's shared executor must not delay a tightened policy.
        threads = ThreadPoolExecutor(1, thread_name_prefix="policy-watcher")
        try:
            while True:
                await self._look(threads)
                await asyncio.sleep(self._poll)
        finally:
            threads.shutdown(wait=False, cancel_futures=True)

    async def _look(self, threads: ThreadPoolExecutor) -> None:
        try:
            version = await _in(threads, self._source.version)
            settled, self._seen = version == self._seen, version
            if version == self._version:
                self._works()
                return
            # An editor saves one file after the other: a folder is read once it has kept still for one round.
            if version[1] and not settled:
                return
            if version == self._refused and asyncio.get_running_loop().time() < self._retry_at:
                return
            loaded, policy = await _in(threads, self._source.load)
        except Exception as error:  # noqa: BLE001 - whatever it is, the last good policy stays and the watch goes on
            self._failed(error)
            return
        self._works()
        await self._offer(loaded, policy)

    async def _offer(self, version: Version, policy: InForce) -> None:
        if self._same(policy):
            self._version, self.in_force = version, policy
            return
        try:
            await self._on_change(policy.bundle, policy.shadow)
        except Exception as error:  # noqa: BLE001 - whatever it is, what runs goes on running
            self._put_off(version)
            trace = None if isinstance(error, StateError | PolicyToolError) else error
            short = policy.bundle.revision[:12]
            _log.warning("policy %s is not taken over, the last good one stays: %s", short, error, exc_info=trace)
            return
        self._refused = None
        self._version, self.in_force = version, policy

    def _put_off(self, version: Version) -> None:
        self._refusals = self._refusals + 1 if version == self._refused else 1
        self._refused = version
        pause = min(self._poll * 2 ** min(self._refusals, 16), _LONGEST_PAUSE)
        self._retry_at = asyncio.get_running_loop().time() + pause

    def _same(self, policy: InForce) -> bool:
        """A touched file, or a shadow's counters, change nothing that runs."""
        known = self.in_force
        return (
            known is not None
            and known.bundle.revision == policy.bundle.revision
            and _run_of(known.shadow) == _run_of(policy.shadow)
        )

    def _failed(self, error: Exception) -> None:
        """Log it once until it works again; a fault of ours, which does not explain itself, with its traceback."""
        if not self._failing:
            trace = None if isinstance(error, StateError | PolicyToolError) else error
            _log.warning("reading the policy fails, the last good one stays: %s", error, exc_info=trace)
        self._failing = True

    def _works(self) -> None:
        if self._failing:
            _log.warning("reading the policy works again")
        self._failing = False


def _run_of(plan: ShadowPlan | None) -> tuple[str, str, float, float] | None:
    return None if plan is None else (plan.bundle.revision, *plan.stored.identity)


async def _in(threads: ThreadPoolExecutor, call: Callable[[], _T]) -> _T:
    return await asyncio.get_running_loop().run_in_executor(threads, call)
