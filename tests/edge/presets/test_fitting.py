"""What is left out is filled in, what is out of bounds comes back into them, and all else stays as it was."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config.presets import BUILT_IN, Ceilings, Defaults, Floors, Values, rank, said
from edge.intake.openai_params import EFFORTS
from edge.presets.fitting import fitted
from policies.call import Call, Dialect, Operation
from policies.json import JSON, Object

HALF = Values(Defaults(temperature=0.5, max_tokens=100), Floors(temperature=0.2), Ceilings(temperature=0.8))


def call(body: Object | None = None, operation: Operation = Operation.CHAT, **fields: int | bool | None) -> Call:
    made = Call(operation, Dialect.OPENAI, "m", body={"messages": [], **(body or {})})
    return replace(made, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "sent", "clamped"),
    [(None, 0.5, ()), (0.6, 0.6, ()), (0.8, 0.8, ()), (2, 0.8, ("temperature",)), (0, 0.2, ("temperature",))],
)
def test_what_a_caller_says_is_kept_within_the_bounds(
    asked: float | None, sent: float, clamped: tuple[str, ...]
) -> None:
    found = fitted(call({} if asked is None else {"temperature": asked}), [HALF])
    assert (found.body["temperature"], found.clamped) == (sent, clamped)


def test_nothing_else_is_touched_and_the_call_is_another() -> None:
    asked = call({"seed": 1, "stop": ["x"], "temperature": 2})
    found = fitted(asked, [HALF])
    assert found.body == {"messages": [], "seed": 1, "stop": ["x"], "temperature": 0.8}
    assert asked.body["temperature"] == 2
    assert fitted(asked, []) is asked


def test_null_is_nothing_said() -> None:
    assert fitted(call({"temperature": None}), [HALF]).body["temperature"] == 0.5


@pytest.mark.parametrize(
    ("asked", "defaults", "most", "sent"),
    [
        (None, Defaults(max_tokens=100), None, 100),
        (7, Defaults(max_tokens=100), None, 7),
        (None, Defaults(), 50, 50),
        (20, Defaults(), 50, 20),
        (80, Defaults(), 50, 50),
        (None, Defaults(max_tokens=10), 50, 10),
        (None, Defaults(), None, None),
    ],
)
def test_the_length(asked: int | None, defaults: Defaults, most: int | None, sent: int | None) -> None:
    said: Object = {} if asked is None else {"max_completion_tokens": asked}
    found = fitted(call(said, max_tokens=asked), [Values(defaults, ceilings=Ceilings(max_tokens=most))])
    assert found.max_tokens == sent
    assert found.body.get("max_completion_tokens") == (None if asked is None else sent)


def test_the_number_of_answers_is_the_same_in_both_places() -> None:
    values = Values(ceilings=Ceilings(n=2))
    found = fitted(call({"n": 5}, n=5), [values])
    assert (found.n, found.body["n"], found.clamped) == (2, 2, ("n",))
    one = fitted(call(), [values])
    assert (one.n, "n" in one.body, one.clamped) == (1, False, ())


@pytest.mark.parametrize(("asked", "sent"), [(None, 20), (0, 40), (-1, 40), (10, 10), (40, 40), (41, 40)])
def test_no_limit_on_top_k_is_the_most(asked: int | None, sent: int) -> None:
    values = Values(Defaults(top_k=20), ceilings=Ceilings(top_k=40))
    assert fitted(call({} if asked is None else {"top_k": asked}), [values]).body["top_k"] == sent


def test_a_penalty_under_its_other_name_is_said() -> None:
    values = Values(Defaults(repeat_penalty=1.0))
    assert "repeat_penalty" not in fitted(call({"repetition_penalty": 1.2}), [values]).body
    assert fitted(call(), [values]).body["repeat_penalty"] == 1.0


THINKS: Object = {"chat_template_kwargs": {"enable_thinking": True}}
SILENT: Object = {"chat_template_kwargs": {"enable_thinking": False}}


@pytest.mark.parametrize(
    ("asked", "default", "ceiling", "sent"),
    [
        ({}, "low", None, "low"),
        ({"reasoning_effort": "max"}, "low", "medium", "medium"),
        ({"reasoning_effort": "minimal"}, "low", "medium", "minimal"),
        ({"reasoning_effort": "none"}, "low", "medium", "none"),
        (THINKS, "none", None, None),
        (THINKS, "none", "none", "none"),
        (THINKS, "low", "medium", "medium"),
        (SILENT, "high", None, None),
        (SILENT, "high", "high", "low"),
        (SILENT, "low", "minimal", "minimal"),
        (SILENT, "none", "none", "none"),
        ({**SILENT, "reasoning_effort": "high"}, "low", "medium", "medium"),
        ({**THINKS, "reasoning_effort": "high"}, "low", "low", "low"),
    ],
)
def test_the_effort(asked: Object, default: str, ceiling: str | None, sent: str | None) -> None:
    values = Values(Defaults(reasoning_effort=default), ceilings=Ceilings(reasoning_effort=ceiling))
    assert fitted(call(asked), [values]).body.get("reasoning_effort") == sent


@pytest.mark.parametrize(
    ("asked", "ceiling", "said"),
    [
        ({"reasoning_effort": "none"}, "medium", {"reasoning_effort": "low"}),
        ({}, "none", {"reasoning_effort": "low"}),
        (THINKS, "none", {"enable_thinking": True, "reasoning_effort": "low"}),
        ({"reasoning_effort": "none"}, None, None),
        (SILENT, "low", {"enable_thinking": False}),
        ({"reasoning_effort": "low"}, "low", None),
    ],
)
def test_a_template_without_a_switch_is_told_the_least_where_a_ceiling_holds(
    asked: Object, ceiling: str | None, said: Object | None
) -> None:
    values = Values(Defaults(reasoning_effort="none"), ceilings=Ceilings(reasoning_effort=ceiling))
    found = fitted(call(asked), [values])
    assert found.body.get("chat_template_kwargs") == said
    assert found.clamped == ()


def test_what_is_not_sampled_is_left_alone() -> None:
    values = Values(Defaults(temperature=0.5, reasoning_effort="low"), ceilings=Ceilings(n=1, max_tokens=5))
    for asked in (call(operation=Operation.EMBEDDINGS), call(counts=True)):
        assert fitted(asked, [values]) is asked
    plain = fitted(call(operation=Operation.COMPLETIONS), [values])
    assert (plain.body["temperature"], plain.max_tokens) == (0.5, 5)
    assert "reasoning_effort" not in plain.body  # no parameter of that operation


def test_of_several_the_first_has_its_way_within_the_bounds_of_all() -> None:
    mine = Values(Defaults(temperature=1.0, top_p=0.9), Floors(), Ceilings(temperature=1.5, n=8))
    keys = Values(Defaults(temperature=0.2, min_p=0.1, max_tokens=50), Floors(min_p=0.05), Ceilings(temperature=0.7))
    found = fitted(call({"n": 9, "min_p": 0.01}, n=9), [mine, keys])
    assert found.body | {"messages": 0} == {"messages": 0, "temperature": 0.7, "top_p": 0.9, "min_p": 0.05, "n": 8}
    assert (found.max_tokens, found.clamped) == (50, ("min_p", "n"))


def test_where_bounds_contradict_each_other_the_ceiling_holds() -> None:
    hot, cold = Values(floors=Floors(temperature=1.0)), Values(ceilings=Ceilings(temperature=0.5))
    for presets in ([hot, cold], [cold, hot]):
        assert fitted(call({"temperature": 0.7}), presets).body["temperature"] == 0.5


NUMBER = st.floats(0, 2) | st.none()
COUNT = st.integers(1, 50) | st.none()
EFFORT = st.sampled_from(EFFORTS) | st.none()
VALUES = st.builds(
    Values,
    st.builds(Defaults, temperature=NUMBER, top_k=COUNT, max_tokens=COUNT, reasoning_effort=EFFORT),
    st.builds(Floors, temperature=NUMBER),
    st.builds(
        Ceilings, temperature=NUMBER, top_k=COUNT, max_tokens=COUNT, n=st.integers(1, 8), reasoning_effort=EFFORT
    ),
)
BODY: st.SearchStrategy[dict[str, JSON]] = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.floats(0, 5),
        "top_k": st.integers(-1, 60),
        "reasoning_effort": st.sampled_from(EFFORTS),
        "chat_template_kwargs": st.fixed_dictionaries({"enable_thinking": st.booleans()}),
        "seed": st.integers(),
    },
)


@given(presets=st.lists(VALUES, min_size=1, max_size=3), body=BODY, length=COUNT, count=st.integers(1, 16))
def test_bounds_hold_twice_is_once_and_what_is_within_stays(
    presets: list[Values], body: dict[str, JSON], length: int | None, count: int
) -> None:
    asked = call(body, max_tokens=length, n=count)
    found = fitted(asked, presets)
    assert fitted(found, presets) == found
    sent: Object = {**found.body, "max_tokens": found.max_tokens, "n": found.n}
    said: Object = {**asked.body, "max_tokens": length, "n": count}
    for name in ("temperature", "top_k", "max_tokens", "n", "reasoning_effort"):
        highs = [high for each in presets if (high := getattr(each.ceilings, name)) is not None]
        lows = [low for each in presets if (low := getattr(each.floors, name, None)) is not None]
        before, after = said.get(name), sent.get(name)
        if highs:
            assert isinstance(after, int | float | str), name
            assert all(rank(name, after) <= rank(name, high) for high in highs)
        if isinstance(before, int | float | str):
            high = all(rank(name, before) <= rank(name, high) for high in highs)
            within = high and all(rank(name, before) >= rank(name, low) for low in lows)
            assert (after == before) or not within
            assert (name in found.clamped) == (after != before)
    assert sent.get("seed") == body.get("seed")


@pytest.mark.parametrize("name", BUILT_IN)
def test_of_a_built_in_one_an_empty_request_gets_the_defaults_as_they_stand(name: str) -> None:
    found = fitted(call(), [BUILT_IN[name]])
    assert found.body == {"messages": [], **dict(said(BUILT_IN[name].defaults))}
    assert (found.max_tokens, found.n, found.clamped) == (None, 1, ())
