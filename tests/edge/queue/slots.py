"""turns.lua once more, in a few lines of Python: for simulated hours, and to hold the script against."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from edge.queue.order import Entry
from edge.queue.redis_turns import BID_MS
from edge.queue.shared_order import Bid, Kind, Sight


@dataclass(slots=True)
class Lease:
    ends: float
    loads: bool
    model: str


@dataclass(slots=True)
class Engine:
    """What Redis knows of one engine. `now` and `life` in milliseconds."""

    now: float = 0.0
    life: float = 10_000.0
    leases: dict[str, Lease] = field(default_factory=dict)
    bids: dict[str, tuple[float, tuple[float, ...]]] = field(default_factory=dict)
    used: dict[str, float] = field(default_factory=dict)

    def bid(self, name: str, bid: Bid, lease: str, slots: int, models: int | None) -> tuple[bool, Sight]:
        mine = (*bid.rank, self.now - int(bid.waited * 1000))
        self.bids[name] = (self.now + BID_MS, mine)
        self._drop_what_ran_out()
        ahead = [rank for who, (_, rank) in self.bids.items() if (*rank, who) < (*mine, name)]
        blocked = any(rank[1] == Kind.DUE for rank in ahead)
        granted = len(self.leases) + len(ahead) < slots and not blocked and self._fits(bid, models)
        if granted:
            del self.bids[name]
            self.leases[lease] = Lease(self.now + self.life, bid.loads, "" if models is None else bid.entry.model)
            if bid.loads:
                for model in (bid.entry.model, *bid.evicts):
                    self.used.pop(model, None)
            elif models is not None:
                self.used[bid.entry.model] = self.now
        return granted, self._sight(name)

    def look(self, name: str) -> Sight:
        self.bids.pop(name, None)
        self._drop_what_ran_out()
        return self._sight(name)

    def _drop_what_ran_out(self) -> None:
        self.bids = {who: each for who, each in self.bids.items() if each[0] > self.now}
        self.leases = {who: each for who, each in self.leases.items() if each.ends > self.now}

    def _sight(self, name: str) -> Sight:
        # In order of names, as the script has them.
        elsewhere = [each for who, each in sorted(self.leases.items(), key=_first) if not who.startswith(name + "-")]
        loaded = sorted(self.used.items(), key=lambda item: (item[1], item[0]))
        return Sight(
            len(self.leases),
            tuple((each.model, each.loads) for each in elsewhere),
            tuple((model, (self.now - at) / 1000) for model, at in loaded),
        )

    def _fits(self, bid: Bid, models: int | None) -> bool:
        if models is None:
            return True
        model, answering = bid.entry.model, {each.model for each in self.leases.values()}
        loading = [each.model for each in self.leases.values() if each.loads]
        if bid.loads:
            return not loading and model not in answering and len(answering) < models
        return model not in loading if model in answering else model in self.used and len(answering) < models

    def renew(self, leases: Iterable[tuple[str, Entry]], *, swaps: bool) -> None:
        for lease, entry in leases:
            self.leases[lease] = Lease(self.now + self.life, entry.loads, entry.model if swaps else "")
            if swaps and not entry.loads:
                self.used[entry.model] = self.now

    def release(self, leases: Iterable[tuple[str, bool]]) -> None:
        for lease, served in leases:
            there = self.leases.pop(lease, None)
            if there is not None and there.model and (served or not there.loads):
                self.used[there.model] = self.now


def _first(item: tuple[str, Lease]) -> str:
    return item[0]


class Turns:
    """RedisTurns on it."""

    def __init__(self, engine: Engine, name: str, *, swaps: bool) -> None:
        self.engine = engine
        self._name = name
        self._swaps = swaps

    async def bid(self, bid: Bid, lease: str, slots: int, models: int | None, note: str = "") -> tuple[bool, Sight]:
        del note
        return self.engine.bid(self._name, bid, lease, slots, models)

    async def look(self, note: str = "") -> Sight:
        del note
        return self.engine.look(self._name)

    async def renew(self, leases: Iterable[tuple[str, Entry]], note: str = "") -> None:
        del note
        self.engine.renew(leases, swaps=self._swaps)

    async def release(self, leases: Iterable[tuple[str, bool]], note: str = "") -> None:
        del note
        self.engine.release(leases)
