"""Opens the queues that the configuration names: this process's own, or shared by way of Redis."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from edge.limits.settings import LimitSettings
from edge.queue.engine_queue import Queues
from edge.queue.settings import QueueLimits


@dataclass(frozen=True, slots=True)
class Turning:
    """The open queues."""

    queues: Queues
    close: Callable[[], Awaitable[None]]


def open_queues(limits: QueueLimits, redis: str | None, stored: LimitSettings) -> Turning:
    """`redis`: the URL of the Redis over which engines are shared; it need not be there yet. `stored`: what happens
    while it is away."""
    if redis is None:
        return Turning(Queues(limits), _nothing)
    # redis-py takes 0.1 s to import, and most gateways have no Redis
    from edge.limits.scripts import Scripts, connect
    from edge.queue.shared_queue import Away
    from edge.queue.sharing import Sharing

    sharing = Sharing(Scripts(connect(redis)), limits, Away(stored.on_store_error, stored.store_error_share))
    return Turning(Queues(limits, make=sharing.make), sharing.close)


async def _nothing() -> None:
    """Nothing to close."""
