"""Memory of failures per source (policies/sources.py), and what follows from it. Pure; the clock is passed in.

Per source, never per key id: the id is no secret, and locking it would let anyone lock a victim out (facts/security.md
2.1). What a locked source may still do:

* A valid key always works. All containers of a Docker network share one source address, so one broken container would
  otherwise lock out the others. It costs nothing to let it: checking a key is one HMAC (3 us measured), a hundredth of
  the request that carried it, so there is nothing to amplify; and guessing is hopeless at 256 bits. A budget for valid
  keys could be drained by whoever sends invalid ones: it would be the lever, not the defence.
* A JWT costs 0.2 to 1 ms to verify, so tokens not seen before have a budget per source, a smaller one while locked.
* Every failure is answered with 429 instead of 401 until the lock ends.

Failures during a lock do not prolong it: `retry-after` is a promise. Each further lock is twice as long.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class LockoutSettings:
    """Numbers of facts/security.md 2.1. Times in seconds, rates per second.

    `failures` within `window` lock a source for `first`, then twice that, up to `longest`; a source that stays quiet
    for `longest` after a lock starts afresh. `sources` bounds the table; the one unseen longest is forgotten.
    """

    failures: int = 20
    window: float = 60.0
    first: float = 60.0
    longest: float = 900.0
    sources: int = 10_000
    verify_rate: float = 20.0
    verify_burst: float = 40.0
    locked_verify_rate: float = 1.0
    locked_verify_burst: float = 5.0


class _Recent(Generic[_T]):
    """A bounded mapping that forgets the source seen longest ago."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._entries: OrderedDict[str, _T] = OrderedDict()

    @property
    def size(self) -> int:  # not __len__: an empty table must not be false in `table or ...`
        return len(self._entries)

    def get(self, source: str) -> _T | None:
        return self._entries.get(source)

    def put(self, source: str, entry: _T) -> _T:
        self._entries[source] = entry
        self._entries.move_to_end(source)
        if len(self._entries) > self._bound:
            self._entries.popitem(last=False)
        return entry


@dataclass(slots=True)
class _Failures:
    since: float
    count: int = 0
    locks: int = 0
    locked_until: float = 0.0


@dataclass(slots=True)
class _Budget:
    left: float
    at: float


class Lockout:
    """One per gateway process. `now` is monotonic seconds."""

    def __init__(self, settings: LockoutSettings | None = None) -> None:
        self._settings = settings or LockoutSettings()
        self._failures: _Recent[_Failures] = _Recent(self._settings.sources)
        self._budgets: _Recent[_Budget] = _Recent(self._settings.sources)

    @property
    def remembered(self) -> int:
        """How many entries the tables hold (at most twice `sources`)."""
        return self._failures.size + self._budgets.size

    def locked(self, source: str, now: float) -> float:
        """Seconds until the source's lock ends; 0.0 if it is not locked."""
        entry = self._failures.get(source)
        return max(0.0, entry.locked_until - now) if entry else 0.0

    def fail(self, source: str, now: float) -> float:
        """Count one failed attempt; returns the seconds the source is locked from now on, 0.0 if it is not."""
        if remaining := self.locked(source, now):
            return remaining
        settings = self._settings
        entry = self._failures.get(source)
        if entry is None or now - max(entry.since + settings.window, entry.locked_until) > settings.longest:
            entry = _Failures(now)
        elif now - entry.since > settings.window:
            entry.since, entry.count = now, 0
        self._failures.put(source, entry)
        entry.count += 1
        if entry.count < settings.failures:
            return 0.0
        length = min(settings.longest, settings.first * 2.0 ** min(entry.locks, 30))
        entry.locks, entry.count, entry.since = entry.locks + 1, 0, now + length
        entry.locked_until = now + length
        return length

    def may_verify(self, source: str, now: float) -> float:
        """Take one costly verification from the source's budget: 0.0 if granted, else seconds until there is one."""
        settings = self._settings
        locked = self.locked(source, now) > 0.0
        rate, burst = (
            (settings.locked_verify_rate, settings.locked_verify_burst)
            if locked
            else (settings.verify_rate, settings.verify_burst)
        )
        budget = self._budgets.get(source) or _Budget(burst, now)
        budget.left = min(burst, budget.left + max(0.0, now - budget.at) * rate)
        budget.at = now
        self._budgets.put(source, budget)
        if budget.left < 1.0:
            return (1.0 - budget.left) / rate
        budget.left -= 1.0
        return 0.0
