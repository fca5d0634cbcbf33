"""Whatever an engine does, the decision point gives an answer, and only a decision that was read strictly is a yes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.engine import PolicyEngineDown, PolicyFault
from policies.json import JSON, Object
from policies.pdp import CACHE, LAST_GOOD, DecisionPoint, LastGood
from policies.reasons import Reason

YES: Object = {"allow": True, "reasons": [], "obligations": {}, "grants": ["g"], "revision": ""}
NO: Object = {"allow": False, "reasons": [{"code": "no_grant"}], "obligations": {}, "grants": []}
QUESTION: Object = {"v": 1, "id": "1", "caller": {"id": "ann"}, "operation": "chat", "time": {"now_ns": 1, "hour": 3}}


class Engine:
    """Answers as it is told."""

    kind = "scripted"
    revision = "r1"

    def __init__(self, answer: Callable[[Object], JSON]) -> None:
        self.answer = answer
        self.asked: list[Object] = []

    async def evaluate(self, document: bytes) -> JSON:
        question: Object = orjson.loads(document)
        self.asked.append(question)
        return self.answer(question)

    async def close(self) -> None: ...


class Clock:
    """Stands still unless told otherwise."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def failing(error: Exception) -> Callable[[Object], JSON]:
    def answer(_: Object) -> JSON:
        raise error

    return answer


def point(answer: Callable[[Object], JSON], seconds: float | None = None) -> tuple[DecisionPoint, Engine, Clock]:
    engine, clock = Engine(answer), Clock()
    return DecisionPoint(engine, clock=clock, last_good=None if seconds is None else LastGood(seconds)), engine, clock


async def test_a_decision() -> None:
    answer = await point(lambda _: YES)[0].ask(QUESTION)
    assert answer.decision is not None
    assert answer.decision.allow
    assert (answer.engine, answer.revision, answer.result, answer.failure) == ("scripted", "r1", YES, None)


@pytest.mark.parametrize(
    ("given_answer", "reason"),
    [
        (failing(PolicyEngineDown("dead")), Reason.POLICY_UNAVAILABLE),
        (failing(PolicyFault("undefined")), Reason.POLICY_FAILED),
        (lambda _: True, Reason.POLICY_FAILED),
        (lambda _: None, Reason.POLICY_FAILED),
        (lambda _: {**YES, "allow": "true"}, Reason.POLICY_FAILED),
        (lambda _: {**YES, "allow": 1}, Reason.POLICY_FAILED),
        (lambda _: {**YES, "reasons": "none"}, Reason.POLICY_FAILED),
        (lambda _: {**YES, "obligations": {"dance": True}}, Reason.POLICY_OBLIGATION),
        (lambda _: {**YES, "obligations": {"max_tokens": 0}}, Reason.POLICY_OBLIGATION),
    ],
)
async def test_everything_else_is_a_failure_with_a_reason(
    given_answer: Callable[[Object], JSON], reason: Reason
) -> None:
    answer = await point(given_answer)[0].ask(QUESTION)
    assert (answer.decision, answer.failure) == (None, reason)
    assert answer.detail


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3),
        lambda i: st.lists(i) | st.dictionaries(st.sampled_from([*YES, "x"]), i),
    )
)
def test_no_document_but_a_clear_yes_is_one(document: JSON) -> None:
    answer = asyncio.run(point(lambda _: document)[0].ask(QUESTION))
    allowed = answer.decision is not None and answer.decision.allow
    assert not allowed or (isinstance(document, dict) and document["allow"] is True)


async def test_half_a_character_is_no_question() -> None:
    decisions, engine, _ = point(lambda _: YES)
    decisions.cache_on([("caller", "id")])
    answer = await decisions.ask({"caller": {"id": "\ud800"}})
    assert answer.failure is Reason.POLICY_FAILED
    assert engine.asked == []


async def test_answers_are_kept_by_what_the_policy_reads() -> None:
    decisions, engine, _ = point(lambda _: YES)
    assert not decisions.caches
    decisions.cache_on([("caller",), ("operation",)])
    for number in range(3):
        answer = await decisions.ask({**QUESTION, "id": str(number)})
        assert answer.engine == ("scripted" if number == 0 else CACHE)
    _ = await decisions.ask({**QUESTION, "operation": "embeddings"})
    _ = await decisions.ask({**QUESTION, "caller": {"id": "bob"}})
    assert len(engine.asked) == decisions.asked == 3


async def test_denials_are_kept_and_failures_are_not() -> None:
    answers: list[Callable[[Object], JSON]] = [failing(PolicyEngineDown("x")), failing(PolicyFault("x")), lambda _: NO]

    def answer(question: Object) -> JSON:
        return answers.pop(0)(question)

    decisions, engine, _ = point(answer)
    decisions.cache_on([("caller",)])
    found = [(await decisions.ask(QUESTION)) for _ in range(4)]
    assert [each.failure for each in found] == [Reason.POLICY_UNAVAILABLE, Reason.POLICY_FAILED, None, None]
    assert [each.engine for each in found[2:]] == ["scripted", CACHE]
    assert len(engine.asked) == 3


async def test_without_last_good_an_engine_that_is_away_denies() -> None:
    decisions, engine, _ = point(lambda _: YES)
    _ = await decisions.ask(QUESTION)
    engine.answer = failing(PolicyEngineDown("dead"))
    assert (await decisions.ask(QUESTION)).failure is Reason.POLICY_UNAVAILABLE


async def test_last_good_repeats_the_answer_to_the_same_question_for_a_while() -> None:
    decisions, engine, clock = point(lambda question: YES if question["operation"] == "chat" else NO, seconds=60)
    _ = await decisions.ask(QUESTION)
    _ = await decisions.ask({**QUESTION, "operation": "embeddings"})
    engine.answer = failing(PolicyEngineDown("dead"))
    clock.now += 59
    again = await decisions.ask({**QUESTION, "id": "2", "time": {"now_ns": 2, "hour": 3}})
    assert again.decision is not None
    assert (again.engine, again.decision.allow) == (LAST_GOOD, True)
    denied = await decisions.ask({**QUESTION, "operation": "embeddings"})
    assert denied.decision is not None
    assert not denied.decision.allow
    others: list[Object] = [{**QUESTION, "time": {"now_ns": 2, "hour": 4}}, {**QUESTION, "caller": {"id": "bob"}}]
    for other in others:
        assert (await decisions.ask(other)).failure is Reason.POLICY_UNAVAILABLE
    clock.now += 2
    assert (await decisions.ask(QUESTION)).failure is Reason.POLICY_UNAVAILABLE


async def test_last_good_never_covers_for_a_policy_that_fails() -> None:
    decisions, engine, _ = point(lambda _: YES, seconds=60)
    _ = await decisions.ask(QUESTION)
    engine.answer = failing(PolicyFault("undefined"))
    assert (await decisions.ask(QUESTION)).failure is Reason.POLICY_FAILED
