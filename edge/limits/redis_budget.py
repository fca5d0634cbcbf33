"""Budget in Redis: budget.lua counts, this module asks and reads the answers."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from itertools import count
from typing import Final

from edge.limits.backlog import Backlog
from edge.limits.contract import GENERATED, LARGEST, Actual, Ask, Bound, Held, Level, Over, StoreDown
from edge.limits.scripts import Script, Scripts

SCRIPT: Final = Script("budget.lua")
_HELD: Final = 1
_OVER: Final = 0


class RedisBudget:
    """See Budget. Whoever made `scripts` closes them."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts
        self._ids = count(1)
        self._process = secrets.token_hex(8)
        self.backlog = Backlog(self._settle)

    async def hold(self, ask: Ask) -> Held | Over:
        """See Budget.hold."""
        hold_id = f"{self._process}-{next(self._ids)}"
        asked = (ask.requests, ask.input, ask.output, ask.least, ask.gpu_ms)
        try:
            reply = await self._run("hold", hold_id, ask.bounds, asked)
        except (StoreDown, asyncio.CancelledError):
            # It may have been held all the same. The script remembers a settlement that comes before its hold.
            self.backlog.later(Held(hold_id, ask, 0, ()), Actual(requests=0))
            raise
        match reply:
            case [1, granted, *counts]:
                used, empty, refused = counts[0::3], counts[1::3], counts[2::3]
                shadowed = tuple(bound.name for bound, would in zip(ask.bounds, refused, strict=True) if would)
                levels = _levels(ask.bounds, used, empty)
                return Held(hold_id, ask, granted, levels, shadowed, "redis", _room(granted, levels))
            case [0, place, wait, used_up, empties]:
                bound = ask.bounds[place]
                (level,) = _levels((bound,), (used_up,), (empties,))
                return Over(bound, level, None if wait < 0 else wait / 1000)
            case _:
                raise StoreDown("given up before it was held")

    async def extend(self, held: Held, tokens: int) -> int:
        """See Budget.extend. An answer that is lost leaves tokens held until the hold is settled."""
        (granted,) = await self._run("extend", held.id, held.ask.bounds, (tokens,))
        return granted

    async def settle(self, held: Held, actual: Actual) -> None:
        """See Budget.settle; goes on in the background if Redis is away."""
        await self.backlog.settle(held, actual)

    async def _settle(self, held: Held, actual: Actual) -> None:
        requests = -1 if actual.requests is None else actual.requests
        await self._run("settle", held.id, held.ask.bounds, (requests, actual.input, actual.output, actual.gpu_ms))

    async def levels(self, bounds: Sequence[Bound]) -> tuple[Level, ...]:
        """See Budget.levels."""
        reply = await self._run("levels", "", bounds, ())
        return _levels(bounds, reply[0::2], reply[1::2])

    async def probe(self) -> None:
        """Raise StoreDown unless scripts run there and may write (the clock): a read-only or full Redis is no store."""
        await self._run("levels", "", (), ())

    async def close(self) -> None:
        """See Budget.close."""
        await self.backlog.close()

    async def _run(self, operation: str, hold_id: str, bounds: Sequence[Bound], asked: Sequence[int]) -> list[int]:
        counts = {bound.key: bound for bound in bounds}
        places = {key: place for place, key in enumerate(counts, 1)}
        numbers = [*asked, len(counts)]
        for bound in counts.values():
            numbers += (bound.slot, bound.step, bound.window.buckets)
        for bound in bounds:
            numbers += (places[bound.key], bound.most, int(bound.shadow))
        keys = ("clock", f"hold:{hold_id}" if hold_id else "clock", *(f"count:{key}" for key in counts))
        return await self._scripts.run(SCRIPT, keys, (operation, " ".join(map(str, numbers))))


def _levels(bounds: Sequence[Bound], used: Sequence[int], empty: Sequence[int]) -> tuple[Level, ...]:
    return tuple(map(Level, bounds, used, empty))


def _room(granted: int, levels: tuple[Level, ...]) -> int:
    limits = [level.left for level in levels if level.bound.meter in GENERATED and not level.bound.shadow]
    return granted + min(limits) if limits else LARGEST
