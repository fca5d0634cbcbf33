"""A failing engine is passed over where another one has the model, and tried again now and then."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.breaker import FAILED, Breakers, Patience
from engines.contract import Engine, Kind, Model, Target
from policies.reasons import Reason

PATIENCE = Patience(failures=3, shortest=10.0, longest=40.0)


def target(name: str) -> Target:
    return Target(Engine(name, Kind.OPENAI, f"http://{name}", 1), Model("m", "m"))


A, B = target("a"), target("b")


@pytest.fixture
def breakers() -> Breakers:
    return Breakers(PATIENCE)


def fail(breakers: Breakers, times: int, now: float = 0.0) -> list[bool]:
    return [breakers.failed("a", Reason.ENGINE_BROKE, now) for _ in range(times)]


def test_failures_in_a_row_open_it_and_the_others_are_chosen_from(breakers: Breakers) -> None:
    assert fail(breakers, 2) == [False, False]
    assert list(breakers.usable((A, B), 0.0)) == [A, B]
    assert fail(breakers, 1) == [True]
    assert list(breakers.usable((A, B), 9.0)) == [B]
    assert breakers.known["a"].trips == 1


def test_an_answer_between_begins_anew(breakers: Breakers) -> None:
    fail(breakers, 2)
    assert breakers.answered("a") is False
    assert fail(breakers, 2) == [False, False]


def test_one_request_tries_it_and_an_answer_closes_it(breakers: Breakers) -> None:
    fail(breakers, 3)
    assert list(breakers.usable((A, B), 10.0)) == [A]
    assert list(breakers.usable((A, B), 10.1)) == [B]
    assert breakers.answered("a") is True
    assert list(breakers.usable((A, B), 10.2)) == [A, B]


def test_a_trial_that_fails_makes_the_wait_longer_up_to_an_end(breakers: Breakers) -> None:
    now, waits = 0.0, []
    fail(breakers, 3)
    for _ in range(4):
        began = now
        while list(breakers.usable((A, B), now)) != [A]:
            now += 1.0
        waits.append(now - began)
        assert fail(breakers, 1, now) == [False]
    assert waits == [10.0, 20.0, 40.0, 40.0]


def test_a_trial_that_never_ends_is_followed_by_another(breakers: Breakers) -> None:
    fail(breakers, 3)
    assert [list(breakers.usable((A, B), now)) for now in (10.0, 19.0, 20.0)] == [[A], [B], [A]]


def test_a_trial_that_never_got_there_leaves_it_to_the_next(breakers: Breakers) -> None:
    """Who is over a limit and asks again and again kept an engine out for ever."""
    fail(breakers, 3)
    assert list(breakers.usable((A, B), 10.0)) == [A]
    breakers.unasked("a", 9.0)  # another request
    assert list(breakers.usable((A, B), 10.1)) == [B]
    breakers.unasked("a", 10.0)
    assert list(breakers.usable((A, B), 10.2)) == [A]
    breakers.unasked("b", 10.2)


def test_what_was_under_way_when_it_opened_does_not_lengthen_it(breakers: Breakers) -> None:
    fail(breakers, 30)
    assert breakers.known["a"].trips == 1
    assert list(breakers.usable((A, B), 10.0)) == [A]


def test_if_all_are_open_all_are_asked(breakers: Breakers) -> None:
    fail(breakers, 3)
    for _ in range(3):
        breakers.failed("b", Reason.ENGINE_TIMEOUT, 0.0)
    assert list(breakers.usable((A, B), 1.0)) == [A, B]
    assert list(breakers.usable((A,), 1.0)) == [A]


@pytest.mark.parametrize("reason", sorted(set(Reason) - FAILED))
def test_only_failures_speak_against_an_engine(breakers: Breakers, reason: Reason) -> None:
    assert [breakers.failed("a", reason, 0.0) for _ in range(9)] == [False] * 9
    assert not breakers.known


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans(), st.floats(0.0, 30.0))))
def test_somebody_is_always_asked_and_a_healthy_engine_is_never_left_out(
    steps: list[tuple[str, bool, float]],
) -> None:
    breakers, now = Breakers(PATIENCE), 0.0
    for name, fails, passed in steps:
        now += passed
        if fails:
            breakers.failed(name, Reason.ENGINE_UNREACHABLE, now)
        else:
            breakers.answered(name)
        usable = breakers.usable((A, B), now)
        assert usable
        left_out = {each.engine.name for each in (A, B)} - {each.engine.name for each in usable}
        tried = any(breaker.open and breaker.tried == now for breaker in breakers.known.values())
        assert tried or all(breakers.known[each].open for each in left_out)
