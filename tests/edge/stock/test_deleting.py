"""What stays: a model that somebody needs, and one that was not named."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edge.stock.deleting import NO_PRESET, check_spelling, check_unused
from edge.stock.pulls import Pulls
from engines.catalogue import Catalogue
from engines.contract import Engine, Kind, Model, Target
from policies.errors import Refusal
from policies.exchange import Client, Exchange
from policies.reasons import Reason

BOX = Engine("box", Kind.OLLAMA, "http://127.0.0.1:1", 1)
TINY = Target(BOX, Model("tiny", "Tiny:latest"))


def exchange(engine: str, model: str, answered: float = 0.0) -> Exchange:
    made = Exchange("f" * 32, Client("127.0.0.1", 1, "local"))
    made.engine, made.model, made.stages.answered = engine, model, answered
    return made


def test_what_nobody_needs_may_go() -> None:
    pulls = Pulls()
    others = [exchange("box", "tiny", 5.0), exchange("box", "other"), exchange("cellar", "tiny")]
    with pulls.take("other"):
        check_unused(TINY, others, pulls)
    with pulls.take("tiny"):
        pass
    check_unused(TINY, others, pulls)


def test_what_is_being_fetched_stays() -> None:
    pulls = Pulls()
    with pulls.take("tiny"), pytest.raises(Refusal) as busy:
        check_unused(TINY, (), pulls)
    assert busy.value.reason is Reason.MODEL_IN_USE


def test_what_somebody_is_answered_by_or_waits_for_stays() -> None:
    def others() -> Iterator[Exchange]:
        yield exchange("box", "other")
        yield exchange("box", "tiny")

    with pytest.raises(Refusal) as busy:
        check_unused(TINY, others(), Pulls())
    assert busy.value.reason is Reason.MODEL_IN_USE


OFFERS = [(BOX, [TINY.model, Model("tiny@8bit", "tiny@8bit")])]
ALIASES = {"coder": "tiny@code", "tiny@chat": "tiny"}


@pytest.mark.parametrize("name", ["tiny", "Tiny:latest", "coder", "Coder:latest", "tiny@chat", "tiny@q4", "nowhere"])
def test_a_model_is_deleted_by_its_name_or_an_alias(name: str) -> None:
    check_spelling(name, Catalogue(OFFERS, ALIASES, {"code", "8bit"}))


@pytest.mark.parametrize("name", ["tiny@8bit", "Tiny@CODE:latest", "coder@8bit", "tiny@chat@code", "nowhere@code"])
def test_but_not_with_a_preset_behind_it(name: str) -> None:
    with pytest.raises(Refusal) as refused:
        check_spelling(name, Catalogue(OFFERS, ALIASES, {"code", "8bit"}))
    found = refused.value
    assert (found.reason, found.param, found.hint) == (Reason.INVALID_PARAMETER, "model", NO_PRESET)
