"""Who goes on from what other models said is asked about each of them, and only the last word counts as the permit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import pytest

from edge.intake.intake import read_call
from edge.intake.offload import Parser
from edge.intake.routes import Routes
from edge.policy.enforcement import Enforcement
from edge.policy.surroundings import Surroundings
from edge.responses.answers import Question
from edge.responses.following import with_past
from edge.responses.settings import ResponseSettings
from edge.responses.shelf import Shelf
from edge.responses.store import open_store
from edge.store.database import Database
from engines.catalogue import Catalogue
from policies.call import Call
from policies.decision import Abilities
from policies.errors import Refusal
from policies.exchange import Client, Exchange
from policies.json import JSON, Object, as_list, as_object
from policies.principal import DEFAULT_SCOPES, Principal
from policies.reasons import Reason
from tests.edge.policy.test_enforcement import Log, Point, yes

T = TypeVar("T")
NOW: Final = 1_800_000_000.0
ANN: Final = Principal("ann", "k1", "laptop", "key", frozenset(), DEFAULT_SCOPES)


class Noting(Parser):
    """Knows how much it was given to do at the end."""

    size = 0

    async def aside(self, size: int, work: Callable[[], T]) -> T:
        Noting.size = size
        return await super().aside(size, work)


async def go_on(folder: Path, *models: str) -> tuple[Exchange, Call]:
    """A conversation in which each of `models` said something is gone on with by `tiny`, under a policy that knows
    tiny and qwen."""
    route = Routes().match("POST", "/v1/responses")
    assert route is not None
    exchange = Exchange("f" * 32, Client("127.0.0.1", 1, "local"), "POST", "/v1/responses")
    enforcement = Enforcement(Point(tiny=yes(), qwen=yes()), Log(), Surroundings({}, {}, zone="UTC"), Abilities())
    shelf = Shelf(open_store(Database(f"sqlite:///{folder / 'gateway.db'}"), ResponseSettings()), wall=lambda: NOW)
    exchange.outcome.bytes_in = 1_000_000
    parser = Noting()
    try:
        previous = ""
        for number, model in enumerate(models):
            request_id = f"{number:032x}"
            said: JSON = {"type": "output_text", "text": model}
            output: JSON = [{"type": "message", "role": "assistant", "content": [said]}]
            document: Object = {"id": f"resp_{request_id}", "model": model, "output": output}
            await shelf.keep("ann", {"input": "hi", "previous_response_id": previous}, document, request_id)
            previous = f"resp_{request_id}"
        call = read_call(route, {"model": "tiny", "input": "more", "previous_response_id": previous})
        try:
            call = await with_past(shelf, parser, Question(exchange, ANN, enforcement, Catalogue([])), route, call)
        except Refusal as refusal:
            exchange.outcome.reason = refusal.reason
        return exchange, call
    finally:
        shelf.close()
        parser.close()


async def test_what_another_model_said_is_gone_on_with_by_who_may_use_it(tmp_path: Path) -> None:
    exchange, call = await go_on(tmp_path, "qwen", "tiny")
    said = [as_object(turn)["content"] for turn in as_list(call.body["messages"])]
    assert said == ["hi", "qwen", "hi", "tiny", "more"]
    assert exchange.permit is None
    assert Noting.size > 1_000_000  # beside the loop, as it was checked the first time


@pytest.mark.parametrize("models", [("secret",), ("qwen", "secret"), ("secret", "tiny")])
async def test_who_may_not_use_one_of_them_is_refused_without_a_permit(tmp_path: Path, models: tuple[str, ...]) -> None:
    """A record of the refusal had the obligations and the grants of a model before."""
    exchange, _ = await go_on(tmp_path, *models)
    assert exchange.outcome.reason is Reason.MODEL_NOT_PERMITTED
    assert exchange.permit is None
