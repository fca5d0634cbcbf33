"""What prompts and answers will cost, learnt from what they did cost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge.limits.estimate import FIRST_OUTPUT, Estimates


def test_a_new_model_has_four_characters_to_a_token() -> None:
    estimates = Estimates()
    assert estimates.input("m", 400, 0) == 100
    assert estimates.input("m", 0, 0) == 1


def test_prompts_come_to_cost_what_the_engine_counts() -> None:
    estimates = Estimates()
    for _ in range(100):
        estimates.learn_input("m", 1000, 2, 516)
    assert abs(estimates.input("m", 1000, 2) - 516) <= 5
    assert estimates.input("other", 1000, 0) == 250


@given(st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 50), st.integers(-5, 10**7)), max_size=50))
def test_whatever_engines_report_estimates_stay_sane(reports: list[tuple[int, int, int]]) -> None:
    estimates = Estimates()
    for chars, messages, tokens in reports:
        estimates.learn_input("m", chars, messages, tokens)
    assert 1 <= estimates.input("m", 1000, 1) <= 2008


def test_an_answer_holds_what_19_of_20_need() -> None:
    estimates = Estimates()
    assert estimates.output("k", "m") == FIRST_OUTPUT
    for tokens in range(1, 101):
        estimates.learn_output("k", "m", tokens)
    assert estimates.output("k", "m") == 97  # of the last 64, from 37 to 100
    assert estimates.output("new", "m") == 97
    assert estimates.output("k", "other") == FIRST_OUTPUT
    for _ in range(64):
        estimates.learn_output("k", "m", 0)
    assert estimates.output("k", "m") == 16


def test_what_is_learnt_is_bounded() -> None:
    estimates = Estimates()
    for number in range(6000):
        estimates.learn_output(str(number), "m", 50)
    assert len(estimates._answers._items) <= 4096
