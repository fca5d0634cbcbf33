"""What a policy asks to change of a request is changed, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.policy.obligations import honour
from policies.call import Call, Dialect, Operation
from policies.obligations import STRIPPABLE, Obligations


def call(max_tokens: int | None = None, n: int = 1, **body: object) -> Call:
    return Call(Operation.CHAT, Dialect.OPENAI, "m", max_tokens=max_tokens, n=n, body=dict(body))  # type: ignore[arg-type]


def test_nothing_asked_is_nothing_done() -> None:
    asked = call(5, seed=1)
    assert honour(Obligations(), asked) is asked


@pytest.mark.parametrize(
    ("cap", "wanted", "n", "sent"),
    [(5, None, 1, 5), (5, 100, 1, 5), (5, 3, 1, 3), (10, None, 2, 5), (10, 4, 2, 4), (10, 8, 3, 3), (2, 9, 2, 1)],
)
def test_a_cap_is_for_the_whole_answer(cap: int, wanted: int | None, n: int, sent: int) -> None:
    assert honour(Obligations(max_tokens=cap), call(wanted, n)).max_tokens == sent


def test_what_depends_on_a_stripped_parameter_goes_with_it() -> None:
    asked = call(tools=[1], tool_choice="auto", parallel_tool_calls=True, logprobs=True, top_logprobs=2, seed=1)
    assert honour(Obligations(strip=frozenset({"tools", "logprobs"})), asked).body == {"seed": 1}
    assert "tools" in asked.body


def test_another_name_for_a_stripped_parameter_is_stripped_too() -> None:
    asked = call(repeat_penalty=1.1, repetition_penalty=1.1)
    assert honour(Obligations(strip=frozenset({"repeat_penalty"})), asked).body == {}


@given(
    st.none() | st.integers(1, 50),
    st.none() | st.integers(1, 50),
    st.integers(1, 5),
    st.sets(st.sampled_from(sorted(STRIPPABLE))),
    st.sets(st.sampled_from([*sorted(STRIPPABLE), "messages", "stream"])),
)
def test_never_more_than_allowed_and_never_what_was_to_go(
    cap: int | None, wanted: int | None, n: int, strip: set[str], given_names: set[str]
) -> None:
    asked = call(wanted, n, **dict.fromkeys(given_names, 1))
    sent = honour(Obligations(max_tokens=cap, strip=frozenset(strip)), asked)
    assert not strip & sent.body.keys()
    assert sent.body.keys() <= given_names
    assert {"messages", "stream"} & given_names <= sent.body.keys()
    if cap is not None and cap >= n:
        assert sent.max_tokens is not None
        assert sent.max_tokens * n <= cap
    if wanted is not None:
        assert sent.max_tokens is not None
        assert sent.max_tokens <= wanted


def test_a_cap_is_shared_by_the_choices_of_all_prompts() -> None:
    asked = Call(Operation.COMPLETIONS, Dialect.OPENAI, "m", max_tokens=500, n=2, body={"prompt": ["a", "b", "c"]})
    assert honour(Obligations(max_tokens=60), asked).max_tokens == 10
    tokens = Call(Operation.COMPLETIONS, Dialect.OPENAI, "m", n=2, body={"prompt": [1, 2, 3]})
    assert honour(Obligations(max_tokens=60), tokens).max_tokens == 30
