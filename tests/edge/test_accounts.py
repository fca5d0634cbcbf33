"""One request's accounts: held before, settled after, whatever happens in between."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from edge.accounts import Account, Accounts
from edge.ledger.entry import VOID, MemoryLedger
from edge.limits.contract import Actual, Ask, Held, Level, Over, StoreDown
from edge.limits.memory import MemoryBudget, MemoryLeases
from edge.limits.rules import Rules
from edge.limits.settings import Amounts, LimitClass, LimitSettings, Per, Rule
from engines.contract import Engine, Kind, Model, Target
from policies.call import Call, Dialect, Operation
from policies.decision import Permit
from policies.errors import Refusal
from policies.exchange import Client, Exchange
from policies.input import Counters, Shape
from policies.principal import DEFAULT_SCOPES, Principal
from policies.reasons import Reason
from tests.policies import asking

WHO = Principal("ann", "k1", "laptop", "key", frozenset({"dev"}), DEFAULT_SCOPES)
TARGET = Target(Engine("e", Kind.OPENAI, "http://127.0.0.1:1", 1), Model("tiny", "tiny"))


class Down(MemoryBudget):
    """A store that is away."""

    async def hold(self, ask: Ask) -> Held | Over:
        raise StoreDown("no Redis")

    async def levels(self, bounds: Sequence[object]) -> tuple[Level, ...]:
        raise StoreDown("no Redis")


class Books:
    """Accounts in memory at a standing clock."""

    def __init__(self, *rules: Rule, budget: MemoryBudget | None = None, **classes: LimitClass) -> None:
        self.now = 1000.0
        self.budget = budget or MemoryBudget(lambda: int(self.now * 1000))
        self.leases = MemoryLeases()
        self.ledger = MemoryLedger()
        self.accounts = Accounts(
            Rules(LimitSettings(classes, rules)),
            self.budget,
            self.leases,
            self.ledger,
            clock=lambda: self.now,
            wall=lambda: self.now,
        )

    def exchange(self) -> Exchange:
        exchange = Exchange("f" * 32, Client("127.0.0.1", 1, "local"))
        exchange.principal, exchange.shape = WHO, Shape(messages=1, input_chars=40)
        return exchange

    async def used(self) -> dict[str, int]:
        levels = await self.accounts.levels(WHO, "local")
        return {f"{level.bound.meter.value}/{level.bound.window.name}": level.used for level in levels}


def call(max_tokens: int | None = None, n: int = 1) -> Call:
    return Call(Operation.CHAT, Dialect.OPENAI, "tiny", body={"messages": []}, stream=True, max_tokens=max_tokens, n=n)


async def serve(books: Books, exchange: Exchange, asked: Call, *, tokens: int, reported: bool = True) -> Account:
    """An engine that generates `tokens` within what it may."""
    async with books.accounts.open(exchange, permit(), asked, TARGET) as account:
        exchange.stages.sent = books.now
        for _ in range(tokens):
            if not await account.meter.admit(1):
                break
        books.now += 2.0
        exchange.stages.answered = books.now
        if reported:
            usage = exchange.outcome.usage
            usage.input, usage.output, usage.source = 11, account.meter.used, "engine"
        exchange.outcome.status = 200
    return account


def permit() -> Permit:
    return asking.permit(asking.question(WHO, Operation.CHAT, "tiny"))


ALL = Rule(
    name="all",
    per=Per.OWNER,
    requests=Amounts(day=10),
    tokens=Amounts(day=2000),
    output=Amounts(hour=1000),
    gpu_seconds=Amounts(day=60),
)


async def test_what_was_used_is_charged_and_the_rest_given_back() -> None:
    books = Books(ALL)
    exchange = books.exchange()
    await serve(books, exchange, call(), tokens=30)
    assert await books.used() == {"requests/day": 1, "tokens/day": 41, "output/hour": 30, "gpu_ms/day": 2000}
    (settled,) = books.ledger.settled
    assert (settled.input, settled.output, settled.gpu_ms, settled.status, settled.source) == (
        11,
        30,
        2000,
        200,
        "engine",
    )
    assert exchange.outcome.estimated == 18
    assert await books.accounts.counters(WHO) == Counters(1, 41, 41, 0)


async def test_an_engine_that_counts_nothing_is_charged_by_what_was_relayed() -> None:
    books = Books(ALL)
    await serve(books, books.exchange(), call(), tokens=7, reported=False)
    (settled,) = books.ledger.settled
    assert (settled.input, settled.output, settled.source) == (18, 7, "metered")


async def test_an_answer_stops_at_what_is_left_and_the_engine_is_told() -> None:
    books = Books(Rule(name="small", output=Amounts(day=100)))
    account = await serve(books, books.exchange(), call(max_tokens=900), tokens=500)
    assert (account.meter.used, account.call.max_tokens) == (100, 100)
    with pytest.raises(Refusal) as caught:
        await serve(books, books.exchange(), call(), tokens=1)
    assert caught.value.reason is Reason.LIMIT_EXCEEDED


async def test_several_answers_share_what_is_left() -> None:
    books = Books(Rule(name="small", output=Amounts(day=100)))
    account = await serve(books, books.exchange(), call(n=4), tokens=0)
    assert account.call.max_tokens == 25


async def test_without_limits_nothing_is_clamped_and_all_is_counted() -> None:
    books = Books()
    account = await serve(books, books.exchange(), call(), tokens=5)
    assert account.call.max_tokens is None
    assert not account.meter.limited
    assert account.headers == {}
    assert (await books.accounts.counters(WHO)).tokens_day == 16


async def test_a_request_that_never_got_to_the_engine_costs_nothing() -> None:
    books = Books(ALL)
    with pytest.raises(Refusal):
        async with books.accounts.open(books.exchange(), permit(), call(), TARGET):
            raise Refusal(Reason.QUEUE_FULL)
    assert set((await books.used()).values()) == {0}
    assert [settled.reason for settled in books.ledger.settled] == [VOID]


async def test_a_caller_that_leaves_pays_for_what_was_relayed() -> None:
    books = Books(ALL)
    exchange = books.exchange()

    async def leave() -> None:
        async with books.accounts.open(exchange, permit(), call(), TARGET) as account:
            exchange.stages.sent = books.now
            assert await account.meter.admit(9)
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await leave()
    assert (await books.used())["output/hour"] == 9
    assert books.ledger.settled[0].output == 9
    assert books.ledger.open == {}


async def test_seats_are_given_back_whatever_happens() -> None:
    books = Books(Rule(name="two", per=Per.GROUP, groups=frozenset({"dev"}), concurrency=2))
    async with books.accounts.open(books.exchange(), permit(), call(), TARGET):
        async with books.accounts.open(books.exchange(), permit(), call(), TARGET):
            with pytest.raises(Refusal) as caught:
                await serve(books, books.exchange(), call(), tokens=1)
        assert books.leases.taken("rule:two group:dev") == 1
    assert caught.value.reason is Reason.CONCURRENCY_EXCEEDED
    assert "At most 2 at once, for two." in caught.value.text
    assert books.leases.taken("rule:two group:dev") == 0


async def test_a_journal_that_is_down_refuses_and_charges_nothing() -> None:
    books = Books(ALL)
    books.ledger.down = True
    with pytest.raises(Refusal) as caught:
        await serve(books, books.exchange(), call(), tokens=1)
    assert caught.value.reason is Reason.LEDGER_UNAVAILABLE
    assert set((await books.used()).values()) == {0}


async def test_a_store_that_is_down_refuses() -> None:
    books = Books(ALL, budget=Down(lambda: 0))
    with pytest.raises(Refusal) as caught:
        await serve(books, books.exchange(), call(), tokens=1)
    assert caught.value.reason is Reason.LIMITS_UNAVAILABLE
    assert books.ledger.holds == []
    assert await books.accounts.counters(WHO) == Counters()
    assert await books.accounts.levels(WHO, "local") == ()


async def test_over_use_is_charged() -> None:
    books = Books(Rule(name="small", tokens=Amounts(day=1000)))
    exchange = books.exchange()
    async with books.accounts.open(exchange, permit(), call(), TARGET):
        exchange.stages.sent = books.now
        usage = exchange.outcome.usage
        usage.input, usage.output, usage.source = 5000, 3, "engine"
    levels = await books.accounts.levels(WHO, "local")
    assert [(level.used, level.left) for level in levels] == [(5003, 0)]


async def test_settling_twice_changes_nothing() -> None:
    books = Books(ALL)
    account = await serve(books, books.exchange(), call(), tokens=3)
    before = await books.used()
    await books.budget.settle(account.held, Actual(99, 99))
    assert await books.used() == before
