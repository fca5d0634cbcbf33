"""The queue of one engine: `order` decides, this waits. Here are the event loop, the timers and the clock.

Engines queue without bound themselves (Ollama #7758, llama-server's deferred tasks), and some hold one lock
(llama-cpp-python): so the line must form here, where it can be bounded, ordered and left.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from edge.queue.contract import Phase, Ticket, Turns, Wish
from edge.queue.order import Entry, Full, Order, State
from edge.queue.settings import QueueLimits
from engines.contract import Engine
from policies.errors import Refusal
from policies.reasons import Reason

_REASONS: Final = {Full.LINE: Reason.QUEUE_FULL, Full.SHARE: Reason.CONCURRENCY_EXCEEDED}


class EngineQueue:
    """Slots, line and waiting room of one engine. Implements `contract.Turns`."""

    def __init__(
        self,
        slots: int,
        limits: QueueLimits,
        models: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        order: Order | None = None,
    ) -> None:
        """`models`: how many models the engine holds at once; None = it never swaps. `order`: another one than its
        own."""
        self._order = Order(slots, limits, models) if order is None else order
        self._clock = clock
        self._waiting: dict[Entry, EngineTicket] = {}

    @property
    def concurrency(self) -> int:
        """The slots; set anew when the engine's settings change, which touches nobody who holds one."""
        return self._order.slots

    @concurrency.setter
    def concurrency(self, slots: int) -> None:
        self._order.slots = slots
        self._go_on(self._clock())

    @property
    def load(self) -> float:
        """See `contract.Turns.load`."""
        return (self._order.running + self._order.waiting) / self._order.slots

    @property
    def waiting(self) -> int:
        """How many stand in line."""
        return self._order.waiting

    @property
    def running(self) -> int:
        """How many hold a slot."""
        return self._order.running

    @property
    def elsewhere(self) -> int:
        """How many hold a slot by way of another gateway."""
        return 0

    @property
    def loading(self) -> bool:
        """Whether a model is being loaded."""
        return self._order.models.loading is not None

    @property
    def models(self) -> int | None:
        """How many models the engine holds at once; None = it never swaps."""
        return self._order.models.most

    @property
    def loaded(self) -> list[str] | None:
        """The models that it holds now, as far as its answers tell; None = it never swaps, all are there."""
        return self._order.models.loaded(self._clock())

    def left(self, model: str) -> float:
        """Seconds for which `model` will stay loaded if nobody asks for it; see `Residency.left`."""
        return self._order.models.left(model, self._clock())

    def turn(self, wish: Wish) -> EngineTicket:
        """See `contract.Turns.turn`."""
        return EngineTicket(self, wish)

    def phase(self, entry: Entry) -> Phase:
        """Where `entry` stands."""
        if self._order.is_loading(entry):
            return Phase.LOADING
        return Phase.RUNNING if entry.state is State.RUNNING else Phase.QUEUED

    def position(self, entry: Entry) -> int:
        """1 = next in line; 0 = not in line."""
        return self._order.position(entry)

    def charge(self, entry: Entry, input_tokens: int, output_tokens: int) -> None:
        """Add to what the caller of `entry` has been served."""
        self._order.charge(entry, input_tokens, output_tokens, self._clock())

    # -- what its tickets do -----------------------------------------------------------------------------------------

    async def enter(self, ticket: EngineTicket) -> None:
        """Wait for the ticket's turn; see `contract.Ticket`."""
        order, now = self._order, self._clock()
        entry = ticket.entry = order.entry(ticket.wish)
        if order.take(entry, now):
            return
        full = order.join(entry, now)
        if full is not None:
            raise self._refusal(_REASONS[full], now)
        self._waiting[entry] = ticket
        coming = ticket.start_waiting(self._order.deadline(entry) - now)
        self._go_on(now)
        ticket.tell()
        try:
            refused = await coming
        except asyncio.CancelledError:
            # Out of the line, or out of the slot that it was handed in the same moment.
            _ = self._waiting.pop(entry, None)
            ticket.stop_waiting(None)
            self.leave(entry, served=False)
            raise
        if refused is not None:
            raise self._refusal(refused, self._clock())

    def late(self, ticket: EngineTicket) -> None:
        """The ticket's timer rang: its wait is over, unless a load has been going on meanwhile."""
        entry, now = ticket.entry, self._clock()
        if entry is None or entry.state is not State.WAITING:
            return
        left = self._order.deadline(entry) - now
        if left > 0:
            ticket.ring_in(left)
        else:
            self._throw_out(entry, Reason.QUEUE_TIMEOUT)

    def began(self, entry: Entry) -> None:
        """The engine answers."""
        now = self._clock()
        if self._order.began(entry, now):
            self._load_over(now)

    def leave(self, entry: Entry, *, served: bool) -> None:
        """Give back whatever `entry` holds, its place in line or its slot."""
        now = self._clock()
        loaded = entry.loads
        self._order.leave(entry, now, served=served)
        if loaded:
            self._load_over(now)
        elif self._order.waiting:
            self._go_on(now)

    def _load_over(self, now: float) -> None:
        for entry, ticket in self._waiting.items():
            ticket.ring_in(self._order.deadline(entry) - now)
        self._go_on(now)
        self._tell()

    def _go_on(self, now: float) -> None:
        """Hand free slots out. Observers are told last: what they do must not keep anybody from its slot."""
        went = [(entry, self._waiting.pop(entry)) for entry in self._order.next(now)]
        for _, ticket in went:
            ticket.stop_waiting(None)
        for _, ticket in went:
            ticket.tell()
        if any(entry.loads for entry, _ in went):
            self._tell()

    def _throw_out(self, entry: Entry, reason: Reason) -> None:
        """`entry` waits no longer: a Refusal for `reason` leaves its ticket."""
        ticket = self._waiting.pop(entry, None)
        if ticket is not None:
            ticket.stop_waiting(reason)
        self.leave(entry, served=False)

    def _tell(self) -> None:
        """A load began or ended: the phases of those who wait may be others now."""
        for ticket in list(self._waiting.values()):
            ticket.tell()

    def _refusal(self, reason: Reason, now: float) -> Refusal:
        return Refusal(reason, retry_after=self._order.drain.seconds(now, self._order.waiting + 1))


class EngineTicket:
    """One wish on its way. Implements `contract.Ticket`."""

    __slots__ = ("_changed", "_coming", "_queue", "_said", "_timer", "entry", "wish")

    def __init__(self, queue: EngineQueue, wish: Wish) -> None:
        self.wish = wish
        self.entry: Entry | None = None
        self._queue = queue
        self._changed: Callable[[], None] | None = None
        self._said = Phase.QUEUED
        self._coming: asyncio.Future[Reason | None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def phase(self) -> Phase:
        """See `contract.Ticket.phase`."""
        return self._queue.phase(self.entry) if self.entry is not None else Phase.QUEUED

    @property
    def position(self) -> int:
        """See `contract.Ticket.position`."""
        return self._queue.position(self.entry) if self.entry is not None else 0

    def observe(self, changed: Callable[[], None]) -> None:
        """See `contract.Ticket.observe`."""
        self._changed = changed

    def began(self) -> None:
        """See `contract.Ticket.began`."""
        if self.entry is not None and self.entry.loads:
            self._queue.began(self.entry)
            self.tell()

    def charge(self, input_tokens: int, output_tokens: int) -> None:
        """See `contract.Ticket.charge`."""
        if self.entry is not None:
            self._queue.charge(self.entry, input_tokens, output_tokens)

    async def __aenter__(self) -> Self:
        if self.entry is not None:
            raise RuntimeError("a ticket is for one turn")
        await self._queue.enter(self)
        self.tell()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.entry is not None:
            self._queue.leave(self.entry, served=kind is None)

    # -- what the queue does with it ---------------------------------------------------------------------------------

    def start_waiting(self, seconds: float) -> asyncio.Future[Reason | None]:
        """What to wait for: None once the turn has come, else why it did not."""
        coming = self._coming = asyncio.get_running_loop().create_future()
        self.ring_in(seconds)
        return coming

    def stop_waiting(self, refused: Reason | None) -> None:
        """The wait is over, one way or the other."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._coming is not None and not self._coming.done():
            self._coming.set_result(refused)

    def ring_in(self, seconds: float) -> None:
        """Look at the clock again after so many seconds."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(max(seconds, 0.0), self._queue.late, self)

    def tell(self) -> None:
        """Tell who observes, if the phase is another one now."""
        if self._changed is not None and (phase := self.phase) is not self._said:
            self._said = phase
            self._changed()


class Queues:
    """One queue per engine, by name."""

    def __init__(
        self,
        limits: QueueLimits,
        clock: Callable[[], float] = time.monotonic,
        make: Callable[[Engine], EngineQueue] | None = None,
    ) -> None:
        """`make`: a queue for an engine, where it is not to be one of this process alone."""
        self._limits = limits
        self._clock = clock
        self._make = make or self._own
        self._queues: dict[str, EngineQueue] = {}

    def of(self, engine: Engine) -> EngineQueue:
        """The queue of `engine`; it stays when the number of slots changes."""
        queue = self._queues.get(engine.name)
        if queue is None or queue.models != engine.loaded_models:
            queue = self._queues[engine.name] = self._make(engine)
        elif queue.concurrency != engine.concurrency:
            queue.concurrency = engine.concurrency
        return queue

    def _own(self, engine: Engine) -> EngineQueue:
        return EngineQueue(engine.concurrency, self._limits, engine.loaded_models, self._clock)


_guard: Callable[[EngineQueue, Wish], Ticket] = EngineQueue.turn  # mypy: the contract is met
_guard_queue: Callable[[EngineQueue], Turns] = lambda queue: queue  # noqa: E731 - the same
