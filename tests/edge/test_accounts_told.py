"""What an engine is told of limits, and what the ledger is told before an answer goes out."""

from __future__ import annotations

import pytest

from edge.limits.settings import Amounts, Rule
from tests.edge.test_accounts import ALL, TARGET, Books, call, permit, serve


@pytest.mark.parametrize(
    ("left", "asked", "told"),
    [(1_024, None, 1_024), (1_025, None, None), (5_000, 4_000, 4_000), (5_000, 9_000, 5_000)],
)
async def test_an_engine_is_told_a_number_where_the_caller_named_one_or_the_end_is_near(
    left: int, asked: int | None, told: int | None
) -> None:
    """A large number took mlx-lm's own default away, and vLLM refuses one that is beyond a model's context."""
    books = Books(Rule(name="large", output=Amounts(day=left)))
    account = await serve(books, books.exchange(), call(asked), tokens=5)
    assert account.call.max_tokens == told
    assert account.meter.limited


@pytest.mark.parametrize(("took", "notes"), [(0.9, 0), (1.1, 1)])
async def test_a_whole_answer_is_noted_before_it_is_delivered_unless_it_took_no_time(took: float, notes: int) -> None:
    books = Books(ALL)
    exchange = books.exchange()
    async with books.accounts.open(exchange, permit(), call(), TARGET) as account:
        exchange.stages.sent = books.now
        await account.meter.admit(7)
        exchange.stages.answered = books.now + took
        await books.accounts.note(exchange, account)
        assert [progress.output for progress in books.ledger.progresses] == [7] * notes
