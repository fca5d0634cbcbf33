"""How far a running exchange has come, in one word. Pure."""

from __future__ import annotations

from enum import StrEnum

from policies.exchange import Exchange


class Phase(StrEnum):
    """In the order in which they come; a request may skip any of them."""

    ARRIVING = "arriving"
    """Not decided yet: its body is read, or its caller has as much under way as it may."""
    ADMISSION = "admission"
    """Permitted; limits and accounts are being asked."""
    QUEUED = "queued"
    LOADING = "loading"
    """Its model is being loaded, for it or for another one."""
    PREFILL = "prefill"
    """The engine has a streamed request and has not said anything yet."""
    RUNNING = "running"
    """The engine has a request for a whole answer: how far it has come with that, it does not say."""
    STREAMING = "streaming"
    """The engine's answer comes."""
    FINISHING = "finishing"
    """The engine is done; the caller still reads, or the accounts are being settled."""


def phase_of(exchange: Exchange) -> Phase:
    """Where `exchange` stands now."""
    stages, progress = exchange.stages, exchange.progress
    if stages.answered:
        return Phase.FINISHING
    if stages.first_byte:
        return Phase.STREAMING
    if progress is None:
        return Phase.ADMISSION if stages.decided else Phase.ARRIVING
    if progress.loading:
        return Phase.LOADING
    if stages.turn:
        return Phase.PREFILL if exchange.call is not None and exchange.call.stream else Phase.RUNNING
    return Phase.QUEUED if progress.position else Phase.ADMISSION
