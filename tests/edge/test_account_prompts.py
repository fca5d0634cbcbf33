"""What a prompt is taken for before its engine has counted it, and what counting it costs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge.limits.settings import Amounts, Rule
from policies.errors import Refusal
from policies.input import shape_of
from policies.json import Object
from tests.edge.test_accounts import TARGET, Books, call, permit, serve


@pytest.mark.parametrize(
    "turn",
    [
        {"role": "assistant", "content": None, "reasoning_content": "x" * 400_000},
        {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": "x" * 400_000}}]},
        {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "x" * 400_000, "arguments": ""}}]},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "x" * 400_000}]},
    ],
)
async def test_wherever_in_a_message_text_stands_it_is_held(turn: Object) -> None:
    books = Books(Rule(name="small", input=Amounts(day=10_000)))
    asked = replace(call(), body={"messages": [turn]})
    exchange = books.exchange()
    exchange.shape = shape_of(asked)
    with pytest.raises(Refusal):
        await serve(books, exchange, asked, tokens=1)


async def test_who_only_counts_a_prompt_is_charged_one_request_and_no_tokens() -> None:
    books = Books(Rule(name="small", input=Amounts(day=500), requests=Amounts(day=9)))

    async def counted() -> int:
        return 501

    exchange = books.exchange()
    async with books.accounts.open(exchange, permit(), replace(call(), counts=True), TARGET) as account:
        await books.accounts.measure(account, counted)
        exchange.stages.sent = books.now
    assert await books.used() == {"input/day": 0, "requests/day": 1}
