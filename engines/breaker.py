"""Circuit breakers: an engine that fails one request after the other is passed over where another one has the model.

Probes find an engine that is down. One that answers probes and fails what it is asked for is idle, so it would get
every request. After some failures in a row it is left out for a while, which doubles each time; then one request tries
it (M. Nygard, "Release It!"; Envoy's outlier detection). A breaker never refuses: if all that have a model are left
out, they are asked as if none was, since a failing engine is better than none. Pure; each gateway learns for itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from engines.contract import Target
from policies.reasons import Reason

FAILED: Final = frozenset({Reason.ENGINE_UNREACHABLE, Reason.ENGINE_BROKE, Reason.ENGINE_TIMEOUT})
"""What speaks against an engine. A request that it refuses, or has no time for, does not."""


@dataclass(frozen=True, slots=True)
class Patience:
    """`failures` in a row open a breaker, for `shortest` seconds at first and `longest` at most."""

    failures: int = 5
    shortest: float = 5.0
    longest: float = 60.0


_PATIENCE: Final = Patience()


@dataclass(slots=True)
class Breaker:
    """One engine's. `failures` in a row; `streak`: how often it opened without a success between, `trips` how often at
    all. Nobody is sent there before `until`, and then one request per `wait` seconds, the last one at `tried`."""

    patience: Patience = _PATIENCE
    failures: int = 0
    streak: int = 0
    trips: int = 0
    until: float = 0.0
    tried: float = float("-inf")

    @property
    def open(self) -> bool:
        return self.streak > 0

    @property
    def wait(self) -> float:
        """Seconds that it stays open."""
        return float(min(self.patience.shortest * 2.0 ** min(self.streak - 1, 16), self.patience.longest))

    def due(self, now: float) -> bool:
        """Whether a request may try the engine now."""
        return self.open and now >= max(self.until, self.tried + self.wait)

    def failed(self, now: float) -> None:
        self.failures += 1
        if self.failures >= self.patience.failures and now >= self.until:  # else it was under way when this opened
            self.streak += 1
            self.trips += 1
            self.until = now + self.wait

    def answered(self) -> None:
        self.failures = self.streak = 0
        self.until = 0.0


class Breakers:
    """By the engine's name. `now`: monotonic seconds."""

    def __init__(self, patience: Patience = _PATIENCE) -> None:
        self._patience = patience
        self._of: dict[str, Breaker] = {}

    @property
    def known(self) -> Mapping[str, Breaker]:
        """Those of engines that ever failed."""
        return self._of

    def usable(self, targets: Sequence[Target], now: float) -> Sequence[Target]:
        """Whom to choose from: one that is due for a trial, else all that are closed, else all."""
        if not self._of:
            return targets
        for target in targets:
            breaker = self._of.get(target.engine.name)
            if breaker is not None and breaker.due(now) and len(targets) > 1:
                breaker.tried = now
                return (target,)
        return [target for target in targets if not self._open(target)] or targets

    def unasked(self, engine: str, chosen: float) -> None:
        """The request for which `engine` was chosen then never got there (a limit, a full line, a caller that left): if
        it was to try it, another one may."""
        breaker = self._of.get(engine)
        if breaker is not None and breaker.tried == chosen:
            breaker.tried = float("-inf")

    def failed(self, engine: str, reason: Reason, now: float) -> bool:
        """A request ended with `reason`; whether that opened the engine's breaker."""
        if reason not in FAILED:
            return False
        breaker = self._of.get(engine)
        if breaker is None:
            breaker = self._of[engine] = Breaker(self._patience)
        was_open = breaker.open
        breaker.failed(now)
        return breaker.open and not was_open

    def answered(self, engine: str) -> bool:
        """A request was answered; whether that closed the engine's breaker."""
        breaker = self._of.get(engine)
        if breaker is None:
            return False
        was_open = breaker.open
        breaker.answered()
        return was_open

    def _open(self, target: Target) -> bool:
        breaker = self._of.get(target.engine.name)
        return breaker is not None and breaker.open
