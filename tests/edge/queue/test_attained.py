"""What callers were served: counted, forgotten, never in debt to anybody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.queue.attained import Attained, Held


def turn(attained: Attained, caller: str) -> Held:
    held = Held(attained.of(caller))
    attained.hold(held, 0)
    return held


def test_output_weighs_two() -> None:
    attained = Attained(60.0)
    held = turn(attained, "a")
    attained.charge(held, 100, 50)
    attained.charge(held, 0, 25)
    attained.close(held)
    assert attained.value("a") == pytest.approx(250)


def test_half_of_it_is_forgotten_in_a_half_life() -> None:
    attained = Attained(60.0)
    attained.charge(turn(attained, "a"), 1000, 0)
    attained.age(60.0)
    assert attained.value("a") == pytest.approx(500)
    attained.age(120.0)
    assert attained.value("a") == pytest.approx(125)


def test_days_of_silence_and_of_service_keep_the_numbers_small_and_the_order() -> None:
    attained = Attained(1.0)
    for _ in range(1000):
        for caller, tokens in (("a", 200), ("b", 100)):
            held = turn(attained, caller)
            attained.charge(held, tokens, 0)
            attained.close(held)
        attained.age(7.0)
    assert attained.value("a") > attained.value("b") > 0
    attained.age(1e9)
    assert attained.value("a") == pytest.approx(0.0)
    assert attained.of("a").value < 1e30


def test_a_turn_that_began_is_charged_what_turns_usually_cost_and_then_what_it_cost() -> None:
    attained = Attained(60.0)
    for _ in range(100):
        held = turn(attained, "a")
        attained.charge(held, 0, 50)
        attained.close(held)
    usual = attained.usual
    assert usual == pytest.approx(100, rel=0.01)
    held = turn(attained, "b")
    assert attained.value("b") == pytest.approx(usual)
    attained.charge(held, 10, 0)
    assert attained.value("b") == pytest.approx(usual)
    attained.close(held)
    assert attained.value("b") == pytest.approx(10)
    attained.charge(held, 5, 0)
    assert attained.value("b") == pytest.approx(15)


def test_a_turn_that_reports_nothing_stays_charged_as_usual_until_it_does() -> None:
    attained = Attained(60.0)
    held = turn(attained, "a")
    attained.close(held)
    assert attained.value("a") == pytest.approx(attained.usual)
    attained.charge(held, 400, 0)
    assert attained.value("a") == pytest.approx(400)


def test_a_newcomer_begins_with_the_least_and_never_loses_its_own() -> None:
    attained = Attained(60.0)
    for caller, tokens in (("a", 300), ("b", 200), ("late", 50), ("much", 900)):
        attained.charge(turn(attained, caller), tokens, 0)
    waiting = [attained.of("a"), attained.of("b")]
    for caller in ("late", "much"):
        attained.lift(attained.of(caller), 1, waiting)
    attained.lift(attained.of("nobody waits"), 1, [])
    waiting[0].running = 1
    attained.lift(attained.of("one is served"), 1, [])
    callers = ("late", "much", "nobody waits", "one is served")
    assert [attained.value(caller) for caller in callers] == [200, 900, 0, 300]


def test_a_lone_heavy_user_in_line_is_no_measure_for_newcomers() -> None:
    attained = Attained(60.0)
    attained.charge(turn(attained, "heavy"), 5000, 0)
    attained.charge(turn(attained, "holder"), 10, 0)
    attained.lift(attained.of("new"), 0, [attained.of("heavy")])
    assert attained.value("new") == 0


def test_keys_without_number_do_not_fill_the_memory() -> None:
    attained = Attained(60.0)
    for number in range(5000):
        held = turn(attained, f"key{number}")
        held.account.running += 1
        attained.charge(held, 1, 0)
        attained.close(held)
        held.account.running -= 1
    assert len(attained) < 600


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(-5, 10**9), st.integers(-5, 10**9), st.floats(-1, 1e6)),
        max_size=60,
    )
)
def test_no_account_is_ever_negative_or_infinite(charges: list[tuple[str, int, int, float]]) -> None:
    attained = Attained(60.0)
    for caller, read, written, seconds in charges:
        held = turn(attained, caller)
        attained.charge(held, read, written)
        attained.age(seconds)
        attained.close(held)
        attained.charge(held, written, read)
        assert 0 <= attained.value(caller) < 1e15
