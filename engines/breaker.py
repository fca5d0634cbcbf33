"""Circuit breakers: an engine that fails one request after the other is passed over where another one has the model.

Probes find an engine that is down. One that answers probes and fails what it is asked for is idle, so it would get
every request. After some failures in a row it is left out for a while, which doubles each time; then one request tries
it (M. Nygard, "Release It!"; Envoy's outlier detection). A breaker never refuses: if all that have a model are left
out, they are asked as if none was, since a failing engine is better than none. Pure; each gateway learns for itself.

Many failures are the request's own doing: a template that raises, a prompt that takes an hour. So each engine has a
breaker for every caller, and one for all of them, where of each caller's failures in a row one counts; all count that
no request can cause, because there was no connection. Nobody can take an engine from others (docs/decisions/0044).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, NamedTuple

from engines.contract import Target
from policies.reasons import Reason

FAILED: Final = frozenset({Reason.ENGINE_UNREACHABLE, Reason.ENGINE_BROKE, Reason.ENGINE_TIMEOUT})
"""What speaks against an engine. A request that it refuses, or has no time for, does not."""
_STILL_AWAY: Final = frozenset({Reason.ENGINE_BUSY, Reason.NO_ENGINE})
"""What an engine says that is there but serves nobody yet, loading its model: the next request would hear the same."""
_MOST: Final = 1024
"""Breakers of single callers, and callers that one for all of them knows; then the oldest is forgotten."""


@dataclass(frozen=True, slots=True)
class Patience:
    """`failures` in a row open a breaker, for `shortest` seconds at first and `longest` at most."""

    failures: int = 5
    shortest: float = 5.0
    longest: float = 60.0


_PATIENCE: Final = Patience()


class Whom(Enum):
    """For whom an engine is passed over."""

    CALLER = "caller"
    ALL = "all"


class Attempt(NamedTuple):
    """A request of `caller` that `engine` was chosen for, `at` monotonic seconds."""

    engine: str
    caller: str
    at: float


@dataclass(slots=True)
class Breaker:
    """`failures` in a row, and the `callers` of whom one was counted; `streak`: how often it opened without a success
    between, `trips` how often at all. Nobody is sent there before `until`, and then one request per `wait` seconds, the
    last one at `tried`; `leavers` were sent there, each at its time, and left before anything was known."""

    patience: Patience = _PATIENCE
    failures: int = 0
    callers: dict[str, None] = field(default_factory=dict)
    streak: int = 0
    trips: int = 0
    until: float = 0.0
    tried: float = float("-inf")
    leavers: dict[str, float] = field(default_factory=dict)

    @property
    def open(self) -> bool:
        return self.streak > 0

    @property
    def wait(self) -> float:
        """Seconds that it stays open."""
        return float(min(self.patience.shortest * 2.0 ** min(self.streak - 1, 16), self.patience.longest))

    def due(self, now: float, caller: str) -> bool:
        """Whether a request of `caller` may try the engine now."""
        last = max(self.tried, self.leavers.get(caller, self.tried))
        return self.open and now >= max(self.until, last + self.wait)

    def failed(self, now: float, caller: str | None = None) -> bool:
        """Whether that counts: of each caller one does until somebody is answered; without a `caller` each."""
        if now < self.until:
            return True  # it was under way when this opened
        if caller in self.callers:
            return False
        if caller is not None:
            self.callers[caller] = None
            if len(self.callers) > _MOST:
                del self.callers[next(iter(self.callers))]
        self.failures += 1
        if self.failures >= self.patience.failures:
            self.streak += 1
            self.trips += 1
            self.until = now + self.wait
        return True

    def answered(self) -> None:
        self.failures = self.streak = 0
        self.callers.clear()
        self.until = 0.0

    def unasked(self, at: float) -> bool:
        """Whether the request that was chosen then was to try the engine; then another one may."""
        if self.tried != at:
            return False
        self.tried = float("-inf")
        return True

    def left(self, caller: str, at: float) -> None:
        """The same, but the next trial is somebody else's; after as many leavers as may fail, it comes after the usual
        wait."""
        if self.tried != at:
            return
        self.leavers = {who: when for who, when in self.leavers.items() if at < when + self.wait}
        self.leavers[caller] = at
        if len(self.leavers) < self.patience.failures:
            self.tried = float("-inf")


class Breakers:
    """By the engine's name, and the caller's. `now`: monotonic seconds."""

    def __init__(self, patience: Patience = _PATIENCE) -> None:
        self._patience = patience
        self._of: dict[str, Breaker] = {}
        self._own: dict[tuple[str, str], Breaker] = {}

    @property
    def known(self) -> Mapping[str, Breaker]:
        """Those for all callers, of engines that ever failed."""
        return self._of

    def usable(
        self, targets: Sequence[Target], caller: str, now: float, free: Callable[[Target], bool]
    ) -> Sequence[Target]:
        """Whom to choose from: one that is due for a trial, else all that are closed, else all. `free`: whether a trial
        would get a slot at once; in line it may wait for the one before, which hangs."""
        if not self._of:
            return targets
        for target in targets:
            shut = self._open(target.engine.name, caller)
            if shut and len(targets) > 1 and all(breaker.due(now, caller) for breaker in shut) and free(target):
                for breaker in shut:
                    breaker.tried = now
                return (target,)
        return [target for target in targets if not self._open(target.engine.name, caller)] or targets

    def unasked(self, attempt: Attempt) -> None:
        """The request never got to the engine (a limit, a full line, a caller that left), or what came of it says
        nothing of the engine."""
        for breaker in self._both(attempt.engine, attempt.caller):
            _ = breaker.unasked(attempt.at)

    def left(self, attempt: Attempt) -> None:
        """The caller left the engine before anything was known of it. One that always does so takes no more than its
        own trials; without the wait an engine that hangs would get everybody's request in turn."""
        shared = self._of.get(attempt.engine)
        if shared is not None:
            shared.left(attempt.caller, attempt.at)

    def failed(self, attempt: Attempt, reason: Reason, now: float, *, connected: bool = True) -> Whom | None:
        """The request ended with `reason`; for whom that opened the engine's breaker. `connected`: the engine had the
        request, which may be why."""
        if reason not in FAILED:
            if reason not in _STILL_AWAY:
                self.unasked(attempt)
            return None
        shared = self._of.setdefault(attempt.engine, Breaker(self._patience))
        was_open = shared.open
        if not shared.failed(now, attempt.caller if connected else None):
            _ = shared.unasked(attempt.at)
        own_opened = connected and self._failed_for(attempt, now)
        if shared.open and not was_open:
            return Whom.ALL
        return Whom.CALLER if own_opened else None

    def answered(self, attempt: Attempt) -> Whom | None:
        """The request was answered; for whom that closed the engine's breaker."""
        own = self._own.pop((attempt.engine, attempt.caller), None)
        shared = self._of.get(attempt.engine)
        was_open = shared is not None and shared.open
        if shared is not None:
            shared.answered()
        if was_open:
            return Whom.ALL
        return Whom.CALLER if own is not None and own.open else None

    def _failed_for(self, attempt: Attempt, now: float) -> bool:
        """Whether that opened the caller's own breaker."""
        key = attempt.engine, attempt.caller
        own = self._own.setdefault(key, Breaker(self._patience))
        was_open = own.open
        _ = own.failed(now)
        if len(self._own) > _MOST:
            del self._own[next(iter(self._own))]
        return own.open and not was_open

    def _open(self, engine: str, caller: str) -> list[Breaker]:
        return [breaker for breaker in self._both(engine, caller) if breaker.open]

    def _both(self, engine: str, caller: str) -> list[Breaker]:
        """The engine's breakers that `caller` meets."""
        met = self._of.get(engine), self._own.get((engine, caller))
        return [breaker for breaker in met if breaker is not None]
