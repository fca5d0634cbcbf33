"""What it costs to have a model fetched or deleted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policies.call import STOCK, Call, Dialect, Operation
from policies.principal import Scope
from tests.edge.test_accounts import ALL, TARGET, WHO, Books
from tests.policies import asking


@pytest.mark.parametrize("operation", sorted(STOCK))
async def test_a_model_that_is_fetched_or_deleted_is_a_request_without_tokens(operation: Operation) -> None:
    books = Books(ALL)
    exchange = books.exchange()
    asked = Call(operation, Dialect.OLLAMA, "tiny", stream=True)
    who = replace(WHO, scopes=frozenset(Scope))
    permitted = asking.permit(asking.question(who, operation, "tiny"))
    async with books.accounts.open(exchange, permitted, asked, TARGET):
        exchange.stages.sent = books.now
        assert await books.used() == {"requests/day": 1, "tokens/day": 0, "output/hour": 0, "gpu_ms/day": 0}
        books.now += 3600.0
        exchange.stages.answered = books.now
    assert await books.used() == {"requests/day": 1, "tokens/day": 0, "output/hour": 0, "gpu_ms/day": 0}
    (settled,) = books.ledger.settled
    assert (settled.input, settled.output, settled.gpu_ms, settled.reason) == (0, 0, 0, "")
    (hold,) = books.ledger.holds
    assert hold.operation == operation.value


@pytest.mark.parametrize(
    ("operation", "known", "written"),
    [
        (Operation.MODELS_PULL, "", ""),
        (Operation.MODELS_PULL, "tiny", "tiny"),
        (Operation.MODELS_DELETE, "tiny", "tiny"),
        (Operation.CHAT, "tiny", "tiny"),
    ],
)
async def test_names_of_models_that_are_not_there_stay_out_of_the_ledger(
    operation: Operation, known: str, written: str
) -> None:
    books = Books()
    exchange = books.exchange()
    exchange.model = known
    permitted = asking.permit(asking.question(replace(WHO, scopes=frozenset(Scope)), operation, "tiny"))
    async with books.accounts.open(exchange, permitted, Call(operation, Dialect.OLLAMA, "tiny"), TARGET):
        exchange.model = "tiny"  # it has come
    (hold,), (settled,) = books.ledger.holds, books.ledger.settled
    assert (hold.model, settled.model) == (written, "tiny")
