"""The stores of one process: windows and seats in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import Final

from edge.limits.contract import Actual, Ask, Bound, Full, Held, Lease, Level, Meter, Over, Seats, Taken
from edge.limits.windows import Windows

FULL_RETRY: Final = 1.0
"""Seconds after which to try for a seat again: nobody knows when one frees, and looking costs little."""


class MemoryBudget:
    """Budget on Windows. `ms`: logical time in milliseconds (clock.Clock.ms). `origin` goes into every Held."""

    def __init__(self, ms: Callable[[], int], *, origin: str = "memory") -> None:
        self._ms = ms
        self._origin = origin
        self._ids = count(1)
        self.windows = Windows()

    def restore(self, spent: Iterable[tuple[str, Meter, float, int]]) -> None:
        """Count what was spent before the start: (subject, meter, seconds since the epoch, amount). Once, at the start;
        aggregates will do, if they are not coarser than a bucket of the window they are to count in."""
        now = self._ms()
        self.windows.restore(((subject, meter, int(at * 1000), amount) for subject, meter, at, amount in spent), now)

    async def hold(self, ask: Ask) -> Held | Over:
        """See Budget.hold."""
        return self.windows.hold(ask, f"{self._origin}-{next(self._ids)}", self._ms(), self._origin)

    async def extend(self, held: Held, tokens: int) -> int:
        """See Budget.extend."""
        return self.windows.extend(held, tokens, self._ms())

    def adopt(self, held: Held, tokens: int) -> int:
        """Extend a hold of another store; `forget` ends it."""
        return self.windows.extend(held, tokens, self._ms(), adopt=True)

    def forget(self, held: Held) -> None:
        """The hold of another store is over: what it was granted here stays charged."""
        self.windows.forget(held)

    async def settle(self, held: Held, actual: Actual) -> None:
        """See Budget.settle."""
        self.windows.settle(held, actual, self._ms())

    async def levels(self, bounds: Sequence[Bound]) -> tuple[Level, ...]:
        """See Budget.levels."""
        return self.windows.levels(bounds, self._ms())

    async def close(self) -> None:
        """Nothing to give back."""


class MemoryLeases:
    """Leases of one process: they end with it, so they need no renewal and no clock."""

    def __init__(self, *, origin: str = "memory") -> None:
        self._origin = origin
        self._ids = count(1)
        self._live: dict[str, Lease] = {}
        self._taken: Counter[str] = Counter()

    async def take(self, seats: Sequence[Seats]) -> Lease | Full:
        """See Leases.take."""
        for seat in seats:
            if (taken := self._taken[seat.subject]) >= seat.most and not seat.shadow:
                return Full(seat, taken, FULL_RETRY if seat.most else None)
        shadowed = tuple(seat.name for seat in seats if seat.shadow and self._taken[seat.subject] >= seat.most)
        lease = Lease(f"{self._origin}-{next(self._ids)}", tuple(seats), shadowed, self._origin)
        self._live[lease.id] = lease
        for subject in subjects(seats):
            self._taken[subject] += 1
        return lease

    async def taken(self, seats: Sequence[Seats]) -> tuple[Taken, ...]:
        """See Leases.taken."""
        return tuple(Taken(seat, self._taken[seat.subject]) for seat in seats)

    async def release(self, lease: Lease) -> None:
        """See Leases.release."""
        if self._live.pop(lease.id, None) is None:
            return
        for subject in subjects(lease.seats):
            self._taken[subject] -= 1
            if not self._taken[subject]:
                del self._taken[subject]

    async def renew(self) -> None:
        """Nothing runs out here."""

    async def close(self) -> None:
        """Give back everything."""
        self._live.clear()
        self._taken.clear()


def subjects(seats: Iterable[Seats]) -> list[str]:
    """Each once: a class's seats and a key's own may be the same ones."""
    return list({seat.subject: None for seat in seats})
