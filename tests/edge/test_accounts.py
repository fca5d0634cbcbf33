"""One request's accounts: held before, settled after, whatever happens in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from edge.accounts import Account, Accounts
from edge.ledger.entry import VOID, MemoryLedger
from edge.limits.contract import Actual, Ask, Held, Level, Over, StoreDown
from edge.limits.memory import MemoryBudget, MemoryLeases
from edge.limits.rules import Rules
from edge.limits.settings import Amounts, LimitClass, LimitSettings, Per, Rule
from edge.limits.standing import Filled
from engines.contract import Engine, Kind, Model, Target
from policies.call import Call, Dialect, Operation
from policies.decision import Permit
from policies.errors import EngineBroke, EngineUnreachable, Refusal
from policies.exchange import Client, Exchange
from policies.input import Counters, Shape
from policies.json import JSON
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
            remote=budget is not None,
        )

    def exchange(self) -> Exchange:
        exchange = Exchange("f" * 32, Client("127.0.0.1", 1, "local"))
        exchange.principal, exchange.shape = WHO, Shape(messages=1, input_chars=40)
        return exchange

    async def used(self) -> dict[str, int]:
        return {
            f"{level.bound.meter.value}/{level.bound.window.name}": level.used
            for level in (await self.filled()).windows
        }

    async def filled(self) -> Filled:
        standing = await self.accounts.levels(WHO, "local")
        assert standing is not None
        return standing.all


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
    with pytest.raises(Refusal) as unknown:
        await books.accounts.counters(WHO)
    assert unknown.value.reason is Reason.LIMITS_UNAVAILABLE
    assert await books.accounts.levels(WHO, "local") is None


async def test_over_use_is_charged() -> None:
    books = Books(Rule(name="small", tokens=Amounts(day=1000)))
    exchange = books.exchange()
    async with books.accounts.open(exchange, permit(), call(), TARGET):
        exchange.stages.sent = books.now
        usage = exchange.outcome.usage
        usage.input, usage.output, usage.source = 5000, 3, "engine"
    assert [(level.used, level.left) for level in (await books.filled()).windows] == [(5003, 0)]


class Slow(MemoryBudget):
    """A store on the network: settling waits until it is let."""

    def __init__(self, ms: Callable[[], int]) -> None:
        super().__init__(ms)
        self.asked, self.go = asyncio.Event(), asyncio.Event()

    async def settle(self, held: Held, actual: Actual) -> None:
        self.asked.set()
        await self.go.wait()
        await super().settle(held, actual)


@pytest.mark.parametrize("sent", [True, False])
async def test_cut_while_it_settles_it_leaves_nothing_open(*, sent: bool) -> None:
    budget = Slow(lambda: 1_000_000)
    books = Books(ALL, budget=budget)
    exchange = books.exchange()

    async def go() -> None:
        async with books.accounts.open(exchange, permit(), call(), TARGET):
            exchange.stages.sent = books.now if sent else 0.0
            raise Refusal(Reason.ENGINE_BROKE)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(go())
        await budget.asked.wait()
        task.cancel()  # the caller leaves while an error is being settled
    assert books.ledger.open == {}
    budget.go.set()
    async with asyncio.timeout(5):
        while budget.windows.running:
            await asyncio.sleep(0)


async def test_an_engine_that_lies_about_its_counts_leaks_nothing() -> None:
    books = Books(ALL)
    exchange = books.exchange()
    async with books.accounts.open(exchange, permit(), call(), TARGET):
        exchange.stages.sent = books.now
        usage = exchange.outcome.usage
        usage.input, usage.output, usage.source = 1 << 60, 1 << 60, "engine"
        exchange.outcome.finish = "stop"
    assert books.budget.windows.running == 0
    assert books.ledger.open == {}


async def test_failures_are_errors_in_the_ledger_and_leaving_is_none() -> None:
    books = Books(ALL)

    async def fail(error: BaseException, exchange: Exchange) -> None:
        async with books.accounts.open(exchange, permit(), call(), TARGET):
            exchange.stages.sent = exchange.stages.first_byte = books.now
            raise error

    exchanges = [books.exchange() for _ in range(3)]
    with pytest.raises(EngineBroke) as caught:
        await fail(EngineBroke("x"), exchanges[0])
    with pytest.raises(ConnectionError):
        await fail(ConnectionResetError(), exchanges[1])
    with pytest.raises(ZeroDivisionError):
        await fail(ZeroDivisionError(), exchanges[2])
    assert caught.value.headers["x-ratelimit-remaining-requests"] == "9"
    told = [(settled.status, settled.reason, settled.failed) for settled in books.ledger.settled]
    assert told == [(502, "engine_broke", True), (499, "client_gone", False), (500, "internal", True)]


async def test_an_engine_that_is_away_costs_nothing() -> None:
    books = Books(ALL)
    exchange = books.exchange()

    async def go() -> None:
        async with books.accounts.open(exchange, permit(), call(), TARGET):
            exchange.stages.sent = books.now
            raise EngineUnreachable

    with pytest.raises(EngineUnreachable):
        await go()
    assert set((await books.used()).values()) == {0}
    assert books.ledger.settled[0].reason == VOID


async def test_what_is_used_during_a_raise_counts_afterwards() -> None:
    month = Rule(name="month", per=Per.OWNER, tokens=Amounts(month=1000))
    raised = Rule(
        name="launch", per=Per.OWNER, tokens=Amounts(month=9000), replaces=frozenset({"month"}), until="1970-01-02"
    )
    books = Books(month, raised)
    exchange = books.exchange()
    async with books.accounts.open(exchange, permit(), call(), TARGET):
        exchange.stages.sent = books.now
        usage = exchange.outcome.usage
        usage.input, usage.output, usage.source = 100, 4000, "engine"
        exchange.outcome.finish = "stop"
    books.now = 100_000.0
    (level,) = (await books.filled()).windows
    assert (level.bound.name, level.used, level.left) == ("month", 4100, 0)


async def test_tools_and_pictures_are_part_of_the_prompt() -> None:
    books = Books(Rule(name="small", input=Amounts(day=10_000)))
    tools: list[JSON] = [{"type": "function", "function": {"name": "f", "description": "x" * 400_000}}]
    picture: JSON = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    with pytest.raises(Refusal):
        await serve(books, books.exchange(), replace(call(), body={"messages": [], "tools": tools}), tokens=1)
    seen: list[JSON] = [{"role": "user", "content": [picture] * 3}]
    account = await serve(books, books.exchange(), replace(call(), body={"messages": seen}), tokens=1)
    assert account.held.ask.input > 3_000


async def test_the_engines_tokenizer_is_asked_behind_hold_and_journal_and_corrects_the_hold() -> None:
    books = Books(Rule(name="small", input=Amounts(day=500)))
    exchange = books.exchange()

    async def count() -> int:
        assert books.ledger.open
        return 400

    async with books.accounts.open(exchange, permit(), call(), TARGET) as account:
        await books.accounts.measure(account, count)
        assert (await books.used())["input/day"] == 400
        exchange.stages.sent = books.now
    assert (await books.used())["input/day"] == 400

    async def too_many() -> int:
        return 501

    with pytest.raises(Refusal):
        async with books.accounts.open(books.exchange(), permit(), call(), TARGET) as account:
            await books.accounts.measure(account, too_many)
    assert (await books.used())["input/day"] == 400


async def test_without_a_limit_of_prompts_the_tokenizer_is_left_alone() -> None:
    books = Books(Rule(name="small", output=Amounts(day=500)))

    async def never() -> int:
        raise AssertionError

    async with books.accounts.open(books.exchange(), permit(), call(), TARGET) as account:
        await books.accounts.measure(account, never)


async def test_what_many_choices_cost_is_learnt_for_each() -> None:
    books = Books(Rule(name="much", output=Amounts(day=100_000)))
    for _ in range(6):
        exchange = books.exchange()
        async with books.accounts.open(exchange, permit(), call(n=8), TARGET):
            exchange.stages.sent = books.now
            usage = exchange.outcome.usage
            usage.input, usage.output, usage.source = 11, 800, "engine"
            exchange.outcome.finish = "stop"
    async with books.accounts.open(books.exchange(), permit(), call(n=8), TARGET) as account:
        assert account.held.granted == 800


async def test_engines_time_is_held_so_that_not_everybody_goes_over() -> None:
    books = Books(Rule(name="gpu", gpu_seconds=Amounts(hour=10)))
    first = books.accounts.open(books.exchange(), permit(), call(), TARGET)
    async with first, books.accounts.open(books.exchange(), permit(), call(), TARGET):
        with pytest.raises(Refusal):
            await serve(books, books.exchange(), call(), tokens=1)


async def test_settling_twice_changes_nothing() -> None:
    books = Books(ALL)
    account = await serve(books, books.exchange(), call(), tokens=3)
    before = await books.used()
    await books.budget.settle(account.held, Actual(99, 99))
    assert await books.used() == before
