"""Leases in Redis: they run out by themselves, and are renewed for as long as their request runs."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Sequence
from itertools import count
from typing import Final

from edge.limits.contract import LEASE_MS, RENEW_MS, Full, Lease, Seats, StoreDown, Taken
from edge.limits.memory import FULL_RETRY, subjects
from edge.limits.scripts import Script, Scripts
from edge.tasks import Tasks

SCRIPT: Final = Script("leases.lua")
BATCH: Final = 500
"""Leases renewed by one script: a millisecond of Redis's time."""

_log = logging.getLogger(__name__)


class RedisLeases:
    """See Leases. `life` and `pause` in milliseconds: how long a lease lives, and how often it is renewed."""

    def __init__(self, scripts: Scripts, *, life: int = LEASE_MS, pause: int = RENEW_MS) -> None:
        self._scripts = scripts
        self._life = life
        self._pause = pause
        self._ids = count(1)
        self._process = secrets.token_hex(8)
        self._live: dict[str, Lease] = {}
        self._tasks = Tasks()
        self._renewing: asyncio.Task[None] | None = None

    async def take(self, seats: Sequence[Seats]) -> Lease | Full:
        """See Leases.take."""
        lease = Lease(f"{self._process}-{next(self._ids)}", tuple(seats), (), "redis")
        args: list[str | int] = [lease.id, *(number for seat in seats for number in (seat.most, int(seat.shadow)))]
        try:
            reply = await self._run("take", [seat.subject for seat in seats], args)
        except (StoreDown, asyncio.CancelledError):
            # It may have been taken all the same. Nobody renews it, so it runs out; this is only sooner.
            _ = self._tasks.start(self._drop([lease]), name="seats given back")
            raise
        match reply:
            case [1, *refused]:
                shadowed = tuple(seat.name for seat, would in zip(seats, refused, strict=True) if would)
                lease = lease._replace(shadowed=shadowed)
                self._live[lease.id] = lease
                if self._renewing is None:
                    self._renewing = self._tasks.keep(self._renew_for_ever, name="seats renewed")
                return lease
            case [_, place, taken]:
                return Full(seats[place], taken, FULL_RETRY if seats[place].most else None)
            case _:
                raise StoreDown("no answer of ours")

    async def taken(self, seats: Sequence[Seats]) -> tuple[Taken, ...]:
        """See Leases.taken."""
        if not seats:
            return ()
        counted = await self._run("count", [seat.subject for seat in seats], ())
        if len(counted) != len(seats):
            raise StoreDown("no answer of ours")
        return tuple(map(Taken, seats, counted))

    async def release(self, lease: Lease) -> None:
        """See Leases.release. What does not reach Redis runs out there."""
        if self._live.pop(lease.id, None) is not None:
            await self._drop([lease])

    async def renew(self) -> None:
        """See Leases.renew. Puts back, too, what a restarted Redis has forgotten."""
        leases = list(self._live.values())
        for start in range(0, len(leases), BATCH):
            batch = leases[start : start + BATCH]
            try:
                await self._each("renew", batch)
            except StoreDown:
                return
            # released while its renewal was on the way
            await self._drop([lease for lease in batch if lease.id not in self._live])

    async def _renew_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._pause / 1000)
            await self.renew()

    async def close(self) -> None:
        """See Leases.close; the connections are the scripts' own."""
        await self._tasks.close()
        leases = list(self._live.values())
        self._live.clear()
        for start in range(0, len(leases), BATCH):
            await self._drop(leases[start : start + BATCH])

    async def _drop(self, leases: Sequence[Lease]) -> None:
        try:
            await self._each("release", leases)
        except StoreDown as error:
            _log.debug("%d seats run out by themselves: %s", len(leases), error)

    async def _each(self, operation: str, leases: Sequence[Lease]) -> None:
        pairs = [(subject, lease.id) for lease in leases for subject in subjects(lease.seats)]
        if pairs:
            await self._run(operation, [subject for subject, _ in pairs], [lease for _, lease in pairs])

    async def _run(self, operation: str, names: Sequence[str], args: Sequence[str | int]) -> list[int]:
        keys = ("clock", *(f"seats:{subject}" for subject in names))
        return await self._scripts.run(SCRIPT, keys, (operation, self._life, *args))
