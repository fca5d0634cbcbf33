"""Turns are bounded, in order, and never leak."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from edge.queue.gate import CallerGates, Gate, KeyedGates, Line, RateClass
from edge.queue.settings import QueueLimits
from policies.errors import Refusal
from policies.principal import DEFAULT_SCOPES, Principal, Quota
from policies.reasons import Reason

LINE = Line(64, 30.0, Reason.QUEUE_FULL, Reason.QUEUE_TIMEOUT)


@contextlib.asynccontextmanager
async def turn(gate: Gate) -> AsyncIterator[None]:
    await gate.take()
    try:
        yield
    finally:
        gate.give()


async def hold(gate: Gate, entered: asyncio.Event, leave: asyncio.Event) -> None:
    async with turn(gate):
        entered.set()
        await leave.wait()


async def until(condition: object) -> None:
    async with asyncio.timeout(5):
        while not (callable(condition) and condition()):
            await asyncio.sleep(0)


async def test_no_more_than_concurrency_at_once_and_first_come_first_served() -> None:
    gate, running, order = Gate(2, LINE), 0, list[int]()

    async def one(number: int) -> None:
        nonlocal running
        async with turn(gate):
            running += 1
            assert running <= 2
            order.append(number)
            await asyncio.sleep(0)
            running -= 1

    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(one(number))
    assert order == list(range(20))
    assert gate.busy == 0


async def test_a_full_line_refuses_at_once_and_a_long_wait_ends() -> None:
    gate, entered, leave = (
        Gate(1, Line(1, 0.05, Reason.QUEUE_FULL, Reason.QUEUE_TIMEOUT)),
        asyncio.Event(),
        asyncio.Event(),
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(hold(gate, entered, leave))
        await entered.wait()
        waiting = group.create_task(_reason(gate))
        await until(lambda: gate.busy == 2)
        assert await _reason(gate) is Reason.QUEUE_FULL
        assert await waiting is Reason.QUEUE_TIMEOUT
        leave.set()
    assert gate.busy == 0


async def _reason(gate: Gate) -> Reason:
    with pytest.raises(Refusal) as caught:
        async with turn(gate):
            pass
    assert caught.value.retry_after is not None
    return caught.value.reason


async def test_a_caller_that_leaves_the_line_or_the_slot_leaks_nothing() -> None:
    gate, leave = Gate(1, LINE), asyncio.Event()
    events = [asyncio.Event() for _ in range(3)]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(hold(gate, event, leave)) for event in events]
        await until(lambda: gate.busy == 3)
        tasks[1].cancel()
        await until(lambda: gate.busy == 2)
        tasks[0].cancel()
        await events[2].wait()
        leave.set()
    assert not events[1].is_set()
    assert gate.busy == 0


async def test_a_slot_handed_to_a_caller_that_leaves_in_the_same_moment_goes_on() -> None:
    gate, leave = Gate(1, LINE), asyncio.Event()
    events = [asyncio.Event() for _ in range(3)]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(hold(gate, event, leave)) for event in events]
        await until(lambda: gate.busy == 3)
        tasks[0].cancel()
        await asyncio.sleep(0)  # the slot now belongs to tasks[1], which has not run yet
        tasks[1].cancel()
        await events[2].wait()
        leave.set()
    assert gate.busy == 0


def caller(key_id: str, concurrency: int | None = None) -> Principal:
    return Principal("o", key_id, "n", "key", frozenset(), DEFAULT_SCOPES, quota=Quota(concurrency=concurrency))


async def hold_caller(gates: CallerGates, who: Principal, entered: list[str], leave: asyncio.Event) -> None:
    async with gates.turn(who):
        entered.append(who.key_id)
        await leave.wait()


@pytest.mark.parametrize(("own", "at_once"), [(None, 2), (1, 1), (9, 2)])
async def test_a_caller_holds_so_many_slots_and_no_more_and_disturbs_nobody(own: int | None, at_once: int) -> None:
    gates, entered, leave = (
        CallerGates(QueueLimits(in_flight_per_caller=2, queued_per_caller=1)),
        list[str](),
        asyncio.Event(),
    )
    async with asyncio.TaskGroup() as group:
        for _ in range(at_once + 1):
            group.create_task(hold_caller(gates, caller("noisy", own), entered, leave))
        group.create_task(hold_caller(gates, caller("quiet"), entered, leave))
        await until(lambda: len(entered) == at_once + 1)
        with pytest.raises(Refusal) as caught:
            async with gates.turn(caller("noisy", own)):
                pass
        assert caught.value.reason is Reason.CONCURRENCY_EXCEEDED
        assert sorted(entered) == ["noisy"] * at_once + ["quiet"]
        leave.set()
    assert len(entered) == at_once + 2
    assert len(gates) == 0


async def test_a_gate_at_which_nobody_stands_is_forgotten_however_they_left() -> None:
    gates = KeyedGates(Line(1, 30.0, Reason.CONCURRENCY_EXCEEDED, Reason.CONCURRENCY_EXCEEDED))

    async def wait() -> None:
        async with gates.turn("key", 1):
            pass

    async with gates.turn("key", 1):
        waiting = asyncio.ensure_future(wait())
        await until(lambda: gates.gate("key", 1).busy == 2)
        with pytest.raises(Refusal):
            async with gates.turn("key", 1):
                pass
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert len(gates) == 1
    assert len(gates) == 0


async def test_a_class_holds_each_credential_to_its_slots() -> None:
    classes = {"narrow": RateClass(concurrency=1), "free": RateClass()}
    gates = CallerGates(QueueLimits(queued_per_caller=0), classes)
    one, other = (Principal(n, n, n, "key", frozenset(), DEFAULT_SCOPES) for n in ("one", "other"))
    async with gates.turn_in(one, "narrow"), gates.turn_in(other, "narrow"):
        with pytest.raises(Refusal) as caught:
            async with gates.turn_in(one, "narrow"):
                pass
        assert caught.value.reason is Reason.CONCURRENCY_EXCEEDED
        async with gates.turn_in(one, "free"), gates.turn_in(one, None):
            assert len(gates) == 2
    assert len(gates) == 0


def test_a_class_without_a_slot_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="concurrency"):
        RateClass(concurrency=0)
