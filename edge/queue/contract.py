"""What a request asks of an engine's queue, and what it holds while it waits and while it is served.

ticket = queue.turn(Wish(caller, priority, model, streaming))   # stands nowhere yet
ticket.observe(tell)                                            # optional: called whenever `phase` changes
async with ticket:                                              # waits; a Refusal leaves here
    ...
    ticket.began()                                              # the engine's first byte: the model is loaded
    ticket.charge(input_tokens, output_tokens)                  # as they come, or at the end, or after it
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, Self

from policies.obligations import Priority


class Phase(StrEnum):
    """Where a request stands: in line; waiting for its model to be loaded (or the cause of the load); being served."""

    QUEUED = "queued"
    LOADING = "loading"
    RUNNING = "running"


@dataclass(frozen=True, slots=True)
class Wish:
    """Who wants a turn for what: `caller` is the key's id, by which fairness and the share of the line are counted.

    `model` is the canonical name; `streaming` whether the caller can be told of its position while it waits.
    """

    caller: str
    priority: Priority = Priority.NORMAL
    model: str = ""
    streaming: bool = False


class Ticket(AbstractAsyncContextManager["Ticket"], Protocol):
    """One wish on its way: entered once, it waits for the turn and holds it until it is left.

    Entering raises Refusal(QUEUE_FULL), (CONCURRENCY_EXCEEDED: the caller holds its share of the line) or
    (QUEUE_TIMEOUT), each with a `retry_after` in seconds.
    """

    @property
    def wish(self) -> Wish: ...
    @property
    def phase(self) -> Phase: ...
    @property
    def position(self) -> int:
        """1 = next in line, as things stand now; 0 once served (and before entering)."""

    def observe(self, changed: Callable[[], None]) -> None:
        """Call `changed` after each change of `phase`. It must not raise and not wait."""

    def began(self) -> None:
        """The engine answers: its model is loaded, and who waits for that may go on."""

    def charge(self, input_tokens: int, output_tokens: int) -> None:
        """Add to what the caller has been served; increments, during the turn or after it."""

    async def __aenter__(self) -> Self: ...


class Turns(Protocol):
    """The queue of one engine."""

    @property
    def load(self) -> float:
        """Requests running and waiting, per slot: for choosing among engines that hold the same model."""

    def turn(self, wish: Wish) -> Ticket:
        """A ticket for `wish`; nothing happens until it is entered."""
