"""Which engine fetches a model, and which one loses it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pytest

from edge.stock.choosing import KINDS, fetcher, fetchers, loser, spelling
from engines.contract import Engine, Kind, Model, Target
from policies.call import Dialect
from policies.errors import Refusal
from policies.reasons import Reason


def engine(name: str, kind: Kind, model: str | None = None) -> Engine:
    return Engine(name, kind, "http://127.0.0.1:1", 1, model=model)


LLAMA = engine("llama", Kind.LLAMA_SERVER)
RUNNER = engine("dmr", Kind.DOCKER_MODEL_RUNNER)
OLLAMA = engine("ollama", Kind.OLLAMA)
OTHER = engine("other", Kind.OLLAMA)
PINNED = engine("pinned", Kind.OLLAMA, model="qwen3")


def chosen(
    *engines: Engine,
    model: str = "smollm2",
    dialect: Dialect = Dialect.OPENAI,
    down: Collection[Engine] = (),
    holders: Collection[Engine] = (),
    named: str | None = None,
) -> Engine:
    up = {each: each not in down for each in engines}
    return fetcher(up, model, dialect, holders=holders, named=named)


@pytest.mark.parametrize(
    ("engines", "dialect", "holders", "expected"),
    [
        ((LLAMA, RUNNER, OLLAMA), Dialect.OPENAI, (), RUNNER),
        ((OLLAMA, RUNNER), Dialect.OPENAI, (), OLLAMA),
        ((RUNNER, OLLAMA), Dialect.OLLAMA, (), OLLAMA),
        ((OLLAMA, RUNNER), Dialect.MODEL_RUNNER, (), RUNNER),
        ((OLLAMA, OTHER), Dialect.OLLAMA, (), OLLAMA),
        ((OLLAMA, OTHER), Dialect.OLLAMA, (OTHER,), OTHER),
        ((RUNNER, OLLAMA), Dialect.OLLAMA, (RUNNER, LLAMA), RUNNER),
        ((PINNED, OTHER), Dialect.OLLAMA, (), OTHER),
    ],
)
def test_one_that_has_it_then_one_of_the_dialects_kind_then_the_first(
    engines: Sequence[Engine], dialect: Dialect, holders: Sequence[Engine], expected: Engine
) -> None:
    assert chosen(*engines, dialect=dialect, holders=holders) is expected


def test_one_that_is_named_fetches_or_nobody_does() -> None:
    assert chosen(RUNNER, OLLAMA, named="ollama", holders=(RUNNER,)) is OLLAMA
    with pytest.raises(Refusal) as away:
        chosen(RUNNER, OLLAMA, named="ollama", down=(OLLAMA,))
    assert away.value.reason is Reason.NO_ENGINE
    with pytest.raises(Refusal) as unable:
        chosen(LLAMA, RUNNER, named="llama")
    assert unable.value.reason is Reason.OPERATION_NOT_SUPPORTED


def test_who_is_away_fetches_nothing() -> None:
    assert chosen(RUNNER, OLLAMA, down=(RUNNER,)) is OLLAMA
    with pytest.raises(Refusal) as refused:
        chosen(LLAMA, OLLAMA, down=(OLLAMA,))
    assert refused.value.reason is Reason.NO_ENGINE


def test_where_no_engine_can_it_says_which_kinds_could() -> None:
    for engines in ((), (LLAMA,), (PINNED,)):
        with pytest.raises(Refusal) as refused:
            chosen(*engines)
        assert (refused.value.reason, refused.value.hint) == (Reason.OPERATION_NOT_SUPPORTED, KINDS)
    assert chosen(PINNED, model="qwen3:latest") is PINNED


def test_a_model_of_somebody_elses_machine_is_not_fetched() -> None:
    with pytest.raises(Refusal) as refused:
        chosen(OLLAMA, model="gpt-oss:120b-cloud")
    assert refused.value.reason is Reason.MODEL_NOT_PERMITTED


def test_all_that_could_are_known_to_who_has_to_choose() -> None:
    assert fetchers({LLAMA: True, RUNNER: True, PINNED: True, OTHER: True}, "smollm2") == [RUNNER, OTHER]
    assert fetchers({RUNNER: True, OTHER: True}, "smollm2", named="other") == [OTHER]


@pytest.mark.parametrize(
    ("name", "means", "asked"),
    [
        ("ai/Qwen3:Q4_K_M", "qwen3:q4_k_m", "ai/Qwen3:Q4_K_M"),
        ("qwen3:latest", "qwen3", "qwen3:latest"),
        ("coder", "qwen3", "qwen3"),
        ("Qwen3@code", "qwen3", "qwen3"),
    ],
)
def test_an_engine_is_asked_for_a_model_and_not_for_words_of_ours(name: str, means: str, asked: str) -> None:
    assert spelling(name, means) == asked


def test_who_loses_a_model() -> None:
    first, second, third = (Target(each, Model("m", "m")) for each in (LLAMA, RUNNER, OLLAMA))
    assert loser([first, second, third], Dialect.OLLAMA) is third
    assert loser([first, second, third], Dialect.MODEL_RUNNER) is second
    assert loser([first, third, second], Dialect.OPENAI) is third
    for unable in ((), (first,), (Target(RUNNER, Model("purge", "purge")),)):
        with pytest.raises(Refusal) as refused:
            loser(unable, Dialect.OLLAMA)
        assert refused.value.reason is Reason.OPERATION_NOT_SUPPORTED
