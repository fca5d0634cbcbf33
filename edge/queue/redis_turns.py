"""The slots of one engine in Redis (turns.lua): bids for one, leases that run out unless they are renewed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from edge.limits.contract import LEASE_MS, StoreDown
from edge.limits.scripts import Script, Scripts
from edge.queue.order import Entry
from edge.queue.shared_order import Bid, Sight

SCRIPT: Final = Script("turns.lua", Path(__file__).parent)
CHANNEL: Final = "turns"
BID_MS: Final = 1_000
"""How long a bid stands. It is made anew several times in that; who is dead holds nobody up for longer."""
BATCH: Final = 500


class RedisTurns:
    """One engine's. `engine`: a name for it that all gateways agree on; `name`: this bidder's own, and the beginning of
    its leases' names. `swaps`: whether it matters which models are loaded.

    Every method raises StoreDown, after which it may have been done, or may yet be. `note` is said on CHANNEL."""

    def __init__(self, scripts: Scripts, engine: str, name: str, *, swaps: bool, life: int = LEASE_MS) -> None:
        self._scripts = scripts
        self._keys = ("clock", *(f"turns:{engine}:{part}" for part in ("leases", "bids", "loaded")))
        self._name = name
        self._swaps = swaps
        self._life = life

    async def bid(self, bid: Bid, lease: str, slots: int, models: int | None, note: str = "") -> tuple[bool, Sight]:
        """Ask for one of `slots`: whether `lease` was taken, and what is to be seen."""
        rank = bid.rank
        asked = (self._name, BID_MS, lease, slots, "" if models is None else models)
        order = (rank.band, int(rank.kind), f"{rank.service:.6f}", max(int(bid.waited * 1000), 0))
        reply = await self._run("bid", note, (*asked, *order, int(bid.loads), bid.entry.model, *bid.evicts))
        sight = _sight(reply)
        return reply[0] == "1", sight

    async def look(self, note: str = "") -> Sight:
        """Bid no more, and see how things stand."""
        return _sight(await self._run("look", note, (self._name, int(self._swaps))))

    async def renew(self, leases: Iterable[tuple[str, Entry]], note: str = "") -> None:
        """Prolong leases, and put back those that are lost."""
        swaps = self._swaps
        flat = [(lease, int(entry.loads), entry.model if swaps else "") for lease, entry in leases]
        await self._each("renew", flat, note)

    async def release(self, leases: Iterable[tuple[str, bool]], note: str = "") -> None:
        """Give leases back; with each, whether the engine answered."""
        await self._each("release", [(lease, int(served)) for lease, served in leases], note)

    async def tell(self, note: str) -> None:
        """Only say it."""
        await self._run("tell", note, ())

    async def _each(self, operation: str, leases: Sequence[tuple[str | int, ...]], note: str) -> None:
        for start in range(0, len(leases), BATCH):
            batch = leases[start : start + BATCH]
            last = start + BATCH >= len(leases)
            await self._run(operation, note if last else "", [part for lease in batch for part in lease])

    async def _run(self, operation: str, note: str, args: Sequence[str | int]) -> list[str]:
        channel = self._scripts.prefix + CHANNEL
        return await self._scripts.texts(SCRIPT, self._keys, (operation, self._life, channel, note, *args))


def _sight(reply: Sequence[str]) -> Sight:
    try:
        _, taken, count, *rest = reply
        elsewhere, loaded = rest[: int(count)], rest[int(count) :]
        return Sight(
            int(taken),
            tuple((model, loads == "1") for loads, _, model in (text.partition(" ") for text in elsewhere)),
            tuple((model, int(age) / 1000) for model, age in zip(loaded[::2], loaded[1::2], strict=True)),
        )
    except ValueError:
        raise StoreDown("no answer of ours") from None


async def probe(scripts: Scripts) -> None:
    """Raise StoreDown unless scripts run there and may write (the clock)."""
    reply = await scripts.texts(SCRIPT, ("clock", "clock", "clock", "clock"), ("probe", LEASE_MS, "", ""))
    if not reply:
        raise StoreDown("no answer of ours")
