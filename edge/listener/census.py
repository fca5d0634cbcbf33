"""How many connections there are, and of whom; one census may be shared by all listeners of a process."""

from __future__ import annotations

from collections import Counter

from edge.listener.limits import ListenerLimits


class Census:
    """Counts connections against `connections`, `connections_per_source` and `unauthenticated_share`."""

    __slots__ = ("_limits", "_sources", "_strangers", "_total", "refused")

    def __init__(self, limits: ListenerLimits) -> None:
        self._limits = limits
        self._sources: Counter[str] = Counter()
        self._strangers = 0
        self._total = 0
        self.refused = 0

    @property
    def total(self) -> int:
        """Connections open now."""
        return self._total

    @property
    def strangers(self) -> int:
        """Those of them that have not yet shown a valid credential."""
        return self._strangers

    def admit(self, source: str) -> bool:
        """Count a new, still unauthenticated connection; False if a cap is reached and it has to go."""
        limits = self._limits
        if (
            self._total >= limits.connections
            or self._strangers >= limits.strangers
            or self._sources[source] >= limits.connections_per_source
        ):
            self.refused += 1
            return False
        self._total += 1
        self._strangers += 1
        self._sources[source] += 1
        return True

    def authenticated(self) -> None:
        """An admitted connection has shown a valid credential; to be called once for it."""
        self._strangers -= 1

    def release(self, source: str, *, stranger: bool) -> None:
        """An admitted connection is gone; `stranger` unless `authenticated` was called for it."""
        self._total -= 1
        self._strangers -= stranger
        self._sources[source] -= 1
        if not self._sources[source]:
            del self._sources[source]
