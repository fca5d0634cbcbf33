"""Requests at once: seats in the stores behind the lines of one process, which let no more through than there are."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from edge.limits.contract import Full, Lease, Seats
from edge.limits.settings import LimitClass, Per, Rule
from edge.queue.gate import CallerGates, RateClass
from edge.queue.settings import QueueLimits
from policies.call import Operation
from policies.decision import Abilities, Permit
from policies.errors import Refusal
from policies.obligations import Obligations
from policies.principal import DEFAULT_SCOPES, Principal, Quota
from policies.reasons import Reason
from policies.result import Decision
from tests.edge.test_accounts import TARGET, Books, call, permit, serve
from tests.policies import asking

NARROW = Principal("ann", "k1", "laptop", "key", frozenset({"dev"}), DEFAULT_SCOPES, quota=Quota(concurrency=3))


def admitted(rate_class: str | None) -> Permit:
    """A policy put the request into that class."""
    decision = Decision(allow=True, obligations=Obligations(rate_class=rate_class))
    abilities = Abilities(rate_classes=frozenset({"batch"}))
    found = asking.verdict(asking.question(NARROW, Operation.CHAT, "tiny"), decision, abilities)
    assert isinstance(found, Permit)
    return found


async def test_seats_are_given_back_whatever_happens() -> None:
    books = Books(Rule(name="two", per=Per.GROUP, groups=frozenset({"dev"}), concurrency=2))

    async def taken() -> list[int]:
        return [each.taken for each in (await books.filled()).seats]

    async with books.accounts.open(books.exchange(), permit(), call(), TARGET):
        async with books.accounts.open(books.exchange(), permit(), call(), TARGET):
            with pytest.raises(Refusal) as caught:
                await serve(books, books.exchange(), call(), tokens=1)
        assert await taken() == [1]
    assert caught.value.reason is Reason.CONCURRENCY_EXCEEDED
    assert "At most 2 at once, for two." in caught.value.text
    assert await taken() == [0]


async def test_seats_on_trial_are_told() -> None:
    books = Books(Rule(name="try", concurrency=1, shadow=True))
    async with books.accounts.open(books.exchange(), permit(), call(), TARGET):
        second = books.exchange()
        async with books.accounts.open(second, permit(), call(), TARGET):
            assert second.outcome.shadowed == ("try",)


@pytest.mark.parametrize(("rate_class", "most"), [("batch", 2), (None, 3)], ids=["of a class", "of the key itself"])
async def test_in_one_process_who_waits_in_line_is_never_refused_a_seat(
    monkeypatch: pytest.MonkeyPatch, rate_class: str | None, most: int
) -> None:
    books = Books(batch=LimitClass(concurrency=2))
    gates = CallerGates(QueueLimits(queued_per_caller=20), {"batch": RateClass(2)})
    said: list[Lease | Full] = []
    running: list[int] = [0]

    async def spy(seats: Sequence[Seats]) -> Lease | Full:
        said.append(await take(seats))
        return said[-1]

    take = books.leases.take
    monkeypatch.setattr(books.leases, "take", spy)

    async def ask(number: int) -> None:
        account = books.accounts.open(books.exchange(), admitted(rate_class), call(), TARGET)
        async with gates.turn(NARROW), gates.turn_in(NARROW, rate_class), account:
            running.append(running[-1] + 1)
            try:
                for _ in range(number % 4):
                    await asyncio.sleep(0)
            finally:
                running.append(running[-1] - 1)

    tasks = [asyncio.ensure_future(ask(number)) for number in range(20)]
    await asyncio.sleep(0)
    for leaving in tasks[1::3]:
        leaving.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert [each for each in ended if not isinstance(each, asyncio.CancelledError | None)] == []
    assert len(said) >= 13
    assert all(isinstance(each, Lease) for each in said)
    assert max(running) == most


async def test_beside_another_process_a_class_refuses_beyond_its_seats() -> None:
    books = Books(batch=LimitClass(concurrency=2))
    elsewhere = [await books.leases.take([Seats("class:batch key:k1", 2)]) for _ in range(2)]
    with pytest.raises(Refusal) as caught:
        async with books.accounts.open(books.exchange(), admitted("batch"), call(), TARGET):
            pass
    assert caught.value.reason is Reason.CONCURRENCY_EXCEEDED
    assert "At most 2 at once, for class batch." in caught.value.text
    assert isinstance(elsewhere[0], Lease)
    await books.leases.release(elsewhere[0])
    async with books.accounts.open(books.exchange(), admitted("batch"), call(), TARGET):
        pass
