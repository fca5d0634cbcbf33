"""How much at once and how often: bounds for what admins ask, so that one broken client cannot drown the door."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from policies.errors import Refusal
from policies.reasons import Reason

BURST: Final = 64
"""Downloads that a client may make at once: as many as one address may have connections, so that a fleet behind one
address gets a new policy without a wait."""
RATE: Final = 2.0
"""Downloads per second after that. An OPA that cannot verify a bundle asks for it again and again (facts A1)."""
_RETRY: Final = 5.0


class Turns:
    """At most `most` at once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.taken = 0

    @contextmanager
    def take(self) -> Iterator[None]:
        """Hold one; Refusal(CONCURRENCY_EXCEEDED) if there is none."""
        if self.taken >= self._most:
            raise Refusal(Reason.CONCURRENCY_EXCEEDED, retry_after=_RETRY)
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1


class Pace:
    """A token bucket per client, as one instant each (GCRA): when the bucket would be full again. Pure."""

    def __init__(self, *, burst: int = BURST, rate: float = RATE, clients: int = 1_024) -> None:
        self._step = 1.0 / rate
        self._slack = (burst - 1) * self._step
        self._clients = clients
        self._full: OrderedDict[str, float] = OrderedDict()

    def wait(self, client: str, now: float, longest: float) -> float:
        """Take one; returns the seconds to wait for it. `now` is monotonic.

        Raises Refusal(CONCURRENCY_EXCEEDED) and takes nothing if that is more than `longest`.
        """
        full = max(self._full.get(client, now), now)
        due = max(0.0, full - self._slack - now)
        if due > longest:
            raise Refusal(Reason.CONCURRENCY_EXCEEDED, retry_after=due)
        self._full[client] = full + self._step
        self._full.move_to_end(client)
        if len(self._full) > self._clients:
            self._full.popitem(last=False)
        return due
