"""What the lines of all listeners share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from edge.accounts import Accounts
from edge.fleet import Fleet
from edge.identity.authenticate import Authenticator
from edge.inflight import Inflight
from edge.intake.offload import Parser
from edge.origin.opening import Origin, unknown
from edge.policy.enforcement import Enforcement
from edge.presets.choice import Presets
from edge.queue.engine_queue import Queues
from edge.queue.gate import CallerGates
from edge.relay.native.ways import Ways
from edge.reply import Pulse
from edge.responses.shelf import Shelf
from edge.stock.pulls import Pulls
from edge.tasks import Tasks
from engines.breaker import Breakers
from engines.contract import StockTransport
from observability.captures.log import CaptureLog
from observability.observers import Observers
from observability.traces.tracer import Tracer
from policies.exchange import Exchange


@dataclass(slots=True)
class Shared:
    """The parts of one gateway. `clock` is that of the exchanges' stages, `wall` gives seconds since the epoch."""

    authenticator: Authenticator
    enforcement: Enforcement
    parser: Parser
    transport: StockTransport
    queues: Queues
    callers: CallerGates
    accounts: Accounts
    shelf: Shelf
    pulse: Pulse
    observers: Observers
    captures: CaptureLog
    tasks: Tasks
    clock: Callable[[], float]
    wall: Callable[[], float]
    randomness: Callable[[int], bytes]
    salt_key: bytes = field(repr=False)
    fleet: Fleet
    presets: Presets
    tracer: Tracer | None = None
    origin: Origin = unknown
    ways: Ways = field(default_factory=lambda: Ways(time.monotonic))
    inflight: Inflight = field(default_factory=Inflight)
    breakers: Breakers = field(default_factory=Breakers)
    pulls: Pulls = field(default_factory=Pulls)
    draining: bool = False

    def locate(self, exchange: Exchange) -> None:
        """Again and again: the first time asks, and what was not known then, or not any more true, may be known by now.
        Nothing waits for it."""
        exchange.container = self.origin(exchange.client.ip, exchange.client.port) or exchange.container
