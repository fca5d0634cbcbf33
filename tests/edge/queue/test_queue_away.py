"""A shared queue on its own, and an answer of Redis that was still on its way."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from edge.limits.contract import OnStoreError
from edge.queue.redis_turns import RedisTurns
from edge.queue.settings import QueueLimits
from edge.queue.shared_order import Bid, SharedOrder, Sight
from edge.queue.shared_queue import Away, SharedQueue
from tests.edge.queue.slots import Engine, Turns
from tests.edge.queue.test_engine_queue import Guest, until


class Late(Turns):
    """Answers a bid when `answer` is set: granted or not, and that another gateway loads "other"."""

    def __init__(self, engine: Engine, *, granted: bool) -> None:
        super().__init__(engine, "me", swaps=True)
        self.asked, self.answer = asyncio.Event(), asyncio.Event()
        self.lease = ""
        self._granted = granted

    async def bid(self, bid: Bid, lease: str, slots: int, models: int | None, note: str = "") -> tuple[bool, Sight]:
        del bid, slots, models, note
        self.lease = lease
        self.asked.set()
        await self.answer.wait()
        return self._granted, Sight(1, (("other", True),))

    async def tell(self, note: str) -> None:
        raise AssertionError(f"said to a Redis that is away: {note}")


@pytest.mark.parametrize("granted", [True, False])
async def test_what_redis_saw_before_it_was_away_holds_nobody_up(*, granted: bool) -> None:
    """Another engine's line finds out that Redis is away while this one's bid is answered. A load that is seen in that
    answer would never be over: nothing more is heard of it."""
    order, turns = SharedOrder(QueueLimits(), 1, "me", "e"), Late(Engine(), granted=granted)
    away = Away(OnStoreError.LOCAL, 1.0)
    queue = SharedQueue(1, QueueLimits(), order, cast("RedisTurns", turns), away=away, down=lambda _: None)
    working = asyncio.ensure_future(queue.work())
    first = Guest(queue, "a", "other")
    await turns.asked.wait()
    queue.went_away()
    await until(lambda: first.runs)
    second = Guest(queue, "b", "other")
    await until(lambda: queue.waiting == 1)
    turns.answer.set()
    queue.end()
    await working
    assert order.models.loading is None
    assert [lease for lease, _ in order.gone] == [turns.lease] * granted, "what is lost is given back"
    await first.end()
    await until(lambda: second.runs)
    await second.end()
