"""A failing engine is passed over where another one has the model, and tried again now and then."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines import breaker as under_test
from engines.breaker import FAILED, Attempt, Breakers, Patience, Whom
from engines.contract import Engine, Kind, Model, Target
from policies.reasons import Reason

PATIENCE = Patience(failures=3, shortest=10.0, longest=40.0)
BROKE = Reason.ENGINE_BROKE


def target(name: str) -> Target:
    return Target(Engine(name, Kind.OPENAI, f"http://{name}", 1), Model("m", "m"))


A, B = target("a"), target("b")


@pytest.fixture
def breakers() -> Breakers:
    return Breakers(PATIENCE)


def fail(breakers: Breakers, callers: Iterable[str], now: float = 0.0, *, connected: bool = True) -> list[Whom | None]:
    """A request of each fails at `a`."""
    return [breakers.failed(Attempt("a", each, now), BROKE, now, connected=connected) for each in callers]


def asked(breakers: Breakers, now: float, caller: str = "k", *, busy: str = "") -> list[str]:
    """Who may get a request of `caller`; those in `busy` have no free slot."""
    return [each.engine.name for each in breakers.usable((A, B), caller, now, lambda one: one.engine.name not in busy)]


def answer(breakers: Breakers, caller: str = "k") -> Whom | None:
    return breakers.answered(Attempt("a", caller, 0.0))


# one caller


def test_failures_in_a_row_of_one_caller_open_it_for_that_caller_alone(breakers: Breakers) -> None:
    assert fail(breakers, "kk") == [None, None]
    assert asked(breakers, 0.0) == ["a", "b"]
    assert fail(breakers, "k") == [Whom.CALLER]
    assert asked(breakers, 9.0) == ["b"]
    assert asked(breakers, 9.0, "other") == ["a", "b"]
    assert not breakers.known["a"].open


def test_an_answer_between_begins_anew(breakers: Breakers) -> None:
    fail(breakers, "kk")
    assert answer(breakers) is None
    assert fail(breakers, "kk") == [None, None]


def test_answers_of_others_do_not_send_a_caller_back(breakers: Breakers) -> None:
    fail(breakers, "kk")
    answer(breakers, "other")
    assert fail(breakers, "k") == [Whom.CALLER]
    answer(breakers, "other")
    assert asked(breakers, 9.0) == ["b"]


def test_one_request_tries_it_and_an_answer_closes_it(breakers: Breakers) -> None:
    fail(breakers, "kkk")
    assert asked(breakers, 10.0) == ["a"]
    assert asked(breakers, 10.1) == ["b"]
    assert answer(breakers) is Whom.CALLER
    assert asked(breakers, 10.2) == ["a", "b"]


def test_a_trial_that_fails_makes_the_wait_longer_up_to_an_end(breakers: Breakers) -> None:
    now, waits = 0.0, []
    fail(breakers, "kkk")
    for _ in range(4):
        began = now
        while asked(breakers, now) != ["a"]:
            now += 1.0
        waits.append(now - began)
        assert fail(breakers, "k", now) == [None]
    assert waits == [10.0, 20.0, 40.0, 40.0]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["fails", "answers", "refuses", "leaves", "is not sent"]),
            st.sampled_from("ab"),
            st.floats(0, 70),
        )
    )
)
def test_no_engine_is_taken_from_others_by_anything_that_one_caller_does(steps: list[tuple[str, str, float]]) -> None:
    breakers, now = Breakers(PATIENCE), 0.0
    for what, engine, passed in steps:
        now += passed
        attempt = Attempt(engine, "k", now)
        asked(breakers, now)
        match what:
            case "fails":
                breakers.failed(attempt, Reason.ENGINE_TIMEOUT, now)
            case "answers":
                breakers.answered(attempt)
            case "refuses":
                breakers.failed(attempt, Reason.ENGINE_REFUSED, now)
            case "leaves":
                breakers.left(attempt)
            case _:
                breakers.unasked(attempt)
        assert asked(breakers, now, "other") == ["a", "b"]


def test_of_callers_without_end_the_oldest_is_forgotten(breakers: Breakers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "_MOST", 2)
    for caller in ("k1", "k2", "k3"):
        fail(breakers, [caller] * 3)
        answer(breakers, "other")
    assert [asked(breakers, 1.0, caller) for caller in ("k1", "k2", "k3")] == [["a", "b"], ["b"], ["b"]]


# all callers


def test_failures_of_several_callers_open_it_for_all(breakers: Breakers) -> None:
    assert fail(breakers, "kkl") == [None, None, None]
    assert asked(breakers, 0.0, "other") == ["a", "b"]
    assert fail(breakers, "m") == [Whom.ALL]
    assert asked(breakers, 9.0, "other") == ["b"]
    assert breakers.known["a"].trips == 1


def test_anybodys_answer_begins_anew_for_all(breakers: Breakers) -> None:
    fail(breakers, "kl")
    answer(breakers, "other")
    assert fail(breakers, "klm") == [None, None, Whom.ALL]


def test_without_a_connection_one_callers_requests_tell_of_all(breakers: Breakers) -> None:
    """No request can be the cause of that."""
    assert fail(breakers, "kkk", connected=False) == [None, None, Whom.ALL]
    assert asked(breakers, 9.0, "other") == ["b"]
    assert asked(breakers, 10.0, "other") == ["a"]
    assert answer(breakers, "other") is Whom.ALL
    assert asked(breakers, 10.1) == ["a", "b"]


def test_without_a_connection_each_trial_makes_the_wait_longer(breakers: Breakers) -> None:
    fail(breakers, "kkk", connected=False)
    assert asked(breakers, 10.0) == ["a"]
    fail(breakers, "k", 10.0, connected=False)
    assert asked(breakers, 29.0) == ["b"]
    assert asked(breakers, 30.0) == ["a"]


def test_one_callers_trials_make_the_wait_of_all_longer_only_once(breakers: Breakers) -> None:
    fail(breakers, "abc")
    assert asked(breakers, 10.0) == ["a"]
    fail(breakers, "k", 10.0)
    assert breakers.known["a"].trips == 2
    assert asked(breakers, 30.0) == ["a"]
    fail(breakers, "k", 30.0)
    assert breakers.known["a"].trips == 2
    assert asked(breakers, 30.1, "other") == ["a"]


def test_callers_that_fail_in_turn_keep_it_from_all_no_longer_than_each_can_once(breakers: Breakers) -> None:
    """Each opening counted everybody's anew: two callers were enough to keep it open for ever."""
    fail(breakers, "abc")
    now, until = 10.0, []
    for caller in "xy" * 10:
        now = max(now + 1.0, breakers.known["a"].until)
        fail(breakers, caller, now)
        until.append(breakers.known["a"].until)
    assert breakers.known["a"].trips == 3
    assert until == [until[0], *[until[1]] * 19]
    fail(breakers, "a", now)  # it had its say before this opened
    assert asked(breakers, now, "other") == ["a"]


def test_an_answer_lets_everybodys_failures_count_again(breakers: Breakers) -> None:
    fail(breakers, "abc")
    answer(breakers)
    assert fail(breakers, "abc", 20.0) == [None, None, Whom.ALL]


def test_of_callers_that_failed_without_end_the_oldest_is_forgotten(
    breakers: Breakers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "_MOST", 4)
    fail(breakers, "abc")
    for number, caller in enumerate("defbge", start=1):  # `b` was forgotten by then, `e` not
        fail(breakers, caller, 100.0 * number)
    assert len(breakers.known["a"].callers) == 4
    assert breakers.known["a"].trips == 6


@given(st.lists(st.tuples(st.sampled_from("klmnop"), st.floats(0, 70))))
def test_of_each_caller_one_failure_counts_until_somebody_is_answered(steps: list[tuple[str, float]]) -> None:
    breakers, now = Breakers(PATIENCE), 0.0
    for caller, passed in steps:
        now += passed
        fail(breakers, caller, now)
        failed = breakers.known["a"]
        assert failed.failures == len(failed.callers)
        assert failed.trips == max(len(failed.callers) - PATIENCE.failures + 1, 0)


def test_who_is_shut_out_itself_tries_only_when_all_may(breakers: Breakers) -> None:
    fail(breakers, "kkk")
    fail(breakers, "lm", 5.0)
    assert asked(breakers, 10.0) == ["b"]
    assert asked(breakers, 15.0) == ["a"]
    assert asked(breakers, 15.1, "other") == ["b"]


def test_what_was_under_way_when_it_opened_does_not_lengthen_it(breakers: Breakers) -> None:
    fail(breakers, "abcdefghij" * 3)
    assert breakers.known["a"].trips == 1
    assert asked(breakers, 10.0) == ["a"]


def test_if_all_are_open_all_are_asked(breakers: Breakers) -> None:
    fail(breakers, "abc")
    for caller in "abc":
        breakers.failed(Attempt("b", caller, 0.0), Reason.ENGINE_TIMEOUT, 0.0)
    assert asked(breakers, 1.0) == ["a", "b"]
    assert list(breakers.usable((A,), "k", 1.0, lambda _: True)) == [A]


# trials


def test_a_trial_that_never_ends_is_followed_by_another(breakers: Breakers) -> None:
    fail(breakers, "abc")
    assert [asked(breakers, now) for now in (10.0, 19.0, 20.0)] == [["a"], ["b"], ["a"]]


def test_a_trial_that_never_got_there_leaves_it_to_the_next(breakers: Breakers) -> None:
    """Who is over a limit and asks again and again kept an engine out for ever."""
    fail(breakers, "abc")
    assert asked(breakers, 10.0) == ["a"]
    breakers.unasked(Attempt("a", "k", 9.0))  # another request
    assert asked(breakers, 10.1) == ["b"]
    breakers.unasked(Attempt("a", "k", 10.0))
    assert asked(breakers, 10.2) == ["a"]
    breakers.unasked(Attempt("b", "k", 10.2))


def test_a_trial_whose_caller_left_is_somebody_elses(breakers: Breakers) -> None:
    """One that asks and leaves again and again kept an engine out for ever."""
    fail(breakers, "abc")
    assert asked(breakers, 10.0) == ["a"]
    breakers.left(Attempt("a", "k", 10.0))
    assert asked(breakers, 10.1) == ["b"]
    assert asked(breakers, 10.1, "other") == ["a"]
    breakers.left(Attempt("a", "other", 10.1))
    assert asked(breakers, 20.0, "other") == ["b"]
    assert asked(breakers, 20.1, "other") == ["a"]


def test_callers_that_leave_in_turn_try_it_once_each(breakers: Breakers) -> None:
    fail(breakers, "abc")
    asked_by = [caller for _ in range(50) for caller in "kl" if leaves(breakers, 10.0, caller)]
    assert asked_by == ["k", "l"]
    assert asked(breakers, 10.0, "other") == ["a"]


def test_of_many_that_leave_only_as_many_try_it_as_may_fail(breakers: Breakers) -> None:
    """An engine that hangs had somebody's request at all times, where callers give up before its time is over."""
    fail(breakers, "abc")
    tried = [second for second in range(10, 70) if leaves(breakers, float(second), f"k{second}")]
    assert tried == [10, 11, 12, 22, 23, 24, 34, 35, 36, 46, 47, 48, 58, 59, 60]


def leaves(breakers: Breakers, now: float, caller: str) -> bool:
    """A request of `caller` that leaves at once; whether it was a trial."""
    tries = asked(breakers, now, caller) == ["a"]
    if tries:
        breakers.left(Attempt("a", caller, now))
    return tries


def test_an_engine_without_a_free_slot_is_not_tried(breakers: Breakers) -> None:
    """A trial that hangs held the only one; each that followed stood in line for it while `b` was idle."""
    fail(breakers, "abc")
    assert [asked(breakers, 10.0 + second, busy="a") for second in range(60)] == [["b"]] * 60
    assert asked(breakers, 70.0) == ["a"]
    assert asked(breakers, 70.1) == ["b"]


def test_leaving_does_not_hasten_ones_own_trials(breakers: Breakers) -> None:
    fail(breakers, "kkk")
    assert asked(breakers, 10.0) == ["a"]
    breakers.left(Attempt("a", "k", 10.0))
    assert [asked(breakers, now) for now in (19.9, 20.0)] == [["b"], ["a"]]


@pytest.mark.parametrize("reason", sorted(set(Reason) - FAILED))
def test_a_trial_that_is_refused_leaves_it_to_the_next_unless_the_engine_serves_nobody(
    breakers: Breakers, reason: Reason
) -> None:
    """Who sends what no engine takes kept an engine out; but one that is loading is not asked by everybody."""
    fail(breakers, "abc")
    assert asked(breakers, 10.0) == ["a"]
    assert breakers.failed(Attempt("a", "k", 10.0), reason, 11.0) is None
    away = reason in {Reason.ENGINE_BUSY, Reason.NO_ENGINE}
    assert asked(breakers, 11.0) == (["b"] if away else ["a"])
    assert breakers.known["a"].open


@pytest.mark.parametrize("reason", sorted(set(Reason) - FAILED))
def test_only_failures_speak_against_an_engine(breakers: Breakers, reason: Reason) -> None:
    assert [breakers.failed(Attempt("a", caller, 0.0), reason, 0.0) for caller in "abckkk"] == [None] * 6
    assert not breakers.known


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("klmn"), st.booleans(), st.booleans(), st.floats(0, 30)))
)
def test_somebody_is_always_asked_and_only_what_is_open_is_left_out(
    steps: list[tuple[str, str, bool, bool, float]],
) -> None:
    breakers, now = Breakers(PATIENCE), 0.0
    for name, caller, fails, connected, passed in steps:
        now += passed
        if fails:
            breakers.failed(Attempt(name, caller, now), Reason.ENGINE_UNREACHABLE, now, connected=connected)
        else:
            breakers.answered(Attempt(name, caller, now))
        usable = asked(breakers, now, "other")
        assert usable
        left_out = {"a", "b"} - set(usable)
        tried = any(breaker.open and breaker.tried == now for breaker in breakers.known.values())
        assert tried or all(breakers.known[each].open for each in left_out)
