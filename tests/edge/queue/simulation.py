"""An engine and its callers in simulated time, on the pure core: seconds are numbers, nothing waits."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from edge.queue.contract import Wish
from edge.queue.order import Entry, Order, State

SPEED = 100.0
"""Tokens (weighted) that one slot serves in a second."""

Ask: TypeAlias = tuple[Wish, float]
"""A wish, and the seconds of service that it will take."""


@dataclass(slots=True)
class Caller:
    """Keeps `parallel` requests under way; each begins `think` seconds after one ended. `asks` says what it wants.

    It is there from second `since` on.
    """

    name: str
    parallel: int
    asks: Iterator[Ask]
    think: float = 0.0
    since: float = 0.0


@dataclass(slots=True)
class Done:
    """What became of one request; instants in seconds."""

    caller: str
    model: str
    joined: float
    began: float
    ended: float

    @property
    def wait(self) -> float:
        return self.began - self.joined


@dataclass(slots=True)
class Report:
    """What happened."""

    done: list[Done] = field(default_factory=list)
    loads: int = 0
    evicted_while_answering: int = 0

    @property
    def served(self) -> dict[str, float]:
        """Seconds of service per caller."""
        total: dict[str, float] = defaultdict(float)
        for one in self.done:
            total[one.caller] += one.ended - one.began
        return dict(total)

    def waits(self, caller: str) -> list[float]:
        return [one.wait for one in self.done if one.caller == caller]


def jain(values: Sequence[float]) -> float:
    """Jain's index: 1 = all got the same, 1/n = one got all."""
    return sum(values) ** 2 / (len(values) * sum(value * value for value in values))


@dataclass(slots=True)
class Simulation:
    """`load` seconds pass between a request that makes the engine load its model and its answer."""

    order: Order
    callers: Sequence[Caller]
    load: float = 0.0
    now: float = 0.0
    report: Report = field(default_factory=Report)
    _events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _ids: Iterator[int] = field(default_factory=itertools.count)
    _what: dict[Entry, tuple[Caller, float]] = field(default_factory=dict)

    def run(self, seconds: float) -> Report:
        for caller in self.callers:
            for _ in range(caller.parallel):
                self._at(caller.since, lambda caller=caller: self._ask(caller))  # type: ignore[misc]
        while self._events and self._events[0][0] <= seconds:
            self.now, _, act = heapq.heappop(self._events)
            act()
        return self.report

    def _at(self, instant: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._events, (instant, next(self._ids), act))

    def _ask(self, caller: Caller) -> None:
        wish, seconds = next(caller.asks)
        entry = self.order.entry(wish)
        self._what[entry] = (caller, seconds)
        if self.order.take(entry, self.now):
            self._begin(entry)
        else:
            assert self.order.join(entry, self.now) is None
            self._go_on()

    def _go_on(self) -> None:
        for entry in self.order.next(self.now):
            self._begin(entry)

    def _begin(self, entry: Entry) -> None:
        began = self.now
        after = 0.0
        if entry.loads:
            self.report.loads += 1
            after = self.load
            self._at(self.now + after, lambda: self._loaded(entry))
        seconds = self._what[entry][1]
        self._at(began + after + seconds, lambda: self._end(entry, began + after))

    def _loaded(self, entry: Entry) -> None:
        if self.order.began(entry, self.now):
            self._go_on()

    def _end(self, entry: Entry, began: float) -> None:
        assert entry.state is State.RUNNING
        caller, seconds = self._what.pop(entry)
        self.order.charge(entry, 0, round(seconds * SPEED / 2), self.now)
        self.order.leave(entry, self.now)
        self.report.done.append(Done(caller.name, entry.model, entry.joined, began, self.now))
        self._at(self.now + caller.think, lambda: self._ask(caller))
        self._go_on()


def asks(caller: str, seconds: Callable[[], float], model: Callable[[], str] = lambda: "m") -> Iterator[Ask]:
    """Endless wishes of one caller."""
    while True:
        yield Wish(caller, model=model()), seconds()


def between(rng: random.Random, least: float, most: float) -> Callable[[], float]:
    """Random durations."""
    return lambda: rng.uniform(least, most)
