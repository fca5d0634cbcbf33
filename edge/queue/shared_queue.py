"""The queue of an engine that several gateways share: nobody goes before Redis has a slot for it.

One task per engine does all that is said to Redis, one thing after the other, so that no caller can leave in the middle
of it: give back what is free, renew what runs, bid for whoever would go next, tell what was charged. It sleeps until a
caller comes or goes, until another gateway says something, and where a bid stands no longer than `POLL`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from edge.limits.contract import RENEW_MS, OnStoreError, StoreDown
from edge.limits.fallback import part
from edge.queue.engine_queue import EngineQueue, EngineTicket
from edge.queue.news import News
from edge.queue.order import Entry
from edge.queue.redis_turns import RedisTurns
from edge.queue.settings import QueueLimits
from edge.queue.shared_order import Bid, SharedOrder, Sight
from policies.errors import Refusal
from policies.reasons import Reason

POLL: Final = 0.15
"""Seconds after which a bid is made again though nothing was heard: a message may be lost, a lease run out."""
TELL: Final = 1.0
"""Seconds after which the others are told again who waits here."""
_RETRY: Final = 2.0


@dataclass(frozen=True, slots=True)
class Away:
    """What happens while Redis does not answer: go on with `share` of the slots (at least one), or refuse."""

    on_error: OnStoreError
    share: float


class SharedQueue(EngineQueue):
    """See EngineQueue. `down` is told when Redis failed; then `went_away` and `came_back` say how things stand."""

    def __init__(
        self,
        slots: int,
        limits: QueueLimits,
        order: SharedOrder,
        turns: RedisTurns,
        *,
        away: Away,
        down: Callable[[StoreDown], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(0, limits, order.models.most, clock, order)
        self._shared = order
        self._slots = slots
        self._turns = turns
        self._policy = away
        self._down = down
        self._away = self._ended = False
        self._woken = asyncio.Event()
        self._bids = False
        self._hello = True
        self._asked = False  # by a gateway that begins, for our accounts
        self._renew_at = self._tell_at = 0.0

    @property
    def engine(self) -> str:
        """What the gateways call the engine among themselves."""
        return self._shared.engine

    @property
    def concurrency(self) -> int:
        """See EngineQueue.concurrency."""
        return self._slots

    @concurrency.setter
    def concurrency(self, slots: int) -> None:
        self._slots = slots
        if self._away:
            self.went_away()
        self.wake()

    @property
    def elsewhere(self) -> int:
        """See EngineQueue.elsewhere."""
        return self._shared.served_elsewhere

    @property
    def load(self) -> float:
        """See `contract.Turns.load`."""
        order = self._shared
        return (order.running + order.served_elsewhere + order.waiting) / self._slots

    # -- callers -----------------------------------------------------------------------------------------------------

    async def enter(self, ticket: EngineTicket) -> None:
        """See EngineQueue.enter; Refusal(LIMITS_UNAVAILABLE) while Redis is away and the settings say to deny."""
        if self._away and self._policy.on_error is OnStoreError.DENY:
            raise _unavailable()
        order = self._shared
        # All that may be free: who only waits to be told so takes nobody's place in line.
        order.spare = 0 if self._away else max(self._slots - order.running - order.served_elsewhere, 0)
        await super().enter(ticket)

    def began(self, entry: Entry) -> None:
        """See EngineQueue.began."""
        super().began(entry)
        self._renew_at = 0.0
        self.wake()

    def leave(self, entry: Entry, *, served: bool) -> None:
        """See EngineQueue.leave."""
        super().leave(entry, served=served)
        self.wake()

    def _go_on(self, now: float) -> None:
        super()._go_on(now)
        self.wake()

    def _refusal(self, reason: Reason, now: float) -> Refusal:
        return _unavailable() if reason is Reason.LIMITS_UNAVAILABLE else super()._refusal(reason, now)

    # -- the others --------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Something may have changed."""
        self._woken.set()

    def begin_anew(self) -> None:
        """The others are heard from now on, and what was said before may be lost; so may be all that Redis knew."""
        self._hello = True
        self._renew_at = 0.0
        self.wake()

    def hear(self, news: News) -> None:
        """What another gateway tells."""
        self._shared.hear(news, self._clock())
        self._asked = self._asked or news.hello
        if self._asked or self.waiting:
            self.wake()

    def went_away(self) -> None:
        """Redis does not answer: from now on this gateway is on its own."""
        self._away = True
        self._bids = False
        if self._policy.on_error is OnStoreError.DENY:
            for entry in list(self._waiting):
                self._throw_out(entry, Reason.LIMITS_UNAVAILABLE)
            return
        now = self._clock()
        self._shared.alone(part(self._slots, self._policy.share))
        self._take_in(Sight(), now)
        self._go_on(now)

    def came_back(self) -> None:
        """Redis answers again: what runs is put down there before anything else is asked for."""
        self._away = False
        self._shared.alone(0)
        self._renew_at = 0.0
        self.wake()

    # -- what is said to Redis ---------------------------------------------------------------------------------------

    async def work(self) -> None:
        """The task of this queue, until `end`."""
        while not self._ended:
            await self._rest()
            if not (self._away or self._ended):
                try:
                    await self._step()
                except StoreDown as error:
                    self._down(error)

    def end(self) -> None:
        """Begin nothing more; `work` returns when it has said what it is about to say. To cancel it would tear a wire
        in the middle of an answer, and redis-py may take that for a time-out of its own."""
        self._ended = True
        self.wake()

    async def close(self) -> None:
        """Give back everything; `work` must have ended. What does not reach Redis runs out there."""
        self._shared.gone.extend((lease, False) for lease in self._shared.live.values())
        with suppress(StoreDown):
            await self._give_back()
            if self._bids:
                await self._turns.look()

    async def _rest(self) -> None:
        order = self._shared
        seconds = POLL if order.waiting else TELL if order.live else None
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        self._woken.clear()

    async def _step(self) -> None:
        while True:
            await self._give_back()
            await self._renew()
            bid = self._shared.bid(self._clock())
            if not await (self._look_on() if bid is None else self._ask(bid)) or self._ended:
                break
        if not self._away:
            await self._say()

    async def _ask(self, bid: Bid) -> bool:
        """Bid; True if it is worth while to look at once who would go next."""
        order, lease = self._shared, self._shared.lease()
        self._bids = True
        try:
            granted, sight = await self._turns.bid(bid, lease, self._slots, self.models, self._note())
        except (StoreDown, asyncio.CancelledError):
            order.gone.append((lease, False))  # it may have been granted all the same
            raise
        if self._away:  # another engine's line found out: what is loading elsewhere would never be over here
            if granted:
                order.gone.append((lease, False))
            return False
        now = self._clock()
        self._take_in(sight, now)
        if not granted:
            # With what is loaded now it may be another one's turn, or nobody's.
            after = order.bid(now)
            return after is None or (after.loads, after.entry.model) != (bid.loads, bid.entry.model)
        self._bids = False
        if not order.keeps(bid, now):
            order.gone.append((lease, False))
        else:
            order.hand(lease)
            self._go_on(now)
        return True

    async def _look_on(self) -> bool:
        """Nobody could go, as far as is known; True if that was not so."""
        if not (self._bids or self.waiting):
            return False
        sight = await self._turns.look(self._note(wakes=self._bids))
        self._bids = False
        if self._away:
            return False
        now = self._clock()
        self._take_in(sight, now)
        return self._shared.bid(now) is not None

    def _take_in(self, sight: Sight, now: float) -> None:
        if self._shared.look(sight, now):
            self._load_over(now)

    async def _give_back(self) -> None:
        gone = list(self._shared.gone)
        if gone:
            await self._turns.release(gone, self._note(wakes=True))
            for _ in gone:
                _ = self._shared.gone.popleft()

    async def _renew(self) -> None:
        now = self._clock()
        live = self._shared.live
        if now >= self._renew_at:
            self._renew_at = now + RENEW_MS / 1000
            if live:
                try:
                    await self._turns.renew([(lease, entry) for entry, lease in live.items()], self._note(wakes=True))
                except StoreDown:
                    self._renew_at = 0.0
                    raise

    async def _say(self) -> None:
        if note := self._note():
            await self._turns.tell(note)

    def _note(self, *, wakes: bool = False) -> str:
        """What there is to tell the others; "" = nothing, unless it `wakes` them all the same."""
        order, now = self._shared, self._clock()
        due = now >= self._tell_at and bool(order.live or order.waiting)
        if not (wakes or due or order.has_news or self._hello or self._asked):
            return ""
        self._tell_at = now + TELL
        note = order.news(now, hello=self._hello, accounts=self._asked).encode()
        self._hello = self._asked = False
        return note


def _unavailable() -> Refusal:
    return Refusal(Reason.LIMITS_UNAVAILABLE, retry_after=_RETRY, detail="Redis is away")
