"""Who follows requests goes on only as long as they may."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import cast

import pytest

from edge.admin.answers import Ask
from edge.admin.live import LiveView
from edge.listener.inbound import Inbound
from edge.live import Live
from observability.live.watching import Watchers
from observability.observers import Observers
from policies.errors import Refusal
from policies.principal import Principal
from policies.reasons import Reason
from tests.observability.live.exchanges import ended


class Inquiry:
    """An `Inbound` without a filter, and a `Live` with nothing but watchers."""

    query = ""

    def __init__(self) -> None:
        self.observers = Observers()
        self.watchers = Watchers(self.observers.add)


async def follow(inquiry: Inquiry, clock: Callable[[], float], verdicts: list[Refusal | None]) -> AsyncGenerator[bytes]:
    async def readmit() -> None:
        if (no := verdicts.pop(0)) is not None:
            raise no

    view = LiveView(cast(Live, inquiry), clock=clock, beat=10.0)
    flow = await view.follow(Ask(cast(Inbound, inquiry), cast(Principal, None), readmit))
    return flow.blocks


async def test_a_key_that_loses_its_scope_is_shown_no_more() -> None:
    now, inquiry = [0.0], Inquiry()
    verdicts = [None, Refusal(Reason.SCOPE_MISSING)]
    blocks = await follow(inquiry, lambda: now[0], verdicts)
    assert b"watching" in await anext(blocks)
    for second in (1.0, 10.0, 19.0):  # also where requests never cease, so that there is no silence
        now[0] = second
        inquiry.observers.ended(ended(), 0.0)
        assert b"access" in await anext(blocks)
    assert len(verdicts) == 1
    now[0] = 20.0
    inquiry.observers.ended(ended(), 0.0)
    with pytest.raises(Refusal) as caught:
        await anext(blocks)
    assert caught.value.reason is Reason.SCOPE_MISSING
    assert len(inquiry.watchers) == 0
