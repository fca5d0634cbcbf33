"""How far a request has come: what is seen from outside, and what a caller that waits is told."""

from __future__ import annotations

from dataclasses import dataclass

from edge.queue.contract import Phase, Ticket
from edge.relay.meter import Meter
from observability.live import phases
from observability.live.phases import phase_of
from policies.exchange import Exchange


@dataclass(frozen=True, slots=True)
class Progress:
    """Implements `policies.exchange.Progress`."""

    ticket: Ticket
    meter: Meter

    @property
    def position(self) -> int:
        """See `policies.exchange.Progress`."""
        return self.ticket.position

    @property
    def loading(self) -> bool:
        """See `policies.exchange.Progress`."""
        return self.ticket.phase is Phase.LOADING

    @property
    def tokens(self) -> int:
        """See `policies.exchange.Progress`."""
        return self.meter.used


def said_of(exchange: Exchange) -> str:
    """What the caller of a stream is told while it waits."""
    match phase_of(exchange):
        case phases.Phase.LOADING:
            return "loading model"
        case phases.Phase.PREFILL | phases.Phase.RUNNING:
            return "prefill"
        case phases.Phase.STREAMING | phases.Phase.FINISHING:
            return "waiting"
        case _:
            return f"queued {exchange.progress.position if exchange.progress is not None else 0}"
