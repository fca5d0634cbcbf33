"""Tokens per caller in the last minute, counted only while somebody asks for them.

The first question makes it listen; when nobody has asked for a while, the next request that ends makes it stop. Before
a minute is full it says for how long it has counted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from observability.live.snapshot import Recent
from observability.metrics.observer import caller_of
from observability.observers import Observer
from policies.exchange import Exchange

SPAN: Final = 60.0
_FORGOTTEN: Final = 2 * SPAN
_STEP: Final = 1.0
_MOST: Final = 1_000
"""Callers at once, and what is said of the others is said of none: they are counted together as `_other`."""
_OTHER: Final = "_other"


class Minute:
    """Implements `observers.Observer`. `add` is `Observers.add`, `clock` gives monotonic seconds."""

    def __init__(self, add: Callable[[Observer], Callable[[], None]], clock: Callable[[], float]) -> None:
        self._add = add
        self._clock = clock
        self._remove: Callable[[], None] | None = None
        self._since = self._asked = 0.0
        self._steps: deque[tuple[float, dict[str, int]]] = deque()

    @property
    def listening(self) -> bool:
        """Whether it is told of requests now."""
        return self._remove is not None

    def recent(self) -> Recent:
        """What was used in the last minute, as far as it was counted; counts from now on."""
        now = self._asked = self._clock()
        if self._remove is None:
            self._remove, self._since = self._add(self), now
        self._forget(now)
        sums: dict[str, int] = {}
        for _, tokens in self._steps:
            for caller, count in tokens.items():
                sums[caller] = sums.get(caller, 0) + count
        return Recent(min(now - self._since, SPAN), sums)

    def ended(self, exchange: Exchange, at: float) -> None:  # noqa: ARG002 - Observer's; monotonic time counts here
        """See Observer.ended."""
        now = self._clock()
        if now - self._asked > _FORGOTTEN:
            self._stop()
            return
        usage, caller = exchange.outcome.usage, caller_of(exchange)
        tokens = (usage.input or 0) + (usage.output or 0)
        if not caller or not tokens:
            return
        if not self._steps or now - self._steps[-1][0] >= _STEP:
            self._forget(now)
            self._steps.append((now, {}))
        counts = self._steps[-1][1]
        name = caller if caller in counts or len(counts) < _MOST else _OTHER
        counts[name] = counts.get(name, 0) + tokens

    def _stop(self) -> None:
        if self._remove is not None:
            self._remove()
            self._remove = None
        self._steps.clear()

    def _forget(self, now: float) -> None:
        while self._steps and now - self._steps[0][0] > SPAN:
            _ = self._steps.popleft()
