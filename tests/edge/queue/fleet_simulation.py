"""Several gateways in front of one engine in simulated time: an order each, the double of turns.lua between them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from edge.queue.news import decode
from edge.queue.order import Entry, State
from edge.queue.settings import QueueLimits
from edge.queue.shared_order import SharedOrder
from tests.edge.queue.simulation import Caller, Done, Simulation
from tests.edge.queue.slots import Engine

Spread = Callable[[Caller, int], int]
"""Which gateway the n-th request of a caller goes to."""


def everywhere(caller: Caller, number: int) -> int:
    """One gateway after the other."""
    del caller
    return number


@dataclass(slots=True)
class FleetSimulation(Simulation):
    """`order` is the first of `orders`. `deaf`: what share of the news gets lost."""

    orders: list[SharedOrder] = field(default_factory=list)
    slots: int = 1
    spread: Spread = everywhere
    deaf: float = 0.0
    engine: Engine = field(default_factory=lambda: Engine(life=1e12))
    most_running: int = 0
    worst: float = 0.0
    _rng: random.Random = field(default_factory=lambda: random.Random(1))
    _asked: dict[str, int] = field(default_factory=dict)
    _home: dict[Entry, SharedOrder] = field(default_factory=dict)

    def _ask(self, caller: Caller) -> None:
        wish, seconds = next(caller.asks)
        number = self._asked[caller.name] = self._asked.get(caller.name, -1) + 1
        order = self.orders[self.spread(caller, number) % len(self.orders)]
        entry = order.entry(wish)
        self._home[entry] = order
        self._what[entry] = (caller, seconds)
        assert order.join(entry, self.now) is None
        self._go_on()

    def _loaded(self, entry: Entry) -> None:
        order = self._home[entry]
        if order.began(entry, self.now):
            self.engine.renew([(order.live[entry], entry)], swaps=True)
            self._go_on()

    def _end(self, entry: Entry, began: float) -> None:
        assert entry.state is State.RUNNING
        caller, seconds = self._what.pop(entry)
        order = self._home.pop(entry)
        order.charge(entry, 0, round(seconds * 50.0), self.now)
        order.leave(entry, self.now)
        self.report.done.append(Done(caller.name, entry.model, entry.joined, began, self.now))
        self._at(self.now + caller.think, lambda: self._ask(caller))
        self._go_on()

    def _poll(self) -> None:
        self._at(self.now + 0.15, self._poll)
        self._go_on()

    def run_polling(self, seconds: float) -> None:
        self._at(0.15, self._poll)
        self.run(seconds)

    def _go_on(self) -> None:
        """All gateways do what they do when they are woken, until none of them has anything more to do."""
        self.engine.now = self.now * 1000
        self.worst = max(self.worst, *(order.longest_passed_over(self.now) for order in self.orders))
        going = True
        while going:
            for order in self.orders:
                self._give_back(order)
            turn = self._rng.sample(self.orders, len(self.orders))
            # twice, for bids that have become worse since (turns.lua wakes those whom that lets go)
            going = any([self._bid(order) for order in turn + turn])  # noqa: C419 - each of them bids
        self.most_running = max(self.most_running, sum(order.running for order in self.orders))

    def _give_back(self, order: SharedOrder) -> None:
        self.engine.release(list(order.gone))
        order.gone.clear()
        self._tell(order)

    def _bid(self, order: SharedOrder) -> bool:
        bid = order.bid(self.now)
        if bid is None:
            order.look(self.engine.look(order.name), self.now)
            bid = order.bid(self.now)
            if bid is None:
                return False
        lease = order.lease()
        granted, sight = self.engine.bid(order.name, bid, lease, self.slots, order.models.most)
        order.look(sight, self.now)
        if not granted:
            return False
        if not order.keeps(bid, self.now):
            order.gone.append((lease, False))
            return True
        order.hand(lease)
        for entry in order.next(self.now):
            self._begin(entry)
        self._give_back(order)
        return True

    def _tell(self, order: SharedOrder) -> None:
        news = decode(order.news(self.now).encode().encode())
        assert news is not None
        for other in self.orders:
            if other is not order and self._rng.random() >= self.deaf:
                other.hear(news, self.now)


def fleet(
    count: int,
    limits: QueueLimits,
    callers: list[Caller],
    *,
    slots: int = 1,
    models: int | None = None,
    load: float = 0,
) -> FleetSimulation:
    """So many gateways with the same settings."""
    orders = [SharedOrder(limits, models, f"g{number}", "e") for number in range(count)]
    return FleetSimulation(orders[0], callers, load=load, orders=orders, slots=slots)
