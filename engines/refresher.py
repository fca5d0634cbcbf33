"""Keeps the catalogue true: asks every engine how it is and what it has, looks for new ones, publishes snapshots.

`Watch` decides (pure: when to ask, when an engine counts as gone); `Refresher` asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from engines.adapters.registry import adapter_for
from engines.catalogue import Catalogue, Offer
from engines.contract import Engine, Model
from engines.discovery import Busy, Place, Prober, alive, discover, listed
from policies.errors import UpstreamError


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between questions, and patience.

    `listing` between two listings of a healthy engine, `discovery` between two looks for new ones, `manual` between two
    refreshes that requests ask for, `deadline` for one engine's answers. An engine is gone after `failures` in a row
    and is then asked at `listing * 2, 4, ...` up to `longest`.
    """

    discovery: float = 5.0
    listing: float = 10.0
    manual: float = 2.0
    deadline: float = 5.0
    failures: int = 2
    longest: float = 30.0


@dataclass(slots=True)
class Watch:
    """What is known of one engine. `configured` engines are asked for ever, discovered ones leave when gone."""

    engine: Engine
    configured: bool
    up: bool = False
    models: tuple[Model, ...] = ()
    claimed: frozenset[str] = frozenset()
    """Names it ever listed; those of a configured engine are its own, also while it is away."""
    failures: int = 0
    due: float = 0.0

    def answered(self, models: Sequence[Model], now: float, pace: Pace) -> None:
        self.up, self.failures, self.models = True, 0, tuple(models)
        self.claimed |= {model.name for model in models}
        self.due = now + pace.listing

    def missed(self, now: float, pace: Pace) -> None:
        """A question without an answer; the models stay until patience is over, then the waits grow."""
        self.failures += 1
        if self.failures >= pace.failures or not self.up:
            self.up, self.models = False, ()
        beyond = max(self.failures - pace.failures, 0)
        self.due = now + min(pace.listing * 2.0 ** min(beyond, 16), pace.longest)

    def must_list(self, *, busy: bool) -> bool:
        """Whether to ask for the models and not only for life.

        llama-cpp-python ends a running answer when asked, and its models never change while it lives: it is asked
        once, and again only after it was away, never while it works for us.
        """
        if not adapter_for(self.engine.kind).listing_disturbs:
            return True
        return not busy and (not self.models or self.failures > 0)


class Refresher:
    """Owns the list of engines. `run` for ever in a task of its own; `refresh` when a request misses something."""

    def __init__(
        self,
        prober: Prober,
        engines: Sequence[Engine],
        *,
        publish: Callable[[Catalogue], None],
        now: Callable[[], float],
        aliases: Mapping[str, str] | None = None,
        places: Sequence[Place] = (),
        jitter: Callable[[], float] = lambda: 1.0,
        busy: Busy = lambda _: False,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        pace: Pace | None = None,
    ) -> None:
        """`places` empty = no discovery. `jitter` gives a factor around 1 for each wait; `now` is monotonic seconds."""
        self._prober = prober
        self._watches = [Watch(engine, configured=True) for engine in engines]
        self._publish = publish
        self._aliases: Final = dict(aliases or {})
        self._places = places
        self._now = now
        self._jitter = jitter
        self._busy = busy
        self._pause = pause
        self._pace: Final = pace or Pace()
        self._lock = asyncio.Lock()
        self._published: tuple[Offer, ...] | None = None
        self._asked_at = float("-inf")
        self._discovery_due = 0.0

    @property
    def engines(self) -> Mapping[Engine, bool]:
        """Every engine watched, and whether it is up."""
        return {watch.engine: watch.up for watch in self._watches}

    async def refresh(self) -> None:
        """Ask all engines now, and look for new ones. Too soon after the last time it does nothing, so that requests
        for unknown models cannot make the gateway hammer its engines; while another runs, it waits for that one."""
        began = self._now()
        async with self._lock:
            if self._asked_at > began or began - self._asked_at < self._pace.manual:
                return
            await self._round(everything=True)

    async def run(self) -> None:
        """Keep everything fresh until cancelled."""
        while True:
            async with self._lock:
                await self._round(everything=False)
            waits = [watch.due for watch in self._watches]
            waits += [self._discovery_due] if self._places else []
            until = min(waits, default=self._now() + self._pace.discovery)
            await self._pause(max(until - self._now(), 0.05) * self._jitter())

    async def _round(self, *, everything: bool) -> None:
        now = self._now()
        if everything:
            self._asked_at = now
        due = [watch for watch in self._watches if everything or watch.due <= now]
        async with asyncio.TaskGroup() as group:
            for watch in due:
                group.create_task(self._ask(watch))
            if self._places and (everything or self._discovery_due <= now):
                group.create_task(self._look())
        self._watches = [watch for watch in self._watches if watch.configured or watch.up or not watch.failures]
        self._tell()

    async def _ask(self, watch: Watch) -> None:
        # Read before the first await: a request that starts now waits behind our listing, it is not ended by it.
        must_list = watch.must_list(busy=self._busy(watch.engine.name))
        try:
            async with asyncio.timeout(self._pace.deadline):
                models = await self._models(watch, must_list=must_list)
        except (UpstreamError, TimeoutError):
            watch.missed(self._now(), self._pace)
        else:
            watch.answered(models, self._now(), self._pace)
        self._tell()  # at once: a round lasts as long as its slowest engine, and whoever waits for it may give up

    async def _models(self, watch: Watch, *, must_list: bool) -> Sequence[Model]:
        if not await alive(self._prober, watch.engine):
            raise TimeoutError
        return await listed(self._prober, watch.engine) if must_list else watch.models

    async def _look(self) -> None:
        self._discovery_due = self._now() + self._pace.discovery
        taken = [watch.engine for watch in self._watches]
        for engine in await discover(self._prober, self._places, taken=taken):
            watch = Watch(engine, configured=False)
            self._watches.append(watch)
            await self._ask(watch)

    def _tell(self) -> None:
        offers = self._offers()
        if offers != self._published:
            self._published = offers
            self._publish(Catalogue(offers, self._aliases))

    def _offers(self) -> tuple[Offer, ...]:
        """What is up. A discovered engine adds models and never shares those of a configured one: otherwise whoever can
        listen on a default port of this machine would be sent part of their prompts."""
        owned = frozenset[str]().union(*(watch.claimed for watch in self._watches if watch.configured))
        return tuple(
            (watch.engine, tuple(m for m in watch.models if watch.configured or m.name not in owned))
            for watch in self._watches
            if watch.up
        )
