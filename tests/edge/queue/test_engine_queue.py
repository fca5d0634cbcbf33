"""Waiting for a turn: real futures and timers, and every way to leave."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.queue.contract import Phase, Wish
from edge.queue.engine_queue import EngineQueue, EngineTicket, Queues
from edge.queue.settings import QueueLimits
from engines.contract import Engine, Kind
from policies.errors import Refusal
from policies.obligations import Priority
from policies.reasons import Reason

LIMITS = QueueLimits()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


class Guest:
    """A caller in a task of its own: takes a turn, keeps it until told to go."""

    def __init__(self, queue: EngineQueue, caller: str = "k", model: str = "m", *, begins: bool = True) -> None:
        self.ticket: EngineTicket = queue.turn(Wish(caller, Priority.NORMAL, model))
        self.phases: list[Phase] = []
        self.ticket.observe(lambda: self.phases.append(self.ticket.phase))
        self.go = asyncio.Event()
        self.failure: Refusal | None = None
        self._begins = begins
        self.task = asyncio.ensure_future(self._visit())

    async def _visit(self) -> None:
        try:
            async with self.ticket:
                if self._begins:
                    self.ticket.began()
                await self.go.wait()
        except Refusal as refusal:
            self.failure = refusal

    @property
    def runs(self) -> bool:
        return self.ticket.phase is Phase.RUNNING

    async def end(self) -> None:
        self.go.set()
        await self.task

    async def cancel(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def guests(queue: EngineQueue, *callers: str, model: str = "m") -> list[Guest]:
    """Come one after the other, so that each stands where it should."""
    came = []
    for caller in callers:
        load = queue.load
        came.append(Guest(queue, caller, model))
        await until(lambda load=load: queue.load > load)  # type: ignore[misc]
    return came


async def loading(queue: EngineQueue, caller: str, *, begins: bool = True) -> Guest:
    """One that loads the model, or waits for who does."""
    guest = Guest(queue, caller, begins=begins)
    await until(lambda: guest.ticket.phase is Phase.LOADING)
    return guest


async def end(*here: Guest) -> None:
    """Let them go; who is in line has its turn first."""
    for guest in here:
        guest.go.set()
    await asyncio.gather(*(guest.task for guest in here))


async def test_a_ticket_tells_its_position_until_it_is_served() -> None:
    queue = EngineQueue(1, LIMITS)
    a, b, c = await guests(queue, "a", "b", "c")
    assert [guest.ticket.position for guest in (a, b, c)] == [0, 1, 2]
    assert [guest.ticket.phase for guest in (a, b, c)] == [Phase.RUNNING, Phase.QUEUED, Phase.QUEUED]
    await a.end()
    await until(lambda: b.runs)
    assert c.ticket.position == 1
    assert b.phases == [Phase.RUNNING]
    await end(b, c)
    assert queue.load == 0


async def test_a_ticket_is_for_one_turn_and_nothing_before_it() -> None:
    queue = EngineQueue(1, LIMITS)
    ticket = queue.turn(Wish("k"))
    ticket.charge(1, 1)
    ticket.began()
    assert (ticket.phase, ticket.position, queue.load) == (Phase.QUEUED, 0, 0)
    async with ticket:
        pass
    with pytest.raises(RuntimeError, match="one turn"):
        await ticket.__aenter__()
    assert queue.load == 0


async def test_a_full_line_and_a_full_share_are_refused_at_once_with_a_time_to_come_back() -> None:
    queue = EngineQueue(1, QueueLimits(limit=4, share=0.5))
    here = await guests(queue, "noisy", "noisy", "noisy")
    with pytest.raises(Refusal) as share:
        await queue.turn(Wish("noisy")).__aenter__()
    here += await guests(queue, "a", "b")
    with pytest.raises(Refusal) as full:
        await queue.turn(Wish("c")).__aenter__()
    assert (share.value.reason, full.value.reason) == (Reason.CONCURRENCY_EXCEEDED, Reason.QUEUE_FULL)
    for refusal in (share.value, full.value):
        assert refusal.retry_after is not None
        assert 1 <= refusal.retry_after <= 60
    await end(*here)
    assert queue.load == 0


async def test_retry_after_follows_the_rate_at_which_turns_are_given_back() -> None:
    now = 0.0
    queue = EngineQueue(1, QueueLimits(limit=4, share=1.0), clock=lambda: now)
    here = await guests(queue, "k", "k", "k", "k", "k")
    for _ in range(20):
        now += 7.0
        await here.pop(0).end()
        here += await guests(queue, "k")
    with pytest.raises(Refusal) as caught:
        await queue.turn(Wish("k")).__aenter__()
    assert caught.value.retry_after == pytest.approx(7.0 * 5, rel=0.05)
    for guest in here:
        await guest.cancel()


async def test_a_long_wait_ends_and_leaves_the_line() -> None:
    queue = EngineQueue(1, QueueLimits(wait=0.03))
    (holder,) = await guests(queue, "a")
    late = Guest(queue, "b")
    await late.task
    assert late.failure is not None
    assert late.failure.reason is Reason.QUEUE_TIMEOUT
    assert queue.waiting == 0
    await holder.end()


async def test_who_leaves_the_line_is_gone_from_it_at_once_and_takes_no_turn() -> None:
    queue = EngineQueue(1, LIMITS)
    a, b, c = await guests(queue, "a", "b", "c")
    b.task.cancel()
    await until(lambda: queue.waiting == 1)
    assert c.ticket.position == 1
    await a.end()
    await until(lambda: c.runs)
    await c.end()
    assert queue.load == 0


async def test_a_slot_handed_to_a_caller_that_leaves_in_the_same_moment_goes_to_the_next() -> None:
    queue = EngineQueue(1, LIMITS)
    a, b, c = await guests(queue, "a", "b", "c")
    a.task.cancel()
    await asyncio.sleep(0)
    b.task.cancel()  # the slot is b's, which has not run yet
    await until(lambda: c.runs)
    await c.end()
    await asyncio.gather(a.task, b.task, return_exceptions=True)
    assert queue.load == 0


async def test_a_caller_that_leaves_as_its_time_runs_out_leaves_nothing_behind() -> None:
    queue = EngineQueue(1, QueueLimits(wait=0.02))
    (holder,) = await guests(queue, "a")
    late = Guest(queue, "b")
    await until(lambda: queue.waiting == 1)
    await until(lambda: queue.waiting == 0)
    late.task.cancel()  # the timer has rung, and the task has not run yet
    await asyncio.gather(late.task, return_exceptions=True)
    await holder.end()
    assert queue.load == 0


async def test_one_loads_and_the_others_are_told_that_they_wait_for_it() -> None:
    queue = EngineQueue(4, QueueLimits(wait=0.02, load_wait=30.0), models=1)
    loader = await loading(queue, "a", begins=False)
    other = await loading(queue, "b")
    elsewhere = Guest(queue, "c", model="other")
    await elsewhere.task
    assert elsewhere.failure is not None, "its own time is over, while those for the loading model still wait"
    assert not other.runs
    loader.ticket.began()
    loader.ticket.began()
    await until(lambda: other.runs)
    assert loader.phases == [Phase.LOADING, Phase.RUNNING]
    assert other.phases == [Phase.LOADING, Phase.RUNNING]
    await end(loader, other)


async def test_a_load_that_takes_too_long_ends_the_wait_for_it() -> None:
    queue = EngineQueue(4, QueueLimits(wait=30.0, load_wait=0.02), models=1)
    loader = await loading(queue, "a", begins=False)
    other = Guest(queue, "b")
    await other.task
    assert other.failure is not None
    assert other.failure.reason is Reason.QUEUE_TIMEOUT
    await loader.end()
    assert queue.load == 0


async def test_when_the_load_is_over_the_usual_time_counts_again() -> None:
    queue = EngineQueue(1, QueueLimits(wait=0.05, load_wait=30.0), models=1)
    loader = await loading(queue, "a", begins=False)
    other = await loading(queue, "b")
    loader.ticket.began()
    assert other.ticket.phase is Phase.QUEUED, "loaded, and the one slot is taken"
    async with asyncio.timeout(5):
        await other.task
    assert other.failure is not None
    await loader.end()


async def test_a_load_that_fails_is_tried_by_the_next() -> None:
    queue = EngineQueue(4, LIMITS, models=1)
    loader = await loading(queue, "a", begins=False)
    others = [Guest(queue, "b", begins=False), Guest(queue, "c", begins=False)]
    await until(lambda: queue.waiting == 2)
    await loader.cancel()
    await until(lambda: queue.waiting == 1)
    assert [guest.ticket.phase for guest in others] == [Phase.LOADING] * 2
    others[0].ticket.began()
    await until(lambda: others[1].runs)
    await end(*others)


async def test_more_slots_let_in_who_waits() -> None:
    queues = Queues(LIMITS)
    engine = Engine("e", Kind.OPENAI, "http://127.0.0.1:1", 1)
    queue = queues.of(engine)
    a, b = await guests(queue, "a", "b")
    assert queues.of(Engine("e", Kind.OPENAI, "http://127.0.0.1:1", 2)) is queue
    await until(lambda: b.runs)
    assert queues.of(Engine("f", Kind.OPENAI, "http://127.0.0.1:2", 1)) is not queue
    assert queues.of(Engine("e", Kind.OPENAI, "http://127.0.0.1:1", 2, loaded_models=1)) is not queue
    await end(a, b)


async def _storm(seed: int, slots: int, models: int | None, limits: QueueLimits) -> None:
    """Callers come, leave in line, in their slot and in between, while others are being let in."""
    rng = random.Random(seed)
    queue, running = EngineQueue(slots, limits, models), 0

    async def visit(caller: str, model: str, *, begins: bool, steps: int) -> None:
        nonlocal running
        try:
            async with queue.turn(Wish(caller, rng.choice(list(Priority)), model)) as ticket:
                running += 1
                assert running <= slots
                try:
                    for step in range(steps):
                        await asyncio.sleep(0)
                        if begins and step == steps // 2:
                            ticket.began()
                        ticket.charge(1, step)
                finally:
                    running -= 1
        except Refusal:
            pass

    tasks: list[asyncio.Task[None]] = []
    for _ in range(60):
        coming = visit(rng.choice("abc"), rng.choice("xy"), begins=rng.random() < 0.8, steps=rng.randrange(6))
        tasks.append(asyncio.ensure_future(coming))
        for _ in range(rng.randrange(3)):
            await asyncio.sleep(0)
        if rng.random() < 0.3:
            rng.choice(tasks).cancel()
        assert queue.waiting <= limits.limit
    async with asyncio.timeout(10):
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [result for result in results if result and not isinstance(result, asyncio.CancelledError)] == []
    assert (running, queue.load, queue.waiting) == (0, 0, 0)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 1 << 32),
    slots=st.integers(1, 3),
    models=st.sampled_from([None, 1, 2]),
    limit=st.sampled_from([0, 3, 64]),
    wait=st.sampled_from([0.0, 0.0005, 30.0]),
)
def test_no_slot_is_lost_or_given_twice_whoever_leaves_when(
    seed: int, slots: int, models: int | None, limit: int, wait: float
) -> None:
    asyncio.run(_storm(seed, slots, models, QueueLimits(limit=limit, wait=wait, passed_over=0.001)))


async def test_what_is_charged_after_the_turn_counts_too() -> None:
    queue = EngineQueue(1, LIMITS)
    async with queue.turn(Wish("much")) as ticket:
        pass
    ticket.charge(0, 5000)
    (holder,) = await guests(queue, "holder")
    much, little = await guests(queue, "much", "little")
    assert (much.ticket.position, little.ticket.position) == (2, 1)
    for guest in (holder, little, much):
        await until(lambda guest=guest: guest.runs)  # type: ignore[misc]
        await guest.end()
